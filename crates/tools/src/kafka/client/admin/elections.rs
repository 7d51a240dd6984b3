//! Leaders elected on purpose, and partitions moved.

use std::collections::BTreeMap;

use polyport_kafka_codec::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use polyport_kafka_codec::messages::elect_leaders_request::TopicPartitions;
use polyport_kafka_codec::messages::{AlterPartitionReassignmentsRequest, ElectLeadersRequest};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Result, To, TopicPartition};

impl Admin<'_> {
    /// Elects leaders: the first of the replicas, or with `unclean` anyone that is there; of these
    /// partitions, or of all. Gives the error of each that has one.
    ///
    /// # Errors
    /// As the controller says of the request.
    pub fn elect_leaders(
        &mut self,
        unclean: bool,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Option<ClientError>>> {
        let timeout_ms = self.broker_timeout_ms();
        let topics = partitions.map(|partitions| {
            let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            for partition in partitions {
                topics.entry(&partition.topic).or_default().push(partition.partition);
            }
            let topic = |(topic, partitions): (&str, Vec<i32>)| TopicPartitions {
                topic: topic.to_owned(),
                partitions,
            };
            topics.into_iter().map(topic).collect::<Vec<_>>()
        });
        let call = Call::new(To::Controller, "electLeaders").within(self.timeout);
        let make = |version| ElectLeadersRequest {
            election_type: i8::from(unclean && version > 0),
            topic_partitions: topics.clone(),
            timeout_ms,
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, None)?;
        let results = response.replica_election_results.into_iter().flat_map(|topic| {
            let name = topic.topic;
            topic.partition_result.into_iter().map(move |it| {
                let place = TopicPartition::new(&name, it.partition_id);
                (place, ClientError::of(it.error_code, it.error_message))
            })
        });
        Ok(results.collect())
    }

    /// Moves partitions to these brokers, or calls the moving of those without brokers off. Gives the
    /// error of each that has one.
    ///
    /// # Errors
    /// As the controller says of the request.
    pub fn reassign(
        &mut self,
        moves: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
    ) -> Result<BTreeMap<TopicPartition, ClientError>> {
        let timeout_ms = self.broker_timeout_ms();
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for (place, replicas) in moves {
            let replicas = replicas.clone();
            let partition = ReassignablePartition { partition_index: place.partition, replicas };
            topics.entry(&place.topic).or_default().push(partition);
        }
        let call = Call::new(To::Controller, "alterPartitionReassignments").within(self.timeout);
        let make = |_| AlterPartitionReassignmentsRequest {
            timeout_ms,
            topics: topics
                .iter()
                .map(|(name, partitions)| ReassignableTopic {
                    name: (*name).to_owned(),
                    partitions: partitions.clone(),
                })
                .collect(),
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)?;
        let errors = response.responses.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().filter_map(move |it| {
                let error = ClientError::of(it.error_code, it.error_message)?;
                Some((TopicPartition::new(&name, it.partition_index), error))
            })
        });
        Ok(errors.collect())
    }
}
