//! `.timeindex`: now and then, the greatest timestamp so far and the offset that has it. Twelve bytes
//! an entry: milliseconds, the offset relative to the segment's base; big-endian.

use std::path::Path;

use polyport_storage::Disk;

use super::index_file::IndexFile;
use crate::error::LogError;

const ENTRY_BYTES: usize = 12;

/// A timestamp and an offset that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Milliseconds since 1970; -1 if there is none.
    pub timestamp: i64,
    /// The offset of the record, or the last of its batch.
    pub offset: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct TimeIndex<D: Disk> {
    base: i64,
    file: IndexFile<D, ENTRY_BYTES>,
}

fn timestamp(entry: &[u8; ENTRY_BYTES]) -> i64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&entry[..8]);
    i64::from_be_bytes(raw)
}

fn relative(entry: &[u8; ENTRY_BYTES]) -> u32 {
    u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]])
}

impl<D: Disk> TimeIndex<D> {
    pub fn create(disk: &D, path: &Path, base: i64) -> Result<Self, LogError> {
        Ok(TimeIndex { base, file: IndexFile::create(disk, path)? })
    }

    /// `None` if the file is missing or its last entry does not follow its first.
    pub fn open(disk: &D, path: &Path, base: i64) -> Result<Option<Self>, LogError> {
        let Some(file) = IndexFile::open(disk, path)? else { return Ok(None) };
        if file.len() > 1 {
            let (first, last) = (file.get(0)?, file.get(file.len() - 1)?);
            if timestamp(&last) < timestamp(&first) || relative(&last) < relative(&first) {
                return Ok(None);
            }
        }
        Ok(Some(TimeIndex { base, file }))
    }

    fn before(&self, count: u32) -> Result<TimestampOffset, LogError> {
        let Some(at) = count.checked_sub(1) else {
            return Ok(TimestampOffset { timestamp: -1, offset: self.base });
        };
        let raw = self.file.get(at)?;
        let offset = self.base.saturating_add(relative(&raw).into());
        Ok(TimestampOffset { timestamp: timestamp(&raw), offset })
    }

    /// The last entry; -1 at the segment's base if there is none.
    pub fn last(&self) -> Result<TimestampOffset, LogError> {
        self.before(self.file.len())
    }

    /// The entry with the greatest timestamp not above this one: no record before its offset has a
    /// greater one.
    pub fn lookup(&self, wanted: i64) -> Result<TimestampOffset, LogError> {
        self.before(self.file.partition_point(|raw| timestamp(raw) <= wanted)?)
    }

    /// Adds an entry if its timestamp is greater than the last one's.
    pub fn push(&mut self, entry: TimestampOffset) {
        if entry.timestamp <= self.last_timestamp() {
            return;
        }
        let mut raw = [0; ENTRY_BYTES];
        raw[..8].copy_from_slice(&entry.timestamp.to_be_bytes());
        raw[8..].copy_from_slice(&((entry.offset - self.base) as u32).to_be_bytes());
        self.file.push(raw);
    }

    fn last_timestamp(&self) -> i64 {
        self.file.last().map_or(-1, |raw| timestamp(&raw))
    }

    /// One entry is kept free for the one a segment gets when it is sealed.
    pub fn is_full(&self, max_bytes: u64) -> bool {
        (u64::from(self.file.len()) + 2) * ENTRY_BYTES as u64 > max_bytes
    }

    /// Removes entries of this offset and later ones.
    pub fn truncate(&mut self, offset: i64) -> Result<(), LogError> {
        let wanted = offset - self.base;
        let keep = self.file.partition_point(|raw| i64::from(relative(raw)) < wanted)?;
        self.file.truncate(keep)
    }

    /// Removes what a crash may have left.
    pub fn keep_ordered(&mut self) -> Result<(), LogError> {
        self.file.keep_ordered(|before, entry| {
            *entry != [0; ENTRY_BYTES]
                && before.is_none_or(|before| {
                    timestamp(before) < timestamp(entry) && relative(before) <= relative(entry)
                })
        })
    }

    pub fn file(&mut self) -> &mut IndexFile<D, ENTRY_BYTES> {
        &mut self.file
    }
}
