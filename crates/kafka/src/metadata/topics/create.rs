//! Making a topic: its configuration, its assignment and its partitions' first states, at once.

use std::collections::{BTreeMap, BTreeSet};

use polyport_kafka_codec::placement::{Start, assign};
use polyport_tree::TreeError;
use polyport_tree::client::{ClientError, MAX_BYTES, writes};
use polyport_tree::command::Write;

use super::{TRIES, TopicError, Topics, below, candidates, name};
use crate::metadata::TopicId;
use crate::metadata::image::Image;
use crate::metadata::znode::{Assignment, ConfigZnode, PartitionStateZnode, TopicZnode, path};

/// How a topic's replicas are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By numbers; what is left open is the broker's default.
    Counted {
        /// Number of partitions.
        partitions: Option<i32>,
        /// Replicas of each.
        replication_factor: Option<i16>,
    },
    /// Broker by broker.
    Assigned(BTreeMap<i32, Vec<i32>>),
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its replicas.
    pub layout: Layout,
    /// Its own configuration.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was made, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id; [`TopicId::ZERO`] if nothing was to be made.
    pub id: TopicId,
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of each.
    pub replication_factor: i16,
    /// The transaction: [`Images::at`](crate::metadata::image::Images::at) waits for it.
    pub zxid: i64,
}

impl Topics {
    /// Makes a topic. It has its partitions when this returns, but the image may show them a moment
    /// later; of very many partitions the controller makes the states of the last.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn create(
        &self,
        topic: &NewTopic,
        validate_only: bool,
    ) -> Result<Created, TopicError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let replicas = self.plan(&image, topic)?;
            let factor = replicas.get(&0).map_or(0, Vec::len) as i16;
            let partitions = replicas.len() as i32;
            let created = |id, zxid| Created { id, partitions, replication_factor: factor, zxid };
            if validate_only {
                return Ok(created(TopicId::ZERO, image.zxid));
            }
            let id = TopicId::random();
            let id = id.map_err(|error| TopicError::Randomness(error.to_string()))?;
            let znodes = Znodes::new(&image, topic, id, replicas);
            match self.client.multi(znodes.writes()).await {
                Ok(written) => return Ok(created(id, written.zxid)),
                // Its configuration was there or not, contrary to the image: look again.
                Err(ClientError::Refused { at: 0, error }) if is_race(error) => {}
                Err(ClientError::Refused { error: TreeError::NodeExists, .. }) => {
                    return Err(exists(&topic.name));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClientError::Unknown.into())
    }

    /// Checks a topic and lays out its replicas.
    fn plan(&self, image: &Image, topic: &NewTopic) -> Result<BTreeMap<i32, Vec<i32>>, TopicError> {
        if image.topic(&topic.name).is_some() && !image.is_deleting(&topic.name) {
            return Err(exists(&topic.name));
        }
        let replicas = match &topic.layout {
            Layout::Counted { partitions, replication_factor } => {
                let default = |name| self.configs.broker_number(image, name);
                let partitions = partitions.map_or_else(|| default("num.partitions"), i64::from);
                let factor = replication_factor
                    .map_or_else(|| default("default.replication.factor"), i64::from);
                let brokers = candidates(image);
                let (broker, shift) = (below(brokers.len())?, below(brokers.len())?);
                let start = Start { broker, shift, partition: 0 };
                assign(&brokers, partitions as i32, factor as i32, start)?
            }
            Layout::Assigned(replicas) => replicas.clone(),
        };
        validate(image, &topic.name, &replicas)?;
        let valid = self.configs.validate_topic(image, &topic.configs);
        valid.map_err(|error| TopicError::InvalidConfig(error.to_string()))?;
        Ok(replicas)
    }
}

fn is_race(error: TreeError) -> bool {
    matches!(error, TreeError::NodeExists | TreeError::NoNode | TreeError::BadVersion)
}

fn exists(name: &str) -> TopicError {
    TopicError::Exists(format!("Topic '{name}' already exists."))
}

