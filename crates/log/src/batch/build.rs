//! Making batches: for internal topics, markers, re-compression and compaction.

use std::io;

use super::header::{HEADER_BYTES, Header, checksum};
use super::record::Record;
use super::{Attributes, varint};

/// A batch being filled. Records come in the order of their offsets.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: i64,
    attributes: Attributes,
    leader_epoch: i32,
    producer: (i64, i16, i32),
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    last_offset: i64,
    count: i32,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// A batch whose first record has this offset.
    pub fn new(base_offset: i64) -> Self {
        BatchBuilder {
            base_offset,
            attributes: Attributes::default(),
            leader_epoch: -1,
            producer: (-1, -1, -1),
            base_timestamp: None,
            max_timestamp: -1,
            last_offset: base_offset.saturating_sub(1),
            count: 0,
            records: Vec::new(),
        }
    }

    /// One that goes where `like` was: producer, epoch, attributes and offsets are its own.
    pub fn like(like: &Header) -> Self {
        let mut builder = Self::new(like.base_offset);
        builder.attributes = like.attributes;
        builder.leader_epoch = like.leader_epoch;
        builder.producer = (like.producer_id, like.producer_epoch, like.base_sequence);
        builder
    }

    /// Sets the attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the epoch of the leader that appends it.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Sets the idempotent producer's id and epoch and the sequence of the first record.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Sets what timestamps are relative to; by default the first record's. A delete horizon goes
    /// here.
    #[must_use]
    pub fn base_timestamp(mut self, timestamp: i64) -> Self {
        self.base_timestamp = Some(timestamp);
        self
    }

    /// The greatest timestamp so far.
    pub(crate) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// How many records it has.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Adds a record without headers at the next offset.
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_encoded(self.last_offset + 1, timestamp, key, value, (0, &[]));
    }

    /// Adds a record with headers at the next offset.
    pub fn push_with_headers(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        let mut encoded = Vec::new();
        for (key, value) in headers {
            varint::push(&mut encoded, key.len() as i64);
            encoded.extend_from_slice(key);
            push_nullable(&mut encoded, *value);
        }
        let headers = (headers.len(), encoded.as_slice());
        self.push_encoded(self.last_offset + 1, timestamp, key, value, headers);
    }

    /// Adds a record that was read, at its own offset.
    pub fn copy(&mut self, record: &Record<'_>) {
        let headers = (record.headers.len(), record.headers.encoded());
        self.push_encoded(record.offset, record.timestamp, record.key, record.value, headers);
    }

    /// Adds a record that was read, at the next offset.
    pub(crate) fn copy_in_sequence(&mut self, record: &Record<'_>) {
        let headers = (record.headers.len(), record.headers.encoded());
        let offset = self.last_offset + 1;
        self.push_encoded(offset, record.timestamp, record.key, record.value, headers);
    }

    fn push_encoded(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        (headers, encoded): (usize, &[u8]),
    ) {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base);
        let offset_delta = offset - self.base_offset;
        let bytes = |part: Option<&[u8]>| match part {
            Some(part) => varint::len(part.len() as i64) + part.len(),
            None => varint::len(-1),
        };
        let length = 1
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + bytes(key)
            + bytes(value)
            + varint::len(headers as i64)
            + encoded.len();
        let to = &mut self.records;
        varint::push(to, length as i64);
        to.push(0);
        varint::push(to, timestamp_delta);
        varint::push(to, offset_delta);
        push_nullable(to, key);
        push_nullable(to, value);
        varint::push(to, headers as i64);
        to.extend_from_slice(encoded);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset = offset;
        self.count += 1;
    }

    /// Appends the finished batch to `to`, compressed as its attributes say.
    ///
    /// # Errors
    /// `InvalidData` for an unknown codec, `InvalidInput` for a level that it does not have.
    pub fn build(&self, level: Option<i32>, to: &mut Vec<u8>) -> io::Result<()> {
        self.build_up_to(self.last_offset.max(self.base_offset), self.max_timestamp, level, to)
    }

    /// As `build`, but the batch spans offsets to `last_offset`, as one does that lost records to
    /// compaction.
    pub(crate) fn build_up_to(
        &self,
        last_offset: i64,
        max_timestamp: i64,
        level: Option<i32>,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        let codec = self.attributes.codec().map_err(io::Error::other)?;
        let at = to.len();
        to.resize(at + HEADER_BYTES, 0);
        if self.count > 0 {
            codec.compress(&self.records, level, to)?;
        }
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let mut header = Header {
            base_offset: self.base_offset,
            size_bytes: to.len() - at,
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: (last_offset - self.base_offset) as i32,
            base_timestamp: self.base_timestamp.unwrap_or(-1),
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            count: self.count,
        };
        let batch = &mut to[at..];
        header.write(batch);
        header.crc = checksum(batch);
        header.write(batch);
        Ok(())
    }
}

fn push_nullable(to: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        Some(part) => {
            varint::push(to, part.len() as i64);
            to.extend_from_slice(part);
        }
        None => varint::push(to, -1),
    }
}
