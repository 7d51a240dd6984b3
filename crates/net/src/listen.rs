//! Listening sockets.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// Connections the system queues where nothing else is asked for.
const DEFAULT_BACKLOG: u32 = 1024;

/// Listens on `host:port`, the first of its addresses that can be had.
///
/// `backlog`: connections that the system queues before they are accepted; 0 for a default.
///
/// # Errors
/// If the host has no address, or none that is free and ours.
pub async fn bind(address: &str, backlog: u32) -> io::Result<TcpListener> {
    let backlog = if backlog == 0 { DEFAULT_BACKLOG } else { backlog };
    let mut failed = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in lookup_host(address).await? {
        let listening = || {
            let socket = match address.is_ipv4() {
                true => TcpSocket::new_v4()?,
                false => TcpSocket::new_v6()?,
            };
            // A restarted server takes its port back from connections that linger.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(backlog)
        };
        match listening() {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Makes the system notice within some ten seconds that a silent peer has vanished.
///
/// # Errors
/// The operating system's.
pub fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
