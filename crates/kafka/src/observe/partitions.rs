//! Partitions, their logs and directories, and the cluster as its controller sees it.

use std::sync::atomic::Ordering::Relaxed;

use polyport_log::TopicPartition;
use polyport_partitions::{PartitionStatus, Role};
use polyport_telemetry::{Labels, Value};

use super::{Lines, Page, gauge};
use crate::broker::Broker;
use crate::metadata::image::{Image, Partition};

/// A partition that can be asked.
type Asked = (TopicPartition, PartitionStatus);

/// A number that each partition has.
type Each = (&'static str, &'static str, fn(&PartitionStatus) -> i64);

const LOGS: [Each; 4] = [
    ("kafka_log_log_size", "Bytes of a partition's records on this node", |status| {
        i64::try_from(status.size_bytes).unwrap_or(i64::MAX)
    }),
    ("kafka_log_log_logstartoffset", "A partition's first offset on this node", |status| {
        status.log_start_offset
    }),
    ("kafka_log_log_logendoffset", "The next record's offset on this node", |status| {
        status.log_end_offset
    }),
    ("kafka_log_log_numlogsegments", "Segments of a partition on this node", |status| {
        status.segments as i64
    }),
];

const LED: [Each; 5] = [
    (
        "kafka_topic_partition_current_offset",
        "Up to where consumers see: the high watermark; told by the leader",
        |status| status.high_watermark,
    ),
    (
        "kafka_topic_partition_oldest_offset",
        "The first offset that can be read; told by the leader",
        |status| status.log_start_offset,
    ),
    ("kafka_topic_partition_replicas", "Replicas; told by the leader", |status| {
        status.replicas as i64
    }),
    ("kafka_topic_partition_in_sync_replica", "In-sync replicas; told by the leader", |status| {
        status.isr.len() as i64
    }),
    (
        "kafka_topic_partition_under_replicated_partition",
        "1 if fewer replicas are in sync than there are; told by the leader",
        |status| i64::from(is_under_replicated(status)),
    ),
];

fn is_under_replicated(status: &PartitionStatus) -> bool {
    status.isr.len() < status.replicas
}

pub(super) fn labels(of: &TopicPartition) -> Labels {
    vec![("topic", of.topic.clone()), ("partition", of.partition.to_string())]
}

pub(super) fn add(broker: &Broker, page: &mut Page) {
    let image = broker.images.current();
    let all = broker.store.partitions();
    let asked =
        all.iter().filter_map(|partition| Some((partition.of().clone(), partition.status().ok()?)));
    let mut asked: Vec<Asked> = asked.collect();
    asked.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    controller(broker, &image, page);
    replicas(broker, &image, all.len(), &asked, page);
    for (name, help, of) in LOGS {
        page.lines("gauge", name, help, lines(asked.iter(), of));
    }
    for (name, help, of) in LED {
        let led = asked.iter().filter(|(_, status)| status.role == Role::Leader);
        page.lines("gauge", name, help, lines(led, of));
    }
    directories(broker, page);
    background(broker, page);
}

fn lines<'a>(of: impl Iterator<Item = &'a Asked>, number: fn(&PartitionStatus) -> i64) -> Lines {
    of.map(|(of, status)| (labels(of), Value::Gauge(number(status)))).collect()
}

/// Of the whole cluster, so that only the controller tells it.
fn controller(broker: &Broker, image: &Image, page: &mut Page) {
    let controls = image.controller == Some(broker.settings.broker_id);
    let topics: Vec<_> =
        image.topics().filter(|topic| controls && !image.is_deleting(&topic.name)).collect();
    let count = |wanted: fn(&Partition) -> bool| -> usize {
        let of = |partitions: &mut dyn Iterator<Item = &Partition>| {
            partitions.filter(|partition| wanted(partition)).count()
        };
        topics.iter().map(|topic| of(&mut topic.partitions.iter())).sum()
    };
    page.gauge(
        "kafka_controller_kafkacontroller_activecontrollercount",
        "1 if this node is the controller; the sum over all nodes is to be 1",
        i64::from(controls),
    );
    page.gauge(
        "kafka_controller_kafkacontroller_offlinepartitionscount",
        "Partitions without a leader; told by the controller, 0 elsewhere",
        count(|partition| partition.leader().is_none()),
    );
    page.gauge(
        "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
        "Partitions that another than their first replica leads; told by the controller, 0 elsewhere",
        count(|partition| partition.leader().is_some_and(|l| partition.replicas.first() != Some(&l))),
    );
    page.gauge(
        "kafka_controller_kafkacontroller_globalpartitioncount",
        "Partitions of all topics; told by the controller, 0 elsewhere",
        count(|_| true),
    );
    page.gauge(
        "kafka_controller_kafkacontroller_globaltopiccount",
        "Topics; told by the controller, 0 elsewhere",
        topics.len(),
    );
    page.gauge(
        "kafka_controller_kafkacontroller_topicstodeletecount",
        "Topics that are being deleted; told by the controller, 0 elsewhere",
        if controls { image.deleting().len() } else { 0 },
    );
    page.gauge(
        "kafka_controller_kafkacontroller_activebrokercount",
        "Brokers that live; told by the controller, 0 elsewhere",
        if controls { image.brokers().len() } else { 0 },
    );
    page.gauge("kafka_brokers", "Brokers that live; told by every node", image.brokers().len());
    let mut each: Lines = image
        .topics()
        .filter(|_| controls)
        .map(|topic| (vec![("topic", topic.name.to_string())], gauge(topic.partitions.len())))
        .collect();
    each.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    page.lines(
        "gauge",
        "kafka_topic_partitions",
        "Partitions of a topic; told by the controller",
        each,
    );
}

