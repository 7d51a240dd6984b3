//! Records to bytes, in the versions that Kafka 3.9 writes.

use polyport_kafka_codec::messages::consumer_group_current_member_assignment_value as current;
use polyport_kafka_codec::messages::consumer_group_member_metadata_value as member;
use polyport_kafka_codec::messages::consumer_group_partition_metadata_value as topics;
use polyport_kafka_codec::messages::consumer_group_target_assignment_member_value as target;
use polyport_kafka_codec::messages::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupMetadataKey, GroupMetadataValue,
    OffsetCommitKey, OffsetCommitValue, group_metadata_value,
};
use polyport_kafka_codec::{EncodeError, Message, Uuid};

use super::{
    ConsumerMember, CurrentAssignment, GroupValue, OffsetValue, Partitions, Record,
    TopicPartitionCount,
};

fn put(message: &impl Message, version: i16, to: &mut Vec<u8>) -> Result<(), EncodeError> {
    to.extend_from_slice(&version.to_be_bytes());
    message.encode(to, version).map(|_| ())
}

fn put_value<T: ?Sized, M: Message>(
    value: Option<&T>,
    message: fn(&T) -> (M, i16),
    to: &mut Vec<u8>,
) -> Result<bool, EncodeError> {
    let Some(value) = value else { return Ok(false) };
    let (message, version) = message(value);
    put(&message, version, to).map(|()| true)
}

impl Record {
    /// Appends the key.
    ///
    /// # Errors
    /// If a name is longer than the format can say.
    pub fn encode_key(&self, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        let group = self.group().to_string();
        match self {
            Record::Offset { topic, partition, .. } => {
                let (topic, partition) = (topic.to_string(), *partition);
                put(&OffsetCommitKey { group, topic, partition }, 1, to)
            }
            Record::Group { .. } => put(&GroupMetadataKey { group }, 2, to),
            Record::ConsumerGroup { .. } => {
                put(&ConsumerGroupMetadataKey { group_id: group }, 3, to)
            }
            Record::ConsumerTopics { .. } => {
                put(&ConsumerGroupPartitionMetadataKey { group_id: group }, 4, to)
            }
            Record::ConsumerMember { member, .. } => {
                let member_id = member.to_string();
                put(&ConsumerGroupMemberMetadataKey { group_id: group, member_id }, 5, to)
            }
            Record::ConsumerTargetEpoch { .. } => {
                put(&ConsumerGroupTargetAssignmentMetadataKey { group_id: group }, 6, to)
            }
            Record::ConsumerTarget { member, .. } => {
                let member_id = member.to_string();
                put(&ConsumerGroupTargetAssignmentMemberKey { group_id: group, member_id }, 7, to)
            }
            Record::ConsumerCurrent { member, .. } => {
                let member_id = member.to_string();
                put(&ConsumerGroupCurrentMemberAssignmentKey { group_id: group, member_id }, 8, to)
            }
        }
    }

    /// Appends the value; false if the record is a tombstone.
    ///
    /// # Errors
    /// If something is longer than the format can say.
    pub fn encode_value(&self, to: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match self {
            Record::Offset { value, .. } => put_value(value.as_ref(), offset, to),
            Record::Group { value, .. } => put_value(value.as_ref(), group, to),
            Record::ConsumerGroup { epoch, .. } => put_value(
                epoch.as_ref(),
                |epoch| (ConsumerGroupMetadataValue { epoch: *epoch }, 0),
                to,
            ),
            Record::ConsumerTargetEpoch { epoch, .. } => put_value(
                epoch.as_ref(),
                |epoch| {
                    (ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: *epoch }, 0)
                },
                to,
            ),
            Record::ConsumerTopics { topics, .. } => put_value(topics.as_deref(), subscribed, to),
            Record::ConsumerMember { value, .. } => put_value(value.as_ref(), consumer_member, to),
            Record::ConsumerTarget { partitions, .. } => {
                put_value(partitions.as_ref(), target_partitions, to)
            }
            Record::ConsumerCurrent { value, .. } => put_value(value.as_ref(), assignment, to),
        }
    }
}

