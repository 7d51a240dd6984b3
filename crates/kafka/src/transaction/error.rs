//! Why a request about a transaction was refused.

use crate::internal::log::AppendError;
use crate::internal::replication::Withheld;

/// Kafka's errors of transaction coordination. The server gives each its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The transactional id is empty, or the request contradicts itself.
    #[error("the request is invalid")]
    InvalidRequest,
    /// Not above zero, or above `transaction.max.timeout.ms`.
    #[error("the transaction timeout is not within the limits")]
    InvalidTransactionTimeout,
    /// The transactional id is unknown, or has another producer id.
    #[error("the producer id is not the transactional id's")]
    InvalidProducerIdMapping,
    /// A newer producer has taken the transactional id over, or the coordinator has aborted.
    #[error("the producer was fenced")]
    ProducerFenced,
    /// As `ProducerFenced`, to clients that are too old for it.
    #[error("the producer's epoch is an old one")]
    InvalidProducerEpoch,
    /// The transaction cannot end like this.
    #[error("the transaction is not in a state for this")]
    InvalidTxnState,
    /// The transaction before is being ended: the client is to try again.
    #[error("a transaction of this id is being ended")]
    ConcurrentTransactions,
    /// The partition is not in the transaction: the client may abort it and go on.
    #[error("the transaction has to be aborted")]
    TransactionAbortable,
    /// Nobody has this transactional id.
    #[error("the transactional id does not exist")]
    TransactionalIdNotFound,
    /// The transactional id's partition is not led here.
    #[error("this broker does not coordinate the transactional id")]
    NotCoordinator,
    /// The transactional id's partition is being read, or there is no producer id at hand.
    #[error("the coordinator is loading")]
    CoordinatorLoadInProgress,
    /// The coordinator cannot serve now: too few replicas, or they are too slow.
    #[error("the coordinator is not available")]
    CoordinatorNotAvailable,
    /// Anything that the client can do nothing about.
    #[error("the server failed")]
    UnknownServerError,
}

impl TransactionError {
    /// What clients are told that do not know PRODUCER_FENCED: those that speak InitProducerId below
    /// version 4, or AddPartitionsToTxn, AddOffsetsToTxn or EndTxn below version 2.
    #[must_use]
    pub fn before_producer_fenced(self) -> Self {
        match self {
            TransactionError::ProducerFenced => TransactionError::InvalidProducerEpoch,
            error => error,
        }
    }
}

impl From<AppendError> for TransactionError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NotLeader => TransactionError::NotCoordinator,
            AppendError::NotEnoughReplicas => TransactionError::CoordinatorNotAvailable,
            // What fences markers does not concern the coordinator's own records.
            AppendError::TooLarge
            | AppendError::ProducerFenced
            | AppendError::NotVerified
            | AppendError::CoordinatorFenced => TransactionError::UnknownServerError,
        }
    }
}

impl From<Withheld> for TransactionError {
    fn from(error: Withheld) -> Self {
        match error {
            Withheld::NotEnoughReplicas => TransactionError::CoordinatorNotAvailable,
            Withheld::NotLeader => TransactionError::NotCoordinator,
        }
    }
}
