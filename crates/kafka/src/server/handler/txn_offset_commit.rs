//! TxnOffsetCommit.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use polyport_kafka_codec::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use polyport_log::TopicPartition;
use polyport_log::producer::Verification;

use super::offsets_to_commit::{Asked, OffsetsToCommit};
use crate::broker::verification::Transactional;
use crate::group::machine::{InTransaction, TransactionalProducer};
use crate::group::offsets::CommitOffsets;
use crate::metadata::topics::CONSUMER_OFFSETS;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::transaction::machine::Producer;

/// The first version whose clients know TRANSACTION_ABORTABLE.
const FIRST_VERSION_OF_ABORTABLE: i16 = 4;
/// Coordinators' records have no sequence.
const NO_SEQUENCE: i32 = -1;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let asked = topic.partitions.into_iter().map(|asked| Asked {
            partition: asked.partition_index,
            offset: asked.committed_offset,
            leader_epoch: asked.committed_leader_epoch,
            metadata: asked.committed_metadata,
            commit_timestamp: -1,
            retention_ms: -1,
        });
        (topic.name, asked.collect())
    });
    let may = call.transactional_id(Operation::Write, &request.transactional_id);
    let may = may.and_then(|()| call.group(Operation::Read, &request.group_id));
    let mut commit = OffsetsToCommit::new(call, may, topics);
    let offsets = std::mem::take(&mut commit.offsets);
    if !offsets.is_empty() {
        let offsets = CommitOffsets {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id,
            offsets,
        };
        let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
        let group = &request.group_id;
        match verify(call, group, &request.transactional_id, producer).await {
            Ok(verification) => {
                let producer = TransactionalProducer { id: producer.id, epoch: producer.epoch };
                let transaction = InTransaction { producer, verification };
                let groups = &call.broker.groups;
                let outcome = groups.commit_offsets_in_transaction(group, offsets, transaction);
                commit.settle(&outcome.await);
            }
            Err(code) => commit.refuse(code),
        }
    }
    let topics = commit.topics.into_iter().map(|(name, partitions)| {
        let partition = |(partition_index, code): (i32, ErrorCode)| {
            TxnOffsetCommitResponsePartition { partition_index, error_code: code.code() }
        };
        let partitions = partitions.into_iter().map(partition).collect();
        TxnOffsetCommitResponseTopic { name, partitions }
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

/// Asks the transaction's coordinator whether the group's partition is in the transaction (KIP-890).
async fn verify(
    call: &Call,
    group: &str,
    id: &str,
    producer: Producer,
) -> Result<Verification, ErrorCode> {
    let broker = &call.broker;
    if !broker.verifies_transactions() {
        return Ok(Verification::NotNeeded);
    }
    let partition = broker.groups.partition_of(group);
    // If it is not led here, the group says so.
    let Some(found) = broker.store.partition(CONSUMER_OFFSETS, partition) else {
        return Ok(Verification::Missing);
    };
    let now = broker.clock.now();
    let begun = found.begin_verification(producer.id, producer.epoch, NO_SEQUENCE, now);
    let Ok(Some(guard)) = begun else { return Ok(Verification::Missing) };
    let knows_abortable = call.version() >= FIRST_VERSION_OF_ABORTABLE;
    let transaction = Transactional { id, producer, knows_abortable };
    let of = TopicPartition { topic: CONSUMER_OFFSETS.to_owned(), partition };
    match broker.verify(&transaction, &[of]).await.first() {
        Some(ErrorCode::None) => Ok(Verification::Verified(guard)),
        // Clients of groups do not know it.
        Some(ErrorCode::NetworkException) | None => Err(ErrorCode::CoordinatorLoadInProgress),
        Some(code) => Err(*code),
    }
}
