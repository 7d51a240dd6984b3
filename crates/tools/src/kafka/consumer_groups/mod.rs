//! `kafka-consumer-groups.sh`: lists, describes, resets and deletes consumer groups.

mod options;
mod output;
mod reset;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use output::Progress;

use super::client::admin::{Admin, GroupDescription, ListedOffset, OffsetSpec};
use super::client::{ClientError, TopicPartition};
use super::options::Parsed;
use super::stop::{Failure, Stop, exit_code};
use crate::zk_cli::Console;

const EXECUTION: &str = "java.util.concurrent.ExecutionException";
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];
const TYPES: [&str; 3] = ["Consumer", "Classic", "Share"];

const INVALID_GROUP_ID: i16 = 24;
const GROUP_AUTHORIZATION_FAILED: i16 = 30;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
/// Errors of a partition, which a request for offsets to be deleted as a whole has, too.
const OF_PARTITIONS: [i16; 3] = [86, 29, 3];

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    let parsed = match options::read(args, console) {
        Ok(parsed) => parsed,
        Err(stop) => {
            return exit_code(Err(stop), console, options::ALL, |failure| {
                console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
                1
            });
        }
    };
    let result = Tool::new(&parsed, console).and_then(|mut tool| tool.run());
    let result = match result {
        Err(Stop::Failure(failure)) if failure.class.ends_with("IllegalArgumentException") => {
            Err(Stop::Usage(failure.message))
        }
        Err(Stop::Failure(failure)) if failure.is_of_a_value() => Err(Stop::Usage(failure.message)),
        other => other,
    };
    exit_code(result, console, options::ALL, |failure| {
        say_error(
            console,
            &format!("Executing consumer group command failed due to {}", failure.message),
        );
        console.error(&failure.exception());
        0
    })
}

fn say_error(console: &Console, message: &str) {
    console.line(&format!("\nError: {message}"));
}

/// An error that a future gave, as the tool's own exception has it.
fn of_future(error: &ClientError) -> Failure {
    let cause = format!("{EXECUTION}: {}", error.exception());
    Failure::new("java.lang.RuntimeException", cause.clone()).caused_by(cause)
}

struct Tool<'a> {
    parsed: &'a Parsed,
    admin: Admin<'a>,
    console: &'a Console,
}

impl<'a> Tool<'a> {
    fn new(parsed: &'a Parsed, console: &'a Console) -> Result<Self, Stop> {
        let mut properties = super::command_config(parsed, "command-config")?;
        properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
        let mut admin = Admin::new(properties, console)
            .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
        let timeout: i64 = parsed.number("timeout")?.unwrap_or_default();
        admin.timeout = Some(Duration::from_millis(timeout.unsigned_abs()));
        Ok(Self { parsed, admin, console })
    }

    fn run(&mut self) -> Result<(), Stop> {
        let has = |name: &str| self.parsed.has(name);
        if has("list") {
            self.list()
        } else if has("describe") {
            self.describe()
        } else if has("delete") {
            self.delete()
        } else if has("reset-offsets") {
            let plan = reset::run(self)?;
            if self.parsed.has("export") {
                let one = self.parsed.values("group").len() == 1;
                self.console.line(&output::csv(&plan, one));
            } else {
                self.console.print(&output::reset(&plan));
            }
            Ok(())
        } else {
            self.delete_offsets()
        }
    }

    /// The groups that are meant.
    fn groups(&mut self) -> Result<Vec<String>, Stop> {
        if !self.parsed.has("all-groups") {
            return Ok(self.parsed.values("group").into_iter().map(str::to_owned).collect());
        }
        let all = self.admin.list_groups(&[], &[]).map_err(|error| of_future(&error))?;
        Ok(all.into_iter().map(|group| group.id).collect())
    }

    fn list(&mut self) -> Result<(), Stop> {
        let (types, states) = (self.parsed.has("type"), self.parsed.has("state"));
        let named = |option: &str| self.parsed.value(option).map(|it| it.unwrap_or_default());
        let of_types = filter(named("type")?, &TYPES, "types")?;
        let of_states = filter(named("state")?, &STATES, "state")?;
        let groups =
            self.admin.list_groups(&of_states, &of_types).map_err(|error| of_future(&error))?;
        self.console.print(&output::list(&groups, types, states));
        Ok(())
    }

    fn described(&mut self) -> Result<Vec<GroupDescription>, Stop> {
        let mut groups = self.groups()?;
        groups.sort();
        groups.dedup();
        let failed = |error: ClientError| {
            Failure::new(EXECUTION, error.exception()).caused_by(error.exception())
        };
        let mut described = Vec::new();
        for group in groups {
            described.push(self.admin.describe_group(&group).map_err(failed)?);
        }
        Ok(described)
    }

    fn describe(&mut self) -> Result<(), Stop> {
        for group in self.described()? {
            if self.parsed.has("members") {
                // Kafka's tool prints the heads even of groups that are not there.
                self.tell_state(&group);
                let verbose = self.parsed.has("verbose");
                self.console.print(&output::members(&group.id, &group.members, verbose));
            } else if self.parsed.has("state") {
                if self.tell_state(&group) {
                    self.console.print(&output::state(&group));
                }
            } else {
                let rows = self.progress(&group)?;
                if self.tell_state(&group) && !rows.is_empty() {
                    self.console.print(&output::offsets(&group.id, &rows));
                }
            }
        }
        Ok(())
    }

