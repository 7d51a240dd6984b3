//! DeleteRecords.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::delete_records_request::DeleteRecordsPartition;
use polyport_kafka_codec::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use polyport_kafka_codec::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::metadata::topics::is_internal;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let deleted = delete(call, &topic.name, asked);
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: *deleted.as_ref().unwrap_or(&-1),
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
            }
        });
        DeleteRecordsTopicResult { partitions: partitions.collect(), name: topic.name }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
}

fn delete(call: &Call, topic: &str, asked: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    /// Asks for all that is replicated.
    const ALL: i64 = -1;
    call.topic(Operation::Delete, topic)?;
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let broker = &call.broker;
    let partition = broker.store.partition(topic, asked.partition_index);
    let partition = partition.ok_or_else(|| broker.why_missing(topic, asked.partition_index))?;
    let before = (asked.offset != ALL).then_some(asked.offset);
    partition.delete_records(before).map_err(|error| error.code())
}