fn replicas(broker: &Broker, image: &Image, here: usize, asked: &[Asked], page: &mut Page) {
    let count = |wanted: fn(&PartitionStatus) -> bool| {
        let led = asked.iter().filter(|(_, status)| status.role == Role::Leader);
        led.filter(|(_, status)| wanted(status)).count()
    };
    let id = broker.settings.broker_id;
    let ours = image.topics().flat_map(|topic| topic.partitions.iter());
    let ours: Vec<&Partition> = ours.filter(|found| found.replicas.contains(&id)).collect();
    page.gauge(
        "kafka_server_replicamanager_partitioncount",
        "Partitions that this node has a replica of",
        here,
    );
    page.gauge(
        "kafka_server_replicamanager_leadercount",
        "Partitions that this node leads",
        count(|_| true),
    );
    page.gauge(
        "kafka_server_replicamanager_underreplicatedpartitions",
        "Partitions led here of which fewer replicas are in sync than there are",
        count(is_under_replicated),
    );
    page.gauge(
        "kafka_server_replicamanager_underminisrpartitioncount",
        "Partitions led here of which fewer replicas are in sync than min.insync.replicas",
        count(|status| status.under_min_isr),
    );
    page.gauge(
        "kafka_server_replicamanager_offlinereplicacount",
        "Replicas that should be here and cannot be read: their directory is offline, or their files \
         are damaged",
        ours.len().saturating_sub(asked.len()),
    );
    page.gauge(
        "kafka_server_replicamanager_reassigningpartitions",
        "Partitions led here whose replicas are being changed",
        ours.iter().filter(|p| p.leader() == Some(id) && p.reassigning.is_some()).count(),
    );
    let stats = &broker.stats;
    let counted = [
        (
            "kafka_server_replicamanager_isrshrinks_total",
            "How often partitions led here have lost in-sync replicas",
            &stats.isr_shrinks,
        ),
        (
            "kafka_server_replicamanager_isrexpands_total",
            "How often partitions led here have gained in-sync replicas",
            &stats.isr_expands,
        ),
        (
            "kafka_server_replicamanager_failedisrupdates_total",
            "Changes of in-sync replicas that the metadata did not take",
            &stats.isr_failures,
        ),
    ];
    for (name, help, count) in counted {
        page.counter(name, help, count.load(Relaxed));
    }
}

fn directories(broker: &Broker, page: &mut Page) {
    let dirs = broker.store.log_dirs();
    let label = |path: &std::path::Path| vec![("logDirectory", path.display().to_string())];
    let spaces = |of: fn((u64, u64)) -> u64| -> Lines {
        let known = dirs.iter().filter_map(|dir| Some((label(&dir.path), gauge(of(dir.space?)))));
        known.collect()
    };
    page.gauge(
        "kafka_log_logmanager_offlinelogdirectorycount",
        "Log directories that are offline",
        dirs.iter().filter(|dir| dir.failure.is_some()).count(),
    );
    let offline = dirs.iter().map(|dir| (label(&dir.path), gauge(dir.failure.is_some())));
    page.lines(
        "gauge",
        "kafka_log_logmanager_logdirectoryoffline",
        "1 if the log directory is offline",
        offline.collect(),
    );
    page.lines(
        "gauge",
        "polyport_kafka_log_directory_size_bytes",
        "Size of the file system that a log directory is on",
        spaces(|(all, _)| all),
    );
    page.lines(
        "gauge",
        "polyport_kafka_log_directory_free_bytes",
        "What is free of it",
        spaces(|(_, free)| free),
    );
}

fn background(broker: &Broker, page: &mut Page) {
    let observed = broker.store.observed();
    page.add(
        "kafka_log_logflushstats_logflushrateandtimems",
        "Milliseconds that each sync of a partition's records took, since the start",
        Value::Summary(observed.flush.millis(), &[0.5, 0.95, 0.99, 0.999]),
    );
    page.add(
        "polyport_kafka_log_cleaner_milliseconds",
        "Milliseconds that each round of compaction took, since the start",
        Value::Summary(observed.clean.millis(), &[0.5, 0.99]),
    );
    page.counter(
        "polyport_kafka_log_cleaner_failures_total",
        "Rounds of compaction that came to nothing",
        observed.clean_failed.load(Relaxed),
    );
}
