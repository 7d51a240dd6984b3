//! The 61 bytes before the records, and the few of them that a broker rewrites.

use super::{Attributes, BatchError};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: the base offset and itself.
pub const LOG_OVERHEAD: usize = 12;
/// The bytes that say where a batch ends and which offsets it holds.
pub(crate) const WALK_BYTES: usize = 27;

const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
/// Where the bytes begin that the checksum covers.
pub(crate) const CHECKED_FROM: usize = ATTRIBUTES_AT;
const DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;

/// The fields of a batch's header. All numbers are big-endian on disk and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the whole batch, header included.
    pub size_bytes: usize,
    /// Epoch of the leader that appended it; -1 if unknown.
    pub leader_epoch: i32,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// Offset of the last record minus that of the first. Kept by compaction.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to; the delete horizon if the attributes say so.
    pub base_timestamp: i64,
    /// The greatest timestamp, or that of the append.
    pub max_timestamp: i64,
    /// The idempotent producer; -1 if none.
    pub producer_id: i64,
    /// Its epoch; -1 if none.
    pub producer_epoch: i16,
    /// The sequence of the first record; -1 if none.
    pub base_sequence: i32,
    /// How many records there are.
    pub count: i32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut raw = [0; N];
    raw.copy_from_slice(&bytes[at..at + N]);
    raw
}

/// Size in bytes of the batch that begins here.
///
/// # Errors
/// `Incomplete` if not even the length is there, `Length`.
pub fn size_of_first(bytes: &[u8]) -> Result<usize, BatchError> {
    if bytes.len() < LOG_OVERHEAD {
        return Err(BatchError::Incomplete { have: bytes.len(), need: LOG_OVERHEAD });
    }
    let length = i32::from_be_bytes(array(bytes, LENGTH_AT));
    match usize::try_from(length) {
        Ok(length) if length >= HEADER_BYTES - LOG_OVERHEAD => Ok(length + LOG_OVERHEAD),
        _ => Err(BatchError::Length(length)),
    }
}

impl Header {
    /// Reads the header at the start of `bytes`; the records need not be there.
    ///
    /// # Errors
    /// `Incomplete`, `Length`, `Magic`.
    pub fn parse(bytes: &[u8]) -> Result<Header, BatchError> {
        if bytes.len() > MAGIC_AT {
            let magic = bytes[MAGIC_AT] as i8;
            if magic != 2 {
                return Err(BatchError::Magic(magic));
            }
        }
        let size_bytes = size_of_first(bytes)?;
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return Err(BatchError::Incomplete { have: bytes.len(), need: HEADER_BYTES });
        };
        Ok(Header {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            size_bytes,
            leader_epoch: i32::from_be_bytes(array(bytes, EPOCH_AT)),
            crc: u32::from_be_bytes(array(bytes, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(array(bytes, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(array(bytes, DELTA_AT)),
            base_timestamp: i64::from_be_bytes(array(bytes, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(array(bytes, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(array(bytes, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(array(bytes, SEQUENCE_AT)),
            count: i32::from_be_bytes(array(bytes, COUNT_AT)),
        })
    }

    /// Offset of the last record, also if compaction has removed it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }

    /// The sequence of the last record. Sequences wrap to 0 after `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Until when tombstones and markers of this batch must stay, if a cleaner has fixed that.
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    pub(crate) fn write(&self, to: &mut [u8]) {
        to[..8].copy_from_slice(&self.base_offset.to_be_bytes());
        let length = (self.size_bytes - LOG_OVERHEAD) as i32;
        to[LENGTH_AT..EPOCH_AT].copy_from_slice(&length.to_be_bytes());
        to[EPOCH_AT..MAGIC_AT].copy_from_slice(&self.leader_epoch.to_be_bytes());
        to[MAGIC_AT] = 2;
        to[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&self.crc.to_be_bytes());
        to[ATTRIBUTES_AT..DELTA_AT].copy_from_slice(&self.attributes.0.to_be_bytes());
        to[DELTA_AT..BASE_TIMESTAMP_AT].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        to[BASE_TIMESTAMP_AT..MAX_TIMESTAMP_AT].copy_from_slice(&self.base_timestamp.to_be_bytes());
        to[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&self.max_timestamp.to_be_bytes());
        to[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&self.producer_id.to_be_bytes());
        to[PRODUCER_EPOCH_AT..SEQUENCE_AT].copy_from_slice(&self.producer_epoch.to_be_bytes());
        to[SEQUENCE_AT..COUNT_AT].copy_from_slice(&self.base_sequence.to_be_bytes());
        to[COUNT_AT..HEADER_BYTES].copy_from_slice(&self.count.to_be_bytes());
    }
}

/// The part of a header that finding one's way through a segment needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub base_offset: i64,
    pub last_offset: i64,
    pub size_bytes: u64,
}

impl Step {
    /// From the first [`WALK_BYTES`] of a batch.
    pub fn parse(bytes: &[u8]) -> Result<Step, BatchError> {
        let size_bytes = size_of_first(bytes)? as u64;
        if bytes.len() < WALK_BYTES {
            return Err(BatchError::Incomplete { have: bytes.len(), need: WALK_BYTES });
        }
        let magic = bytes[MAGIC_AT] as i8;
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let base_offset = i64::from_be_bytes(array(bytes, 0));
        let delta = i32::from_be_bytes(array(bytes, DELTA_AT));
        Ok(Step { base_offset, last_offset: base_offset.wrapping_add(delta.into()), size_bytes })
    }
}

/// The sequence `more` after this one.
pub(crate) fn add_sequence(sequence: i32, more: i32) -> i32 {
    ((i64::from(sequence) + i64::from(more)) & i64::from(i32::MAX)) as i32
}

/// CRC-32C over what a batch's checksum covers.
pub(crate) fn checksum(batch: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(&batch[ATTRIBUTES_AT..])
}

/// Gives the batch its place in the log. The checksum does not cover this.
pub(crate) fn set_place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Sets the timestamp type and the greatest timestamp, and the checksum if that changed anything.
pub(crate) fn set_timestamp(batch: &mut [u8], append_time: bool, max_timestamp: i64) {
    let old = Attributes(i16::from_be_bytes(array(batch, ATTRIBUTES_AT)));
    let old_max = i64::from_be_bytes(array(batch, MAX_TIMESTAMP_AT));
    if old.is_log_append_time() == append_time && old_max == max_timestamp {
        return;
    }
    let attributes = old.with_log_append_time(append_time);
    batch[ATTRIBUTES_AT..DELTA_AT].copy_from_slice(&attributes.0.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&max_timestamp.to_be_bytes());
    let crc = checksum(batch);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}
