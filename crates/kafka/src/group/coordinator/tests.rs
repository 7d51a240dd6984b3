use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::{Clock, Millis};
use polyport_log::batch::Batch;
use polyport_log::producer::Verification;
use tokio::sync::oneshot;

use super::Coordinator;
use crate::group::config::GroupConfig;
use crate::group::error::GroupError;
use crate::group::machine::{EndTransaction, TransactionalProducer};
use crate::group::offsets::FetchOffsets;
use crate::group::shard::GroupKind;
use crate::group::shard::tests::world::{consumer, offset, share, simple, sync};
use crate::internal::log::{AppendError, InternalLog, ReadFailed, Written};

/// A partition in memory.
#[derive(Default)]
struct Memory(Mutex<Partition>);

#[derive(Default)]
struct Partition {
    batches: Vec<(i64, Vec<u8>)>,
    end: i64,
    /// Whether appends wait for replicas, which a test plays.
    replicates: bool,
    replicas: Vec<oneshot::Sender<Result<(), AppendError>>>,
    /// What a read waits for.
    gate: Option<blocking::Receiver<()>>,
    reads_fail: bool,
}

impl InternalLog for Memory {
    fn append_verified(
        &self,
        batch: &mut [u8],
        _: Verification,
        _: Millis,
    ) -> Result<Written, AppendError> {
        let mut of = self.0.lock();
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
        let mut of = self.0.lock();
        if let Some(gate) = of.gate.take() {
            gate.recv().unwrap();
        }
        if of.reads_fail {
            return Err(ReadFailed { offset, source: "the disk failed".into() });
        }
        // Two batches at a time.
        let mut from = of.batches.iter().filter(|(base, _)| *base >= offset).take(2).peekable();
        Ok(from.peek().is_some().then(|| from.flat_map(|(_, batch)| batch.clone()).collect()))
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000)
    }
}

fn coordinator() -> Coordinator {
    Coordinator::new(GroupConfig::default(), Arc::new(Fixed), 1)
}

async fn loaded(coordinator: &Coordinator, group: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while coordinator.describe(group).await == Err(GroupError::CoordinatorLoadInProgress) {
        assert!(tokio::time::Instant::now() < deadline, "it is never loaded");
        tokio::task::yield_now().await;
    }
}

async fn leading(log: &Arc<Memory>) -> Coordinator {
    let coordinator = coordinator();
    coordinator.lead(0, 0, log.clone());
    loaded(&coordinator, "g").await;
    coordinator
}

async fn committed(coordinator: &Coordinator, group: &str) -> Vec<i64> {
    let fetched = coordinator.fetch_offsets(group, &FetchOffsets::default()).await.unwrap();
    fetched.into_iter().map(|of| of.offset.unwrap().unwrap().offset).collect()
}

#[tokio::test]
async fn what_was_committed_is_there_when_the_partition_comes_back() {
    let log = Arc::new(Memory::default());
    let first = leading(&log).await;
    for number in 0..5 {
        first.commit_offsets("g", simple(vec![offset("t", 0, number)])).await.unwrap();
    }
    let producer = TransactionalProducer { id: 1, epoch: 0 };
    for (number, commit) in [(1, true), (2, false)] {
        let request = simple(vec![offset("t", number, 7)]);
        first.commit_offsets_in_transaction("g", request, producer).await.unwrap();
        let end = EndTransaction { producer, commit, coordinator_epoch: 0 };
        first.end_transaction(0, end).await.unwrap();
    }
    assert_eq!(committed(&first, "g").await, [4, 7]);
    first.resign(0, 1);
    assert_eq!(first.describe("g").await, Err(GroupError::NotCoordinator));
    assert_eq!(first.committed_offsets(), []);
    first.lead(0, 2, log.clone());
    loaded(&first, "g").await;
    assert_eq!(committed(&first, "g").await, [4, 7]);
    assert_eq!(committed(&leading(&log).await, "g").await, [4, 7]);
    assert_eq!(first.committed_offsets().len(), 2);
}

#[tokio::test]
async fn news_of_an_old_leader_epoch_changes_nothing() {
    let log = Arc::new(Memory::default());
    let coordinator = leading(&log).await;
    coordinator.resign(0, -1);
    coordinator.describe("g").await.unwrap();
    coordinator.resign(0, 3);
    coordinator.lead(0, 2, log);
    assert_eq!(coordinator.describe("g").await, Err(GroupError::NotCoordinator));
}

