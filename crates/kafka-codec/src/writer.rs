use crate::reader::MAX_STRING_BYTES;
use crate::{EncodeError, Field};

/// A place in an encoded message where records belong that are not in it; see
/// [`Records::Elsewhere`](crate::Records::Elsewhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Offset in the output before which they belong.
    pub at: usize,
    /// How many bytes they are.
    pub length_bytes: u32,
}

/// Writes a message at the end of the caller's buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    gaps: Vec<Gap>,
    message: &'static str,
    version: i16,
    flexible: bool,
}

/// Where a struct's tagged fields began.
#[derive(Debug)]
pub struct Tags {
    /// Where their count is, a single byte: no struct has 128.
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        message: &'static str,
        version: i16,
        flexible: bool,
    ) -> Self {
        Self { out, gaps: Vec::new(), message, version, flexible }
    }

    /// The places of the records that are elsewhere, in the order in which they were written.
    pub(crate) fn into_gaps(self) -> Vec<Gap> {
        self.gaps
    }

    /// The version of the message that is being written.
    pub fn version(&self) -> i16 {
        self.version
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn error(&self, field: &'static str, what: &'static str) -> EncodeError {
        EncodeError { message: self.message, version: self.version, field, what }
    }

    /// The length of a string, bytes or an array; `None` for null.
    pub(crate) fn length(&mut self, length: Option<usize>, short: bool) -> Result<(), EncodeError> {
        let longest = if short { MAX_STRING_BYTES } else { i32::MAX as usize };
        if length.is_some_and(|length| length > longest) {
            return Err(self.error("a value", "is too long"));
        }
        if self.flexible {
            self.varint(length.map_or(0, |length| length as u32 + 1));
        } else if short {
            self.raw(&length.map_or(-1, |length| length as i16).to_be_bytes());
        } else {
            self.raw(&length.map_or(-1, |length| length as i32).to_be_bytes());
        }
        Ok(())
    }

    /// Leaves out so many bytes, after their length has been written.
    pub(crate) fn gap(&mut self, length_bytes: u32) {
        self.gaps.push(Gap { at: self.out.len(), length_bytes });
    }

    /// A field that every version has.
    ///
    /// # Errors
    /// If a length cannot be expressed, or something below cannot.
    #[inline]
    pub fn put<T: Field>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.write(self)
    }

    /// A field that readers do without in versions that do not have it.
    ///
    /// # Errors
    /// As [`Writer::put`].
    #[inline]
    pub fn put_if<T: Field>(&mut self, present: bool, value: &T) -> Result<(), EncodeError> {
        if present { value.write(self) } else { Ok(()) }
    }

    /// A field that must have its default in versions that do not have it.
    ///
    /// # Errors
    /// As [`Writer::put`], and if it has another value.
    #[inline]
    pub fn put_or<T: Field>(
        &mut self,
        present: bool,
        value: &T,
        default: &T,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if present {
            return value.write(self);
        }
        if value == default { Ok(()) } else { Err(self.error(field, "is not in this version")) }
    }

    /// Refuses null in versions that do not have it.
    ///
    /// # Errors
    /// If `value` is null and `nullable` false.
    #[inline]
    pub fn check_null<T>(
        &mut self,
        nullable: bool,
        value: &Option<T>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if nullable || value.is_some() {
            return Ok(());
        }
        Err(self.error(field, "cannot be null in this version"))
    }

    /// Begins the tagged fields of a struct.
    pub fn tags(&mut self) -> Tags {
        let at = self.out.len();
        if self.flexible {
            self.out.push(0);
        }
        Tags { at }
    }

    /// A tagged field, which is written if it has another value than its default.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn tag<T: Field>(
        &mut self,
        tags: &Tags,
        tag: u32,
        value: &T,
        default: &T,
    ) -> Result<(), EncodeError> {
        if value == default {
            return Ok(());
        }
        self.varint(tag);
        let start = self.out.len();
        value.write(self)?;
        self.end_tag(tags, start);
        Ok(())
    }

    /// A tagged field that is a struct and may be null. Unlike elsewhere, null is 0 there.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn tag_struct<T: Field>(
        &mut self,
        tags: &Tags,
        tag: u32,
        value: &Option<T>,
        default: &Option<T>,
    ) -> Result<(), EncodeError> {
        if value == default {
            return Ok(());
        }
        self.varint(tag);
        let start = self.out.len();
        self.varint(u32::from(value.is_some()));
        if let Some(value) = value {
            value.write(self)?;
        }
        self.end_tag(tags, start);
        Ok(())
    }

    /// A tagged field that readers do without in versions that do not have it.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn tag_if<T: Field>(
        &mut self,
        present: bool,
        tags: &Tags,
        tag: u32,
        value: &T,
        default: &T,
    ) -> Result<(), EncodeError> {
        if present { self.tag(tags, tag, value, default) } else { Ok(()) }
    }

    /// A tagged field that must have its default in versions that do not have it.
    ///
    /// # Errors
    /// As [`Writer::put`], and if it has another value.
    pub fn tag_or<T: Field>(
        &mut self,
        present: bool,
        tags: &Tags,
        tag: u32,
        value: &T,
        default: &T,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match present {
            true => self.tag(tags, tag, value, default),
            false => self.put_or(false, value, default, field),
        }
    }

    /// Puts the length before what was written since `start`.
    fn end_tag(&mut self, tags: &Tags, start: usize) {
        let end = self.out.len();
        self.varint((end - start) as u32);
        let length_bytes = self.out.len() - end;
        self.out[start..].rotate_right(length_bytes);
        self.out[tags.at] += 1;
    }
}
