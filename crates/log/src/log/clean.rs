//! What compaction needs of a log.

use std::path::PathBuf;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_storage::Disk;

use super::{Log, Removed};
use crate::cleaner::{Cleanable, Source};
use crate::error::LogError;
use crate::segment::Segment;

impl<D: Disk> Log<D> {
    pub(crate) fn cleaning_parts(
        &mut self,
        first_dirty: i64,
        now: Millis,
    ) -> Result<Cleanable<D>, LogError> {
        self.usable()?;
        let bound = self.last_stable_offset().min(self.recovery_point);
        let newest = now.0.saturating_sub(self.config.min_compaction_lag_ms);
        let oldest = now.0.saturating_sub(self.config.max_compaction_lag_ms);
        let first_dirty = first_dirty.max(self.log_start);
        let mut sources = Vec::new();
        let mut overdue = false;
        let count = self.segments.len();
        for at in 0..count - 1 {
            let end = self.segments[at + 1].base;
            let segment = &mut self.segments[at];
            let lags = self.config.min_compaction_lag_ms > 0
                && segment.max_timestamp.timestamp > newest
                && end > first_dirty;
            if end > bound || lags {
                break;
            }
            if segment.base >= first_dirty {
                let first = segment.first_timestamp()?;
                overdue |= first.is_some_and(|first| first < oldest);
            }
            sources.push(Source {
                base: segment.base,
                end,
                file: segment.log.clone(),
                size: segment.size,
                index_bytes: segment.index_bytes(),
                aborted: segment.txns.entries().to_vec(),
            });
        }
        Ok(Cleanable {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            config: self.config.clone(),
            options: Self::options(&self.config),
            sources,
            first_dirty,
            producers: self.producers.clone(),
            now,
            overdue,
        })
    }

    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// Whether the segment at `base` is still the one with this file.
    pub(crate) fn has_segment(&self, base: i64, file: &Arc<D::File>) -> bool {
        let at = self.segments.binary_search_by_key(&base, |segment| segment.base);
        at.is_ok_and(|at| Arc::ptr_eq(&self.segments[at].log, file))
    }

    pub(crate) fn nothing_removed(&self) -> Removed<D> {
        Removed::nothing(&self.disk, &self.dir)
    }

    pub(crate) fn or_poison<T>(&mut self, done: Result<T, LogError>) -> Result<T, LogError> {
        done.map_err(|error| self.poisoned(error))
    }

    /// Takes a segment that has come in the place of old ones.
    pub(crate) fn reopen_segment(&mut self, base: i64, old: &[i64]) -> Result<(), LogError> {
        let options = Self::options(&self.config);
        let seen = self.segments[self.segment_of(base)].seen;
        let (segment, _) = Segment::open(&self.disk, &self.dir, base, options, seen)?;
        self.segments.retain(|segment| !old.contains(&segment.base));
        let at = self.segments.partition_point(|other| other.base < base);
        self.segments.insert(at, segment);
        Ok(())
    }
}

impl<D: Disk> Removed<D> {
    pub(crate) fn add(&mut self, paths: Vec<PathBuf>, segments: usize) {
        self.paths.extend(paths);
        self.segments += segments;
    }
}
