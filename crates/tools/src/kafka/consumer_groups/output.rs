//! The tables of `kafka-consumer-groups.sh`.

use std::collections::BTreeMap;

use crate::kafka::client::admin::{GroupDescription, GroupListing, GroupMember};
use crate::kafka::client::{ClientError, TopicPartition};

const MISSING: &str = "-";
const LEAST: usize = 15;

/// How far a group is in a partition, and who reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The partition; a member without one has a line, too.
    pub partition: Option<TopicPartition>,
    /// Where the group is.
    pub offset: Option<i64>,
    /// Where the log ends.
    pub end: Option<i64>,
    /// Who reads it: id, host and client.
    pub reader: Option<(String, String, String)>,
}

fn width<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(LEAST)
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// The table of offsets.
pub fn offsets(group: &str, rows: &[Progress]) -> String {
    let cells = |row: &Progress| -> [String; 9] {
        let lag = row.end.zip(row.offset).map(|(end, offset)| end - offset);
        let reader = row.reader.as_ref();
        [
            group.to_owned(),
            or_missing(row.partition.as_ref().map(|it| &it.topic)),
            or_missing(row.partition.as_ref().map(|it| it.partition)),
            or_missing(row.offset),
            or_missing(row.end),
            or_missing(lag),
            or_missing(reader.map(|(id, _, _)| id)),
            or_missing(reader.map(|(_, host, _)| host)),
            or_missing(reader.map(|(_, _, client)| client)),
        ]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let widest = |column: usize| width(rows.iter().map(|row| row[column].as_str()));
    let (group, topic, id, host) = (widest(0), widest(1), widest(6), widest(7));
    let line = |row: &[String; 9]| {
        format!(
            "\n{:group$} {:topic$} {:10} {:15} {:15} {:15} {:id$} {:host$} {}",
            row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
        )
    };
    let heads = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ];
    let mut text = line(&heads.map(str::to_owned));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

/// The table of members.
pub fn members(group: &str, members: &[GroupMember], verbose: bool) -> String {
    let instances = members.iter().any(|member| member.instance.is_some());
    let column = |cell: fn(&GroupMember) -> &str| width(members.iter().map(cell));
    let (ids, hosts) = (column(|it| &it.id), column(|it| &it.host));
    let clients = column(|it| &it.client_id);
    let groups = group.chars().count().max(LEAST);
    let named = column(|it| it.instance.as_deref().unwrap_or_default()).max(17);
    let line = |cells: [&str; 6], assignment: &str| {
        let [group, id, instance, host, client, count] = cells;
        let instance = if instances { format!("{instance:named$} ") } else { String::new() };
        let verbose = if verbose { assignment } else { "" };
        format!(
            "{group:groups$} {id:ids$} {instance}{host:hosts$} {client:clients$} {count:15} \
             {verbose}\n"
        )
    };
    let heads = ["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"];
    let mut text = format!("\n{}", line(heads, "ASSIGNMENT"));
    for member in members {
        let instance = member.instance.as_deref().unwrap_or_default();
        let count = member.assignment.len().to_string();
        let cells = [group, &member.id, instance, &member.host, &member.client_id, &count];
        text.push_str(&line(cells, &assignment(&member.assignment)));
    }
    text
}

/// A member's partitions: the numbers of each topic in parentheses.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.to_string());
    }
    let mut lists: Vec<_> = topics
        .into_values()
        .map(|mut numbers| {
            numbers.sort();
            format!("({})", numbers.join(","))
        })
        .collect();
    lists.sort();
    if lists.is_empty() { MISSING.to_owned() } else { lists.join(", ") }
}

/// The table of a state.
pub fn state(group: &GroupDescription) -> String {
    let node = &group.coordinator;
    let coordinator = format!("{}:{}  ({})", node.host, node.port, node.id);
    let width = coordinator.chars().count().max(25);
    let line = |cells: [&str; 5]| {
        let [group, coordinator, assignor, state, members] = cells;
        format!("\n{group:width$} {coordinator:25} {assignor:20} {state:15} {members}")
    };
    let heads = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS"];
    let members = group.members.len().to_string();
    let row = [&group.id, coordinator.as_str(), &group.assignor, &group.state, &members];
    format!("{}{}\n", line(heads), line(row))
}

/// The list of groups, with their types and states if those are asked for.
pub fn list(groups: &[GroupListing], types: bool, states: bool) -> String {
    if !types && !states {
        return groups.iter().map(|group| format!("{}\n", group.id)).collect();
    }
    let width = width(groups.iter().map(|group| group.id.as_str())) + 10;
    let line = |id: &str, kind: &str, state: &str| {
        let mut line = format!("{id:width$}");
        if types {
            line.push_str(&format!(" {kind:20}"));
        }
        if states {
            line.push_str(&format!(" {state:20}"));
        }
        line + "\n"
    };
    let mut text = line("GROUP", "TYPE", "STATE");
    for group in groups {
        let kind = match group.kind.to_lowercase().as_str() {
            "classic" => "Classic",
            "consumer" => "Consumer",
            "share" => "Share",
            _ => "Unknown",
        };
        let state = if group.state.is_empty() { "Unknown" } else { &group.state };
        text.push_str(&line(&group.id, kind, state));
    }
    text
}

/// The table of a reset, a line an offset.
pub fn reset(plan: &BTreeMap<String, BTreeMap<TopicPartition, i64>>) -> String {
    let line = |cells: [&str; 4]| {
        let [group, topic, partition, offset] = cells;
        format!("\n{group:30} {topic:30} {partition:10} {offset:15}")
    };
    if plan.is_empty() {
        return String::new();
    }
    let mut text = line(["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]);
    for (group, offsets) in plan {
        for (place, offset) in offsets {
            let (partition, offset) = (place.partition.to_string(), offset.to_string());
            text.push_str(&line([group, &place.topic, &partition, &offset]));
        }
    }
    text
}

/// The reset as CSV, without the group if there is but one.
pub fn csv(plan: &BTreeMap<String, BTreeMap<TopicPartition, i64>>, one_group: bool) -> String {
    let field = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let mut text = String::new();
    for (group, offsets) in plan {
        for (place, offset) in offsets {
            if !one_group {
                text.push_str(&format!("{},", field(group)));
            }
            let topic = field(&place.topic);
            text.push_str(&format!("{topic},{},{offset}\n", place.partition));
        }
    }
    text
}

/// The table of deleted offsets.
pub fn deleted(results: &BTreeMap<TopicPartition, Option<ClientError>>) -> String {
    let line = |topic: &str, partition: &str, status: &str| {
        format!("\n{topic:30} {partition:15} {status:15}")
    };
    let mut text = line("TOPIC", "PARTITION", "STATUS");
    for (place, error) in results {
        let partition = match place.partition {
            -1 => "Not Provided".to_owned(),
            number => number.to_string(),
        };
        let status = match error {
            Some(error) => format!("Error: :{}", error.exception()),
            None => "Successful".to_owned(),
        };
        text.push_str(&line(&place.topic, &partition, &status));
    }
    text
}
