//! Partitions of Kafka's internal topics, as coordinators use them: a log that is read from its start
//! when this node becomes its leader, and appended to from then on, with answers held back until what
//! they are based on is replicated.

pub mod load;
pub mod log;
mod partition;
pub mod replication;

/// The partition of an internal topic that a group or a transactional id is in, as Kafka's Java
/// computes it.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    let unit = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash = key.encode_utf16().fold(0, unit);
    // The least integer has no absolute value; Kafka makes it 0.
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn keys_are_in_the_partitions_that_kafka_puts_them_in() {
        // From Java: Utils.abs(key.hashCode()) % 50.
        for (key, partition) in [("g", 3), ("console-consumer-12345", 6), ("группа", 8)] {
            assert_eq!(partition_of(key, 50), partition, "{key}");
        }
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
