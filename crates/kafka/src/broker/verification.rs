//! Whether a partition is in a transaction: what the transaction's coordinator says, wherever it is
//! (KIP-890, part 1).

use polyport_kafka_codec::ErrorCode;
use polyport_log::TopicPartition;

use super::Broker;
use crate::server::Code as _;
use crate::transaction::TransactionError;
use crate::transaction::machine::Producer;

/// A producer at work in a transaction.
pub(crate) struct Transactional<'a> {
    /// Its transactional id.
    pub(crate) id: &'a str,
    /// Who it is.
    pub(crate) producer: Producer,
    /// Whether the client knows TRANSACTION_ABORTABLE: Produce from version 11 on, TxnOffsetCommit from
    /// version 4 on.
    pub(crate) knows_abortable: bool,
}

impl Broker {
    /// `transaction.partition.verification.enable`.
    pub(crate) fn verifies_transactions(&self) -> bool {
        self.flag("transaction.partition.verification.enable")
    }

    /// Asks the coordinator whether partitions are in a transaction: one code for each, in the words
    /// of an answer to a producer.
    pub(crate) async fn verify(
        &self,
        of: &Transactional<'_>,
        partitions: &[TopicPartition],
    ) -> Vec<ErrorCode> {
        let asked = self.transactions.verify_partitions(of.id, of.producer, partitions).await;
        let code = |outcome: &Result<(), TransactionError>| match outcome {
            Ok(()) => ErrorCode::None,
            Err(TransactionError::ProducerFenced) => ErrorCode::InvalidProducerEpoch,
            Err(TransactionError::TransactionAbortable) if !of.knows_abortable => {
                ErrorCode::InvalidTxnState
            }
            Err(error) => error.code(),
        };
        match asked {
            Ok(outcomes) => outcomes.iter().map(code).collect(),
            Err(error) => vec![code(&Err(error)); partitions.len()],
        }
    }
}
