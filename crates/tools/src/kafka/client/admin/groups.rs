//! Consumer groups: list, describe, their offsets, their end.

use std::collections::BTreeMap;

use polyport_kafka_codec::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use polyport_kafka_codec::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use polyport_kafka_codec::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};

use super::Admin;
use crate::kafka::client::consumer::assigned_partitions;
use crate::kafka::client::{Call, ClientError, Coordinator, Node, Result, To, TopicPartition};

/// The first ListGroups that filters by state, and by type.
const STATES: i16 = 4;
const TYPES: i16 = 5;
/// The last OffsetFetch about one group at a time.
const OFFSET_FETCH: i16 = 7;
const OFFSET_COMMIT: i16 = 8;
const CONSUMER_GROUP_DESCRIBE: i16 = 69;
const GROUP_ID_NOT_FOUND: i16 = 69;
const UNSUPPORTED_VERSION: i16 = 35;
/// No member commits: an administrator.
const NO_GENERATION: i32 = -1;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// Its state, where brokers say it.
    pub state: String,
    /// Its type: `classic` or `consumer`.
    pub kind: String,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: String,
    /// Who shares its partitions out.
    pub assignor: String,
    /// Who coordinates it.
    pub coordinator: Node,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// What the coordinator calls it.
    pub id: String,
    /// What a static member calls itself.
    pub instance: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// What it reads.
    pub assignment: Vec<TopicPartition>,
}

/// Offsets of a group, by partition.
pub type GroupOffset = BTreeMap<TopicPartition, i64>;

fn to(group: &str) -> To {
    To::Coordinator(Coordinator::Group, group.to_owned())
}

