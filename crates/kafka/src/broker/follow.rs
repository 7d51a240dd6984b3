//! What the metadata say, done to this node's partitions: making and deleting logs, leading and
//! following, configurations; and the coordinators on top of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_log::TopicPartition;
use polyport_log::checkpoint::partition_metadata::TopicId as LogTopicId;
use polyport_partitions::{CreateError, PartitionState, TopicConfig};

use super::Broker;
use super::fetchers::Place;
use super::topic_view::ImageView;
use crate::metadata::TopicId;
use crate::metadata::config::Configs;
use crate::metadata::image::{self as metadata, Image, Partition, Subscription, Topic, Update};
use crate::metadata::topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::quota::limits::Limits;

/// Follows the image until the broker ends.
pub(super) async fn follow(broker: Arc<Broker>, mut changes: Subscription) {
    loop {
        let update = changes.next().await;
        let follower = broker.clone();
        // Files are made and renamed.
        let applied = tokio::task::spawn_blocking(move || follower.apply(&update)).await;
        if applied.is_err() {
            // Half of a change was made: nobody knows what this node's partitions are.
            tracing::error!("the metadata could not be followed");
            std::process::abort();
        }
        broker.followed.send_replace(());
    }
}

/// Whether nobody can have had the partition before: it is in its first epoch.
fn is_new(state: &metadata::PartitionState) -> bool {
    state.leader_epoch == 0
}

/// Topics' configurations, each put together once for all its partitions.
struct ConfigsOfTopics<'a> {
    configs: &'a Configs,
    image: &'a Image,
    known: BTreeMap<Arc<str>, Arc<TopicConfig>>,
}

impl<'a> ConfigsOfTopics<'a> {
    fn new(configs: &'a Configs, image: &'a Image) -> Self {
        Self { configs, image, known: BTreeMap::new() }
    }

    fn of(&mut self, topic: &Arc<str>) -> Arc<TopicConfig> {
        let made = || Arc::new(self.configs.partitions(self.image, topic));
        self.known.entry(topic.clone()).or_insert_with(made).clone()
    }
}

impl Broker {
    /// Does what an update asks of this node.
    pub(super) fn apply(&self, update: &Update) {
        let image = &*update.after;
        let offsets = image.topic(CONSUMER_OFFSETS).map(|topic| topic.partitions.len());
        if let Some(count) = offsets.and_then(|count| i32::try_from(count).ok()) {
            self.groups.set_partitions(count);
        }
        if !update.changes.topics.is_empty() || !update.changes.deleting.is_empty() {
            self.groups.set_topics(Arc::new(ImageView(update.after.clone())));
        }
        let states = image.topic(TRANSACTION_STATE).map(|topic| topic.partitions.len());
        if let Some(count) = states.and_then(|count| i32::try_from(count).ok()) {
            self.transactions.set_partitions(count);
        }
        let mut configs = ConfigsOfTopics::new(&self.settings.configs, image);
        self.make_missing(update, &mut configs);
        for (topic, number) in &update.changes.partitions {
            let of = TopicPartition { topic: topic.to_string(), partition: *number };
            self.leave_replaced(update, &of);
            match image.topic(topic).and_then(|found| Some((found, found.partition(*number)?))) {
                Some((found, partition)) if self.is_ours(partition) => {
                    self.keep(image, &of, found, partition, &configs.of(topic));
                }
                _ => {
                    self.unfollow(&update.before, &of);
                    self.delete(&of);
                }
            }
            if matches!(&**topic, CONSUMER_OFFSETS | TRANSACTION_STATE) {
                self.coordinate(image, &of);
            }
        }
        if update.changes.overrides.iter().any(|entity| Limits::concern(entity)) {
            self.quotas.set_limits(Limits::of_image(image));
        }
        for entity in &update.changes.overrides {
            if let Some(topic) = entity.strip_prefix("topics/") {
                let config = Arc::new(self.settings.configs.partitions(image, topic));
                self.store.set_config(topic, &config);
            }
        }
        let gone: Vec<Arc<str>> = update
            .changes
            .topics
            .iter()
            .filter(|topic| image.topic(topic).is_none())
            .cloned()
            .collect();
        if !gone.is_empty() {
            self.groups.topics_deleted(&gone);
            self.stats.forget(&gone);
        }
        if !update.changes.brokers.is_empty() {
            let now = self.clock.now();
            let life = |image: &Image, id| image.brokers().get(&id).map(|broker| broker.epoch);
            let changed = &update.changes.brokers;
            for partition in self.store.partitions() {
                // One that is back already was away nevertheless.
                let stayed =
                    |id| !changed.contains(&id) || life(&update.before, id) == life(image, id);
                partition.set_alive(|id| image.is_alive(id) && stayed(id), now);
                partition.set_alive(|id| image.is_alive(id), now);
            }
        }
    }

    fn is_ours(&self, partition: &Partition) -> bool {
        partition.replicas.contains(&self.settings.broker_id)
    }

