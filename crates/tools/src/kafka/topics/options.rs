//! The command line of `kafka-topics.sh`.

use polyport_kafka_codec::Uuid;

use crate::kafka::client::Properties;
use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, refuse_together, require};
use crate::kafka::stop::{Failure, Stop, help_or_version};
use crate::zk_cli::Console;

/// The options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("bootstrap-server", "server to connect to", "REQUIRED: The broker(s) to ask first."),
    Opt::text(
        "zookeeper",
        "hosts",
        "DEPRECATED: The ZooKeeper ensemble where the brokers are registered, instead of \
         --bootstrap-server.",
    ),
    Opt::text(
        "command-config",
        "command config property file",
        "A file with settings of the client.",
    ),
    Opt::flag("list", "List all available topics."),
    Opt::flag("create", "Create a new topic."),
    Opt::flag("delete", "Delete a topic"),
    Opt::flag(
        "alter",
        "Give a topic more partitions. Its settings are altered with kafka-configs.sh.",
    ),
    Opt::flag("describe", "List details for the given topics."),
    Opt::text(
        "topic",
        "topic",
        "The topic that is meant; for all but --create, a regular expression for several.",
    ),
    Opt::text("topic-id", "topic-id", "The id of the topic to describe."),
    Opt::text("config", "name=value", "A setting of the topic that is created."),
    Opt::text("delete-config", "name", "Not supported with --bootstrap-server."),
    Opt::integer(
        "partitions",
        "# of partitions",
        "How many partitions the topic gets or is to have. Keys are spread differently over more \
         partitions.",
    ),
    Opt::integer(
        "replication-factor",
        "replication factor",
        "How many replicas each partition gets.",
    ),
    Opt::text(
        "replica-assignment",
        "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , \
         broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
        "Which brokers each partition goes to.",
    ),
    Opt::flag(
        "under-replicated-partitions",
        "Describe only partitions that lack a replica in sync.",
    ),
    Opt::flag("unavailable-partitions", "Describe only partitions whose leader is not available."),
    Opt::flag(
        "under-min-isr-partitions",
        "Describe only partitions with fewer replicas in sync than min.insync.replicas.",
    ),
    Opt::flag(
        "at-min-isr-partitions",
        "Describe only partitions with as many replicas in sync as min.insync.replicas.",
    ),
    Opt::flag("topics-with-overrides", "Describe only topics with settings of their own."),
    Opt::flag("if-exists", "Alter, delete or describe the topic only if it exists."),
    Opt::flag("if-not-exists", "Create the topic only if it does not exist."),
    Opt::flag("exclude-internal", "List or describe no internal topics."),
    Opt::integer(
        "partition-size-limit-per-response",
        "maximum number of partitions in one response.",
        "How many partitions the broker describes at once.",
    ),
];

const PURPOSE: &str = "This tool helps to create, delete, describe, or change a topic.";
const ACTIONS: [(&str, Action); 5] = [
    ("alter", Action::Alter),
    ("create", Action::Create),
    ("describe", Action::Describe),
    ("list", Action::List),
    ("delete", Action::Delete),
];
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];
const PARTITIONS_A_RESPONSE: i32 = 2000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a topic.
    Create,
    /// Name topics.
    List,
    /// Tell of topics.
    Describe,
    /// Give a topic more partitions.
    Alter,
    /// Delete topics.
    Delete,
}

/// What of a description is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Partitions that lack a replica in sync.
    pub under_replicated: bool,
    /// Partitions without a leader that is there.
    pub unavailable: bool,
    /// Partitions with too few replicas in sync.
    pub under_min_isr: bool,
    /// Partitions with just enough replicas in sync.
    pub at_min_isr: bool,
    /// Only topics with settings of their own, without their partitions.
    pub overridden: bool,
}

