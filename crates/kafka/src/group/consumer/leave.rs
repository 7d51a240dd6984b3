//! Members go.

use std::sync::Arc;
use std::time::Duration;

use super::super::error::GroupError;
use super::super::record::{CurrentAssignment, Partitions, Record};
use super::{
    ConsumerGroup, ConsumerHeartbeat, ConsumerHeartbeatAnswer, LEAVE_STATIC_EPOCH, TopicView,
};

impl ConsumerGroup {
    /// Works a farewell out: what is to be written, and the answer.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`.
    pub(crate) fn leave(
        &self,
        request: &ConsumerHeartbeat,
        topics: &dyn TopicView,
    ) -> Result<(Vec<Record>, ConsumerHeartbeatAnswer), GroupError> {
        let unknown = GroupError::UnknownMemberId;
        let named = self.members.get_key_value(request.member_id.as_str());
        let id = match &request.instance_id {
            None => named.ok_or(unknown)?.0,
            Some(instance_id) => match self.statics.get(instance_id).ok_or(unknown)? {
                holder if **holder == *request.member_id => holder,
                _ => return Err(GroupError::FencedInstanceId),
            },
        };
        let records = match request.member_epoch {
            LEAVE_STATIC_EPOCH => self.absent(id),
            _ => self.removal(std::slice::from_ref(id), topics),
        };
        let answer = ConsumerHeartbeatAnswer {
            member_id: id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval: Duration::ZERO,
            assignment: None,
        };
        Ok((records, answer))
    }

    /// A static member will be back: what it has stays its own.
    fn absent(&self, id: &Arc<str>) -> Vec<Record> {
        let Some(member) = self.members.get(id) else { return Vec::new() };
        let value = CurrentAssignment {
            epoch: LEAVE_STATIC_EPOCH,
            pending_revocation: Partitions::new(),
            ..member.current.clone()
        };
        let (group, member) = (self.id.clone(), id.clone());
        vec![Record::ConsumerCurrent { group, member, value: Some(value) }]
    }

    /// What is to be written for members whose time is over.
    pub(crate) fn expire(&self, now: Duration, topics: &dyn TopicView) -> Vec<Record> {
        let overdue = self.overdue(now);
        for member in &overdue {
            tracing::info!(group = &*self.id, member = &**member, "fenced");
        }
        match overdue.is_empty() {
            true => Vec::new(),
            false => self.removal(&overdue, topics),
        }
    }

    /// What removes members, and begins a new epoch of the group.
    fn removal(&self, gone: &[Arc<str>], topics: &dyn TopicView) -> Vec<Record> {
        let mut records = Vec::new();
        let mut after = self.clone();
        for id in gone {
            self.remove_records(id, &mut records);
        }
        for record in &records {
            after.apply(record.clone());
        }
        let now = after.subscribed_topics(topics);
        if now != self.topics {
            records.push(self.topics_record(&now));
        }
        let group = self.id.clone();
        records.push(Record::ConsumerGroup { group, epoch: Some(self.epoch + 1) });
        records
    }
}
