//! `kafka-get-offsets.sh`: offsets of partitions.

use std::collections::BTreeMap;

use super::client::admin::{Admin, OffsetSpec};
use super::client::{TopicPartition, bootstrap_addresses, is_internal};
use super::options::{HELP, Opt, Parsed, VERSION, parse};
use super::pattern::Pattern;
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text(
        "broker-list",
        "HOST1:PORT1,...,HOST3:PORT3",
        "DEPRECATED, use --bootstrap-server instead.",
    ),
    Opt::text("bootstrap-server", "HOST1:PORT1,...,HOST3:PORT3", "REQUIRED. The broker(s) to ask first."),
    Opt::text(
        "topic-partitions",
        "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
        "Which partitions: a pattern for topics and a number or a range without its end.",
    ),
    Opt::text("topic", "topic", "A pattern for topics."),
    Opt::text("partitions", "partition ids", "The partitions' numbers."),
    Opt::text(
        "time",
        "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / \
         -5 or latest-tiered",
        "Which offset: of the first record with the timestamp or a later one, or as named.",
    )
    .or("latest"),
    Opt::text("command-config", "config file", "A file with settings of the client."),
    Opt::flag("exclude-internal-topics", "Without Kafka's own topics."),
];

const PURPOSE: &str = "An interactive shell for getting topic-partition offsets.";
/// A failure that is told without its stack.
const TERSE: &str = "org.apache.kafka.tools.TerseException";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let result = run(&args[1.min(args.len())..], &console);
    exit_code(result, &console, ALL, |failure| {
        console.error(&format!("Error occurred: {}", failure.message));
        if failure.class != TERSE {
            console.error(&failure.exception());
        }
        1
    })
}

fn terse(message: impl Into<String>) -> Failure {
    Failure::new(TERSE, message)
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    if args.is_empty() {
        return Err(Stop::Usage(PURPOSE.to_owned()));
    }
    let parsed = parse(ALL, false, args).map_err(|error| terse(error.to_string()))?;
    let help = parsed.has("help") || parsed.has("version");
    let servers = parsed.value("bootstrap-server")?.or(parsed.value("broker-list")?);
    if !help && servers.is_none() {
        return Err(terse("Missing required option(s) [bootstrap-server]").into());
    }
    help_or_version(args, &parsed, PURPOSE)?;
    let servers = servers.unwrap_or_default();
    if bootstrap_addresses(servers).is_err() {
        let message = "Please provide valid host:port like host1:9091,host2:9092\n";
        return Err(Stop::Usage(message.to_owned()));
    }
    let filters = filters(&parsed)?;
    let spec = spec(parsed.value("time")?.unwrap_or("latest"))?;
    let filters = filters_of(filters)?;
    let mut properties = super::command_config(&parsed, "command-config")?;
    properties.set("bootstrap.servers", servers);
    properties.set("client.id", "GetOffsetShell");
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;

    let hidden = parsed.has("exclude-internal-topics");
    let topics: Vec<_> = admin
        .list_topics()?
        .into_iter()
        .map(|topic| topic.name)
        .filter(|name| !(hidden && is_internal(name)))
        .filter(|name| filters.iter().any(|filter| filter.topics.matches(name)))
        .collect();
    let described = match topics.is_empty() {
        true => Vec::new(),
        false => admin.describe_by_metadata(&topics)?,
    };
    let wanted: BTreeMap<_, _> = described
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|it| (topic.name.as_str(), it.partition)))
        .filter(|(topic, partition)| filters.iter().any(|it| it.takes(topic, *partition)))
        .map(|(topic, partition)| (TopicPartition::new(topic, partition), spec))
        .collect();
    if wanted.is_empty() {
        return Err(terse("Could not match any topic-partitions with the specified filters").into());
    }
    let mut lines = BTreeMap::new();
    for (place, listed) in admin.list_offsets(&wanted)? {
        match listed {
            Ok(listed) if listed.offset >= 0 => {
                let line = format!("{}:{}:{}", place.topic, place.partition, listed.offset);
                lines.insert(place.to_string(), line);
            }
            Ok(_) => {}
            Err(error) => console.error(&format!(
                "Skip getting offsets for topic-partition {place} due to error: {}",
                error.exception()
            )),
        }
    }
    lines.values().for_each(|line| console.line(line));
    Ok(())
}

