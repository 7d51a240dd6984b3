//! `kafka-reassign-partitions.sh`: moves partitions between brokers.
//!
//! Absent: moves between the directories of a broker (`log_dirs` other than `any`).

mod file;
mod options;
mod throttle;

use std::collections::{BTreeMap, BTreeSet};

use options::Action;
use polyport_kafka_codec::placement::{Candidate, PlacementError, Start, assign};

use super::client::admin::{Admin, Reassignment, ResourceKind};
use super::client::{ClientError, TopicPartition};
use super::stop::{Failure, Stop, exit_code};
use crate::zk_cli::Console;
use file::{Moves, joined};

const FAILED: &str = "org.apache.kafka.server.common.AdminCommandFailedException";
const OPERATION: &str = "org.apache.kafka.server.common.AdminOperationException";
const EXECUTION: &str = "java.util.concurrent.ExecutionException";
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const OTHERS_UNDER_WAY: &str = "Cannot execute because there is an existing partition assignment.  Use \
                                --additional to override this and create a new partition assignment \
                                in addition to the existing one. The --additional flag can also be \
                                used to change the throttle by resubmitting the current reassignment.";
const VERIFY_PERIODICALLY: &str = "Warning: You must run --verify periodically, until the reassignment \
                                   completes, to ensure the throttle is removed.";

type Assignment = BTreeMap<TopicPartition, Vec<i32>>;

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    let told = |failure: &Failure| {
        console.line(&format!("Error: {}", failure.message));
        console.line(&failure.exception());
        1
    };
    let (action, parsed) = match options::read(args) {
        Ok(read) => read,
        Err(stop) => {
            return exit_code(Err(stop), console, options::ALL, |failure| {
                // A value is looked at when it is used, which is in the middle of the work.
                if failure.is_of_a_value() {
                    return told(failure);
                }
                console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
                1
            });
        }
    };
    let work = || -> Result<(), Stop> {
        let mut properties = super::command_config(&parsed, "command-config")?;
        let servers = match parsed.value("zookeeper")? {
            Some(ensemble) => super::zookeeper::brokers(ensemble)?,
            None => parsed.value("bootstrap-server")?.unwrap_or_default().to_owned(),
        };
        properties.set("bootstrap.servers", servers);
        properties.set_default("client.id", "reassign-partitions-tool");
        let admin = Admin::new(properties, console)
            .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
        let old_form = parsed.has("zookeeper");
        Tool { admin, console, old_form }.act(&action)
    };
    exit_code(work(), console, options::ALL, told)
}

fn read_file(path: &str) -> Result<String, Failure> {
    super::read_file(path).map_err(|cause| {
        Failure::new("java.io.IOException", format!("Unable to read file {path}"))
            .caused_by(cause.exception())
    })
}

/// What the client's futures throw.
fn thrown(error: &ClientError) -> Failure {
    let cause = error.exception();
    Failure::new(EXECUTION, cause.clone()).caused_by(cause)
}

fn unknown(message: String) -> Failure {
    thrown(&ClientError::Broker { code: UNKNOWN_TOPIC_OR_PARTITION, message: Some(message) })
}

struct Tool<'a> {
    admin: Admin<'a>,
    console: &'a Console,
    /// The words of before Kafka 2.6.
    old_form: bool,
}

