//! ListPartitionReassignments.

use std::collections::BTreeSet;
use std::sync::Arc;

use polyport_kafka_codec::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use polyport_kafka_codec::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use crate::metadata::image::{Partition, Topic};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    if let Err(code) = call.cluster(Operation::Describe) {
        return ListPartitionReassignmentsResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        };
    }
    let image = call.broker.images.fresh().await;
    let mut topics: Vec<OngoingTopicReassignment> = match request.topics {
        None => image.topics().filter_map(|topic| of_topic(topic, topic.numbered())).collect(),
        Some(named) => {
            let of = |name: &str, numbers: BTreeSet<i32>| {
                let topic = image.topic(name)?;
                let found = |number| Some((number, topic.partition(number)?));
                of_topic(topic, numbers.into_iter().filter_map(found))
            };
            let named = named.into_iter();
            named
                .filter_map(|topic| of(&topic.name, topic.partition_indexes.into_iter().collect()))
                .collect()
        }
    };
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() }
}

fn of_topic<'a>(
    topic: &Arc<Topic>,
    partitions: impl Iterator<Item = (i32, &'a Partition)>,
) -> Option<OngoingTopicReassignment> {
    let ongoing = |(number, partition): (i32, &Partition)| {
        let moving = partition.reassigning.as_ref()?;
        Some(OngoingPartitionReassignment {
            partition_index: number,
            replicas: partition.replicas.to_vec(),
            adding_replicas: moving.adding.clone(),
            removing_replicas: moving.removing.clone(),
        })
    };
    let partitions: Vec<_> = partitions.filter_map(ongoing).collect();
    let name = topic.name.to_string();
    (!partitions.is_empty()).then_some(OngoingTopicReassignment { name, partitions })
}
