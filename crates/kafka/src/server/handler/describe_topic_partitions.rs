//! DescribeTopicPartitions: topics page by page (KIP-966).

use polyport_kafka_codec::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use polyport_kafka_codec::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use polyport_kafka_codec::{ErrorCode, Uuid};

use crate::metadata::image::{Image, Partition};
use crate::metadata::topics::is_internal;
use crate::security::acl::{Operation, ResourceKind};
use crate::server::dispatch::Call;

/// Most partitions of an answer: Kafka's `max.request.partition.size.limit`.
const MOST: usize = 2000;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = call.broker.images.current();
    let all = request.topics.is_empty();
    let mut names: Vec<String> = match all {
        true => image.topics().map(|topic| topic.name.to_string()).collect(),
        false => request.topics.into_iter().map(|topic| topic.name).collect(),
    };
    if all {
        names.retain(|name| call.topic(Operation::Describe, name).is_ok());
    }
    names.sort_unstable();
    names.dedup();
    let (from, mut first) = match request.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index),
        None => (String::new(), 0),
    };
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MOST);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from) {
        if name != from {
            first = 0;
        }
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        if let Err(code) = call.topic(Operation::Describe, &name) {
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: code.code(),
                name: Some(name),
                ..Default::default()
            });
            continue;
        }
        let found = image.topic(&name).filter(|_| !image.is_deleting(&name));
        let Some(topic) = found else {
            if !all {
                response.topics.push(DescribeTopicPartitionsResponseTopic {
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    name: Some(name),
                    ..Default::default()
                });
            }
            continue;
        };
        let rest = topic.numbered().filter(|(number, _)| *number >= first);
        let partitions: Vec<_> = rest.take(left).map(|(n, of)| partition(&image, n, of)).collect();
        left -= partitions.len();
        let next = first.max(0) as usize + partitions.len();
        response.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(name.clone()),
            topic_id: Uuid(topic.id.0),
            is_internal: is_internal(&name),
            topic_authorized_operations: call.operations(ResourceKind::Topic, &name),
            partitions,
            ..Default::default()
        });
        if next < topic.partitions.len() {
            let partition_index = i32::try_from(next).unwrap_or(i32::MAX);
            response.next_cursor = Some(Cursor { topic_name: name, partition_index });
            break;
        }
    }
    response
}

fn partition(
    image: &Image,
    number: i32,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let leader = partition.leader().filter(|leader| image.is_alive(*leader));
    let code = match leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    DescribeTopicPartitionsResponsePartition {
        error_code: code.code(),
        partition_index: number,
        leader_id: leader.unwrap_or(-1),
        leader_epoch: partition.leader_epoch(),
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr().to_vec(),
        offline_replicas: image.offline_replicas(partition),
        // None are kept here, which is no null: Java's client takes a null for a list and fails.
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
    }
}
