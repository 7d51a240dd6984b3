//! Which replicas have what of a partition, as its leader sees it: the high watermark and the
//! in-sync replicas.
//!
//! A pure machine: what happened goes in with its time, what follows is asked for. Changes of the
//! in-sync replicas are proposals, because they count only once the metadata have them. Reference:
//! KIP-497 and `kafka.cluster.Partition` of Kafka 3.9.

#[cfg(test)]
mod tests;

use polyport_base::Millis;

/// A broker: `broker.id`.
pub type BrokerId = i32;

/// What the metadata say of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Who leads; `None` if nobody can.
    pub leader: Option<BrokerId>,
    /// Grows with every election.
    pub leader_epoch: i32,
    /// Grows with every change of this state: the znode's version.
    pub partition_epoch: i32,
    /// The assigned replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those that have everything below the high watermark.
    pub isr: Vec<BrokerId>,
}

/// A change of the in-sync replicas that the leader wants written to the metadata, on condition that
/// both epochs are still these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The in-sync replicas there should be, ascending.
    pub isr: Vec<BrokerId>,
    /// Of the leader that proposes.
    pub leader_epoch: i32,
    /// Of the state that this is to replace.
    pub partition_epoch: i32,
}

/// A follower's fetch, which says what it has.
#[derive(Clone, Copy, Debug)]
pub struct FollowerFetch {
    /// Who.
    pub follower: BrokerId,
    /// Where it fetches: its log's end.
    pub offset: i64,
    /// Its log start offset.
    pub log_start: i64,
    /// The leader's log end offset before the read.
    pub leader_end: i64,
}

/// What the leader knows of one follower. Offsets are -1 until its first fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Who.
    pub id: BrokerId,
    /// Its log's end.
    pub log_end: i64,
    /// Its log's start.
    pub log_start: i64,
    /// The last time at which it had everything that the leader had.
    pub caught_up: Millis,
    last_fetch: Millis,
    leader_end_at_fetch: i64,
    alive: bool,
}

/// Before all other times.
const NEVER: Millis = Millis(i64::MIN);

impl Follower {
    fn unknown(id: BrokerId, state: &PartitionState, now: Millis) -> Self {
        Follower {
            id,
            log_end: -1,
            log_start: -1,
            // One that is not in sync does not hold the high watermark back.
            caught_up: if state.isr.contains(&id) { now } else { NEVER },
            last_fetch: NEVER,
            leader_end_at_fetch: i64::MAX,
            alive: true,
        }
    }
}

/// The replicas of a partition in one term of its leader.
#[derive(Clone, Debug)]
pub struct ReplicaSet {
    local: BrokerId,
    leader_epoch: i32,
    partition_epoch: i32,
    /// Where the leader's epoch begins: who has not come that far may miss what is committed.
    epoch_start: i64,
    local_end: i64,
    high_watermark: i64,
    isr: Vec<BrokerId>,
    followers: Vec<Follower>,
    proposed: Option<IsrProposal>,
    min_isr: usize,
    lag_max_ms: i64,
}

impl ReplicaSet {
    /// The replicas as a new leader finds them. `local_end` and `high_watermark` are its log's,
    /// `lag_max_ms` is `replica.lag.time.max.ms`.
    pub fn new(
        local: BrokerId,
        state: &PartitionState,
        (local_end, high_watermark): (i64, i64),
        min_isr: usize,
        lag_max_ms: i64,
        now: Millis,
    ) -> Self {
        let mut set = ReplicaSet {
            local,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            epoch_start: local_end,
            local_end,
            high_watermark,
            isr: Vec::new(),
            followers: Vec::new(),
            proposed: None,
            min_isr,
            lag_max_ms,
        };
        set.assign(state, now);
        set.advance(now);
        set
    }

    /// The leader's epoch.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The version of the state that is known.
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// Where the leader's epoch begins.
    pub fn epoch_start(&self) -> i64 {
        self.epoch_start
    }

    /// Everything below is on all in-sync replicas. Never goes back.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The in-sync replicas of the metadata, ascending.
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    /// The other replicas, ascending.
    pub fn followers(&self) -> &[Follower] {
        &self.followers
    }

    /// Sets `min.insync.replicas`.
    pub fn set_min_isr(&mut self, min_isr: usize, now: Millis) {
        self.min_isr = min_isr;
        self.advance(now);
    }

    /// More in-sync replicas than there are replicas cannot be asked for.
    fn effective_min_isr(&self) -> usize {
        self.min_isr.min(self.followers.len() + 1)
    }

    /// Whether records with `acks=all` may be appended.
    pub fn has_enough(&self) -> bool {
        self.isr.len() >= self.effective_min_isr()
    }

    /// Whether what is committed now has been acknowledged by enough. A proposed replica counts, as
    /// the high watermark waits for it too.
    pub fn had_enough(&self) -> bool {
        let added = self
            .proposed
            .as_ref()
            .map_or(0, |proposal| proposal.isr.iter().filter(|id| !self.isr.contains(id)).count());
        self.isr.len() + added >= self.effective_min_isr()
    }

    /// The least log start offset of the replicas that live: DeleteRecords is done up to there.
    pub fn low_watermark(&self, local_start: i64) -> i64 {
        let alive = self.followers.iter().filter(|follower| follower.alive);
        alive.map(|follower| follower.log_start).fold(local_start, i64::min)
    }

