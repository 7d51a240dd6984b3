//! Frames over TCP: a four-byte length and that many bytes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::{Connection, MAX_FRAME, QUEUE, Secret, Transport, handshake};

/// How long connecting or being authenticated may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// TCP between nodes that share a secret.
#[derive(Clone, Debug)]
pub struct Tcp {
    secret: Secret,
}

impl Tcp {
    /// For a cluster with this secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret }
    }
}

impl Transport for Tcp {
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Connection>> + Send {
        let address = address.to_owned();
        let secret = self.secret.clone();
        async move {
            let connect = async {
                let mut stream = TcpStream::connect(&address).await?;
                prepare(&stream)?;
                handshake::connect(&mut stream, &secret).await?;
                io::Result::Ok(stream)
            };
            Ok(spawn(tokio::time::timeout(PATIENCE, connect).await??))
        }
    }
}

/// The node port.
#[derive(Debug)]
pub struct TcpListener {
    listener: tokio::net::TcpListener,
    secret: Secret,
}

impl TcpListener {
    /// Listens on `host:port`.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn bind(address: &str, secret: Secret) -> io::Result<Self> {
        Ok(Self { listener: tokio::net::TcpListener::bind(address).await?, secret })
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
        loop {
            let (mut stream, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: others may close some.
                    tracing::warn!(%error, "the node port cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (secret, handle) = (self.secret.clone(), handle.clone());
            tokio::spawn(async move {
                let accept = async {
                    prepare(&stream)?;
                    handshake::accept(&mut stream, &secret).await
                };
                match tokio::time::timeout(PATIENCE, accept).await {
                    Ok(Ok(())) => handle(spawn(stream)),
                    // A peer that gave up while this node was starting.
                    Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        tracing::debug!(%from, "node connection was gone at once");
                    }
                    Ok(Err(error)) => tracing::warn!(%from, %error, "node connection refused"),
                    Err(_) => tracing::warn!(%from, "node connection refused: silent"),
                }
            });
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer that vanished without a word is noticed by the silence of its replies; this is for
    // connections on which nothing is awaited.
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

fn spawn(stream: TcpStream) -> Connection {
    let (read, write) = stream.into_split();
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
    mut write: OwnedWriteHalf,
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
        small.clear();
    }
    write.shutdown().await
}

async fn read_frames(mut read: OwnedReadHalf, incoming: &mpsc::Sender<Bytes>) -> io::Result<()> {
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
        let listener = TcpListener::bind("127.0.0.1:0", Secret::new(secret)).await.unwrap();
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
}
