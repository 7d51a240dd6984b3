//! `.index`: now and then, the last offset of an append and where in the segment it begins.
//! Eight bytes an entry: the offset relative to the segment's base, the position; big-endian.

use std::path::Path;

use polyport_storage::Disk;

use super::index_file::IndexFile;
use crate::error::LogError;

const ENTRY_BYTES: usize = 8;

/// An offset and the position from where a scan meets the batch that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub offset: i64,
    pub position: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct OffsetIndex<D: Disk> {
    base: i64,
    file: IndexFile<D, ENTRY_BYTES>,
}

fn relative(entry: &[u8; ENTRY_BYTES]) -> u32 {
    u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]])
}

fn position(entry: &[u8; ENTRY_BYTES]) -> u32 {
    u32::from_be_bytes([entry[4], entry[5], entry[6], entry[7]])
}

impl<D: Disk> OffsetIndex<D> {
    pub fn create(disk: &D, path: &Path, base: i64) -> Result<Self, LogError> {
        Ok(OffsetIndex { base, file: IndexFile::create(disk, path)? })
    }

    /// `None` if the file is missing or cannot be an index of a segment of that size.
    pub fn open(disk: &D, path: &Path, base: i64, log: u64) -> Result<Option<Self>, LogError> {
        let Some(file) = IndexFile::open(disk, path)? else { return Ok(None) };
        if let Some(last) = file.last()
            && (relative(&last) == 0 && file.len() > 1 || u64::from(position(&last)) >= log)
        {
            return Ok(None);
        }
        Ok(Some(OffsetIndex { base, file }))
    }

    /// The index as it is, with its file open.
    pub fn for_reading(&self) -> Result<Self, LogError> {
        let mut index = self.clone();
        index.file.hold()?;
        Ok(index)
    }

    fn entry(&self, raw: &[u8; ENTRY_BYTES]) -> OffsetEntry {
        let offset = self.base.saturating_add(relative(raw).into());
        OffsetEntry { offset, position: position(raw).into() }
    }

    fn before(&self, count: u32) -> Result<OffsetEntry, LogError> {
        match count {
            0 => Ok(OffsetEntry { offset: self.base, position: 0 }),
            some => Ok(self.entry(&self.file.get(some - 1)?)),
        }
    }

    /// The entry with the greatest offset not above this one; the segment's start if there is none.
    pub fn lookup(&self, offset: i64) -> Result<OffsetEntry, LogError> {
        let wanted = offset - self.base;
        self.before(self.file.partition_point(|raw| i64::from(relative(raw)) <= wanted)?)
    }

    /// The entry with the greatest position not above this one; the segment's start if none.
    pub fn lookup_position(&self, at: u64) -> Result<OffsetEntry, LogError> {
        self.before(self.file.partition_point(|raw| u64::from(position(raw)) <= at)?)
    }

    /// `offset` is within 2^32 of the base, `position` within 2^32.
    pub fn push(&mut self, offset: i64, position: u64) {
        let relative = ((offset - self.base) as u32).to_be_bytes();
        let position = (position as u32).to_be_bytes();
        let mut entry = [0; ENTRY_BYTES];
        entry[..4].copy_from_slice(&relative);
        entry[4..].copy_from_slice(&position);
        self.file.push(entry);
    }

    pub fn is_full(&self, max_bytes: u64) -> bool {
        u64::from(self.file.len()) * ENTRY_BYTES as u64 + ENTRY_BYTES as u64 > max_bytes
    }

    /// Removes entries of this offset and later ones.
    pub fn truncate(&mut self, offset: i64) -> Result<(), LogError> {
        let wanted = offset - self.base;
        let keep = self.file.partition_point(|raw| i64::from(relative(raw)) < wanted)?;
        self.file.truncate(keep)
    }

    /// Removes entries of positions after this one.
    pub fn truncate_after_position(&mut self, at: u64) -> Result<(), LogError> {
        let keep = self.file.partition_point(|raw| u64::from(position(raw)) <= at)?;
        self.file.truncate(keep)
    }

    /// Removes what a crash may have left: everything from the first entry on that does not follow
    /// the one before.
    pub fn keep_ordered(&mut self, log: u64) -> Result<(), LogError> {
        self.file.keep_ordered(|before, entry| {
            let follows = before.is_none_or(|before| {
                relative(before) < relative(entry) && position(before) < position(entry)
            });
            let zero = *entry == [0; ENTRY_BYTES];
            follows && !zero && u64::from(position(entry)) < log
        })
    }

    pub fn file(&mut self) -> &mut IndexFile<D, ENTRY_BYTES> {
        &mut self.file
    }
}
