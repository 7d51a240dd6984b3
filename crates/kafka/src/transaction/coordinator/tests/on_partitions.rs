//! Transactions over partitions of this node.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Clock;
use polyport_log::batch::{Attributes, BatchBuilder};
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::{Isolation, TopicPartition};
use polyport_partitions::{
    Acks, AppendOptions, Partition, PartitionState, Read, Settings, Store, TopicConfig,
};
use polyport_storage::SimDisk;

use super::super::{Leadership, LocalMarkers, TransactionCoordinator};
use super::memory::{begin, clock, coordinator, loaded, opened, x};
use crate::group::offsets::{CommitOffset, CommitOffsets};
use crate::group::{self, GroupConfig, GroupError};
use crate::metadata::topics::CONSUMER_OFFSETS;
use crate::transaction::machine::{End, Producer};
use crate::transaction::record::TransactionState;

struct Node {
    store: Store<SimDisk>,
    clock: Arc<dyn Clock>,
    groups: group::Coordinator,
}

fn topic(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

impl Node {
    fn new(disk: &SimDisk) -> Self {
        let settings = Settings { log_dirs: vec!["/a".into()], ..Settings::default() };
        let config = Arc::new(TopicConfig::default());
        let clock = clock();
        let opened = Store::open(disk.clone(), settings, clock.clone(), &|_| config.clone());
        let groups = group::Coordinator::new(GroupConfig::default(), clock.clone(), 1);
        Node { store: opened.unwrap().0, clock, groups }
    }

    fn partition(&self, of: &TopicPartition, epoch: i32) -> Arc<Partition<SimDisk>> {
        let config = Arc::new(TopicConfig::default());
        let partition = self.store.create(of, TopicId([7; 16]), &config, true).unwrap();
        let state = PartitionState {
            leader: Some(0),
            leader_epoch: epoch,
            partition_epoch: epoch,
            replicas: vec![0],
            isr: vec![0],
        };
        partition.set_state(&state, self.clock.now()).unwrap();
        partition
    }

    async fn coordinator(&self, epoch: i32) -> TransactionCoordinator {
        let markers = LocalMarkers {
            store: self.store.clone(),
            clock: self.clock.clone(),
            leader_of: Box::new(|of| match of.topic.as_str() {
                "deleted" => Leadership::Gone,
                _ => Leadership::Here,
            }),
            groups: self.groups.clone(),
            timeout: Duration::from_secs(30),
        };
        let coordinator = coordinator(Arc::new(markers));
        let log = self.partition(&topic("__transaction_state", 0), epoch);
        coordinator.lead(0, epoch, Arc::new(log));
        loaded(&coordinator).await;
        coordinator
    }

    fn produce(&self, to: &Arc<Partition<SimDisk>>, producer: Producer, sequence: i32) -> bool {
        let attributes = Attributes::default().with_transactional(true);
        let builder = BatchBuilder::new(0).attributes(attributes);
        let mut builder = builder.producer(producer.id, producer.epoch, sequence);
        builder.push(self.clock.now().0, None, Some(b"v"));
        let mut batch = Vec::new();
        builder.build(None, &mut batch).unwrap();
        to.append(&mut batch, AppendOptions::client(Acks::All), self.clock.now()).is_ok()
    }
}

impl Node {
    async fn commit_offset(&self, producer: Producer) {
        let offset = CommitOffset {
            topic: "in".into(),
            partition: 0,
            offset: 7,
            leader_epoch: None,
            metadata: None,
            commit_timestamp: None,
            retention_ms: None,
        };
        let request = CommitOffsets {
            member_id: "".into(),
            instance_id: None,
            generation: -1,
            offsets: vec![offset],
        };
        let producer =
            group::machine::TransactionalProducer { id: producer.id, epoch: producer.epoch };
        loop {
            let commit = self.groups.commit_offsets_in_transaction("g", request.clone(), producer);
            match commit.await {
                Err(GroupError::CoordinatorLoadInProgress) => tokio::task::yield_now().await,
                outcome => return assert_eq!(outcome, Ok(vec![Ok(())])),
            }
        }
    }

    fn committed_offsets(&self) -> Vec<i64> {
        self.groups.committed_offsets().into_iter().map(|of| of.offset).collect()
    }
}

fn ends(of: &Partition<SimDisk>) -> (i64, i64) {
    let status = of.status().unwrap();
    (status.last_stable_offset, status.log_end_offset)
}

fn aborted(of: &Arc<Partition<SimDisk>>) -> Vec<i64> {
    let read = of.read(&Read::consumer(0, 1 << 20, Isolation::LastStable)).unwrap();
    read.fetched.aborted.iter().map(|transaction| transaction.first_offset).collect()
}

#[tokio::test]
async fn read_committed_consumers_see_what_was_committed() {
    let disk = SimDisk::new();
    let node = Node::new(&disk);
    let partition = node.partition(&x(0), 0);
    let coordinator = node.coordinator(0).await;
    node.groups.lead(0, 0, Arc::new(node.partition(&topic(CONSUMER_OFFSETS, 0), 0)));
    let partitions = [x(0), topic(CONSUMER_OFFSETS, 0), topic("deleted", 0)];
    let producer = opened(&coordinator, "t", &partitions).await;
    assert!(node.produce(&partition, producer, 0));
    assert_eq!(ends(&partition), (0, 1));
    node.commit_offset(producer).await;
    assert_eq!(node.committed_offsets(), [0; 0]);
    coordinator.end("t", producer, End::Commit).await.unwrap();
    assert_eq!(ends(&partition), (2, 2));
    assert_eq!(node.committed_offsets(), [7]);

    coordinator.add_partitions("t", producer, &[x(0)]).await.unwrap();
    assert!(node.produce(&partition, producer, 1));
    assert_eq!(ends(&partition), (2, 3));
    // Another takes over: what is open is aborted, and the first is fenced in the partition too.
    while coordinator.init_producer_id(Some("t"), begin()).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(ends(&partition), (4, 4));
    assert_eq!(aborted(&partition), [2]);
    assert!(!node.produce(&partition, producer, 2));
}

#[tokio::test]
async fn transactions_survive_a_restart() {
    let disk = SimDisk::new();
    let (open, decided) = {
        let node = Node::new(&disk);
        let partition = node.partition(&x(0), 0);
        let coordinator = node.coordinator(0).await;
        let open = opened(&coordinator, "open", &[x(0)]).await;
        assert!(node.produce(&partition, open, 0));
        // Its partition is not here yet, so that it stays undone.
        let decided = opened(&coordinator, "t", &[x(1), x(0)]).await;
        assert!(node.produce(&partition, decided, 0));
        coordinator.end("t", decided, End::Commit).await.unwrap();
        assert_eq!(coordinator.describe("t").unwrap().state, TransactionState::PrepareCommit);
        coordinator.resign(0, 1);
        assert_eq!(node.store.close(), 0);
        (open, decided)
    };
    let node = Node::new(&disk);
    let partition = node.partition(&x(0), 2);
    let late = node.partition(&x(1), 2);
    let coordinator = node.coordinator(2).await;
    assert_eq!(coordinator.describe("t").unwrap().state, TransactionState::CompleteCommit);
    assert_eq!(late.status().unwrap().log_end_offset, 1);
    assert_eq!(coordinator.describe("open").unwrap().state, TransactionState::Ongoing);
    assert_eq!(ends(&partition).0, 0, "the open one holds all others back");
    coordinator.end("open", open, End::Abort).await.unwrap();
    // The decided one has two markers of the same kind.
    assert_eq!(ends(&partition), (5, 5));
    assert_eq!(aborted(&partition), [0]);
    coordinator.add_partitions("t", decided, &[x(0)]).await.unwrap();
    assert!(node.produce(&partition, decided, 1));
}
