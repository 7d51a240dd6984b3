//! The consumer protocol (KIP-848): the coordinator assigns, and brings every member from what it has
//! to what it is to have by heartbeats alone. Semantics of Kafka 3.9.
//!
//! Three epochs: the group's grows when who is in it or what they read changes; the target
//! assignment's says for which of these it was computed; a member's says which target it has reached.
//! A partition is given to a member only after its former owner has said that it has let it go.
//!
//! Everything but deadlines follows from records: a command is answered with records, computed from
//! what there is, and the group changes when they have been written and are applied.
//!
//! Absent: regular expressions (`SubscribedTopicRegex` is refused, as Kafka 3.9 does), and moving a
//! group that has members from one protocol to the other.

mod assign;
mod describe;
mod heartbeat;
mod leave;
mod reconcile;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::assign::Assignor;
pub use self::describe::{ConsumerGroupDescription, ConsumerMemberDescription, NamedPartitions};
pub use self::heartbeat::{ConsumerHeartbeat, ConsumerHeartbeatAnswer};

use super::error::GroupError;
use super::machine::GroupId;
use super::record::{
    ConsumerMember, CurrentAssignment, MemberState, Partitions, Record, TopicId,
    TopicPartitionCount,
};

/// Says that a member leaves for good.
pub const LEAVE_EPOCH: i32 = -1;
/// Says that a static member leaves and will be back: what it has stays its own.
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// The topics of the cluster, as groups see them.
pub trait TopicView: Send + Sync {
    /// Differs whenever something else may be answered.
    fn version(&self) -> u64;

    /// The id of a topic and how many partitions it has.
    fn topic(&self, name: &str) -> Option<(TopicId, i32)>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) said: ConsumerMember,
    pub(super) current: CurrentAssignment,
}

/// When a member is removed, unless something happens before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Deadlines {
    /// It was not heard of.
    session: Option<Duration>,
    /// It has not let go what it was told to, in this epoch.
    revocation: Option<(i32, Duration)>,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroup {
    id: GroupId,
    epoch: i32,
    target_epoch: i32,
    /// The subscribed topics that exist, by name.
    topics: BTreeMap<String, (TopicId, i32)>,
    members: BTreeMap<Arc<str>, Member>,
    /// Member ids by `group.instance.id`.
    statics: BTreeMap<String, Arc<str>>,
    targets: BTreeMap<Arc<str>, Partitions>,
    /// Who has each partition, or has not let it go yet.
    owners: BTreeMap<TopicId, BTreeMap<i32, Arc<str>>>,
    deadlines: BTreeMap<Arc<str>, Deadlines>,
    /// The topics that `topics` was computed from.
    topics_version: Option<u64>,
}

impl ConsumerGroup {
    pub(crate) fn new(id: GroupId) -> Self {
        ConsumerGroup {
            id,
            epoch: 0,
            target_epoch: 0,
            topics: BTreeMap::new(),
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            targets: BTreeMap::new(),
            owners: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            topics_version: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member reads the topic.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.said.topics.iter().any(|of| of == topic))
    }

