//! `kafka-log-dirs.sh`: how much of the brokers' disks partitions take.

use std::collections::BTreeMap;

use polyport_kafka_codec::messages::describe_log_dirs_response::DescribeLogDirsResult;
use serde_json::Value;

use super::client::admin::Admin;
use super::client::known;
use super::options::{HELP, Opt, VERSION, parse, require};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text(
        "bootstrap-server",
        "The server(s) to use for bootstrapping",
        "REQUIRED: The broker(s) to ask first.",
    ),
    Opt::text(
        "command-config",
        "Admin client property file",
        "A file with settings of the client.",
    ),
    Opt::flag("describe", "Describe the log directories of brokers."),
    Opt::text("topic-list", "Topic list", "Only these topics, in the form \"topic1,topic2\"."),
    Opt::text("broker-list", "Broker list", "Only these brokers, in the form \"0,1\"."),
];

const PURPOSE: &str = "This tool helps to query log directory usage on the specified brokers.";
const TERSE: &str = "org.apache.kafka.tools.TerseException";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let result = run(&args[1.min(args.len())..], &console);
    exit_code(result, &console, ALL, |failure| {
        console.error(&failure.message);
        if failure.class != TERSE {
            console.error(&failure.exception());
        }
        1
    })
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    require(&parsed, &["bootstrap-server", "describe"]).map_err(Stop::Usage)?;
    let list = |name: &str| -> Result<Vec<String>, Stop> {
        let text = parsed.value(name)?.unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    };
    let topics = list("topic-list")?;
    let asked: Vec<i32> = list("broker-list")?
        .iter()
        .map(|id| {
            let message = format!("For input string: \"{id}\"");
            id.parse().map_err(|_| Failure::new("java.lang.NumberFormatException", message))
        })
        .collect::<Result<_, _>>()?;
    let mut properties = super::command_config(&parsed, "command-config")?;
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    let there: Vec<_> = admin.brokers()?.into_iter().map(|broker| broker.id).collect();
    let mut brokers = if asked.is_empty() { there.clone() } else { asked };
    brokers.sort_unstable();
    brokers.dedup();
    let shown = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let absent: Vec<_> = brokers.iter().copied().filter(|id| !there.contains(id)).collect();
    if !absent.is_empty() {
        let message = format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
             brokers: {}",
            shown(&absent),
            shown(&there)
        );
        return Err(Failure::new(TERSE, message).into());
    }
    console.line("Querying brokers for log directories information");
    let mut found = BTreeMap::new();
    for broker in &brokers {
        found.insert(*broker, admin.describe_log_dirs(*broker)?);
    }
    console.line(&format!("Received log directory information from brokers {}", shown(&brokers)));
    console.line(&report(found, &topics));
    Ok(())
}

/// The report as JSON: broker, directories, partitions of the topics, all of them if none is named.
fn report(brokers: BTreeMap<i32, Vec<DescribeLogDirsResult>>, topics: &[String]) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let brokers = brokers.into_iter().map(|(broker, dirs)| {
        let dirs = dirs.into_iter().map(|dir| {
            let mut partitions = Vec::new();
            for topic in dir.topics {
                if !topics.is_empty() && !topics.contains(&topic.name) {
                    continue;
                }
                partitions.extend(topic.partitions.into_iter().map(|partition| {
                    format!(
                        "{{\"partition\":{},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
                        text(&format!("{}-{}", topic.name, partition.partition_index)),
                        partition.partition_size,
                        partition.offset_lag,
                        partition.is_future_key
                    )
                }));
            }
            let error = match dir.error_code {
                0 => "null".to_owned(),
                code => text(&format!(
                    "org.apache.kafka.common.errors.{}: {}",
                    known(code).class,
                    known(code).message
                )),
            };
            format!(
                "{{\"partitions\":[{}],\"error\":{error},\"logDir\":{}}}",
                partitions.join(","),
                text(&dir.log_dir)
            )
        });
        let dirs: Vec<_> = dirs.collect();
        format!("{{\"broker\":{broker},\"logDirs\":[{}]}}", dirs.join(","))
    });
    let brokers: Vec<_> = brokers.collect();
    format!("{{\"brokers\":[{}],\"version\":1}}", brokers.join(","))
}

#[cfg(test)]
mod tests {
    use polyport_kafka_codec::messages::describe_log_dirs_response::{
        DescribeLogDirsPartition, DescribeLogDirsTopic,
    };

    use super::*;

    #[test]
    fn the_report_is_kafkas_json() {
        let partition = DescribeLogDirsPartition {
            partition_index: 2,
            partition_size: 7,
            ..Default::default()
        };
        let topic = |name: &str| DescribeLogDirsTopic {
            name: name.to_owned(),
            partitions: vec![partition.clone()],
        };
        let dir = DescribeLogDirsResult {
            log_dir: "/d".to_owned(),
            topics: vec![topic("a"), topic("b")],
            ..Default::default()
        };
        assert_eq!(
            report(BTreeMap::from([(1, vec![dir])]), &["a".to_owned()]),
            "{\"brokers\":[{\"broker\":1,\"logDirs\":[{\"partitions\":[{\"partition\":\"a-2\",\
             \"size\":7,\"offsetLag\":0,\"isFuture\":false}],\"error\":null,\"logDir\":\"/d\"}]}],\
             \"version\":1}"
        );
    }
}
