use std::sync::Arc;

use parking_lot::Mutex;

use super::options::Report;
use super::output::{Describe, partition_line, topic_line};
use super::*;
use crate::kafka::client::admin::{ConfigEntry, PartitionDescription};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Exit code, output, and errors without the usage, of a command line that asks no broker.
fn refused(line: &str) -> (i32, String, String) {
    let (out, err) = (Output::default(), Output::default());
    let console = Console::new(Box::new(out.clone()), Box::new(err.clone()));
    let args: Vec<_> = line.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let code = run(&args, &console);
    let text = |output: &Output| String::from_utf8(output.0.lock().clone()).unwrap();
    let errors = text(&err);
    let errors = errors.split("\nOption ").next().unwrap_or_default().trim_end().to_owned();
    (code, text(&out), errors)
}

#[test]
fn command_lines_are_refused_in_kafkas_words() {
    let usage = |line: &str, message: &str| {
        assert_eq!(refused(line), (1, String::new(), message.to_owned()), "{line}");
    };
    usage("", "Create, delete, describe, or change a topic.");
    usage("--help", "This tool helps to create, delete, describe, or change a topic.");
    let actions = "Command must include exactly one action: --list, --describe, --create, --alter or \
                   --delete";
    usage("--bootstrap-server h:1", actions);
    usage("--bootstrap-server h:1 --list --create", actions);
    usage("--bootstrap-server h:1 --create", "Missing required argument \"[topic]\"");
    usage(
        "--bootstrap-server h:1 --list --partitions 3",
        "Option \"[partitions]\" can't be used with option \"[list]\"",
    );
    usage(
        "--bootstrap-server h:1 --create --topic a --replica-assignment 1 --partitions 1",
        "Option \"[replica-assignment]\" can't be used with option \"[partitions]\"",
    );
    usage(
        "--bootstrap-server h:1 --alter --topic a --config a=b",
        "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
         \"[alter]\" (the kafka-configs CLI supports altering topic configs with a \
         --bootstrap-server option)",
    );
    usage(
        "--list",
        "--bootstrap-server must be specified\njava.lang.IllegalArgumentException: \
         --bootstrap-server must be specified",
    );
    usage(
        "--foo",
        "foo is not a recognized option\njoptsimple.UnrecognizedOptionException: foo is not a \
         recognized option",
    );
}

#[test]
fn values_are_refused_while_the_command_runs() {
    let failed = |line: &str, message: &str| {
        let (code, out, _) = refused(&format!("--bootstrap-server h:1 --create --topic d {line}"));
        let expected = format!("Error while executing topic command : {message}\n");
        assert_eq!((code, out), (1, expected), "{line}");
    };
    failed("--partitions x", "Cannot parse argument 'x' of option partitions");
    failed("--partitions 0", "The partitions must be greater than 0");
    let factor = "The replication factor must be between 1 and 32767 inclusive";
    failed("--replication-factor 0", factor);
    failed(
        "--replica-assignment 1:1",
        "Partition replica lists may not contain duplicate entries: 1",
    );
    failed("--replica-assignment 1:2,1", "Partition 1 has different replication factor: [1]");
    failed("--replica-assignment 1:x", "For input string: \"x\"");
    failed(
        "--config retention.ms",
        "requirement failed: Invalid topic config: all configs to be added must be in the format \
         \"key=val\".",
    );
    failed("--topic e", "Found multiple arguments for option topic, but you asked for only one");
}

fn topic() -> TopicDescription {
    let partition = |partition, leader, isr: &[i32]| PartitionDescription {
        partition,
        leader,
        replicas: vec![2, 3],
        isr: isr.to_vec(),
        elr: None,
        last_known_elr: None,
    };
    TopicDescription {
        name: "wang".to_owned(),
        id: "tNZMHdwGQtOyVvE9Xhueyg".parse().unwrap(),
        internal: false,
        partitions: vec![partition(0, Some(2), &[2, 3]), partition(1, None, &[3])],
    }
}

fn configs() -> Vec<ConfigEntry> {
    let entry = |name: &str, value: &str, source| ConfigEntry {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        source,
        ..ConfigEntry::default()
    };
    vec![
        entry("cleanup.policy", "delete", 5),
        entry("segment.bytes", "1073741824", 4),
        entry("min.insync.replicas", "2", 1),
    ]
}

fn described(report: Report, old_form: bool) -> Vec<String> {
    let (topic, configs) = (topic(), configs());
    let describe = Describe { report, live: &[2], old_form };
    let mut lines: Vec<_> = topic_line(&topic, &configs, None, &describe).into_iter().collect();
    lines.extend(
        topic
            .partitions
            .iter()
            .filter_map(|it| partition_line(&topic.name, it, &configs, None, &describe)),
    );
    lines
}

#[test]
fn a_topic_is_described_as_in_the_transcripts() {
    assert_eq!(
        described(Report::default(), false),
        [
            "Topic: wang\tTopicId: tNZMHdwGQtOyVvE9Xhueyg\tPartitionCount: 2\tReplicationFactor: \
             2\tConfigs: segment.bytes=1073741824,min.insync.replicas=2",
            "\tTopic: wang\tPartition: 0\tLeader: 2\tReplicas: 2,3\tIsr: 2,3\tElr: \
             N/A\tLastKnownElr: N/A",
            "\tTopic: wang\tPartition: 1\tLeader: none\tReplicas: 2,3\tIsr: 3\tElr: \
             N/A\tLastKnownElr: N/A",
        ]
    );
    let old = described(Report::default(), true);
    assert!(old[0].starts_with("Topic: wang\tPartitionCount: 2\t"), "{old:?}");
    assert!(old[1].ends_with("\tIsr: 2,3"), "{old:?}");
}

#[test]
fn reports_choose_partitions() {
    let numbers = |report: Report| {
        let lines = described(report, false);
        assert!(lines.iter().all(|line| line.starts_with('\t')), "no line of the topic: {lines:?}");
        lines.iter().map(|line| line.contains("Partition: 1")).collect::<Vec<_>>()
    };
    assert_eq!(numbers(Report { under_replicated: true, ..Report::default() }), [true]);
    assert_eq!(numbers(Report { unavailable: true, ..Report::default() }), [true]);
    assert_eq!(numbers(Report { under_min_isr: true, ..Report::default() }), [true]);
    assert_eq!(numbers(Report { at_min_isr: true, ..Report::default() }), [false]);
    let overridden = described(Report { overridden: true, ..Report::default() }, false);
    assert_eq!(overridden.len(), 1, "the topic alone");
}

#[test]
fn a_partition_that_is_moved_has_its_old_number_of_replicas() {
    let (mut topic, configs) = (topic(), configs());
    topic.partitions[0].replicas = vec![2, 3, 4];
    let moving = Reassignment { replicas: vec![2, 3, 4], adding: vec![4], removing: vec![3] };
    let describe = Describe { report: Report::default(), live: &[2], old_form: true };
    let line = topic_line(&topic, &configs, Some(&moving), &describe).unwrap();
    assert!(line.contains("ReplicationFactor: 2"), "{line}");
    let line = partition_line("wang", &topic.partitions[0], &configs, Some(&moving), &describe);
    assert!(line.unwrap().ends_with("\tAdding Replicas: 4\tRemoving Replicas: 3"));
}
