//! `kafka-transactions.sh`: transactions, and those that nobody will end.

mod output;

use super::client::admin::{AbortTransaction, Admin, ProducerState};
use super::client::{ClientError, Properties, TopicPartition};
use super::options::{Opt, OptionError, Parsed, parse};
use super::stop::{Failure, Stop};
use crate::platform::now_millis;
use crate::zk_cli::Console;
use output::OpenTransaction;

const COMMANDS: [&str; 5] = ["list", "describe", "describe-producers", "abort", "find-hanging"];
const USAGE: &str = "usage: kafka-transactions.sh [-h] [-v] [--command-config FILE]
                             --bootstrap-server host:port COMMAND ...";
/// Transactional ids that do not exist.
const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
/// How many topics or partitions one request is about.
const BATCH: usize = 500;

/// The options before the command.
const BASE: &[Opt] = &[
    Opt::text("bootstrap-server", "", ""),
    Opt::text("command-config", "", ""),
    Opt::flag("version", ""),
    Opt::flag("v", ""),
    Opt::flag("help", ""),
    Opt::flag("h", ""),
];

/// The options of all commands together.
const OF_COMMANDS: &[Opt] = &[
    Opt::long("duration-filter", "", ""),
    Opt::text("transactional-id", "", ""),
    Opt::integer("broker-id", "", ""),
    Opt::text("topic", "", ""),
    Opt::integer("partition", "", ""),
    Opt::long("start-offset", "", ""),
    Opt::long("producer-id", "", ""),
    Opt::integer("producer-epoch", "", ""),
    Opt::integer("coordinator-epoch", "", ""),
    Opt::integer("max-transaction-timeout", "", ""),
    Opt::flag("help", ""),
    Opt::flag("h", ""),
];

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let result = run(&args[1.min(args.len())..], &console);
    super::stop::exit_code(result, &console, &[], |failure| {
        console.error(&failure.message);
        1
    })
}

/// Says it, and ends with code 1.
fn stop<T>(console: &Console, message: &str) -> Result<T, Stop> {
    console.error(message);
    Err(Stop::Code(1))
}

/// Why an answer did not come, and the end.
fn failed<T>(console: &Console, what: &str, error: &ClientError) -> Result<T, Stop> {
    stop(console, &format!("{what}: {error}. Enable debug logging for additional detail."))
}

fn wrong<T>(console: &Console, usage: &str, message: &str) -> Result<T, Stop> {
    console.error(usage);
    stop(console, &format!("kafka-transactions.sh: error: {message}"))
}

/// What is wrong with an option, in the words of this tool's parser of arguments.
fn said(error: &OptionError) -> String {
    match error {
        OptionError::Unrecognized(option) => {
            format!("unrecognized arguments: '--{}'", option.trim_start_matches('-'))
        }
        error => error.to_string(),
    }
}

/// Where the command is: the first argument that is neither an option nor its value.
fn command_at(args: &[String]) -> Option<usize> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        if !arg.starts_with('-') {
            return Some(at);
        }
        let takes_next = ["--bootstrap-server", "--command-config"].contains(&arg.as_str());
        at += if takes_next { 2 } else { 1 };
    }
    None
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let at = command_at(args);
    let (base, rest) = args.split_at(at.unwrap_or(args.len()));
    let base = match parse(BASE, true, base) {
        Ok(base) => base,
        Err(error) => return wrong(console, USAGE, &said(&error)),
    };
    if base.has("help") || base.has("h") {
        console.line(USAGE);
        return Ok(());
    }
    if base.has("version") || base.has("v") {
        return Err(Stop::Version);
    }
    let Some((command, rest)) = rest.split_first() else {
        return wrong(console, USAGE, "too few arguments");
    };
    if !COMMANDS.contains(&command.as_str()) {
        let message = format!(
            "invalid  choice:  '{command}'  (choose from 'list',\n'describe', 'describe-producers', \
             'abort', 'find-hanging')"
        );
        return wrong(console, USAGE, &message);
    }
    let options = match parse(OF_COMMANDS, true, rest) {
        Ok(options) => options,
        Err(error) => return wrong(console, output::usage(command), &said(&error)),
    };
    if options.has("help") || options.has("h") {
        console.line(output::usage(command));
        return Ok(());
    }
    for required in required(command) {
        if !options.has(required) {
            let message = format!("argument --{required} is required");
            return wrong(console, output::usage(command), &message);
        }
    }
    let Some(servers) = base.value("bootstrap-server")? else {
        return wrong(console, USAGE, "argument --bootstrap-server is required");
    };
    let mut properties = match base.value("command-config")? {
        Some(path) => match Properties::read(path) {
            Ok(properties) => properties,
            Err(_) => return stop(console, "Failed to load admin client properties"),
        },
        None => Properties::default(),
    };
    properties.set("bootstrap.servers", servers);
    let admin = Admin::new(properties, console);
    let admin = admin.map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    let mut tool = Tool { admin, options, console };
    match command.as_str() {
        "list" => tool.list(),
        "describe" => tool.describe(),
        "describe-producers" => tool.describe_producers(),
        "abort" => tool.abort(),
        _ => tool.find_hanging(),
    }
}

