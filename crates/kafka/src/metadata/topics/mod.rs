//! Making, growing, moving and deleting topics.

mod create;
mod grow;
mod internal;
pub mod name;
mod reassign;

use std::sync::Arc;

use polyport_kafka_codec::placement::{Candidate, PlacementError};
use polyport_tree::client::{Client, ClientError};

pub(in crate::metadata) use create::first_state;
pub use create::{Created, Layout, NewTopic};
pub use internal::{InternalFactor, InternalTopic};
pub use name::{CONSUMER_OFFSETS, TRANSACTION_STATE, is_internal};
pub use reassign::Moves;

use super::config::Configs;
use super::image::{Image, Images};
use super::{TopicId, znode};
use znode::path;

/// Why nothing was done about a topic. Texts are for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The name is not allowed, or collides.
    #[error("{0}")]
    InvalidName(String),
    /// There is one of this name.
    #[error("{0}")]
    Exists(String),
    /// There is none of this name.
    #[error("{0}")]
    Unknown(String),
    /// A number of partitions that cannot be.
    #[error("{0}")]
    InvalidPartitions(String),
    /// A replication factor that cannot be.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// An assignment that cannot be.
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// A configuration that cannot be.
    #[error("{0}")]
    InvalidConfig(String),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// Its replicas are being moved.
    #[error("{0}")]
    ReassignmentInProgress(String),
    /// No reassignment is going on that could be cancelled.
    #[error("{0}")]
    NoReassignmentInProgress(String),
    /// The tree did not do it, or not surely. Trying again is right.
    #[error(transparent)]
    Tree(#[from] ClientError),
    /// The operating system has no randomness.
    #[error("no randomness: {0}")]
    Randomness(String),
}

impl From<PlacementError> for TopicError {
    fn from(error: PlacementError) -> Self {
        let text = error.to_string();
        match error {
            PlacementError::Partitions => Self::InvalidPartitions(text),
            PlacementError::Replicas | PlacementError::Brokers { .. } => {
                Self::InvalidReplicationFactor(text)
            }
            PlacementError::Racks => Self::InvalidReplicaAssignment(text),
        }
    }
}

/// Makes, grows and deletes topics. Clones are handles on the same.
#[derive(Clone)]
pub struct Topics {
    client: Client,
    images: Images,
    configs: Configs,
}

/// Tries where another's change came in between.
const TRIES: usize = 10;

impl Topics {
    /// `configs`: this broker's, which fill in what requests leave open.
    pub fn new(client: Client, images: Images, configs: Configs) -> Self {
        Self { client, images, configs }
    }

    /// Asks for a topic's deletion; the controller does it. The answer is the transaction. A
    /// deletion that was asked for already is no error.
    ///
    /// # Errors
    /// If there is no such topic, or the tree did not answer.
    pub async fn delete(&self, topic: &str) -> Result<i64, TopicError> {
        let image = self.images.current();
        if image.topic(topic).is_none() {
            return Err(unknown(topic));
        }
        let (mark, home) = (path::delete_topic(topic), path::topic(topic));
        let writes = vec![
            polyport_tree::client::writes::check(&home, -1),
            polyport_tree::client::writes::create_bare(&mark),
        ];
        use polyport_tree::TreeError;
        match self.client.multi(writes).await {
            Ok(written) => Ok(written.zxid),
            Err(ClientError::Refused { error: TreeError::NodeExists, .. }) => Ok(image.zxid),
            Err(ClientError::Refused { error: TreeError::NoNode, .. }) => Err(unknown(topic)),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until every partition of a topic has a leader, or the topic is gone. There is no
    /// limit of time: wrap it in one.
    pub async fn led(&self, topic: &str) {
        let led = |topic: &Arc<super::image::Topic>| {
            topic.partitions.iter().all(|partition| partition.leader().is_some())
        };
        self.until(|image| image.topic(topic).is_none_or(led)).await;
    }

    /// Waits until a topic of this id is gone. There is no limit of time: wrap it in one.
    pub async fn gone(&self, topic: &str, id: TopicId) {
        self.until(|image| image.topic(topic).is_none_or(|topic| topic.id != id)).await;
    }

    async fn until(&self, holds: impl Fn(&Image) -> bool) {
        // Most often there is nothing to wait for, and a subscription begins with all there is.
        if holds(&self.images.current()) {
            return;
        }
        let mut changes = self.images.subscribe();
        while !holds(&changes.next().await.after) {}
    }
}

fn unknown(topic: &str) -> TopicError {
    TopicError::Unknown(format!("The topic '{topic}' does not exist."))
}

/// The living brokers and their racks.
fn candidates(image: &Image) -> Vec<Candidate<'_>> {
    let broker = |broker: &Arc<super::image::Broker>| broker.id;
    image.brokers().values().map(|b| (broker(b), b.rack.as_deref())).collect()
}

/// Kafka's checks of a partition's replicas that somebody has chosen. `known`: brokers that have it
/// and may be away. `factor`: how many replicas the other partitions have.
fn check_manual(
    image: &Image,
    known: &[i32],
    replicas: &[i32],
    factor: Option<usize>,
) -> Result<(), TopicError> {
    let invalid = |rest: String| {
        let text = format!("The manual partition assignment includes {rest}");
        Err(TopicError::InvalidReplicaAssignment(text))
    };
    if replicas.is_empty() {
        return invalid("an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    for (at, id) in sorted.iter().enumerate() {
        if !known.contains(id) && !image.is_alive(*id) {
            return invalid(format!("broker {id}, but no such broker is registered."));
        }
        if at > 0 && sorted[at - 1] == *id {
            return invalid(format!("the broker {id} more than once."));
        }
    }
    match factor {
        Some(factor) if factor != replicas.len() => invalid(format!(
            "a partition with {} replica(s), but this is not consistent with previous partitions, \
             which have {factor} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// A random number below `bound`.
fn below(bound: usize) -> Result<usize, TopicError> {
    let mut bytes = [0; 8];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| TopicError::Randomness(error.to_string()))?;
    // Bounds are small: what the remainder prefers does not matter.
    Ok((u64::from_le_bytes(bytes) % bound.max(1) as u64) as usize)
}
