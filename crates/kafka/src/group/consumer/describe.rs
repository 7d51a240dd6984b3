//! ConsumerGroupDescribe.

use std::collections::BTreeMap;

use super::super::record::{Partitions, TopicId};
use super::ConsumerGroup;

/// A consumer group, as ConsumerGroupDescribe tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupDescription {
    /// The state's name.
    pub state: &'static str,
    /// The group's epoch.
    pub epoch: i32,
    /// The target assignment's epoch.
    pub assignment_epoch: i32,
    /// The assignor that is used.
    pub assignor: &'static str,
    /// The members.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member, as ConsumerGroupDescribe tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`.
    pub instance_id: Option<String>,
    /// Its `client.rack`.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// The topics that it reads.
    pub topics: Vec<String>,
    /// What it has.
    pub assigned: Vec<NamedPartitions>,
    /// What it is to have.
    pub target: Vec<NamedPartitions>,
}

/// Partitions of a topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}

impl ConsumerGroup {
    pub(crate) fn describe(&self) -> ConsumerGroupDescription {
        let names: BTreeMap<TopicId, &String> =
            self.topics.iter().map(|(name, (id, _))| (*id, name)).collect();
        let named = |partitions: &Partitions| {
            let named = partitions.iter().filter_map(|(topic_id, partitions)| {
                Some(NamedPartitions {
                    topic_id: *topic_id,
                    topic: (*names.get(topic_id)?).clone(),
                    partitions: partitions.iter().copied().collect(),
                })
            });
            named.collect()
        };
        let nothing = Partitions::new();
        let members = self.members.iter().map(|(id, member)| ConsumerMemberDescription {
            member_id: id.to_string(),
            instance_id: member.said.instance_id.clone(),
            rack_id: member.said.rack_id.clone(),
            epoch: member.current.epoch,
            client_id: member.said.client_id.clone(),
            client_host: member.said.client_host.clone(),
            topics: member.said.topics.clone(),
            assigned: named(&member.current.assigned),
            target: named(self.targets.get(id).unwrap_or(&nothing)),
        });
        ConsumerGroupDescription {
            state: self.state(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: self.assignor_name(),
            members: members.collect(),
        }
    }
}
