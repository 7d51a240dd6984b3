//! What members of consumer groups ask for.

use super::super::consumer::{
    ConsumerGroup, ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer,
};
use super::super::error::{AppendError, GroupError};
use super::super::machine::{Context, GroupId};
use super::super::record::Record;
use super::Shard;
use super::membership::Membership;

impl Shard {
    /// ConsumerGroupHeartbeat. `fresh` is an id that nobody had before, should the member need one.
    ///
    /// # Errors
    /// `InvalidRequest`, `UnsupportedAssignor`, `GroupIdNotFound` (also if the group is a classic one
    /// with members), `GroupMaxSizeReached`, `UnknownMemberId`, `FencedMemberEpoch`,
    /// `UnreleasedInstanceId`, `FencedInstanceId`, or why it could not be written.
    pub fn consumer_heartbeat(
        &mut self,
        group: &str,
        request: &ConsumerHeartbeat,
        fresh: &str,
        cx: &mut Context<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        request.check()?;
        if group.is_empty() {
            return Err(GroupError::InvalidRequest);
        }
        let id: GroupId = group.into();
        let mut records = Vec::new();
        let new;
        let membership = match self.groups.get(group).map(|group| &group.membership) {
            Some(Membership::Consumer(consumer)) => consumer,
            Some(Membership::Classic(classic)) => {
                if request.member_epoch != 0 || !classic.is_vacant() {
                    return Err(GroupError::GroupIdNotFound);
                }
                // Nobody is in it: it becomes one of the other kind, and keeps its offsets.
                records.extend(classic.tombstones());
                new = ConsumerGroup::new(id.clone());
                &new
            }
            None if request.member_epoch == 0 => {
                new = ConsumerGroup::new(id.clone());
                &new
            }
            None => return Err(GroupError::GroupIdNotFound),
        };
        let (more, answer) = if request.leaves() {
            membership.leave(request, cx.topics)?
        } else {
            let (size, interval) =
                (cx.config.consumer_max_size, cx.config.consumer_heartbeat_interval);
            membership.heartbeat(request, fresh, cx.topics, size, interval)?
        };
        records.extend(more);
        let is_news = !records.is_empty();
        self.write(records, None, cx).map_err(AppendError::for_group)?;
        if let Some(consumer) = self.consumer_group(group)
            && !request.leaves()
        {
            consumer.note_topics(cx.topics);
            let session = cx.config.consumer_session_timeout;
            consumer.note_heartbeat(&answer.member_id, cx.now.uptime, session);
        }
        // Without news the deadlines only move away: the timer may stay.
        if is_news {
            self.settle(group, cx);
        }
        Ok(answer)
    }

    fn consumer_group(&mut self, group: &str) -> Option<&mut ConsumerGroup> {
        match &mut self.groups.get_mut(group)?.membership {
            Membership::Consumer(consumer) => Some(consumer),
            Membership::Classic(_) => None,
        }
    }

    /// Removes the members of a consumer group whose time is over.
    pub(super) fn expire_consumers(&mut self, group: &str, cx: &mut Context<'_>) {
        let Some(consumer) = self.consumer_group(group) else { return };
        let records = consumer.expire(cx.now.uptime, cx.topics);
        if let Err(error) = self.write(records, None, cx) {
            tracing::warn!(group, %error, "members were not removed");
            // Tried again soon; by then another node may lead the partition.
            if let Some(consumer) = self.consumer_group(group) {
                consumer.postpone(cx.now.uptime);
            }
        }
    }

    /// ConsumerGroupDescribe, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, also if the group is a classic one.
    pub fn describe_consumer(&self, group: &str) -> Result<ConsumerGroupDescription, GroupError> {
        match self.group(group).map(|group| &group.membership) {
            Some(Membership::Consumer(consumer)) => Ok(consumer.describe()),
            _ => Err(GroupError::GroupIdNotFound),
        }
    }

    /// Applies a record of a consumer group.
    pub(super) fn apply_consumer(&mut self, record: Record, cx: &Context<'_>) {
        let id = record.group().clone();
        let is_tombstone = record.is_tombstone();
        if is_tombstone && self.consumer_group(&id).is_none() {
            return;
        }
        let group = self.group_or_new(&id, cx);
        if let Membership::Classic(_) = group.membership {
            group.membership = Membership::Consumer(ConsumerGroup::new(id.clone()));
        }
        let Some(consumer) = self.consumer_group(&id) else { return };
        if consumer.apply(record) {
            let group = self.group_or_new(&id, cx);
            group.membership = Membership::Classic(super::ClassicGroup::new(id, cx.now.wall));
        }
    }
}
