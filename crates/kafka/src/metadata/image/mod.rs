//! What this node knows of the cluster: an immutable value, replaced as a whole. A copy costs little
//! because it shares what did not change, so that one changed partition is one changed chunk.
//!
//! Znodes that hold what nobody can read are left out, with a warning: a foreign tool's mistake in
//! one topic must not stop the others.

mod change;
mod follow;
mod list;
mod load;
mod map;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use change::{Changes, Subscription, Update};
pub use follow::Images;
pub use list::List;
pub use map::Map;

use super::TopicId;
use super::znode::{Assignment, Endpoint, NO_LEADER};

/// A broker that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Its registration's transaction: another one is another life.
    pub epoch: i64,
    /// Its advertised listeners.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<Arc<str>>,
}

impl Broker {
    /// Its endpoint of a listener, by the listener's name.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }
}

/// Who leads a partition and who is in sync with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The leader; -1 for none.
    pub leader: i32,
    /// How often a leader was elected.
    pub leader_epoch: i32,
    /// Who is in sync.
    pub isr: Arc<[i32]>,
    /// Of the controller that elected the leader.
    pub controller_epoch: i32,
    /// The znode's version: what a change is conditional on, and the partition epoch of clients.
    pub version: i32,
    /// The znode's last transaction.
    pub zxid: i64,
}

/// Replicas that come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassigning {
    /// Being added.
    pub adding: Vec<i32>,
    /// Being removed.
    pub removing: Vec<i32>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its brokers, the preferred leader first.
    pub replicas: Arc<[i32]>,
    /// If its replicas are being changed.
    pub reassigning: Option<Arc<Reassigning>>,
    /// Until the controller has written it, a new partition has none.
    pub state: Option<PartitionState>,
}

impl Partition {
    /// The leader, if it has one.
    pub fn leader(&self) -> Option<i32> {
        self.state.as_ref().map(|state| state.leader).filter(|leader| *leader != NO_LEADER)
    }

    /// The leader epoch; -1 before the first leader.
    pub fn leader_epoch(&self) -> i32 {
        self.state.as_ref().map_or(-1, |state| state.leader_epoch)
    }

    /// Who is in sync.
    pub fn isr(&self) -> &[i32] {
        self.state.as_ref().map_or(&[], |state| &state.isr)
    }

    /// Replicas as they are stored.
    pub fn assignment(&self) -> Assignment {
        let replicas = self.replicas.to_vec();
        match &self.reassigning {
            None => Assignment::settled(replicas),
            Some(r) => {
                Assignment { replicas, adding: r.adding.clone(), removing: r.removing.clone() }
            }
        }
    }
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; [`TopicId::ZERO`] if a Kafka before 2.8 made it.
    pub id: TopicId,
    /// Its partitions, by number.
    pub partitions: List<Partition>,
    /// The znode's version: what a change of the replicas is conditional on.
    pub version: i32,
}

impl Topic {
    /// A partition by its number.
    pub fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    /// All partitions with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (i32, &Partition)> {
        (0..).zip(self.partitions.iter())
    }
}

/// Values that were set for an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrides {
    /// By name.
    pub values: BTreeMap<String, String>,
    /// The znode's version: what a change is conditional on.
    pub version: i32,
}

/// What a node knows of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The newest transaction that it shows.
    pub zxid: i64,
    /// The cluster's id; empty before the first broker has made it.
    pub cluster_id: Arc<str>,
    /// The controller, if there is one.
    pub controller: Option<i32>,
    /// How often the controller has changed, and its znode's version.
    pub controller_epoch: (i32, i32),
    pub(in crate::metadata) brokers: Arc<BTreeMap<i32, Arc<Broker>>>,
    pub(in crate::metadata) topics: Map<Arc<str>, Arc<Topic>>,
    pub(in crate::metadata) names: Map<TopicId, Arc<str>>,
    pub(in crate::metadata) overrides: Map<Arc<str>, Arc<Overrides>>,
    pub(in crate::metadata) deleting: Arc<BTreeSet<Arc<str>>>,
}

impl Image {
    /// The living brokers by id.
    pub fn brokers(&self) -> &BTreeMap<i32, Arc<Broker>> {
        &self.brokers
    }

    /// Whether a broker lives.
    pub fn is_alive(&self, broker: i32) -> bool {
        self.brokers.contains_key(&broker)
    }

    /// A topic by name. Topics that are being deleted are still there, see
    /// [`Image::is_deleting`].
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&**self.names.get(&id)?)
    }

    /// All topics, in no useful order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// Number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// A partition.
    pub fn partition(&self, topic: &str, number: i32) -> Option<&Partition> {
        self.topic(topic)?.partition(number)
    }

    /// Whether a topic is being deleted: to clients it is gone.
    pub fn is_deleting(&self, topic: &str) -> bool {
        self.deleting.contains(topic)
    }

    /// The topics that are being deleted.
    pub fn deleting(&self) -> &BTreeSet<Arc<str>> {
        &self.deleting
    }

    /// The leader of a partition, if its broker has lived ever since it was elected. One that was
    /// away since is elected anew, in another epoch, before it may act: it may have lost records
    /// that others have seen.
    pub fn acting_leader(&self, partition: &Partition) -> Option<i32> {
        let state = partition.state.as_ref()?;
        let broker = self.brokers.get(&state.leader)?;
        (broker.epoch <= state.zxid).then_some(state.leader)
    }

    /// Replicas of a partition whose brokers do not live.
    pub fn offline_replicas(&self, partition: &Partition) -> Vec<i32> {
        let gone = |id: &&i32| !self.is_alive(**id);
        partition.replicas.iter().filter(gone).copied().collect()
    }

    /// What was set for an entity, such as `topics/t` or `brokers/<default>`.
    pub fn overrides(&self, entity: &str) -> Option<&Arc<Overrides>> {
        self.overrides.get(entity)
    }

    /// Everything that was set, by entity, in no useful order.
    pub fn all_overrides(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Overrides>)> {
        self.overrides.iter()
    }
}

#[cfg(test)]
pub(in crate::metadata) mod tests;
