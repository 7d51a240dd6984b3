//! The classic protocol: members join, a leader among them assigns, the coordinator hands the
//! assignment out. Semantics of Kafka 3.9's `GroupCoordinator`.
//!
//! A generation is written to the log when its leader brings the assignment. What happens in between,
//! who has joined and who waits, is only in memory: after a change of coordinators members join anew.
//! A group that has gone is not there; Kafka's state `Dead` is the name for that.

mod describe;
mod expire;
mod join;
mod load;
mod member;
mod rebalance;
mod subscription;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use polyport_base::Millis;

pub use self::describe::{GroupDescription, MemberDescription};
pub use self::join::{JoinGroup, JoinOutcome, JoinRefused, Joined, JoinedMember};
pub use self::member::Protocol;
pub use self::sync::{LeavingMember, SyncGroup, SyncOutcome, Synced};

use self::member::Member;
use self::rebalance::JoinTimer;
use super::error::{AppendError, GroupError};
use super::machine::{Context, GroupId};
use super::offsets::Expiry;
use super::record::{GroupValue, Record};

/// Kafka's name for groups of consumers, whose metadata say which topics they read.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group is in its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicState {
    /// No members. Offsets may remain.
    Empty,
    /// Members are joining; those that joined wait for the others.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl ClassicState {
    /// As ListGroups and DescribeGroups say it.
    pub fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }
}

/// A classic group, or one that only keeps offsets.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    id: GroupId,
    state: ClassicState,
    /// Unknown if a record of an old Kafka did not say.
    state_since: Option<Millis>,
    /// None if the group never had a member.
    protocol_type: Option<String>,
    protocol: Option<String>,
    generation: i32,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Member ids by `group.instance.id`.
    statics: BTreeMap<String, String>,
    /// Ids that were given out and have not joined yet, with when they are forgotten.
    pending: BTreeMap<String, Duration>,
    /// Members that have not asked for the generation's assignment yet.
    unsynced: BTreeSet<String>,
    /// What the members read; none if their metadata do not tell.
    subscribed: Option<BTreeSet<String>>,
    /// A member came while the first rebalance was being delayed.
    new_member_added: bool,
    join_timer: Option<JoinTimer>,
    sync_deadline: Option<Duration>,
}

impl ClassicGroup {
    pub(crate) fn new(id: GroupId, now: Millis) -> Self {
        ClassicGroup {
            id,
            state: ClassicState::Empty,
            state_since: Some(now),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            subscribed: None,
            new_member_added: false,
            join_timer: None,
            sync_deadline: None,
        }
    }

    pub(crate) fn state(&self) -> ClassicState {
        self.state
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether nothing would be lost by forgetting the group, its offsets apart.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == ClassicState::Empty && self.pending.is_empty()
    }

    fn transition(&mut self, state: ClassicState, cx: &Context<'_>) {
        self.state = state;
        self.state_since = Some(cx.now.wall);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// How long the slowest member may take.
    fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        member::millis(timeouts.max().unwrap_or(0))
    }

    fn restart_session(&mut self, member_id: &str, cx: &Context<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            let timeout = member::millis(member.session_timeout_ms);
            member.deadline = Some(cx.now.uptime + timeout);
        }
    }

    fn add(&mut self, id: &str, member: Member, protocol_type: &str) {
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), id.to_owned());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.leader.get_or_insert_with(|| id.to_owned());
        self.pending.remove(id);
        self.members.insert(id.to_owned(), member);
    }

    fn remove(&mut self, id: &str) -> Option<Member> {
        let removed = self.members.remove(id);
        if let Some(instance_id) = removed.as_ref().and_then(|member| member.instance_id.as_ref()) {
            self.statics.remove(instance_id);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending.remove(id);
        self.unsynced.remove(id);
        removed
    }

    /// Checks that a request comes from a member, and that no other has its instance id.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.statics.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(current) if current != member_id => {
                    return Err(GroupError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(GroupError::UnknownMemberId),
        }
    }

    fn check_generation(&self, generation: i32) -> Result<(), GroupError> {
        match generation == self.generation {
            true => Ok(()),
            false => Err(GroupError::IllegalGeneration),
        }
    }

    fn supported_by_all(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.supports(protocol))
    }

    /// Whether somebody with these protocols could be a member.
    fn accepts(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.supported_by_all(&protocol.name))
    }

    /// Every member votes for the first of its protocols that all support. Equal votes: the first by
    /// name. None without members.
    fn choose_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|of| self.supported_by_all(&of.name))?;
            *votes.entry(&vote.name).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.iter().find(|(_, count)| **count == most).map(|(name, _)| (*name).to_owned())
    }

    /// Whether a member reads the topic. If that is unknown, yes, to be safe.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().is_none_or(|topics| topics.contains(topic))
    }

    /// Checks who commits offsets, and counts it as a sign of life.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`, `RebalanceInProgress`.
    pub(crate) fn check_commit(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        in_transaction: bool,
        cx: &Context<'_>,
    ) -> Result<(), GroupError> {
        let is_empty = self.state == ClassicState::Empty;
        // Neither a generation nor an empty group: a consumer that manages its partitions, or a tool.
        if generation < 0 && is_empty {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.check_member(member_id, instance_id)?;
            self.check_generation(generation)?;
        } else if !in_transaction {
            // Producers of before KIP-447 do not say who they are.
            return Err(GroupError::UnknownMemberId);
        }
        if in_transaction {
            return Ok(());
        }
        if self.state == ClassicState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.restart_session(member_id, cx);
        Ok(())
    }

    /// When retention counts from.
    pub(crate) fn expiry<'a>(&self, subscribed: &'a dyn Fn(&str) -> bool) -> Expiry<'a> {
        match (&self.protocol_type, self.state) {
            (None, _) => Expiry::Commit,
            (Some(_), ClassicState::Empty) => Expiry::Since(self.state_since.map(|since| since.0)),
            (Some(_), ClassicState::Stable) if self.is_consumer() && self.subscribed.is_some() => {
                Expiry::Unsubscribed(subscribed)
            }
            _ => Expiry::Never,
        }
    }

    fn record(&self, assignment: impl Fn(&str) -> Bytes) -> Record {
        let protocol = self.protocol.clone().unwrap_or_default();
        let member = |(id, member): (&String, &Member)| member.value(id, &protocol, assignment(id));
        let value = GroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_since.map(|since| since.0),
            members: self.members.iter().map(member).collect(),
        };
        Record::Group { group: self.id.clone(), value: Some(value) }
    }

    /// What takes the group off the log, if it is on it.
    pub(crate) fn tombstones(&self) -> Vec<Record> {
        let tombstone = Record::Group { group: self.id.clone(), value: None };
        (self.generation > 0).then_some(tombstone).into_iter().collect()
    }

    /// Writes the generation with these assignments.
    fn store(
        &self,
        assignment: impl Fn(&str) -> Bytes,
        cx: &mut Context<'_>,
    ) -> Result<(), AppendError> {
        cx.append(&[self.record(assignment)]).map(|_| ())
    }
}
