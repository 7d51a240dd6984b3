//! Records inside a batch, in memory.

use super::BatchError;
use super::header::Header;
use super::source::{Slice, Source as _};

/// One record, borrowed from its decompressed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the log.
    pub offset: i64,
    /// Milliseconds since 1970; of the append if the batch says so.
    pub timestamp: i64,
    /// `None` is null, which differs from empty.
    pub key: Option<&'a [u8]>,
    /// `None` is null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// In the order they were sent.
    pub headers: Headers<'a>,
}

/// A record's headers, already checked, decoded as they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    encoded: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut from = Slice::new(self.encoded);
        (0..self.count).map_while(move |_| header(&mut from).ok())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// As they are encoded, without their count.
    pub(crate) fn encoded(&self) -> &'a [u8] {
        self.encoded
    }
}

fn header<'a>(from: &mut Slice<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), BatchError> {
    let key = nullable(from, "header key")?.ok_or_else(|| from.error("header key is null"))?;
    Ok((key, nullable(from, "header value")?))
}

fn nullable<'a>(from: &mut Slice<'a>, what: &'static str) -> Result<Option<&'a [u8]>, BatchError> {
    match usize::try_from(from.varint(what)?) {
        Ok(length) => from.take(length, what).map(Some),
        Err(_) => Ok(None),
    }
}

/// The records of a batch. After an error the iterator ends.
#[derive(Debug)]
pub struct Records<'a> {
    header: Header,
    rest: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// `payload`: what follows the header, decompressed.
    pub fn new(header: Header, payload: &'a [u8]) -> Self {
        Records { header, rest: payload, left: header.count.max(0) }
    }

    fn read(&mut self) -> Result<Record<'a>, BatchError> {
        let mut from = Slice::new(self.rest);
        let length = from.varint("record length")?;
        let length =
            usize::try_from(length).map_err(|_| from.error("record length is negative"))?;
        let mut body = Slice::new(from.take(length, "record")?);
        body.byte("record attributes")?;
        let timestamp_delta = body.varlong("timestamp delta")?;
        let offset_delta = body.varint("offset delta")?;
        let key = nullable(&mut body, "key")?;
        let value = nullable(&mut body, "value")?;
        let count = body.varint("header count")?;
        let count = usize::try_from(count).map_err(|_| body.error("header count is negative"))?;
        let encoded = body.rest();
        for _ in 0..count {
            header(&mut body)?;
        }
        if !body.is_at_end()? {
            return Err(body.error("bytes left over in a record"));
        }
        self.rest = from.rest();
        let timestamp = if self.header.attributes.is_log_append_time() {
            self.header.max_timestamp
        } else {
            self.header.base_timestamp.wrapping_add(timestamp_delta)
        };
        let offset = self.header.base_offset.wrapping_add(offset_delta.into());
        Ok(Record { offset, timestamp, key, value, headers: Headers { count, encoded } })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(BatchError::Inconsistent("more records than the batch says")));
        }
        self.left -= 1;
        let record = self.read();
        if record.is_err() {
            self.left = 0;
            self.rest = &[];
        }
        Some(record)
    }
}
