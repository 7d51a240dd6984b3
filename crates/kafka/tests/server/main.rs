//! A broker on a node alone, spoken to over its socket with Kafka's own messages.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

mod node;
mod quotas;
mod records;
mod replication;
mod transactions;
mod versions;