    /// Takes what the metadata say now, unless it is older than what is known. Within a leader epoch
    /// followers keep their offsets.
    pub fn update(&mut self, state: &PartitionState, now: Millis) -> bool {
        if state.partition_epoch < self.partition_epoch || state.leader_epoch < self.leader_epoch {
            return false;
        }
        if state.leader_epoch > self.leader_epoch {
            self.leader_epoch = state.leader_epoch;
            self.epoch_start = self.local_end;
            for follower in &mut self.followers {
                // Another may have led meanwhile without this one hearing of it, and followers
                // may have truncated: what they have they must say anew.
                let alive = follower.alive;
                *follower = Follower { alive, ..Follower::unknown(follower.id, state, now) };
            }
        }
        // With a newer state, what was proposed is written or can never be. The same state again says
        // nothing of that, and forgetting the proposal would let the high watermark run ahead of a
        // replica that may be in sync by now.
        if state.partition_epoch > self.partition_epoch {
            self.proposed = None;
        }
        self.partition_epoch = state.partition_epoch;
        self.assign(state, now);
        self.advance(now);
        true
    }

    fn assign(&mut self, state: &PartitionState, now: Millis) {
        self.isr.clone_from(&state.isr);
        self.isr.sort_unstable();
        self.isr.dedup();
        let mut others: Vec<BrokerId> = state.replicas.clone();
        others.retain(|id| *id != self.local);
        others.sort_unstable();
        others.dedup();
        let followers = others.into_iter().map(|id| {
            let known = self.followers.iter().find(|follower| follower.id == id).copied();
            known.unwrap_or_else(|| Follower::unknown(id, state, now))
        });
        self.followers = followers.collect();
    }

    /// Says which brokers live. The dead neither join nor are waited for.
    pub fn set_alive(&mut self, alive: impl Fn(BrokerId) -> bool, now: Millis) {
        for follower in &mut self.followers {
            follower.alive = alive(follower.id);
            if !follower.alive {
                // When it is back it may have less than it had.
                follower.log_end = -1;
                follower.caught_up = NEVER;
            }
        }
        self.advance(now);
    }

    /// The leader's own log has grown.
    pub fn appended(&mut self, local_end: i64, now: Millis) {
        self.local_end = local_end;
        self.advance(now);
    }

    /// A follower fetches. Says whether it is one of the replicas.
    pub fn fetched(&mut self, fetch: FollowerFetch, now: Millis) -> bool {
        let found = self.followers.iter_mut().find(|follower| follower.id == fetch.follower);
        let Some(follower) = found else { return false };
        if fetch.offset >= fetch.leader_end {
            follower.caught_up = follower.caught_up.max(now);
        } else if fetch.offset >= follower.leader_end_at_fetch {
            // It has what there was at its last fetch: small appends at a high rate leave a follower
            // always a little behind.
            follower.caught_up = follower.caught_up.max(follower.last_fetch);
        }
        follower.log_end = fetch.offset;
        follower.log_start = fetch.log_start;
        follower.leader_end_at_fetch = fetch.leader_end;
        follower.last_fetch = now;
        self.advance(now);
        true
    }

    fn is_caught_up(&self, follower: &Follower, now: Millis) -> bool {
        follower.log_end == self.local_end
            || now.0.saturating_sub(follower.caught_up.0) <= self.lag_max_ms
    }

    /// Raises the high watermark to what all have that are in sync, are proposed to be, or are so
    /// near that they could never join if it ran ahead of them.
    fn advance(&mut self, now: Millis) {
        if !self.has_enough() {
            return;
        }
        let proposed = self.proposed.as_ref().map_or(&[][..], |proposal| &proposal.isr);
        let mut least = self.local_end;
        for follower in &self.followers {
            if follower.log_end < least
                && (self.isr.contains(&follower.id)
                    || proposed.contains(&follower.id)
                    || follower.alive && self.is_caught_up(follower, now))
            {
                least = follower.log_end;
            }
        }
        self.high_watermark = self.high_watermark.max(least);
    }

    /// The change of the in-sync replicas that is due, if none is under way. It stays under way until
    /// [`ReplicaSet::update`] or [`ReplicaSet::refused`]. Those that lag go before others come.
    pub fn propose(&mut self, now: Millis) -> Option<IsrProposal> {
        if self.proposed.is_some() {
            return None;
        }
        let lags = |id: &BrokerId| {
            let follower = self.followers.iter().find(|follower| follower.id == *id);
            *id != self.local && follower.is_none_or(|follower| !self.is_caught_up(follower, now))
        };
        let mut isr: Vec<BrokerId> = self.isr.iter().filter(|id| !lags(id)).copied().collect();
        if isr.len() == self.isr.len() {
            let joining = self.followers.iter().filter(|follower| self.may_join(follower));
            isr.extend(joining.map(|follower| follower.id));
            isr.sort_unstable();
        }
        if isr == self.isr {
            return None;
        }
        let (leader_epoch, partition_epoch) = (self.leader_epoch, self.partition_epoch);
        let proposal = IsrProposal { isr, leader_epoch, partition_epoch };
        self.proposed = Some(proposal.clone());
        Some(proposal)
    }

    fn may_join(&self, follower: &Follower) -> bool {
        follower.alive
            && !self.isr.contains(&follower.id)
            && follower.log_end >= self.high_watermark
            && follower.log_end >= self.epoch_start
    }

    /// The metadata certainly do not take what was proposed, neither now nor later. It may be proposed
    /// again. When in doubt, wait for [`ReplicaSet::update`].
    pub fn refused(&mut self, now: Millis) {
        self.proposed = None;
        self.advance(now);
    }
}
