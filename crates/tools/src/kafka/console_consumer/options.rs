//! The command line of `kafka-console-consumer.sh`.

use std::time::Duration;

use super::formatter::Formatter;
use crate::kafka::client::Properties;
use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, require};
use crate::kafka::stop::{Stop, help_or_version};
use crate::zk_cli::Console;

/// The options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("topic", "topic", "The topic to consume."),
    Opt::text("whitelist", "Java regex (String)", "DEPRECATED, use --include instead."),
    Opt::text("include", "Java regex (String)", "A regular expression for the topics to consume."),
    Opt::integer(
        "partition",
        "partition",
        "The partition to consume, from its end unless --offset says otherwise.",
    ),
    Opt::text(
        "offset",
        "consume offset",
        "Where to begin in the partition: an offset, 'earliest' or 'latest'.",
    )
    .or("latest"),
    Opt::text("consumer-property", "consumer_prop", "A setting of the consumer, key=value.")
        .alias("consumerproperty"),
    Opt::text(
        "consumer.config",
        "config file",
        "A file with settings of the consumer; --consumer-property goes before.",
    ),
    Opt::text("formatter", "class", "The class that prints records; Kafka's own three are there.")
        .or("org.apache.kafka.tools.consumer.DefaultMessageFormatter"),
    Opt::text(
        "property",
        "prop",
        "How records are printed, key=value: print.timestamp, print.key, print.offset, \
         print.partition, print.headers, print.value=true|false; key.separator, line.separator, \
         headers.separator, null.literal; key.deserializer, value.deserializer, \
         headers.deserializer.",
    ),
    Opt::text(
        "formatter-config",
        "config file",
        "A file with such properties; --property goes before.",
    ),
    Opt::flag(
        "from-beginning",
        "Begin at the first record where the group has no offset, instead of at the end.",
    ),
    Opt::integer("max-messages", "num_messages", "End after this many records."),
    Opt::long("timeout-ms", "timeout_ms", "End if no record comes for this long."),
    Opt::flag("skip-message-on-error", "Go on with the next record if one cannot be printed."),
    Opt::text("bootstrap-server", "server to connect to", "REQUIRED: The broker(s) to ask first."),
    Opt::text("key-deserializer", "deserializer for key", ""),
    Opt::text("value-deserializer", "deserializer for values", ""),
    Opt::flag("enable-systest-events", "Print when the consumer ends."),
    Opt::text(
        "isolation-level",
        "",
        "read_committed to leave out what was aborted or is not committed yet.",
    )
    .or("read_uncommitted"),
    Opt::text("group", "consumer group id", "The consumer's group."),
];

const PURPOSE: &str =
    "This tool helps to read data from Kafka topics and outputs it to standard output.";
/// As ListOffsets has them.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The command line, checked.
#[derive(Clone, Debug)]
pub struct ConsumeOptions {
    /// The topic, unless there is a pattern.
    pub topic: Option<String>,
    /// The pattern of the topics.
    pub include: Option<String>,
    /// The one partition.
    pub partition: Option<i32>,
    /// Where to begin in it.
    pub offset: i64,
    /// How many records are wanted.
    pub max_messages: Option<u64>,
    /// How long to wait for a record.
    pub timeout: Option<Duration>,
    /// The consumer's settings.
    pub properties: Properties,
    /// How records are printed.
    pub formatter: Formatter,
    /// Whether the end is told.
    pub systest_events: bool,
}

impl ConsumeOptions {
    /// Reads the command line.
    ///
    /// # Errors
    /// If it is refused or asks for help.
    pub fn read(args: &[String], console: &Console) -> Result<Self, Stop> {
        let refused = |error: crate::kafka::options::OptionError| Stop::Usage(error.to_string());
        let parsed = parse(ALL, false, args).map_err(refused)?;
        help_or_version(args, &parsed, PURPOSE)?;
        let text = |name: &str| parsed.given(name).map(|it| it.map(str::to_owned)).map_err(refused);
        let topic = text("topic")?;
        let include = text("include")?.or(text("whitelist")?);
        check(&parsed, topic.is_some(), include.is_some())?;
        let group = group(&parsed)?;
        let partition = parsed.number("partition").map_err(refused)?;
        if group.is_some() && partition.is_some() {
            return Err(Stop::Usage(
                "Options group and partition cannot be specified together.".to_owned(),
            ));
        }
        let properties = properties(&parsed, group, console)?;
        let offset = offset(&parsed)?;
        let timeout: Option<i64> = parsed.number("timeout-ms").map_err(refused)?;
        let class = text("formatter")?.unwrap_or_else(|| {
            "org.apache.kafka.tools.consumer.DefaultMessageFormatter".to_owned()
        });
        let formatter = Formatter::new(&class, &formatter_properties(&parsed)?, console)
            .map_err(Stop::Usage)?;
        let most: Option<i32> = parsed.number("max-messages").map_err(refused)?;
        Ok(Self {
            topic,
            include,
            partition,
            offset,
            max_messages: most.and_then(|most| u64::try_from(most).ok()),
            timeout: timeout.and_then(|it| u64::try_from(it).ok()).map(Duration::from_millis),
            properties,
            formatter,
            systest_events: parsed.has("enable-systest-events"),
        })
    }
}

