//! A jute stream with a running Adler-32 checksum.

use std::io::Read;

/// Adler-32 (RFC 1950, section 8.2), as `java.util.zip.Adler32` computes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adler32 {
    a: u32,
    b: u32,
}

impl Adler32 {
    const BASE: u32 = 65_521;
    /// Sums of so many bytes fit in 32 bits.
    const CHUNK: usize = 5552;

    pub(super) fn new() -> Self {
        Self { a: 1, b: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(Self::CHUNK) {
            for byte in chunk {
                self.a += u32::from(*byte);
                self.b += self.a;
            }
            self.a %= Self::BASE;
            self.b %= Self::BASE;
        }
    }

    pub(super) fn value(self) -> i64 {
        i64::from(self.b) << 16 | i64::from(self.a)
    }
}

/// Why an item could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("ends at byte {0}, before it should")]
    End(u64),
    #[error("byte {at}: {what}")]
    Malformed { at: u64, what: &'static str },
    #[error("byte {at}: {source}")]
    Io { at: u64, source: std::io::Error },
}

/// Reads items and sums up what was read.
pub(super) struct Source<R> {
    inner: R,
    pub(super) position: u64,
    pub(super) checksum: Adler32,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position: 0, checksum: Adler32::new() }
    }

    /// Goes on where another source stopped.
    pub(super) fn resume(inner: R, position: u64, checksum: Adler32) -> Self {
        Self { inner, position, checksum }
    }

    /// All that is left, at most `limit` bytes.
    pub(super) fn rest(&mut self, limit: u64) -> Result<Vec<u8>, SourceError> {
        let at = self.position;
        let mut bytes = Vec::new();
        let read = (&mut self.inner).take(limit + 1).read_to_end(&mut bytes);
        let read = read.map_err(|source| SourceError::Io { at, source })?;
        self.position += read as u64;
        if read as u64 > limit {
            return Err(SourceError::Malformed { at, what: "too much after the end" });
        }
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    /// How many of the bytes that are left are not zero.
    pub(super) fn non_zero_left(&mut self) -> Result<u64, SourceError> {
        let mut count = 0;
        let mut buffer = [0; 8192];
        loop {
            match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(count),
                Ok(read) => {
                    count += buffer[..read].iter().filter(|byte| **byte != 0).count() as u64
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(SourceError::Io { at: self.position, source }),
            }
        }
    }

    /// `len` bytes, or fewer at the end.
    pub(super) fn at_most(&mut self, len: usize) -> Result<Vec<u8>, SourceError> {
        let at = self.position;
        let mut bytes = Vec::with_capacity(len.min(64 * 1024));
        let read = (&mut self.inner).take(len as u64).read_to_end(&mut bytes);
        let read = read.map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => SourceError::End(at),
            _ => SourceError::Io { at, source },
        })?;
        self.position += read as u64;
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    /// Exactly `len` bytes. Memory grows with what is there, not with what a length claims.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>, SourceError> {
        let bytes = self.at_most(len)?;
        if bytes.len() == len { Ok(bytes) } else { Err(SourceError::End(self.position)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SourceError> {
        let at = self.position;
        let mut array = [0; N];
        self.inner.read_exact(&mut array).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => SourceError::End(at),
            _ => SourceError::Io { at, source },
        })?;
        self.position += N as u64;
        self.checksum.update(&array);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, SourceError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn i32(&mut self) -> Result<i32, SourceError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, SourceError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A buffer; length -1 is none.
    pub(super) fn buffer(&mut self, what: &'static str) -> Result<Option<Vec<u8>>, SourceError> {
        let at = self.position;
        match self.i32()? {
            -1 => Ok(None),
            len => match usize::try_from(len) {
                Ok(len) => self.bytes(len).map(Some),
                Err(_) => Err(SourceError::Malformed { at, what }),
            },
        }
    }

    /// A string; none reads as empty.
    pub(super) fn string(&mut self, what: &'static str) -> Result<String, SourceError> {
        let at = self.position;
        String::from_utf8(self.buffer(what)?.unwrap_or_default())
            .map_err(|_| SourceError::Malformed { at, what })
    }

    /// A count of items that follow.
    pub(super) fn count(&mut self, what: &'static str) -> Result<u32, SourceError> {
        let at = self.position;
        match self.i32()? {
            -1 => Ok(0),
            count => u32::try_from(count).map_err(|_| SourceError::Malformed { at, what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler_32_gives_the_known_values() {
        let mut sum = Adler32::new();
        assert_eq!(sum.value(), 1);
        sum.update(b"Wikipedia");
        assert_eq!(sum.value(), 0x11e6_0398);
        let mut long = Adler32::new();
        long.update(&[0xff; 100_000]);
        let mut parts = Adler32::new();
        [0xff; 100_000].chunks(777).for_each(|part| parts.update(part));
        assert_eq!(long.value(), parts.value());
    }

    #[test]
    fn a_length_beyond_the_end_takes_no_memory() {
        let mut source = Source::new(&[0x7f, 0xff, 0xff, 0xff, 1][..]);
        assert!(matches!(source.buffer("x"), Err(SourceError::End(5))));
        let mut source = Source::new(&[0xff, 0xff, 0xff, 0xfe][..]);
        assert!(matches!(source.buffer("x"), Err(SourceError::Malformed { at: 0, .. })));
    }
}
