//! Carrying decisions out: a marker in every partition of the transaction.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use polyport_log::TopicPartition;

use super::super::machine::{Marker, Markers};
use super::Inner;
use super::slot::Slot;
use crate::internal::replication::Gate;

/// How long until a marker is tried again, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// How many partitions are reported to the machine at once.
const REPORT: usize = 1000;

/// A marker on its way.
pub type Writing = Pin<Box<dyn Future<Output = Result<(), MarkerError>> + Send>>;

/// Why a marker is not in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// It has to be tried again: there is no leader, or it is not ready.
    #[error("the partition does not take the marker now")]
    Unavailable,
    /// It has to be tried again: too few replicas are in sync, or have it.
    #[error("too few replicas are in sync")]
    NotEnoughReplicas,
    /// The partition was deleted, and needs none.
    #[error("the partition is gone")]
    Gone,
    /// The partition has heard of a newer producer: another coordinator has taken over.
    #[error("the producer's epoch is an old one")]
    ProducerFenced,
    /// The partition has heard of a newer coordinator.
    #[error("another coordinator has taken over")]
    CoordinatorFenced,
}

/// Where markers go: the partitions' leaders in production, memory in tests.
pub trait MarkerSink: Send + Sync + 'static {
    /// Writes a marker, and waits until it is replicated, in bounded time.
    fn write(&self, marker: Marker, partition: &TopicPartition) -> Writing;
}

/// Writes markers once the gate has opened. What can be done without waiting is done at once, so that
/// the producer's next transaction finds this one complete.
pub(super) fn start(inner: &Arc<Inner>, slot: &Arc<Slot>, epoch: i32, gate: Gate, of: Markers) {
    let job = Job { inner: inner.clone(), slot: slot.clone(), epoch, of };
    let mut work = Box::pin(job.run(gate));
    let mut cx = Context::from_waker(Waker::noop());
    if work.as_mut().poll(&mut cx).is_pending() {
        tokio::spawn(work);
    }
}

struct Job {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    epoch: i32,
    of: Markers,
}

impl Job {
    async fn run(self, gate: Gate) {
        if !gate.committed().await {
            return;
        }
        if self.of.partitions.is_empty() {
            return self.marked(&[]);
        }
        let writing: FuturesUnordered<_> =
            self.of.partitions.iter().map(|partition| self.write(partition)).collect();
        let mut marked = writing.ready_chunks(REPORT);
        while let Some(partitions) = marked.next().await {
            let partitions: Vec<_> = partitions.into_iter().flatten().cloned().collect();
            self.marked(&partitions);
        }
    }

    fn marked(&self, partitions: &[TopicPartition]) {
        let Markers { transactional_id, ending, .. } = &self.of;
        self.slot.run_as(&self.inner, self.epoch, |shard, cx| {
            shard.marked(transactional_id, *ending, partitions, cx);
        });
    }

    /// Brings the marker into one partition; `None` if it is not for this coordinator to do.
    async fn write<'a>(&self, partition: &'a TopicPartition) -> Option<&'a TopicPartition> {
        let [mut pause, longest] = PAUSE;
        loop {
            match self.inner.sink.write(self.of.marker, partition).await {
                Ok(()) | Err(MarkerError::Gone) => return Some(partition),
                Err(MarkerError::Unavailable | MarkerError::NotEnoughReplicas) => {}
                Err(MarkerError::ProducerFenced | MarkerError::CoordinatorFenced) => {
                    let id = &*self.of.transactional_id;
                    tracing::warn!(id, ?partition, "a marker was refused: another coordinator's");
                    return None;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
            if !self.is_wanted() {
                return None;
            }
        }
    }

    fn is_wanted(&self) -> bool {
        let Markers { transactional_id, ending, .. } = &self.of;
        let is_wanted = self.slot.with(|active| {
            active.epoch == self.epoch && active.machine.is_ending(transactional_id, *ending)
        });
        is_wanted.unwrap_or(false)
    }
}