/// Version 1 if the client set a retention, else 3.
fn offset(value: &OffsetValue) -> (OffsetCommitValue, i16) {
    let message = OffsetCommitValue {
        offset: value.offset,
        leader_epoch: value.leader_epoch.unwrap_or(-1),
        metadata: value.metadata.to_string(),
        commit_timestamp: value.commit_timestamp,
        expire_timestamp: value.expire_timestamp.unwrap_or(-1),
    };
    (message, if value.expire_timestamp.is_some() { 1 } else { 3 })
}

fn group(value: &GroupValue) -> (GroupMetadataValue, i16) {
    let member = |member: &super::MemberValue| group_metadata_value::MemberMetadata {
        member_id: member.member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    };
    let message = GroupMetadataValue {
        protocol_type: value.protocol_type.clone(),
        generation: value.generation,
        protocol: value.protocol.clone(),
        leader: value.leader.clone(),
        current_state_timestamp: value.state_timestamp.unwrap_or(-1),
        members: value.members.iter().map(member).collect(),
    };
    (message, 3)
}

fn subscribed(value: &[TopicPartitionCount]) -> (ConsumerGroupPartitionMetadataValue, i16) {
    let topic = |topic: &TopicPartitionCount| topics::TopicMetadata {
        topic_id: Uuid(topic.topic_id.0),
        topic_name: topic.topic.clone(),
        num_partitions: topic.partitions,
        // No racks: assignors here do not ask for them.
        partition_metadata: Vec::new(),
    };
    (ConsumerGroupPartitionMetadataValue { topics: value.iter().map(topic).collect() }, 0)
}

fn consumer_member(value: &ConsumerMember) -> (ConsumerGroupMemberMetadataValue, i16) {
    let protocol = |(name, metadata): &(String, bytes::Bytes)| member::ClassicProtocol {
        name: name.clone(),
        metadata: metadata.clone(),
    };
    let classic = value.classic.as_ref().map(|classic| member::ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic.protocols.iter().map(protocol).collect(),
    });
    let message = ConsumerGroupMemberMetadataValue {
        instance_id: value.instance_id.clone(),
        rack_id: value.rack_id.clone(),
        client_id: value.client_id.clone(),
        client_host: value.client_host.clone(),
        subscribed_topic_names: value.topics.clone(),
        subscribed_topic_regex: value.topic_regex.clone(),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: value.assignor.clone(),
        classic_member_metadata: classic,
    };
    (message, 0)
}

fn target_partitions(value: &Partitions) -> (ConsumerGroupTargetAssignmentMemberValue, i16) {
    let topic = |(topic, partitions): (&super::TopicId, &std::collections::BTreeSet<i32>)| {
        let partitions = partitions.iter().copied().collect();
        target::TopicPartition { topic_id: Uuid(topic.0), partitions }
    };
    let topic_partitions = value.iter().map(topic).collect();
    (ConsumerGroupTargetAssignmentMemberValue { topic_partitions }, 0)
}

fn assignment(value: &CurrentAssignment) -> (ConsumerGroupCurrentMemberAssignmentValue, i16) {
    let partitions = |of: &Partitions| {
        let topic = |(topic, partitions): (&super::TopicId, &std::collections::BTreeSet<i32>)| {
            let partitions = partitions.iter().copied().collect();
            current::TopicPartitions { topic_id: Uuid(topic.0), partitions }
        };
        of.iter().map(topic).collect()
    };
    let message = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: value.epoch,
        previous_member_epoch: value.previous_epoch,
        state: value.state.number(),
        assigned_partitions: partitions(&value.assigned),
        partitions_pending_revocation: partitions(&value.pending_revocation),
    };
    (message, 0)
}