#[tokio::test]
async fn while_the_partition_is_read_clients_are_told_so() {
    let log = Arc::new(Memory::default());
    let (open, gate) = blocking::channel();
    log.0.lock().gate = Some(gate);
    let coordinator = coordinator();
    coordinator.lead(0, 0, log);
    let loading = GroupError::CoordinatorLoadInProgress;
    assert_eq!(coordinator.describe("g").await, Err(loading));
    assert_eq!(coordinator.commit_offsets("g", simple(Vec::new())).await, Err(loading));
    assert_eq!(coordinator.join("g", consumer("")).await.unwrap_err().error, loading);
    assert_eq!(coordinator.list(&[], &[]).0, Err(loading));
    // Clients that are members would not understand.
    assert_eq!(coordinator.heartbeat("g", "m", None, 1).await, Ok(()));
    let rebalance = Err(GroupError::RebalanceInProgress);
    assert_eq!(coordinator.sync("g", sync("m", 1, share(&[]))).await, rebalance);
    open.send(()).unwrap();
    loaded(&coordinator, "g").await;
    assert_eq!(coordinator.list(&[], &[]), (Ok(()), Vec::new()));
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_serves_nobody() {
    let log = Arc::new(Memory::default());
    log.0.lock().reads_fail = true;
    let coordinator = leading(&log).await;
    let outcome = coordinator.commit_offsets("g", simple(Vec::new())).await;
    assert_eq!(outcome, Err(GroupError::CoordinatorNotAvailable));
}

#[tokio::test(start_paused = true)]
async fn members_are_answered_when_their_time_has_come() {
    let coordinator = leading(&Arc::new(Memory::default())).await;
    let start = tokio::time::Instant::now();
    let joined = coordinator.join("g", consumer("")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert!(joined.member_id.starts_with("c-") && joined.member_id.len() == 38);
    let id = joined.member_id.clone();
    let synced =
        coordinator.sync("g", sync(&id, 1, share(std::slice::from_ref(&id)))).await.unwrap();
    assert_eq!(synced.assignment, id);
    assert_eq!(coordinator.list(&["stable".into()], &[GroupKind::Classic]).1.len(), 1);
    assert_eq!(coordinator.list(&["empty".into()], &[]).1, []);
    assert_eq!(coordinator.list(&[], &[GroupKind::Consumer]).1, []);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(coordinator.describe("g").await.unwrap().state, "Empty");
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_replicas_and_so_does_what_reads_after_it() {
    let log = Arc::new(Memory::default());
    let coordinator = leading(&log).await;
    log.0.lock().replicates = true;
    let mut commit = Box::pin(coordinator.commit_offsets("g", simple(vec![offset("t", 0, 5)])));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut commit).await.is_err());
    let mut fetch = Box::pin(committed(&coordinator, "g"));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut fetch).await.is_err());
    log.0.lock().replicas.remove(0).send(Ok(())).unwrap();
    assert_eq!(commit.await, Ok(vec![Ok(())]));
    assert_eq!(fetch.await, [5]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_replicas_for_ever() {
    let log = Arc::new(Memory::default());
    let coordinator = leading(&log).await;
    log.0.lock().replicates = true;
    let slow = coordinator.commit_offsets("g", simple(vec![offset("t", 0, 5)])).await;
    assert_eq!(slow, Err(GroupError::CoordinatorNotAvailable));
    let waiting = log.0.lock().replicas.len();
    assert_eq!(waiting, 1);

    let commit = coordinator.commit_offsets("g", simple(vec![offset("t", 0, 6)]));
    let fail = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        for done in std::mem::take(&mut log.0.lock().replicas) {
            done.send(Err(AppendError::NotLeader)).unwrap();
        }
    };
    assert_eq!(tokio::join!(commit, fail).0, Err(GroupError::NotCoordinator));
}

