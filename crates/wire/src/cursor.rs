use crate::DecodeError;

/// A read position in a borrowed buffer. All integers are big-endian.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Self { buf, at: 0 }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.buf.len() - self.at
    }

    /// Whether all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error at the current position.
    pub fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { at: self.at, what }
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// If fewer than `n` bytes are left; the position does not move.
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.buf.len());
        let Some(end) = end else {
            return Err(self.error(what));
        };
        let bytes = &self.buf[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let bytes = &self.buf[self.at..];
        self.at = self.buf.len();
        bytes
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N, what)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// If none is left.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[b]| b)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// Four bytes, signed.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.array(what).map(i32::from_be_bytes)
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// Succeeds only at the end.
    ///
    /// # Errors
    /// If bytes are left over.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.error("bytes left over after the message")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end_and_name_the_place() {
        let mut cursor = Cursor::new(&[0, 0, 0, 7, 9]);
        assert_eq!(cursor.i32("length"), Ok(7));
        assert_eq!(cursor.take(2, "body"), Err(DecodeError { at: 4, what: "body" }));
        assert_eq!(cursor.u8("flag"), Ok(9));
        assert_eq!(cursor.finish(), Ok(()));
        assert_eq!(
            cursor.take(usize::MAX, "overflow"),
            Err(DecodeError { at: 5, what: "overflow" })
        );
    }
}
