//! The files that the tool reads and the JSON that it prints.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FAILED, OPERATION};
use crate::kafka::client::TopicPartition;
use crate::kafka::stop::Failure;

/// What a file names for a log directory that it leaves to the broker.
const ANY_LOG_DIR: &str = "any";

const MAPPING: &str = "com.fasterxml.jackson.databind.JsonMappingException";

/// Partitions and who is to have them, in the order of a file.
pub type Moves = Vec<(TopicPartition, Vec<i32>)>;

/// The moves of a file.
///
/// # Errors
/// If it is none.
pub fn moves(text: &str) -> Result<Moves, Failure> {
    let json: Value = serde_json::from_str(text).map_err(|error| {
        let cause = format!("com.fasterxml.jackson.core.JsonParseException: {error}");
        Failure::new(OPERATION, cause.clone()).caused_by(cause)
    })?;
    check_version(&json)?;
    let mut moves = Vec::new();
    for entry in list(&json, "partitions")? {
        let (topic, partition) = (text_of(entry, "topic")?, number(field(entry, "partition")?)?);
        let replicas = numbers(field(entry, "replicas")?)?;
        let place = TopicPartition::new(topic, partition);
        if let Some(dirs) = entry.get("log_dirs") {
            check_dirs(dirs, &replicas, &place)?;
        }
        moves.push((place, replicas));
    }
    Ok(moves)
}

/// Moves between directories of a broker need an API that is not here.
fn check_dirs(dirs: &Value, replicas: &[i32], place: &TopicPartition) -> Result<(), Failure> {
    let dirs = dirs.as_array().ok_or_else(|| unexpected("JSON array", dirs))?;
    let dirs: Vec<&str> = dirs
        .iter()
        .map(|dir| dir.as_str().ok_or_else(|| unexpected("String value", dir)))
        .collect::<Result<_, _>>()?;
    if dirs.len() != replicas.len() {
        let dirs = dirs.join(", ");
        return Err(Failure::new(
            FAILED,
            format!(
                "Size of replicas list {replicas:?} is different from size of log dirs list [{dirs}] \
                 for partition {place}"
            ),
        ));
    }
    match dirs.iter().find(|dir| **dir != ANY_LOG_DIR) {
        None => Ok(()),
        Some(dir) => Err(Failure::new(
            "java.lang.UnsupportedOperationException",
            format!("log_dirs: {dir}: this tool moves nothing between directories of a broker"),
        )),
    }
}

/// The moves of a file that are to be made.
///
/// # Errors
/// If it has none, or some that cannot be.
pub fn moves_to_make(text: &str) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let moves = moves(text)?;
    let failed = |message: String| Err(Failure::new(FAILED, message));
    if moves.is_empty() {
        return failed("Partition reassignment list cannot be empty".to_owned());
    }
    if moves.iter().any(|(_, replicas)| replicas.is_empty()) {
        return failed("Partition replica list cannot be empty".to_owned());
    }
    let twice = duplicates(moves.iter().map(|(place, _)| place));
    if !twice.is_empty() {
        let twice = joined(twice, ",");
        return failed(format!(
            "Partition reassignment contains duplicate topic partitions: {twice}"
        ));
    }
    let of = |(place, replicas): &(TopicPartition, Vec<i32>)| {
        let twice = duplicates(replicas.iter());
        let text = || format!("{place} contains multiple entries for {}", joined(&twice, ","));
        (!twice.is_empty()).then(text)
    };
    let twice: Vec<String> = moves.iter().filter_map(of).collect();
    if !twice.is_empty() {
        let twice = twice.join(". ");
        return failed(format!(
            "Partition replica lists may not contain duplicate entries: {twice}"
        ));
    }
    Ok(moves.into_iter().collect())
}

/// The topics of a file.
///
/// # Errors
/// If it is none.
pub fn topics(text: &str) -> Result<Vec<String>, Failure> {
    let invalid = |_| Failure::new(OPERATION, "The input string is not a valid JSON");
    let json: Value = serde_json::from_str(text).map_err(invalid)?;
    check_version(&json)?;
    let topics: Vec<String> = list(&json, "topics")?
        .iter()
        .map(|entry| text_of(entry, "topic"))
        .collect::<Result<_, _>>()?;
    let twice = duplicates(topics.iter());
    if twice.is_empty() {
        return Ok(topics);
    }
    let twice = joined(twice, ", ");
    let message = format!("List of topics to reassign contains duplicate entries: [{twice}]");
    Err(Failure::new(FAILED, message))
}

