//! `kafka-topics.sh`: makes, lists, describes, grows and deletes topics.

mod options;
mod output;

use std::collections::BTreeMap;

use options::{Action, TopicOptions};
use output::{Describe, partition_line, topic_line};

use super::client::admin::{Admin, NewTopic, Reassignment, ResourceKind, TopicDescription};
use super::client::{TopicPartition, is_internal};
use super::log;
use super::pattern::Pattern;
use super::stop::{Failure, Stop, exit_code};
use super::zookeeper;
use crate::zk_cli::Console;

const LOGGER: &str = "org.apache.kafka.tools.TopicCommand";
const TOPIC_ALREADY_EXISTS: i16 = 36;
const UNSUPPORTED_VERSION: &str = "UnsupportedVersionException";
const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
const COLLISION: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or \
                         underscore ('_') could collide. To avoid issues it is best to use either, \
                         but not both.";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    let failed = |failure: &Failure| {
        console.line(&format!("Error while executing topic command : {}", failure.message));
        log::failure(console, &failure.exception(), LOGGER);
        1
    };
    let tool = TopicOptions::read(args, console).and_then(|options| Tool::new(options, console));
    let mut tool = match tool {
        Ok(tool) => tool,
        Err(stop) => {
            return exit_code(Err(stop), console, options::ALL, |failure| {
                // A value is looked at when it is used, which is in the middle of the work.
                if failure.is_of_a_value() {
                    return failed(failure);
                }
                console.error(&failure.message);
                console.error(&failure.exception());
                1
            });
        }
    };
    exit_code(tool.run(), console, options::ALL, failed)
}

struct Tool<'a> {
    options: TopicOptions,
    admin: Admin<'a>,
    console: &'a Console,
}

impl<'a> Tool<'a> {
    fn new(mut options: TopicOptions, console: &'a Console) -> Result<Self, Stop> {
        if let Some(ensemble) = &options.zookeeper {
            let brokers = zookeeper::brokers(ensemble)?;
            options.properties.set("bootstrap.servers", brokers);
        }
        let admin = Admin::new(options.properties.clone(), console)
            .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
        Ok(Self { options, admin, console })
    }

    fn run(&mut self) -> Result<(), Stop> {
        match self.options.action {
            Action::Create => self.create(),
            Action::List => self.list(),
            Action::Describe => self.describe(),
            Action::Alter => self.alter(),
            Action::Delete => self.delete(),
        }
    }

