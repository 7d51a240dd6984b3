//! Becoming leader and follower, and what followers tell.

use polyport_base::Millis;
use polyport_storage::Disk;

use super::core::{Core, Leading};
use super::{Local, Partition};
use crate::error::Refused;
use crate::replicas::{BrokerId, FollowerFetch, IsrProposal, PartitionState, ReplicaSet};
use crate::settings::TopicConfig;
use crate::wait::fetch::Progress;

/// What this broker is to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The metadata have not said yet.
    Unknown,
    /// It has a copy, and another broker or none leads.
    Follower,
    /// It appends and answers.
    Leader,
}

impl<D: Disk> Partition<D> {
    /// Takes what the metadata say of the partition. Says whether that was news: what is older than
    /// what is known changes nothing.
    ///
    /// # Errors
    /// `Storage`, `Gone`.
    pub fn set_state(&self, state: &PartitionState, now: Millis) -> Result<bool, Refused> {
        let min_isr = self.config.read().min_insync_replicas;
        let mut core = self.core.write();
        core.usable(&self.dir)?;
        if state.leader_epoch < core.leader_epoch || state.partition_epoch < core.partition_epoch {
            return Ok(false);
        }
        let old = (core.role(), core.leader_epoch, core.partition_epoch);
        let leads = state.leader == Some(self.local.broker_id);
        let new_epoch = state.leader_epoch > core.leader_epoch;
        core.leader_epoch = state.leader_epoch;
        core.partition_epoch = state.partition_epoch;
        let progress = match leads {
            true => self.lead(&mut core, state, min_isr, new_epoch, now)?,
            false => {
                core.leading = Leading::No;
                core.fail_acks(Refused::NotLeader);
                Progress::default()
            }
        };
        let new = (core.role(), core.leader_epoch, core.partition_epoch);
        drop(core);
        // A change of the leader is something that fetches must hear of.
        let elected = (old.0, old.1) != (new.0, new.1);
        self.waiters.tell(if elected { Progress::ALL } else { progress });
        Ok(old != new)
    }

    fn lead(
        &self,
        core: &mut Core<D>,
        state: &PartitionState,
        min_isr: usize,
        new_epoch: bool,
        now: Millis,
    ) -> Result<Progress, Refused> {
        let log = core.usable_mut(&self.dir)?;
        let before = Core::ends(log);
        if new_epoch {
            log.begin_leader_epoch(state.leader_epoch);
        }
        let (end, high_watermark) = (log.log_end_offset(), log.high_watermark());
        match &mut core.leading {
            Leading::Yes(set) => {
                set.update(state, now);
            }
            leading => {
                let Local { broker_id, lag_max_ms } = self.local;
                let offsets = (end, high_watermark);
                let set = ReplicaSet::new(broker_id, state, offsets, min_isr, lag_max_ms, now);
                *leading = Leading::Yes(Box::new(set));
            }
        }
        Ok(core.settle(before, 0, now))
    }

    /// Changes the topic's configuration.
    pub fn set_config(&self, config: std::sync::Arc<TopicConfig>, now: Millis) {
        let mut core = self.core.write();
        *self.config.write() = config.clone();
        let Ok(log) = &mut core.log else { return };
        let before = Core::ends(log);
        log.set_config(config.log.clone());
        if let Leading::Yes(set) = &mut core.leading {
            set.set_min_isr(config.min_insync_replicas, now);
        }
        let progress = core.settle(before, 0, now);
        drop(core);
        self.waiters.tell(progress);
    }

    /// Changes the leader's view of its replicas, and what follows from that.
    fn with_replicas<T>(
        &self,
        now: Millis,
        change: impl FnOnce(&mut ReplicaSet) -> T,
    ) -> Result<T, Refused> {
        let mut core = self.core.write();
        let before = Core::ends(core.usable(&self.dir)?);
        let changed = change(core.replicas_mut()?);
        let progress = core.settle(before, 0, now);
        drop(core);
        self.waiters.tell(progress);
        Ok(changed)
    }

    /// A follower fetches, which says what it has: the high watermark may move. Returns a change of
    /// the in-sync replicas, to be written to the metadata, if one is due.
    ///
    /// # Errors
    /// `UnknownEpoch` if it is none of the replicas that are known here; `NotLeader`, `Storage`,
    /// `Gone`.
    pub fn follower_fetched(
        &self,
        fetch: FollowerFetch,
        now: Millis,
    ) -> Result<Option<IsrProposal>, Refused> {
        let fetched = self.with_replicas(now, |set| match set.fetched(fetch, now) {
            true => Ok(set.propose(now)),
            false => Err(Refused::UnknownEpoch),
        });
        fetched?
    }

    /// Everything below is on all in-sync replicas, as far as this broker knows.
    ///
    /// # Errors
    /// `Storage`, `Gone`.
    pub fn high_watermark(&self) -> Result<i64, Refused> {
        self.with_log(polyport_log::Log::high_watermark)
    }

    /// A change of the in-sync replicas that is due because time has passed, if this broker leads.
    pub fn propose_isr(&self, now: Millis) -> Option<IsrProposal> {
        let alone = self.core.read().replicas().is_none_or(|set| set.followers().is_empty());
        if alone {
            return None;
        }
        self.with_replicas(now, |set| set.propose(now)).ok().flatten()
    }

    /// The metadata certainly did not take, and will not take, what was proposed.
    pub fn isr_refused(&self, now: Millis) {
        // Without leadership there is no proposal either.
        let _ = self.with_replicas(now, |set| set.refused(now));
    }

    /// Says which brokers live.
    pub fn set_alive(&self, alive: impl Fn(BrokerId) -> bool, now: Millis) {
        let _ = self.with_replicas(now, |set| set.set_alive(alive, now));
    }
}
