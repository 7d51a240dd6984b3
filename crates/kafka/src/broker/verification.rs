//! Whether a partition is in a transaction: what the transaction's coordinator says, wherever it is
//! (KIP-890, part 1).

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::AddPartitionsToTxnRequest;
use polyport_kafka_codec::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use polyport_log::TopicPartition;

use super::{Broker, PeerError};
use crate::metadata::topics::TRANSACTION_STATE;
use crate::server::Code as _;
use crate::transaction::machine::Producer;

/// The first version of AddPartitionsToTxn that verifies.
const VERSION_OF_VERIFICATION: i16 = 4;

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
        let number = self.transactions.partition_of(of.id);
        let codes = match self.leader_and_epoch(TRANSACTION_STATE, number) {
            Some((leader, _)) if leader == self.settings.broker_id => {
                self.verify_here(of, partitions).await
            }
            Some((leader, _)) if leader >= 0 => self.verify_at(leader, of, partitions).await,
            _ => vec![ErrorCode::CoordinatorNotAvailable; partitions.len()],
        };
        let said = |code| match code {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if !of.knows_abortable => ErrorCode::InvalidTxnState,
            code => code,
        };
        codes.into_iter().map(said).collect()
    }

    async fn verify_here(
        &self,
        of: &Transactional<'_>,
        partitions: &[TopicPartition],
    ) -> Vec<ErrorCode> {
        match self.transactions.verify_partitions(of.id, of.producer, partitions).await {
            Ok(outcomes) => {
                let code = |outcome: &Result<(), _>| match outcome {
                    Ok(()) => ErrorCode::None,
                    Err(error) => crate::server::Code::code(error),
                };
                outcomes.iter().map(code).collect()
            }
            Err(error) => vec![error.code(); partitions.len()],
        }
    }

    async fn verify_at(
        &self,
        coordinator: i32,
        of: &Transactional<'_>,
        partitions: &[TopicPartition],
    ) -> Vec<ErrorCode> {
        // A topic a partition, so that the answers come in the partitions' order.
        let topics = partitions.iter().map(|of| AddPartitionsToTxnTopic {
            name: of.topic.clone(),
            partitions: vec![of.partition],
        });
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: of.id.to_owned(),
            producer_id: of.producer.id,
            producer_epoch: of.producer.epoch,
            verify_only: true,
            topics: topics.collect(),
        };
        let request =
            AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
        let all = |code| vec![code; partitions.len()];
        let answer = match self.peers.send(coordinator, &request, VERSION_OF_VERIFICATION).await {
            Ok(answer) => answer,
            Err(PeerError::Dead(_)) => return all(ErrorCode::CoordinatorNotAvailable),
            Err(error) => {
                tracing::debug!(coordinator, %error, "a transaction could not be verified");
                return all(ErrorCode::NetworkException);
            }
        };
        let topics = answer.results_by_transaction.into_iter().flat_map(|of| of.topic_results);
        let found = topics.flat_map(|topic| topic.results_by_partition);
        let codes = found.map(|partition| {
            ErrorCode::from_code(partition.partition_error_code)
                .unwrap_or(ErrorCode::UnknownServerError)
        });
        let mut codes: Vec<_> = codes.collect();
        // What was not answered is not known.
        codes.resize(partitions.len(), ErrorCode::NetworkException);
        codes
    }
}
