//! Frames between nodes: ordered, whole, from an authenticated peer, until the connection breaks.

pub(crate) mod fuzzing;
mod handshake;
mod tcp;

use std::future::Future;
use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use handshake::Secret;
pub use tcp::{Tcp, TcpListener};

/// No frame is longer, in bytes: a full batch of the largest requests, several times over.
pub const MAX_FRAME: usize = 256 << 20;
/// Frames queued on a connection before its sender waits.
const QUEUE: usize = 64;

/// A connection to another node. Dropping `sender` ends our half, dropping `receiver` breaks it.
#[derive(Debug)]
pub struct Connection {
    /// Frames to the peer.
    pub sender: mpsc::Sender<Bytes>,
    /// Frames from the peer; ends when the connection does.
    pub receiver: mpsc::Receiver<Bytes>,
}

impl Connection {
    /// Whether, as far as is known here, both halves still are there.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.receiver.is_closed()
    }
}

/// How nodes reach each other: TCP in production, memory with faults in simulations.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Connects to a node's address and authenticates both sides.
    ///
    /// # Errors
    /// If it cannot be reached in time or is not of this cluster.
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Connection>> + Send;
}

pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the peer closed the connection")
}
