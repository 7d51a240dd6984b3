//! Frames over TCP: a four-byte length and that many bytes.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use polyport_net::listen;
use polyport_net::stream::Stream;
use polyport_net::tls::Mutual;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Connection, MAX_FRAME, QUEUE, Secret, Transport, handshake};

/// How long connecting or being authenticated may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections that are being authenticated at once; one more takes the place of the oldest.
const STRANGERS: usize = 256;

/// TCP between nodes that share a secret, inside TLS where they have certificates.
#[derive(Clone, Debug)]
pub struct Tcp {
    secret: Secret,
    tls: Option<Mutual>,
    keep_alive: bool,
}

impl Tcp {
    /// For a cluster with this secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret, tls: None, keep_alive: true }
    }

    /// Encrypts, and takes only nodes whose certificates hold.
    pub fn with_tls(self, tls: Option<Mutual>) -> Self {
        Self { tls, ..self }
    }

    /// Whether the system probes silent nodes.
    pub fn with_keep_alive(self, keep_alive: bool) -> Self {
        Self { keep_alive, ..self }
    }

    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // A peer that vanished without a word is noticed by the silence of its replies; this is for
        // connections on which nothing is awaited.
        if self.keep_alive { listen::keep_alive(stream) } else { Ok(()) }
    }

    async fn dial(&self, address: &str) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        self.prepare(&stream)?;
        let mut stream = match &self.tls {
            Some(tls) => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                tls.connector.connect(host, stream).await?
            }
            None => Stream::Plain(stream),
        };
        handshake::connect(&mut stream, &self.secret).await?;
        Ok(stream)
    }

    async fn answer(&self, stream: TcpStream) -> io::Result<Stream> {
        self.prepare(&stream)?;
        let mut stream = match &self.tls {
            Some(tls) => tls.acceptor.accept(stream).await?.0,
            None => Stream::Plain(stream),
        };
        handshake::accept(&mut stream, &self.secret).await?;
        Ok(stream)
    }
}

impl Transport for Tcp {
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Connection>> + Send {
        let address = address.to_owned();
        let tcp = self.clone();
        async move { Ok(spawn(tokio::time::timeout(PATIENCE, tcp.dial(&address)).await??)) }
    }
}

/// The node port.
#[derive(Debug)]
pub struct TcpListener {
    listener: tokio::net::TcpListener,
    tcp: Tcp,
}

impl TcpListener {
    /// Listens on `host:port`.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn bind(address: &str, tcp: Tcp) -> io::Result<Self> {
        Ok(Self { listener: tokio::net::TcpListener::bind(address).await?, tcp })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Gives every authenticated connection to `handle`, until the listener fails.
    pub async fn run(self, handle: impl Fn(Connection) + Clone + Send + 'static) {
        let mut strangers = VecDeque::new();
        loop {
            let (stream, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: others may close some.
                    tracing::warn!(%error, "the node port cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (tcp, handle) = (self.tcp.clone(), handle.clone());
            strangers.retain(|stranger: &AbortHandle| !stranger.is_finished());
            if strangers.len() >= STRANGERS
                && let Some(oldest) = strangers.pop_front()
            {
                // A node is done in a few round trips; who is still here has nothing to show.
                oldest.abort();
            }
            let answered = tokio::spawn(async move {
                match tokio::time::timeout(PATIENCE, tcp.answer(stream)).await {
                    Ok(Ok(stream)) => handle(spawn(stream)),
                    // A peer that gave up while this node was starting.
                    Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        tracing::debug!(%from, "node connection was gone at once");
                    }
                    Ok(Err(error)) => tracing::warn!(%from, %error, "node connection refused"),
                    Err(_) => tracing::warn!(%from, "node connection refused: silent"),
                }
            });
            strangers.push_back(answered.abort_handle());
        }
    }
}

fn spawn(stream: Stream) -> Connection {
    match stream {
        // Two halves without a lock between them.
        Stream::Plain(stream) => {
            let (read, write) = stream.into_split();
            frames(read, write)
        }
        stream => {
            let (read, write) = tokio::io::split(stream);
            frames(read, write)
        }
    }
}

fn frames<R, W>(read: R, write: W) -> Connection
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (sender, outgoing) = mpsc::channel(QUEUE);
    let (incoming, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        if let Err(error) = write_frames(write, outgoing).await {
            tracing::debug!(%error, "node connection broke while writing");
        }
    });
    tokio::spawn(async move {
        // The other side may be done with us while bytes are still on their way.
        let broke = tokio::select! {
            result = read_frames(read, &incoming) => result,
            () = incoming.closed() => Ok(()),
        };
        if let Err(error) = broke {
            tracing::debug!(%error, "node connection broke while reading");
        }
    });
    Connection { sender, receiver }
}

