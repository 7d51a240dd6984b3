//! A small blocking Kafka client: bootstrap, the versions both sides know, metadata, requests to
//! leaders, the controller and coordinators, and another try where the error allows one.
//!
//! One thread, one connection a broker, no background work: what a tool needs of Kafka's Java client,
//! with its settings' names and its errors' words.

pub mod admin;
mod cluster;
mod codes;
mod config;
mod connection;
pub mod consumer;
mod error;
pub mod producer;
mod sasl;
mod stream;
mod types;

pub use cluster::{Call, Client, Coordinator, To};
pub use codes::{Known, known};
pub use config::{ClientConfig, Properties, bootstrap_addresses};
pub use connection::Connection;
pub use error::ClientError;
pub use stream::{interrupt_on_signals, interrupted_by, is_interrupted};
pub use types::{Node, TopicPartition, is_internal};

/// What a call gives.
pub type Result<T> = std::result::Result<T, ClientError>;

#[cfg(test)]
mod tests;