impl Tool<'_> {
    fn act(&mut self, action: &Action) -> Result<(), Stop> {
        match action {
            Action::Verify { moves, preserve_throttles } => {
                self.verify(&read_file(moves)?, *preserve_throttles)
            }
            Action::Generate { topics, brokers, rack_aware } => {
                self.generate(&read_file(topics)?, brokers, *rack_aware)
            }
            Action::Execute { moves, additional, throttle, log_dir_throttle } => {
                let text = read_file(moves)?;
                self.execute(&text, *additional, *throttle, *log_dir_throttle)
            }
            Action::Cancel { moves, preserve_throttles } => {
                self.cancel(&read_file(moves)?, *preserve_throttles)
            }
            Action::List => self.list(),
        }
    }

    /// Ends the tool with a line and no more.
    fn terse(&self, message: &str) -> Stop {
        self.console.line(message);
        Stop::Code(1)
    }

    fn under_way(&mut self) -> Result<BTreeMap<TopicPartition, Reassignment>, Stop> {
        Ok(self.admin.list_reassignments().map_err(|error| thrown(&error))?)
    }

    fn live(&mut self) -> Result<BTreeSet<i32>, Stop> {
        let brokers = self.admin.brokers().map_err(|error| thrown(&error))?;
        Ok(brokers.into_iter().map(|broker| broker.id).collect())
    }

    /// Who has the partitions of topics.
    fn replicas_of_topics(&mut self, topics: &BTreeSet<String>) -> Result<Assignment, Stop> {
        let mut assignment = Assignment::new();
        for topic in topics {
            let described = self.admin.describe_by_metadata(std::slice::from_ref(topic));
            let described = described.map_err(|error| match error.code() {
                Some(UNKNOWN_TOPIC_OR_PARTITION) => unknown(format!("Topic {topic} not found.")),
                _ => thrown(&error),
            })?;
            for partition in described.into_iter().flat_map(|topic| topic.partitions) {
                let place = TopicPartition::new(topic, partition.partition);
                assignment.insert(place, partition.replicas);
            }
        }
        Ok(assignment)
    }

    fn verify(&mut self, text: &str, preserve_throttles: bool) -> Result<(), Stop> {
        let moves = file::moves(text)?;
        let under_way = self.under_way()?;
        let mut found = Assignment::new();
        for topic in topics_of(&moves) {
            match self.admin.describe_by_metadata(std::slice::from_ref(&topic)) {
                Ok(described) => {
                    let partitions = described.into_iter().flat_map(|topic| topic.partitions);
                    found.extend(partitions.map(|partition| {
                        (TopicPartition::new(&topic, partition.partition), partition.replicas)
                    }));
                }
                // Nobody has what is not there.
                Err(error) if error.code() == Some(UNKNOWN_TOPIC_OR_PARTITION) => {}
                Err(error) => return Err(thrown(&error).into()),
            }
        }
        self.console.line(&states(&moves, &under_way, &found, self.old_form));
        // In place of what is told of moves between directories.
        self.console.line("");
        if under_way.is_empty() && !preserve_throttles {
            self.clear_throttles(&moves)?;
        }
        Ok(())
    }

    /// Ends throttling on all brokers that may have had to do with moves.
    fn clear_throttles(&mut self, moves: &Moves) -> Result<(), Stop> {
        let mut brokers = self.live()?;
        brokers.extend(moves.iter().flat_map(|(_, replicas)| replicas));
        let s = if brokers.len() == 1 { "" } else { "s" };
        let all = joined(&brokers, ",");
        self.console.line(&format!("Clearing broker-level throttles on broker{s} {all}"));
        for broker in brokers {
            let changes = throttle::none_of_broker();
            let altered =
                self.admin.alter_configs(ResourceKind::Broker, &broker.to_string(), &changes);
            altered.map_err(|error| thrown(&error))?;
        }
        let topics = topics_of(moves);
        let s = if topics.len() == 1 { "" } else { "s" };
        let all = joined(&topics, ",");
        self.console.line(&format!("Clearing topic-level throttles on topic{s} {all}"));
        for topic in topics {
            let changes = throttle::none_of_topic();
            let altered = self.admin.alter_configs(ResourceKind::Topic, &topic, &changes);
            altered.map_err(|error| thrown(&error))?;
        }
        Ok(())
    }

    fn generate(&mut self, text: &str, brokers: &str, rack_aware: bool) -> Result<(), Stop> {
        let brokers = file::brokers(brokers)?;
        let topics = file::topics(text)?;
        let current = self.replicas_of_topics(&topics.into_iter().collect())?;
        let nodes = self.admin.brokers().map_err(|error| thrown(&error))?;
        let mut nodes: Vec<_> = nodes.into_iter().filter(|it| brokers.contains(&it.id)).collect();
        nodes.sort_by_key(|node| node.id);
        let rackless = nodes.iter().filter(|node| node.rack.is_none()).count();
        if rack_aware && rackless != 0 && rackless != nodes.len() {
            let message = "Not all brokers have rack information. Add --disable-rack-aware in \
                           command line to make replica assignment without rack information.";
            return Err(Failure::new(OPERATION, message).into());
        }
        let rack = |rack: &'_ Option<String>| rack.clone().filter(|_| rack_aware);
        let racks: Vec<_> = nodes.iter().map(|node| (node.id, rack(&node.rack))).collect();
        let candidates: Vec<Candidate<'_>> =
            racks.iter().map(|(id, rack)| (*id, rack.as_deref())).collect();
        let proposed = propose(&current, &candidates)?;
        let current = file::as_json(&current);
        self.console.line(&format!("Current partition replica assignment\n{current}\n"));
        let proposed = file::as_json(&proposed);
        self.console.line(&format!("Proposed partition reassignment configuration\n{proposed}"));
        Ok(())
    }

    fn execute(
        &mut self,
        text: &str,
        additional: bool,
        throttle: i64,
        log_dir_throttle: i64,
    ) -> Result<(), Stop> {
        let proposed = file::moves_to_make(text)?;
        let under_way = self.under_way()?;
        if !additional && !under_way.is_empty() {
            return Err(self.terse(OTHERS_UNDER_WAY));
        }
        let live = self.live()?;
        if let Some(dead) = proposed.values().flatten().find(|id| !live.contains(id)) {
            return Err(Failure::new(FAILED, format!("Unknown broker id {dead}")).into());
        }
        let current = self.current(&proposed)?;
        let json = file::as_json(&current);
        self.console.line(&format!(
            "Current partition replica assignment\n\n{json}\n\nSave this to use as the \
             --reassignment-json-file option during rollback"
        ));
        if throttle >= 0 || log_dir_throttle >= 0 {
            self.console.line(VERIFY_PERIODICALLY);
            if throttle >= 0 {
                let map = throttle::move_map(&under_way, &proposed, &current);
                self.throttle(&map, throttle)?;
            }
            if log_dir_throttle >= 0 {
                // On no broker, for nothing moves between directories.
                self.console.line(&format!(
                    "The replica-alter-dir throttle limit was set to {log_dir_throttle} B/s"
                ));
            }
        }
        let moves = proposed.iter().map(|(place, ids)| (place.clone(), Some(ids.clone())));
        let errors = self.admin.reassign(&moves.collect()).map_err(|error| thrown(&error))?;
        if !errors.is_empty() {
            let errors = errors.iter().map(|(place, error)| format!("{place}: {error}"));
            let errors = joined(errors, "\n");
            return Err(self.terse(&format!("Error reassigning partition(s):\n{errors}")));
        }
        if self.old_form {
            self.console.line("Successfully started reassignment of partitions.");
            return Ok(());
        }
        let s = if proposed.len() == 1 { "" } else { "s" };
        let places = joined(proposed.keys(), ",");
        self.console.line(&format!("Successfully started partition reassignment{s} for {places}"));
        Ok(())
    }

    /// Who has the partitions that are to be moved.
    fn current(&mut self, proposed: &Assignment) -> Result<Assignment, Stop> {
        let topics = proposed.keys().map(|place| place.topic.clone()).collect();
        let mut current = self.replicas_of_topics(&topics)?;
        current.retain(|place, _| proposed.contains_key(place));
        let missing: Vec<_> = proposed.keys().filter(|it| !current.contains_key(it)).collect();
        match missing.is_empty() {
            true => Ok(current),
            false => {
                let missing = joined(missing, ", ");
                Err(unknown(format!("Unable to find partition: {missing}")).into())
            }
        }
    }

    fn throttle(&mut self, map: &throttle::MoveMap, rate: i64) -> Result<(), Stop> {
        for (topic, moves) in map {
            let changes = throttle::of_topic(moves);
            let altered = self.admin.alter_configs(ResourceKind::Topic, topic, &changes);
            altered.map_err(|error| thrown(&error))?;
        }
        for broker in throttle::brokers(map) {
            let changes = throttle::of_broker(rate);
            let altered =
                self.admin.alter_configs(ResourceKind::Broker, &broker.to_string(), &changes);
            altered.map_err(|error| thrown(&error))?;
        }
        self.console.line(&format!("The inter-broker throttle limit was set to {rate} B/s"));
        Ok(())
    }

    fn cancel(&mut self, text: &str, preserve_throttles: bool) -> Result<(), Stop> {
        let moves = file::moves(text)?;
        let under_way = self.under_way()?;
        let named = moves.iter().map(|(place, _)| place);
        let active: BTreeMap<_, _> = named
            .filter(|place| under_way.contains_key(place))
            .map(|place| (place.clone(), None))
            .collect();
        if active.is_empty() {
            self.console.line("None of the specified partition reassignments are active.");
        } else {
            let errors = self.admin.reassign(&active).map_err(|error| thrown(&error))?;
            if !errors.is_empty() {
                let s = if errors.len() == 1 { "" } else { "s" };
                let errors = errors.iter().map(|(place, error)| format!("{place}: {error}"));
                let errors = joined(errors, "\n");
                let text = format!("Error cancelling partition reassignment{s} for:\n{errors}");
                return Err(self.terse(&text));
            }
            let s = if active.len() == 1 { "" } else { "s" };
            let places = joined(active.keys(), ",");
            self.console
                .line(&format!("Successfully cancelled partition reassignment{s} for: {places}"));
        }
        // Of moves between directories, and without an end of the line, as Kafka has it.
        self.console.print("None of the specified partition moves are active.");
        if !preserve_throttles {
            self.clear_throttles(&moves)?;
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), Stop> {
        let under_way = self.under_way()?;
        self.console.line(&listed(&under_way));
        Ok(())
    }
}

