//! Which replicas and brokers are throttled while partitions move.

use std::collections::{BTreeMap, BTreeSet};

use super::file::joined;
use crate::kafka::client::TopicPartition;
use crate::kafka::client::admin::{ConfigChange, ConfigOperation, Reassignment};

/// Settings of topics: which replicas.
const TOPICS: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// Settings of brokers: how much, between brokers.
const BROKERS: [&str; 2] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// A setting of brokers: how much, between a broker's directories.
const LOG_DIRS: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// Who has a partition now, and who else will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionMove {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

/// The partitions that move, by topic and number.
pub type MoveMap = BTreeMap<String, BTreeMap<i32, PartitionMove>>;

/// The moves under way and those that are to begin. A partition that moves already begins where it
/// was before.
pub fn move_map(
    under_way: &BTreeMap<TopicPartition, Reassignment>,
    proposed: &BTreeMap<TopicPartition, Vec<i32>>,
    current: &BTreeMap<TopicPartition, Vec<i32>>,
) -> MoveMap {
    let mut map = MoveMap::new();
    for (place, moving) in under_way {
        let destinations: BTreeSet<i32> = moving.adding.iter().copied().collect();
        let all = moving.replicas.iter().copied();
        let sources = all.filter(|id| !destinations.contains(id)).collect();
        let of_topic = map.entry(place.topic.clone()).or_default();
        of_topic.insert(place.partition, PartitionMove { sources, destinations });
    }
    for (place, replicas) in proposed {
        let of_topic = map.entry(place.topic.clone()).or_default();
        let now = || current.get(place).into_iter().flatten().copied().collect();
        let sources: BTreeSet<i32> =
            of_topic.get(&place.partition).map_or_else(now, |moving| moving.sources.clone());
        let all = replicas.iter().copied();
        let destinations = all.filter(|id| !sources.contains(id)).collect();
        of_topic.insert(place.partition, PartitionMove { sources, destinations });
    }
    map
}

/// The settings of a topic whose partitions move.
pub fn of_topic(moves: &BTreeMap<i32, PartitionMove>) -> Vec<ConfigChange> {
    let list = |brokers: &dyn Fn(&PartitionMove) -> BTreeSet<i32>| {
        let pairs = moves.iter().flat_map(|(number, moving)| {
            brokers(moving).into_iter().map(move |id| format!("{number}:{id}"))
        });
        // In the order of their texts, as Kafka has them.
        joined(pairs.collect::<BTreeSet<_>>(), ",")
    };
    let leaders = list(&|moving| moving.sources.clone());
    let followers = list(&|moving| moving.destinations.clone());
    TOPICS.into_iter().zip([leaders, followers]).map(|(name, value)| set(name, value)).collect()
}

/// The brokers between which partitions move.
pub fn brokers(map: &MoveMap) -> BTreeSet<i32> {
    let moves = map.values().flat_map(BTreeMap::values);
    moves.flat_map(|moving| moving.sources.union(&moving.destinations).copied()).collect()
}

/// The settings of a broker that moves partitions at so many bytes a second.
pub fn of_broker(bytes_per_second: i64) -> Vec<ConfigChange> {
    BROKERS.into_iter().map(|name| set(name, bytes_per_second.to_string())).collect()
}

/// No throttling of a topic.
pub fn none_of_topic() -> Vec<ConfigChange> {
    TOPICS.into_iter().map(delete).collect()
}

/// No throttling of a broker.
pub fn none_of_broker() -> Vec<ConfigChange> {
    BROKERS.into_iter().chain([LOG_DIRS]).map(delete).collect()
}

fn set(name: &str, value: String) -> ConfigChange {
    let operation = ConfigOperation::Set;
    ConfigChange { name: name.to_owned(), operation, value: Some(value) }
}

fn delete(name: &str) -> ConfigChange {
    ConfigChange { name: name.to_owned(), operation: ConfigOperation::Delete, value: None }
}