impl Admin<'_> {
    /// The consumer groups of all brokers, by id; of these states and types, if any are named.
    ///
    /// # Errors
    /// The first one of a broker.
    pub fn list_groups(
        &mut self,
        states: &[String],
        types: &[String],
    ) -> Result<Vec<GroupListing>> {
        let mut groups = BTreeMap::new();
        for broker in self.brokers()? {
            let call = Call::new(To::Node(broker.id), "listConsumerGroups").within(self.timeout);
            let make = |version| ListGroupsRequest {
                states_filter: if version >= STATES { states.to_vec() } else { Vec::new() },
                types_filter: if version >= TYPES { types.to_vec() } else { Vec::new() },
            };
            let response = self.client.call(&call, make, |response| response.error_code)?;
            ClientError::check(response.error_code, None)?;
            for group in response.groups {
                // Groups of Kafka Connect and the like are no consumers.
                if !group.protocol_type.is_empty() && group.protocol_type != "consumer" {
                    continue;
                }
                let (id, state, kind) = (group.group_id, group.group_state, group.group_type);
                groups.insert(id.clone(), GroupListing { id, state, kind });
            }
        }
        Ok(groups.into_values().collect())
    }

    /// A group; one that does not exist is dead.
    ///
    /// # Errors
    /// As the coordinator says.
    pub fn describe_group(&mut self, id: &str) -> Result<GroupDescription> {
        let deadline =
            std::time::Instant::now() + self.timeout.unwrap_or(self.client.config.api_timeout);
        let new_kind = {
            let connection = self.client.connection(&to(id), "describeConsumerGroups", deadline);
            match connection {
                Ok(connection) => connection.range(CONSUMER_GROUP_DESCRIBE).is_some(),
                Err(error) if error.is_retriable() => false,
                Err(error) => return Err(error),
            }
        };
        if new_kind && let Some(group) = self.describe_new_group(id)? {
            return Ok(group);
        }
        let call = Call::new(to(id), "describeConsumerGroups").within(self.timeout);
        let make = |_| DescribeGroupsRequest {
            groups: vec![id.to_owned()],
            include_authorized_operations: false,
        };
        let response = self.client.call(&call, make, |response| {
            response.groups.first().map_or(0, |group| group.error_code)
        })?;
        let coordinator = self.coordinator_of(id)?;
        let Some(group) = response.groups.into_iter().next() else {
            return Err(ClientError::Protocol("the answer lacks the group".to_owned()));
        };
        if group.error_code == GROUP_ID_NOT_FOUND {
            let (id, state) = (id.to_owned(), "Dead".to_owned());
            let (assignor, members) = (String::new(), Vec::new());
            return Ok(GroupDescription { id, state, assignor, coordinator, members });
        }
        ClientError::check(group.error_code, None)?;
        let mut members = Vec::new();
        for member in group.members {
            members.push(GroupMember {
                id: member.member_id,
                instance: member.group_instance_id,
                client_id: member.client_id,
                host: member.client_host,
                assignment: assigned_partitions(&member.member_assignment)?,
            });
        }
        Ok(GroupDescription {
            id: group.group_id,
            state: group.group_state,
            assignor: group.protocol_data,
            coordinator,
            members,
        })
    }

    fn coordinator_of(&mut self, group: &str) -> Result<Node> {
        let deadline = std::time::Instant::now() + self.client.config.request_timeout;
        let id = self.client.coordinator_id(Coordinator::Group, group, deadline)?;
        self.client.nodes.get(&id).cloned().ok_or(ClientError::Disconnected)
    }

    /// A group of the protocol in which the coordinator shares out; `None` if it is none.
    fn describe_new_group(&mut self, id: &str) -> Result<Option<GroupDescription>> {
        let call = Call::new(to(id), "describeConsumerGroups").up_to(0).within(self.timeout);
        let make = |_| ConsumerGroupDescribeRequest {
            group_ids: vec![id.to_owned()],
            include_authorized_operations: false,
        };
        let asked = self.client.call(&call, make, |response| {
            response.groups.first().map_or(0, |group| group.error_code)
        });
        let response = match asked {
            Ok(response) => response,
            Err(ClientError::UnsupportedVersion(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let coordinator = self.coordinator_of(id)?;
        let Some(group) = response.groups.into_iter().next() else { return Ok(None) };
        if matches!(group.error_code, GROUP_ID_NOT_FOUND | UNSUPPORTED_VERSION) {
            return Ok(None);
        }
        ClientError::check(group.error_code, group.error_message)?;
        let members = group.members.into_iter().map(|member| GroupMember {
            id: member.member_id,
            instance: member.instance_id,
            client_id: member.client_id,
            host: member.client_host,
            assignment: member
                .assignment
                .topic_partitions
                .into_iter()
                .flat_map(|topic| {
                    let name = topic.topic_name;
                    topic.partitions.into_iter().map(move |it| TopicPartition::new(&name, it))
                })
                .collect(),
        });
        Ok(Some(GroupDescription {
            id: group.group_id,
            state: group.group_state,
            assignor: group.assignor_name,
            coordinator,
            members: members.collect(),
        }))
    }

    /// The offsets that a group has committed.
    ///
    /// # Errors
    /// As the coordinator says.
    pub fn group_offsets(&mut self, group: &str) -> Result<GroupOffset> {
        let call = Call::new(to(group), "offsetFetch").up_to(OFFSET_FETCH).within(self.timeout);
        let make = |_| OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: None,
            ..OffsetFetchRequest::default()
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, None)?;
        let mut offsets = BTreeMap::new();
        for topic in response.topics {
            for partition in topic.partitions {
                ClientError::check(partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let key = TopicPartition::new(&topic.name, partition.partition_index);
                    offsets.insert(key, partition.committed_offset);
                }
            }
        }
        Ok(offsets)
    }

    /// Commits offsets for a group without members.
    ///
    /// # Errors
    /// The first one of a partition.
    pub fn alter_group_offsets(&mut self, group: &str, offsets: &GroupOffset) -> Result<()> {
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, offset) in offsets {
            let committed = OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: *offset,
                committed_metadata: Some(String::new()),
                ..OffsetCommitRequestPartition::default()
            };
            match topics.last_mut().filter(|topic| topic.name == partition.topic) {
                Some(topic) => topic.partitions.push(committed),
                None => topics.push(OffsetCommitRequestTopic {
                    name: partition.topic.clone(),
                    partitions: vec![committed],
                }),
            }
        }
        if topics.is_empty() {
            return Ok(());
        }
        let call = Call::new(to(group), "offsetCommit").up_to(OFFSET_COMMIT).within(self.timeout);
        let make = |_| OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: NO_GENERATION,
            topics: topics.clone(),
            ..OffsetCommitRequest::default()
        };
        let first = |response: &polyport_kafka_codec::messages::OffsetCommitResponse| {
            let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.find(|it| it.error_code != 0).map_or(0, |it| it.error_code)
        };
        let response = self.client.call(&call, make, first)?;
        ClientError::check(first(&response), None)
    }

    /// Ends a group.
    ///
    /// # Errors
    /// As the coordinator says.
    pub fn delete_group(&mut self, group: &str) -> Result<()> {
        let call = Call::new(to(group), "deleteConsumerGroups").within(self.timeout);
        let make = |_| DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
        let code = |response: &polyport_kafka_codec::messages::DeleteGroupsResponse| {
            response.results.first().map_or(0, |result| result.error_code)
        };
        let response = self.client.call(&call, make, code)?;
        ClientError::check(code(&response), None)
    }

    /// Forgets offsets of a group; gives the error of each partition that has one.
    ///
    /// # Errors
    /// As the coordinator says of the group.
    pub fn delete_group_offsets(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, ClientError>> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let index = OffsetDeleteRequestPartition { partition_index: partition.partition };
            topics.entry(&partition.topic).or_default().push(index);
        }
        let call = Call::new(to(group), "offsetDelete").within(self.timeout);
        let make = |_| OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: topics
                .iter()
                .map(|(name, partitions)| OffsetDeleteRequestTopic {
                    name: (*name).to_owned(),
                    partitions: partitions.clone(),
                })
                .collect(),
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, None)?;
        let results = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().filter_map(move |it| {
                let error = ClientError::of(it.error_code, None)?;
                Some((TopicPartition::new(&name, it.partition_index), error))
            })
        });
        Ok(results.collect())
    }
}
