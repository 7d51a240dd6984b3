//! `kafka-console-consumer.sh`: prints the records of a topic.

mod formatter;
mod options;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use formatter::Formatter;
use options::ConsumeOptions;

use super::client::consumer::{Consumer, ConsumerConfig, Subscription};
use super::client::{ClientError, TopicPartition, interrupt_on_signals, interrupted_by};
use super::log::{Level, log};
use super::pattern::Pattern;
use super::stop::{Failure, Stop, exit_code};
use crate::zk_cli::Console;

const LOGGER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// How long one poll lasts: between two of them the time for `--timeout-ms` is looked at.
const POLL: Duration = Duration::from_millis(500);

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    interrupt_on_signals();
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    let result = ConsumeOptions::read(args, console).and_then(|options| consume(&options, console));
    exit_code(result, console, options::ALL, |failure| {
        log(console, Level::Error, "Unknown error when running consumer: ", LOGGER);
        console.error(&failure.exception());
        1
    })
}

fn consume(options: &ConsumeOptions, console: &Console) -> Result<(), Stop> {
    let config = ConsumerConfig::new(options.properties.clone())
        .map_err(|error| Failure::no_client("construct kafka consumer", &error))?;
    let subscription = match (&options.topic, options.partition) {
        (Some(topic), Some(partition)) => {
            Subscription::Partition(TopicPartition::new(topic, partition), options.offset)
        }
        (Some(topic), None) => Subscription::Topics(vec![topic.clone()]),
        (None, _) => {
            let text = options.include.as_deref().unwrap_or_default();
            let pattern = Pattern::new(text).map_err(|error| {
                Failure::new("java.util.regex.PatternSyntaxException", error.to_string())
            })?;
            Subscription::Matching(pattern)
        }
    };
    let mut consumer = Consumer::new(config, subscription, console);
    let mut printing = Printing::new(options, console);
    let result = printing.until_the_end(&mut consumer);
    // The records are printed already; a group that is not told finds out by itself.
    let _ = consumer.close();
    console.error(&format!("Processed a total of {} messages", printing.count));
    if options.systest_events && interrupted_by().is_some() {
        console.line("shutdown_complete");
    }
    result?;
    match interrupted_by() {
        // As a process that a signal ended.
        Some(signal) => Err(Stop::Code(128 + signal)),
        None => Ok(()),
    }
}

/// What has been printed and what is still wanted.
struct Printing<'a> {
    options: &'a ConsumeOptions,
    formatter: &'a Formatter,
    console: &'a Console,
    count: u64,
    line: Vec<u8>,
    unheard: bool,
}

impl<'a> Printing<'a> {
    fn new(options: &'a ConsumeOptions, console: &'a Console) -> Self {
        let formatter = &options.formatter;
        Self { options, formatter, console, count: 0, line: Vec::new(), unheard: false }
    }

    fn is_done(&self) -> bool {
        self.unheard || self.options.max_messages.is_some_and(|most| self.count >= most)
    }

    fn until_the_end(&mut self, consumer: &mut Consumer<'_>) -> Result<(), Stop> {
        let mut since = Instant::now();
        while !self.is_done() {
            let left = self.options.timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            let polled = consumer.poll(left.unwrap_or(POLL).min(POLL), &mut |fetched| {
                self.line.clear();
                self.formatter.write(fetched, &mut self.line);
                self.count += 1;
                self.unheard = self.console.bytes(&self.line).is_err();
                if self.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match polled {
                Ok(0) if left.is_some_and(|left| left.is_zero()) => {
                    self.report("org.apache.kafka.common.errors.TimeoutException");
                    return Ok(());
                }
                Ok(0) => {}
                Ok(_) => since = Instant::now(),
                Err(ClientError::Interrupted) => return Ok(()),
                Err(error) => {
                    self.report(&error.exception());
                    return Ok(());
                }
            }
        }
        if self.unheard {
            self.console.error("Unable to write to standard out, closing consumer.");
        }
        Ok(())
    }

    fn report(&self, exception: &str) {
        let message = "Error processing message, terminating consumer process: ";
        log(self.console, Level::Error, message, LOGGER);
        self.console.error(exception);
    }
}
