//! `kafka-leader-election.sh`: elects leaders on purpose.

use serde_json::Value;

use super::client::TopicPartition;
use super::client::admin::Admin;
use super::options::{HELP, Opt, Parsed, VERSION, parse};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("bootstrap-server", "host:port", "The broker(s) to ask first. REQUIRED."),
    Opt::text("admin.config", "config file", "A file with settings of the client."),
    Opt::text(
        "path-to-json-file",
        "Path to JSON file",
        "A file with the partitions: {\"partitions\": [{\"topic\": \"foo\", \"partition\": 1}]}",
    ),
    Opt::text("topic", "topic name", "The topic of one partition."),
    Opt::integer("partition", "partition id", "The partition. REQUIRED if --topic is specified."),
    Opt::flag("all-topic-partitions", "All partitions that such an election is for."),
    Opt::text(
        "election-type",
        "election type",
        "\"preferred\": the first of the replicas; \"unclean\": anyone that is there, even if it \
         lacks records, where there is no leader. REQUIRED.",
    ),
];

const PURPOSE: &str = "This tool attempts to elect a new leader for a set of topic partitions. The type \
                       of elections supported are preferred replicas and unclean replicas.";
const FAILED: &str = "org.apache.kafka.server.common.AdminCommandFailedException";
const OPERATION: &str = "org.apache.kafka.server.common.AdminOperationException";
const ELECTION_NOT_NEEDED: i16 = 84;
const REQUEST_TIMED_OUT: i16 = 7;
const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
const SELECTIONS: [&str; 3] = ["topic", "all-topic-partitions", "path-to-json-file"];

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    exit_code(elect(args, console), console, ALL, |failure| {
        console.error(&failure.message);
        console.error(&failure.exception());
        1
    })
}

fn check(parsed: &Parsed) -> Result<bool, Stop> {
    let missing: Vec<_> =
        ["bootstrap-server", "election-type"].into_iter().filter(|it| !parsed.has(it)).collect();
    if !missing.is_empty() {
        let message = format!("Missing required option(s): {}", missing.join(", "));
        return Err(Failure::new(FAILED, message).into());
    }
    if SELECTIONS.iter().filter(|it| parsed.has(it)).count() != 1 {
        return Err(Failure::new(
            FAILED,
            format!(
                "One and only one of the following options is required: {}",
                SELECTIONS.join(", ")
            ),
        )
        .into());
    }
    if parsed.has("topic") && !parsed.has("partition") {
        return Err(Failure::new(FAILED, "Missing required option(s): partition").into());
    }
    if !parsed.has("topic") && parsed.has("partition") {
        let message = "Option partition is only allowed if topic is used";
        return Err(Failure::new(FAILED, message).into());
    }
    let kind = parsed.value("election-type")?.unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "preferred" => Ok(false),
        "unclean" => Ok(true),
        _ => Err(Failure::new(
            "joptsimple.OptionArgumentConversionException",
            format!("Cannot parse argument '{kind}' of option election-type"),
        )
        .caused_by(format!(
            "joptsimple.ValueConversionException: Value [{kind}] is not one of \
             [[PREFERRED,UNCLEAN]]"
        ))
        .into()),
    }
}

