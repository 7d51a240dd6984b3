//! One record's bytes.

use crate::{crc32c, u32_at, u64_at};

/// Bytes before a record's payload.
pub(super) const FRAME_BYTES: usize = 25;

/// A place in the journal. Later places are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's ordinal; the first is 1.
    pub segment: u32,
    /// Bytes from the start of the segment.
    pub offset: u32,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The payload is the entry `index`.
    Entry = 1,
    /// Entries from `index` on are void.
    Truncate = 2,
    /// The payload is the vote.
    Vote = 3,
    /// The payload is the mark.
    Mark = 4,
    /// Entries up to `index` may be gone; the payload is the caller's name of the last of them.
    Purged = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Entry, Kind::Truncate, Kind::Vote, Kind::Mark, Kind::Purged]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The part of a record that has a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub crc: u32,
    pub payload_bytes: u32,
    pub kind: Kind,
    pub index: u64,
    /// All before this was durable when the record was made.
    pub synced: Position,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the record is cut short")]
    Short,
    #[error("the record's type {0} is unknown")]
    Kind(u8),
    #[error("the record's checksum does not match its bytes")]
    Checksum,
}

/// Appends a record to `buf` and returns its length in bytes.
///
/// The salt makes the checksum one that a writer of payloads cannot foresee, so that no payload can
/// hold bytes that recovery would take for a record.
pub(super) fn encode<P: AsRef<[u8]>>(
    buf: &mut Vec<u8>,
    salt: u32,
    kind: Kind,
    index: u64,
    synced: Position,
    parts: &[P],
) -> u32 {
    let start = buf.len();
    buf.extend_from_slice(&[0; 8]);
    buf.push(kind as u8);
    buf.extend_from_slice(&index.to_le_bytes());
    buf.extend_from_slice(&synced.segment.to_le_bytes());
    buf.extend_from_slice(&synced.offset.to_le_bytes());
    for part in parts {
        buf.extend_from_slice(part.as_ref());
    }
    let record_bytes = (buf.len() - start) as u32;
    let payload_bytes = record_bytes - FRAME_BYTES as u32;
    buf[start + 4..start + 8].copy_from_slice(&payload_bytes.to_le_bytes());
    let crc = crc32c(&buf[start + 4..]) ^ salt;
    buf[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    record_bytes
}

impl Frame {
    /// Reads the fixed part. The checksum is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() < FRAME_BYTES {
            return Err(FrameError::Short);
        }
        Ok(Frame {
            crc: u32_at(bytes, 0),
            payload_bytes: u32_at(bytes, 4),
            kind: Kind::from_byte(bytes[8]).ok_or(FrameError::Kind(bytes[8]))?,
            index: u64_at(bytes, 9),
            synced: Position { segment: u32_at(bytes, 17), offset: u32_at(bytes, 21) },
        })
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> u64 {
        FRAME_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// Checks the whole record and returns its payload.
    pub fn payload<'a>(&self, record: &'a [u8], salt: u32) -> Result<&'a [u8], FrameError> {
        let len = usize::try_from(self.record_bytes()).map_err(|_| FrameError::Short)?;
        let record = record.get(..len).ok_or(FrameError::Short)?;
        if crc32c(&record[4..]) ^ salt != self.crc {
            return Err(FrameError::Checksum);
        }
        Ok(&record[FRAME_BYTES..])
    }
}
