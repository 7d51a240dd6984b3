//! The nouns of a cluster as tools show them.

use std::fmt;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// Where it takes clients.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// Where it stands.
    pub rack: Option<String>,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rack = self.rack.as_deref().unwrap_or("null");
        write!(f, "{}:{} (id: {} rack: {rack})", self.host, self.port, self.id)
    }
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Whether a topic is one of Kafka's own.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_shown_as_kafka_shows_them() {
        let node = Node { id: 1, host: "h".into(), port: 9092, rack: None };
        assert_eq!(node.to_string(), "h:9092 (id: 1 rack: null)");
        assert_eq!(TopicPartition::new("a-b", 3).to_string(), "a-b-3");
    }
}