fn elect(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    let unclean = check(&parsed)?;
    let partitions = match (parsed.value("path-to-json-file")?, parsed.value("topic")?) {
        (Some(path), _) => Some(partitions(&super::read_file(path)?)?),
        (None, Some(topic)) => {
            let partition = parsed.number("partition")?.unwrap_or_default();
            Some(vec![TopicPartition::new(topic, partition)])
        }
        (None, None) => None,
    };
    let mut properties = super::command_config(&parsed, "admin.config")?;
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    properties.set_default("default.api.timeout.ms", "30000");
    properties.set_default("request.timeout.ms", "15000");
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    let results = admin.elect_leaders(unclean, partitions.as_deref()).map_err(|error| {
        let known = match error.known().code {
            REQUEST_TIMED_OUT => "Timeout waiting for election results",
            CLUSTER_AUTHORIZATION_FAILED => "Not authorized to perform leader election",
            _ => {
                let cause =
                    format!("java.util.concurrent.ExecutionException: {}", error.exception());
                return Failure::new("java.lang.RuntimeException", cause.clone()).caused_by(cause);
            }
        };
        console.line(known);
        Failure::new(FAILED, known).caused_by(error.exception())
    })?;
    let kind = if unclean { "UNCLEAN" } else { "PREFERRED" };
    let (mut done, mut valid, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (place, error) in results {
        match error {
            None => done.push(place.to_string()),
            Some(error) if error.code() == Some(ELECTION_NOT_NEEDED) => {
                valid.push(place.to_string());
            }
            Some(error) => failed.push((place, error)),
        }
    }
    if !done.is_empty() {
        let done = done.join(", ");
        console.line(&format!(
            "Successfully completed leader election ({kind}) for partitions {done}"
        ));
    }
    // Of all partitions only those that lack their leader are told.
    if !valid.is_empty() && partitions.is_some() {
        let valid = valid.join(", ");
        console.line(&format!("Valid replica already elected for partitions {valid}"));
    }
    if failed.is_empty() {
        return Ok(());
    }
    let mut trace = String::new();
    for (place, error) in &failed {
        let exception = error.exception();
        console.line(&format!(
            "Error completing leader election ({kind}) for partition: {place}: {exception}"
        ));
        trace.push_str(&format!("\n\tSuppressed: {exception}"));
    }
    let message = format!("{} replica(s) could not be elected", failed.len());
    console.error(&message);
    console.error(&format!("{FAILED}: {message}{trace}"));
    Err(Stop::Code(1))
}

/// The partitions of a file.
fn partitions(text: &str) -> Result<Vec<TopicPartition>, Failure> {
    let failed = |message: &str| Failure::new(OPERATION, message);
    let json: Value =
        serde_json::from_str(text).map_err(|_| failed("Replica election data is empty"))?;
    let Some(entries) = json.get("partitions").and_then(Value::as_array) else {
        return Err(failed("Replica election data is missing \"partitions\" field"));
    };
    let mut partitions = Vec::new();
    for entry in entries {
        let number = entry["partition"].as_i64().and_then(|it| i32::try_from(it).ok());
        let (Some(topic), Some(number)) = (entry["topic"].as_str(), number) else {
            return Err(failed("Replica election data names no partition"));
        };
        let place = TopicPartition::new(topic, number);
        if partitions.contains(&place) {
            return Err(failed(&format!(
                "Replica election data contains duplicate partitions: [{place}]"
            )));
        }
        partitions.push(place);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_partitions_once() {
        let one = r#"{"topic":"t","partition":1}"#;
        let read = |list: &str| partitions(&format!("{{\"partitions\":[{list}]}}"));
        assert_eq!(read(one).unwrap(), [TopicPartition::new("t", 1)]);
        assert!(read(&format!("{one},{one}")).unwrap_err().message.ends_with("partitions: [t-1]"));
        assert!(partitions("{}").unwrap_err().message.contains("missing \"partitions\""));
    }

    #[test]
    fn one_selection_is_made() {
        let message = |line: &str| {
            let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
            match check(&parse(ALL, false, &args).unwrap()) {
                Err(Stop::Failure(failure)) => failure.message,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            message("--topic a"),
            "Missing required option(s): bootstrap-server, election-type"
        );
        let rest = "--bootstrap-server h:1 --election-type";
        assert!(message(&format!("{rest} preferred")).starts_with("One and only one of"));
        assert_eq!(
            message(&format!("{rest} preferred --topic a")),
            "Missing required option(s): partition"
        );
        assert_eq!(
            message(&format!("{rest} foo --all-topic-partitions")),
            "Cannot parse argument 'foo' of option election-type"
        );
    }
}
