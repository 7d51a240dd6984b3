//! Writes a partition of `__consumer_offsets` as our coordinator does, or says which groups are in one
//! that somebody else wrote. `compare/groups.sh` holds both against a real Kafka.
//!
//! `group-log write DIR`, `group-log read DIR`; DIR is a log directory with `__consumer_offsets-0`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polyport_base::Clock;
use polyport_base::clock::SystemClock;
use polyport_kafka::group::classic::{JoinGroup, Protocol, SyncGroup};
use polyport_kafka::group::consumer::{ConsumerHeartbeat, TopicView};
use polyport_kafka::group::machine::{EndTransaction, TransactionalProducer};
use polyport_kafka::group::offsets::{CommitOffset, CommitOffsets};
use polyport_kafka::group::record::{Partitions, TopicId};
use polyport_kafka::group::shard::GroupKind;
use polyport_kafka::group::{Coordinator, GroupConfig, GroupError};
use polyport_log::TopicPartition;
use polyport_partitions::{Partition, PartitionState, Settings, Store, TopicConfig};
use polyport_storage::OsDisk;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Topics;

impl TopicView for Topics {
    fn version(&self) -> u64 {
        1
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        (name == "topic").then_some((TopicId([7; 16]), 3))
    }
}

fn partition(dir: &str) -> Outcome<(Store<OsDisk>, Arc<Partition<OsDisk>>)> {
    let settings = Settings { broker_id: 1, log_dirs: vec![dir.into()], ..Settings::default() };
    let config = Arc::new(TopicConfig::default());
    let (store, _) = Store::open(OsDisk, settings, Arc::new(SystemClock), &|_| config.clone())?;
    let of = TopicPartition { topic: "__consumer_offsets".into(), partition: 0 };
    let partition = match store.partition(&of.topic, of.partition) {
        Some(partition) => partition,
        None => store.create(&of, TopicId([9; 16]), &config, true)?,
    };
    let state = PartitionState {
        leader: Some(1),
        leader_epoch: 100,
        partition_epoch: 100,
        replicas: vec![1],
        isr: vec![1],
    };
    partition.set_state(&state, SystemClock.now())?;
    Ok((store, partition))
}

async fn coordinator(partition: Arc<Partition<OsDisk>>) -> Outcome<Coordinator> {
    let config = GroupConfig { initial_rebalance_delay: Duration::ZERO, ..GroupConfig::default() };
    let coordinator = Coordinator::new(config, Arc::new(SystemClock), 1);
    coordinator.set_topics(Arc::new(Topics));
    coordinator.lead(0, 100, Arc::new(partition));
    let end = Instant::now() + Duration::from_secs(60);
    while coordinator.describe("").await == Err(GroupError::CoordinatorLoadInProgress) {
        if Instant::now() > end {
            return Err("it is never loaded".into());
        }
        tokio::task::yield_now().await;
    }
    Ok(coordinator)
}

fn commit(member_id: &str, generation: i32, partition: i32, offset: i64) -> CommitOffsets {
    let offset = CommitOffset {
        topic: "topic".into(),
        partition,
        offset,
        leader_epoch: Some(5),
        metadata: Some("words".into()),
        commit_timestamp: None,
        retention_ms: None,
    };
    let member_id = member_id.into();
    CommitOffsets { member_id, generation, offsets: vec![offset], ..CommitOffsets::default() }
}

async fn write(groups: &Coordinator) -> Outcome<()> {
    groups.commit_offsets("simple", commit("", -1, 0, 11)).await?;
    let mut old = commit("", -1, 1, 12);
    old.offsets[0].retention_ms = Some(1 << 40);
    groups.commit_offsets("simple", old).await?;

    let metadata = [&[0, 1, 0, 0, 0, 1, 0, 5][..], b"topic", &[0xff; 4]].concat();
    let request = JoinGroup {
        member_id: String::new(),
        instance_id: Some("instance".into()),
        require_member_id: false,
        can_skip_assignment: true,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: metadata.into() }],
    };
    let joined = groups.join("classic", request).await.map_err(|refused| refused.error)?;
    let assignment = [&[0, 1, 0, 0, 0, 1, 0, 5][..], b"topic", &[0, 0, 0, 1], &[0; 4], &[0xff; 4]];
    let sync = SyncGroup {
        member_id: joined.member_id.clone(),
        instance_id: Some("instance".into()),
        generation: joined.generation,
        assignments: [(joined.member_id.clone(), assignment.concat().into())].into(),
        ..SyncGroup::default()
    };
    groups.sync("classic", sync).await?;
    groups.commit_offsets("classic", commit(&joined.member_id, joined.generation, 0, 21)).await?;

    let producer = TransactionalProducer { id: 4000, epoch: 0 };
    for (partition, commits) in [(0, true), (1, false)] {
        let request = commit("", -1, partition, 31);
        groups.commit_offsets_in_transaction("transactional", request, producer).await?;
        let end = EndTransaction { producer, commit: commits, coordinator_epoch: 0 };
        groups.end_transaction(0, end).await?;
    }

    for member in ["first", "second"] {
        let join = ConsumerHeartbeat {
            member_id: member.into(),
            rebalance_timeout_ms: Some(60_000),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            topics: Some(vec!["topic".into()]),
            assignor: Some("range".into()),
            owned: Some(Partitions::new()),
            ..ConsumerHeartbeat::default()
        };
        groups.consumer_heartbeat("modern", &join).await?;
    }
    let next = ConsumerHeartbeat {
        member_id: "first".into(),
        member_epoch: 1,
        ..ConsumerHeartbeat::default()
    };
    groups.consumer_heartbeat("modern", &next).await?;
    let leave = ConsumerHeartbeat { member_epoch: -1, ..next };
    groups.consumer_heartbeat("modern", &leave).await?;
    groups.commit_offsets("deleted", commit("", -1, 0, 41)).await?;
    groups.delete("deleted").await?;
    Ok(())
}

/// A line a group, a member and an offset.
async fn read(groups: &Coordinator) -> Outcome<()> {
    let (loaded, found) = groups.list(&[], &[]);
    loaded?;
    for group in found {
        println!("group {} {} {}", group.group, group.kind.name(), group.state);
        if group.kind == GroupKind::Consumer {
            for member in groups.describe_consumer(&group.group).await?.members {
                let reads = member.topics.join(",");
                println!("member {} {} epoch {}", group.group, reads, member.epoch);
            }
        } else {
            let described = groups.describe(&group.group).await?;
            for member in described.members {
                let of = member.instance_id.unwrap_or_default();
                let bytes = member.assignment.len();
                println!("member {} {} {of} {bytes}", group.group, described.protocol);
            }
        }
    }
    for of in groups.committed_offsets() {
        println!("offset {} {} {} {}", of.group, of.topic, of.partition, of.offset);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(command), Some(dir)) = (arguments.next(), arguments.next()) else {
        return Err("group-log write|read DIR".into());
    };
    let (store, partition) = partition(&dir)?;
    let groups = coordinator(partition).await?;
    match command.as_str() {
        "write" => write(&groups).await?,
        _ => read(&groups).await?,
    }
    groups.resign(0, 101);
    store.close();
    Ok(())
}
