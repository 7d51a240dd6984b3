//! Why a request about a group was refused.

pub use crate::internal::log::AppendError;
use crate::internal::replication::Withheld;

/// Kafka's errors of group coordination. The server gives each its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group's partition is not led here.
    #[error("this broker does not coordinate the group")]
    NotCoordinator,
    /// The coordinator cannot serve the group now: too few replicas, or they are too slow.
    #[error("the coordinator is not available")]
    CoordinatorNotAvailable,
    /// The group's partition is being read.
    #[error("the coordinator is loading the group")]
    CoordinatorLoadInProgress,
    /// Null, or empty where a name is needed.
    #[error("the group id is invalid")]
    InvalidGroupId,
    /// No such group.
    #[error("the group does not exist")]
    GroupIdNotFound,
    /// The group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// The group has as many members as it may have.
    #[error("the group is full")]
    GroupMaxSizeReached,
    /// No such member in the group.
    #[error("the group does not know the member")]
    UnknownMemberId,
    /// The member is to join again with the id that it was given.
    #[error("the member has to join with the id that it was given")]
    MemberIdRequired,
    /// The generation is not the group's.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// No protocol that all members have, or not the group's.
    #[error("the protocols do not agree with the group's")]
    InconsistentGroupProtocol,
    /// Outside `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
    #[error("the session timeout is not within the limits")]
    InvalidSessionTimeout,
    /// The member is to join again.
    #[error("a rebalance is in progress")]
    RebalanceInProgress,
    /// Another member took this one's `group.instance.id`.
    #[error("another member has taken the instance id")]
    FencedInstanceId,
    /// A live member has this `group.instance.id`.
    #[error("the instance id belongs to a live member")]
    UnreleasedInstanceId,
    /// The member's epoch is too new, or so old that it was fenced.
    #[error("the member epoch is fenced")]
    FencedMemberEpoch,
    /// The member's epoch is not the current one.
    #[error("the member epoch is stale")]
    StaleMemberEpoch,
    /// No such assignor here.
    #[error("the assignor is not supported")]
    UnsupportedAssignor,
    /// The request contradicts itself.
    #[error("the request is invalid")]
    InvalidRequest,
    /// A member is subscribed to the topic.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// No such topic or partition.
    #[error("the topic or partition is unknown")]
    UnknownTopicOrPartition,
    /// Longer than `offset.metadata.max.bytes`.
    #[error("the metadata of the offset is too large")]
    OffsetMetadataTooLarge,
    /// The commit does not fit into one batch of the offsets topic.
    #[error("the commit is too large")]
    InvalidCommitOffsetSize,
    /// A transaction that has not ended has written an offset.
    #[error("an open transaction has written an offset")]
    UnstableOffsetCommit,
    /// The producer's epoch is an old one.
    #[error("the producer was fenced")]
    InvalidProducerEpoch,
    /// The transaction is not one that its coordinator knows of.
    #[error("the transaction is not in a state for this")]
    InvalidTxnState,
    /// The marker's coordinator is an old one.
    #[error("the transaction coordinator was fenced")]
    TransactionCoordinatorFenced,
    /// Anything that the client can do nothing about.
    #[error("the server failed")]
    UnknownServerError,
}

impl AppendError {
    /// What the client of an offset commit is told.
    pub(crate) fn for_commit(self) -> GroupError {
        match self {
            AppendError::TooLarge => GroupError::InvalidCommitOffsetSize,
            _ => self.for_group(),
        }
    }

    /// What others are told. Clients find the coordinator anew after the first two.
    pub(crate) fn for_group(self) -> GroupError {
        match self {
            AppendError::NotLeader => GroupError::NotCoordinator,
            AppendError::NotEnoughReplicas => GroupError::CoordinatorNotAvailable,
            AppendError::TooLarge => GroupError::UnknownServerError,
            AppendError::ProducerFenced => GroupError::InvalidProducerEpoch,
            AppendError::NotVerified => GroupError::InvalidTxnState,
            AppendError::CoordinatorFenced => GroupError::TransactionCoordinatorFenced,
        }
    }
}

impl From<Withheld> for GroupError {
    fn from(withheld: Withheld) -> Self {
        match withheld {
            // Clients find the coordinator anew, and replicas catch up meanwhile.
            Withheld::NotEnoughReplicas => GroupError::CoordinatorNotAvailable,
            Withheld::NotLeader => GroupError::NotCoordinator,
        }
    }
}