fn spec(text: &str) -> Result<OffsetSpec, Failure> {
    Ok(match text {
        "latest" | "-1" => OffsetSpec::Latest,
        "earliest" | "-2" => OffsetSpec::Earliest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        _ => OffsetSpec::Timestamp(text.parse().map_err(|_| {
            terse(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
                 max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long \
                 format timestamp"
            ))
        })?),
    })
}

/// Which partitions are meant.
struct Filter {
    topics: Pattern,
    partitions: Partitions,
}

enum Partitions {
    /// These, or all if there are none.
    Named(Vec<i32>),
    /// From the first to before the second.
    Range(i32, i32),
}

impl Filter {
    fn new(topics: &str, partitions: Partitions) -> Result<Self, Failure> {
        let topics = Pattern::of_topics(topics)
            .map_err(|error| Failure::new("java.lang.RuntimeException", error.to_string()))?;
        Ok(Self { topics, partitions })
    }

    fn takes(&self, topic: &str, partition: i32) -> bool {
        self.topics.matches(topic)
            && match &self.partitions {
                Partitions::Named(all) => all.is_empty() || all.contains(&partition),
                Partitions::Range(from, to) => (*from..*to).contains(&partition),
            }
    }
}

/// The text of the filters: one for topics with numbers, or a list of rules.
enum Filters<'a> {
    Rules(&'a str),
    Topics(&'a str, &'a str),
}

fn filters(parsed: &Parsed) -> Result<Filters<'_>, Stop> {
    let rules = parsed.value("topic-partitions")?;
    let (topic, partitions) = (parsed.value("topic")?, parsed.value("partitions")?);
    if rules.is_some() && (topic.is_some() || partitions.is_some()) {
        return Err(terse("--topic-partitions cannot be used with --topic or --partitions").into());
    }
    Ok(match rules {
        Some(rules) => Filters::Rules(rules),
        None => Filters::Topics(topic.unwrap_or(".*"), partitions.unwrap_or_default()),
    })
}

fn filters_of(filters: Filters<'_>) -> Result<Vec<Filter>, Failure> {
    match filters {
        Filters::Rules(rules) => rules.split(',').map(rule).collect(),
        Filters::Topics(topic, partitions) => {
            let numbers = partitions.split(',').filter(|_| !partitions.is_empty());
            let numbers = numbers.map(str::parse).collect::<Result<_, _>>().map_err(|_| {
                terse(format!(
                    "--partitions expects a comma separated list of numeric partition ids, but \
                     received: {partitions}"
                ))
            })?;
            Ok(vec![Filter::new(topic, Partitions::Named(numbers))?])
        }
    }
}

/// `topic:3`, `topic:1-4`, `topic:1-`, `:-4`, `topic`.
fn rule(text: &str) -> Result<Filter, Failure> {
    let invalid = || terse(format!("Invalid rule specification: {text}"));
    let (topics, partitions) = match text.split_once(':') {
        Some((topics, partitions)) => (topics, partitions),
        None => (text, ""),
    };
    let number = |text: &str, default: i32| match text {
        "" => Ok(default),
        text => text.parse().map_err(|_| invalid()),
    };
    let partitions = match partitions.split_once('-') {
        Some((from, to)) => Partitions::Range(number(from, 0)?, number(to, i32::MAX)?),
        None if partitions.is_empty() => Partitions::Range(0, i32::MAX),
        None => Partitions::Named(vec![number(partitions, 0)?]),
    };
    Filter::new(if topics.is_empty() { ".*" } else { topics }, partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_choose_partitions() {
        let takes = |text: &str, partition| rule(text).unwrap().takes("t1", partition);
        assert!(takes("t1:3", 3) && !takes("t1:3", 4));
        assert!(takes("t.:1-3", 2) && !takes("t1:1-3", 3));
        assert!(takes(":-2", 1) && !takes(":-2", 2) && takes("t1:5-", 7));
        assert!(takes("t1", 9) && !takes("t2", 9));
        assert!(rule("t:x").is_err() && rule("t:1-x").is_err());
    }

    #[test]
    fn times_have_names() {
        assert_eq!(spec("-3").unwrap(), OffsetSpec::MaxTimestamp);
        assert_eq!(spec("earliest").unwrap(), OffsetSpec::Earliest);
        assert_eq!(spec("170").unwrap(), OffsetSpec::Timestamp(170));
        assert!(spec("foo").unwrap_err().message.starts_with("Malformed time argument foo."));
    }
}
