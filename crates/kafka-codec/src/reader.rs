use bytes::{Buf, Bytes, BytesMut};
use polyport_wire::DecodeError;

use crate::{Field, Uuid};

/// Longest string that Kafka reads or writes, in bytes.
pub(crate) const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// Most memory that is taken for an array before its items have been read. It grows with them.
const FIRST_ARRAY_BYTES: usize = 64 << 10;

/// What the items of all arrays of a message may take in memory: so much, and so much for each byte of
/// the frame. An empty string, say, has one byte in a frame and 24 in memory; messages in earnest stay
/// far below.
const ITEMS_BYTES: usize = 1 << 20;
const ITEMS_BYTES_PER_BYTE: usize = 16;

/// Reads a message out of a frame that it owns. Fields of bytes and records are split off the frame,
/// not copied; records of a Produce request may be changed where they lie.
///
/// Lengths are believed only as far as there are bytes behind them.
#[derive(Debug)]
pub struct Reader {
    /// What is left of the frame, from the last split on.
    frame: BytesMut,
    /// Offset in `frame` of the next byte.
    at: usize,
    /// How many bytes were split off before `frame`.
    split: usize,
    /// Where reading ends, counted from the frame's start.
    end: usize,
    /// How many bytes more the items of arrays may take.
    items_bytes: usize,
    version: i16,
    flexible: bool,
    #[cfg(feature = "fill")]
    fill: bool,
}

impl Reader {
    /// Reads from the start of a frame, which begins after the frame's length.
    pub fn new(frame: BytesMut) -> Self {
        Self {
            at: 0,
            split: 0,
            end: frame.len(),
            items_bytes: frame.len().saturating_mul(ITEMS_BYTES_PER_BYTE) + ITEMS_BYTES,
            frame,
            version: 0,
            flexible: false,
            #[cfg(feature = "fill")]
            fill: false,
        }
    }

    /// Reads from a copy of `bytes`: for what is small or rare.
    pub fn copied(bytes: &[u8]) -> Self {
        Self::new(BytesMut::from(bytes))
    }

    /// Makes up messages out of any bytes, for tests: each length is taken as a small one, and after
    /// the last byte come zeros. Every value of every field can come out, and no error.
    #[cfg(feature = "fill")]
    pub fn filling(bytes: &[u8]) -> Self {
        Self { fill: true, ..Self::copied(bytes) }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.end - self.position()
    }

    /// The offset of the next byte in the frame.
    pub fn position(&self) -> usize {
        self.split + self.at
    }

    /// The version of the message that is being read.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// From here on, a message of this version is read.
    pub(crate) fn set_version(&mut self, version: i16, flexible: bool) {
        (self.version, self.flexible) = (version, flexible);
    }

