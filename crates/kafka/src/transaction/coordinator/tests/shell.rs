use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use polyport_log::batch::BatchBuilder;
use tokio::time::{Instant, timeout};

use super::super::{MarkerError, TransactionCoordinator};
use super::memory::{Log, NoBlocks, Sink, begin, clock, coordinator, leading, loaded, opened, x};
use crate::internal::log::{AppendError, InternalLog as _};
use crate::transaction::machine::{End, Producer};
use crate::transaction::producer_id::ProducerIds;
use crate::transaction::record::TransactionState;
use crate::transaction::shard::{InitProducerId, ListFilter};
use crate::transaction::{TransactionConfig, TransactionError};

const SECOND: Duration = Duration::from_secs(1);

fn state(coordinator: &TransactionCoordinator, id: &str) -> TransactionState {
    coordinator.describe(id).unwrap().state
}

/// Waits until the machine has come there.
async fn comes_to(coordinator: &TransactionCoordinator, id: &str, awaited: TransactionState) {
    let deadline = Instant::now() + 600 * SECOND;
    while state(coordinator, id) != awaited {
        assert!(Instant::now() < deadline, "it stays at {:?}", state(coordinator, id));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_transaction_is_complete_when_its_end_is_answered() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 4).await;
    let producer = opened(&coordinator, "t", &[x(0), x(1)]).await;
    assert_eq!(producer, Producer { id: 0, epoch: 0 });
    assert_eq!(sink.ends(&x(0)), []);
    coordinator.end("t", producer, End::Commit).await.unwrap();
    assert_eq!(state(&coordinator, "t"), TransactionState::CompleteCommit);
    for partition in [x(0), x(1)] {
        assert_eq!(sink.ends(&partition), [(End::Commit, 4)]);
    }
    // The next one may begin at once.
    coordinator.add_partitions("t", producer, &[x(1)]).await.unwrap();
    coordinator.end("t", producer, End::Abort).await.unwrap();
    assert_eq!(sink.ends(&x(1)), [(End::Commit, 4), (End::Abort, 4)]);
    let empty = opened(&coordinator, "u", &[]).await;
    coordinator.end("u", empty, End::Commit).await.unwrap();
    assert_eq!(state(&coordinator, "u"), TransactionState::CompleteCommit);
}

#[tokio::test(start_paused = true)]
async fn answers_and_markers_wait_for_replicas() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0)]).await;
    log.0.lock().replicates = true;
    let mut end = Box::pin(coordinator.end("t", producer, End::Commit));
    assert!(timeout(SECOND, &mut end).await.is_err());
    // What could still be lost is not told to others either.
    let verify = coordinator.verify_partitions("t", producer, &[]);
    assert!(timeout(SECOND, verify).await.is_err());
    assert_eq!(sink.ends(&x(0)), []);
    log.0.lock().replicates = false;
    log.replicated(Ok(()));
    assert_eq!(end.await, Ok(()));
    comes_to(&coordinator, "t", TransactionState::CompleteCommit).await;
    assert_eq!(sink.ends(&x(0)), [(End::Commit, 0)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_replicas_for_ever() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    log.0.lock().replicates = true;
    let start = Instant::now();
    let slow = coordinator.init_producer_id(Some("t"), begin()).await;
    assert_eq!(slow, Err(TransactionError::CoordinatorNotAvailable));
    assert!(start.elapsed() >= coordinator.config().append_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_too_few_replicas_have_is_carried_out_and_not_promised() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0)]).await;
    log.0.lock().replicates = true;
    let end = coordinator.end("t", producer, End::Commit);
    let fail = async {
        while log.0.lock().replicas.is_empty() {
            tokio::task::yield_now().await;
        }
        log.0.lock().replicates = false;
        log.replicated(Err(AppendError::NotEnoughReplicas));
    };
    let (end, ()) = tokio::join!(end, fail);
    assert_eq!(end, Err(TransactionError::CoordinatorNotAvailable));
    comes_to(&coordinator, "t", TransactionState::CompleteCommit).await;
    assert_eq!(coordinator.end("t", producer, End::Commit).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn markers_are_written_until_every_partition_has_one() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0), x(1), x(2)]).await;
    sink.refuses.lock().insert(x(1), MarkerError::Unavailable);
    sink.refuses.lock().insert(x(2), MarkerError::Gone);
    coordinator.end("t", producer, End::Abort).await.unwrap();
    let described = coordinator.describe("t").unwrap();
    assert_eq!(described.state, TransactionState::PrepareAbort);
    assert_eq!(Vec::from_iter(described.partitions), [x(1)]);
    let again = coordinator.add_partitions("t", producer, &[x(0)]).await;
    assert_eq!(again, Err(TransactionError::ConcurrentTransactions));
    tokio::time::sleep(60 * SECOND).await;
    let attempts = *sink.attempts.lock();
    assert!((60..90).contains(&attempts), "{attempts}");
    sink.refuses.lock().remove(&x(1));
    comes_to(&coordinator, "t", TransactionState::CompleteAbort).await;
    assert_eq!(sink.ends(&x(0)), [(End::Abort, 0)]);
    assert_eq!(sink.ends(&x(1)), [(End::Abort, 0)]);
    assert_eq!(sink.ends(&x(2)), []);
}

