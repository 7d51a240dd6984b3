//! What the coordinator stands on, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::{Clock, Millis};
use polyport_log::TopicPartition;
use polyport_log::batch::Batch;
use polyport_log::producer::Verification;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::{MarkerError, MarkerSink, TransactionCoordinator, Writing};
use crate::internal::log::{AppendError, InternalLog, ReadFailed, Written};
use crate::metadata::znode::ProducerIdBlock;
use crate::transaction::machine::{End, Marker, Producer};
use crate::transaction::producer_id::{Blocks, ClaimError, Claiming, ProducerIds};
use crate::transaction::shard::InitProducerId;
use crate::transaction::{TransactionConfig, TransactionError};

/// A partition of `__transaction_state`.
#[derive(Default)]
pub struct Log(pub Mutex<LogState>);

#[derive(Default)]
pub struct LogState {
    pub batches: Vec<(i64, Vec<u8>)>,
    end: i64,
    /// Whether appends wait for replicas, which a test plays.
    pub replicates: bool,
    pub replicas: Vec<oneshot::Sender<Result<(), AppendError>>>,
    pub refuses: Option<AppendError>,
    /// What a read waits for.
    pub gate: Option<blocking::Receiver<()>>,
}

impl Log {
    /// Replicas answer what was appended first.
    pub fn replicated(&self, outcome: Result<(), AppendError>) {
        // Nobody listens if the leadership has ended.
        let _ = self.0.lock().replicas.remove(0).send(outcome);
    }
}

impl InternalLog for Log {
    fn append_verified(
        &self,
        batch: &mut [u8],
        _: Verification,
        _: Millis,
    ) -> Result<Written, AppendError> {
        let mut of = self.0.lock();
        if let Some(error) = of.refuses {
            return Err(error);
        }
        let base_offset = of.end;
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        of.end = Batch::split_first(batch).unwrap().0.header().next_offset();
        of.batches.push((base_offset, batch.to_vec()));
        let mut written = Written { base_offset, next_offset: of.end, replicated: None };
        if of.replicates {
            let (done, replicated) = oneshot::channel();
            of.replicas.push(done);
            written.replicated = Some(Box::pin(async move { replicated.await.unwrap() }));
        }
        Ok(written)
    }

    fn read(&self, offset: i64) -> Result<Option<Vec<u8>>, ReadFailed> {
        let gate = self.0.lock().gate.take();
        if let Some(gate) = gate {
            gate.recv().unwrap();
        }
        let of = self.0.lock();
        let mut from = of.batches.iter().filter(|(base, _)| *base >= offset).take(2).peekable();
        Ok(from.peek().is_some().then(|| from.flat_map(|(_, batch)| batch.clone()).collect()))
    }
}

/// Where markers go.
#[derive(Default)]
pub struct Sink {
    pub written: Mutex<BTreeMap<TopicPartition, Vec<Marker>>>,
    /// What partitions answer instead of taking a marker.
    pub refuses: Mutex<BTreeMap<TopicPartition, MarkerError>>,
    pub attempts: Mutex<usize>,
}

impl Sink {
    pub fn ends(&self, of: &TopicPartition) -> Vec<(End, i32)> {
        let written = self.written.lock();
        let markers = written.get(of).into_iter().flatten();
        markers.map(|marker| (marker.end, marker.coordinator_epoch)).collect()
    }
}

impl MarkerSink for Sink {
    fn write(&self, marker: Marker, partition: &TopicPartition) -> Writing {
        *self.attempts.lock() += 1;
        let answer = match self.refuses.lock().get(partition) {
            Some(error) => Err(*error),
            None => {
                self.written.lock().entry(partition.clone()).or_default().push(marker);
                Ok(())
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A clock that goes with the runtime's.
pub struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000 + self.0.elapsed().as_millis() as i64)
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(RuntimeClock(Instant::now()))
}

#[derive(Default)]
struct Counted(Mutex<Option<ProducerIdBlock>>);

impl Blocks for Counted {
    fn claim(&self) -> Claiming<'_> {
        Box::pin(async {
            let mut last = self.0.lock();
            *last = ProducerIdBlock::after(*last, 0);
            last.ok_or(ClaimError::Exhausted)
        })
    }
}

pub struct NoBlocks;

impl Blocks for NoBlocks {
    fn claim(&self) -> Claiming<'_> {
        Box::pin(async { Err(ClaimError::Unavailable("no leader".into())) })
    }
}

pub fn producer_ids() -> ProducerIds {
    ProducerIds::new(Counted::default())
}

pub fn coordinator(sink: Arc<dyn MarkerSink>) -> TransactionCoordinator {
    let config = TransactionConfig::default();
    TransactionCoordinator::new(config, clock(), 1, producer_ids(), sink)
}

/// Waits until the partition has been read.
pub async fn loaded(coordinator: &TransactionCoordinator) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while coordinator.describe("t") == Err(TransactionError::CoordinatorLoadInProgress) {
        assert!(Instant::now() < deadline, "it is never loaded");
        tokio::task::yield_now().await;
    }
}

pub async fn leading(log: &Arc<Log>, sink: &Arc<Sink>, epoch: i32) -> TransactionCoordinator {
    let coordinator = coordinator(sink.clone());
    coordinator.lead(0, epoch, log.clone());
    loaded(&coordinator).await;
    coordinator
}

pub fn begin() -> InitProducerId {
    InitProducerId { timeout_ms: 60_000, expected: None }
}

pub fn x(partition: i32) -> TopicPartition {
    TopicPartition { topic: "x".into(), partition }
}

/// A producer with an open transaction in these partitions.
pub async fn opened(
    coordinator: &TransactionCoordinator,
    id: &str,
    partitions: &[TopicPartition],
) -> Producer {
    let producer = coordinator.init_producer_id(Some(id), begin()).await.unwrap();
    coordinator.add_partitions(id, producer, partitions).await.unwrap();
    producer
}
