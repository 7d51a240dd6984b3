//! OffsetDelete.

use std::sync::Arc;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use polyport_kafka_codec::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    if let Err(code) = call.group(Operation::Delete, &request.group_id) {
        return OffsetDeleteResponse { error_code: code.code(), ..Default::default() };
    }
    let image = call.broker.images.current();
    let mut asked: Vec<(Arc<str>, i32)> = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name: Arc<str> = topic.name.as_str().into();
        let may = call.topic(Operation::Read, &name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let exists = image.partition(&name, partition_index).is_some();
            let code = match (may, exists) {
                (Err(code), _) => code,
                (Ok(()), true) => ErrorCode::None,
                (Ok(()), false) => ErrorCode::UnknownTopicOrPartition,
            };
            if code == ErrorCode::None {
                asked.push((name.clone(), partition_index));
            }
            let error_code = code.code();
            partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
        }
        topics.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
    }
    match call.broker.groups.delete_offsets(&request.group_id, &asked).await {
        Ok(outcomes) => {
            let open = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            let open = open.filter(|partition| partition.error_code == ErrorCode::None.code());
            for (partition, outcome) in open.zip(&outcomes) {
                partition.error_code = code_of(outcome);
            }
            OffsetDeleteResponse { topics, ..Default::default() }
        }
        Err(error) => {
            OffsetDeleteResponse { error_code: error.code().code(), ..Default::default() }
        }
    }
}