fn topics_of(moves: &Moves) -> BTreeSet<String> {
    moves.iter().map(|(place, _)| place.topic.clone()).collect()
}

fn listed(under_way: &BTreeMap<TopicPartition, Reassignment>) -> String {
    if under_way.is_empty() {
        return "No partition reassignments found.".to_owned();
    }
    let part = |name: &str, ids: &[i32]| match ids {
        [] => String::new(),
        ids => format!(" {name}: {}.", joined(ids, ",")),
    };
    let line = |(place, moving): (&TopicPartition, &Reassignment)| {
        let replicas = joined(&moving.replicas, ",");
        let (adding, removing) =
            (part("adding", &moving.adding), part("removing", &moving.removing));
        format!("{place}: replicas: {replicas}.{adding}{removing}")
    };
    let lines = joined(under_way.iter().map(line), "\n");
    format!("Current partition reassignments:\n{lines}")
}

/// How moves are getting on.
fn states(
    moves: &Moves,
    under_way: &BTreeMap<TopicPartition, Reassignment>,
    found: &Assignment,
    old_form: bool,
) -> String {
    let state = |(place, target): (&TopicPartition, &Vec<i32>)| {
        let current = found.get(place).map_or(&[][..], Vec::as_slice);
        if under_way.contains_key(place) {
            format!("Reassignment of partition {place} is still in progress.")
        } else if current == target.as_slice() {
            match old_form {
                true => format!("Reassignment of partition {place} completed successfully"),
                false => format!("Reassignment of partition {place} is completed."),
            }
        } else if old_form {
            format!("Reassignment of partition {place} failed")
        } else {
            let (current, target) = (joined(current, ","), joined(target, ","));
            format!(
                "There is no active reassignment of partition {place}, but replica set is \
                 {current} rather than {target}."
            )
        }
    };
    let sorted: Assignment = moves.iter().cloned().collect();
    let lines = ["Status of partition reassignment:".to_owned()].into_iter();
    joined(lines.chain(sorted.iter().map(state)), "\n")
}

