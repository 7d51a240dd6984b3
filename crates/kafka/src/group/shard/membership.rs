//! Who is in a group, by whichever protocol.

use std::time::Duration;

use super::super::classic::{ClassicGroup, ClassicState};
use super::super::consumer::ConsumerGroup;
use super::super::error::GroupError;
use super::super::machine::Context;
use super::super::offsets::{CommitOffsets, Expiry};
use super::super::record::Record;
use super::GroupKind;

/// The members of a group.
#[derive(Clone, Debug)]
pub(super) enum Membership {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Membership {
    pub(super) fn kind(&self) -> GroupKind {
        match self {
            Membership::Classic(_) => GroupKind::Classic,
            Membership::Consumer(_) => GroupKind::Consumer,
        }
    }

    pub(super) fn state(&self) -> &'static str {
        match self {
            Membership::Classic(group) => group.state().name(),
            Membership::Consumer(group) => group.state(),
        }
    }

    pub(super) fn protocol_type(&self) -> &str {
        match self {
            Membership::Classic(group) => group.protocol_type(),
            Membership::Consumer(_) => super::super::classic::CONSUMER,
        }
    }

    /// No members. Some may be on their way.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Membership::Classic(group) => group.state() == ClassicState::Empty,
            Membership::Consumer(group) => group.is_empty(),
        }
    }

    /// No members, nor any on their way.
    pub(super) fn is_vacant(&self) -> bool {
        match self {
            Membership::Classic(group) => group.is_vacant(),
            Membership::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether the log says nothing of the members.
    pub(super) fn is_unwritten(&self) -> bool {
        match self {
            Membership::Classic(group) => group.generation() == 0,
            Membership::Consumer(_) => false,
        }
    }

    pub(super) fn tombstones(&self) -> Vec<Record> {
        match self {
            Membership::Classic(group) => group.tombstones(),
            Membership::Consumer(group) => group.tombstones(),
        }
    }

    /// Whether the members' metadata say which topics they read.
    pub(super) fn knows_topics(&self) -> bool {
        match self {
            Membership::Classic(group) => group.is_consumer(),
            Membership::Consumer(_) => true,
        }
    }

    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Membership::Classic(group) => group.is_subscribed(topic),
            Membership::Consumer(group) => group.is_subscribed(topic),
        }
    }

    pub(super) fn expiry<'a>(&self, subscribed: &'a dyn Fn(&str) -> bool) -> Expiry<'a> {
        match self {
            Membership::Classic(group) => group.expiry(subscribed),
            Membership::Consumer(_) => Expiry::Unsubscribed(subscribed),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Membership::Classic(group) => group.next_deadline(),
            Membership::Consumer(group) => group.next_deadline(),
        }
    }

    /// Checks who commits offsets.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`, `RebalanceInProgress`,
    /// `StaleMemberEpoch`.
    pub(super) fn check_commit(
        &mut self,
        request: &CommitOffsets,
        in_transaction: bool,
        cx: &Context<'_>,
    ) -> Result<(), GroupError> {
        let CommitOffsets { member_id, instance_id, generation, .. } = request;
        match self {
            Membership::Classic(group) => {
                let instance_id = instance_id.as_deref();
                group.check_commit(member_id, instance_id, *generation, in_transaction, cx)
            }
            Membership::Consumer(group) => match group.check_commit(member_id, *generation) {
                // Producers know of generations only.
                Err(GroupError::StaleMemberEpoch) if in_transaction => {
                    Err(GroupError::IllegalGeneration)
                }
                outcome => outcome,
            },
        }
    }
}
