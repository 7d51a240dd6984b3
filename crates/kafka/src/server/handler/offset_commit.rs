//! OffsetCommit.

use std::sync::Arc;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use polyport_kafka_codec::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::group::offsets::{CommitOffset, CommitOffsets};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let image = call.broker.images.current();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    // What is known now, and for the others their place among the outcomes.
    let group = call.group(Operation::Read, &request.group_id);
    for topic in request.topics {
        let name: Arc<str> = topic.name.as_str().into();
        let may = group.and_then(|()| call.topic(Operation::Read, &name));
        let known = image.topic(&name).filter(|_| !image.is_deleting(&name));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let exists = known.is_some_and(|of| of.partition(asked.partition_index).is_some());
            let code = match (may, exists) {
                (Err(code), _) => code,
                (Ok(()), true) => ErrorCode::None,
                (Ok(()), false) => ErrorCode::UnknownTopicOrPartition,
            };
            let error_code = code.code();
            let partition_index = asked.partition_index;
            partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
            if code != ErrorCode::None {
                continue;
            }
            let positive = |number: i64| (number >= 0).then_some(number);
            offsets.push(CommitOffset {
                topic: name.clone(),
                partition: partition_index,
                offset: asked.committed_offset,
                leader_epoch: (asked.committed_leader_epoch >= 0)
                    .then_some(asked.committed_leader_epoch),
                metadata: asked.committed_metadata.map(Into::into),
                commit_timestamp: positive(asked.commit_timestamp),
                retention_ms: positive(request.retention_time_ms),
            });
        }
        topics.push(OffsetCommitResponseTopic { name: topic.name, partitions });
    }
    if !offsets.is_empty() {
        let commit = CommitOffsets {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id_or_member_epoch,
            offsets,
        };
        let outcome = call.broker.groups.commit_offsets(&request.group_id, commit).await;
        let open = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        let open = open.filter(|partition| partition.error_code == ErrorCode::None.code());
        match outcome {
            Ok(outcomes) => {
                for (partition, outcome) in open.zip(&outcomes) {
                    partition.error_code = code_of(outcome);
                }
            }
            Err(error) => open.for_each(|partition| partition.error_code = error.code().code()),
        }
    }
    OffsetCommitResponse { topics, ..Default::default() }
}
