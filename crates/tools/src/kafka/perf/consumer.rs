//! `kafka-consumer-perf-test.sh`.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::kafka::client::consumer::{Consumer, ConsumerConfig, Subscription};
use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, require};
use crate::kafka::stop::{Failure, Stop, exit_code, help_or_version};
use crate::platform;
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("broker-list", "broker-list", "DEPRECATED, use --bootstrap-server instead."),
    Opt::text(
        "bootstrap-server",
        "server to connect to",
        "REQUIRED unless --broker-list(deprecated) is specified. The broker(s) to ask first.",
    ),
    Opt::text("topic", "topic", "REQUIRED: The topic to consume from."),
    Opt::text("group", "gid", "The group id to consume on."),
    Opt::integer("fetch-size", "size", "How much is fetched of a partition at once.").or("1048576"),
    Opt::flag("from-latest", "Begin at the end where the group has no offset."),
    Opt::integer("socket-buffer-size", "size", "The size of the tcp RECV size.").or("2097152"),
    Opt::integer("threads", "count", "DEPRECATED AND IGNORED").or("10"),
    Opt::integer("num-fetch-threads", "count", "DEPRECATED AND IGNORED").or("1"),
    Opt::text("consumer.config", "config file", "A file with settings of the consumer."),
    Opt::flag("show-detailed-stats", "Print what was read in each interval."),
    Opt::long("timeout", "milliseconds", "How long to wait for a record.")
        .or("10000")
        .optional_value(),
    Opt::long("messages", "count", "REQUIRED: How many records to consume."),
    Opt::long("reporting-interval", "interval_ms", "How long an interval is.").or("5000"),
    Opt::flag("hide-header", "Print no header."),
];

const PURPOSE: &str = "This tool is used to verify the consumer performance.";
const MORE: &str = ", rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";
const POLL: Duration = Duration::from_millis(100);

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

/// What was read, up to a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    bytes: u64,
    records: u64,
}

const MEGABYTE: f64 = 1024.0 * 1024.0;

/// `2024-01-31 12:00:00:000`, as the real tool's default date format has it.
fn date(millis: i64) -> String {
    platform::local_timestamp(millis).replace(',', ":")
}

/// The line about everything.
fn total(start: i64, end: i64, read: Read, join_ms: i64) -> String {
    let seconds = (end - start) as f64 / 1000.0;
    let fetch_ms = end - start - join_ms;
    let megabytes = read.bytes as f64 / MEGABYTE;
    let (records, fetching) = (read.records as f64, fetch_ms as f64 / 1000.0);
    format!(
        "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {join_ms}, {fetch_ms}, {:.4}, {:.4}",
        date(start),
        date(end),
        megabytes / seconds,
        read.records,
        records / seconds,
        megabytes / fetching,
        records / fetching
    )
}

/// The line of an interval.
fn interval(start: i64, end: i64, read: Read, before: Read, join_ms: i64) -> String {
    let elapsed = (end - start) as f64 / 1000.0;
    let megabytes = (read.bytes - before.bytes) as f64 / MEGABYTE;
    let records = (read.records - before.records) as f64;
    let fetch_ms = end - start - join_ms;
    let a_second = |amount: f64| match fetch_ms {
        ..=0 => 0.0,
        fetch_ms => amount / (fetch_ms as f64 / 1000.0),
    };
    format!(
        "{}, 0, {:.4}, {:.4}, {}, {:.4}, {join_ms}, {fetch_ms}, {:.4}, {:.4}",
        date(end),
        read.bytes as f64 / MEGABYTE,
        megabytes / elapsed,
        read.records,
        records / elapsed,
        a_second(megabytes),
        a_second(records)
    )
}

