//! Taking back the log's end, and giving up its start.

use polyport_base::Millis;
use polyport_storage::Disk;

use super::{Log, Removed};
use crate::error::LogError;
use crate::segment::{Segment, name};

impl<D: Disk> Log<D> {
    /// Removes records of this offset and later ones; durable when it returns. Says whether anything
    /// was removed.
    ///
    /// If `offset` is below the recovery point, the caller's recovery-point checkpoint must name a
    /// point not above `offset` before this begins: otherwise a crash could let new records pass for
    /// durable ones. [`crate::LogDir::truncate`] sees to that.
    ///
    /// # Errors
    /// `Io`, `Poisoned`. The log is poisoned then.
    pub fn truncate_to(&mut self, offset: i64, now: Millis) -> Result<bool, LogError> {
        self.usable()?;
        if offset >= self.log_end {
            // A leader that appended nothing before another was elected: nobody else knows its epoch.
            self.epochs.truncate_end(self.log_end).map_err(|error| self.poisoned(error))?;
            return Ok(false);
        }
        if offset < self.segments[0].base || offset <= self.log_start {
            let at = offset.max(0);
            self.restart_at(at, now)?.unlink()?;
            return Ok(true);
        }
        self.truncate_inside(offset).map_err(|error| self.poisoned(error))?;
        Ok(true)
    }

    /// Where the log would end if it were truncated to `offset`: a batch goes as a whole.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn truncation_point(&self, offset: i64) -> Result<i64, LogError> {
        if offset <= self.log_start {
            return Ok(offset.max(0));
        }
        let found = self.segments[self.segment_of(offset)].find(offset)?;
        Ok(found.map_or(offset, |(batch, _)| batch.base_offset.min(offset)).min(self.log_end))
    }

    fn truncate_inside(&mut self, offset: i64) -> Result<(), LogError> {
        let keep = self.segment_of(offset);
        // The newest first: a crash leaves no hole.
        while self.segments.len() > keep + 1 {
            if let Some(segment) = self.segments.pop() {
                self.remove_files(&segment)?;
                self.sync_names()?;
            }
        }
        self.active().truncate(offset)?;
        self.log_end = self.active().next_offset()?;
        // A batch goes as a whole, also if the log starts in the middle of it.
        self.log_start = self.log_start.min(self.log_end);
        self.recovery_point = self.recovery_point.min(self.log_end);
        self.high_watermark = self.high_watermark.min(self.log_end);
        self.epochs.truncate_end(self.log_end)?;
        self.load_producers()?;
        self.producers.on_high_watermark(self.high_watermark);
        Ok(())
    }

    fn remove_files(&self, segment: &Segment<D>) -> Result<(), LogError> {
        let kinds = [name::LOG, name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX];
        let paths = kinds.map(|kind| self.file(segment.base, kind));
        for path in &paths {
            crate::remove_if_there(&self.disk, path)?;
        }
        Ok(())
    }

    /// Empties the log and lets it begin at `offset`: a follower whose leader no longer has what
    /// would come next. The checkpoint must be lowered before, as for `truncate_to`:
    /// [`crate::LogDir::restart_at`].
    ///
    /// # Errors
    /// `Io`, `Poisoned`. The log is poisoned then.
    pub fn restart_at(&mut self, offset: i64, now: Millis) -> Result<Removed<D>, LogError> {
        self.usable()?;
        self.restart(offset, now).map_err(|error| self.poisoned(error))
    }

    pub(super) fn restart(&mut self, offset: i64, now: Millis) -> Result<Removed<D>, LogError> {
        // A new segment may have the name of an old one, so the old ones go first. The newest first:
        // a crash leaves no hole.
        while let Some(segment) = self.segments.pop() {
            self.remove_files(&segment)?;
            self.sync_names()?;
        }
        self.remove_snapshots(|_| true)?;
        self.epochs.clear()?;
        let options = Self::options(&self.config);
        let segment = Segment::create(&self.disk, &self.dir, offset, "", options, now.0)?;
        self.segments.push(segment);
        self.sync_names()?;
        self.log_start = offset;
        self.log_end = offset;
        self.high_watermark = offset;
        self.recovery_point = offset;
        self.unflushed_messages = 0;
        self.unflushed_bytes = 0;
        self.unflushed_since = None;
        self.load_producers()?;
        Ok(Removed::nothing(&self.disk, &self.dir))
    }
}
