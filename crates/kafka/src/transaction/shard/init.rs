//! `InitProducerId`: a producer begins, or begins again.

use std::collections::BTreeSet;

use super::super::error::TransactionError;
use super::super::machine::{Context, End, Producer, TransactionalId};
use super::super::record::{TransactionState, TransactionValue};
use super::{Shard, Transaction};

/// The last epoch that a producer gets. The one above it is kept for fencing the producer that has it.
pub(crate) const LAST_EPOCH: i16 = i16::MAX - 1;

/// What a producer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerId {
    /// How long its transactions may be open, in milliseconds.
    pub timeout_ms: i32,
    /// What the producer is already, if it wants to go on after an error and not take over (KIP-360).
    pub expected: Option<Producer>,
}

impl InitProducerId {
    /// The producer that a request names, by Kafka's -1 for none.
    ///
    /// # Errors
    /// `InvalidRequest` if it names an id without an epoch, or an epoch without an id.
    pub fn expected(id: i64, epoch: i16) -> Result<Option<Producer>, TransactionError> {
        match (id, epoch) {
            (-1, -1) => Ok(None),
            (-1, _) | (_, -1) => Err(TransactionError::InvalidRequest),
            _ => Ok(Some(Producer { id, epoch })),
        }
    }
}

/// How a producer's beginning went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialised {
    /// This is what it is from here on.
    Producer(Producer),
    /// A fresh producer id is needed: nothing was done, and the request is to come again with one.
    NeedsProducerId,
}

/// What the next producer is, and by what its asking again is known.
struct Next {
    producer: Producer,
    before: Option<Producer>,
}

impl Shard {
    /// Gives the producer its id and epoch, and fences the one before. `fresh` is taken if a producer
    /// id is needed that nobody had.
    ///
    /// # Errors
    /// `InvalidRequest`, `InvalidTransactionTimeout`; `ConcurrentTransactions` if a transaction has to
    /// end first, which is begun here if it was open; `ProducerFenced` if the expected producer is not
    /// the current one; what the append says.
    pub fn init_producer_id(
        &mut self,
        id: &TransactionalId,
        request: InitProducerId,
        fresh: &mut Option<i64>,
        cx: &mut Context<'_>,
    ) -> Result<Initialised, TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        if !(1..=cx.config.max_timeout_ms).contains(&request.timeout_ms) {
            return Err(TransactionError::InvalidTransactionTimeout);
        }
        let next = match self.get(id) {
            None => Next::first(fresh),
            Some(found) => {
                found.may_be(request.expected)?;
                match found.value.state {
                    TransactionState::Ongoing => {
                        // Different from Kafka, where a producer that was fenced long ago could
                        // abort the transaction of the one that has taken over.
                        if request.expected.is_some_and(|it| it != found.value.producer) {
                            return Err(TransactionError::ProducerFenced);
                        }
                        // The producer is fenced by an epoch that nobody gets, and comes again.
                        self.fence(id, cx)?;
                        return Err(TransactionError::ConcurrentTransactions);
                    }
                    state if state.ending().is_some() => {
                        return Err(TransactionError::ConcurrentTransactions);
                    }
                    _ => found.next(request.expected, fresh)?,
                }
            }
        };
        let Some(Next { producer, before }) = next else {
            return Ok(Initialised::NeedsProducerId);
        };
        let value = TransactionValue {
            producer,
            timeout_ms: request.timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            last_update: cx.now,
            start: None,
        };
        self.write(id, value, before, cx)?;
        Ok(Initialised::Producer(producer))
    }

    /// Aborts an open transaction by the epoch above its producer's.
    pub(super) fn fence(
        &mut self,
        id: &TransactionalId,
        cx: &mut Context<'_>,
    ) -> Result<(), TransactionError> {
        let Some(found) = self.get(id) else { return Ok(()) };
        let Producer { id: producer_id, epoch } = found.value.producer;
        // Producers get no epoch that has none above it.
        let producer = Producer { id: producer_id, epoch: epoch.saturating_add(1) };
        let value = TransactionValue { producer, ..found.value.clone() };
        self.decide(id, value, None, End::Abort, cx)
    }
}

impl Next {
    fn first(fresh: &mut Option<i64>) -> Option<Self> {
        fresh.take().map(|id| Next { producer: Producer { id, epoch: 0 }, before: None })
    }
}

impl Transaction {
    /// Whether who expects to be this producer may begin: it is the current one, at whatever epoch, or
    /// was given a new id because its epochs were used up, and missed the answer.
    fn may_be(&self, expected: Option<Producer>) -> Result<(), TransactionError> {
        let Some(expected) = expected else { return Ok(()) };
        let is_current = expected.id == self.value.producer.id;
        if is_current || Some(expected) == self.before {
            return Ok(());
        }
        Err(TransactionError::ProducerFenced)
    }

    /// What the producer is from here on; `None` if that takes a fresh id and there is none.
    fn next(
        &self,
        expected: Option<Producer>,
        fresh: &mut Option<i64>,
    ) -> Result<Option<Next>, TransactionError> {
        let current = self.value.producer;
        let before = match expected {
            None => None,
            Some(expected) if expected == current => Some(current),
            // It asks again for what it was given already.
            Some(expected) if Some(expected) == self.before => {
                return Ok(Some(Next { producer: current, before: self.before }));
            }
            Some(_) => return Err(TransactionError::ProducerFenced),
        };
        if current.epoch < LAST_EPOCH {
            let producer = Producer { epoch: current.epoch + 1, ..current };
            return Ok(Some(Next { producer, before }));
        }
        Ok(Next::first(fresh).map(|next| Next { before, ..next }))
    }
}
