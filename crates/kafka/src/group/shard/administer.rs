//! What tools ask for.

use std::sync::Arc;

use super::super::classic::GroupDescription;
use super::super::error::{AppendError, GroupError};
use super::super::machine::{Context, GroupId};
use super::Shard;
use super::membership::Membership;

/// Which protocol a group speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// JoinGroup and SyncGroup; also groups that only keep offsets.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

impl GroupKind {
    /// As ListGroups says it.
    pub fn name(self) -> &'static str {
        match self {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
        }
    }
}

/// A group, as ListGroups tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOverview {
    /// The group's id.
    pub group: GroupId,
    /// `consumer`, `connect`, …; empty if the group never had a member.
    pub protocol_type: String,
    /// The state's name.
    pub state: &'static str,
    /// Which protocol the group speaks.
    pub kind: GroupKind,
}

impl Shard {
    /// DescribeGroups: a group that is not there, or is a consumer group, is `Dead`.
    pub fn describe(&self, group: &str) -> GroupDescription {
        match self.group(group).map(|group| &group.membership) {
            Some(Membership::Classic(classic)) => classic.describe(),
            _ => GroupDescription::dead(),
        }
    }

    /// ListGroups, before filters.
    pub fn list(&self) -> impl Iterator<Item = GroupOverview> {
        self.groups.iter().map(|(id, group)| GroupOverview {
            group: id.clone(),
            protocol_type: group.membership.protocol_type().to_owned(),
            state: group.membership.state(),
            kind: group.membership.kind(),
        })
    }

    /// DeleteGroups, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, `NonEmptyGroup`, or why it could not be written.
    pub fn delete(&mut self, group: &str, cx: &mut Context<'_>) -> Result<(), GroupError> {
        let (id, of) = self.groups.get_key_value(group).ok_or(GroupError::GroupIdNotFound)?;
        if !of.membership.is_empty() {
            return Err(GroupError::NonEmptyGroup);
        }
        let id = id.clone();
        self.remove_group(&id, cx).map_err(AppendError::for_group)
    }

    /// OffsetDelete: one outcome a partition, in their order.
    ///
    /// # Errors
    /// `GroupIdNotFound`; `NonEmptyGroup` if there are members and they are no consumers; or why it
    /// could not be written.
    pub fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &[(Arc<str>, i32)],
        cx: &mut Context<'_>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let (id, of) = self.groups.get_key_value(group).ok_or(GroupError::GroupIdNotFound)?;
        let is_empty = of.membership.is_empty();
        if !is_empty && !of.membership.knows_topics() {
            return Err(GroupError::NonEmptyGroup);
        }
        let outcome =
            |(topic, _): &(Arc<str>, i32)| match is_empty || !of.membership.is_subscribed(topic) {
                true => Ok(()),
                false => Err(GroupError::GroupSubscribedToTopic),
            };
        let outcomes: Vec<_> = partitions.iter().map(outcome).collect();
        let allowed = outcomes.iter().zip(partitions).filter(|(outcome, _)| outcome.is_ok());
        let there = |(topic, partition): &(Arc<str>, i32)| {
            of.offsets.partitions_of(topic).contains(partition)
        };
        let gone: Vec<_> = allowed.map(|(_, of)| of).filter(|of| there(of)).cloned().collect();
        let id = id.clone();
        if !gone.is_empty() {
            self.remove_offsets(&id, gone, cx).map_err(AppendError::for_group)?;
        }
        Ok(outcomes)
    }
}