fn check(parsed: &Parsed, topic: bool, include: bool) -> Result<(), Stop> {
    let usage = |message: &str| Err(Stop::Usage(message.to_owned()));
    if topic == include {
        let hint = match parsed.has("whitelist") {
            true => {
                "--whitelist is DEPRECATED use --include instead; ignored if --include specified."
            }
            false => "",
        };
        return usage(&format!("Exactly one of --include/--topic is required. {hint}"));
    }
    if parsed.has("partition") {
        if !topic {
            return usage("The topic is required when partition is specified.");
        }
        if parsed.has("from-beginning") && parsed.has("offset") {
            return usage("Options from-beginning and offset cannot be specified together.");
        }
    } else if parsed.has("offset") {
        return usage("The partition is required when offset is specified.");
    }
    require(parsed, &["bootstrap-server"]).map_err(Stop::Usage)
}

fn settings(parsed: &Parsed) -> Result<(Properties, Properties), Stop> {
    let file = crate::kafka::command_config(parsed, "consumer.config")?;
    let own = Properties::from_pairs(&parsed.values("consumer-property"));
    Ok((file, own))
}

/// The group, which all places that name one must agree on.
fn group(parsed: &Parsed) -> Result<Option<String>, Stop> {
    let (file, own) = settings(parsed)?;
    let named = [parsed.value("group")?, file.get("group.id"), own.get("group.id")];
    let mut groups: Vec<_> = named.into_iter().flatten().collect();
    groups.sort_unstable();
    groups.dedup();
    match groups.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        several => {
            let quoted: Vec<_> = several.iter().map(|group| format!("'{group}'")).collect();
            Err(Stop::Usage(format!(
                "The group ids provided in different places (directly using '--group', via \
                 '--consumer-property', or via '--consumer.config') do not match. Detected group \
                 ids: {}",
                quoted.join(", ")
            )))
        }
    }
}

fn properties(
    parsed: &Parsed,
    group: Option<String>,
    console: &Console,
) -> Result<Properties, Stop> {
    let (mut properties, own) = settings(parsed)?;
    properties.extend(own);
    let from_beginning = parsed.has("from-beginning");
    match properties.get("auto.offset.reset") {
        Some(reset) if from_beginning && reset != "earliest" => {
            console.error(&format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', \
                 please remove one option"
            ));
            return Err(Stop::Code(1));
        }
        Some(_) => {}
        None => {
            let reset = if from_beginning { "earliest" } else { "latest" };
            properties.set("auto.offset.reset", reset);
        }
    }
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    properties.set_default("client.id", "console-consumer");
    if let Some(level) = parsed.value("isolation-level")?
        && (parsed.has("isolation-level") || properties.get("isolation.level").is_none())
    {
        properties.set("isolation.level", level);
    }
    match group {
        Some(group) => properties.set("group.id", group),
        None => {
            let mut random = [0; 4];
            // Two tools of one group would share the records; without randomness that may happen.
            let _ = getrandom::fill(&mut random);
            let number = u32::from_le_bytes(random) % 100_000;
            properties.set("group.id", format!("console-consumer-{number}"));
            properties.set_default("enable.auto.commit", "false");
        }
    }
    Ok(properties)
}

fn offset(parsed: &Parsed) -> Result<i64, Stop> {
    let Some(text) = parsed.given("offset")? else {
        return Ok(if parsed.has("from-beginning") { EARLIEST } else { LATEST });
    };
    match text.to_lowercase().as_str() {
        "earliest" => Ok(EARLIEST),
        "latest" => Ok(LATEST),
        _ => text.parse().ok().filter(|offset| *offset >= 0).ok_or_else(|| {
            Stop::Usage(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                 'latest', or a non-negative long."
            ))
        }),
    }
}

fn formatter_properties(parsed: &Parsed) -> Result<Properties, Stop> {
    let mut properties = crate::kafka::command_config(parsed, "formatter-config")?;
    for name in ["key", "value"] {
        let class = parsed.value(&format!("{name}-deserializer"))?.filter(|it| !it.is_empty());
        if let Some(class) = class {
            properties.set(&format!("{name}.deserializer"), class);
        }
    }
    properties.extend(Properties::from_pairs(&parsed.values("property")));
    Ok(properties)
}
