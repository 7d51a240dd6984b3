//! The znodes of Kafka's ZooKeeper mode: paths and content, as Kafka 3.9 writes them, so that tools
//! which look there find what they know. Pure.

mod broker;
mod cluster;
mod config;
mod partition;
pub mod path;
mod requests;
mod topic;

pub use broker::{BrokerZnode, Endpoint};
pub use cluster::{
    ControllerZnode, FeatureZnode, ProducerIdBlock, cluster_id_json, parse_cluster_id,
};
pub use config::{ConfigZnode, desanitize, entity_change_json, sanitize};
pub use partition::{NO_LEADER, PartitionStateZnode};
pub use requests::{parse_elections, parse_isr_change, parse_reassignments};
pub use topic::{Assignment, TopicZnode};

/// A znode does not hold what Kafka writes there.
#[derive(Debug, thiserror::Error)]
pub enum ZnodeError {
    /// It is not the JSON expected.
    #[error("{what} cannot be read: {source}")]
    Json {
        /// Which kind of znode.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A value in it makes no sense.
    #[error("{what} holds {value:?}, which makes no sense")]
    Value {
        /// Which value of which kind of znode.
        what: &'static str,
        /// What it is.
        value: String,
    },
}

impl ZnodeError {
    pub(crate) fn value(what: &'static str, value: impl ToString) -> Self {
        Self::Value { what, value: value.to_string() }
    }
}

pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    json: &'a [u8],
) -> Result<T, ZnodeError> {
    serde_json::from_slice(json).map_err(|source| ZnodeError::Json { what, source })
}

/// Of types that serialise by themselves: numbers, strings, lists and maps by string.
pub(crate) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(json) => json,
        Err(error) => unreachable!("a map whose key is no string: {error}"),
    }
}
