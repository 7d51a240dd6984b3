use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use polyport_wire::Cursor;
use polyport_zookeeper::codec::{ConnectRequest, ConnectResponse, ReplyHeader, Request};

/// No reply that this program asks for comes near it.
const MAX_FRAME: usize = 16 << 20;

/// A session as the server granted it.
#[derive(Clone, Debug)]
pub struct Session {
    /// 0 asks for a new one.
    pub id: i64,
    /// Proof of owning it.
    pub password: Vec<u8>,
}

impl Session {
    /// What asks for a new session.
    pub fn none() -> Self {
        Self { id: 0, password: vec![0; 16] }
    }
}

/// What a server said to a handshake.
#[derive(Debug)]
pub enum Granted {
    /// The session is attached to this connection.
    Yes(Session),
    /// It has expired.
    Expired,
}

/// Opens a TCP connection, blocking, with `patience` for the connect and each read and write.
///
/// # Errors
/// The operating system's.
pub fn open(server: &str, patience: Duration) -> io::Result<TcpStream> {
    let address = server.to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// Asks for a session and waits for the answer.
///
/// # Errors
/// If the server closes the connection, is silent or answers nonsense.
pub fn handshake(
    stream: &mut TcpStream,
    session: &Session,
    timeout_ms: i32,
) -> anyhow::Result<Granted> {
    let mut out = vec![0; 4];
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session_id: session.id,
        password: &session.password,
        read_only: Some(false),
    }
    .encode(&mut out);
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&out)?;
    let body = read_frame(stream)?;
    let answer = ConnectResponse::decode(&body)?;
    if answer.timeout_ms <= 0 || answer.session_id == 0 {
        return Ok(Granted::Expired);
    }
    Ok(Granted::Yes(Session { id: answer.session_id, password: answer.password.to_vec() }))
}

/// Opens a connection with a new session, again and again until `deadline`.
///
/// # Errors
/// The last attempt's.
pub fn establish(server: &str, timeout_ms: i32, deadline: Instant) -> anyhow::Result<TcpStream> {
    let patience = Duration::from_secs(10);
    loop {
        let attempt = || -> anyhow::Result<TcpStream> {
            let mut stream = open(server, patience)?;
            match handshake(&mut stream, &Session::none(), timeout_ms)? {
                Granted::Yes(_) => Ok(stream),
                Granted::Expired => bail!("a new session was refused"),
            }
        };
        match attempt() {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("no session with {server}"));
            }
            // A server that does not serve yet closes at once: this is polling, not a guess.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Sends one frame that is already encoded and waits for the reply's header; for blocking sockets.
///
/// # Errors
/// If the connection fails or the reply is malformed.
pub fn call(stream: &mut TcpStream, frame: &[u8]) -> anyhow::Result<ReplyHeader> {
    stream.write_all(frame)?;
    let body = read_frame(stream)?;
    Ok(ReplyHeader::decode(&mut Cursor::new(&body))?)
}

/// Ends the session, so that its expiry does not disturb the next run. A server that is gone is no
/// error.
pub fn close(mut stream: TcpStream) {
    let frame = crate::frames::frame(&Request::CloseSession);
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    if stream.write_all(&frame).is_ok() {
        let mut rest = [0; 4096];
        while stream.read(&mut rest).is_ok_and(|n| n > 0) {}
    }
}

fn read_frame(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = checked_length(length)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// A frame's length, if it is one.
///
/// # Errors
/// If it is negative or absurd.
pub fn checked_length(bytes: [u8; 4]) -> anyhow::Result<usize> {
    let length = i32::from_be_bytes(bytes);
    match usize::try_from(length) {
        Ok(length) if length <= MAX_FRAME => Ok(length),
        _ => bail!("frame of {length} bytes"),
    }
}