    /// Says what is unusual about a group's state; whether there is a group.
    fn tell_state(&self, group: &GroupDescription) -> bool {
        let id = &group.id;
        match group.state.as_str() {
            "Dead" => say_error(self.console, &format!("Consumer group '{id}' does not exist.")),
            "Empty" => {
                self.console.error(&format!("\nConsumer group '{id}' has no active members."));
            }
            "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
                self.console.error(&format!("\nWarning: Consumer group '{id}' is rebalancing."));
            }
            _ => {}
        }
        group.state != "Dead"
    }

    /// How far a group is: the partitions of its members, then those that nobody reads.
    fn progress(&mut self, group: &GroupDescription) -> Result<Vec<Progress>, Stop> {
        let committed = self.admin.group_offsets(&group.id).map_err(|error| of_future(&error))?;
        let mut members: Vec<_> =
            group.members.iter().filter(|member| !member.assignment.is_empty()).collect();
        members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
        let mut places = Vec::new();
        for member in &members {
            let reader = Some((member.id.clone(), member.host.clone(), member.client_id.clone()));
            let mut own = member.assignment.clone();
            own.sort();
            places.extend(own.into_iter().map(|place| (place, reader.clone())));
        }
        let unread: Vec<_> = committed
            .keys()
            .filter(|place| !places.iter().any(|(read, _)| read == *place))
            .map(|place| (place.clone(), None))
            .collect();
        places.extend(unread);
        let ends = self.offsets(places.iter().map(|(place, _)| place), OffsetSpec::Latest)?;
        let rows = places.into_iter().map(|(place, reader)| Progress {
            offset: committed.get(&place).copied(),
            end: ends.get(&place).map(|listed| listed.offset),
            partition: Some(place),
            reader,
        });
        Ok(rows.collect())
    }

    /// An offset of each partition.
    fn offsets<'b>(
        &mut self,
        partitions: impl Iterator<Item = &'b TopicPartition>,
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, Stop> {
        let wanted: BTreeMap<_, _> = partitions.map(|place| (place.clone(), spec)).collect();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let listed = self.admin.list_offsets(&wanted).map_err(|error| of_future(&error))?;
        let each = listed.into_iter().map(|(place, offset)| match offset {
            Ok(offset) => Ok((place, offset)),
            Err(error) => Err(of_future(&error).into()),
        });
        each.collect()
    }

    fn delete(&mut self) -> Result<(), Stop> {
        let groups = self.groups()?;
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for group in groups {
            match self.admin.delete_group(&group) {
                Ok(()) => deleted.push(group),
                Err(error) => failed.push((group, error)),
            }
        }
        if failed.is_empty() {
            self.console.line(&format!(
                "Deletion of requested consumer groups ('{}') was successful.",
                deleted.join(", ")
            ));
            return Ok(());
        }
        say_error(self.console, "Deletion of some consumer groups failed:");
        for (group, error) in failed {
            self.console.line(&format!(
                "* Group '{group}' could not be deleted due to: {EXECUTION}: {}",
                error.exception()
            ));
        }
        if !deleted.is_empty() {
            self.console.line(&format!(
                "\nThese consumer groups were deleted successfully: '{}', '",
                deleted.join("'")
            ));
        }
        Ok(())
    }

    fn delete_offsets(&mut self) -> Result<(), Stop> {
        let group = self.parsed.value("group")?.unwrap_or_default().to_owned();
        let topics: Vec<_> = self.parsed.values("topic").into_iter().map(str::to_owned).collect();
        let mut results = BTreeMap::new();
        let mut partitions = Vec::new();
        for topic in &topics {
            match reset::partitions_of(&mut self.admin, topic)? {
                Ok(of_topic) => partitions.extend(of_topic),
                Err(error) => {
                    results.insert(TopicPartition::new(topic, -1), Some(error));
                }
            }
        }
        let asked = self.admin.delete_group_offsets(&group, &partitions);
        let of_partitions = asked.as_ref().ok().and_then(|errors| errors.values().next()).cloned();
        for place in partitions {
            let error = match &asked {
                Ok(errors) => errors.get(&place).cloned(),
                Err(error) => Some(error.clone()),
            };
            results.insert(place, error);
        }
        let as_a_whole = asked.err().or(of_partitions);
        let named = topics.join(", ");
        match as_a_whole.map(|error| (error.code().unwrap_or(-1), error)) {
            None => self.console.line(&format!(
                "Request succeed for deleting offsets with topic {named} group {group}"
            )),
            Some((code, error)) => {
                let message = match code {
                    INVALID_GROUP_ID => format!("'{group}' is not valid."),
                    GROUP_ID_NOT_FOUND => format!("'{group}' does not exist."),
                    GROUP_AUTHORIZATION_FAILED => {
                        format!("Access to '{group}' is not authorized.")
                    }
                    NON_EMPTY_GROUP => format!(
                        "Deleting offsets of a consumer group '{group}' is forbidden if the group \
                         is not empty."
                    ),
                    code if OF_PARTITIONS.contains(&code) => {
                        "Encounter some partition level error, see the follow-up details:"
                            .to_owned()
                    }
                    _ => format!("Encounter some unknown error: {}", error.known().name),
                };
                say_error(self.console, &message);
            }
        }
        self.console.print(&output::deleted(&results));
        Ok(())
    }
}

/// The states or types of a list, in Kafka's spelling.
fn filter(list: &str, known: &[&str], what: &str) -> Result<Vec<String>, Failure> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let spelled = |name: &str| {
        let found = known.iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
        found.map(|known| (*known).to_owned())
    };
    list.split(',').map(spelled).collect::<Option<_>>().ok_or_else(|| {
        Failure::argument(format!(
            "Invalid {what} list '{list}'. Valid {} are: {}",
            if what == "state" { "states" } else { what },
            known.join(", ")
        ))
    })
}
