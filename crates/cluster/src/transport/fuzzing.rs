//! What arrives at the node port, without a port, for the fuzz targets.

use std::io;

use futures_util::FutureExt;

pub(crate) use super::tcp::read_frames;
use super::{Secret, closed, handshake};

/// A handshake with a peer that has said all of `bytes` and hears nothing.
pub(crate) fn handshake(accepting: bool, bytes: &[u8]) -> io::Result<()> {
    let secret = Secret::new("fuzz");
    let mut stream = tokio::io::join(bytes, tokio::io::sink());
    let done = match accepting {
        true => handshake::accept(&mut stream, &secret).now_or_never(),
        false => handshake::connect(&mut stream, &secret).now_or_never(),
    };
    done.unwrap_or_else(|| Err(closed()))
}