/// Brokers of a list such as `0,1,2`.
///
/// # Errors
/// If one is no number or is named twice.
pub fn brokers(list: &str) -> Result<Vec<i32>, Failure> {
    let number = |text: &str| {
        let message = format!("For input string: \"{text}\"");
        text.parse().map_err(|_| Failure::new("java.lang.NumberFormatException", message))
    };
    let brokers: Vec<i32> = list.split(',').map(number).collect::<Result<_, _>>()?;
    let twice = duplicates(brokers.iter());
    if twice.is_empty() {
        return Ok(brokers);
    }
    let twice = joined(twice, ", ");
    Err(Failure::new(FAILED, format!("Broker list contains duplicate entries: [{twice}]")))
}

/// Who has partitions, as a file for this tool.
pub fn as_json(assignment: &BTreeMap<TopicPartition, Vec<i32>>) -> String {
    let partition = |(place, replicas): (&TopicPartition, &Vec<i32>)| {
        let dirs = vec![ANY_LOG_DIR; replicas.len()];
        let quoted = |text: &dyn std::fmt::Display| Value::String(text.to_string()).to_string();
        let dirs: Vec<_> = dirs.iter().map(|dir| quoted(dir)).collect();
        let (topic, number) = (quoted(&place.topic), place.partition);
        let (replicas, dirs) = (joined(replicas, ","), dirs.join(","));
        format!(
            "{{\"topic\":{topic},\"partition\":{number},\"replicas\":[{replicas}],\"log_dirs\":[{dirs}]}}"
        )
    };
    let partitions: Vec<_> = assignment.iter().map(partition).collect();
    format!("{{\"version\":1,\"partitions\":[{}]}}", partitions.join(","))
}

/// Several things in a line.
pub fn joined<T: std::fmt::Display>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    let texts: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(between)
}

fn duplicates<'a, T: Ord>(items: impl Iterator<Item = &'a T>) -> BTreeSet<&'a T> {
    let mut seen = BTreeSet::new();
    items.filter(|item| !seen.insert(*item)).collect()
}

fn check_version(json: &Value) -> Result<(), Failure> {
    let object = json.as_object().ok_or_else(|| unexpected("JSON object", json))?;
    match object.get("version").map(number).transpose()? {
        None | Some(1) => Ok(()),
        Some(version) => {
            let message = format!("Not supported version field value {version}");
            Err(Failure::new(OPERATION, message))
        }
    }
}

fn unexpected(wanted: &str, found: &Value) -> Failure {
    Failure::new(MAPPING, format!("Expected `{wanted}` value, received {found}"))
}

fn field<'a>(entry: &'a Value, name: &str) -> Result<&'a Value, Failure> {
    let object = entry.as_object().ok_or_else(|| unexpected("JSON object", entry))?;
    let missing = || Failure::new(MAPPING, format!("No such field exists: `{name}`"));
    object.get(name).ok_or_else(missing)
}

fn text_of(entry: &Value, name: &str) -> Result<String, Failure> {
    let value = field(entry, name)?;
    value.as_str().map(str::to_owned).ok_or_else(|| unexpected("String", value))
}

fn number(value: &Value) -> Result<i32, Failure> {
    let read = value.as_i64().and_then(|number| i32::try_from(number).ok());
    read.ok_or_else(|| unexpected("Int", value))
}

fn numbers(value: &Value) -> Result<Vec<i32>, Failure> {
    let all = value.as_array().ok_or_else(|| unexpected("JSON array", value))?;
    all.iter().map(number).collect()
}

/// A list that may be left out.
fn list<'a>(json: &'a Value, name: &str) -> Result<&'a [Value], Failure> {
    match json.get(name) {
        None => Ok(&[]),
        Some(value) => {
            value.as_array().map(Vec::as_slice).ok_or_else(|| unexpected("JSON array", value))
        }
    }
}