/// Kafka's checks, in its order.
fn validate(
    image: &Image,
    name: &str,
    replicas: &BTreeMap<i32, Vec<i32>>,
) -> Result<(), TopicError> {
    name::validate(name).map_err(TopicError::InvalidName)?;
    if image.is_deleting(name) {
        let text = format!("Topic '{name}' is marked for deletion.");
        return Err(TopicError::Exists(text));
    }
    if name::can_collide(name) {
        let others = image.topics().map(|topic| &*topic.name);
        let others: Vec<_> = others.filter(|other| name::collide(name, other)).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            let text = format!("Topic '{name}' collides with existing topics: {others}");
            return Err(TopicError::InvalidName(text));
        }
    }
    let invalid = |text: &str| Err(TopicError::InvalidReplicaAssignment(text.to_owned()));
    let factors: BTreeSet<_> = replicas.values().map(Vec::len).collect();
    if factors.len() != 1 {
        return invalid("All partitions should have the same number of replicas");
    }
    if factors.contains(&0) {
        return invalid("A partition needs at least one replica");
    }
    for (partition, replicas) in replicas {
        let distinct: BTreeSet<_> = replicas.iter().collect();
        if distinct.len() != replicas.len() {
            return invalid(&format!(
                "Duplicate replica assignment found: partition {partition} has {replicas:?}"
            ));
        }
    }
    if !replicas.keys().copied().eq(0..replicas.len() as i32) {
        return invalid("partitions should be a consecutive 0-based integer sequence");
    }
    // Kafka takes unknown brokers here, and the partition never gets a leader.
    let known = |id: &&i32| !image.is_alive(**id);
    let unknown: BTreeSet<_> = replicas.values().flatten().filter(known).collect();
    if !unknown.is_empty() {
        return invalid(&format!("Unknown broker(s) in replica assignment: {unknown:?}."));
    }
    Ok(())
}

/// What a topic is made of, as it is stored.
struct Znodes {
    config: (String, Vec<u8>),
    /// Of a topic of the same name, long ago.
    config_is_there: bool,
    topic: (String, Vec<u8>),
    partitions: String,
    states: Vec<(String, String, Vec<u8>)>,
}

impl Znodes {
    fn new(
        image: &Image,
        topic: &NewTopic,
        id: TopicId,
        replicas: BTreeMap<i32, Vec<i32>>,
    ) -> Self {
        let name = &topic.name;
        let entity = path::topic_entity(name);
        let states = replicas.iter().filter_map(|(partition, replicas)| {
            let (home, state) = (path::partition(name, *partition), path::state(name, *partition));
            Some((home, state, first_state(image, replicas)?.to_json()))
        });
        let states = states.collect();
        let settled = |(partition, replicas)| (partition, Assignment::settled(replicas));
        let partitions = replicas.into_iter().map(settled).collect();
        let assignment = TopicZnode { id: Some(id), partitions };
        Self {
            config_is_there: image.overrides(&entity).is_some(),
            config: (path::config(&entity), ConfigZnode(topic.configs.clone()).to_json()),
            topic: (path::topic(name), assignment.to_json()),
            partitions: path::partitions(name),
            states,
        }
    }

    /// As many as one transaction takes, the configuration first.
    fn writes(&self) -> Vec<Write<'_>> {
        let (path, json) = &self.config;
        let config = match self.config_is_there {
            true => writes::set(path, json, writes::ANY),
            false => writes::create(path, json),
        };
        let (path, json) = &self.topic;
        let topic = writes::create(path, json);
        let mut all = vec![config, topic, writes::create_bare(&self.partitions)];
        let mut bytes: usize = all.iter().map(writes::byte_len).sum();
        for (home, path, json) in &self.states {
            let pair = [writes::create_bare(home), writes::create(path, json)];
            bytes += pair.iter().map(writes::byte_len).sum::<usize>();
            if bytes > MAX_BYTES {
                break;
            }
            all.extend(pair);
        }
        all
    }
}

/// The state of a new partition: its first living replica leads, all living ones are in sync.
/// Nothing if none lives.
pub(in crate::metadata) fn first_state(
    image: &Image,
    replicas: &[i32],
) -> Option<PartitionStateZnode> {
    let isr: Vec<i32> = replicas.iter().copied().filter(|id| image.is_alive(*id)).collect();
    let leader = *isr.first()?;
    Some(PartitionStateZnode::new(image.controller_epoch.0, leader, 0, isr))
}
