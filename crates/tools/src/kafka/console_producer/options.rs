//! The command line of `kafka-console-producer.sh`.

use crate::kafka::client::{Properties, bootstrap_addresses};
use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, require};
use crate::kafka::stop::{Stop, help_or_version};
use crate::zk_cli::Console;

const LINE_READER: &str = "kafka.tools.ConsoleProducer$LineMessageReader";

/// The options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("topic", "topic", "REQUIRED: The topic to produce to."),
    Opt::text("broker-list", "broker-list", "DEPRECATED, use --bootstrap-server instead."),
    Opt::text(
        "bootstrap-server",
        "server to connect to",
        "REQUIRED unless --broker-list(deprecated) is specified. The broker(s) to ask first, in the \
         form HOST1:PORT1,HOST2:PORT2.",
    ),
    Opt::flag("sync", "Wait for each record before the next is sent."),
    Opt::text(
        "compression-codec",
        "compression-codec",
        "'none', 'gzip', 'snappy', 'lz4', or 'zstd'; without a value, 'gzip'.",
    )
    .optional_value(),
    Opt::integer("batch-size", "size", "How many bytes a batch has at most.").or("16384"),
    Opt::integer("message-send-max-retries", "", "How often a batch is tried again.").or("3"),
    Opt::long("retry-backoff-ms", "", "How long to wait before that.").or("100"),
    Opt::long("timeout", "timeout_ms", "How long a batch waits for more records.").or("1000"),
    Opt::text("request-required-acks", "request required acks", "The `acks` of the requests.")
        .or("-1"),
    Opt::integer(
        "request-timeout-ms",
        "request timeout ms",
        "How long a request may take, greater than zero.",
    )
    .or("1500"),
    Opt::long("metadata-expiry-ms", "metadata expiration interval", "How old metadata may become.")
        .or("300000"),
    Opt::long("max-block-ms", "max block on send", "How long sending waits for metadata and room.")
        .or("60000"),
    Opt::long("max-memory-bytes", "total memory in bytes", "How much waits to be sent at most.")
        .or("33554432"),
    Opt::integer("max-partition-memory-bytes", "memory in bytes per partition", "As --batch-size.")
        .or("16384"),
    Opt::text(
        "line-reader",
        "reader_class",
        "The class that reads the input; only Kafka's own is there, a record a line.",
    )
    .or(LINE_READER),
    Opt::integer("socket-buffer-size", "size", "The buffer of a connection.").or("102400"),
    Opt::text(
        "property",
        "prop",
        "How lines are read, key=value: parse.key=false, parse.headers=false, ignore.error=false, \
         key.separator=\\t, headers.delimiter=\\t, headers.separator=,, headers.key.separator=:, \
         null.marker=",
    ),
    Opt::text(
        "reader-config",
        "config file",
        "A file with such properties; --property goes before.",
    ),
    Opt::text("producer-property", "producer_prop", "A setting of the producer, key=value.")
        .alias("producer"),
    Opt::text(
        "producer.config",
        "config file",
        "A file with settings of the producer; --producer-property goes before.",
    ),
];

const PURPOSE: &str = "This tool helps to read data from standard input and publish it to Kafka.";

/// Options that become settings unless the settings say otherwise.
const MERGED: [(&str, &str); 11] = [
    ("timeout", "linger.ms"),
    ("request-required-acks", "acks"),
    ("request-timeout-ms", "request.timeout.ms"),
    ("message-send-max-retries", "retries"),
    ("retry-backoff-ms", "retry.backoff.ms"),
    ("socket-buffer-size", "send.buffer.bytes"),
    ("max-memory-bytes", "buffer.memory"),
    ("batch-size", "batch.size"),
    ("max-partition-memory-bytes", "batch.size"),
    ("metadata-expiry-ms", "metadata.max.age.ms"),
    ("max-block-ms", "max.block.ms"),
];

