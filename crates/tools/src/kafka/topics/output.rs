//! The lines of a description.

use super::options::Report;
use crate::kafka::client::admin::{
    ConfigEntry, PartitionDescription, Reassignment, TopicDescription,
};

/// How topics are described.
pub struct Describe<'a> {
    /// What is shown.
    pub report: Report,
    /// The brokers that are there.
    pub live: &'a [i32],
    /// As before there were topic ids and eligible leaders: as tools on ZooKeeper did it.
    pub old_form: bool,
}

impl Describe<'_> {
    fn chooses_partitions(&self) -> bool {
        let report = &self.report;
        report.unavailable || report.under_replicated || report.under_min_isr || report.at_min_isr
    }
}

/// How many replicas a partition has when it is not being moved.
fn replication_factor(partition: &PartitionDescription, moving: Option<&Reassignment>) -> usize {
    let moved = moving.filter(|moving| {
        let changing = |id: &i32| moving.adding.contains(id) || moving.removing.contains(id);
        partition.replicas.iter().any(changing)
    });
    match moved {
        Some(moving) => moving.replicas.len().saturating_sub(moving.adding.len()),
        None => partition.replicas.len(),
    }
}

fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// The line of a topic; `None` if it is not to be shown.
pub fn topic_line(
    topic: &TopicDescription,
    configs: &[ConfigEntry],
    moving: Option<&Reassignment>,
    describe: &Describe<'_>,
) -> Option<String> {
    let set: Vec<_> = configs.iter().filter(|config| !config.is_default()).collect();
    if describe.chooses_partitions() || describe.report.overridden && set.is_empty() {
        return None;
    }
    let configs: Vec<_> = set
        .iter()
        .map(|config| format!("{}={}", config.name, config.value.as_deref().unwrap_or("null")))
        .collect();
    let id = match describe.old_form || topic.id.is_zero() {
        true => String::new(),
        false => format!("\tTopicId: {}", topic.id),
    };
    let factor = topic.partitions.first().map_or(0, |first| replication_factor(first, moving));
    Some(format!(
        "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
        topic.name,
        topic.partitions.len(),
        configs.join(",")
    ))
}

/// The line of a partition; `None` if it is not to be shown.
pub fn partition_line(
    topic: &str,
    partition: &PartitionDescription,
    configs: &[ConfigEntry],
    moving: Option<&Reassignment>,
    describe: &Describe<'_>,
) -> Option<String> {
    if !is_shown(partition, configs, moving, describe) {
        return None;
    }
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let moving = moving.map_or_else(String::new, |moving| {
        format!(
            "\tAdding Replicas: {}\tRemoving Replicas: {}",
            list(&moving.adding),
            list(&moving.removing)
        )
    });
    let eligible = |ids: &Option<Vec<i32>>| ids.as_deref().map_or_else(|| "N/A".to_owned(), list);
    let elr = match describe.old_form {
        true => String::new(),
        false => format!(
            "\tElr: {}\tLastKnownElr: {}",
            eligible(&partition.elr),
            eligible(&partition.last_known_elr)
        ),
    };
    Some(format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moving}{elr}",
        partition.partition,
        list(&partition.replicas),
        list(&partition.isr)
    ))
}

fn is_shown(
    partition: &PartitionDescription,
    configs: &[ConfigEntry],
    moving: Option<&Reassignment>,
    describe: &Describe<'_>,
) -> bool {
    let report = &describe.report;
    if report.overridden {
        return false;
    }
    if !describe.chooses_partitions() {
        return true;
    }
    let in_sync = partition.isr.len();
    let least: usize = configs
        .iter()
        .find(|config| config.name == "min.insync.replicas")
        .and_then(|config| config.value.as_deref()?.parse().ok())
        .unwrap_or(1);
    let is_there = partition.leader.is_some_and(|leader| describe.live.contains(&leader));
    report.under_replicated && replication_factor(partition, moving) > in_sync
        || report.unavailable && !is_there
        || report.under_min_isr && (partition.leader.is_none() || in_sync < least)
        || report.at_min_isr && in_sync == least
}