    /// Applies one of the group's records; true if the group ends with it.
    pub(crate) fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::ConsumerGroup { epoch, .. } => {
                self.epoch = epoch.unwrap_or_default();
                return epoch.is_none();
            }
            Record::ConsumerTopics { topics, .. } => {
                let entry = |of: TopicPartitionCount| (of.topic, (of.topic_id, of.partitions));
                self.topics = topics.unwrap_or_default().into_iter().map(entry).collect();
            }
            Record::ConsumerMember { member, value, .. } => self.apply_member(member, value),
            Record::ConsumerTargetEpoch { epoch, .. } => {
                self.target_epoch = epoch.unwrap_or_default();
            }
            Record::ConsumerTarget { member, partitions, .. } => match partitions {
                Some(partitions) => {
                    self.targets.insert(member, partitions);
                }
                None => {
                    self.targets.remove(&member);
                }
            },
            Record::ConsumerCurrent { member, value, .. } => self.apply_current(member, value),
            Record::Offset { .. } | Record::Group { .. } => {}
        }
        false
    }

    fn apply_member(&mut self, id: Arc<str>, value: Option<ConsumerMember>) {
        match value {
            Some(said) => {
                if let Some(instance_id) = &said.instance_id {
                    self.statics.insert(instance_id.clone(), id.clone());
                }
                self.members.entry(id).or_default().said = said;
            }
            None => {
                self.disown(&id);
                self.members.remove(&id);
                self.deadlines.remove(&id);
                self.statics.retain(|_, member| *member != id);
            }
        }
    }

    fn apply_current(&mut self, id: Arc<str>, value: Option<CurrentAssignment>) {
        self.disown(&id);
        // It is in another epoch: what it had to do in the last one is done, or is forgiven.
        if let Some(deadlines) = self.deadlines.get_mut(&id) {
            let epoch = value.as_ref().map(|current| current.epoch);
            deadlines.revocation = deadlines.revocation.filter(|(of, _)| Some(*of) == epoch);
        }
        let Some(current) = value else {
            if let Some(member) = self.members.get_mut(&id) {
                member.current = CurrentAssignment::default();
            }
            return;
        };
        for (topic, partitions) in current.assigned.iter().chain(&current.pending_revocation) {
            let owners = self.owners.entry(*topic).or_default();
            owners.extend(partitions.iter().map(|partition| (*partition, id.clone())));
        }
        self.members.entry(id).or_default().current = current;
    }

    /// Notes that a member has nothing any more.
    fn disown(&mut self, id: &str) {
        let Some(member) = self.members.get(id) else { return };
        let current = &member.current;
        for (topic, partitions) in current.assigned.iter().chain(&current.pending_revocation) {
            let Some(owners) = self.owners.get_mut(topic) else { continue };
            for partition in partitions {
                if owners.get(partition).is_some_and(|owner| **owner == *id) {
                    owners.remove(partition);
                }
            }
            if owners.is_empty() {
                self.owners.remove(topic);
            }
        }
    }

    fn is_owned(&self, topic: TopicId, partition: i32) -> bool {
        self.owners.get(&topic).is_some_and(|owners| owners.contains_key(&partition))
    }

    /// Takes the group off the log.
    pub(crate) fn tombstones(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for member in self.members.keys() {
            self.remove_records(member, &mut records);
        }
        let group = || self.id.clone();
        records.push(Record::ConsumerTargetEpoch { group: group(), epoch: None });
        records.push(Record::ConsumerTopics { group: group(), topics: None });
        records.push(Record::ConsumerGroup { group: group(), epoch: None });
        records
    }

    fn remove_records(&self, member: &Arc<str>, records: &mut Vec<Record>) {
        let (group, member) = (|| self.id.clone(), || member.clone());
        records.push(Record::ConsumerCurrent { group: group(), member: member(), value: None });
        records.push(Record::ConsumerTarget { group: group(), member: member(), partitions: None });
        records.push(Record::ConsumerMember { group: group(), member: member(), value: None });
    }

    /// Checks who commits offsets.
    ///
    /// # Errors
    /// `UnknownMemberId`, `StaleMemberEpoch`.
    pub(crate) fn check_commit(&self, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_epoch(member_id, epoch)
    }

    /// Checks who asks for offsets.
    ///
    /// # Errors
    /// `UnknownMemberId`, `StaleMemberEpoch`.
    pub(crate) fn check_fetch(
        &self,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), GroupError> {
        match member_id {
            None if epoch < 0 => Ok(()),
            member_id => self.check_epoch(member_id.unwrap_or_default(), epoch),
        }
    }

    fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        let member = self.members.get(member_id).ok_or(GroupError::UnknownMemberId)?;
        match member.current.epoch == epoch {
            true => Ok(()),
            false => Err(GroupError::StaleMemberEpoch),
        }
    }

    fn is_reconciled(&self, member: &Member) -> bool {
        member.current.state == MemberState::Stable && member.current.epoch == self.target_epoch
    }

    /// As ListGroups and ConsumerGroupDescribe say it.
    pub(crate) fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(|member| self.is_reconciled(member)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The log has been read: members are given a session's time to be heard of.
    pub(crate) fn on_loaded(&mut self, now: Duration, session: Duration) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.note_heartbeat(&id, now, session);
        }
    }

    /// A heartbeat of a member was answered: its deadlines move.
    pub(crate) fn note_heartbeat(&mut self, id: &str, now: Duration, session: Duration) {
        let Some((id, member)) = self.members.get_key_value(id) else { return };
        let deadlines = self.deadlines.entry(id.clone()).or_default();
        deadlines.session = Some(now + session);
        deadlines.revocation = match member.current.state {
            MemberState::UnrevokedPartitions => {
                let timeout = member.said.rebalance_timeout_ms.max(0).unsigned_abs();
                let begun =
                    deadlines.revocation.filter(|(epoch, _)| *epoch == member.current.epoch);
                begun.or(Some((member.current.epoch, now + Duration::from_millis(timeout.into()))))
            }
            _ => None,
        };
    }

    /// When somebody's time is over, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let all = self.deadlines.values();
        all.flat_map(|of| [of.session, of.revocation.map(|(_, at)| at)]).flatten().min()
    }

    /// The members whose time is over.
    fn overdue(&self, now: Duration) -> Vec<Arc<str>> {
        let is_over = |(_, of): &(&Arc<str>, &Deadlines)| {
            of.session.is_some_and(|at| at <= now) || of.revocation.is_some_and(|(_, at)| at <= now)
        };
        self.deadlines.iter().filter(is_over).map(|(id, _)| id.clone()).collect()
    }

    /// Those whose time is over could not be removed: they have another second.
    pub(crate) fn postpone(&mut self, now: Duration) {
        let soon = now + Duration::from_secs(1);
        for of in self.deadlines.values_mut() {
            of.session = of.session.map(|at| at.max(soon));
            of.revocation = of.revocation.map(|(epoch, at)| (epoch, at.max(soon)));
        }
    }
}
