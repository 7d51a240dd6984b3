//! Bytes to and from a broker, with a deadline, and an end when the user asks for one.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::{ClientError, Result};
use crate::platform;

/// How long a read blocks before it looks at the deadline and whether the user wants an end.
const SLICE: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 64 * 1024;

/// The signal by which the user asked for an end; 0 before.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);

/// From now on, SIGINT and SIGTERM end the calls of clients that heed them, with
/// [`ClientError::Interrupted`], instead of the process.
pub fn interrupt_on_signals() {
    extern "C" fn on_signal(signal: libc::c_int) {
        INTERRUPTED.store(signal, Ordering::Relaxed);
    }
    platform::on_end_signals(on_signal);
}

/// The signal by which the user asked for an end, if one came.
pub fn interrupted_by() -> Option<i32> {
    Some(INTERRUPTED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Whether the user asked for an end.
pub fn is_interrupted() -> bool {
    interrupted_by().is_some()
}

/// Something that carries bytes: TCP, or TLS over it.
pub trait Transport: Read + Write + Send {
    /// The connection below, for its timeouts.
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// A connection's bytes.
pub struct Stream {
    transport: Box<dyn Transport>,
    /// What has arrived and was not taken yet.
    pub arrived: BytesMut,
    chunk: Vec<u8>,
}

/// Connects to the first address of the host that answers; gives the address, too.
///
/// # Errors
/// The last one of the system, with the address as Java shows it.
pub fn connect(
    host: &str,
    port: u16,
    timeout: Duration,
) -> std::result::Result<(TcpStream, String), (String, std::io::Error)> {
    let shown = |address: &std::net::SocketAddr| format!("{host}/{address}");
    let unresolved = |error| (format!("{host}:{port}"), error);
    let addresses = (host, port).to_socket_addrs().map_err(unresolved)?;
    let mut last = unresolved(ErrorKind::NotFound.into());
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                // Small requests must not wait for one another.
                let _ = stream.set_nodelay(true);
                return Ok((stream, shown(&address)));
            }
            Err(error) => last = (shown(&address), error),
        }
    }
    Err(last)
}

impl Stream {
    /// Over a connection.
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, arrived: BytesMut::new(), chunk: vec![0; READ_BYTES] }
    }

    /// Sends everything before the deadline.
    ///
    /// # Errors
    /// `Disconnected`, also when the broker takes nothing until the deadline.
    pub fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now()).max(SLICE);
        let tcp = self.transport.tcp();
        tcp.set_write_timeout(Some(left)).map_err(|_| ClientError::Disconnected)?;
        let sent = self.transport.write_all(bytes).and_then(|()| self.transport.flush());
        sent.map_err(|_| ClientError::Disconnected)
    }

    /// Waits until more has arrived.
    ///
    /// # Errors
    /// `Disconnected`, `Timeout` after the deadline, `Interrupted` if `heed` is set.
    pub fn fill(&mut self, deadline: Instant, heed: bool) -> Result<()> {
        loop {
            if heed && is_interrupted() {
                return Err(ClientError::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::Timeout("The request timed out.".to_owned()));
            }
            let tcp = self.transport.tcp();
            tcp.set_read_timeout(Some(left.min(SLICE))).map_err(|_| ClientError::Disconnected)?;
            match self.transport.read(&mut self.chunk) {
                Ok(0) => return Err(ClientError::Disconnected),
                Ok(length) => {
                    self.arrived.extend_from_slice(&self.chunk[..length]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(ClientError::Disconnected),
                },
            }
        }
    }
}
