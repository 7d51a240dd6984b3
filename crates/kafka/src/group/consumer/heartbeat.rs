//! ConsumerGroupHeartbeat of members that stay or come.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::error::GroupError;
use super::super::record::{
    ConsumerMember, CurrentAssignment, Partitions, Record, TopicId, TopicPartitionCount,
};
use super::assign::Reader;
use super::reconcile::split;
use super::{Assignor, ConsumerGroup, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member, TopicView};

/// ConsumerGroupHeartbeat. `None` means: as said before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The member's id. In version 0 a new member may have none; from version 1 on members name
    /// themselves.
    pub member_id: String,
    /// Whether the member must have named itself: version 1 on.
    pub require_member_id: bool,
    /// The member's epoch: 0 to join, -1 to leave, -2 for a static member that will be back.
    pub member_epoch: i32,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// How long the member may take to let partitions go.
    pub rebalance_timeout_ms: Option<i32>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// The topics that it reads.
    pub topics: Option<Vec<String>>,
    /// A regular expression for more of them, which must be absent or empty.
    pub topic_regex: Option<String>,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// The partitions that it has.
    pub owned: Option<Partitions>,
}

/// The answer to ConsumerGroupHeartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatAnswer {
    /// The member's id.
    pub member_id: Arc<str>,
    /// Its epoch.
    pub member_epoch: i32,
    /// When to send the next one; zero if it has left.
    pub heartbeat_interval: Duration,
    /// What it may read, if that is news.
    pub assignment: Option<Partitions>,
}

impl ConsumerHeartbeat {
    /// Whether this is a farewell.
    pub(crate) fn leaves(&self) -> bool {
        matches!(self.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH)
    }

    /// Checks what can be checked without the group.
    ///
    /// # Errors
    /// `InvalidRequest`, `UnsupportedAssignor`.
    pub(crate) fn check(&self) -> Result<(), GroupError> {
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        let names_itself = !self.member_id.is_empty();
        let is_valid = match self.member_epoch {
            0 => {
                (names_itself || !self.require_member_id)
                    && self.rebalance_timeout_ms.is_some()
                    && self.owned.as_ref().is_some_and(Partitions::is_empty)
                    && self.topics.as_ref().is_some_and(|topics| !topics.is_empty())
            }
            LEAVE_STATIC_EPOCH => names_itself && self.instance_id.is_some(),
            LEAVE_EPOCH | 1.. => names_itself,
            _ => false,
        };
        let has_regex = self.topic_regex.as_ref().is_some_and(|regex| !regex.is_empty());
        if !is_valid || is_empty(&self.instance_id) || is_empty(&self.rack_id) || has_regex {
            return Err(GroupError::InvalidRequest);
        }
        match &self.assignor {
            Some(name) if Assignor::of_name(name).is_none() => Err(GroupError::UnsupportedAssignor),
            _ => Ok(()),
        }
    }

    /// Whether the member says everything, and so is told everything.
    fn is_full(&self) -> bool {
        self.member_epoch == 0
            || self.rebalance_timeout_ms.is_some() && self.topics.is_some() && self.owned.is_some()
    }
}

/// A group while a heartbeat is being worked on: what there is, and the records that change it.
struct Draft<'a> {
    group: Cow<'a, ConsumerGroup>,
    records: Vec<Record>,
}

impl Draft<'_> {
    fn write(&mut self, record: Record) {
        self.group.to_mut().apply(record.clone());
        self.records.push(record);
    }
}

impl ConsumerGroup {
    /// Works a heartbeat of a member that stays or comes out: what is to be written, and the answer.
    /// `fresh` is an id that nobody had before, should the member need one.
    ///
    /// # Errors
    /// `GroupMaxSizeReached`, `UnknownMemberId`, `FencedMemberEpoch`, `UnreleasedInstanceId`,
    /// `FencedInstanceId`.
    pub(crate) fn heartbeat(
        &self,
        request: &ConsumerHeartbeat,
        fresh: &str,
        topics: &dyn TopicView,
        max_size: usize,
        interval: Duration,
    ) -> Result<(Vec<Record>, ConsumerHeartbeatAnswer), GroupError> {
        let id: Arc<str> = match request.member_id.as_str() {
            "" => fresh.into(),
            id => id.into(),
        };
        if self.members.len() >= max_size && !self.members.contains_key(&id) {
            return Err(GroupError::GroupMaxSizeReached);
        }
        let mut draft = Draft { group: Cow::Borrowed(self), records: Vec::new() };
        self.admit(&id, request, &mut draft)?;
        let had = draft.group.members.get(&id).map(|member| member.current.assigned.clone());
        let bump = subscribe(&id, request, &mut draft);
        draft.refresh_topics(topics, bump);
        draft.assign();
        let current = draft.progress(&id, request.owned.as_ref())?;
        let is_news = had.unwrap_or_default() != current.assigned;
        let answer = ConsumerHeartbeatAnswer {
            member_id: id,
            member_epoch: current.epoch,
            heartbeat_interval: interval,
            assignment: (request.is_full() || is_news).then_some(current.assigned),
        };
        Ok((draft.records, answer))
    }