/// The command line, checked.
#[derive(Clone, Debug)]
pub struct TopicOptions {
    /// What is to be done.
    pub action: Action,
    /// The client's settings.
    pub properties: Properties,
    /// Where to look for brokers instead.
    pub zookeeper: Option<String>,
    /// Which topic, or a pattern.
    pub topic: Option<String>,
    /// Which topic, by its id.
    pub topic_id: Option<Uuid>,
    /// How many partitions.
    pub partitions: Option<i32>,
    /// How many replicas.
    pub replication_factor: Option<i32>,
    /// That the topic may be missing.
    pub if_exists: bool,
    /// That the topic may be there.
    pub if_not_exists: bool,
    /// Without Kafka's own topics.
    pub exclude_internal: bool,
    /// What of a description is shown.
    pub report: Report,
    /// How many partitions are described at once.
    pub partitions_a_response: i32,
    assignment: Option<String>,
    configs: Vec<String>,
}

impl TopicOptions {
    /// Reads the command line.
    ///
    /// # Errors
    /// If it is refused or asks for help.
    pub fn read(args: &[String], console: &Console) -> Result<Self, Stop> {
        if args.is_empty() {
            return Err(Stop::Usage("Create, delete, describe, or change a topic.".to_owned()));
        }
        let parsed = parse(ALL, false, args)?;
        help_or_version(args, &parsed, PURPOSE)?;
        let given: Vec<_> = ACTIONS.iter().filter(|(name, _)| parsed.has(name)).collect();
        let [(_, action)] = given.as_slice() else {
            return Err(Stop::Usage(
                "Command must include exactly one action: --list, --describe, --create, --alter or \
                 --delete"
                    .to_owned(),
            ));
        };
        let (action, parsed) = (*action, &parsed);
        check_required(action, parsed, console)?;
        check_combinations(parsed)?;
        let topic_id = match parsed.given("topic-id")? {
            Some(text) => Some(text.parse().map_err(|_| {
                Failure::argument(format!(
                    "Input string with prefix `{text}` is too long to be decoded as a base64 UUID"
                ))
            })?),
            None => None,
        };
        let text = |name| parsed.given(name).map(|it| it.map(str::to_owned));
        Ok(Self {
            action,
            properties: properties(parsed)?,
            zookeeper: text("zookeeper")?,
            topic: text("topic")?,
            topic_id,
            partitions: parsed.number("partitions")?,
            replication_factor: parsed.number("replication-factor")?,
            if_exists: parsed.has("if-exists"),
            if_not_exists: parsed.has("if-not-exists"),
            exclude_internal: parsed.has("exclude-internal"),
            report: Report {
                under_replicated: parsed.has("under-replicated-partitions"),
                unavailable: parsed.has("unavailable-partitions"),
                under_min_isr: parsed.has("under-min-isr-partitions"),
                at_min_isr: parsed.has("at-min-isr-partitions"),
                overridden: parsed.has("topics-with-overrides"),
            },
            partitions_a_response: parsed
                .number("partition-size-limit-per-response")?
                .unwrap_or(PARTITIONS_A_RESPONSE),
            assignment: text("replica-assignment")?,
            configs: parsed.values("config").into_iter().map(str::to_owned).collect(),
        })
    }

    /// The topic's settings.
    ///
    /// # Errors
    /// If one is not `name=value`.
    pub fn configs(&self) -> Result<Vec<(String, String)>, Failure> {
        let malformed = || {
            Failure::argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the \
                 format \"key=val\".",
            )
        };
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').ok_or_else(malformed)?;
            let value = value.trim();
            if value.is_empty() || value.contains('=') {
                return Err(malformed());
            }
            Ok((name.trim().to_owned(), value.to_owned()))
        };
        self.configs.iter().map(pair).collect()
    }

    /// The brokers of each partition, if they are named.
    ///
    /// # Errors
    /// If one is no number, is named twice for a partition, or the partitions differ in their
    /// number of replicas.
    pub fn replica_assignment(&self) -> Result<Vec<Vec<i32>>, Failure> {
        let Some(text) = self.assignment.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut partitions: Vec<Vec<i32>> = Vec::new();
        for (at, part) in text.split(',').enumerate() {
            let id = |text: &str| {
                let text = text.trim();
                text.parse::<i32>().map_err(|_| {
                    let message = format!("For input string: \"{text}\"");
                    Failure::new("java.lang.NumberFormatException", message)
                })
            };
            let brokers: Vec<i32> = part.split(':').map(id).collect::<Result<_, _>>()?;
            let mut twice: Vec<_> = brokers
                .iter()
                .enumerate()
                .filter(|(at, id)| brokers[..*at].contains(id))
                .map(|(_, id)| id.to_string())
                .collect();
            twice.dedup();
            if !twice.is_empty() {
                return Err(Failure::new(
                    "org.apache.kafka.server.common.AdminCommandFailedException",
                    format!(
                        "Partition replica lists may not contain duplicate entries: {}",
                        twice.join(",")
                    ),
                ));
            }
            if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
                return Err(Failure::new(
                    "org.apache.kafka.server.common.AdminOperationException",
                    format!("Partition {at} has different replication factor: {brokers:?}"),
                ));
            }
            partitions.push(brokers);
        }
        Ok(partitions)
    }
}

