//! Bytes to records, in all versions that Kafka 3.9 reads.

use std::sync::Arc;

use polyport_kafka_codec::messages::consumer_group_current_member_assignment_value as current;
use polyport_kafka_codec::messages::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupMetadataKey, GroupMetadataValue,
    OffsetCommitKey, OffsetCommitValue, group_metadata_value,
};
use polyport_kafka_codec::{DecodeError, Message, record};

use super::{
    ClassicProtocols, ConsumerMember, CurrentAssignment, GroupValue, MemberState, MemberValue,
    OffsetValue, Partitions, Record, TopicId, TopicPartitionCount,
};

/// Reads a value of one of the versions that there are.
fn value<M: Message, T>(
    value: Option<&[u8]>,
    newest: i16,
    make: fn(M, i16) -> T,
) -> Result<Option<T>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let version = record::version(value)?;
    if !(0..=newest).contains(&version) {
        return Err(DecodeError { at: 0, what: "a value of an unknown version" });
    }
    Ok(Some(make(record::decode(value)?, version)))
}

impl Record {
    /// The record with this key and value; `None` if its kind is unknown, as one of a newer Kafka's.
    ///
    /// # Errors
    /// If it is malformed, or its value is of a version that does not exist in Kafka 3.9.
    pub fn decode(key: &[u8], of: Option<&[u8]>) -> Result<Option<Record>, DecodeError> {
        let record = match record::version(key)? {
            0 | 1 => {
                let OffsetCommitKey { group, topic, partition } = record::decode(key)?;
                let value = value(of, 4, offset)?;
                Record::Offset { group: group.into(), topic: topic.into(), partition, value }
            }
            2 => {
                let GroupMetadataKey { group } = record::decode(key)?;
                Record::Group { group: group.into(), value: value(of, 4, group_value)? }
            }
            3 => {
                let ConsumerGroupMetadataKey { group_id } = record::decode(key)?;
                let epoch = value(of, 0, |of: ConsumerGroupMetadataValue, _| of.epoch)?;
                Record::ConsumerGroup { group: group_id.into(), epoch }
            }
            4 => {
                let ConsumerGroupPartitionMetadataKey { group_id } = record::decode(key)?;
                Record::ConsumerTopics { group: group_id.into(), topics: value(of, 0, topics)? }
            }
            5 => {
                let ConsumerGroupMemberMetadataKey { group_id, member_id } = record::decode(key)?;
                let (group, member) = (group_id.into(), member_id.into());
                Record::ConsumerMember { group, member, value: value(of, 0, consumer_member)? }
            }
            6 => {
                let ConsumerGroupTargetAssignmentMetadataKey { group_id } = record::decode(key)?;
                let epoch = |of: ConsumerGroupTargetAssignmentMetadataValue, _| of.assignment_epoch;
                let epoch = value(of, 0, epoch)?;
                Record::ConsumerTargetEpoch { group: group_id.into(), epoch }
            }
            7 => {
                let ConsumerGroupTargetAssignmentMemberKey { group_id, member_id } =
                    record::decode(key)?;
                let (group, member) = (group_id.into(), member_id.into());
                Record::ConsumerTarget { group, member, partitions: value(of, 0, target)? }
            }
            8 => {
                let ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id } =
                    record::decode(key)?;
                let (group, member) = (group_id.into(), member_id.into());
                Record::ConsumerCurrent { group, member, value: value(of, 0, assignment)? }
            }
            _ => return Ok(None),
        };
        Ok(Some(record))
    }
}

fn offset(of: OffsetCommitValue, _: i16) -> OffsetValue {
    OffsetValue {
        offset: of.offset,
        leader_epoch: Some(of.leader_epoch).filter(|epoch| *epoch != -1),
        metadata: Arc::from(of.metadata),
        commit_timestamp: of.commit_timestamp,
        expire_timestamp: Some(of.expire_timestamp).filter(|at| *at != -1),
    }
}

fn group_value(of: GroupMetadataValue, version: i16) -> GroupValue {
    let member = |of: group_metadata_value::MemberMetadata| MemberValue {
        member_id: of.member_id,
        instance_id: of.group_instance_id,
        client_id: of.client_id,
        client_host: of.client_host,
        // Before there was one, the session timeout was used.
        rebalance_timeout_ms: if version == 0 { of.session_timeout } else { of.rebalance_timeout },
        session_timeout_ms: of.session_timeout,
        subscription: of.subscription,
        assignment: of.assignment,
    };
    GroupValue {
        protocol_type: of.protocol_type,
        generation: of.generation,
        protocol: of.protocol,
        leader: of.leader,
        state_timestamp: Some(of.current_state_timestamp).filter(|at| *at != -1),
        members: of.members.into_iter().map(member).collect(),
    }
}

fn topics(of: ConsumerGroupPartitionMetadataValue, _: i16) -> Vec<TopicPartitionCount> {
    let topics = of.topics.into_iter().map(|of| TopicPartitionCount {
        topic_id: TopicId(of.topic_id.0),
        topic: of.topic_name,
        partitions: of.num_partitions,
    });
    topics.collect()
}

fn consumer_member(of: ConsumerGroupMemberMetadataValue, _: i16) -> ConsumerMember {
    ConsumerMember {
        instance_id: of.instance_id,
        rack_id: of.rack_id,
        client_id: of.client_id,
        client_host: of.client_host,
        topics: of.subscribed_topic_names,
        topic_regex: of.subscribed_topic_regex,
        rebalance_timeout_ms: of.rebalance_timeout_ms,
        assignor: of.server_assignor,
        classic: of.classic_member_metadata.map(|of| ClassicProtocols {
            session_timeout_ms: of.session_timeout_ms,
            protocols: of
                .supported_protocols
                .into_iter()
                .map(|of| (of.name, of.metadata))
                .collect(),
        }),
    }
}

fn target(of: ConsumerGroupTargetAssignmentMemberValue, _: i16) -> Partitions {
    let topics = of.topic_partitions.into_iter();
    topics.map(|of| (TopicId(of.topic_id.0), of.partitions.into_iter().collect())).collect()
}

fn partitions(of: Vec<current::TopicPartitions>) -> Partitions {
    let topics = of.into_iter();
    topics.map(|of| (TopicId(of.topic_id.0), of.partitions.into_iter().collect())).collect()
}

fn assignment(of: ConsumerGroupCurrentMemberAssignmentValue, _: i16) -> CurrentAssignment {
    CurrentAssignment {
        epoch: of.member_epoch,
        previous_epoch: of.previous_member_epoch,
        state: MemberState::from_number(of.state),
        assigned: partitions(of.assigned_partitions),
        pending_revocation: partitions(of.partitions_pending_revocation),
    }
}
