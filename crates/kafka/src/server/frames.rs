//! Whole requests out of a stream of bytes.

use bytes::{Buf, BytesMut};

/// Room made for a read from the socket.
const READ_BYTES: usize = 16 << 10;
/// Most room made for bytes of which none has arrived.
const AHEAD_BYTES: usize = 1 << 20;
/// A buffer that is larger than this is given back when it is empty.
const KEPT_BYTES: usize = 64 << 10;

/// A frame's length that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a request of {found} bytes; {limit} are the most (socket.request.max.bytes, or \
         sasl.server.max.receive.size)"
)]
pub(super) struct FrameLength {
    found: i32,
    limit: usize,
}

/// Bytes that have arrived and are no whole request yet.
#[derive(Debug)]
pub(super) struct Frames {
    input: BytesMut,
    limit: usize,
}

impl Frames {
    /// `limit`: `socket.request.max.bytes`.
    pub(super) fn new(limit: usize) -> Self {
        Self { input: BytesMut::new(), limit }
    }

    /// Sets the longest request from here on.
    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next whole request, without its length. It is the only owner of its bytes if nothing has
    /// arrived after it.
    ///
    /// # Errors
    /// If its length is negative or above the limit.
    pub(super) fn next(&mut self) -> Result<Option<BytesMut>, FrameLength> {
        let Some(len) = self.announced()? else { return Ok(None) };
        if self.input.len() < 4 + len {
            return Ok(None);
        }
        self.input.advance(4);
        if self.input.len() == len {
            return Ok(Some(std::mem::take(&mut self.input)));
        }
        Ok(Some(self.input.split_to(len)))
    }

    fn announced(&self) -> Result<Option<usize>, FrameLength> {
        let Some(prefix) = self.input.first_chunk::<4>() else { return Ok(None) };
        let found = i32::from_be_bytes(*prefix);
        match usize::try_from(found) {
            Ok(len) if len <= self.limit => Ok(Some(len)),
            _ => Err(FrameLength { found, limit: self.limit }),
        }
    }

    /// The API key of the next request, if it is there.
    pub(super) fn peek_key(&self) -> Option<i16> {
        self.input.get(4..6)?.first_chunk::<2>().map(|key| i16::from_be_bytes(*key))
    }

    /// Whether a whole request waits.
    pub(super) fn has_next(&self) -> bool {
        // A bad length is an answer too.
        self.announced().is_err()
            || self.announced().is_ok_and(|len| len.is_some_and(|len| self.input.len() >= 4 + len))
    }

    /// The buffer, with room for more: never for more than has arrived and a bounded piece.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let missing = match self.announced() {
            Ok(Some(len)) => (4 + len).saturating_sub(self.input.len()),
            _ => 0,
        };
        if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
            self.input = BytesMut::new();
        }
        let most = AHEAD_BYTES.max(self.input.len());
        self.input.reserve(missing.clamp(READ_BYTES, most));
        &mut self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_out_whole_and_in_order() {
        let mut frames = Frames::new(10);
        frames.room().extend_from_slice(&[0, 0, 0, 2, 7]);
        assert_eq!(frames.next(), Ok(None));
        assert!(!frames.has_next());
        frames.room().extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
        assert!(frames.has_next());
        let mut all = Vec::new();
        while let Some(frame) = frames.next().unwrap() {
            all.push(frame.to_vec());
        }
        assert_eq!(all, [vec![7, 8], vec![], vec![9]]);
    }

    #[test]
    fn a_length_is_believed_only_as_far_as_its_bytes_arrive() {
        let mut frames = Frames::new(100 << 20);
        frames.room().extend_from_slice(&(90i32 << 20).to_be_bytes());
        assert!(frames.room().capacity() < 3 * AHEAD_BYTES);
        let mut frames = Frames::new(10);
        for bad in [11, -1, i32::MIN] {
            frames.input = BytesMut::from(&bad.to_be_bytes()[..]);
            assert!(frames.has_next());
            assert_eq!(frames.next(), Err(FrameLength { found: bad, limit: 10 }));
        }
    }
}