/// The client's settings of a tool with `--bootstrap-server` and `--command-config`.
fn properties(parsed: &Parsed) -> Result<Properties, Stop> {
    let mut properties = crate::kafka::command_config(parsed, "command-config")?;
    if let Some(servers) = parsed.value("bootstrap-server")? {
        properties.set("bootstrap.servers", servers);
    }
    Ok(properties)
}

fn check_required(action: Action, parsed: &Parsed, console: &Console) -> Result<(), Stop> {
    match (parsed.has("bootstrap-server"), parsed.has("zookeeper")) {
        (false, false) => {
            return Err(Failure::argument("--bootstrap-server must be specified").into());
        }
        (true, true) => {
            return Err(Failure::argument(
                "Only one of --bootstrap-server or --zookeeper must be specified",
            )
            .into());
        }
        _ => {}
    }
    let (topic, id) = (parsed.has("topic"), parsed.has("topic-id"));
    if action == Action::Describe && parsed.has("if-exists") {
        if !topic && !id {
            return Err(Stop::Usage(
                "--topic or --topic-id is required to describe a topic".to_owned(),
            ));
        }
        if topic && id {
            console.line(
                "Only topic id will be used when both --topic and --topic-id are specified and \
                 topicId is not Uuid.ZERO_UUID",
            );
        }
    }
    if !matches!(action, Action::List | Action::Describe) {
        require(parsed, &["topic"]).map_err(Stop::Usage)?;
    }
    if action == Action::Alter {
        if parsed.has("config") && parsed.has("bootstrap-server") {
            return Err(Stop::Usage(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
                 \"[alter]\" (the kafka-configs CLI supports altering topic configs with a \
                 --bootstrap-server option)"
                    .to_owned(),
            ));
        }
        require(parsed, &["partitions"]).map_err(Stop::Usage)?;
    }
    Ok(())
}

fn check_combinations(parsed: &Parsed) -> Result<(), Stop> {
    let refuse =
        |used: &str, invalid: &[&str]| refuse_together(parsed, used, invalid).map_err(Stop::Usage);
    let only_with = |used: &str, actions: &[&str]| {
        let others: Vec<_> =
            ACTIONS.iter().map(|(name, _)| *name).filter(|name| !actions.contains(name)).collect();
        refuse(used, &others)
    };
    only_with("config", &["alter", "create"])?;
    refuse("delete-config", &["bootstrap-server"])?;
    only_with("delete-config", &["alter"])?;
    only_with("partitions", &["alter", "create"])?;
    only_with("replication-factor", &["create"])?;
    only_with("replica-assignment", &["alter", "create"])?;
    if parsed.has("create") {
        refuse("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        only_with(report, &["describe"])?;
        refuse(report, &["topics-with-overrides"])?;
    }
    only_with("topics-with-overrides", &["describe"])?;
    only_with("if-exists", &["alter", "delete", "describe"])?;
    only_with("if-not-exists", &["create"])?;
    only_with("exclude-internal", &["list", "describe"])
}
