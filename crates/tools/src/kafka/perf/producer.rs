//! `kafka-producer-perf-test.sh`.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::stats::Stats;
use crate::kafka::client::Properties;
use crate::kafka::client::producer::{self, Outcome, ProducerConfig, Record};
use crate::kafka::options::{Opt, OptionError, Parsed, parse};
use crate::kafka::stop::{Failure, Stop};
use crate::platform;
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    Opt::text("topic", "", ""),
    Opt::long("num-records", "", ""),
    Opt::integer("record-size", "", ""),
    Opt::text("payload-file", "", ""),
    Opt::flag("payload-monotonic", ""),
    Opt::text("payload-delimiter", "", "").or("\\n"),
    Opt::double("throughput", "", ""),
    Opt::text("producer-props", "", ""),
    Opt::text("producer.config", "", ""),
    Opt::flag("help", ""),
    Opt::flag("h", ""),
];

const USAGE: &str = "usage: producer-performance [-h] --topic TOPIC --num-records NUM-RECORDS
                            [--payload-delimiter PAYLOAD-DELIMITER] --throughput
                            THROUGHPUT [--producer-props PROP-NAME=PROP-VALUE
                            [PROP-NAME=PROP-VALUE ...]]
                            [--producer.config CONFIG-FILE]
                            (--record-size RECORD-SIZE |
                            --payload-file PAYLOAD-FILE | --payload-monotonic)";
const REPORT_EVERY_MS: i64 = 5000;

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    if args.len() < 2 {
        console.line(USAGE);
        return 0;
    }
    match run(&args[1..], &console) {
        Ok(()) => 0,
        Err(Stop::Usage(message)) => {
            console.error(&format!("{USAGE}\nproducer-performance: error: {message}"));
            1
        }
        Err(Stop::Failure(failure)) => {
            console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
            1
        }
        Err(Stop::Version) => 0,
        Err(Stop::Code(code)) => code,
    }
}

/// `--producer-props a=b c=d` is `--producer-props a=b --producer-props c=d`.
fn spread(args: &[String]) -> Vec<String> {
    let mut spread = Vec::new();
    let mut in_properties = false;
    for arg in args {
        if arg.starts_with("--") {
            in_properties = arg == "--producer-props";
            if !in_properties {
                spread.push(arg.clone());
            }
        } else {
            if in_properties {
                spread.push("--producer-props".to_owned());
            }
            spread.push(arg.clone());
        }
    }
    spread
}

/// What is sent, and how fast.
#[derive(Debug)]
struct Plan {
    topic: String,
    records: u64,
    payload: Payload,
    throughput: f64,
    properties: Properties,
}

#[derive(Debug)]
enum Payload {
    Random(usize),
    Lines(Vec<Vec<u8>>),
    Counted,
}

impl Plan {
    fn read(args: &[String], console: &Console) -> Result<Self, Stop> {
        let usage = |error: OptionError| Stop::Usage(error.to_string());
        let parsed = parse(ALL, false, &spread(args)).map_err(usage)?;
        if parsed.has("help") || parsed.has("h") {
            console.line(USAGE);
            return Err(Stop::Code(0));
        }
        let payloads = ["record-size", "payload-file", "payload-monotonic"];
        match payloads.iter().filter(|option| parsed.has(option)).count() {
            0 => {
                return Err(Stop::Usage(
                    "one of the arguments --record-size --payload-file --payload-monotonic is \
                     required"
                        .to_owned(),
                ));
            }
            1 => {}
            _ => {
                return Err(Stop::Usage(
                    "only one of --record-size, --payload-file and --payload-monotonic is allowed"
                        .to_owned(),
                ));
            }
        }
        for required in ["topic", "num-records", "throughput"] {
            if !parsed.has(required) {
                return Err(Stop::Usage(format!("argument --{required} is required")));
            }
        }
        if !parsed.has("producer-props") && !parsed.has("producer.config") {
            return Err(Stop::Usage(
                "Either --producer-props or --producer.config must be specified.".to_owned(),
            ));
        }
        Ok(Self {
            topic: parsed.value("topic").map_err(usage)?.unwrap_or_default().to_owned(),
            records: parsed.number("num-records").map_err(usage)?.unwrap_or_default(),
            payload: payload(&parsed, console)?,
            throughput: parsed.number("throughput").map_err(usage)?.unwrap_or(-1.0),
            properties: properties(&parsed)?,
        })
    }
}

fn properties(parsed: &Parsed) -> Result<Properties, Stop> {
    let mut properties = crate::kafka::command_config(parsed, "producer.config")?;
    let pairs = parsed.values("producer-props");
    if let Some(wrong) = pairs.iter().find(|pair| pair.matches('=').count() != 1) {
        return Err(Failure::argument(format!("Invalid property: {wrong}")).into());
    }
    properties.extend(Properties::from_pairs(&pairs));
    properties.set_default("client.id", "perf-producer-client");
    Ok(properties)
}

