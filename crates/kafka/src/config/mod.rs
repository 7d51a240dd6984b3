//! Kafka's configuration: what keys there are, what they may be set to, and what holds for a topic
//! or a broker. Pure. Reference: the configuration of Apache Kafka 3.9.
//!
//! - [`define`]: what a key is. [`topic_keys`], [`broker_keys`]: which there are.
//! - [`value`]: reading values, with Kafka's words for what is wrong.
//! - [`resolve`]: which of several settings holds, and where it is from.
//! - [`alter`]: changing what is set.
//! - [`broker`]: a broker's settings as the broker uses them; [`topic`]: a topic's.

pub mod alter;
pub mod broker;
mod broker_keys;
pub mod define;
pub mod resolve;
pub mod topic;
mod topic_keys;
pub mod value;

pub use broker::{BrokerConfig, Fault, Remark};
pub use broker_keys::BROKER_KEYS;
pub use topic_keys::TOPIC_KEYS;
