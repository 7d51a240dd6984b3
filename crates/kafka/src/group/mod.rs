//! Consumer groups and their offsets: Kafka's group coordinator, at the level of 3.9.
//!
//! - [`record`]: what is in `__consumer_offsets`.
//! - [`classic`]: groups whose leader assigns.
//! - [`consumer`]: groups whose members are assigned to by the coordinator (KIP-848).
//! - [`offsets`]: what groups have committed.
//! - [`shard`]: the machine: all groups of one partition of `__consumer_offsets`, without a clock, a
//!   thread or a socket. [`machine`] says what goes in and comes out.
//! - [`coordinator`]: the shell around the machines, and what request handlers call.

pub mod classic;
pub mod config;
pub mod consumer;
pub mod coordinator;
pub mod error;
pub mod machine;
pub mod offsets;
pub mod record;
pub mod shard;

pub use config::GroupConfig;
pub use coordinator::Coordinator;
pub use error::{AppendError, GroupError};
