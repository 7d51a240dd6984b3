//! ListOffsets.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::list_offsets_request::ListOffsetsPartition;
use polyport_kafka_codec::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use polyport_kafka_codec::messages::{ListOffsetsRequest, ListOffsetsResponse};
use polyport_log::Isolation;
use polyport_partitions::{ListOffset, OffsetAt};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// The first version that says which leader epoch an offset is of.
const FIRST_VERSION_OF_EPOCHS: i16 = 4;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        // A follower follows to the log's end.
        _ if request.replica_id >= 0 && call.client.is_broker() => Isolation::LogEnd,
        1 => Isolation::LastStable,
        _ => Isolation::HighWatermark,
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|asked| partition(call, &topic.name, asked, isolation));
        ListOffsetsTopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

fn partition(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..Default::default()
    };
    match find(call, topic, asked, isolation) {
        Ok(Some((timestamp, offset, leader_epoch))) => {
            let said = call.version() >= FIRST_VERSION_OF_EPOCHS;
            let leader_epoch = if said { leader_epoch } else { -1 };
            ListOffsetsPartitionResponse { timestamp, offset, leader_epoch, ..answer }
        }
        Ok(None) => answer,
        Err(code) => ListOffsetsPartitionResponse { error_code: code.code(), ..answer },
    }
}

/// Timestamp, offset and leader epoch.
fn find(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<(i64, i64, i32)>, ErrorCode> {
    call.topic(Operation::Describe, topic)?;
    let broker = &call.broker;
    let partition = broker.store.partition(topic, asked.partition_index);
    let partition = partition.ok_or_else(|| broker.why_missing(topic, asked.partition_index))?;
    let at = match asked.timestamp {
        -1 => OffsetAt::Latest,
        -2 => OffsetAt::Earliest,
        -3 => OffsetAt::MaxTimestamp,
        -4 => OffsetAt::EarliestLocal,
        // Of what is tiered, and there is nothing.
        -5 => return Ok(None),
        timestamp if timestamp < 0 => return Err(ErrorCode::UnsupportedVersion),
        timestamp => OffsetAt::Timestamp(timestamp),
    };
    let epoch = asked.current_leader_epoch;
    let leader_epoch = (epoch >= 0).then_some(epoch);
    let ask = ListOffset { at, isolation, leader_epoch, only_leader: true };
    let found = partition.list_offset(&ask).map_err(|error| error.code())?;
    Ok(found.map(|found| (found.timestamp, found.offset, found.leader_epoch)))
}