fn required(command: &str) -> &'static [&'static str] {
    match command {
        "describe" => &["transactional-id"],
        "describe-producers" | "abort" => &["partition", "topic"],
        _ => &[],
    }
}

struct Tool<'a> {
    admin: Admin<'a>,
    options: Parsed,
    console: &'a Console,
}

impl Tool<'_> {
    fn print(&self, header: &[&str], rows: &[Vec<String>]) {
        output::table(header, rows).iter().for_each(|line| self.console.line(line));
    }

    /// The partition that the options name.
    fn partition(&self) -> Result<TopicPartition, Stop> {
        let topic = self.options.value("topic")?.unwrap_or_default();
        Ok(TopicPartition::new(topic, self.options.number("partition")?.unwrap_or_default()))
    }

    fn list(&mut self) -> Result<(), Stop> {
        let longer_than_ms = self.options.number("duration-filter")?.unwrap_or(-1);
        let listed = match self.admin.list_transactions(&[], longer_than_ms) {
            Ok(listed) => listed,
            Err(error) => return failed(self.console, "Failed to list transactions", &error),
        };
        let rows = listed.into_iter().flat_map(|(coordinator, transactions)| {
            transactions.into_iter().map(move |of| {
                vec![of.id, coordinator.to_string(), of.producer_id.to_string(), of.state]
            })
        });
        let rows: Vec<_> = rows.collect();
        self.print(&output::LIST, &rows);
        Ok(())
    }

    fn describe(&mut self) -> Result<(), Stop> {
        let id = self.options.value("transactional-id")?.unwrap_or_default().to_owned();
        match self.admin.describe_transaction(&id) {
            Ok(found) => {
                let row = output::description(&id, &found, now_millis());
                self.print(&output::DESCRIPTION, &[row]);
                Ok(())
            }
            Err(error) => {
                let what =
                    format!("Failed to describe transaction state of transactional-id `{id}`");
                failed(self.console, &what, &error)
            }
        }
    }

    fn describe_producers(&mut self) -> Result<(), Stop> {
        let (partition, broker) = (self.partition()?, self.options.number("broker-id")?);
        let found = self.admin.describe_producers(std::slice::from_ref(&partition), broker);
        match found {
            Ok(mut found) => {
                let producers = found.remove(&partition).unwrap_or_default();
                let rows: Vec<_> = producers.iter().map(output::producer).collect();
                self.print(&output::PRODUCERS, &rows);
                Ok(())
            }
            Err(error) => {
                let whom = broker.map_or("leader".to_owned(), |id| format!("broker {id}"));
                let what =
                    format!("Failed to describe producers for partition {partition} on {whom}");
                failed(self.console, &what, &error)
            }
        }
    }

    fn abort(&mut self) -> Result<(), Stop> {
        let partition = self.partition()?;
        let start: Option<i64> = self.options.number("start-offset")?;
        let abort = match (start, self.options.number("producer-id")?) {
            (Some(start), _) => self.transaction_at(partition, start)?,
            (None, Some(producer_id)) => self.transaction_named(partition, producer_id)?,
            (None, None) => {
                return stop(
                    self.console,
                    "The transaction to abort must be identified either with --start-offset (for \
                     brokers on 3.0 or above) or with --producer-id, --producer-epoch, and \
                     --coordinator-epoch (for older brokers)",
                );
            }
        };
        match self.admin.abort_transaction(&abort) {
            Ok(()) => Ok(()),
            Err(error) => {
                let what = format!("Failed to abort transaction {}", output::abort(&abort));
                failed(self.console, &what, &error)
            }
        }
    }

    fn transaction_at(
        &mut self,
        partition: TopicPartition,
        start: i64,
    ) -> Result<AbortTransaction, Stop> {
        let producers = match self.admin.describe_producers(std::slice::from_ref(&partition), None)
        {
            Ok(mut found) => found.remove(&partition).unwrap_or_default(),
            Err(error) => {
                let what = format!("Failed to validate producer state for partition {partition}");
                return failed(self.console, &what, &error);
            }
        };
        let found = producers.iter().find(|state| state.transaction_start == Some(start));
        let Some(found) = found else {
            let text = format!(
                "Could not find any open transactions starting at offset {start} on partition \
                 {partition}"
            );
            return stop(self.console, &text);
        };
        Ok(AbortTransaction {
            partition,
            producer_id: found.id,
            producer_epoch: found.epoch as i16,
            // Whose first transaction hangs knows no coordinator.
            coordinator_epoch: found.coordinator_epoch.max(0),
        })
    }

    fn transaction_named(
        &mut self,
        partition: TopicPartition,
        producer_id: i64,
    ) -> Result<AbortTransaction, Stop> {
        let Some(producer_epoch) = self.options.number("producer-epoch")? else {
            return stop(self.console, "Missing required argument --producer-epoch");
        };
        let Some(coordinator_epoch) = self.options.number::<i32>("coordinator-epoch")? else {
            return stop(self.console, "Missing required argument --coordinator-epoch");
        };
        let coordinator_epoch = coordinator_epoch.max(0);
        Ok(AbortTransaction { partition, producer_id, producer_epoch, coordinator_epoch })
    }

    fn find_hanging(&mut self) -> Result<(), Stop> {
        let broker: Option<i32> = self.options.number("broker-id")?;
        let topic = self.options.value("topic")?.map(str::to_owned);
        if topic.is_none() && broker.is_none() {
            return stop(
                self.console,
                "The `find-hanging` command requires either --topic or --broker-id to limit the scope \
                 of the search",
            );
        }
        if topic.is_none() && self.options.has("partition") {
            return stop(self.console, "The --partition argument requires --topic to be provided");
        }
        let minutes: i64 = self.options.number("max-transaction-timeout")?.unwrap_or(15);
        let partitions = self.partitions_to_search(topic, broker)?;
        let now_ms = now_millis();
        let mut open = Vec::new();
        for batch in partitions.chunks(BATCH) {
            let found = match self.admin.describe_producers(batch, broker) {
                Ok(found) => found,
                Err(error) => {
                    let of =
                        broker.map_or("Optional.empty".to_owned(), |id| format!("Optional[{id}]"));
                    let count = batch.len();
                    let what = format!(
                        "Failed to describe producers for {count} partitions on broker {of}"
                    );
                    return failed(self.console, &what, &error);
                }
            };
            let is_late = |state: &ProducerState| {
                state.transaction_start.is_some()
                    && now_ms - state.last_timestamp_ms > minutes * 60_000
            };
            open.extend(found.into_iter().flat_map(|(partition, producers)| {
                let late = producers.into_iter().filter(is_late);
                let open =
                    move |producer| OpenTransaction { partition: partition.clone(), producer };
                late.map(open).collect::<Vec<_>>()
            }));
        }
        let hanging = self.hanging(open)?;
        let rows: Vec<_> = hanging.iter().map(|open| output::hanging(open, now_ms)).collect();
        self.print(&output::HANGING, &rows);
        Ok(())
    }

    fn partitions_to_search(
        &mut self,
        topic: Option<String>,
        broker: Option<i32>,
    ) -> Result<Vec<TopicPartition>, Stop> {
        let topics = match topic {
            Some(_) if self.options.has("partition") => return Ok(vec![self.partition()?]),
            Some(topic) => vec![topic],
            None => match self.admin.list_topics() {
                Ok(topics) => topics.into_iter().map(|topic| topic.name).collect(),
                Err(error) => return failed(self.console, "Failed to list topics", &error),
            },
        };
        let mut partitions = Vec::new();
        for batch in topics.chunks(BATCH) {
            let described = match self.admin.describe_topics(batch, 2000) {
                Ok(described) => described,
                Err(error) => {
                    let what = format!("Failed to describe {} topics", batch.len());
                    return failed(self.console, &what, &error);
                }
            };
            for topic in described {
                let here = topic.partitions.iter().filter(|partition| {
                    broker.is_none_or(|broker| partition.replicas.contains(&broker))
                });
                partitions.extend(here.map(|of| TopicPartition::new(&topic.name, of.partition)));
            }
        }
        Ok(partitions)
    }

    /// Those whose coordinator will not end them.
    fn hanging(&mut self, open: Vec<OpenTransaction>) -> Result<Vec<OpenTransaction>, Stop> {
        if open.is_empty() {
            return Ok(open);
        }
        let mut ids: Vec<i64> = open.iter().map(|open| open.producer.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let listed = match self.admin.list_transactions(&ids, -1) {
            Ok(listed) => listed,
            Err(error) => {
                let what = format!("Failed to list transactions for {} producers", ids.len());
                return failed(self.console, &what, &error);
            }
        };
        let named: Vec<_> = listed.into_values().flatten().collect();
        let mut hanging = Vec::new();
        for open in open {
            let known = named.iter().find(|of| of.producer_id == open.producer.id);
            let Some(known) = known else {
                hanging.push(open);
                continue;
            };
            match self.admin.describe_transaction(&known.id) {
                // What it lists it still writes to, or still has to mark.
                Ok(found) if found.partitions.contains(&open.partition) => {}
                Ok(_) => hanging.push(open),
                Err(error) if error.code() == Some(TRANSACTIONAL_ID_NOT_FOUND) => {
                    hanging.push(open);
                }
                Err(error) => {
                    let what = format!("Failed to describe {} transactions", named.len());
                    return failed(self.console, &what, &error);
                }
            }
        }
        Ok(hanging)
    }
}
