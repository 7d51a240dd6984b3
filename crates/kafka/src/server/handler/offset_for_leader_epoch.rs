//! OffsetForLeaderEpoch: up to where an epoch's records go.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use polyport_kafka_codec::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use polyport_kafka_codec::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| one(call, &topic.topic, asked));
        OffsetForLeaderTopicResult { partitions: partitions.collect(), topic: topic.topic }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}

fn one(call: &Call, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let answer = EpochEndOffset {
        error_code: ErrorCode::None.code(),
        partition: asked.partition,
        leader_epoch: -1,
        end_offset: -1,
    };
    match find(call, topic, asked) {
        Ok(Some((leader_epoch, end_offset))) => {
            EpochEndOffset { leader_epoch, end_offset, ..answer }
        }
        Ok(None) => answer,
        Err(code) => EpochEndOffset { error_code: code.code(), ..answer },
    }
}

fn find(
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ErrorCode> {
    if !call.may_cluster(Operation::ClusterAction) {
        call.topic(Operation::Describe, topic)?;
    }
    let broker = &call.broker;
    let partition = broker.store.partition(topic, asked.partition);
    let partition = partition.ok_or_else(|| broker.why_missing(topic, asked.partition))?;
    let epoch = asked.current_leader_epoch;
    let known = (epoch >= 0).then_some(epoch);
    let found = partition.end_offset_for_epoch(asked.leader_epoch, known, true);
    found.map_err(|error| error.code())
}
