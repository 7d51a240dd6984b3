//! Kafka's brokers, for Kafka's clients and tools. Reference: Apache Kafka 3.9.
//!
//! - [`metadata`]: brokers, topics, partition states and configurations in the tree, where Kafka's
//!   ZooKeeper mode keeps them, and the image of them that requests are answered from.
//! - [`group`]: consumer groups and their offsets.
//! - `internal`: the partitions that coordinators keep their records in.
//! - `transaction`: producer ids and transactions.
//! - `server`: sockets, one task a connection, one handler an API.

pub mod group;
pub mod internal;
pub mod metadata;
pub mod transaction;