    /// Checks that the member may be who it says; a static member that is back takes its place.
    fn admit(
        &self,
        id: &Arc<str>,
        request: &ConsumerHeartbeat,
        draft: &mut Draft<'_>,
    ) -> Result<(), GroupError> {
        let joins = request.member_epoch == 0;
        if let Some(instance_id) = &request.instance_id {
            match self.statics.get(instance_id) {
                None if !joins => return Err(GroupError::UnknownMemberId),
                None => return Ok(()),
                Some(holder) if joins => return self.take_place(holder, id, draft),
                Some(holder) if holder != id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.get(id) {
            Some(member) => check_epoch(member, request),
            None if joins => Ok(()),
            None => Err(GroupError::UnknownMemberId),
        }
    }

    /// A static member is back: it has what the holder of its instance id had, who must have said that
    /// it would be back.
    fn take_place(
        &self,
        holder: &Arc<str>,
        id: &Arc<str>,
        draft: &mut Draft<'_>,
    ) -> Result<(), GroupError> {
        let Some(member) = self.members.get(holder) else { return Ok(()) };
        if member.current.epoch != LEAVE_STATIC_EPOCH {
            return Err(GroupError::UnreleasedInstanceId);
        }
        let mut removed = Vec::new();
        self.remove_records(holder, &mut removed);
        removed.into_iter().for_each(|record| draft.write(record));
        let (group, member_id) = (|| self.id.clone(), || id.clone());
        let value = Some(member.said.clone());
        draft.write(Record::ConsumerMember { group: group(), member: member_id(), value });
        let partitions = Some(self.targets.get(holder).cloned().unwrap_or_default());
        draft.write(Record::ConsumerTarget { group: group(), member: member_id(), partitions });
        let value =
            Some(CurrentAssignment { epoch: 0, previous_epoch: 0, ..member.current.clone() });
        draft.write(Record::ConsumerCurrent { group: group(), member: member_id(), value });
        Ok(())
    }
}

/// A member may be one epoch behind if it missed an answer, as long as it has nothing that it should
/// not have any more.
fn check_epoch(member: &Member, request: &ConsumerHeartbeat) -> Result<(), GroupError> {
    let current = &member.current;
    if request.member_epoch == current.epoch {
        return Ok(());
    }
    let missed_answer = request.member_epoch < current.epoch
        && request.member_epoch == current.previous_epoch
        && request.owned.as_ref().is_some_and(|of| split(of, &current.assigned).1.is_empty());
    match missed_answer {
        true => Ok(()),
        false => Err(GroupError::FencedMemberEpoch),
    }
}

/// Writes what the member says of itself, if that is news. True if it reads other topics than before.
fn subscribe(id: &Arc<str>, request: &ConsumerHeartbeat, draft: &mut Draft<'_>) -> bool {
    let member = draft.group.members.get(id);
    let before = member.map(|member| member.said.clone()).unwrap_or_default();
    let said = ConsumerMember {
        instance_id: request.instance_id.clone().or_else(|| before.instance_id.clone()),
        rack_id: request.rack_id.clone().or_else(|| before.rack_id.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics: match &request.topics {
            // In order, and each once.
            Some(topics) => topics.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect(),
            None => before.topics.clone(),
        },
        topic_regex: None,
        rebalance_timeout_ms: request.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
        assignor: request.assignor.clone().or_else(|| before.assignor.clone()),
        classic: None,
    };
    let bump = said.topics != before.topics;
    if said != before || !draft.group.members.contains_key(id) {
        let group = draft.group.id.clone();
        draft.write(Record::ConsumerMember { group, member: id.clone(), value: Some(said) });
    }
    bump
}

impl ConsumerGroup {
    /// The subscribed topics that exist.
    pub(super) fn subscribed_topics(
        &self,
        topics: &dyn TopicView,
    ) -> BTreeMap<String, (TopicId, i32)> {
        let names = self.members.values().flat_map(|member| &member.said.topics);
        let names: BTreeSet<&String> = names.collect();
        names.into_iter().filter_map(|name| Some((name.clone(), topics.topic(name)?))).collect()
    }

    pub(super) fn topics_record(&self, topics: &BTreeMap<String, (TopicId, i32)>) -> Record {
        let topic = |(topic, (topic_id, partitions)): (&String, &(TopicId, i32))| {
            let (topic, topic_id, partitions) = (topic.clone(), *topic_id, *partitions);
            TopicPartitionCount { topic_id, topic, partitions }
        };
        let topics = Some(topics.iter().map(topic).collect());
        Record::ConsumerTopics { group: self.id.clone(), topics }
    }

    /// Notes which topics the group was computed from.
    pub(crate) fn note_topics(&mut self, topics: &dyn TopicView) {
        self.topics_version = Some(topics.version());
    }

    fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(assignor) = member.said.assignor.as_deref().and_then(Assignor::of_name) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        // Of equal votes the last one wins: count down so that it is the default.
        let most = votes.iter().rev().max_by_key(|(_, count)| **count);
        most.map_or(Assignor::default(), |(assignor, _)| *assignor)
    }

    /// The assignor that most members prefer, by name.
    pub(super) fn assignor_name(&self) -> &'static str {
        self.assignor().name()
    }
}

impl Draft<'_> {
    /// Begins a new epoch of the group if the member reads something else, or the topics have changed.
    fn refresh_topics(&mut self, topics: &dyn TopicView, mut bump: bool) {
        if !bump && self.group.topics_version == Some(topics.version()) {
            return;
        }
        let now = self.group.subscribed_topics(topics);
        if now != self.group.topics {
            bump = true;
            self.write(self.group.topics_record(&now));
        }
        if bump {
            let group = self.group.id.clone();
            let epoch = Some(self.group.epoch + 1);
            self.write(Record::ConsumerGroup { group, epoch });
        }
    }

