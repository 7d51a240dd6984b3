//! Adding partitions to a topic.

use std::collections::BTreeMap;

use polyport_kafka_codec::placement::{Start, assign};
use polyport_tree::TreeError;
use polyport_tree::client::{ClientError, MAX_BYTES, writes};

use super::create::first_state;
use super::{TRIES, TopicError, Topics, candidates, check_manual, unknown};
use crate::metadata::image::{Image, Topic};
use crate::metadata::znode::{Assignment, TopicZnode, path};

impl Topics {
    /// Makes a topic have `count` partitions; the answer is the transaction. `replicas`: of the new
    /// ones, if they are not to be assigned as usual.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn create_partitions(
        &self,
        name: &str,
        count: i32,
        replicas: Option<&[Vec<i32>]>,
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let topic = image.topic(name).filter(|_| !image.is_deleting(name));
            let topic = topic.ok_or_else(|| unknown(name))?;
            let added = plan(&image, topic, count, replicas)?;
            if validate_only {
                return Ok(image.zxid);
            }
            match self.add(&image, topic, added).await {
                // Another change came in between: look again.
                Err(ClientError::Refused { error: TreeError::BadVersion, .. }) => {}
                written => return Ok(written?),
            }
        }
        Err(ClientError::Unknown.into())
    }

    async fn add(
        &self,
        image: &Image,
        topic: &Topic,
        added: BTreeMap<i32, Vec<i32>>,
    ) -> Result<i64, ClientError> {
        let name = &topic.name;
        let states = added.iter().filter_map(|(partition, replicas)| {
            let (home, state) = (path::partition(name, *partition), path::state(name, *partition));
            Some((home, state, first_state(image, replicas)?.to_json()))
        });
        let states: Vec<_> = states.collect();
        let json = with(topic, added).to_json();
        let home = path::topic(name);
        let mut all = vec![writes::set(&home, &json, topic.version)];
        let mut bytes: usize = all.iter().map(writes::byte_len).sum();
        for (home, path, json) in &states {
            let pair = [writes::create_bare(home), writes::create(path, json)];
            bytes += pair.iter().map(writes::byte_len).sum::<usize>();
            if bytes > MAX_BYTES {
                // The controller makes the rest.
                break;
            }
            all.extend(pair);
        }
        Ok(self.client.multi(all).await?.zxid)
    }
}

/// The topic's znode with more partitions.
fn with(topic: &Topic, added: BTreeMap<i32, Vec<i32>>) -> TopicZnode {
    let known = topic.numbered().map(|(number, partition)| (number, partition.assignment()));
    let added = added.into_iter().map(|(number, ids)| (number, Assignment::settled(ids)));
    let id = Some(topic.id).filter(|id| *id != crate::metadata::TopicId::ZERO);
    TopicZnode { id, partitions: known.chain(added).collect() }
}

/// Kafka's checks, in its order, and the replicas of the new partitions.
fn plan(
    image: &Image,
    topic: &Topic,
    count: i32,
    replicas: Option<&[Vec<i32>]>,
) -> Result<BTreeMap<i32, Vec<i32>>, TopicError> {
    let name = &topic.name;
    if topic.partitions.iter().any(|partition| partition.reassigning.is_some()) {
        let text = format!("A partition reassignment is in progress for the topic '{name}'.");
        return Err(TopicError::ReassignmentInProgress(text));
    }
    let had = topic.partitions.len() as i32;
    if count == had {
        let text = format!("Topic already has {had} partition(s).");
        return Err(TopicError::InvalidPartitions(text));
    }
    if count < had {
        return Err(TopicError::InvalidPartitions(format!(
            "The topic {name} currently has {had} partition(s); {count} would not be an increase."
        )));
    }
    let first = topic.partition(0).map_or(&[][..], |partition| &partition.replicas);
    let factor = first.len();
    let Some(replicas) = replicas else {
        let brokers = candidates(image);
        let head = first.first().copied().unwrap_or_default();
        let at = brokers.iter().position(|(id, _)| *id >= head).unwrap_or_default();
        let start = Start { broker: at, shift: at, partition: had };
        return Ok(assign(&brokers, count - had, factor as i32, start)?);
    };
    check(image, replicas, count - had, factor)?;
    Ok((had..).zip(replicas.iter().cloned()).collect())
}

fn check(
    image: &Image,
    replicas: &[Vec<i32>],
    added: i32,
    factor: usize,
) -> Result<(), TopicError> {
    let given = replicas.len();
    if given != added as usize {
        return Err(TopicError::InvalidReplicaAssignment(format!(
            "Attempted to add {added} additional partition(s), but only {given} assignment(s) were \
             specified."
        )));
    }
    replicas.iter().try_for_each(|ids| check_manual(image, &[], ids, Some(factor)))
}
