//! Bodies of answers: whole, or given while they are made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// What an answer holds.
#[derive(Debug)]
pub struct Body {
    /// Bytes still to come, as they were announced.
    left: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body {
    /// Bytes that are there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { left: bytes.len() as u64, content: Content::Whole(bytes) }
    }

    /// `len` bytes that come in pieces. If fewer come, the connection breaks, so that nobody takes
    /// them for all.
    pub fn stream(len: u64, pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { left: len, content: Content::Stream(pieces) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = match &mut self.content {
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Stream(pieces) => match pieces.poll_recv(context) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
        };
        let piece = next.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
        Poll::Ready(Some(piece.map(|piece| {
            self.left = self.left.saturating_sub(piece.len() as u64);
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