    fn create(&mut self) -> Result<(), Stop> {
        let options = &self.options;
        let name = options.topic.clone().unwrap_or_default();
        let configs = options.configs()?;
        if name.contains(['.', '_']) {
            self.console.line(COLLISION);
        }
        let factor = match options.replication_factor {
            Some(factor) => match i16::try_from(factor).ok().filter(|factor| *factor >= 1) {
                Some(factor) => Some(factor),
                None => {
                    return Err(Failure::argument(format!(
                        "The replication factor must be between 1 and {} inclusive",
                        i16::MAX
                    ))
                    .into());
                }
            },
            None => None,
        };
        if options.partitions.is_some_and(|partitions| partitions < 1) {
            return Err(Failure::argument("The partitions must be greater than 0").into());
        }
        let topic = NewTopic {
            name: name.clone(),
            partitions: options.partitions,
            replication_factor: factor,
            assignment: options.replica_assignment()?,
            configs,
        };
        match self.admin.create_topic(&topic) {
            Ok(()) => self.console.line(&format!("Created topic {name}.")),
            Err(error)
                if error.code() == Some(TOPIC_ALREADY_EXISTS) && self.options.if_not_exists => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The topics that are meant, by name.
    fn topics(&mut self) -> Result<Vec<String>, Stop> {
        let pattern = match &self.options.topic {
            Some(list) => Some(Pattern::of_topics(list).map_err(|invalid| {
                Failure::new("java.lang.RuntimeException", invalid.to_string())
            })?),
            None => None,
        };
        let hidden = self.options.exclude_internal;
        let meant = |name: &str| {
            !(hidden && is_internal(name))
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
        };
        let all = self.admin.list_topics()?;
        Ok(all.into_iter().map(|topic| topic.name).filter(|name| meant(name)).collect())
    }

    /// The topics that are meant; it is an error if a topic is named and there is none.
    fn existing_topics(&mut self) -> Result<Vec<String>, Stop> {
        let topics = self.topics()?;
        let named = self.options.topic.as_deref().filter(|topic| !topic.is_empty());
        match named {
            Some(named) if topics.is_empty() && !self.options.if_exists => Err(Failure::argument(
                format!("Topic 'Optional[{named}]' does not exist as expected"),
            )
            .into()),
            _ => Ok(topics),
        }
    }

    fn list(&mut self) -> Result<(), Stop> {
        let topics = self.topics()?;
        self.console.line(&topics.join("\n"));
        Ok(())
    }

    fn alter(&mut self) -> Result<(), Stop> {
        self.options.configs()?;
        let topics = self.existing_topics()?;
        if topics.is_empty() {
            return Ok(());
        }
        let count = self.options.partitions.unwrap_or_default();
        let places = self.options.replica_assignment()?;
        let mut grown = Vec::new();
        for name in topics {
            let places = match places.as_slice() {
                [] => None,
                places => {
                    let now = self.admin.describe_by_metadata(std::slice::from_ref(&name))?;
                    let there = now.first().map_or(0, |topic| topic.partitions.len());
                    Some(places.iter().skip(there).cloned().collect())
                }
            };
            grown.push((name, count, places));
        }
        Ok(self.admin.create_partitions(&grown)?)
    }

    fn delete(&mut self) -> Result<(), Stop> {
        let topics = self.existing_topics()?;
        self.admin.delete_topics(&topics)?;
        if self.options.zookeeper.is_some() {
            for topic in topics {
                self.console.line(&format!("Topic {topic} is marked for deletion."));
                self.console.line(
                    "Note: This will have no impact if delete.topic.enable is not set to true.",
                );
            }
        }
        Ok(())
    }

    fn described(&mut self) -> Result<Vec<TopicDescription>, Stop> {
        let Some(id) = self.options.topic_id.filter(|id| !id.is_zero()) else {
            let topics = self.existing_topics()?;
            if topics.is_empty() {
                return Ok(Vec::new());
            }
            if self.options.zookeeper.is_some() {
                return Ok(self.admin.describe_by_metadata(&topics)?);
            }
            let limit = self.options.partitions_a_response;
            return Ok(self.admin.describe_topics(&topics, limit)?);
        };
        let hidden = self.options.exclude_internal;
        let all = self.admin.list_topics()?;
        let found = all.into_iter().find(|it| it.id == id && !(hidden && it.internal));
        match found {
            Some(topic) => Ok(self.admin.describe_by_metadata(&[topic.name])?),
            None if self.options.if_exists => Ok(Vec::new()),
            None => {
                Err(Failure::argument(format!("TopicId '{id}' does not exist as expected")).into())
            }
        }
    }

    fn reassignments(&mut self) -> Result<BTreeMap<TopicPartition, Reassignment>, Stop> {
        match self.admin.list_reassignments() {
            Ok(all) => Ok(all),
            Err(error)
                if error.known().class == UNSUPPORTED_VERSION
                    || error.code() == Some(CLUSTER_AUTHORIZATION_FAILED) =>
            {
                Ok(BTreeMap::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn describe(&mut self) -> Result<(), Stop> {
        let topics = self.described()?;
        let brokers = self.admin.brokers()?;
        let live: Vec<_> = brokers.into_iter().map(|broker| broker.id).collect();
        let moves = if topics.is_empty() { BTreeMap::new() } else { self.reassignments()? };
        let describe = Describe {
            report: self.options.report,
            live: &live,
            old_form: self.options.zookeeper.is_some(),
        };
        for topic in &topics {
            let configs = self.admin.describe_configs(ResourceKind::Topic, &topic.name, false)?;
            let of = |partition: i32| moves.get(&TopicPartition::new(&topic.name, partition));
            if let Some(line) = topic_line(topic, &configs, of(0), &describe) {
                self.console.line(&line);
            }
            for partition in &topic.partitions {
                let moving = of(partition.partition);
                let line = partition_line(&topic.name, partition, &configs, moving, &describe);
                if let Some(line) = line {
                    self.console.line(&line);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
