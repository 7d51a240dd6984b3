//! Kafka's own topics, which brokers make when they are first needed.

use std::collections::BTreeMap;

use super::{CONSUMER_OFFSETS, Layout, NewTopic, TRANSACTION_STATE, TopicError, Topics};
use crate::metadata::config::Configs;
use crate::metadata::image::Image;

/// A topic that the broker makes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Number of partitions.
    pub partitions: i32,
    /// How many replicas.
    pub replication_factor: InternalFactor,
    /// Its configuration.
    pub configs: BTreeMap<String, String>,
}

/// How many replicas an internal topic gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalFactor {
    /// The operator has said so: fewer brokers are an error, as in Kafka.
    Exactly(i16),
    /// The default: as many, or one for each node that the cluster has (whether or not it is up),
    /// if those are fewer. Kafka's default of three would leave a lone node without consumer groups
    /// until the operator finds the key.
    AtMost(i16),
}

impl InternalFactor {
    fn of(configs: &Configs, image: &Image, name: &str) -> Self {
        let factor = configs.broker_number(image, name) as i16;
        if configs.is_fixed(name) { Self::Exactly(factor) } else { Self::AtMost(factor) }
    }

    /// The number for a cluster of so many nodes.
    pub fn resolve(self, nodes: usize) -> i16 {
        match self {
            Self::Exactly(factor) => factor,
            Self::AtMost(factor) => factor.min(i16::try_from(nodes.max(1)).unwrap_or(i16::MAX)),
        }
    }
}

impl InternalTopic {
    /// What a broker's configuration says of an internal topic; nothing if it is none.
    pub fn named(topic: &str, configs: &Configs, image: &Image, nodes: usize) -> Option<Self> {
        let number = |name: &str| configs.broker_number(image, name);
        let config = |pairs: &[(&str, String)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let compact = || ("cleanup.policy", "compact".to_owned());
        let codec = |codec: &str| ("compression.type", codec.to_owned());
        let segment = |name: &str| ("segment.bytes", number(name).to_string());
        match topic {
            CONSUMER_OFFSETS => Some(Self {
                partitions: number("offsets.topic.num.partitions") as i32,
                replication_factor: InternalFactor::of(
                    configs,
                    image,
                    "offsets.topic.replication.factor",
                ),
                configs: config(&[
                    compact(),
                    codec("producer"),
                    segment("offsets.topic.segment.bytes"),
                ]),
            }),
            TRANSACTION_STATE => {
                let factor = "transaction.state.log.replication.factor";
                let replication_factor = InternalFactor::of(configs, image, factor);
                let min_isr = number("transaction.state.log.min.isr");
                let min_isr = match configs.is_fixed("transaction.state.log.min.isr") {
                    true => min_isr,
                    // As for the replicas: a lone node is to work.
                    false => min_isr.min(replication_factor.resolve(nodes).into()),
                };
                Some(Self {
                    partitions: number("transaction.state.log.num.partitions") as i32,
                    replication_factor,
                    configs: config(&[
                        compact(),
                        codec("uncompressed"),
                        segment("transaction.state.log.segment.bytes"),
                        ("min.insync.replicas", min_isr.to_string()),
                        ("unclean.leader.election.enable", "false".to_owned()),
                    ]),
                })
            }
            _ => None,
        }
    }
}

impl Topics {
    /// Makes a topic that a client has asked for or the broker needs, unless it is there: an
    /// internal one as it must be, any other by the broker's defaults. `nodes`: how many the
    /// cluster has, whether or not they are up. The image shows it when this returns.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn ensure(&self, name: &str, nodes: usize) -> Result<(), TopicError> {
        let image = self.images.current();
        if image.topic(name).is_some() && !image.is_deleting(name) {
            return Ok(());
        }
        let internal = InternalTopic::named(name, &self.configs, &image, nodes);
        let (partitions, replication_factor, configs) = match internal {
            Some(topic) => {
                let factor = topic.replication_factor.resolve(nodes);
                (Some(topic.partitions), Some(factor), topic.configs)
            }
            None => (None, None, BTreeMap::new()),
        };
        let layout = Layout::Counted { partitions, replication_factor };
        let topic = NewTopic { name: name.to_owned(), layout, configs };
        match self.create(&topic, false).await {
            Ok(created) => {
                self.images.at(created.zxid).await;
                Ok(())
            }
            // By somebody else, at the same moment.
            Err(TopicError::Exists(_)) if !self.images.current().is_deleting(name) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
