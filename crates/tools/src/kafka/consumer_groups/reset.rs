//! Resetting a group's offsets.

use std::collections::BTreeMap;

use super::{Tool, of_future, options, say_error};
use crate::kafka::client::admin::{Admin, OffsetSpec};
use crate::kafka::client::{ClientError, TopicPartition};
use crate::kafka::log::{Level, log};
use crate::kafka::stop::{Failure, Stop};
use crate::kafka::time::{date_time, duration_ms};
use crate::platform;

const LOGGER: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// Offsets by partition.
type Offsets = BTreeMap<TopicPartition, i64>;

/// What becomes of each group's offsets; done, too, if that is wanted.
///
/// # Errors
/// If the plan cannot be made or carried out.
pub fn run(tool: &mut Tool<'_>) -> Result<BTreeMap<String, Offsets>, Stop> {
    let mut plan = BTreeMap::new();
    for group in tool.groups()? {
        let described = tool.admin.describe_group(&group).map_err(|error| of_future(&error))?;
        if !matches!(described.state.as_str(), "Empty" | "Dead") {
            let state = &described.state;
            say_error(
                tool.console,
                &format!(
                    "Assignments can only be reset if the group '{group}' is inactive, but the \
                     current state is {state}."
                ),
            );
            plan.insert(group, Offsets::new());
            continue;
        }
        let partitions = partitions(tool, &group)?;
        let offsets = prepared(tool, &group, &partitions)?;
        if tool.parsed.has("execute") && !tool.parsed.has("dry-run") {
            let altered = tool.admin.alter_group_offsets(&group, &offsets);
            altered.map_err(|error| of_future(&error))?;
        }
        plan.insert(group, offsets);
    }
    Ok(plan)
}

/// The partitions of a topic as `--topic` names it: all of them, or `topic:0,1`; the inner error is
/// that of the topic.
///
/// # Errors
/// If it names partitions that are no numbers.
pub fn partitions_of(
    admin: &mut Admin<'_>,
    topic: &str,
) -> Result<Result<Vec<TopicPartition>, ClientError>, Stop> {
    if let Some((name, numbers)) = topic.split_once(':') {
        let malformed = || {
            Failure::argument(format!(
                "Invalid topic arg '{topic}', expected topic name and partitions"
            ))
        };
        if name.is_empty() || numbers.is_empty() || numbers.contains(':') {
            return Err(malformed().into());
        }
        let number = |text: &str| {
            text.parse().map(|it| TopicPartition::new(name, it)).map_err(|_| {
                Failure::argument(format!(
                    "Invalid partition '{text}' specified in topic arg '{topic}''"
                ))
            })
        };
        let named: Result<Vec<_>, Failure> = numbers.split(',').map(number).collect();
        return Ok(Ok(named?));
    }
    let described = admin.describe_by_metadata(&[topic.to_owned()]);
    Ok(described.map(|topics| {
        let partitions = topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|it| TopicPartition::new(topic, it.partition)).collect()
    }))
}

fn partitions(tool: &mut Tool<'_>, group: &str) -> Result<Vec<TopicPartition>, Stop> {
    if tool.parsed.has("all-topics") {
        return Ok(committed(tool, group)?.into_keys().collect());
    }
    if tool.parsed.has("topic") {
        let topics: Vec<_> = tool.parsed.values("topic").into_iter().map(str::to_owned).collect();
        let mut partitions = Vec::new();
        for topic in topics {
            let of_topic = partitions_of(&mut tool.admin, &topic)?;
            partitions.extend(of_topic.map_err(|error| of_future(&error))?);
        }
        return Ok(partitions);
    }
    match tool.parsed.has("from-file") {
        true => Ok(Vec::new()),
        false => Err(Stop::Usage(
            "One of the reset scopes should be defined: --all-topics, --topic.".to_owned(),
        )),
    }
}

fn committed(tool: &mut Tool<'_>, group: &str) -> Result<Offsets, Stop> {
    Ok(tool.admin.group_offsets(group).map_err(|error| of_future(&error))?)
}

fn at(tool: &mut Tool<'_>, places: &[TopicPartition], spec: OffsetSpec) -> Result<Offsets, Stop> {
    let listed = tool.offsets(places.iter(), spec)?;
    Ok(listed.into_iter().map(|(place, listed)| (place, listed.offset)).collect())
}

