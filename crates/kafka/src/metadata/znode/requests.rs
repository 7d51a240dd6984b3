//! Znodes by which tools of before the admin protocol ask for something.

use serde::Deserialize;

use super::ZnodeError;

#[derive(Deserialize)]
struct Partitions<T> {
    partitions: Vec<T>,
}

#[derive(Deserialize)]
struct Partition {
    topic: String,
    partition: i32,
}

#[derive(Deserialize)]
struct Reassigned {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
}

/// Topic and partition of each entry of `/admin/preferred_replica_election`.
///
/// # Errors
/// If it is none.
pub fn parse_elections(json: &[u8]) -> Result<Vec<(String, i32)>, ZnodeError> {
    let read: Partitions<Partition> = super::parse("a request for preferred leaders", json)?;
    Ok(read.partitions.into_iter().map(|p| (p.topic, p.partition)).collect())
}

/// Topic and partition of each entry of `/isr_change_notification/isr_change_N`.
///
/// # Errors
/// If it is none.
pub fn parse_isr_change(json: &[u8]) -> Result<Vec<(String, i32)>, ZnodeError> {
    let read: Partitions<Partition> = super::parse("a notice of changed ISRs", json)?;
    Ok(read.partitions.into_iter().map(|p| (p.topic, p.partition)).collect())
}

/// Topic, partition and replicas of each entry of `/admin/reassign_partitions`.
///
/// # Errors
/// If it is none.
pub fn parse_reassignments(json: &[u8]) -> Result<Vec<(String, i32, Vec<i32>)>, ZnodeError> {
    let read: Partitions<Reassigned> = super::parse("a request for a reassignment", json)?;
    Ok(read.partitions.into_iter().map(|p| (p.topic, p.partition, p.replicas)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_kafkas_old_tools_are_read() {
        let election = br#"{"version":1,"partitions":[{"topic":"t","partition":2}]}"#;
        assert_eq!(parse_elections(election).unwrap(), [("t".to_owned(), 2)]);
        assert_eq!(parse_isr_change(election).unwrap(), [("t".to_owned(), 2)]);
        let moved = br#"{"version":1,"partitions":[{"topic":"t","partition":2,"replicas":[1,0]}]}"#;
        assert_eq!(parse_reassignments(moved).unwrap(), [("t".to_owned(), 2, vec![1, 0])]);
        assert!(parse_reassignments(election).is_err());
    }
}
