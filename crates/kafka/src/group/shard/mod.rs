//! The machine: all groups of one partition of `__consumer_offsets`.
//!
//! # Order
//! A command is decided on what the machine has, its records are appended, and only then, if the
//! append succeeded, does the machine change: records are applied in the order in which they are in
//! the log, by the same code that applies them when the log is read again. Between append and
//! replication the machine is ahead of what other nodes have; whoever runs it holds every answer back
//! until all that was appended before it is replicated, so nobody is told what could still be lost.

mod administer;
mod consumer;
mod load;
mod member;
mod membership;
mod offsets;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::administer::{GroupKind, GroupOverview};
pub use self::offsets::CommitOutcome;

use self::membership::Membership;
use super::classic::ClassicGroup;
use super::machine::{Context, GroupId};
use super::offsets::Offsets;

/// A group: who is in it, and what it has committed.
#[derive(Clone, Debug)]
struct Group {
    membership: Membership,
    offsets: Offsets,
    /// Under which deadline the group is in `Shard::timers`; not later than its next one.
    timer: Option<Duration>,
}

impl Group {
    fn new(id: GroupId, cx: &Context<'_>) -> Self {
        let membership = Membership::Classic(ClassicGroup::new(id, cx.now.wall));
        Group { membership, offsets: Offsets::default(), timer: None }
    }

    /// Nobody and nothing is in it, and no record speaks of it.
    fn is_nothing(&self) -> bool {
        self.offsets.is_empty() && self.membership.is_vacant() && self.membership.is_unwritten()
    }
}

/// All groups of one partition of `__consumer_offsets`.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    groups: BTreeMap<GroupId, Group>,
    /// When to look at which group.
    timers: BTreeSet<(Duration, GroupId)>,
    /// The groups that open transactions have written offsets for, by producer id.
    producers: BTreeMap<i64, BTreeSet<GroupId>>,
    /// When to look for offsets that have outlived their retention.
    retention_check: Duration,
}

impl Shard {
    /// When `tick` has something to do, at the latest, in uptime.
    pub fn next_deadline(&self) -> Duration {
        match self.timers.first() {
            Some((at, _)) => self.retention_check.min(*at),
            None => self.retention_check,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        let is_due = |(at, _): &&(Duration, GroupId)| *at <= cx.now.uptime;
        let due: Vec<_> = self.timers.iter().take_while(is_due).cloned().collect();
        for timer in due {
            self.timers.remove(&timer);
            if let Some(group) = self.groups.get_mut(&timer.1) {
                group.timer = None;
            }
            self.expire_members(&timer.1, cx);
            self.settle(&timer.1, cx);
        }
        if self.retention_check <= cx.now.uptime {
            self.retention_check = cx.now.uptime + cx.config.offsets_retention_check_interval;
            self.expire_offsets(cx);
        }
    }

    fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    fn expire_members(&mut self, id: &str, cx: &mut Context<'_>) {
        match self.groups.get_mut(id).map(|group| &mut group.membership) {
            Some(Membership::Classic(group)) => group.expire(cx),
            Some(Membership::Consumer(_)) => self.expire_consumers(id, cx),
            None => {}
        }
    }

    fn group_or_new(&mut self, id: &str, cx: &Context<'_>) -> &mut Group {
        if !self.groups.contains_key(id) {
            let id: GroupId = id.into();
            self.groups.insert(id.clone(), Group::new(id, cx));
        }
        self.groups.get_mut(id).expect("it was just put there")
    }

    /// After a command: does what is due in the group at once, and notes when to look at it again.
    fn settle(&mut self, id: &str, cx: &mut Context<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if group.membership.next_deadline().is_some_and(|at| at <= cx.now.uptime) {
            self.expire_members(id, cx);
        }
        let Some(group) = self.groups.get_mut(id) else { return };
        let next = group.membership.next_deadline();
        let timer = std::mem::replace(&mut group.timer, next);
        let is_nothing = group.is_nothing();
        if timer != next || is_nothing {
            let Some((id, _)) = self.groups.get_key_value(id) else { return };
            let id = id.clone();
            if let Some(timer) = timer {
                self.timers.remove(&(timer, id.clone()));
            }
            if is_nothing {
                self.groups.remove(&id);
            } else if let Some(next) = next {
                self.timers.insert((next, id));
            }
        }
    }
}