#[tokio::test]
async fn those_who_wait_are_told_when_the_partition_goes() {
    let log = Arc::new(Memory::default());
    let coordinator = leading(&log).await;
    let join = tokio::spawn({
        let coordinator = coordinator.clone();
        async move { coordinator.join("g", consumer("")).await }
    });
    while coordinator.describe("g").await.unwrap().members.is_empty() {
        tokio::task::yield_now().await;
    }
    log.0.lock().replicates = true;
    let commit = coordinator.commit_offsets("h", simple(vec![offset("t", 0, 5)]));
    let resign = async { coordinator.resign(0, 1) };
    assert_eq!(tokio::join!(commit, resign).0, Err(GroupError::NotCoordinator));
    assert_eq!(join.await.unwrap().unwrap_err().error, GroupError::NotCoordinator);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_come_together_are_all_done() {
    let log = Arc::new(Memory::default());
    let coordinator = leading(&log).await;
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let coordinator = coordinator.clone();
            tokio::spawn(async move {
                let group = format!("g{}", number % 20);
                let request = simple(vec![offset("t", number, i64::from(number))]);
                coordinator.commit_offsets(&group, request).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(vec![Ok(())]));
    }
    let again = leading(&log).await;
    for of in [coordinator.committed_offsets(), again.committed_offsets()] {
        assert_eq!(of.len(), 200);
        assert!(of.iter().all(|of| of.offset == i64::from(of.partition)));
    }
}

#[tokio::test]
async fn membership_needs_a_group_id_and_offsets_do_not() {
    let coordinator = leading(&Arc::new(Memory::default())).await;
    let invalid = GroupError::InvalidGroupId;
    assert_eq!(coordinator.join("", consumer("")).await.unwrap_err().error, invalid);
    assert_eq!(coordinator.sync("", sync("m", 1, share(&[]))).await, Err(invalid));
    assert_eq!(coordinator.heartbeat("", "m", None, 1).await, Err(invalid));
    assert_eq!(coordinator.leave("", &[]).await, Err(invalid));
    assert_eq!(coordinator.delete_offsets("", &[]).await, Err(invalid));
    coordinator.commit_offsets("", simple(vec![offset("t", 0, 1)])).await.unwrap();
    assert_eq!(committed(&coordinator, "").await, [1]);
    coordinator.topics_deleted(&["t".into()]);
    assert_eq!(committed(&coordinator, "").await, [0; 0]);
    assert_eq!(coordinator.delete("").await, Err(GroupError::GroupIdNotFound));
}

mod on_a_partition {
    use polyport_log::TopicPartition;
    use polyport_log::checkpoint::partition_metadata::TopicId;
    use polyport_partitions::{Partition, PartitionState, Settings, Store, TopicConfig};
    use polyport_storage::SimDisk;

    use super::*;

    fn partition(disk: &SimDisk) -> (Store<SimDisk>, Arc<Partition<SimDisk>>) {
        let settings =
            Settings { broker_id: 1, log_dirs: vec!["/a".into()], ..Settings::default() };
        let config = Arc::new(TopicConfig::default());
        let (store, _) =
            Store::open(disk.clone(), settings, Arc::new(Fixed), &|_| config.clone()).unwrap();
        let of = TopicPartition { topic: "__consumer_offsets".into(), partition: 0 };
        let partition = store.create(&of, TopicId([7; 16]), &config, true).unwrap();
        let state = PartitionState {
            leader: Some(1),
            leader_epoch: 0,
            partition_epoch: 0,
            replicas: vec![1],
            isr: vec![1],
        };
        partition.set_state(&state, Fixed.now()).unwrap();
        (store, partition)
    }

    #[tokio::test]
    async fn groups_live_in_a_partition_of_this_node() {
        let disk = SimDisk::new();
        let (_store, log) = partition(&disk);
        let coordinator = coordinator();
        coordinator.lead(0, 0, Arc::new(log.clone()));
        loaded(&coordinator, "g").await;
        let producer = TransactionalProducer { id: 1, epoch: 3 };
        coordinator.commit_offsets("g", simple(vec![offset("t", 0, 5)])).await.unwrap();
        for (number, commit) in [(1, true), (2, false)] {
            let request = simple(vec![offset("t", number, 7), offset("t", 3 + number, 8)]);
            coordinator.commit_offsets_in_transaction("g", request, producer).await.unwrap();
            assert_eq!(log.status().unwrap().last_stable_offset, 1 + (i64::from(number) - 1) * 3);
            let end = EndTransaction { producer, commit, coordinator_epoch: 0 };
            coordinator.end_transaction(0, end).await.unwrap();
        }
        let old = TransactionalProducer { id: 1, epoch: 2 };
        let request = simple(vec![offset("t", 0, 7)]);
        let fenced = coordinator.commit_offsets_in_transaction("g", request, old).await;
        assert_eq!(fenced, Ok(vec![Err(GroupError::InvalidProducerEpoch)]));
        let large = "x".repeat(4000);
        let large = (0..300).map(|number| crate::group::offsets::CommitOffset {
            metadata: Some(large.as_str().into()),
            ..offset("u", number, 1)
        });
        let too_large = coordinator.commit_offsets("g", simple(large.collect())).await.unwrap();
        assert_eq!(too_large[0], Err(GroupError::InvalidCommitOffsetSize));

        let again = super::coordinator();
        again.lead(0, 0, Arc::new(log.clone()));
        loaded(&again, "g").await;
        assert_eq!(committed(&again, "g").await, [5, 7, 8]);
        assert_eq!(committed(&coordinator, "g").await, [5, 7, 8]);
    }
}
