//! A broker on a node alone, spoken to over its socket with Kafka's own messages.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

mod leaders;
mod node;
mod quotas;
mod records;
mod replication;
mod security;
mod topics;
mod transactions;
mod versions;