    /// Computes the target assignment, if it is not that of the group's epoch.
    fn assign(&mut self) {
        if self.group.epoch <= self.group.target_epoch {
            return;
        }
        let group = &*self.group;
        let topics: BTreeMap<TopicId, i32> = group.topics.values().copied().collect();
        let reader = |(id, member): (&Arc<str>, &Member)| {
            let names = member.said.topics.iter();
            let reader = Reader {
                instance_id: member.said.instance_id.clone(),
                topics: names.filter_map(|name| Some(group.topics.get(name)?.0)).collect(),
                before: group.targets.get(id).cloned().unwrap_or_default(),
            };
            (id.clone(), reader)
        };
        let readers = group.members.iter().map(reader).collect();
        let shares = group.assignor().assign(&topics, &readers);
        let changed = shares.into_iter().filter(|(id, share)| group.targets.get(id) != Some(share));
        let changed: Vec<_> = changed.collect();
        let (id, epoch) = (self.group.id.clone(), self.group.epoch);
        for (member, share) in changed {
            let (group, partitions) = (id.clone(), Some(share));
            self.write(Record::ConsumerTarget { group, member, partitions });
        }
        self.write(Record::ConsumerTargetEpoch { group: id, epoch: Some(epoch) });
    }

    /// Brings the member nearer to its target.
    fn progress(
        &mut self,
        id: &Arc<str>,
        owned: Option<&Partitions>,
    ) -> Result<CurrentAssignment, GroupError> {
        let group = &*self.group;
        let member = group.members.get(id).ok_or(GroupError::UnknownMemberId)?;
        let nothing = Partitions::new();
        let target = group.targets.get(id).unwrap_or(&nothing);
        let current = group.reconcile(member, target, owned)?;
        if current != member.current {
            let (group, member) = (group.id.clone(), id.clone());
            let value = Some(current.clone());
            // Nothing is computed from this: it need not be in the draft.
            self.records.push(Record::ConsumerCurrent { group, member, value });
        }
        Ok(current)
    }
}
