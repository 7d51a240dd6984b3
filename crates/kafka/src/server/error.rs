//! Every room's errors as Kafka numbers them.

use polyport_kafka_codec::ErrorCode;
use polyport_log::AppendError;
use polyport_log::batch::{BatchError, RecordFault};
use polyport_log::producer::ProducerError;
use polyport_partitions::{
    AckError, DeleteRecordsError, FetchError, ListOffsetError, ProduceError, Refused,
};
use polyport_tree::client::ClientError;

use super::fetch_session;
use crate::group::GroupError;
use crate::metadata::leaders::LeaderError;
use crate::metadata::topics::TopicError;
use crate::quota::change::QuotaError;
use crate::security::acl::AclError;
use crate::transaction::TransactionError;
use crate::transaction::coordinator::MarkerError;

/// An error that has a number on the wire.
pub(crate) trait Code {
    /// The number.
    fn code(&self) -> ErrorCode;
}

/// The number of an outcome: 0 for none.
pub(super) fn code_of<T, E: Code>(outcome: &Result<T, E>) -> i16 {
    match outcome {
        Ok(_) => ErrorCode::None.code(),
        Err(error) => error.code().code(),
    }
}

impl Code for Refused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::FencedEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::Storage => ErrorCode::KafkaStorageError,
            Self::Gone => ErrorCode::UnknownTopicOrPartition,
        }
    }
}

impl Code for ProduceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
            Self::Records(error) => error.code(),
        }
    }
}

impl Code for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Batch(error) => error.code(),
            Self::Records(rejected) => {
                let late = |fault| matches!(fault, RecordFault::Timestamp(_));
                match rejected.iter().all(|record| late(record.fault)) {
                    true => ErrorCode::InvalidTimestamp,
                    false => ErrorCode::InvalidRecord,
                }
            }
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::ListTooLarge { .. } => ErrorCode::RecordListTooLarge,
            Self::NotOneBatch | Self::OutOfOrder { .. } => ErrorCode::InvalidRecord,
            Self::Producer(error) => error.code(),
            Self::Log(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl Code for BatchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Incomplete { .. } | Self::Length(_) | Self::Crc { .. } => {
                ErrorCode::CorruptMessage
            }
            Self::Compression { .. } => ErrorCode::CorruptMessage,
            Self::Magic(_) => ErrorCode::UnsupportedForMessageFormat,
            Self::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Codec(_) | Self::Record(_) | Self::Inconsistent(_) => ErrorCode::InvalidRecord,
        }
    }
}

impl Code for ProducerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::NotTransactional { .. } | Self::NotVerified { .. } => ErrorCode::InvalidTxnState,
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl Code for AckError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotEnoughReplicas => ErrorCode::NotEnoughReplicasAfterAppend,
            Self::Refused(refused) => refused.code(),
        }
    }
}

impl Code for FetchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::OutOfRange(_) => ErrorCode::OffsetOutOfRange,
        }
    }
}

impl Code for ListOffsetError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::NotAvailable => ErrorCode::OffsetNotAvailable,
        }
    }
}

impl Code for DeleteRecordsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::Policy => ErrorCode::PolicyViolation,
            Self::OutOfRange(_) => ErrorCode::OffsetOutOfRange,
        }
    }
}

impl Code for fetch_session::Refused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::FetchSessionIdNotFound,
            Self::Epoch => ErrorCode::InvalidFetchSessionEpoch,
            Self::TopicId => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

impl Code for TopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidName(_) => ErrorCode::InvalidTopicException,
            Self::Exists(_) => ErrorCode::TopicAlreadyExists,
            Self::Unknown(_) => ErrorCode::UnknownTopicOrPartition,
            Self::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
            Self::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
            Self::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::InvalidConfig(_) => ErrorCode::InvalidConfig,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::ReassignmentInProgress(_) => ErrorCode::ReassignmentInProgress,
            Self::NoReassignmentInProgress(_) => ErrorCode::NoReassignmentInProgress,
            Self::Tree(error) => error.code(),
            Self::Randomness(_) => ErrorCode::UnknownServerError,
        }
    }
}

impl Code for LeaderError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::UnknownTopicOrPartition,
            Self::Deleting => ErrorCode::InvalidTopicException,
            Self::NotNeeded => ErrorCode::ElectionNotNeeded,
            Self::PreferredNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
            Self::NoneAvailable => ErrorCode::EligibleLeadersNotAvailable,
            Self::Stale => ErrorCode::RequestTimedOut,
            Self::Ineligible(_) => ErrorCode::IneligibleReplica,
            Self::Tree(error) => error.code(),
        }
    }
}

impl Code for ClientError {
    fn code(&self) -> ErrorCode {
        match self {
            // Another change came in between, or the tree has no majority now: try again.
            Self::Refused { .. } | Self::Unknown => ErrorCode::RequestTimedOut,
            Self::TooLong(_) => ErrorCode::InvalidRequest,
            Self::Closed => ErrorCode::NotController,
        }
    }
}

impl Code for AclError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::Tree(error) => error.code(),
        }
    }
}

impl Code for GroupError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            Self::InvalidGroupId => ErrorCode::InvalidGroupId,
            Self::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            Self::UnknownMemberId => ErrorCode::UnknownMemberId,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::IllegalGeneration => ErrorCode::IllegalGeneration,
            Self::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::FencedInstanceId => ErrorCode::FencedInstanceId,
            Self::UnreleasedInstanceId => ErrorCode::UnreleasedInstanceId,
            Self::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
            Self::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
            Self::UnsupportedAssignor => ErrorCode::UnsupportedAssignor,
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Self::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            Self::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            Self::InvalidCommitOffsetSize => ErrorCode::InvalidCommitOffsetSize,
            Self::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
            Self::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTxnState => ErrorCode::InvalidTxnState,
            Self::TransactionCoordinatorFenced => ErrorCode::TransactionCoordinatorFenced,
            Self::UnknownServerError => ErrorCode::UnknownServerError,
        }
    }
}

impl Code for QuotaError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::UnknownKind(_) => ErrorCode::UnsupportedVersion,
        }
    }
}

impl Code for MarkerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable => ErrorCode::NotLeaderOrFollower,
            Self::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
            Self::Gone => ErrorCode::UnknownTopicOrPartition,
            Self::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            Self::CoordinatorFenced => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl Code for TransactionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::InvalidTransactionTimeout => ErrorCode::InvalidTransactionTimeout,
            Self::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            Self::ProducerFenced => ErrorCode::ProducerFenced,
            Self::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTxnState => ErrorCode::InvalidTxnState,
            Self::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            Self::TransactionAbortable => ErrorCode::TransactionAbortable,
            Self::TransactionalIdNotFound => ErrorCode::TransactionalIdNotFound,
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            Self::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::UnknownServerError => ErrorCode::UnknownServerError,
        }
    }
}