fn payload(parsed: &Parsed, console: &Console) -> Result<Payload, Stop> {
    if let Some(size) = parsed.number::<u32>("record-size")? {
        return Ok(Payload::Random(size as usize));
    }
    let Some(path) = parsed.given("payload-file")? else { return Ok(Payload::Counted) };
    let whole =
        std::path::absolute(path).map_or_else(|_| path.to_owned(), |it| it.display().to_string());
    console.line(&format!("Reading payloads from: {whole}"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if text.is_empty() {
        return Err(Failure::argument("File does not exist or empty file provided.").into());
    }
    let delimiter = match parsed.value("payload-delimiter")? {
        Some("\\n") | None => "\n",
        Some(delimiter) => delimiter,
    };
    let text = text.trim_end_matches(delimiter);
    let lines: Vec<_> = text.split(delimiter).map(|line| line.as_bytes().to_vec()).collect();
    console.line(&format!("Number of messages read: {}", lines.len()));
    Ok(Payload::Lines(lines))
}

/// Spreads letters over a payload: xorshift, from the same beginning each time, as the real tool has
/// one seed for all its runs.
struct Letters(u64);

impl Letters {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, payload: &mut [u8]) {
        for eight in payload.chunks_mut(8) {
            let mut random = self.next();
            for letter in eight {
                *letter = b'A' + (((random & 0xff) * 26) >> 8) as u8;
                random >>= 8;
            }
        }
    }
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let plan = Plan::read(args, console)?;
    let config = ProducerConfig::new(plan.properties.clone())
        .map_err(|error| Failure::no_client("construct kafka producer", &error))?;
    let stats = Mutex::new(Stats::new(plan.records, REPORT_EVERY_MS, platform::now_millis()));
    let on_done = |records: Vec<(i64, u32)>, outcome: &Outcome| match outcome {
        Ok(_) => {
            let now = platform::now_millis();
            let mut stats = stats.lock();
            for (sent, bytes) in records {
                if let Some(report) = stats.record(now - sent, u64::from(bytes), now) {
                    console.line(&report);
                }
            }
        }
        Err(error) => records.iter().for_each(|_| console.error(&error.exception())),
    };
    producer::with(&config, console, &on_done, |producer| {
        let mut letters = Letters(0x9e37_79b9_7f4a_7c15);
        let mut random = vec![0; if let Payload::Random(size) = plan.payload { size } else { 0 }];
        let start = Instant::now();
        let mut counted = String::new();
        for number in 0..plan.records {
            let payload: &[u8] = match &plan.payload {
                Payload::Random(_) => {
                    letters.fill(&mut random);
                    &random
                }
                Payload::Lines(lines) => {
                    let at = letters.next() % lines.len().max(1) as u64;
                    lines.get(at as usize).map(Vec::as_slice).unwrap_or_default()
                }
                Payload::Counted => {
                    counted = number.to_string();
                    counted.as_bytes()
                }
            };
            let record = Record { value: Some(payload), ..Record::default() };
            let token = (platform::now_millis(), u32::try_from(payload.len()).unwrap_or(u32::MAX));
            if let Err((error, _)) = producer.send(&plan.topic, &record, token) {
                console.error(&error.exception());
            }
            if plan.throughput > 0.0 {
                let due = Duration::from_secs_f64((number + 1) as f64 / plan.throughput);
                let ahead = due.saturating_sub(start.elapsed());
                if ahead > Duration::from_millis(1) {
                    platform::pause(ahead);
                }
            }
        }
        drop(counted);
    });
    let total = stats.lock().total(platform::now_millis());
    console.line(&total);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn properties_follow_each_other() {
        let line = "--producer-props a=b c=d --topic t";
        assert_eq!(
            spread(&words(line)),
            words("--producer-props a=b --producer-props c=d --topic t")
        );
    }

    #[test]
    fn the_command_line_is_checked() {
        let console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let refused = |line: &str| match Plan::read(&words(line), &console) {
            Err(Stop::Usage(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused("--record-size 1 --num-records 1 --throughput 1"),
            "argument --topic is required"
        );
        let rest = "--topic t --num-records 5 --throughput -1";
        assert!(refused(rest).starts_with("one of the arguments --record-size"));
        assert_eq!(
            refused(&format!("{rest} --record-size 5")),
            "Either --producer-props or --producer.config must be specified."
        );
        let whole = format!("{rest} --record-size 5 --producer-props bootstrap.servers=h:1 acks=1");
        let plan = Plan::read(&words(&whole), &console).unwrap();
        assert_eq!((plan.records, plan.throughput), (5, -1.0));
        assert_eq!(plan.properties.get("acks"), Some("1"));
    }

    #[test]
    fn payloads_are_letters() {
        let mut payload = [0; 100];
        Letters(1).fill(&mut payload);
        assert!(payload.iter().all(u8::is_ascii_uppercase));
    }
}