fn prepared(tool: &mut Tool<'_>, group: &str, places: &[TopicPartition]) -> Result<Offsets, Stop> {
    let parsed = tool.parsed;
    if let Some(offset) = parsed.number::<i64>("to-offset")? {
        within_logs(tool, places.iter().map(|place| (place.clone(), offset)).collect())
    } else if parsed.has("to-earliest") {
        at(tool, places, OffsetSpec::Earliest)
    } else if parsed.has("to-latest") {
        at(tool, places, OffsetSpec::Latest)
    } else if let Some(shift) = parsed.number::<i64>("shift-by")? {
        let current = committed(tool, group)?;
        let shifted = places.iter().map(|place| match current.get(place) {
            Some(offset) => Ok((place.clone(), offset.saturating_add(shift))),
            None => Err(Failure::argument(format!(
                "Cannot shift offset for partition {place} since there is no current committed \
                 offset"
            ))),
        });
        let shifted: Result<Offsets, Failure> = shifted.collect();
        within_logs(tool, shifted?)
    } else if let Some(moment) = parsed.value("to-datetime")? {
        let millis = date_time(moment).map_err(|message| {
            let parse = format!("java.text.ParseException: {message}");
            Failure::new("java.lang.RuntimeException", parse.clone()).caused_by(parse)
        })?;
        at_time(tool, places, millis)
    } else if let Some(span) = parsed.value("by-duration")? {
        let class = "java.time.format.DateTimeParseException";
        let span = duration_ms(span).map_err(|message| Failure::new(class, message))?;
        at_time(tool, places, platform::now_millis().saturating_sub(span))
    } else if let Some(path) = parsed.value("from-file")? {
        from_file(tool, group, path)
    } else if parsed.has("to-current") {
        let current = committed(tool, group)?;
        let lacking: Vec<_> =
            places.iter().filter(|place| !current.contains_key(place)).cloned().collect();
        let mut offsets = at(tool, &lacking, OffsetSpec::Latest)?;
        offsets.extend(current.into_iter().filter(|(place, _)| places.contains(place)));
        Ok(offsets)
    } else {
        let all: Vec<_> = options::SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
        Err(Stop::Usage(format!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
            all.join(", ")
        )))
    }
}

/// Offsets of a moment; where nothing is that new, the ends.
fn at_time(tool: &mut Tool<'_>, places: &[TopicPartition], millis: i64) -> Result<Offsets, Stop> {
    let mut offsets = at(tool, places, OffsetSpec::Timestamp(millis))?;
    let none: Vec<_> =
        offsets.iter().filter(|(_, offset)| **offset < 0).map(|(place, _)| place.clone()).collect();
    for place in &none {
        tool.console.line(&format!(
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            place.partition, place.topic
        ));
    }
    offsets.extend(at(tool, &none, OffsetSpec::Latest)?);
    Ok(offsets)
}

/// The offsets, moved to where the logs begin or end if they are outside of them.
fn within_logs(tool: &mut Tool<'_>, requested: Offsets) -> Result<Offsets, Stop> {
    let places: Vec<_> = requested.keys().cloned().collect();
    let starts = at(tool, &places, OffsetSpec::Earliest)?;
    let ends = at(tool, &places, OffsetSpec::Latest)?;
    let moved = requested.into_iter().map(|(place, offset)| {
        let (start, end) = (starts.get(&place).copied(), ends.get(&place).copied());
        let bound = match (start, end) {
            (_, Some(end)) if offset > end => Some(("higher than latest", end)),
            (Some(start), _) if offset < start => Some(("lower than earliest", start)),
            _ => None,
        };
        let Some((beyond, bound)) = bound else { return (place, offset) };
        let message = format!(
            "New offset ({offset}) is {beyond} offset for topic partition {place}. Value will be \
             set to {bound}"
        );
        log(tool.console, Level::Warn, &message, LOGGER);
        (place, bound)
    });
    Ok(moved.collect())
}

fn from_file(tool: &mut Tool<'_>, group: &str, path: &str) -> Result<Offsets, Stop> {
    let text = std::fs::read_to_string(path).map_err(|_| {
        let missing = format!("java.nio.file.NoSuchFileException: {path}");
        Failure::new("java.lang.RuntimeException", missing.clone()).caused_by(missing)
    })?;
    let groups = tool.parsed.values("group");
    let plan = plan(&text, groups.as_slice())?;
    match plan.get(group) {
        Some(offsets) => within_logs(tool, offsets.clone()),
        None => {
            say_error(tool.console, &format!("No reset plan for group {group} found"));
            Ok(Offsets::new())
        }
    }
}

/// The plan in a CSV file: `topic,partition,offset` for one group, with the group before it for
/// several.
fn plan(text: &str, groups: &[&str]) -> Result<BTreeMap<String, Offsets>, Failure> {
    let mut plan: BTreeMap<String, Offsets> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<_> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let (group, rest) = match (groups, fields.as_slice()) {
            ([one], [topic, partition, offset]) => (*one, (*topic, *partition, *offset)),
            (_, [group, topic, partition, offset]) => (*group, (*topic, *partition, *offset)),
            _ => return Err(malformed(line)),
        };
        let (topic, partition, offset) = rest;
        let partition = partition.parse().map_err(|_| malformed(line))?;
        let offset = offset.parse().map_err(|_| malformed(line))?;
        let offsets = plan.entry(group.to_owned()).or_default();
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(plan)
}

fn malformed(line: &str) -> Failure {
    let class = "com.fasterxml.jackson.dataformat.csv.CsvReadException";
    Failure::new("java.lang.RuntimeException", format!("{class}: not a line of a plan: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_for_one_group_or_several() {
        let one = plan("t,0,1\n\"t\",1,2\n", &["g"]).unwrap();
        assert_eq!(one["g"][&TopicPartition::new("t", 1)], 2);
        let several = plan("g,t,0,1\nh,t,0,5\n", &[]).unwrap();
        assert_eq!(several["h"][&TopicPartition::new("t", 0)], 5);
        assert!(plan("t,0\n", &["g"]).is_err() && plan("t,x,1\n", &["g"]).is_err());
    }
}
