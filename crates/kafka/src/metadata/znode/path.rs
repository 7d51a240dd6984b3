//! Where everything is.

use std::fmt::Display;

/// The brokers that live: an ephemeral each.
pub const BROKER_IDS: &str = "/brokers/ids";
/// The topics.
pub const TOPICS: &str = "/brokers/topics";
/// The broker that is the controller: an ephemeral.
pub const CONTROLLER: &str = "/controller";
/// How often the controller has changed.
pub const CONTROLLER_EPOCH: &str = "/controller_epoch";
/// The cluster's id.
pub const CLUSTER_ID: &str = "/cluster/id";
/// Configurations by type and name of what they are of.
pub const CONFIG: &str = "/config";
/// Told of changed configurations.
pub const CONFIG_CHANGES: &str = "/config/changes";
/// Topics to be deleted.
pub const DELETE_TOPICS: &str = "/admin/delete_topics";
/// Asks for a reassignment, in the old way.
pub const REASSIGN_PARTITIONS: &str = "/admin/reassign_partitions";
/// Asks for preferred leaders, in the old way.
pub const PREFERRED_REPLICA_ELECTION: &str = "/admin/preferred_replica_election";
/// Told of changed ISRs by leaders of before `AlterPartition`.
pub const ISR_CHANGE_NOTIFICATION: &str = "/isr_change_notification";
/// Told of failed log directories.
pub const LOG_DIR_EVENT_NOTIFICATION: &str = "/log_dir_event_notification";
/// The newest block of producer ids that was handed out.
pub const LATEST_PRODUCER_ID_BLOCK: &str = "/latest_producer_id_block";
/// Its version counts generated broker ids.
pub const BROKER_SEQUENCE_ID: &str = "/brokers/seqid";
/// Finalised features.
pub const FEATURE: &str = "/feature";

/// What must be there before a broker works, parents first: what Kafka makes at its start. The homes
/// of access control lists come with the first of them.
pub const BASE: [&str; 18] = [
    "/brokers",
    BROKER_IDS,
    TOPICS,
    BROKER_SEQUENCE_ID,
    CONFIG,
    CONFIG_CHANGES,
    "/config/topics",
    "/config/clients",
    "/config/users",
    "/config/brokers",
    "/config/ips",
    "/admin",
    DELETE_TOPICS,
    ISR_CHANGE_NOTIFICATION,
    LOG_DIR_EVENT_NOTIFICATION,
    LATEST_PRODUCER_ID_BLOCK,
    "/consumers",
    "/cluster",
];

/// A broker's registration.
pub fn broker(id: i32) -> String {
    format!("{BROKER_IDS}/{id}")
}

/// A topic's assignment.
pub fn topic(topic: &str) -> String {
    format!("{TOPICS}/{topic}")
}

/// The home of a topic's partitions.
pub fn partitions(topic: &str) -> String {
    format!("{TOPICS}/{topic}/partitions")
}

/// The home of a partition.
pub fn partition(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}")
}

/// A partition's leader and ISR.
pub fn state(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}/state")
}

/// The mark of a topic that is to be deleted.
pub fn delete_topic(topic: &str) -> String {
    format!("{DELETE_TOPICS}/{topic}")
}

/// The configuration of an entity: `topics/t`, `brokers/0`, `users/alice/clients/app` and so on.
pub fn config(entity: &str) -> String {
    format!("{CONFIG}/{entity}")
}

/// The entity of a topic's configuration.
pub fn topic_entity(topic: &str) -> String {
    format!("topics/{topic}")
}

/// The entity of a broker's configuration, or of that which all brokers share.
pub fn broker_entity(id: Option<i32>) -> String {
    let id: &dyn Display = match &id {
        Some(id) => id,
        None => &DEFAULT_ENTITY,
    };
    format!("brokers/{id}")
}

/// Name of the entity whose configuration all of its type share.
pub const DEFAULT_ENTITY: &str = "<default>";

/// What a path below `/brokers/topics` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicPath<'a> {
    /// The topic itself.
    Topic(&'a str),
    /// The state of one of its partitions.
    State(&'a str, i32),
}

/// Reads a path below `/brokers/topics`; nothing if it holds nothing that matters.
pub fn parse_topic_path(path: &str) -> Option<TopicPath<'_>> {
    let rest = path.strip_prefix(TOPICS)?.strip_prefix('/')?;
    let Some((topic, rest)) = rest.split_once('/') else {
        return Some(TopicPath::Topic(rest));
    };
    let number = rest.strip_prefix("partitions/")?.strip_suffix("/state")?;
    Some(TopicPath::State(topic, parse_number(number)?))
}

/// A number as Kafka writes it: `007` and `+7` are others' znodes.
pub fn parse_number(text: &str) -> Option<i32> {
    let number: i32 = text.parse().ok()?;
    (number >= 0 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        assert_eq!(parse_topic_path(&topic("a.b")), Some(TopicPath::Topic("a.b")));
        assert_eq!(parse_topic_path(&state("t", 12)), Some(TopicPath::State("t", 12)));
        for other in [TOPICS, "/brokers/ids/1", &partition("t", 1), &partitions("t")] {
            assert_eq!(parse_topic_path(other), None, "{other}");
        }
        assert_eq!(parse_topic_path("/brokers/topics/t/partitions/01/state"), None);
        assert_eq!(broker_entity(Some(3)), "brokers/3");
        assert_eq!(broker_entity(None), "brokers/<default>");
    }

    #[test]
    fn parents_of_base_paths_come_first() {
        for (at, path) in BASE.iter().enumerate() {
            let parent = polyport_tree::path::parent(path).unwrap();
            assert!(parent == "/" || BASE[..at].contains(&parent), "{path}");
        }
    }
}
