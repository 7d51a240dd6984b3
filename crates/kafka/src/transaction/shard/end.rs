//! `EndTxn`, and carrying its decision out.

use std::collections::BTreeSet;

use polyport_base::Millis;
use polyport_log::TopicPartition;

use super::super::error::TransactionError;
use super::super::machine::{Context, End, Producer, TransactionalId};
use super::super::record::{TransactionState, TransactionValue};
use super::{RETRY_MS, Shard};

impl Shard {
    /// Decides the transaction. Asked again for what it has decided and carried out, it says so.
    ///
    /// # Errors
    /// `InvalidRequest`, `InvalidProducerIdMapping`, `ProducerFenced`; `InvalidTxnState` if there is
    /// no transaction, or it was decided otherwise; `ConcurrentTransactions` while the decision is
    /// being carried out; what the append says.
    pub fn end(
        &mut self,
        id: &TransactionalId,
        producer: Producer,
        end: End,
        cx: &mut Context<'_>,
    ) -> Result<(), TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let found = self.of_producer(id, producer)?;
        match (found.value.state, end) {
            (TransactionState::Ongoing, _) => {
                let (value, before) = (found.value.clone(), found.before);
                self.decide(id, value, before, end, cx)
            }
            (TransactionState::CompleteCommit, End::Commit)
            | (TransactionState::CompleteAbort, End::Abort) => Ok(()),
            (TransactionState::PrepareCommit, End::Commit)
            | (TransactionState::PrepareAbort, End::Abort) => {
                Err(TransactionError::ConcurrentTransactions)
            }
            _ => Err(TransactionError::InvalidTxnState),
        }
    }

    pub(super) fn decide(
        &mut self,
        id: &TransactionalId,
        value: TransactionValue,
        before: Option<Producer>,
        end: End,
        cx: &mut Context<'_>,
    ) -> Result<(), TransactionError> {
        let state = match end {
            End::Commit => TransactionState::PrepareCommit,
            End::Abort => TransactionState::PrepareAbort,
        };
        self.write(id, TransactionValue { state, last_update: cx.now, ..value }, before, cx)
    }

    /// Partitions have their marker, replicated, or are gone. With the last of them the transaction is
    /// complete; if its record is refused, that is tried again later.
    pub fn marked(
        &mut self,
        id: &TransactionalId,
        ending: u64,
        partitions: &[TopicPartition],
        cx: &mut Context<'_>,
    ) {
        let found = self.transactions.get_mut(id).and_then(|found| found.ending.as_mut());
        let Some(current) = found.filter(|current| current.number == ending) else { return };
        for partition in partitions {
            current.unmarked.remove(partition);
        }
        if current.unmarked.is_empty() {
            self.complete(id, cx);
        }
    }

    /// Whether this decision is still being carried out.
    pub fn is_ending(&self, id: &str, ending: u64) -> bool {
        let current = self.get(id).and_then(|found| found.ending.as_ref());
        current.is_some_and(|current| current.number == ending)
    }

    pub(super) fn complete(&mut self, id: &TransactionalId, cx: &mut Context<'_>) {
        let Some(found) = self.get(id) else { return };
        let state = match found.value.state.ending() {
            Some(End::Commit) => TransactionState::CompleteCommit,
            Some(End::Abort) => TransactionState::CompleteAbort,
            None => return,
        };
        let value = TransactionValue {
            state,
            partitions: BTreeSet::new(),
            last_update: cx.now,
            ..found.value.clone()
        };
        let before = found.before;
        if let Err(error) = self.write(id, value, before, cx) {
            tracing::info!(id = &**id, %error, "a transaction's completion is tried again");
            self.set_timer(id, Some(Millis(cx.now.0.saturating_add(RETRY_MS))));
        }
    }
}
