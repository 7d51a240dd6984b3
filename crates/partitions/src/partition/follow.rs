//! Following: taking the leader's records, and giving up what it does not have.

use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::{AppendError, Appended};
use polyport_storage::Disk;

use super::Partition;
use super::core::{Core, Leading};
use crate::error::{ProduceError, Refused};
use crate::fetching::Ends;
use crate::wait::fetch::Progress;

/// What a leader says beside its records.
#[derive(Clone, Copy, Debug)]
pub struct FollowedLeader {
    /// Its epoch.
    pub epoch: i32,
    /// Its high watermark.
    pub high_watermark: i64,
    /// Its log start offset.
    pub log_start: i64,
}

impl<D: Disk> Partition<D> {
    /// Appends what was fetched from the leader, byte for byte, and takes over how far it has come.
    ///
    /// # Errors
    /// `FencedEpoch` if the leader is not the one that is followed now; [`ProduceError::Records`] if
    /// the records do not follow this log's end.
    pub fn append_as_follower(
        self: &Arc<Self>,
        records: &[u8],
        leader: FollowedLeader,
        now: Millis,
    ) -> Result<Option<Appended>, ProduceError> {
        let mut core = self.core.write();
        core.usable(&self.dir)?;
        if leader.epoch != core.leader_epoch || !matches!(core.leading, Leading::No) {
            return Err(Refused::FencedEpoch.into());
        }
        let log = core.usable_mut(&self.dir)?;
        let before = Core::ends(log);
        let unflushed = log.unflushed_bytes();
        let appended = log.append_as_follower(records, now).map_err(|error| match error {
            AppendError::Log(error) => ProduceError::Refused(self.storage_failed(&error)),
            error => ProduceError::Records(error),
        })?;
        let bytes = log.unflushed_bytes() - unflushed;
        let high_watermark = leader.high_watermark.max(log.high_watermark());
        log.set_high_watermark(high_watermark);
        // A follower that lags deletes only what it has.
        let start = leader.log_start.min(log.high_watermark());
        let _ = log.advance_log_start(start);
        let progress = Core::progress(log, before, bytes, bytes);
        let flush = self.flush_after(log, false, now);
        drop(core);
        self.after_append(progress, bytes, flush);
        Ok(appended)
    }

    /// How the log is, for fetching; `None` if this broker does not follow.
    pub fn followed(&self) -> Option<Ends> {
        let core = self.core.read();
        let log = core.usable(&self.dir).ok()?;
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        matches!(core.leading, Leading::No).then(|| Ends {
            start,
            end,
            last_epoch: log.latest_epoch(),
        })
    }

    /// Removes records of this offset and later ones, durably, because the leader of an epoch has
    /// others. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// `FencedEpoch` if another leader is followed by now, or this broker leads; `Storage`, `Gone`.
    pub fn truncate(&self, offset: i64, leader_epoch: i32, now: Millis) -> Result<(), Refused> {
        self.shorten(leader_epoch, |log_dir, of, log| {
            log_dir.truncate(of, log, offset, now).map(|_| ())
        })
    }

    /// Empties the log and lets it begin at this offset, durably: the leader has nothing that this one
    /// could continue with.
    ///
    /// # Errors
    /// As `truncate`.
    pub fn restart_at(&self, offset: i64, leader_epoch: i32, now: Millis) -> Result<(), Refused> {
        self.shorten(leader_epoch, |log_dir, of, log| log_dir.restart_at(of, log, offset, now))
    }

    fn shorten(
        &self,
        leader_epoch: i32,
        shorten: impl FnOnce(
            &mut polyport_log::LogDir<D>,
            &polyport_log::TopicPartition,
            &mut polyport_log::Log<D>,
        ) -> Result<(), polyport_log::LogError>,
    ) -> Result<(), Refused> {
        let _one = self.flushing.lock();
        let mut core = self.core.write();
        core.usable(&self.dir)?;
        // What a leader had that is none any more may be less than what its successor has.
        if leader_epoch != core.leader_epoch || !matches!(core.leading, Leading::No) {
            return Err(Refused::FencedEpoch);
        }
        core.truncations += 1;
        let log = core.usable_mut(&self.dir)?;
        let unflushed = log.unflushed_bytes();
        let mut log_dir = self.dir.log_dir.lock();
        let done = match &mut *log_dir {
            Some(log_dir) => shorten(log_dir, &self.of, log),
            None => return Err(Refused::Gone),
        };
        drop(log_dir);
        self.dir.sub_unflushed(unflushed - log.unflushed_bytes().min(unflushed));
        drop(core);
        self.waiters.tell(Progress::ALL);
        done.map_err(|error| self.storage_failed(&error))
    }
}
