//! Old segments go: by age, by size, and because they are before the log's start.

use std::path::{Path, PathBuf};

use polyport_base::Millis;
use polyport_storage::Disk;

use super::Log;
use crate::error::{LogError, OffsetOutOfRange, io_error};
use crate::segment::name;

/// Files that are no longer part of the log and wait for their removal, which may take long and
/// needs no lock. A start removes what a crash has left.
#[derive(Debug)]
#[must_use]
pub struct Removed<D: Disk> {
    disk: D,
    dir: PathBuf,
    pub(super) paths: Vec<PathBuf>,
    pub(super) segments: usize,
}

impl<D: Disk> Removed<D> {
    pub(super) fn nothing(disk: &D, dir: &Path) -> Self {
        let (disk, dir) = (disk.clone(), dir.to_path_buf());
        Removed { disk, dir, paths: Vec::new(), segments: 0 }
    }

    /// How many segments were removed.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Removes the files.
    ///
    /// # Errors
    /// `Io`.
    pub fn unlink(self) -> Result<(), LogError> {
        for path in &self.paths {
            crate::remove_if_there(&self.disk, path)?;
        }
        if self.paths.is_empty() {
            return Ok(());
        }
        self.disk.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))
    }
}

impl<D: Disk> Log<D> {
    /// Lets the log begin at `offset` (DeleteRecords, or a follower told by its leader). Segments go
    /// with the next [`Log::apply_retention`]. Says whether that changed anything.
    ///
    /// # Errors
    /// `OffsetOutOfRange` above the high watermark.
    pub fn advance_log_start(&mut self, offset: i64) -> Result<bool, OffsetOutOfRange> {
        if offset > self.high_watermark {
            let (start, end) = (self.log_start, self.high_watermark);
            return Err(OffsetOutOfRange { offset, start, end });
        }
        if offset <= self.log_start {
            return Ok(false);
        }
        self.log_start = offset;
        self.producers.on_log_start(offset);
        Ok(true)
    }

    /// Removes segments that are too old, too many, or before the log's start. Only what is below
    /// the high watermark goes. If all records go, a new segment begins.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn apply_retention(&mut self, now: Millis) -> Result<Removed<D>, LogError> {
        self.usable()?;
        let mut count = self.before_log_start();
        if self.config.delete {
            count = count.max(self.too_old(now)?).max(self.too_much());
        }
        count = count.min(self.below_high_watermark());
        if count == 0 {
            return Ok(Removed::nothing(&self.disk, &self.dir));
        }
        if count == self.segments.len() {
            self.roll(now)?;
        }
        self.remove_first(count)
    }

    fn next_base(&self, at: usize) -> i64 {
        self.segments.get(at + 1).map_or(self.log_end, |next| next.base)
    }

    fn before_log_start(&self) -> usize {
        let last = self.segments.len() - 1;
        (0..last).take_while(|at| self.next_base(*at) <= self.log_start).count()
    }

    fn below_high_watermark(&self) -> usize {
        let all = 0..self.segments.len();
        all.take_while(|at| self.next_base(*at) <= self.high_watermark).count()
    }

    fn too_old(&self, now: Millis) -> Result<usize, LogError> {
        let Some(retention) = self.config.retention_ms else { return Ok(0) };
        let old = self.segments.iter().take_while(|segment| {
            let newest = match segment.max_timestamp.timestamp {
                timestamp if timestamp >= 0 => timestamp,
                _ => segment.seen,
            };
            now.0.saturating_sub(newest) > retention && segment.size > 0
        });
        Ok(old.count())
    }

    fn too_much(&self) -> usize {
        let Some(limit) = self.config.retention_bytes else { return 0 };
        let mut over = self.size_bytes().saturating_sub(limit);
        let much = self.segments.iter().take_while(|segment| {
            let goes = segment.size > 0 && over >= segment.size;
            over = over.saturating_sub(segment.size);
            goes
        });
        much.count()
    }

    fn remove_first(&mut self, count: usize) -> Result<Removed<D>, LogError> {
        let mut removed = Removed::nothing(&self.disk, &self.dir);
        let kinds = [name::LOG, name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX];
        // The oldest first: whatever a crash undoes, what is left has no hole that a start does not
        // recognise.
        for segment in self.segments.drain(..count) {
            for kind in kinds {
                if kind == name::TXN_INDEX && !segment.txns.has_file() {
                    continue;
                }
                let path = name::file(&self.dir, segment.base, kind);
                let gone = name::with(&path, name::DELETED);
                self.disk.rename(&path, &gone).map_err(io_error("rename", &path))?;
                removed.paths.push(gone);
            }
            removed.segments += 1;
        }
        let base = self.segments[0].base;
        self.log_start = self.log_start.max(base);
        self.epochs.truncate_start(self.log_start)?;
        self.remove_snapshots(|offset| offset < base)?;
        self.producers.on_log_start(self.log_start);
        self.names_dirty = true;
        Ok(removed)
    }
}
