//! DescribeProducers.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use polyport_kafka_codec::messages::{DescribeProducersRequest, DescribeProducersResponse};
use polyport_log::producer::ProducerEntry;

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let numbers = topic.partition_indexes.iter();
        let partitions = numbers.map(|number| partition(call, &topic.name, *number)).collect();
        TopicResponse { name: topic.name, partitions }
    });
    DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
}

fn partition(call: &Call, topic: &str, number: i32) -> PartitionResponse {
    let broker = &call.broker;
    let found = call.topic(Operation::Read, topic).and_then(|()| {
        match broker.store.partition(topic, number) {
            Some(partition) => partition.producers().map_err(|error| error.code()),
            None => Err(broker.why_missing(topic, number)),
        }
    });
    match found {
        Ok(producers) => PartitionResponse {
            partition_index: number,
            active_producers: producers.iter().map(state).collect(),
            ..Default::default()
        },
        Err(code) => PartitionResponse {
            partition_index: number,
            error_code: code.code(),
            error_message: (code != ErrorCode::None).then(|| code.message().to_owned()),
            ..Default::default()
        },
    }
}

fn state(entry: &ProducerEntry) -> ProducerState {
    ProducerState {
        producer_id: entry.producer_id,
        producer_epoch: i32::from(entry.epoch),
        last_sequence: entry.last_sequence(),
        last_timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.txn_first_offset.unwrap_or(-1),
    }
}
