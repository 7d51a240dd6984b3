//! From an open port to a connection that is served.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use polyport_net::accept::{Door, Places, accept};
use polyport_net::admission::Admission;
use polyport_net::listen;
use polyport_net::stream::Stream;
use polyport_net::tls::{self, Acceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{Happened, Server, Stats, connection, quorum};

/// Whether a port's connections are TLS.
#[derive(Clone, Debug)]
pub(super) enum Encryption {
    Never,
    Always(Acceptor),
    /// Those that begin like it are.
    Detected(Acceptor),
}

/// A client as its port knows it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Subject of the certificate that it showed.
    pub(super) subject: Option<String>,
    /// Whether its port takes nothing but TLS.
    pub(super) secure: bool,
    /// By when it must have its session.
    pub(super) deadline: Instant,
}

#[derive(Clone)]
struct Port {
    server: Server,
    encryption: Encryption,
    admission: Arc<Admission>,
    handshakes: Option<Arc<Semaphore>>,
}

impl Server {
    /// Listens and serves until the server is drained.
    pub(super) async fn open(
        &self,
        what: &str,
        address: &str,
        encryption: Encryption,
    ) -> io::Result<SocketAddr> {
        let settings = self.settings();
        let listener = listen::bind(address, settings.listen_backlog)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{what} {address}: {error}")))?;
        let local = listener.local_addr()?;
        let port = Port {
            server: self.clone(),
            encryption,
            admission: Admission::new(settings.max_connections, settings.max_client_connections),
            handshakes: settings.max_tls_handshakes.map(|most| Arc::new(Semaphore::new(most))),
        };
        tokio::spawn(port.accept(listener));
        // Once, however many ports there are.
        if !self.shared.watching.swap(true, Ordering::AcqRel) {
            tokio::spawn(quorum::watch(self.clone()));
        }
        Ok(local)
    }
}

impl Port {
    async fn accept(self, listener: TcpListener) {
        let shared = &self.server.shared;
        let door = Door {
            port: self.admission.clone(),
            process: self.server.settings().descriptors.clone(),
            keep_alive: self.server.settings().tcp_keep_alive,
        };
        let stop = shared.draining.subscribe();
        let refused = |_, _| self.server.stats().count(Happened::ConnectionRejected);
        let serve = |stream, peer, places| self.clone().serve(stream, peer, places);
        accept(listener, door, stop, refused, serve).await;
    }

    async fn serve(self, stream: TcpStream, address: SocketAddr, _places: Places) {
        let settings = self.server.settings();
        let deadline = Instant::now() + settings.handshake_timeout;
        let mut draining = self.server.shared.draining.subscribe();
        let secured = tokio::select! {
            secured = timeout_at(deadline, self.secure(stream, address)) => secured,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match secured {
            Ok(Ok((stream, subject))) => {
                let secure = matches!(self.encryption, Encryption::Always(_));
                let peer = Peer { address, subject, secure, deadline };
                connection::serve(self.server, stream, peer).await;
            }
            Ok(Err(error)) => tracing::warn!(peer = %address, %error, "connection refused: no TLS"),
            Err(_) => {
                tracing::warn!(peer = %address, "connection refused: silent before its handshake");
            }
        }
    }

    async fn secure(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<(Stream, Option<String>)> {
        let stats = self.server.stats();
        let tls = match &self.encryption {
            Encryption::Never => None,
            Encryption::Always(acceptor) => Some(acceptor),
            Encryption::Detected(acceptor) => tls::begins(&stream).await?.then_some(acceptor),
        };
        let Some(acceptor) = tls else {
            stats.count(plain_from(address.ip()));
            return Ok((Stream::Plain(stream), None));
        };
        let _handshake = match &self.handshakes {
            Some(handshakes) => Some(handshakes.try_acquire().map_err(|_| {
                stats.count(Happened::HandshakeExceeded);
                io::Error::other("too many handshakes (outstandingHandshake.limit)")
            })?),
            None => None,
        };
        let mut handshake = Handshake::begin(stats);
        let accepted = acceptor.accept(stream).await;
        handshake.done = accepted.is_ok();
        accepted
    }
}

fn plain_from(address: IpAddr) -> Happened {
    match address.to_canonical().is_loopback() {
        true => Happened::PlainLocal,
        false => Happened::PlainRemote,
    }
}

/// A TLS handshake in progress; it failed unless it is done when this is dropped, as it is when the
/// client's time is over.
struct Handshake<'a> {
    stats: &'a Stats,
    done: bool,
}

impl<'a> Handshake<'a> {
    fn begin(stats: &'a Stats) -> Self {
        stats.handshake(1);
        Self { stats, done: false }
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.stats.handshake(-1);
        if !self.done {
            self.stats.count(Happened::HandshakeFailed);
            self.stats.count(Happened::AuthFailed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_this_machine_is_local_by_either_family() {
        for local in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(plain_from(local.parse().unwrap()), Happened::PlainLocal, "{local}");
        }
        for remote in ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert_eq!(plain_from(remote.parse().unwrap()), Happened::PlainRemote, "{remote}");
        }
    }
}
