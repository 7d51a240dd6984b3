//! Making records durable, without holding the log meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_storage::{Disk, DiskFile};

use super::Log;
use crate::error::{LogError, io_error};

/// A sync to be made: everything below `offset` is durable when [`Flush::run`] has succeeded and
/// [`Log::end_flush`] was told.
#[derive(Debug)]
pub struct Flush<D: Disk> {
    disk: D,
    dir: PathBuf,
    files: Vec<Arc<D::File>>,
    names: bool,
    offset: i64,
}

impl<D: Disk> Flush<D> {
    /// Syncs. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// `Io`.
    pub fn run(&self) -> Result<(), LogError> {
        for file in &self.files {
            file.sync_data().map_err(io_error("sync", &self.dir))?;
        }
        if self.names {
            self.disk.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
        }
        Ok(())
    }
}

impl<D: Disk> Log<D> {
    /// Whether `flush.messages` or `flush.ms` ask for a flush.
    pub fn wants_flush(&self, now: Millis) -> bool {
        let waited = |since: Millis| now.0.saturating_sub(since.0) >= self.config.flush_ms;
        self.unflushed_messages >= self.config.flush_messages
            || self.unflushed_since.is_some_and(waited)
    }

    /// When `flush.ms` asks for a flush; `None` if it does not.
    pub fn flush_due(&self) -> Option<Millis> {
        let since = self.unflushed_since.filter(|_| self.config.flush_ms < i64::MAX)?;
        Some(Millis(since.0.saturating_add(self.config.flush_ms)))
    }

    /// Records that were appended since the last flush.
    pub fn unflushed_messages(&self) -> u64 {
        self.unflushed_messages
    }

    /// Bytes of records that are not durable: what a start after a crash would have to read.
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes
    }

    /// Whether a segment that gets no more records is not durable.
    pub fn has_unflushed_segment(&self) -> bool {
        self.segments.last().is_some_and(|active| active.base > self.recovery_point)
    }

    /// What must be synced for all records to be durable; `None` if they are.
    ///
    /// Only one flush of a log is at work at a time, and none while the log is truncated: the next
    /// one takes for granted what this one was to sync.
    ///
    /// # Errors
    /// `Io` if index entries or epochs could not be written, after which it may be tried again;
    /// `Poisoned`.
    pub fn begin_flush(&mut self) -> Result<Option<Flush<D>>, LogError> {
        self.usable()?;
        if self.recovery_point >= self.log_end && !self.names_dirty {
            return Ok(None);
        }
        if let Err(error) = self.epochs.store_below(self.log_end) {
            return Err(if error.is_shortage() { error } else { self.poisoned(error) });
        }
        let mut files = Vec::new();
        // The segment before may have got its last index entries when it was sealed.
        let first = self.segment_of(self.recovery_point).saturating_sub(1);
        for segment in &mut self.segments[first..] {
            segment.write_indexes()?;
        }
        for at in first..self.segments.len() {
            let taken = self.segments[at].take_dirty(&mut files);
            taken.map_err(|error| self.poisoned(error))?;
        }
        self.unflushed_messages = 0;
        self.unflushed_bytes = 0;
        self.unflushed_since = None;
        Ok(Some(Flush {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            files,
            names: std::mem::take(&mut self.names_dirty),
            offset: self.log_end,
        }))
    }

    /// Takes note of a flush. A failed one stops the log: nobody knows what the disk still has.
    ///
    /// # Errors
    /// The flush's.
    pub fn end_flush(
        &mut self,
        flush: &Flush<D>,
        done: Result<(), LogError>,
    ) -> Result<(), LogError> {
        done.map_err(|error| self.poisoned(error))?;
        // The log may have been truncated meanwhile.
        self.recovery_point = self.recovery_point.max(flush.offset.min(self.log_end));
        Ok(())
    }

    /// All three steps of a flush.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn flush(&mut self) -> Result<(), LogError> {
        match self.begin_flush()? {
            None => Ok(()),
            Some(flush) => {
                let done = flush.run();
                self.end_flush(&flush, done)
            }
        }
    }

    /// Makes everything durable so that the next start has nothing to recover.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn close(mut self) -> Result<i64, LogError> {
        self.usable()?;
        self.active().seal()?;
        self.flush()?;
        self.active().sync()?;
        self.take_snapshot()?;
        self.sync_snapshot()?;
        Ok(self.recovery_point)
    }
}
