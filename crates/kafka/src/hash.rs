//! Where a group or a transactional id is kept.

/// The partition of an internal topic with so many partitions: the absolute value of Java's
/// `String.hashCode`, modulo.
pub fn partition_of(key: &str, partitions: usize) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    // As Kafka does it, the one number without an absolute value becomes 0.
    let hash = key.encode_utf16().fold(0, step).checked_abs().unwrap_or(0);
    hash % i32::try_from(partitions).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn keys_go_where_kafka_puts_them() {
        // Java: "abc".hashCode() is 96354, "hello".hashCode() is 99162322.
        assert_eq!([partition_of("abc", 50), partition_of("hello", 50)], [4, 22]);
        assert_eq!(partition_of("", 50), 0);
        // Its hash is Integer.MIN_VALUE.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("abc", 0), 0);
    }
}