fn config(parsed: &Parsed) -> Result<ConsumerConfig, Stop> {
    let servers = parsed.value("bootstrap-server")?.or(parsed.value("broker-list")?);
    let mut properties = crate::kafka::command_config(parsed, "consumer.config")?;
    properties.set("bootstrap.servers", servers.unwrap_or_default());
    let group = match parsed.value("group")? {
        Some(group) => group.to_owned(),
        None => format!("perf-consumer-{}", platform::now_millis() % 100_000),
    };
    properties.set("group.id", group);
    let size = parsed.value("fetch-size")?.unwrap_or_default().to_owned();
    properties.set("max.partition.fetch.bytes", size);
    let reset = if parsed.has("from-latest") { "latest" } else { "earliest" };
    properties.set("auto.offset.reset", reset);
    properties.set("check.crcs", "false");
    properties.set_default("client.id", "perf-consumer-client");
    let config = ConsumerConfig::new(properties)
        .map_err(|error| Failure::no_client("construct kafka consumer", &error))?;
    Ok(config)
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args).map_err(|error| Stop::Usage(error.to_string()))?;
    let asks = parsed.has("help") || parsed.has("version");
    if !asks && !parsed.has("bootstrap-server") && !parsed.has("broker-list") {
        return Err(Stop::Usage("Missing required option(s) [bootstrap-server]".to_owned()));
    }
    if parsed.has("threads") || parsed.has("num-fetch-threads") {
        console.line(
            "WARNING: option [threads] and [num-fetch-threads] have been deprecated and will be \
             ignored by the test",
        );
    }
    help_or_version(args, &parsed, PURPOSE)?;
    require(&parsed, &["topic", "messages"]).map_err(Stop::Usage)?;
    let wanted: u64 = parsed.number("messages")?.unwrap_or_default();
    let timeout: i64 = parsed.number("timeout")?.unwrap_or(10_000);
    let report_every: i64 = parsed.number("reporting-interval")?.unwrap_or_default();
    if report_every <= 0 {
        return Err(Failure::argument("Reporting interval must be greater than 0.").into());
    }
    let detailed = parsed.has("show-detailed-stats");
    let config = config(&parsed)?;
    if !parsed.has("hide-header") {
        let first = if detailed { "time, threadId" } else { "start.time, end.time" };
        console.line(&format!(
            "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec{MORE}"
        ));
    }
    let topic = parsed.value("topic")?.unwrap_or_default().to_owned();
    let start = platform::now_millis();
    let mut consumer = Consumer::new(config, Subscription::Topics(vec![topic]), console);
    let (mut read, mut before) = (Read::default(), Read::default());
    let (mut last_read, mut last_report) = (start, start);
    let mut joined = None;
    while read.records < wanted && platform::now_millis() - last_read <= timeout {
        let polled = consumer.poll(POLL, &mut |fetched| {
            let size = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u64);
            read.records += 1;
            read.bytes += size(fetched.record.key) + size(fetched.record.value);
            ControlFlow::Continue(())
        });
        let now = platform::now_millis();
        if joined.is_none() && consumer.is_assigned() {
            joined = Some(now - start);
            last_read = now;
        }
        if polled? > 0 {
            last_read = now;
        }
        if now - last_report >= report_every {
            if detailed {
                let joining = if before.records == 0 { joined.unwrap_or_default() } else { 0 };
                console.line(&interval(last_report, now, read, before, joining));
            }
            (last_report, before) = (now, read);
        }
    }
    if read.records < wanted {
        console.line(&format!(
            "WARNING: Exiting before consuming the expected number of messages: timeout ({timeout} \
             ms) exceeded. You can use the --timeout option to increase the timeout."
        ));
    }
    let end = platform::now_millis();
    consumer.close()?;
    if !detailed {
        console.line(&total(start, end, read, joined.unwrap_or_default()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_kafkas_columns() {
        let read = Read { bytes: 2 << 20, records: 4000 };
        let line = total(0, 2000, read, 1000);
        assert!(line.ends_with(", 2.0000, 1.0000, 4000, 2000.0000, 1000, 1000, 2.0000, 4000.0000"));
        let line = interval(0, 1000, read, Read::default(), 0);
        assert!(line.contains(", 0, 2.0000, 2.0000, 4000, 4000.0000, 0, 1000, 2.0000, 4000.0000"));
        assert!(interval(0, 1000, read, read, 1000).ends_with(", 1000, 0, 0.0000, 0.0000"));
        assert_eq!(date(0).len(), "1970-01-01 00:00:00:000".len());
    }
}
