//! Where record bytes come from: a slice, or a decompressor that is never read whole into memory.

use std::io::{self, BufRead};

use polyport_wire::DecodeError;

use super::BatchError;
use super::varint::{MAX_BYTES, unzigzag};

/// Bytes taken one after the other.
pub(super) trait Source {
    fn byte(&mut self, what: &'static str) -> Result<u8, BatchError>;
    fn skip(&mut self, n: usize, what: &'static str) -> Result<(), BatchError>;
    /// How many bytes were taken.
    fn at(&self) -> u64;
    fn is_at_end(&mut self) -> Result<bool, BatchError>;

    fn error(&self, what: &'static str) -> BatchError {
        BatchError::Record(DecodeError { at: self.at() as usize, what })
    }

    fn varlong(&mut self, what: &'static str) -> Result<i64, BatchError> {
        let mut raw = 0_u64;
        for group in 0..MAX_BYTES {
            let byte = self.byte(what)?;
            raw |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(unzigzag(raw));
            }
        }
        Err(self.error("varint of more than ten bytes"))
    }

    fn varint(&mut self, what: &'static str) -> Result<i32, BatchError> {
        i32::try_from(self.varlong(what)?).map_err(|_| self.error("varint of more than 32 bits"))
    }
}

/// Bytes in memory.
pub(super) struct Slice<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Slice<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Slice { bytes, at: 0 }
    }

    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], BatchError> {
        let from = self.at;
        self.skip(n, what)?;
        Ok(&self.bytes[from..self.at])
    }

    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

impl Source for Slice<'_> {
    #[inline]
    fn byte(&mut self, what: &'static str) -> Result<u8, BatchError> {
        let Some(byte) = self.bytes.get(self.at) else { return Err(self.error(what)) };
        self.at += 1;
        Ok(*byte)
    }

    #[inline]
    fn skip(&mut self, n: usize, what: &'static str) -> Result<(), BatchError> {
        if n > self.bytes.len() - self.at {
            return Err(self.error(what));
        }
        self.at += n;
        Ok(())
    }

    fn at(&self) -> u64 {
        self.at as u64
    }

    fn is_at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.at == self.bytes.len())
    }
}

/// Bytes out of a decompressor.
pub(super) struct Stream<R> {
    from: R,
    at: u64,
    codec: &'static str,
}

impl<R: BufRead> Stream<R> {
    pub fn new(from: R, codec: &'static str) -> Self {
        Stream { from, at: 0, codec }
    }

    fn failed(&self, error: &io::Error) -> BatchError {
        BatchError::Compression { codec: self.codec, reason: error.to_string() }
    }

    fn window(&mut self) -> Result<&[u8], BatchError> {
        let codec = self.codec;
        self.from
            .fill_buf()
            .map_err(|error| BatchError::Compression { codec, reason: error.to_string() })
    }
}

impl<R: BufRead> Source for Stream<R> {
    fn byte(&mut self, what: &'static str) -> Result<u8, BatchError> {
        let Some(byte) = self.window()?.first().copied() else { return Err(self.error(what)) };
        self.from.consume(1);
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, mut n: usize, what: &'static str) -> Result<(), BatchError> {
        while n > 0 {
            let here = match self.from.fill_buf() {
                Ok(bytes) => bytes.len().min(n),
                Err(error) => return Err(self.failed(&error)),
            };
            if here == 0 {
                return Err(self.error(what));
            }
            self.from.consume(here);
            self.at += here as u64;
            n -= here;
        }
        Ok(())
    }

    fn at(&self) -> u64 {
        self.at
    }

    fn is_at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.window()?.is_empty())
    }
}
