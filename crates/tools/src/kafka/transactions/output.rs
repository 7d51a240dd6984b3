//! What the tool prints.

use crate::kafka::client::TopicPartition;
use crate::kafka::client::admin::{AbortTransaction, ProducerState, TransactionDescription};

/// The header of `list`.
pub const LIST: [&str; 4] = ["TransactionalId", "Coordinator", "ProducerId", "TransactionState"];
/// The header of `describe`.
pub const DESCRIPTION: [&str; 9] = [
    "CoordinatorId",
    "TransactionalId",
    "ProducerId",
    "ProducerEpoch",
    "TransactionState",
    "TransactionTimeoutMs",
    "CurrentTransactionStartTimeMs",
    "TransactionDurationMs",
    "TopicPartitions",
];
/// The header of `describe-producers`.
pub const PRODUCERS: [&str; 6] = [
    "ProducerId",
    "ProducerEpoch",
    "LatestCoordinatorEpoch",
    "LastSequence",
    "LastTimestamp",
    "CurrentTransactionStartOffset",
];
/// The header of `find-hanging`.
pub const HANGING: [&str; 8] = [
    "Topic",
    "Partition",
    "ProducerId",
    "ProducerEpoch",
    "CoordinatorEpoch",
    "StartOffset",
    "LastTimestamp",
    "Duration(min)",
];

/// What a command takes, as Kafka's parser of arguments shows it.
pub fn usage(command: &str) -> &'static str {
    match command {
        "list" => {
            "usage: kafka-transactions.sh --bootstrap-server host:port list [-h]
                             [--duration-filter DURATION_FILTER]"
        }
        "describe" => {
            "usage: kafka-transactions.sh --bootstrap-server host:port describe [-h]
                             --transactional-id TRANSACTIONAL_ID"
        }
        "describe-producers" => {
            "usage: kafka-transactions.sh --bootstrap-server host:port
                             describe-producers [-h]
                             [--broker-id BROKER_ID] --topic TOPIC
                             --partition PARTITION"
        }
        "abort" => {
            "usage: kafka-transactions.sh --bootstrap-server host:port abort [-h]
                             --topic TOPIC --partition PARTITION
                             [--start-offset START_OFFSET]
                             [--producer-id PRODUCER_ID]
                             [--producer-epoch PRODUCER_EPOCH]
                             [--coordinator-epoch COORDINATOR_EPOCH]"
        }
        _ => {
            "usage: kafka-transactions.sh --bootstrap-server host:port find-hanging [-h]
                             [--broker-id BROKER_ID]
                             [--max-transaction-timeout MAX_TRANSACTION_TIMEOUT]
                             [--topic TOPIC] [--partition PARTITION]"
        }
    }
}

/// A transaction that is open in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Where.
    pub partition: TopicPartition,
    /// Whose.
    pub producer: ProducerState,
}

/// The lines of a table: columns as wide as they must be, each followed by a tab.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let width = |at: usize| all().filter_map(|row| row.get(at)).map(|it| it.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        cells.map(|(cell, width)| format!("{cell:<width$}\t")).collect::<String>()
    };
    all().map(line).collect()
}

/// A row of `describe`.
pub fn description(id: &str, of: &TransactionDescription, now_ms: i64) -> Vec<String> {
    let none = || "None".to_owned();
    let partitions: Vec<_> = of.partitions.iter().map(ToString::to_string).collect();
    vec![
        of.coordinator.to_string(),
        id.to_owned(),
        of.producer_id.to_string(),
        of.producer_epoch.to_string(),
        of.state.clone(),
        of.timeout_ms.to_string(),
        of.start_ms.map_or_else(none, |start| start.to_string()),
        of.start_ms.map_or_else(none, |start| (now_ms - start).to_string()),
        partitions.join(","),
    ]
}

/// A row of `describe-producers`.
pub fn producer(of: &ProducerState) -> Vec<String> {
    vec![
        of.id.to_string(),
        of.epoch.to_string(),
        of.coordinator_epoch.to_string(),
        of.last_sequence.to_string(),
        of.last_timestamp_ms.to_string(),
        of.transaction_start.map_or_else(|| "None".to_owned(), |start| start.to_string()),
    ]
}

/// A row of `find-hanging`.
pub fn hanging(open: &OpenTransaction, now_ms: i64) -> Vec<String> {
    let OpenTransaction { partition, producer } = open;
    vec![
        partition.topic.clone(),
        partition.partition.to_string(),
        producer.id.to_string(),
        producer.epoch.to_string(),
        producer.coordinator_epoch.to_string(),
        producer.transaction_start.unwrap_or(-1).to_string(),
        producer.last_timestamp_ms.to_string(),
        ((now_ms - producer.last_timestamp_ms) / 60_000).to_string(),
    ]
}

/// As Java's client shows it.
pub fn abort(of: &AbortTransaction) -> String {
    format!(
        "AbortTransactionSpec(topicPartition={}, producerId={}, producerEpoch={}, coordinatorEpoch={})",
        of.partition, of.producer_id, of.producer_epoch, of.coordinator_epoch
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> OpenTransaction {
        let producer = ProducerState {
            id: 7,
            epoch: 1,
            coordinator_epoch: -1,
            last_sequence: 4,
            last_timestamp_ms: 60_000,
            transaction_start: Some(12),
        };
        OpenTransaction { partition: TopicPartition::new("t", 3), producer }
    }

    #[test]
    fn columns_are_padded_and_end_with_a_tab() {
        let rows = [vec!["a".to_owned(), "long".to_owned()]];
        assert_eq!(table(&["Name", "N"], &rows), ["Name\tN   \t", "a   \tlong\t"]);
        assert_eq!(table(&["Name"], &[]), ["Name\t"]);
    }

    #[test]
    fn producers_and_their_transactions_are_shown_as_kafka_shows_them() {
        let mut open = open();
        assert_eq!(hanging(&open, 190_000), ["t", "3", "7", "1", "-1", "12", "60000", "2"]);
        open.producer.transaction_start = None;
        assert_eq!(producer(&open.producer), ["7", "1", "-1", "4", "60000", "None"]);
        let found = TransactionDescription {
            coordinator: 1,
            producer_id: 7,
            producer_epoch: 1,
            state: "Ongoing".to_owned(),
            timeout_ms: 60_000,
            start_ms: Some(1000),
            partitions: vec![TopicPartition::new("t", 0), TopicPartition::new("u", 1)],
        };
        let row = description("id", &found, 1500);
        assert_eq!(row[5..], ["60000", "1000", "500", "t-0,u-1"]);
        let idle = TransactionDescription { start_ms: None, partitions: Vec::new(), ..found };
        assert_eq!(description("id", &idle, 1500)[6..], ["None", "None", ""]);
    }
}
