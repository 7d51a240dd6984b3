//! What a partition's lock is over.

use std::collections::VecDeque;

use polyport_base::Millis;
use polyport_log::{Isolation, Log};
use polyport_storage::Disk;

use super::Role;
use crate::dir::Dir;
use crate::error::{AckError, Refused};
use crate::replicas::ReplicaSet;
use crate::wait::acks::AckQueue;
use crate::wait::fetch::Progress;

#[derive(Debug)]
pub(super) struct Core<D: Disk> {
    /// Or why there is none.
    pub log: Result<Log<D>, Refused>,
    pub leading: Leading,
    /// Of the newest leader that the metadata named; -1 before.
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    /// Appends above the high watermark: where they end, and their bytes.
    unreplicated: VecDeque<(i64, u64)>,
    pub replicated: AckQueue,
    pub durable: AckQueue,
    /// Grows when the log's end goes back.
    pub truncations: u64,
}

#[derive(Debug)]
pub(super) enum Leading {
    /// The metadata have said nothing yet.
    Unknown,
    No,
    Yes(Box<ReplicaSet>),
}

/// The offsets that readers see up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    high_watermark: i64,
    last_stable: i64,
}

impl<D: Disk> Core<D> {
    pub fn new(log: Result<Log<D>, Refused>) -> Self {
        Core {
            log,
            leading: Leading::Unknown,
            leader_epoch: -1,
            partition_epoch: -1,
            unreplicated: VecDeque::new(),
            replicated: AckQueue::default(),
            durable: AckQueue::default(),
            truncations: 0,
        }
    }

    pub fn usable(&self, dir: &Dir<D>) -> Result<&Log<D>, Refused> {
        if dir.is_offline() {
            return Err(Refused::Storage);
        }
        self.log.as_ref().map_err(|why| *why)
    }

    pub fn usable_mut(&mut self, dir: &Dir<D>) -> Result<&mut Log<D>, Refused> {
        if dir.is_offline() {
            return Err(Refused::Storage);
        }
        self.log.as_mut().map_err(|why| *why)
    }

    pub fn replicas(&self) -> Option<&ReplicaSet> {
        match &self.leading {
            Leading::Yes(set) => Some(set),
            Leading::Unknown | Leading::No => None,
        }
    }

    pub fn replicas_mut(&mut self) -> Result<&mut ReplicaSet, Refused> {
        match &mut self.leading {
            Leading::Yes(set) => Ok(set),
            Leading::Unknown | Leading::No => Err(Refused::NotLeader),
        }
    }

    pub fn role(&self) -> Role {
        match self.leading {
            Leading::Unknown => Role::Unknown,
            Leading::No => Role::Follower,
            Leading::Yes(_) => Role::Leader,
        }
    }

    /// Checks what an asker believes of the leader's epoch, and whether it is to be the leader that
    /// answers.
    pub fn check_asker(&self, epoch: Option<i32>, only_leader: bool) -> Result<(), Refused> {
        match epoch {
            Some(epoch) if epoch < self.leader_epoch => return Err(Refused::FencedEpoch),
            Some(epoch) if epoch > self.leader_epoch => return Err(Refused::UnknownEpoch),
            _ => {}
        }
        match self.leading {
            Leading::Yes(_) => Ok(()),
            Leading::No if !only_leader => Ok(()),
            Leading::Unknown | Leading::No => Err(Refused::NotLeader),
        }
    }

    /// The offset that this reader sees up to.
    pub fn upper(log: &Log<D>, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::LogEnd => log.log_end_offset(),
            Isolation::HighWatermark => log.high_watermark(),
            Isolation::LastStable => log.last_stable_offset(),
        }
    }

    pub fn ends(log: &Log<D>) -> Ends {
        Ends { high_watermark: log.high_watermark(), last_stable: log.last_stable_offset() }
    }

    /// Brings the high watermark to where the replicas allow it, after `appended` bytes were added to
    /// a log whose ends were `before`. Acknowledges what may be. Returns what waiting fetches are to
    /// be told.
    pub fn settle(&mut self, before: Ends, appended: u64, now: Millis) -> Progress {
        let (Ok(log), Leading::Yes(set)) = (&mut self.log, &mut self.leading) else {
            return Progress::default();
        };
        let end = log.log_end_offset();
        set.appended(end, now);
        let high_watermark = set.high_watermark();
        let mut bytes = 0;
        if high_watermark > log.high_watermark() {
            log.set_high_watermark(high_watermark);
            while let Some((_, more)) =
                self.unreplicated.pop_front_if(|(at, _)| *at <= high_watermark)
            {
                bytes += more;
            }
            if !self.replicated.is_empty() {
                let outcome =
                    if set.had_enough() { Ok(()) } else { Err(AckError::NotEnoughReplicas) };
                self.replicated.pass(high_watermark, outcome);
            }
        }
        if high_watermark >= end {
            bytes += appended;
        } else if appended > 0 {
            self.unreplicated.push_back((end, appended));
        }
        Self::progress(log, before, appended, bytes)
    }

    /// What has come in sight since the ends were `before`.
    pub fn progress(log: &Log<D>, before: Ends, appended: u64, replicated: u64) -> Progress {
        let short = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        let last_stable = if log.last_stable_offset() <= before.last_stable {
            0
        } else if before.last_stable == before.high_watermark {
            short(replicated).max(1)
        } else {
            // The end of a transaction shows all that waited for it.
            u32::MAX
        };
        let high_watermark = match log.high_watermark() > before.high_watermark {
            true => short(replicated).max(1),
            false => 0,
        };
        Progress { log_end: short(appended), high_watermark, last_stable }
    }

    /// Everything that waits for an acknowledgement is told that none will come.
    pub fn fail_acks(&mut self, why: Refused) {
        self.replicated.fail(why);
        self.durable.fail(why);
        self.unreplicated.clear();
    }

    /// Ends the log's use. Returns it, to be closed or dropped.
    pub fn take_log(&mut self, why: Refused) -> Result<Log<D>, Refused> {
        self.fail_acks(why);
        std::mem::replace(&mut self.log, Err(why))
    }
}
