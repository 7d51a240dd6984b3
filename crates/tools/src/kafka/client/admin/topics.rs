//! Topics: list, describe, create, grow, delete; where their partitions are being moved.

use std::collections::BTreeMap;

use polyport_kafka_codec::Uuid;
use polyport_kafka_codec::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use polyport_kafka_codec::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use polyport_kafka_codec::messages::delete_topics_request::DeleteTopicState;
use polyport_kafka_codec::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use polyport_kafka_codec::messages::metadata_response::MetadataResponseTopic;
use polyport_kafka_codec::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeTopicPartitionsRequest, ListPartitionReassignmentsRequest,
};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Node, Result, To, TopicPartition};
use crate::kafka::log::{Level, log};

/// The first DeleteTopics that names topics in structs.
const DELETE_BY_ID: i16 = 6;
const DESCRIBE_TOPIC_PARTITIONS: i16 = 75;
const ADMIN_CLIENT: &str = "org.apache.kafka.clients.admin.KafkaAdminClient";

/// A topic in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; zero from brokers that have none.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id; zero from brokers that have none.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
    /// In order.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// Who leads it, if anybody does.
    pub leader: Option<i32>,
    /// Who has it; the first is preferred as leader.
    pub replicas: Vec<i32>,
    /// Who has all of it.
    pub isr: Vec<i32>,
    /// Who may lead it while nobody is in the ISR; `None` where brokers do not say.
    pub elr: Option<Vec<i32>>,
    /// Who was in the ELR last; `None` where brokers do not say.
    pub last_known_elr: Option<Vec<i32>>,
}

/// Where a partition is being moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// All that have it or will have it.
    pub replicas: Vec<i32>,
    /// Those that will have it.
    pub adding: Vec<i32>,
    /// Those that will not have it.
    pub removing: Vec<i32>,
}

/// A topic to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; as many as the cluster likes, if not said.
    pub partitions: Option<i32>,
    /// How many replicas of each; as many as the cluster likes, if not said.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition, instead of both.
    pub assignment: Vec<Vec<i32>>,
    /// Its settings.
    pub configs: Vec<(String, String)>,
}

