//! Making a partition's records durable, and ending its use.

use std::sync::atomic::Ordering;
use std::time::Instant;

use polyport_base::Millis;
use polyport_log::{LogError, TopicPartition};
use polyport_storage::Disk;

use super::Partition;
use crate::error::Refused;
use crate::wait::fetch::Progress;

impl<D: Disk> Partition<D> {
    /// Makes everything durable that was appended before. Blocks for as long as the disk takes;
    /// appends go on meanwhile.
    ///
    /// # Errors
    /// `Storage`, `Gone`.
    pub fn flush(&self) -> Result<(), Refused> {
        let _one = self.flushing.lock();
        // What comes from here on may not be part of this flush.
        self.flush_queued.store(false, Ordering::Release);
        let mut core = self.core.write();
        let log = core.usable_mut(&self.dir)?;
        let unflushed = log.unflushed_bytes();
        let flush = match log.begin_flush() {
            Ok(Some(flush)) => flush,
            Ok(None) => {
                let durable = log.recovery_point();
                core.durable.pass(durable, Ok(()));
                return Ok(());
            }
            Err(error) => {
                core.durable.fail(Refused::Storage);
                drop(core);
                return Err(self.storage_failed(&error));
            }
        };
        drop(core);
        self.dir.sub_unflushed(unflushed);
        let began = Instant::now();
        let done = flush.run();
        self.dir.observed.flush.record_time(began.elapsed());
        let mut core = self.core.write();
        let Ok(log) = &mut core.log else { return Ok(()) };
        match log.end_flush(&flush, done) {
            Ok(()) => {
                let durable = log.recovery_point();
                core.durable.pass(durable, Ok(()));
                Ok(())
            }
            Err(error) => {
                core.durable.fail(Refused::Storage);
                drop(core);
                Err(self.storage_failed(&error))
            }
        }
    }

    /// Its time to be flushed has come: there may be a next one.
    pub(crate) fn no_longer_due(&self) {
        self.flush_due.store(false, Ordering::Release);
    }

    /// Writes the log's offsets into the directory's checkpoints, in memory.
    pub(crate) fn note(&self) {
        let core = self.core.read();
        let Ok(log) = &core.log else { return };
        // Under the partition's lock: a truncation lowers the checkpoint first, and that must not be
        // undone by what was read before it.
        if let Some(log_dir) = &mut *self.dir.log_dir.lock() {
            log_dir.note(&self.of, log);
        }
    }

    /// Closes the log, with everything durable. Returns where it ends. From here on another may lead.
    ///
    /// # Errors
    /// The disk's, and what was wrong before.
    pub(crate) fn close(&self) -> Result<(TopicPartition, i64), Option<LogError>> {
        let _one = self.flushing.lock();
        self.note();
        let log = self.core.write().take_log(Refused::NotLeader);
        self.waiters.tell(Progress::ALL);
        let log = log.map_err(|_| None)?;
        let end = log.close().map_err(Some)?;
        Ok((self.of.clone(), end))
    }

    /// Gives up the log. Readers that have a range of it may go on reading.
    pub(crate) fn give_up(&self, why: Refused) {
        let _one = self.flushing.lock();
        let log = self.core.write().take_log(why);
        if let Ok(log) = log {
            self.dir.sub_unflushed(log.unflushed_bytes());
        }
        self.waiters.tell(Progress::ALL);
    }

    /// The directory is offline: nobody waits for it any longer.
    pub(crate) fn dismiss(&self) {
        self.core.write().fail_acks(Refused::Storage);
        self.waiters.tell(Progress::ALL);
    }

    /// Forgets producers that were silent for too long.
    pub(crate) fn expire_producers(&self, now: Millis) {
        if let Ok(log) = self.core.write().usable_mut(&self.dir) {
            log.expire_producers(now);
        }
    }
}
