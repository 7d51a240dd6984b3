//! What is done in the background, a step at a time. The time comes in as a value, so that a
//! simulation can do the steps; `work::threads` does them in a process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use polyport_base::Millis;
use polyport_log::cleaner::KeyOffsets;
use polyport_storage::Disk;

use super::Store;
use crate::dir::Dir;
use crate::parallel;
use crate::partition::Partition;
use crate::work::{Doomed, Upkeep};

impl<D: Disk> Store<D> {
    /// Syncs what is to be synced in the directory of this number, from 0. Returns when there may be
    /// more to do, if that is known. Blocks for as long as the disk takes.
    pub fn flush_step(&self, dir: usize, now: Millis) -> Option<Millis> {
        let dir = self.0.dirs.get(dir)?;
        let work = dir.queue.take(now);
        if dir.is_offline() {
            self.0.partitions_in(dir).for_each(|partition| partition.dismiss());
            return None;
        }
        // If it fails, whoever waits has been told, and so has the log of the process.
        let threads = self.0.settings.io_threads_per_dir;
        parallel::for_each(&work.partitions, threads, |partition| partition.flush().is_ok());
        if work.excess {
            self.flush_excess(dir);
        }
        work.next
    }

    /// Syncs the partitions that have most to lose.
    fn flush_excess(&self, dir: &Arc<Dir<D>>) {
        let bytes = |of: &Arc<Partition<D>>| of.with_log(|log| log.unflushed_bytes()).unwrap_or(0);
        let mut all: Vec<_> = self.0.partitions_in(dir).map(|of| (bytes(&of), of)).collect();
        all.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, partition) in all {
            if bytes == 0 || !dir.has_excess() || partition.flush().is_err() {
                return;
            }
        }
    }

    /// Does what is due of checkpoints, retention, forgetting of producers and removal of files.
    /// Returns when there is more to do. Blocks for as long as the disk takes.
    pub fn upkeep_step(&self, upkeep: &mut Upkeep, now: Millis) -> Millis {
        let settings = &self.0.settings;
        if upkeep.checkpoints.is_due(now) {
            self.checkpoint();
        }
        if upkeep.retention.is_due(now) {
            self.apply_retention(now);
        }
        if upkeep.producers.is_due(now) {
            self.0.partitions().iter().for_each(|partition| partition.expire_producers(now));
        }
        self.remove_doomed(now);
        let checkpoints = settings
            .high_watermark_checkpoint_interval_ms
            .min(settings.flush_checkpoint_interval_ms);
        let next = [
            upkeep.checkpoints.next(now, checkpoints),
            upkeep.retention.next(now, settings.retention_check_interval_ms),
            upkeep.producers.next(now, settings.producer_expiration_check_interval_ms),
        ];
        let doomed = self.0.doomed.lock().iter().map(Doomed::at).min();
        next.into_iter().chain(doomed).min().unwrap_or(now)
    }

    /// Writes the checkpoints of all directories, if anything has changed.
    pub fn checkpoint(&self) {
        for dir in self.0.dirs.iter().filter(|dir| !dir.is_offline()) {
            self.0.partitions_in(dir).for_each(|partition| partition.note());
            if let Some(log_dir) = &mut *dir.log_dir.lock()
                && let Err(error) = log_dir.checkpoint()
            {
                dir.failed(&error);
            }
        }
    }

    fn apply_retention(&self, now: Millis) {
        for partition in self.0.partitions() {
            let Ok(Some(removed)) = partition.apply_retention(now) else { continue };
            let at = now.0.saturating_add(partition.config().file_delete_delay_ms);
            let doomed = Doomed::files(Millis(at), partition.dir().clone(), removed);
            self.0.doomed.lock().push(doomed);
        }
    }

    fn remove_doomed(&self, now: Millis) {
        let due: Vec<_> =
            self.0.doomed.lock().extract_if(.., |doomed| doomed.at() <= now).collect();
        for doomed in due {
            doomed.remove(&self.0.disk);
        }
    }

    /// Compacts the partition that needs it most, with a table of keys of `limit_bytes` at most. Says
    /// whether there was one. Blocks for as long as the disk takes.
    pub fn clean_step(&self, limit_bytes: usize, now: Millis) -> bool {
        let compacted = self.0.partitions().into_iter();
        let due = compacted.filter_map(|of| of.begin_clean(now).map(|cleaning| (of, cleaning)));
        let most = due.max_by(|(_, a), (_, b)| a.urgency().total_cmp(&b.urgency()));
        let Some((partition, cleaning)) = most else { return false };
        let mut keys = KeyOffsets::new(cleaning.table_bytes(limit_bytes), self.0.key_seed);
        let began = Instant::now();
        match partition.clean(cleaning, &mut keys) {
            Ok(removed) => {
                self.0.observed.clean.record_time(began.elapsed());
                let at = now.0.saturating_add(partition.config().file_delete_delay_ms);
                let doomed = Doomed::files(Millis(at), partition.dir().clone(), removed);
                self.0.doomed.lock().push(doomed);
                true
            }
            // It is tried again after a pause; the failure was told.
            Err(_) => {
                self.0.observed.clean_failed.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}