/// Brokers for partitions, topic by topic, each with as many replicas as it has.
fn propose(current: &Assignment, brokers: &[Candidate<'_>]) -> Result<Assignment, Failure> {
    let mut by_topic: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, replicas) in current {
        by_topic.entry(&place.topic).or_default().push(replicas.len());
    }
    let mut proposed = Assignment::new();
    for (topic, counts) in by_topic {
        let start =
            Start { broker: below(brokers.len())?, shift: below(brokers.len())?, partition: 0 };
        let factor = counts.first().copied().unwrap_or_default();
        let assigned = assign(brokers, counts.len() as i32, factor as i32, start);
        let assigned = assigned.map_err(|error| {
            let class = match error {
                PlacementError::Partitions => "InvalidPartitionsException",
                PlacementError::Replicas | PlacementError::Brokers { .. } => {
                    "InvalidReplicationFactorException"
                }
                PlacementError::Racks => "InvalidReplicaAssignmentException",
            };
            Failure::new(&format!("org.apache.kafka.common.errors.{class}"), error.to_string())
        })?;
        let placed = assigned.into_iter();
        proposed.extend(placed.map(|(number, ids)| (TopicPartition::new(topic, number), ids)));
    }
    Ok(proposed)
}

/// A random number below `bound`.
fn below(bound: usize) -> Result<usize, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new("java.lang.RuntimeException", error.to_string()))?;
    // Bounds are small: what the remainder prefers does not matter.
    Ok((u64::from_le_bytes(bytes) % bound.max(1) as u64) as usize)
}

#[cfg(test)]
mod tests;
