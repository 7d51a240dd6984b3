//! Kafka's tools by their own names. Reference: Apache Kafka 3.9.
//!
//! - [`client`] speaks to brokers.
//! - [`options`] reads command lines.
//! - A module a tool; what it prints is made by pure functions.
//!
//! They take the arguments of Kafka's tools, print their output and end with their exit codes, against
//! any broker. The words of `--help` are our own. Deliberately absent: TLS, Kerberos and OAuth in the
//! client; classes that a command line names, but for those of Kafka that are built in here.

pub mod acls;
pub mod broker_api_versions;
pub mod client;
pub mod cluster;
pub mod configs;
pub mod console_consumer;
pub mod console_producer;
pub mod consumer_groups;
pub mod delete_records;
pub mod dump_log;
pub mod get_offsets;
pub mod leader_election;
mod log;
pub mod log_dirs;
pub mod options;
mod pattern;
pub mod perf;
pub mod reassign;
pub mod server;
mod stop;
mod time;
pub mod topics;
pub mod transactions;
mod zookeeper;

use client::Properties;
use options::Parsed;
use stop::Failure;

use crate::Tool;

/// The tools by their names without `.sh`.
const TOOLS: &[(&str, Tool)] = &[
    ("kafka-acls", acls::main),
    ("kafka-broker-api-versions", broker_api_versions::main),
    ("kafka-cluster", cluster::main),
    ("kafka-configs", configs::main),
    ("kafka-console-consumer", console_consumer::main),
    ("kafka-console-producer", console_producer::main),
    ("kafka-consumer-groups", consumer_groups::main),
    ("kafka-consumer-perf-test", perf::consumer::main),
    ("kafka-delete-records", delete_records::main),
    ("kafka-dump-log", dump_log::main),
    ("kafka-get-offsets", get_offsets::main),
    ("kafka-leader-election", leader_election::main),
    ("kafka-log-dirs", log_dirs::main),
    ("kafka-producer-perf-test", perf::producer::main),
    ("kafka-reassign-partitions", reassign::main),
    ("kafka-server-start", server::start),
    ("kafka-server-stop", server::stop),
    ("kafka-topics", topics::main),
    ("kafka-transactions", transactions::main),
];

/// The tool of a name without `.sh`, if it is one of Kafka's.
pub fn by_name(name: &str) -> Option<Tool> {
    TOOLS.iter().find(|(known, _)| *known == name).map(|(_, tool)| *tool)
}

/// The names of the tools, as links to them are called.
pub fn names() -> impl Iterator<Item = String> {
    TOOLS.iter().map(|(name, _)| format!("{name}.sh"))
}

/// The settings in the file that an option names; none if it is not given.
fn command_config(parsed: &Parsed, option: &str) -> Result<Properties, stop::Stop> {
    let Some(path) = parsed.given(option)? else { return Ok(Properties::default()) };
    Ok(read_properties(path)?)
}

fn read_properties(path: &str) -> Result<Properties, Failure> {
    Properties::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new("java.nio.file.NoSuchFileException", path),
        _ => Failure::new("java.io.IOException", format!("{path}: {error}")),
    })
}

/// The text of a file that an option names.
fn read_file(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new("java.nio.file.NoSuchFileException", path),
        _ => Failure::new("java.io.IOException", format!("{path}: {error}")),
    })
}
