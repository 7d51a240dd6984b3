//! OffsetFetch.

use std::sync::Arc;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::offset_fetch_request::OffsetFetchRequestGroup;
use polyport_kafka_codec::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use polyport_kafka_codec::messages::{OffsetFetchRequest, OffsetFetchResponse};

use crate::group::GroupError;
use crate::group::offsets::{FetchOffsets, FetchedOffset};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};

/// The first version that asks for several groups at once.
const FIRST_VERSION_OF_MANY: i16 = 8;
/// The first version with an error of the group as a whole.
const FIRST_VERSION_OF_ERROR: i16 = 2;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.version() >= FIRST_VERSION_OF_MANY {
        let mut groups = Vec::with_capacity(request.groups.len());
        for asked in request.groups {
            groups.push(of_many(call, asked, stable).await);
        }
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let asked = request.topics.map(|topics| {
        let topic =
            |t: polyport_kafka_codec::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                (t.name.into(), t.partition_indexes)
            };
        topics.into_iter().map(topic).collect::<Vec<_>>()
    });
    alone(call, &request.group_id, asked, stable).await
}

type Asked = Option<Vec<(Arc<str>, Vec<i32>)>>;

async fn alone(call: &Call, group: &str, asked: Asked, stable: bool) -> OffsetFetchResponse {
    let (may, denied) = by_right(call, asked.clone());
    let fetch =
        FetchOffsets { member_id: None, member_epoch: -1, partitions: may, require_stable: stable };
    let outcome = match call.group(Operation::Describe, group) {
        Ok(()) => {
            let outcome = call.broker.groups.fetch_offsets(group, &fetch).await;
            outcome.map_err(|error| GroupError::code(&error))
        }
        Err(code) => Err(code),
    };
    match outcome {
        Ok(mut found) => {
            found.retain(|of| call.topic(Operation::Describe, &of.topic).is_ok());
            let topic = |(name, found): (Arc<str>, Vec<FetchedOffset>)| OffsetFetchResponseTopic {
                name: name.to_string(),
                partitions: found.into_iter().map(|offset| partition_alone(call, offset)).collect(),
            };
            let mut topics: Vec<_> = by_topic(found).into_iter().map(topic).collect();
            topics.extend(denied.into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|partition_index| {
                    failed_alone(partition_index, ErrorCode::TopicAuthorizationFailed)
                });
                let partitions = partitions.collect();
                OffsetFetchResponseTopic { name: name.to_string(), partitions }
            }));
            OffsetFetchResponse { topics, ..Default::default() }
        }
        Err(code) if call.version() >= FIRST_VERSION_OF_ERROR => {
            OffsetFetchResponse { error_code: code.code(), ..Default::default() }
        }
        Err(code) => {
            let failed = |partition_index| failed_alone(partition_index, code);
            let topic = |(name, partitions): (Arc<str>, Vec<i32>)| OffsetFetchResponseTopic {
                name: name.to_string(),
                partitions: partitions.into_iter().map(failed).collect(),
            };
            let topics = asked.unwrap_or_default().into_iter().map(topic).collect();
            OffsetFetchResponse { topics, ..Default::default() }
        }
    }
}

/// What may be looked at, and the topics that may not.
fn by_right(call: &Call, asked: Asked) -> (Asked, Vec<(Arc<str>, Vec<i32>)>) {
    let Some(topics) = asked else { return (None, Vec::new()) };
    let may = |(topic, _): &(Arc<str>, Vec<i32>)| call.topic(Operation::Describe, topic).is_ok();
    let (may, denied) = topics.into_iter().partition(may);
    (Some(may), denied)
}

fn failed_alone(partition_index: i32, code: ErrorCode) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        metadata: Some(String::new()),
        error_code: code.code(),
        ..Default::default()
    }
}

fn partition_alone(call: &Call, found: FetchedOffset) -> OffsetFetchResponsePartition {
    let said = said(found);
    OffsetFetchResponsePartition {
        partition_index: said.partition_index,
        committed_offset: said.committed_offset,
        committed_leader_epoch: match call.version() >= 5 {
            true => said.committed_leader_epoch,
            false => OffsetFetchResponsePartition::default().committed_leader_epoch,
        },
        metadata: said.metadata,
        error_code: said.error_code,
    }
}

async fn of_many(
    call: &Call,
    asked: OffsetFetchRequestGroup,
    stable: bool,
) -> OffsetFetchResponseGroup {
    if let Err(code) = call.group(Operation::Describe, &asked.group_id) {
        let (group_id, error_code) = (asked.group_id, code.code());
        return OffsetFetchResponseGroup { group_id, error_code, ..Default::default() };
    }
    let topics = asked.topics.map(|topics| {
        topics.into_iter().map(|topic| (topic.name.into(), topic.partition_indexes)).collect()
    });
    let (topics, denied) = by_right(call, topics);
    let fetch = FetchOffsets {
        member_id: asked.member_id,
        member_epoch: asked.member_epoch,
        partitions: topics,
        require_stable: stable,
    };
    let outcome = call.broker.groups.fetch_offsets(&asked.group_id, &fetch).await;
    let error_code = code_of(&outcome);
    let topic = |(name, found): (Arc<str>, Vec<FetchedOffset>)| OffsetFetchResponseTopics {
        name: name.to_string(),
        partitions: found.into_iter().map(said).collect(),
    };
    let known = outcome.is_ok();
    let mut found = outcome.unwrap_or_default();
    found.retain(|of| call.topic(Operation::Describe, &of.topic).is_ok());
    let mut topics: Vec<_> = by_topic(found).into_iter().map(topic).collect();
    topics.extend(denied.into_iter().filter(|_| known).map(|(name, partitions)| {
        let failed = |partition| OffsetFetchResponsePartitions {
            error_code: ErrorCode::TopicAuthorizationFailed.code(),
            ..none(partition)
        };
        let partitions = partitions.into_iter().map(failed).collect();
        OffsetFetchResponseTopics { name: name.to_string(), partitions }
    }));
    OffsetFetchResponseGroup { group_id: asked.group_id, topics, error_code }
}

fn none(partition_index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::None.code(),
    }
}

fn said(found: FetchedOffset) -> OffsetFetchResponsePartitions {
    let none = none(found.partition);
    match found.offset {
        Ok(None) => none,
        Ok(Some(value)) => OffsetFetchResponsePartitions {
            committed_offset: value.offset,
            committed_leader_epoch: value.leader_epoch.unwrap_or(-1),
            metadata: Some(value.metadata.to_string()),
            ..none
        },
        Err(error) => {
            OffsetFetchResponsePartitions { error_code: GroupError::code(&error).code(), ..none }
        }
    }
}

/// Offsets of one topic after the other, as answers list them.
fn by_topic(found: Vec<FetchedOffset>) -> Vec<(Arc<str>, Vec<FetchedOffset>)> {
    let mut topics: Vec<(Arc<str>, Vec<FetchedOffset>)> = Vec::new();
    for offset in found {
        match topics.last_mut() {
            Some((topic, offsets)) if *topic == offset.topic => offsets.push(offset),
            _ => topics.push((offset.topic.clone(), vec![offset])),
        }
    }
    topics
}
