//! Kafka's brokers, for Kafka's clients and tools. Reference: Apache Kafka 3.9.
//!
//! - [`broker`]: one node's Kafka, from its start to its stop, and how it follows the metadata.
//! - [`metadata`]: brokers, topics, partition states and configurations in the tree, where Kafka's
//!   ZooKeeper mode keeps them, and the image of them that requests are answered from.
//! - [`group`]: consumer groups and their offsets.
//! - [`transaction`]: producer ids and transactions.
//! - [`internal`]: what groups and transactions share: an internal topic's partition below a machine.
//! - [`security`]: who comes in, and what they may do.
//! - [`quota`]: what users and clients may use, and what they have used.
//! - [`observe`]: the numbers of the metrics page.
//! - `server`: sockets, one task a connection, one handler an API.
//!
//! Data flow one way: a frame is decoded by `kafka-codec`, a handler asks the rooms above, its answer
//! is encoded. Partitions at work are in `partitions`, what is on the disk in `log`. The rooms have
//! words of their own; handlers translate.
//!
//! Deliberately absent: Kafka's controllers with a metadata log of their own (KRaft), requests between
//! brokers of Kafka, record formats before 2.

pub mod broker;
pub mod group;
pub mod internal;
pub mod metadata;
pub mod observe;
pub mod quota;
pub mod security;
mod server;
pub mod transaction;