impl Admin<'_> {
    /// All topics, by name.
    ///
    /// # Errors
    /// If nobody answers, or a topic cannot be told of.
    pub fn list_topics(&mut self) -> Result<Vec<TopicListing>> {
        let response = self.client.metadata(None, false, "listTopics", self.timeout)?;
        let listing = |topic: MetadataResponseTopic| {
            let internal = topic.is_internal;
            Some(TopicListing { name: topic.name?, id: topic.topic_id, internal })
        };
        let mut topics: Vec<_> = response.topics.into_iter().filter_map(listing).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// The brokers that are there.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn brokers(&mut self) -> Result<Vec<Node>> {
        self.client.metadata(Some(&[]), false, "describeCluster", self.timeout)?;
        Ok(self.client.nodes.values().cloned().collect())
    }

    /// The topics of these names, by name.
    ///
    /// # Errors
    /// The first one of a topic.
    pub fn describe_topics(
        &mut self,
        names: &[String],
        partitions_a_response: i32,
    ) -> Result<Vec<TopicDescription>> {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        let deadline = std::time::Instant::now() + self.client.config.api_timeout;
        let connection = self.client.connection(&To::Any, "describeTopics", deadline)?;
        if connection.range(DESCRIBE_TOPIC_PARTITIONS).is_some() {
            return self.describe_in_parts(&names, partitions_a_response);
        }
        let message = format!(
            "{}The DescribeTopicPartitions API is not supported, using Metadata API to describe \
             topics.",
            self.client.config.log_prefix
        );
        log(self.client.console, Level::Warn, &message, ADMIN_CLIENT);
        self.describe_by_metadata(&names)
    }

    /// As `describe_topics`, with what every broker knows.
    ///
    /// # Errors
    /// The first one of a topic.
    pub fn describe_by_metadata(&mut self, names: &[String]) -> Result<Vec<TopicDescription>> {
        let response = self.client.metadata(Some(names), false, "describeTopics", self.timeout)?;
        response.topics.into_iter().map(description).collect()
    }

    fn describe_in_parts(&mut self, names: &[String], limit: i32) -> Result<Vec<TopicDescription>> {
        let mut topics: BTreeMap<String, TopicDescription> = BTreeMap::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let from = cursor.as_ref().map(|cursor| cursor.topic_name.as_str()).unwrap_or_default();
            let left: Vec<_> = names.iter().filter(|name| name.as_str() >= from).collect();
            let call = Call::new(To::Any, "describeTopics").within(self.timeout);
            let make = |_| DescribeTopicPartitionsRequest {
                topics: left.iter().map(|name| TopicRequest { name: (*name).clone() }).collect(),
                response_partition_limit: limit,
                cursor: cursor.clone(),
            };
            let response = self.client.call(&call, make, |_| 0)?;
            for topic in response.topics {
                ClientError::check(topic.error_code, None)?;
                let name = topic.name.unwrap_or_default();
                let (id, internal) = (topic.topic_id, topic.is_internal);
                let entry = topics.entry(name.clone()).or_insert_with(|| TopicDescription {
                    name,
                    id,
                    internal,
                    partitions: Vec::new(),
                });
                entry.partitions.extend(topic.partitions.into_iter().map(|partition| {
                    PartitionDescription {
                        partition: partition.partition_index,
                        leader: leader(partition.leader_id),
                        replicas: partition.replica_nodes,
                        isr: partition.isr_nodes,
                        elr: Some(partition.eligible_leader_replicas.unwrap_or_default()),
                        last_known_elr: Some(partition.last_known_elr.unwrap_or_default()),
                    }
                }));
            }
            let Some(next) = response.next_cursor else { break };
            let next =
                Cursor { topic_name: next.topic_name, partition_index: next.partition_index };
            if cursor.as_ref() == Some(&next) {
                return Err(ClientError::Protocol("the broker's cursor does not move".to_owned()));
            }
            cursor = Some(next);
        }
        let mut topics: Vec<_> = topics.into_values().collect();
        topics.iter_mut().for_each(|topic| topic.partitions.sort_by_key(|it| it.partition));
        Ok(topics)
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// As the controller says.
    pub fn create_topic(&mut self, topic: &NewTopic) -> Result<()> {
        if topic.name.is_empty() {
            return ClientError::check(
                17,
                Some("The given topic name '' cannot be represented in a request.".to_owned()),
            );
        }
        let timeout_ms = self.broker_timeout_ms();
        let call = Call::new(To::Controller, "createTopics").within(self.timeout);
        let assignments = topic.assignment.iter().zip(0..).map(|(brokers, partition_index)| {
            CreatableReplicaAssignment { partition_index, broker_ids: brokers.clone() }
        });
        let configs = topic.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        });
        let creatable = CreatableTopic {
            name: topic.name.clone(),
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replication_factor.unwrap_or(-1),
            assignments: assignments.collect(),
            configs: configs.collect(),
        };
        let make = |_| CreateTopicsRequest {
            topics: vec![creatable.clone()],
            timeout_ms,
            ..CreateTopicsRequest::default()
        };
        let first = |codes: Option<i16>| codes.unwrap_or_default();
        let response = self.client.call(&call, make, |response| {
            first(response.topics.first().map(|topic| topic.error_code))
        })?;
        let result = response.topics.into_iter().next();
        result.map_or(Ok(()), |topic| ClientError::check(topic.error_code, topic.error_message))
    }

    /// Gives topics more partitions: how many in all, and where the new ones go if that is said.
    ///
    /// # Errors
    /// The first one of a topic.
    pub fn create_partitions(
        &mut self,
        topics: &[(String, i32, Option<Vec<Vec<i32>>>)],
    ) -> Result<()> {
        let timeout_ms = self.broker_timeout_ms();
        let call = Call::new(To::Controller, "createPartitions").within(self.timeout);
        let assignment =
            |brokers: &Vec<i32>| CreatePartitionsAssignment { broker_ids: brokers.clone() };
        let make = |_| CreatePartitionsRequest {
            topics: topics
                .iter()
                .map(|(name, count, places)| CreatePartitionsTopic {
                    name: name.clone(),
                    count: *count,
                    assignments: places.as_ref().map(|all| all.iter().map(assignment).collect()),
                })
                .collect(),
            timeout_ms,
            validate_only: false,
        };
        let response = self.client.call(&call, make, |response| {
            response.results.first().map_or(0, |topic| topic.error_code)
        })?;
        let check = |topic: polyport_kafka_codec::messages::create_partitions_response::CreatePartitionsTopicResult| {
            ClientError::check(topic.error_code, topic.error_message)
        };
        response.results.into_iter().try_for_each(check)
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// The first one of a topic.
    pub fn delete_topics(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let timeout_ms = self.broker_timeout_ms();
        let call = Call::new(To::Controller, "deleteTopics").within(self.timeout);
        let state = |name: &String| DeleteTopicState {
            name: Some(name.clone()),
            ..DeleteTopicState::default()
        };
        let make = |version| match version {
            DELETE_BY_ID.. => DeleteTopicsRequest {
                topics: names.iter().map(state).collect(),
                timeout_ms,
                ..DeleteTopicsRequest::default()
            },
            _ => DeleteTopicsRequest {
                topic_names: names.to_vec(),
                timeout_ms,
                ..DeleteTopicsRequest::default()
            },
        };
        let response = self.client.call(&call, make, |response| {
            response.responses.first().map_or(0, |topic| topic.error_code)
        })?;
        response
            .responses
            .into_iter()
            .try_for_each(|topic| ClientError::check(topic.error_code, topic.error_message))
    }

    /// Which partitions are being moved, of all topics.
    ///
    /// # Errors
    /// As the controller says.
    pub fn list_reassignments(&mut self) -> Result<BTreeMap<TopicPartition, Reassignment>> {
        let timeout_ms = self.broker_timeout_ms();
        let call = Call::new(To::Controller, "listPartitionReassignments").within(self.timeout);
        let make = |_| ListPartitionReassignmentsRequest { timeout_ms, topics: None };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)?;
        let moves = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |partition| {
                let (adding, removing) = (partition.adding_replicas, partition.removing_replicas);
                let place = TopicPartition::new(name.clone(), partition.partition_index);
                (place, Reassignment { replicas: partition.replicas, adding, removing })
            })
        });
        Ok(moves.collect())
    }
}

fn leader(id: i32) -> Option<i32> {
    (id >= 0).then_some(id)
}

fn description(topic: MetadataResponseTopic) -> Result<TopicDescription> {
    ClientError::check(topic.error_code, None)?;
    let partition =
        |it: polyport_kafka_codec::messages::metadata_response::MetadataResponsePartition| {
            PartitionDescription {
                partition: it.partition_index,
                leader: leader(it.leader_id),
                replicas: it.replica_nodes,
                isr: it.isr_nodes,
                elr: None,
                last_known_elr: None,
            }
        };
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_by_key(|it| it.partition);
    Ok(TopicDescription {
        name: topic.name.unwrap_or_default(),
        id: topic.topic_id,
        internal: topic.is_internal,
        partitions,
    })
}
