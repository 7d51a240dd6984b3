//! OffsetCommit.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use polyport_kafka_codec::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::offsets_to_commit::{Asked, OffsetsToCommit};
use crate::group::offsets::CommitOffsets;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let retention_ms = request.retention_time_ms;
    let topics = request.topics.into_iter().map(|topic| {
        let asked = topic.partitions.into_iter().map(|asked| Asked {
            partition: asked.partition_index,
            offset: asked.committed_offset,
            leader_epoch: asked.committed_leader_epoch,
            metadata: asked.committed_metadata,
            commit_timestamp: asked.commit_timestamp,
            retention_ms,
        });
        (topic.name, asked.collect())
    });
    let may = call.group(Operation::Read, &request.group_id);
    let mut commit = OffsetsToCommit::new(call, may, topics);
    let offsets = std::mem::take(&mut commit.offsets);
    if !offsets.is_empty() {
        let offsets = CommitOffsets {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id_or_member_epoch,
            offsets,
        };
        commit.settle(&call.broker.groups.commit_offsets(&request.group_id, offsets).await);
    }
    let topics = commit.topics.into_iter().map(|(name, partitions)| {
        let partition = |(partition_index, code): (i32, ErrorCode)| OffsetCommitResponsePartition {
            partition_index,
            error_code: code.code(),
        };
        let partitions = partitions.into_iter().map(partition).collect();
        OffsetCommitResponseTopic { name, partitions }
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
