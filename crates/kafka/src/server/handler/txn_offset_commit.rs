//! TxnOffsetCommit.

use std::sync::Arc;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use polyport_kafka_codec::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use crate::group::machine::TransactionalProducer;
use crate::group::offsets::{CommitOffset, CommitOffsets};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let image = call.broker.images.current();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let whole = call.transactional_id(Operation::Write, &request.transactional_id);
    let whole = whole.and_then(|()| call.group(Operation::Read, &request.group_id));
    for topic in request.topics {
        let name: Arc<str> = topic.name.as_str().into();
        let may = whole.and_then(|()| call.topic(Operation::Read, &name));
        let known = image.topic(&name).filter(|_| !image.is_deleting(&name));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let partition_index = asked.partition_index;
            let exists = known.is_some_and(|of| of.partition(partition_index).is_some());
            let code = match (may, exists) {
                (Err(code), _) => code,
                (Ok(()), true) => ErrorCode::None,
                (Ok(()), false) => ErrorCode::UnknownTopicOrPartition,
            };
            let error_code = code.code();
            partitions.push(TxnOffsetCommitResponsePartition { partition_index, error_code });
            if code == ErrorCode::None {
                let epoch = asked.committed_leader_epoch;
                offsets.push(CommitOffset {
                    topic: name.clone(),
                    partition: partition_index,
                    offset: asked.committed_offset,
                    leader_epoch: (epoch >= 0).then_some(epoch),
                    metadata: asked.committed_metadata.map(Into::into),
                    commit_timestamp: None,
                    retention_ms: None,
                });
            }
        }
        topics.push(TxnOffsetCommitResponseTopic { name: topic.name, partitions });
    }
    if offsets.is_empty() {
        return TxnOffsetCommitResponse { topics, ..Default::default() };
    }
    let commit = CommitOffsets {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        offsets,
    };
    let producer = TransactionalProducer { id: request.producer_id, epoch: request.producer_epoch };
    let groups = &call.broker.groups;
    let outcome = groups.commit_offsets_in_transaction(&request.group_id, commit, producer).await;
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
    TxnOffsetCommitResponse { topics, ..Default::default() }
}
