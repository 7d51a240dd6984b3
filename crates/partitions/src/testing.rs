//! What the tests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use polyport_base::{Clock, Millis};
use polyport_log::batch::{Attributes, Batch, BatchBuilder, EndMarker};
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::producer::Origin;
use polyport_log::{FileRange, Isolation, LogConfig, TopicPartition};
use polyport_storage::{DiskFile, SimDisk};

use crate::{
    Acks, AppendAnswer, AppendOptions, Opened, Partition, PartitionState, ProduceError, Read,
    Settings, Store, TopicConfig,
};

pub const ID: TopicId = TopicId([7; 16]);
pub const NOW: Millis = Millis(1_000_000);

/// A clock that stands still unless it is moved.
#[derive(Debug, Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst).max(NOW.0))
    }
}

pub fn settings(dirs: &[&str]) -> Settings {
    Settings {
        broker_id: 1,
        cluster_id: "c".into(),
        log_dirs: dirs.iter().map(PathBuf::from).collect(),
        io_threads_per_dir: 1,
        ..Settings::default()
    }
}

pub fn config() -> Arc<TopicConfig> {
    let log = LogConfig { retention_ms: None, ..LogConfig::default() };
    Arc::new(TopicConfig { log, ..TopicConfig::default() })
}

pub fn with_log(change: impl FnOnce(&mut LogConfig)) -> Arc<TopicConfig> {
    let mut config = (*config()).clone();
    change(&mut config.log);
    Arc::new(config)
}

pub fn open(disk: &SimDisk, settings: Settings) -> (Store<SimDisk>, Opened) {
    let clock = Arc::new(TestClock::default());
    Store::open(disk.clone(), settings, clock, &|_| config()).unwrap()
}

/// A store in one directory.
pub fn store(disk: &SimDisk) -> Store<SimDisk> {
    open(disk, settings(&["/a"])).0
}

pub fn of(number: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: number }
}

/// This broker alone leads.
pub fn alone(epoch: i32) -> PartitionState {
    PartitionState {
        leader: Some(1),
        leader_epoch: epoch,
        partition_epoch: epoch,
        replicas: vec![1],
        isr: vec![1],
    }
}

/// A partition that this broker alone leads.
pub fn led(
    store: &Store<SimDisk>,
    number: i32,
    config: &Arc<TopicConfig>,
) -> Arc<Partition<SimDisk>> {
    let partition = store.create(&of(number), ID, config, true).unwrap();
    partition.set_state(&alone(0), NOW).unwrap();
    partition
}

pub fn batch(values: &[&str]) -> Vec<u8> {
    built(BatchBuilder::new(0), values)
}

pub fn transactional(producer: i64, sequence: i32, values: &[&str]) -> Vec<u8> {
    let attributes = Attributes::default().with_transactional(true);
    built(BatchBuilder::new(0).attributes(attributes).producer(producer, 0, sequence), values)
}

fn built(mut builder: BatchBuilder, values: &[&str]) -> Vec<u8> {
    for value in values {
        builder.push(NOW.0, Some(b"k"), Some(value.as_bytes()));
    }
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    bytes
}

pub fn append(to: &Arc<Partition<SimDisk>>, values: &[&str]) -> Result<AppendAnswer, ProduceError> {
    to.append(&mut batch(values), AppendOptions::client(Acks::All), NOW)
}

pub fn end_transaction(to: &Arc<Partition<SimDisk>>, producer: i64, commit: bool) {
    let mut marker = EndMarker { commit, coordinator_epoch: 0 }.build(producer, 0, NOW.0);
    let options =
        AppendOptions { origin: Origin::Coordinator, ..AppendOptions::client(Acks::Leader) };
    to.append(&mut marker, options, NOW).unwrap();
}

/// Values and the offset after the last.
fn read_range<F: DiskFile>(range: &FileRange<F>) -> (Vec<String>, i64) {
    let bytes = range.read().unwrap();
    let mut rest = bytes.as_slice();
    let (mut found, mut next) = (Vec::new(), 0);
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest).unwrap();
        rest = after;
        batch.check_crc().unwrap();
        next = batch.header().next_offset();
        let mut scratch = Vec::new();
        for record in batch.records(&mut scratch, 1 << 20).unwrap() {
            found.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    (found, next)
}

pub fn values_in<F: DiskFile>(range: &FileRange<F>) -> Vec<String> {
    read_range(range).0
}

/// What a consumer finds from an offset on, through as many fetches as it takes.
pub fn consume(from: &Partition<SimDisk>, mut offset: i64) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let read = Read::consumer(offset, 1 << 20, Isolation::HighWatermark);
        let Some(range) = from.read(&read).unwrap().fetched.range else { return all };
        let (values, next) = read_range(&range);
        all.extend(values);
        offset = next;
    }
}