    /// Makes the partitions that are to be here and are not, many at once: each is some files, and
    /// waits for the disk. What cannot be made is tried again, and told of, one by one.
    fn make_missing(&self, update: &Update, configs: &mut ConfigsOfTopics<'_>) {
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (topic, number) in &update.changes.partitions {
            let Some(found) = update.after.topic(topic) else { continue };
            let Some(partition) = found.partition(*number).filter(|of| self.is_ours(of)) else {
                continue;
            };
            let Some(state) = &partition.state else { continue };
            if self.store.partition(topic, *number).is_none() {
                let of = TopicPartition { topic: topic.to_string(), partition: *number };
                let all = if is_new(state) { &mut new } else { &mut old };
                all.push((of, LogTopicId(found.id.0), configs.of(topic)));
            }
        }
        for (wanted, is_new) in [(new, true), (old, false)] {
            if wanted.len() > 1 {
                drop(self.store.create_all(&wanted, is_new));
            }
        }
    }

    /// Makes sure that a partition is here, and tells it who leads.
    fn keep(
        &self,
        image: &Image,
        of: &TopicPartition,
        topic: &Topic,
        partition: &Partition,
        config: &Arc<TopicConfig>,
    ) {
        let Some(state) = &partition.state else { return };
        let is_new = is_new(state);
        let id = LogTopicId(topic.id.0);
        let made = match self.store.create(of, id, config, is_new) {
            Err(CreateError::OtherTopic) => {
                match self.store.set_aside(of) {
                    Ok(path) => tracing::warn!(
                        topic = of.topic,
                        partition = of.partition,
                        ?path,
                        "records of a deleted topic of the same name are set aside"
                    ),
                    Err(error) => tracing::error!(%error, "records cannot be set aside"),
                }
                self.store.create(of, id, config, is_new)
            }
            made => made,
        };
        let found = match made {
            Ok(found) => found,
            Err(error) => {
                let (topic, partition) = (&of.topic, of.partition);
                tracing::error!(topic, partition, %error, "the partition cannot be kept here");
                return;
            }
        };
        let said = PartitionState {
            leader: image.acting_leader(partition),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.version,
            replicas: partition.replicas.to_vec(),
            isr: state.isr.to_vec(),
        };
        let now = self.clock.now();
        match found.set_state(&said, now) {
            Ok(_) => found.set_alive(|broker| image.is_alive(broker), now),
            Err(error) => {
                let (topic, partition) = (&of.topic, of.partition);
                tracing::error!(topic, partition, %error, "the partition cannot be led or followed");
            }
        }
        let leader = said.leader.filter(|leader| *leader != self.settings.broker_id);
        let place = Place { topic: topic.name.clone(), id: topic.id, partition: of.partition };
        self.fetchers.set(&place, leader.map(|leader| (leader, state.leader_epoch)));
    }

    /// The partition's topic gave way to another of the same name: nothing that was known of it means
    /// anything, not even its leader epoch.
    fn leave_replaced(&self, update: &Update, of: &TopicPartition) {
        let id = |image: &Image| image.topic(&of.topic).map(|topic| topic.id);
        let (before, after) = (id(&update.before), id(&update.after));
        if before.is_none() || before == after {
            return;
        }
        self.unfollow(&update.before, of);
        match &*of.topic {
            CONSUMER_OFFSETS => self.groups.forget(of.partition),
            TRANSACTION_STATE => self.transactions.forget(of.partition),
            _ => {}
        }
    }

    fn unfollow(&self, before: &Image, of: &TopicPartition) {
        if let Some(topic) = before.topic(&of.topic) {
            let place = Place { topic: topic.name.clone(), id: topic.id, partition: of.partition };
            self.fetchers.set(&place, None);
        }
    }

    fn delete(&self, of: &TopicPartition) {
        if let Err(error) = self.store.delete(of) {
            let (topic, partition) = (&of.topic, of.partition);
            tracing::error!(topic, partition, %error, "the partition cannot be deleted");
        }
    }

    /// Coordinates what a partition of an internal topic keeps, or ceases to.
    fn coordinate(&self, image: &Image, of: &TopicPartition) {
        let partition = image.partition(&of.topic, of.partition);
        let state = partition.and_then(|partition| partition.state.as_ref());
        let leader = partition.and_then(|partition| image.acting_leader(partition));
        let leads = state.filter(|_| leader == Some(self.settings.broker_id));
        let groups = of.topic == CONSUMER_OFFSETS;
        match (leads, self.store.partition(&of.topic, of.partition)) {
            (Some(state), Some(found)) if groups => {
                self.groups.lead(of.partition, state.leader_epoch, Arc::new(found));
            }
            (Some(state), Some(found)) => {
                self.transactions.lead(of.partition, state.leader_epoch, Arc::new(found));
            }
            _ => {
                // Of what is gone nothing is known, and nothing to be told apart from.
                let Some(state) = state else { return };
                let epoch = state.leader_epoch;
                match groups {
                    true => self.groups.resign(of.partition, epoch),
                    false => self.transactions.resign(of.partition, epoch),
                }
            }
        }
    }

    /// Tells of partitions on this node's disks that the cluster does not know. They stay where they
    /// are: they may be all that is left of something.
    pub(super) fn tell_strays(&self, image: &Image) {
        let known = |of: &TopicPartition, id: Option<LogTopicId>| {
            let topic = image.topic(&of.topic);
            topic.is_some_and(|topic| {
                id.is_none_or(|id| TopicId(id.0) == topic.id)
                    && topic.partition(of.partition).is_some_and(|found| self.is_ours(found))
            })
        };
        for stray in self.store.strays(known) {
            let (dir, name) = (stray.log_dir().display(), stray.of().dir_name());
            tracing::warn!(
                "{dir}/{name} belongs to no partition of the cluster: it is kept; remove it if it \
                 is not needed"
            );
        }
    }
}
