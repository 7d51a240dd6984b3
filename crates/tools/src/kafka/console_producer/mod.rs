//! `kafka-console-producer.sh`: sends what standard input says, a record a line.

mod line_reader;
mod options;

use std::io::BufRead;

use line_reader::{Fields, LineReader};
use options::ConsoleOptions;

use super::client::ClientError;
use super::client::producer::{self, Outcome, Producer, ProducerConfig, Record};
use super::log::{Level, log};
use super::stop::{Failure, Stop, exit_code};
use crate::platform;
use crate::zk_cli::Console;

const CALLBACK: &str = "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let prompt = platform::is_interactive();
    let mut input = std::io::stdin().lock();
    run(&args[1.min(args.len())..], &mut input, prompt, &Console::process())
}

fn run(args: &[String], input: &mut impl BufRead, prompt: bool, console: &Console) -> i32 {
    let result = ConsoleOptions::read(args, console)
        .and_then(|options| produce(&options, input, prompt, console));
    exit_code(result, console, options::ALL, |failure| {
        console.error(&failure.exception());
        1
    })
}

fn produce(
    options: &ConsoleOptions,
    input: &mut impl BufRead,
    prompt: bool,
    console: &Console,
) -> Result<(), Stop> {
    let config = ProducerConfig::new(options.properties.clone())
        .map_err(|error| Failure::no_client("construct kafka producer", &error))?;
    let reader = LineReader::new(&options.reader)?;
    let last_error = parking_lot::Mutex::new(None);
    let topic = &options.topic;
    let on_done = |records: Vec<Sizes>, outcome: &Outcome| {
        let Err(error) = outcome else { return };
        if options.sync {
            *last_error.lock() = Some(error.clone());
        } else {
            records.iter().for_each(|sizes| report(console, topic, sizes, error));
        }
    };
    producer::with(&config, console, &on_done, |producer| {
        let mut lines = Lines { input, prompt, console, number: 0 };
        while let Some(line) = lines.next()? {
            let fields = reader.read(&line, lines.number)?;
            if let Err((error, sizes)) = send(producer, topic, &fields) {
                if options.sync {
                    return Err(Stop::from(error));
                }
                report(console, topic, &sizes, &error);
            }
            if options.sync {
                producer.flush();
                if let Some(error) = last_error.lock().take() {
                    let class = "java.util.concurrent.ExecutionException";
                    return Err(Failure::new(class, error.exception())
                        .caused_by(error.exception())
                        .into());
                }
            }
        }
        Ok(())
    })
}

/// How large a record's key and value are, for a message about it.
struct Sizes {
    key: Option<usize>,
    value: Option<usize>,
}

fn send(
    producer: &Producer<'_, Sizes>,
    topic: &str,
    fields: &Fields<'_>,
) -> Result<(), (ClientError, Sizes)> {
    let headers: Vec<_> = fields
        .headers
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes)))
        .collect();
    let record = Record {
        key: fields.key.map(str::as_bytes),
        value: fields.value.map(str::as_bytes),
        headers: &headers,
        ..Record::default()
    };
    let sizes = Sizes { key: fields.key.map(str::len), value: fields.value.map(str::len) };
    producer.send(topic, &record, sizes)
}

/// What is logged of a record that did not make it.
fn report(console: &Console, topic: &str, sizes: &Sizes, error: &ClientError) {
    let size =
        |size: Option<usize>| size.map_or_else(|| "null".to_owned(), |it| format!("{it} bytes"));
    let message = format!(
        "Error when sending message to topic {topic} with key: {}, value: {} with error:",
        size(sizes.key),
        size(sizes.value)
    );
    log(console, Level::Error, &message, CALLBACK);
    console.error(&error.exception());
}

/// The lines of the input, with a prompt before each where somebody types them.
struct Lines<'a, R> {
    input: &'a mut R,
    prompt: bool,
    console: &'a Console,
    number: u64,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line without its end; `None` after the last.
    fn next(&mut self) -> Result<Option<String>, Stop> {
        self.number += 1;
        if self.prompt {
            self.console.print(">");
        }
        let mut line = Vec::new();
        let read = self
            .input
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::new("java.io.IOException", error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}