async fn write_frames(
    mut write: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut frames = Vec::with_capacity(QUEUE);
    let mut small = BytesMut::new();
    while outgoing.recv_many(&mut frames, QUEUE).await > 0 {
        for frame in frames.drain(..) {
            small.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            if frame.len() <= 16 * 1024 {
                small.extend_from_slice(&frame);
            } else {
                write.write_all(&small).await?;
                small.clear();
                write.write_all(&frame).await?;
            }
        }
        write.write_all(&small).await?;
        write.flush().await?;
        small.clear();
    }
    write.shutdown().await
}

pub(crate) async fn read_frames(
    mut read: impl AsyncRead + Unpin,
    incoming: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    loop {
        while buffer.len() >= 4 {
            let len = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
            if len > MAX_FRAME {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
            }
            if buffer.len() < 4 + len {
                break;
            }
            buffer.advance(4);
            if incoming.send(buffer.split_to(len).freeze()).await.is_err() {
                return Ok(());
            }
        }
        // Grows by what arrives, not by what a length claims.
        buffer.reserve(64 * 1024);
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listener(secret: &str) -> (String, mpsc::Receiver<Connection>) {
        listener_of(Tcp::new(Secret::new(secret))).await
    }

    async fn listener_of(tcp: Tcp) -> (String, mpsc::Receiver<Connection>) {
        let listener = TcpListener::bind("127.0.0.1:0", tcp).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(listener.run(move |connection| sender.try_send(connection).unwrap()));
        (address, receiver)
    }

    #[tokio::test]
    async fn frames_of_all_sizes_arrive_in_order() {
        let (address, mut accepted) = listener("s").await;
        let ours = Tcp::new(Secret::new("s")).connect(&address).await.unwrap();
        let mut theirs = accepted.recv().await.unwrap();
        let sizes = [0, 1, 16 * 1024, 16 * 1024 + 1, 3 << 20, 5];
        tokio::spawn(async move {
            for size in sizes {
                ours.sender.send(Bytes::from(vec![7; size])).await.unwrap();
            }
        });
        for size in sizes {
            assert_eq!(theirs.receiver.recv().await.unwrap().len(), size);
        }
        assert_eq!(theirs.receiver.recv().await, None);
    }

    #[tokio::test]
    async fn a_wrong_secret_is_refused_by_both_sides() {
        let (address, mut accepted) = listener("right").await;
        let error = Tcp::new(Secret::new("wrong")).connect(&address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(accepted.try_recv().is_err());
    }

    /// Reads until the other side ends the connection, however it does that.
    async fn gone(stream: &mut TcpStream) {
        while stream.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {}
    }

    #[tokio::test]
    async fn strangers_that_hold_the_door_are_pushed_out_by_nodes() {
        let (address, mut accepted) = listener("s").await;
        let mut strangers = Vec::new();
        for _ in 0..STRANGERS {
            strangers.push(TcpStream::connect(&address).await.unwrap());
        }
        let since = tokio::time::Instant::now();
        for _ in 0..2 {
            Tcp::new(Secret::new("s")).connect(&address).await.unwrap();
            accepted.recv().await.unwrap();
        }
        gone(&mut strangers[0]).await;
        // Not because its time was up.
        assert!(since.elapsed() < PATIENCE);
    }

    #[tokio::test]
    async fn what_is_no_handshake_or_was_one_before_is_refused() {
        let (address, mut accepted) = listener("s").await;
        // What a node says, as somebody between the two would hear it.
        let between = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = between.local_addr().unwrap().to_string();
        let node = tokio::spawn(async move { Tcp::new(Secret::new("s")).connect(&here).await });
        let (mut client, _) = between.accept().await.unwrap();
        let mut server = TcpStream::connect(&address).await.unwrap();
        let (mut hello, mut answer, mut proof) = ([0; 36], [0; 64], [0; 32]);
        client.read_exact(&mut hello).await.unwrap();
        server.write_all(&hello).await.unwrap();
        server.read_exact(&mut answer).await.unwrap();
        client.write_all(&answer).await.unwrap();
        client.read_exact(&mut proof).await.unwrap();
        server.write_all(&proof).await.unwrap();
        node.await.unwrap().unwrap();
        accepted.recv().await.unwrap();
        // The same again, all at once; its pieces alone; the server's own proof sent back; rubbish;
        // and a frame's length where a handshake is awaited.
        let again = [&hello[..], &proof].concat();
        let echo = [&hello[..4], &answer].concat();
        let rubbish = vec![0xff; 4096];
        let frame = [&(MAX_FRAME as u32).to_be_bytes()[..], &[0; 4096]].concat();
        for said in
            [&again[..], &echo, &rubbish, &frame, b"GET / HTTP/1.1\r\nhost: hostname\r\n\r\n"]
        {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(said).await.unwrap();
            gone(&mut stream).await;
        }
        assert!(accepted.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_frame_longer_than_allowed_ends_the_connection() {
        let (address, mut accepted) = listener("s").await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        handshake::connect(&mut stream, &Secret::new("s")).await.unwrap();
        let mut theirs = accepted.recv().await.unwrap();
        stream.write_all(&(MAX_FRAME as u32 + 1).to_be_bytes()).await.unwrap();
        assert_eq!(theirs.receiver.recv().await, None);
    }

    /// A node's certificate of an authority of its own making, for 127.0.0.1.
    fn certificates(dir: &std::path::Path, names: &[&str]) {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        std::fs::create_dir_all(dir).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for name in names {
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
            std::fs::write(dir.join(name), pem).unwrap();
        }
    }

    fn mutual(dir: &std::path::Path, name: &str) -> Option<Mutual> {
        let files = polyport_net::tls::Files {
            cert: dir.join(name),
            key: dir.join(name),
            ca: Some(dir.join("ca.pem")),
        };
        Some(Mutual::new(&files).unwrap())
    }

    #[tokio::test]
    async fn nodes_with_certificates_take_only_their_like() {
        let dir = std::env::temp_dir().join(format!("polyport-node-tls-{}", std::process::id()));
        let (ours, theirs) = (dir.join("ours"), dir.join("theirs"));
        certificates(&ours, &["a", "b"]);
        certificates(&theirs, &["c"]);
        let tcp = || Tcp::new(Secret::new("s"));
        let (address, mut accepted) = listener_of(tcp().with_tls(mutual(&ours, "a"))).await;
        let one = tcp().with_tls(mutual(&ours, "b")).connect(&address).await.unwrap();
        let mut other = accepted.recv().await.unwrap();
        one.sender.send(Bytes::from(vec![7; 3 << 20])).await.unwrap();
        assert_eq!(other.receiver.recv().await.unwrap().len(), 3 << 20);
        // Of another authority, without any, and with the right one but another secret.
        let stranger = tcp().with_tls(mutual(&theirs, "c")).connect(&address).await;
        assert!(stranger.is_err());
        assert!(tcp().connect(&address).await.is_err());
        let liar = Tcp::new(Secret::new("t")).with_tls(mutual(&ours, "b"));
        let refused = liar.connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        // And a node with certificates does not go where there are none.
        let (plain, mut accepted_plainly) = listener("s").await;
        assert!(tcp().with_tls(mutual(&ours, "b")).connect(&plain).await.is_err());
        assert!(accepted.try_recv().is_err() && accepted_plainly.try_recv().is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
