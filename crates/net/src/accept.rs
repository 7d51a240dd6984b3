//! From a listening socket to connections that may come in.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::admission::{Admission, Admitted, Full};
use crate::listen;

/// A port's rules for who comes in.
#[derive(Clone, Debug)]
pub struct Door {
    /// The port's own limits.
    pub port: Arc<Admission>,
    /// What all ports of the process share: file descriptors.
    pub process: Arc<Admission>,
    /// Whether the system probes silent peers.
    pub keep_alive: bool,
}

/// A connection's places, free again when they are dropped.
pub type Places = (Admitted, Admitted);

/// Accepts until `stop` says so. Each connection that is let in is served in a task of its own;
/// `refused` is told of the others.
pub async fn accept<S>(
    listener: TcpListener,
    door: Door,
    mut stop: watch::Receiver<bool>,
    refused: impl Fn(SocketAddr, Full),
    serve: impl Fn(TcpStream, SocketAddr, Places) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: others may close some.
                tracing::warn!(%error, "a port cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let admitted = door.port.admit(peer.ip());
        let places = match admitted.and_then(|port| Ok((port, door.process.admit(peer.ip())?))) {
            Ok(places) => places,
            Err(reason) => {
                refused(peer, reason);
                tracing::warn!(%peer, %reason, "connection refused");
                continue;
            }
        };
        let prepared = stream.set_nodelay(true).and_then(|()| match door.keep_alive {
            true => listen::keep_alive(&stream),
            false => Ok(()),
        });
        match prepared {
            Ok(()) => {
                tokio::spawn(serve(stream, peer, places));
            }
            Err(error) => tracing::debug!(%peer, %error, "connection was gone at once"),
        }
    }
}
