//! `<offset>.snapshot`: the producers as of an offset, in Kafka's version 1: version, CRC-32C of what
//! follows it, count, then 46 bytes a producer: id, epoch, last sequence, last offset, offset delta,
//! timestamp, coordinator epoch, first offset of the open transaction. Of a producer's batches only
//! the last survives.

use polyport_wire::{Cursor, DecodeError};

use super::{BatchMetadata, ProducerEntry, ProducerState};

const VERSION: u16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The bytes of a snapshot.
pub fn encode(state: &ProducerState) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let count = state.entries().count() as i32;
    bytes.extend_from_slice(&count.to_be_bytes());
    for entry in state.entries() {
        let none = BatchMetadata { last_sequence: -1, last_offset: -1, ..Default::default() };
        let last = entry.last_batch().unwrap_or(none);
        bytes.extend_from_slice(&entry.producer_id.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch.to_be_bytes());
        bytes.extend_from_slice(&last.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&last.last_offset.to_be_bytes());
        bytes.extend_from_slice(&last.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&bytes[ENTRIES_AT..]);
    bytes[CRC_AT..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The producers of a snapshot.
///
/// # Errors
/// Names the field that is not as it should be.
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerEntry>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u16("version")? != VERSION {
        return Err(DecodeError { at: 0, what: "unknown version" });
    }
    let crc = cursor.u32("checksum")?;
    if crc != crc_fast::crc32_iscsi(&bytes[ENTRIES_AT..]) {
        return Err(DecodeError { at: CRC_AT, what: "wrong checksum" });
    }
    let count = cursor.i32("count")?;
    if i64::from(count) * ENTRY_BYTES as i64 != cursor.remaining() as i64 {
        return Err(cursor.error("another number of producers than the count"));
    }
    let mut entries = Vec::with_capacity(cursor.remaining() / ENTRY_BYTES);
    for _ in 0..count {
        let mut entry = ProducerEntry::new(cursor.i64("producer id")?);
        let epoch = cursor.u16("epoch")? as i16;
        let last_sequence = cursor.i32("last sequence")?;
        let last_offset = cursor.i64("last offset")?;
        let offset_delta = cursor.i32("offset delta")?;
        let timestamp = cursor.i64("timestamp")?;
        entry.coordinator_epoch = cursor.i32("coordinator epoch")?;
        let first = cursor.i64("first offset")?;
        entry.txn_first_offset = (first >= 0).then_some(first);
        entry.raise_epoch(epoch);
        if last_offset >= 0 {
            entry.add(epoch, BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
        }
        entry.last_timestamp = timestamp;
        entries.push(entry);
    }
    Ok(entries)
}
