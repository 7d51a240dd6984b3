//! Why a partition does not do what it is asked.

use polyport_log::{AppendError, LogDirError, LogError, OffsetOutOfRange};

/// The partition does not answer, whatever is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// NOT_LEADER_OR_FOLLOWER: another broker leads it, or none.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// FENCED_LEADER_EPOCH: there was an election that the asker does not know of.
    #[error("an older leader epoch than the partition's")]
    FencedEpoch,
    /// UNKNOWN_LEADER_EPOCH: there was an election that this broker does not know of yet.
    #[error("a newer leader epoch than the partition's")]
    UnknownEpoch,
    /// KAFKA_STORAGE_ERROR: the disk failed, or what is on it is damaged.
    #[error("the partition's disk failed")]
    Storage,
    /// UNKNOWN_TOPIC_OR_PARTITION: it was deleted.
    #[error("the partition is gone")]
    Gone,
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// See there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// NOT_ENOUGH_REPLICAS: fewer in sync than `min.insync.replicas`.
    #[error("fewer replicas in sync than min.insync.replicas")]
    NotEnoughReplicas,
    /// The records are at fault, or their producer. Never [`AppendError::Log`].
    #[error(transparent)]
    Records(AppendError),
}

/// Why an append that was made is not acknowledged. The records may stay or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    #[error("the in-sync replicas shrank below min.insync.replicas")]
    NotEnoughReplicas,
    /// The partition ceased to be led here, failed, or was deleted.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// See there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// OFFSET_OUT_OF_RANGE.
    #[error(transparent)]
    OutOfRange(#[from] OffsetOutOfRange),
}

/// Why no offset was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListOffsetError {
    /// See there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// OFFSET_NOT_AVAILABLE: a new leader does not know yet up to where records are committed.
    #[error("the high watermark is below the start of the leader's epoch")]
    NotAvailable,
}

/// Why records were not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// See there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// POLICY_VIOLATION: `cleanup.policy` has no delete.
    #[error("the topic's cleanup.policy does not delete")]
    Policy,
    /// OFFSET_OUT_OF_RANGE: negative, or above the high watermark.
    #[error(transparent)]
    OutOfRange(#[from] OffsetOutOfRange),
}

/// Why a partition was not made or taken over.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// INCONSISTENT_TOPIC_ID: the directory belongs to another topic that had the same name.
    #[error("the partition's directory belongs to another topic of the same name")]
    OtherTopic,
    /// KAFKA_STORAGE_ERROR: no log directory works, or the partition may be in one that does not.
    #[error("no log directory for the partition")]
    Offline,
    /// KAFKA_STORAGE_ERROR.
    #[error("the disk failed")]
    Log(#[from] LogError),
}

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `log.dirs` is empty.
    #[error("no log directories")]
    NoDirs,
    /// A directory belongs to another broker or cluster.
    #[error(transparent)]
    Foreign(LogDirError),
    /// None of the directories works. The last one's error.
    #[error("no log directory can be used")]
    AllFailed(#[source] LogDirError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}
