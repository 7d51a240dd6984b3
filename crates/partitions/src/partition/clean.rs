//! Retention and compaction of one partition.

use std::sync::atomic::Ordering;

use polyport_base::Millis;
use polyport_log::cleaner::{Cleanable, KeyOffsets};
use polyport_log::{LogError, Removed};
use polyport_storage::Disk;

use super::Partition;
use crate::error::Refused;

/// A round of compaction that was begun.
#[derive(Debug)]
pub(crate) struct Cleaning<D: Disk> {
    cleanable: Cleanable<D>,
    truncations: u64,
}

impl<D: Disk> Cleaning<D> {
    /// The greater, the sooner.
    pub fn urgency(&self) -> f64 {
        self.cleanable.dirty_ratio()
    }

    /// How large a table of keys it needs. Small records of which nothing is compressed take a third
    /// of an entry; where that is too little, there is another round.
    pub fn table_bytes(&self, limit_bytes: usize) -> usize {
        let enough = self.cleanable.dirty_bytes().saturating_mul(4).max(64 << 10);
        usize::try_from(enough).unwrap_or(usize::MAX).min(limit_bytes)
    }
}

impl<D: Disk> Partition<D> {
    /// Removes segments that are too old or too much. Returns their files.
    pub(crate) fn apply_retention(&self, now: Millis) -> Result<Option<Removed<D>>, Refused> {
        let removed = self.core.write().usable_mut(&self.dir)?.apply_retention(now);
        match removed {
            Ok(removed) => Ok((removed.segments() > 0).then_some(removed)),
            Err(error) => Err(self.storage_failed(&error)),
        }
    }

    /// Looks what there is to compact, if that is due and nobody else is at it.
    pub(crate) fn begin_clean(&self, now: Millis) -> Option<Cleaning<D>> {
        if !self.config().log.compact || self.cleaning.load(Ordering::Acquire) {
            return None;
        }
        let first_dirty = self.dir.log_dir.lock().as_ref()?.cleaned_to(&self.of);
        let mut core = self.core.write();
        let truncations = core.truncations;
        let cleanable = core.usable_mut(&self.dir).ok()?.cleanable(first_dirty, now);
        drop(core);
        match cleanable {
            Ok(cleanable) => cleanable
                .filter(Cleanable::is_due)
                .map(|cleanable| Cleaning { cleanable, truncations }),
            Err(error) => {
                self.storage_failed(&error);
                None
            }
        }
    }

    /// Does a round of compaction, without the log but at its end. Returns the files it replaced.
    pub(crate) fn clean(
        &self,
        cleaning: Cleaning<D>,
        keys: &mut KeyOffsets,
    ) -> Result<Removed<D>, Refused> {
        if self.cleaning.swap(true, Ordering::AcqRel) {
            return Err(Refused::Storage);
        }
        let done = self.clean_alone(cleaning, keys);
        self.cleaning.store(false, Ordering::Release);
        done
    }

    fn clean_alone(
        &self,
        cleaning: Cleaning<D>,
        keys: &mut KeyOffsets,
    ) -> Result<Removed<D>, Refused> {
        let failed = |error: LogError| self.storage_failed(&error);
        let cleaned = cleaning.cleanable.run(keys).map_err(failed)?;
        let mut core = self.core.write();
        let truncations = core.truncations;
        let log = core.usable_mut(&self.dir)?;
        let Some(cleaned) = cleaned.filter(|_| truncations == cleaning.truncations) else {
            // The log has other records now than were read.
            return Err(Refused::Storage);
        };
        let clean_to = cleaned.clean_to;
        let removed = log.end_clean(cleaned).map_err(failed)?;
        drop(core);
        let mut log_dir = self.dir.log_dir.lock();
        if let Some(log_dir) = &mut *log_dir {
            log_dir.set_cleaned_to(&self.of, clean_to).map_err(failed)?;
        }
        Ok(removed)
    }
}