#[tokio::test(start_paused = true)]
async fn an_old_coordinator_gives_up() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0)]).await;
    sink.refuses.lock().insert(x(0), MarkerError::CoordinatorFenced);
    coordinator.end("t", producer, End::Commit).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(*sink.attempts.lock(), 1);
    assert_eq!(state(&coordinator, "t"), TransactionState::PrepareCommit);

    // And one that does not know yet that it is an old one, as soon as it is told.
    sink.refuses.lock().insert(x(0), MarkerError::Unavailable);
    let producer = opened(&coordinator, "u", &[x(0)]).await;
    coordinator.end("u", producer, End::Commit).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    coordinator.resign(0, 1);
    tokio::time::sleep(2 * SECOND).await;
    let attempts = *sink.attempts.lock();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(*sink.attempts.lock(), attempts);
    assert_eq!(coordinator.describe("u"), Err(TransactionError::NotCoordinator));
}

#[tokio::test(start_paused = true)]
async fn the_next_coordinator_carries_out_what_was_decided() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let first = leading(&log, &sink, 0).await;
    sink.refuses.lock().insert(x(1), MarkerError::Unavailable);
    let producer = opened(&first, "t", &[x(0), x(1)]).await;
    first.end("t", producer, End::Commit).await.unwrap();
    let open = opened(&first, "u", &[x(0)]).await;
    first.resign(0, 1);
    assert_eq!(first.describe("t"), Err(TransactionError::NotCoordinator));
    sink.refuses.lock().clear();
    let second = leading(&log, &sink, 1).await;
    comes_to(&second, "t", TransactionState::CompleteCommit).await;
    assert_eq!(sink.ends(&x(0)), [(End::Commit, 0), (End::Commit, 1)]);
    assert_eq!(sink.ends(&x(1)), [(End::Commit, 1)]);
    assert_eq!(state(&second, "u"), TransactionState::Ongoing);
    second.end("u", open, End::Abort).await.unwrap();
    assert_eq!(sink.ends(&x(0))[2..], [(End::Abort, 1)]);
    assert_eq!(second.list(&ListFilter::default()).unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_open_for_too_long_is_aborted_without_anybody_asking() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0)]).await;
    tokio::time::sleep(59 * SECOND).await;
    assert_eq!(state(&coordinator, "t"), TransactionState::Ongoing);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(state(&coordinator, "t"), TransactionState::CompleteAbort);
    assert_eq!(sink.ends(&x(0)), [(End::Abort, 0)]);
    let late = coordinator.end("t", producer, End::Commit).await;
    assert_eq!(late, Err(TransactionError::ProducerFenced));
    assert_eq!(late.unwrap_err().before_producer_fenced(), TransactionError::InvalidProducerEpoch);

    // One whose time comes before all that was waited for.
    let short = InitProducerId { timeout_ms: 1_000, expected: None };
    let producer = coordinator.init_producer_id(Some("u"), short).await.unwrap();
    coordinator.add_partitions("u", producer, &[x(0)]).await.unwrap();
    tokio::time::sleep(SECOND + Duration::from_millis(2)).await;
    assert_eq!(state(&coordinator, "u"), TransactionState::CompleteAbort);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_told_when_the_partition_goes() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = leading(&log, &sink, 0).await;
    let producer = opened(&coordinator, "t", &[x(0)]).await;
    log.0.lock().replicates = true;
    let end = coordinator.end("t", producer, End::Commit);
    let resign = async { coordinator.resign(0, 1) };
    assert_eq!(tokio::join!(end, resign).0, Err(TransactionError::NotCoordinator));
    log.replicated(Ok(()));
    tokio::time::sleep(SECOND).await;
    assert_eq!(sink.ends(&x(0)), [], "who does not lead does not decide");
    // News of an old leader epoch changes nothing.
    coordinator.lead(0, 1, log.clone());
    assert_eq!(coordinator.describe("t"), Err(TransactionError::NotCoordinator));
    log.0.lock().replicates = false;
    coordinator.lead(0, 2, log);
    coordinator.resign(0, 1);
    loaded(&coordinator).await;
    comes_to(&coordinator, "t", TransactionState::CompleteCommit).await;
    coordinator.resign(0, 2);
    assert_eq!(coordinator.describe("t"), Err(TransactionError::NotCoordinator));
}