    pub(crate) fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { at: self.position(), what }
    }

    /// A value as its type lays it out.
    ///
    /// # Errors
    /// If the bytes are too few, or none of that type.
    #[inline]
    pub fn get<T: Field>(&mut self) -> Result<T, DecodeError> {
        T::read(self)
    }

    /// A field that this version may not have.
    ///
    /// # Errors
    /// As [`Reader::get`].
    #[inline]
    pub fn get_or<T: Field>(&mut self, present: bool, default: T) -> Result<T, DecodeError> {
        if present { T::read(self) } else { Ok(default) }
    }

    /// A field that may be null in some versions only.
    ///
    /// # Errors
    /// As [`Reader::get`], and for a null where `nullable` is false.
    pub fn get_nullable<T: Field>(&mut self, nullable: bool) -> Result<Option<T>, DecodeError> {
        if nullable { T::read_nullable(self) } else { T::read(self).map(Some) }
    }

    /// A tagged field that is a struct and may be null. Unlike elsewhere, null is 0 there.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn get_tagged_struct<T: Field>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.varint()? == 0 { Ok(None) } else { T::read(self).map(Some) }
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        if self.remaining() >= N {
            array.copy_from_slice(&self.frame[self.at..self.at + N]);
            self.at += N;
            return Ok(array);
        }
        #[cfg(feature = "fill")]
        if self.fill {
            self.at = self.end - self.split;
            return Ok(array);
        }
        Err(self.error("the message ends early"))
    }

    /// The next `length` bytes; [`Reader::length`] saw that they are there.
    fn split(&mut self, length: usize) -> BytesMut {
        self.frame.advance(self.at);
        self.split += self.at + length;
        self.at = 0;
        self.frame.split_to(length)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, DecodeError> {
        self.take_array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, DecodeError> {
        self.take_array().map(i16::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take_array().map(u16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.take_array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.take_array().map(i64::from_be_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, DecodeError> {
        self.take_array().map(f64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.take_array().map(Uuid)
    }

    /// An unsigned number in one to five bytes, seven bits each, the lowest first.
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let start = self.position();
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.i8()?;
            value |= u32::from(byte as u8 & 0x7f) << shift;
            if byte >= 0 {
                return Ok(value);
            }
        }
        #[cfg(feature = "fill")]
        if self.fill {
            return Ok(value);
        }
        Err(DecodeError { at: start, what: "a number of more than five bytes" })
    }

    /// A length, or `None` for null. Each thing counted has a byte at least, so that as many are left.
    fn length(&mut self, short: bool, nullable: bool) -> Result<Option<usize>, DecodeError> {
        let start = self.position();
        let length = if self.flexible {
            i64::from(self.varint()?) - 1
        } else if short {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        #[cfg(feature = "fill")]
        if self.fill {
            let small = usize::from(length as u8 & 3).min(self.remaining());
            return Ok(Some(small).filter(|_| !nullable || length & 4 == 0));
        }
        let error = |what| Err(DecodeError { at: start, what });
        match usize::try_from(length) {
            Ok(length) if length > self.remaining() => error("a length beyond the message's end"),
            Ok(length) if short && length > MAX_STRING_BYTES => {
                error("a string beyond 32767 bytes")
            }
            Ok(length) => Ok(Some(length)),
            Err(_) if nullable => Ok(None),
            Err(_) => error("null where there must be something"),
        }
    }

    /// A text. What is no UTF-8 is replaced, as Kafka does.
    pub(crate) fn string(&mut self, nullable: bool) -> Result<Option<String>, DecodeError> {
        let Some(length) = self.length(true, nullable)? else { return Ok(None) };
        let bytes = &self.frame[self.at..self.at + length];
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.at += length;
        Ok(Some(text))
    }

    /// Bytes split off the frame.
    pub(crate) fn bytes(&mut self, nullable: bool) -> Result<Option<BytesMut>, DecodeError> {
        let Some(length) = self.length(false, nullable)? else { return Ok(None) };
        if length == 0 {
            return Ok(Some(BytesMut::new()));
        }
        Ok(Some(self.split(length)))
    }

    pub(crate) fn array<T: Field>(
        &mut self,
        nullable: bool,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(length) = self.length(false, nullable)? else { return Ok(None) };
        let bytes = length.saturating_mul(size_of::<T>());
        let more = self.items_bytes.checked_sub(bytes);
        self.items_bytes = more.ok_or_else(|| self.error("more items than such a message has"))?;
        let first = FIRST_ARRAY_BYTES / size_of::<T>().max(1);
        let mut items = Vec::with_capacity(length.min(first));
        for _ in 0..length {
            items.push(T::read(self)?);
        }
        Ok(Some(items))
    }

    /// The tagged fields at the end of a struct, if this version has any. `field` reads the field of
    /// a tag, or returns false if it does not know the tag, and the field is skipped.
    ///
    /// # Errors
    /// If the bytes are too few, or a field has another length than it says.
    pub fn tags(
        &mut self,
        field: &mut dyn FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        #[cfg(feature = "fill")]
        if self.fill {
            let chosen = self.i8()?;
            for tag in (0..8).filter(|tag| chosen & (1 << tag) != 0) {
                field(self, tag)?;
            }
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let length = self.varint()? as usize;
            if length > self.remaining() {
                return Err(self.error("a tagged field beyond the message's end"));
            }
            let whole = self.end;
            self.end = self.position() + length;
            if !field(self, tag)? {
                self.at += length;
            }
            if self.remaining() > 0 {
                return Err(self.error("a tagged field longer than what it holds"));
            }
            self.end = whole;
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    ///
    /// # Errors
    /// If the bytes are too few.
    pub fn no_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(&mut |_, _| Ok(false))
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> Bytes {
        let length = self.remaining();
        self.split(length).freeze()
    }
}
