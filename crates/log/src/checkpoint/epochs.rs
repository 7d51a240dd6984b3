//! `leader-epoch-checkpoint`: the first offset of each leader epoch, and the questions that epoch-based
//! truncation asks.

use std::path::{Path, PathBuf};

use polyport_storage::{Disk, DiskFile};

use super::{lines, read, replace};
use crate::error::{LogError, io_error};

/// The file's name.
pub const FILE: &str = "leader-epoch-checkpoint";

/// An epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader's epoch.
    pub epoch: i32,
    /// Where it begins.
    pub start_offset: i64,
}

/// The epochs of one log, ascending in both fields.
#[derive(Debug)]
pub(crate) struct Epochs<D: Disk> {
    disk: D,
    path: PathBuf,
    entries: Vec<EpochEntry>,
    /// Where the first epoch begins that the file does not have as it is here.
    unstored: Option<i64>,
}

impl<D: Disk> Epochs<D> {
    /// Reads the file in `dir`; says whether it was there and whole.
    pub fn open(disk: &D, dir: &Path) -> Result<(Self, bool), LogError> {
        let path = dir.join(FILE);
        let parsed = match read(disk, &path) {
            Ok(Some(text)) => parse(&path, &text),
            Ok(None) => None,
            Err(LogError::Text { .. }) => None,
            Err(error) => return Err(error),
        };
        let found = parsed.is_some();
        let entries = parsed.unwrap_or_default();
        Ok((Epochs { disk: disk.clone(), path, entries, unstored: None }, found))
    }

    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub fn latest(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Makes the file of a new log, so that it is there to be seen. Not durable: without it there are
    /// no epochs, and there are none.
    pub fn touch(&self) -> Result<(), LogError> {
        let file = self.disk.create(&self.path).map_err(io_error("create", &self.path))?;
        let text = lines::format(std::iter::empty::<String>());
        file.write_at(text.as_bytes(), 0).map_err(io_error("write", &self.path))
    }

    /// Writes what was noted of epochs that have records below `end`. One without records may be
    /// forgotten: the next one begins where it did.
    pub fn store_below(&mut self, end: i64) -> Result<(), LogError> {
        if self.unstored.is_some_and(|start| start < end) { self.store() } else { Ok(()) }
    }

    /// Notes that `epoch` begins at `start_offset`, if it is a new one. Recovery finds it in the
    /// records, so that the file need not be written before they are durable.
    pub fn note(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return false;
        }
        // An epoch without records gives way to the next one.
        self.entries.retain(|entry| entry.start_offset < start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        self.unstored = Some(self.unstored.map_or(start_offset, |first| first.min(start_offset)));
        true
    }

    /// The last epoch not above `epoch` and the offset at which it ends.
    pub fn end_offset_for(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        if epoch < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some((epoch, log_end));
        }
        let higher = self.entries.iter().find(|entry| entry.epoch > epoch)?;
        let floor = self.entries.iter().rev().find(|entry| entry.epoch <= epoch);
        Some((floor.map_or(epoch, |floor| floor.epoch), higher.start_offset))
    }

    /// The epoch of a record.
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.entries.iter().rev().find(|entry| entry.start_offset <= offset).map(|e| e.epoch)
    }

    /// Forgets epochs that begin at this offset or later.
    pub fn truncate_end(&mut self, offset: i64) -> Result<(), LogError> {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < offset);
        if self.entries.len() < before { self.store() } else { Ok(()) }
    }

    /// Forgets epochs that end at this offset or before.
    pub fn truncate_start(&mut self, offset: i64) -> Result<(), LogError> {
        let keep = self.entries.iter().rposition(|entry| entry.start_offset <= offset);
        let Some(keep) = keep else { return Ok(()) };
        if keep == 0 && self.entries[0].start_offset == offset {
            return Ok(());
        }
        self.entries.drain(..keep);
        self.entries[0].start_offset = offset;
        self.store()
    }

    pub fn clear(&mut self) -> Result<(), LogError> {
        self.entries.clear();
        self.store()
    }

    pub fn store(&mut self) -> Result<(), LogError> {
        let entries = self.entries.iter();
        let lines = entries.map(|entry| format!("{} {}", entry.epoch, entry.start_offset));
        replace(&self.disk, &self.path, lines::format(lines).as_bytes())?;
        self.unstored = None;
        Ok(())
    }
}

fn parse(path: &Path, text: &str) -> Option<Vec<EpochEntry>> {
    let entry = |line: &str| {
        let (epoch, start_offset) = line.trim().split_once(' ')?;
        Some(EpochEntry { epoch: epoch.parse().ok()?, start_offset: start_offset.parse().ok()? })
    };
    let entries = lines::parse(path, text, entry).ok()?;
    let ascending =
        entries.is_sorted_by(|a, b| a.epoch < b.epoch && a.start_offset <= b.start_offset);
    ascending.then_some(entries)
}
