//! `kafka-delete-records.sh`: lets logs begin at offsets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::TopicPartition;
use super::client::admin::Admin;
use super::options::{HELP, Opt, VERSION, parse, require};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text(
        "bootstrap-server",
        "server(s) to use for bootstrapping",
        "REQUIRED: The broker(s) to ask first.",
    ),
    Opt::text(
        "offset-json-file",
        "Offset json file path",
        "REQUIRED: A file that says where logs are to begin, -1 for their ends: {\"partitions\": \
         [{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}], \"version\": 1}",
    ),
    Opt::text(
        "command-config",
        "command config property file path",
        "A file with settings of the client.",
    ),
];

const PURPOSE: &str =
    "This tool helps to delete records of the given partitions down to the specified offset.";
const FAILED: &str = "org.apache.kafka.server.common.AdminCommandFailedException";
const OPERATION: &str = "org.apache.kafka.server.common.AdminOperationException";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let result = run(&args[1.min(args.len())..], &console);
    exit_code(result, &console, ALL, |failure| {
        console.error(&failure.message);
        console.error(&failure.exception());
        1
    })
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    require(&parsed, &["bootstrap-server", "offset-json-file"]).map_err(Stop::Usage)?;
    let mut properties = super::command_config(&parsed, "command-config")?;
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    let path = parsed.value("offset-json-file")?.unwrap_or_default();
    let text = super::read_file(path)?;
    let before = offsets(&text)?;
    console.line("Executing records delete operation");
    let done = admin.delete_records(&before)?;
    console.line("Records delete operation completed:");
    for (place, result) in done {
        console.line(&match result {
            Ok(low) => format!("partition: {place}\tlow_watermark: {low}"),
            Err(error) => format!("partition: {place}\terror: {}", error.exception()),
        });
    }
    Ok(())
}

/// The offsets of a file.
fn offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let invalid = || Failure::new(OPERATION, "The input string is not a valid JSON");
    let json: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    match json.get("version") {
        None => {}
        Some(version) if version.as_i64() == Some(1) => {}
        Some(version) => {
            let message = format!("Not supported version field value {version}");
            return Err(Failure::new(OPERATION, message));
        }
    }
    let Some(partitions) = json.get("partitions").and_then(Value::as_array) else {
        return Err(Failure::new(OPERATION, "Missing partitions field"));
    };
    let mut offsets = BTreeMap::new();
    let mut twice = Vec::new();
    for entry in partitions {
        let (topic, partition) = (entry["topic"].as_str(), entry["partition"].as_i64());
        let (Some(topic), Some(partition), Some(offset)) =
            (topic, partition, entry["offset"].as_i64())
        else {
            return Err(invalid());
        };
        let place = TopicPartition::new(topic, i32::try_from(partition).map_err(|_| invalid())?);
        if offsets.insert(place.clone(), offset).is_some() {
            twice.push(place.to_string());
        }
    }
    if !twice.is_empty() {
        let twice = twice.join(",");
        let message = format!("Offset json file contains duplicate topic partitions: {twice}");
        return Err(Failure::new(FAILED, message));
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_offsets_once() {
        let one = r#"{"partitions":[{"topic":"t","partition":1,"offset":-1}],"version":1}"#;
        assert_eq!(offsets(one).unwrap()[&TopicPartition::new("t", 1)], -1);
        let message = |text: &str| offsets(text).unwrap_err().message;
        assert_eq!(message("x"), "The input string is not a valid JSON");
        assert_eq!(message("{}"), "Missing partitions field");
        assert_eq!(message(r#"{"version":2}"#), "Not supported version field value 2");
        let entry = r#"{"topic":"t","partition":0,"offset":1}"#;
        assert_eq!(
            message(&format!(r#"{{"partitions":[{entry},{entry}]}}"#)),
            "Offset json file contains duplicate topic partitions: t-0"
        );
    }
}
