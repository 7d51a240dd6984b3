//! The shell around the machines: which transactional id is in which partition of
//! `__transaction_state`, reading partitions when this node becomes their leader, time, markers, and
//! holding answers back until what they are based on is replicated.
//!
//! One lock a partition, held for a command and its append to the page cache. Nothing is locked while
//! an answer waits or a marker is written.

mod leadership;
mod local;
mod log;
mod markers;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::RwLock;
use polyport_base::{Clock, Millis};
use polyport_log::TopicPartition;

pub use self::local::{LeaderOf, Leadership, LocalMarkers, leadership};
pub use self::markers::{MarkerError, MarkerSink, Writing};

use self::slot::Slot;
use super::config::TransactionConfig;
use super::error::TransactionError;
use super::machine::{Context, End, Producer, TransactionalId};
use super::producer_id::{ClaimError, ProducerIds};
use super::shard::{
    InitProducerId, Initialised, ListFilter, Shard, TransactionDescription, TransactionOverview,
    Verified,
};
use crate::internal::partition_of;

/// The transaction coordinator of a node. Clones are the same one.
#[derive(Clone)]
pub struct TransactionCoordinator {
    inner: Arc<Inner>,
}

struct Inner {
    config: TransactionConfig,
    clock: Arc<dyn Clock>,
    producer_ids: ProducerIds,
    sink: Arc<dyn MarkerSink>,
    /// How many partitions `__transaction_state` has, or will have when it is made.
    partitions: AtomicI32,
    slots: RwLock<BTreeMap<i32, Arc<Slot>>>,
}

impl Inner {
    fn now(&self) -> Millis {
        self.clock.now()
    }
}

impl TransactionCoordinator {
    /// A coordinator that leads nothing yet. `partitions`: how many `__transaction_state` has, or is
    /// to have (`transaction.state.log.num.partitions`).
    pub fn new(
        config: TransactionConfig,
        clock: Arc<dyn Clock>,
        partitions: i32,
        producer_ids: ProducerIds,
        sink: Arc<dyn MarkerSink>,
    ) -> Self {
        let partitions = AtomicI32::new(partitions);
        let slots = RwLock::default();
        let inner = Inner { config, clock, producer_ids, sink, partitions, slots };
        TransactionCoordinator { inner: Arc::new(inner) }
    }

    /// The limits in force.
    pub fn config(&self) -> &TransactionConfig {
        &self.inner.config
    }

    /// Says how many partitions `__transaction_state` really has.
    pub fn set_partitions(&self, partitions: i32) {
        self.inner.partitions.store(partitions, Ordering::Relaxed);
    }

    /// The partition of `__transaction_state` that a transactional id is in: its leader is the
    /// coordinator.
    pub fn partition_of(&self, id: &str) -> i32 {
        partition_of(id, self.inner.partitions.load(Ordering::Relaxed))
    }

    fn slot(&self, partition: i32) -> Arc<Slot> {
        if let Some(slot) = self.inner.slots.read().get(&partition) {
            return slot.clone();
        }
        let mut slots = self.inner.slots.write();
        slots.entry(partition).or_insert_with(|| Arc::new(Slot::new())).clone()
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.inner.slots.read().values().cloned().collect()
    }

    /// Has the machine of an id's partition do something, and waits until that is replicated.
    async fn run<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> Result<T, TransactionError> {
        let slot = self.slot(self.partition_of(id));
        let (result, gate) = slot.run(&self.inner, work)?;
        gate.pass(self.inner.config.append_timeout).await?;
        Ok(result)
    }

    /// InitProducerId. Without a transactional id every producer is a new one.
    ///
    /// # Errors
    /// As [`Shard::init_producer_id`]; `NotCoordinator`, `CoordinatorLoadInProgress`,
    /// `CoordinatorNotAvailable`.
    pub async fn init_producer_id(
        &self,
        id: Option<&str>,
        request: InitProducerId,
    ) -> Result<Producer, TransactionError> {
        let Some(id) = id else {
            return Ok(Producer { id: self.fresh_producer_id().await?, epoch: 0 });
        };
        let id: TransactionalId = id.into();
        let mut fresh = None;
        loop {
            let init =
                self.run(&id, |shard, cx| shard.init_producer_id(&id, request, &mut fresh, cx));
            match init.await?? {
                Initialised::Producer(producer) => return Ok(producer),
                Initialised::NeedsProducerId => fresh = Some(self.fresh_producer_id().await?),
            }
        }
    }

    async fn fresh_producer_id(&self) -> Result<i64, TransactionError> {
        self.inner.producer_ids.next().await.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, source, "there is no producer id to be had");
            match error {
                // Old clients give up at other errors that mean as much.
                ClaimError::Unavailable(_) => TransactionError::CoordinatorLoadInProgress,
                ClaimError::Malformed(_) | ClaimError::Exhausted => {
                    TransactionError::UnknownServerError
                }
            }
        })
    }

    /// AddPartitionsToTxn; and AddOffsetsToTxn, with the group's partition of `__consumer_offsets`.
    ///
    /// # Errors
    /// As [`Shard::add_partitions`]; `NotCoordinator`, `CoordinatorLoadInProgress`,
    /// `CoordinatorNotAvailable`.
    pub async fn add_partitions(
        &self,
        id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
    ) -> Result<(), TransactionError> {
        let id: TransactionalId = id.into();
        self.run(&id, |shard, cx| shard.add_partitions(&id, producer, partitions, cx)).await?
    }

    /// Says whether partitions are in the producer's transaction (KIP-890).
    ///
    /// # Errors
    /// As [`Shard::verify_partitions`]; `NotCoordinator`, `CoordinatorLoadInProgress`,
    /// `CoordinatorNotAvailable`.
    pub async fn verify_partitions(
        &self,
        id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
    ) -> Result<Verified, TransactionError> {
        self.run(id, |shard, _| shard.verify_partitions(id, producer, partitions)).await?
    }

    /// EndTxn.
    ///
    /// # Errors
    /// As [`Shard::end`]; `NotCoordinator`, `CoordinatorLoadInProgress`, `CoordinatorNotAvailable`.
    pub async fn end(
        &self,
        id: &str,
        producer: Producer,
        end: End,
    ) -> Result<(), TransactionError> {
        let id: TransactionalId = id.into();
        self.run(&id, |shard, cx| shard.end(&id, producer, end, cx)).await?
    }

    /// DescribeTransactions, of one id.
    ///
    /// # Errors
    /// As [`Shard::describe`]; `NotCoordinator`, `CoordinatorLoadInProgress`,
    /// `CoordinatorNotAvailable`.
    pub fn describe(&self, id: &str) -> Result<TransactionDescription, TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        self.slot(self.partition_of(id)).with(|active| active.machine.describe(id))?
    }

    /// ListTransactions: those that are coordinated here.
    ///
    /// # Errors
    /// `CoordinatorLoadInProgress` while any partition is being read.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<TransactionOverview>, TransactionError> {
        let now = self.inner.now();
        let mut listed = Vec::new();
        for slot in self.slots() {
            let loading = TransactionError::CoordinatorLoadInProgress;
            let of_slot = slot.with(|active| listed.extend(active.machine.list(filter, now)));
            // What another node coordinates, it lists.
            if of_slot == Err(loading) {
                return Err(loading);
            }
        }
        Ok(listed)
    }
}