/// The command line, checked.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Where records go.
    pub topic: String,
    /// Whether each is waited for.
    pub sync: bool,
    /// The producer's settings.
    pub properties: Properties,
    /// How lines are read.
    pub reader: Properties,
}

impl ConsoleOptions {
    /// Reads the command line.
    ///
    /// # Errors
    /// If it is refused or asks for help.
    pub fn read(args: &[String], console: &Console) -> Result<Self, Stop> {
        let parsed =
            parse(ALL, false, &notes_form(args)).map_err(|error| Stop::Usage(error.to_string()))?;
        let asks = parsed.has("help") || parsed.has("version");
        if !asks && !parsed.has("bootstrap-server") && !parsed.has("broker-list") {
            return Err(Stop::Usage("Missing required option(s) [bootstrap-server]".to_owned()));
        }
        help_or_version(args, &parsed, PURPOSE)?;
        require(&parsed, &["topic"]).map_err(Stop::Usage)?;
        let value = |name| parsed.value(name).map_err(|error| refused(console, &error));
        let servers = match value("bootstrap-server")? {
            Some(servers) => servers,
            None => value("broker-list")?.unwrap_or_default(),
        };
        if bootstrap_addresses(servers).is_err() {
            return Err(Stop::Usage(
                "Please provide valid host:port like host1:9091,host2:9092\n ".to_owned(),
            ));
        }
        if value("line-reader")? != Some(LINE_READER)
            && value("line-reader")? != Some("org.apache.kafka.tools.LineMessageReader")
        {
            let class = value("line-reader")?.unwrap_or_default().to_owned();
            console.error(&format!("java.lang.ClassNotFoundException: {class}"));
            return Err(Stop::Code(1));
        }
        Ok(Self {
            topic: value("topic")?.unwrap_or_default().to_owned(),
            sync: parsed.has("sync"),
            properties: properties(&parsed, servers, console)?,
            reader: reader_properties(&parsed)?,
        })
    }
}

fn refused(console: &Console, error: &impl std::fmt::Display) -> Stop {
    console.error(&error.to_string());
    Stop::Code(1)
}

/// `--producer property k=v`, as operators' notes have it, is `--producer-property k=v`.
fn notes_form(args: &[String]) -> Vec<String> {
    let mut args = args.to_vec();
    let found = args.windows(2).position(|two| two[0] == "--producer" && two[1] == "property");
    if let Some(at) = found {
        args.splice(at..at + 2, ["--producer-property".to_owned()]);
    }
    args
}

fn properties(parsed: &Parsed, servers: &str, console: &Console) -> Result<Properties, Stop> {
    let mut properties = crate::kafka::command_config(parsed, "producer.config")?;
    properties.extend(Properties::from_pairs(&parsed.values("producer-property")));
    properties.set("bootstrap.servers", servers);
    let codec = match (parsed.has("compression-codec"), parsed.value("compression-codec")?) {
        (false, _) => "none",
        (true, None | Some("")) => "gzip",
        (true, Some(codec)) => codec,
    };
    properties.set("compression.type", codec);
    properties.set_default("client.id", "console-producer");
    for (option, setting) in MERGED {
        let checked = match ALL.iter().find(|it| it.name == option).map(|it| it.kind) {
            Some(crate::kafka::options::Kind::Integer) => parsed.number::<i32>(option).map(drop),
            Some(crate::kafka::options::Kind::Long) => parsed.number::<i64>(option).map(drop),
            _ => Ok(()),
        };
        checked.map_err(|error| refused(console, &error))?;
        if let Some(value) = parsed.value(option)?
            && (parsed.has(option) || properties.get(setting).is_none())
        {
            properties.set(setting, value);
        }
    }
    Ok(properties)
}

fn reader_properties(parsed: &Parsed) -> Result<Properties, Stop> {
    let mut reader = crate::kafka::command_config(parsed, "reader-config")?;
    reader.extend(Properties::from_pairs(&parsed.values("property")));
    Ok(reader)
}
