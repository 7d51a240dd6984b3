//! `AddPartitionsToTxn` and `AddOffsetsToTxn`: what a transaction writes to.

use polyport_log::TopicPartition;

use super::super::error::TransactionError;
use super::super::machine::{Context, Producer, TransactionalId};
use super::super::record::{TransactionState, TransactionValue};
use super::Shard;

/// Whether partitions are in a transaction, in the order in which they were asked for.
pub type Verified = Vec<Result<(), TransactionError>>;

impl Shard {
    /// Takes partitions into the transaction, which begins with the first.
    ///
    /// # Errors
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`; `ConcurrentTransactions` while
    /// the transaction before is being ended; what the append says.
    pub fn add_partitions(
        &mut self,
        id: &TransactionalId,
        producer: Producer,
        partitions: &[TopicPartition],
        cx: &mut Context<'_>,
    ) -> Result<(), TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let found = self.of_producer(id, producer)?;
        let value = &found.value;
        if value.state.ending().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        let is_open = value.state == TransactionState::Ongoing;
        if is_open && partitions.iter().all(|partition| value.partitions.contains(partition)) {
            return Ok(());
        }
        let mut value = TransactionValue {
            state: TransactionState::Ongoing,
            start: if is_open { value.start } else { Some(cx.now) },
            last_update: cx.now,
            ..value.clone()
        };
        value.partitions.extend(partitions.iter().cloned());
        let before = found.before;
        self.write(id, value, before, cx)
    }

    /// Says whether the partitions are in the transaction: a broker asks before it appends the
    /// producer's records (KIP-890).
    ///
    /// # Errors
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`; `ConcurrentTransactions` while
    /// the transaction is being ended. Of a partition: `TransactionAbortable`.
    pub fn verify_partitions(
        &self,
        id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
    ) -> Result<Verified, TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let value = &self.of_producer(id, producer)?.value;
        if value.state.ending().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        let verify = |partition| match value.partitions.contains(partition) {
            true => Ok(()),
            false => Err(TransactionError::TransactionAbortable),
        };
        Ok(partitions.iter().map(verify).collect())
    }
}