#[tokio::test]
async fn while_the_partition_is_read_clients_are_told_so() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let coordinator = coordinator(sink);
    let nobody = coordinator.init_producer_id(Some("t"), begin()).await;
    assert_eq!(nobody, Err(TransactionError::NotCoordinator));
    assert_eq!(coordinator.list(&ListFilter::default()), Ok(Vec::new()));
    let (open, gate) = blocking::channel();
    log.0.lock().gate = Some(gate);
    coordinator.lead(0, 0, log.clone());
    let loading = TransactionError::CoordinatorLoadInProgress;
    assert_eq!(coordinator.init_producer_id(Some("t"), begin()).await, Err(loading));
    assert_eq!(coordinator.list(&ListFilter::default()), Err(loading));
    assert_eq!(coordinator.describe(""), Err(TransactionError::InvalidRequest));
    open.send(()).unwrap();
    loaded(&coordinator).await;
    coordinator.init_producer_id(Some("t"), begin()).await.unwrap();
}

#[tokio::test]
async fn a_partition_with_a_record_that_nobody_understands_serves_nobody() {
    let (log, sink) = (Arc::<Log>::default(), Arc::<Sink>::default());
    let mut batch = Vec::new();
    let mut builder = BatchBuilder::new(0);
    // Of a kind that is not known: passed over.
    builder.push(0, Some(b"\0\x07"), Some(b"?"));
    builder.build(None, &mut batch).unwrap();
    log.append(&mut batch, clock().now()).unwrap();
    let coordinator = leading(&log, &sink, 0).await;
    assert_eq!(coordinator.describe("t"), Err(TransactionError::TransactionalIdNotFound));

    batch.clear();
    builder.push(0, Some(b"\0\0\0\x01t"), Some(b"\0\0"));
    builder.build(None, &mut batch).unwrap();
    log.append(&mut batch, clock().now()).unwrap();
    let coordinator = leading(&log, &sink, 0).await;
    let refused = coordinator.init_producer_id(Some("u"), begin()).await;
    assert_eq!(refused, Err(TransactionError::CoordinatorNotAvailable));
}

#[tokio::test]
async fn producers_without_transactions_get_an_id_each() {
    let sink = Arc::<Sink>::default();
    let coordinator = coordinator(sink.clone());
    for id in 0..1001 {
        let producer = coordinator.init_producer_id(None, begin()).await;
        assert_eq!(producer, Ok(Producer { id, epoch: 0 }));
    }
    let ids = ProducerIds::new(NoBlocks);
    let config = TransactionConfig::default();
    let coordinator = TransactionCoordinator::new(config, clock(), 1, ids, sink);
    let refused = coordinator.init_producer_id(None, begin()).await;
    assert_eq!(refused, Err(TransactionError::CoordinatorLoadInProgress));
}
