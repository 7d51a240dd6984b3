//! What is written to `__consumer_offsets`, in Kafka's own formats: Kafka's console consumer, its
//! `kafka-dump-log` and a real broker read it, and records that they wrote are read here.
//!
//! The key says by its version what kind of record it is. A record without a value takes back what
//! the last one of its key said.

mod consumer;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use polyport_log::checkpoint::partition_metadata::TopicId;

pub use self::consumer::{
    ClassicProtocols, ConsumerMember, CurrentAssignment, MemberState, TopicPartitionCount,
};

/// Partitions by topic, in order.
pub type Partitions = std::collections::BTreeMap<TopicId, std::collections::BTreeSet<i32>>;

/// A record of the offsets topic. Without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The position of a group in a partition. Key versions 0 and 1.
    Offset {
        /// The group's id.
        group: Arc<str>,
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's number.
        partition: i32,
        /// The position.
        value: Option<OffsetValue>,
    },
    /// A generation of a classic group. Key version 2.
    Group {
        /// The group's id.
        group: Arc<str>,
        /// The generation.
        value: Option<GroupValue>,
    },
    /// The epoch of a consumer group. Key version 3.
    ConsumerGroup {
        /// The group's id.
        group: Arc<str>,
        /// The epoch.
        epoch: Option<i32>,
    },
    /// The subscribed topics that exist. Key version 4.
    ConsumerTopics {
        /// The group's id.
        group: Arc<str>,
        /// The topics, by name.
        topics: Option<Vec<TopicPartitionCount>>,
    },
    /// A member of a consumer group. Key version 5.
    ConsumerMember {
        /// The group's id.
        group: Arc<str>,
        /// The member's id.
        member: Arc<str>,
        /// What the member said.
        value: Option<ConsumerMember>,
    },
    /// The epoch of the target assignment. Key version 6.
    ConsumerTargetEpoch {
        /// The group's id.
        group: Arc<str>,
        /// The epoch.
        epoch: Option<i32>,
    },
    /// What a member is to have. Key version 7.
    ConsumerTarget {
        /// The group's id.
        group: Arc<str>,
        /// The member's id.
        member: Arc<str>,
        /// The partitions.
        partitions: Option<Partitions>,
    },
    /// What a member has. Key version 8.
    ConsumerCurrent {
        /// The group's id.
        group: Arc<str>,
        /// The member's id.
        member: Arc<str>,
        /// Where the member is on its way to the target.
        value: Option<CurrentAssignment>,
    },
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    /// The next record to be read.
    pub offset: i64,
    /// Epoch of the leader that the last read record came from.
    pub leader_epoch: Option<i32>,
    /// The client's own words.
    pub metadata: Arc<str>,
    /// Milliseconds since 1970.
    pub commit_timestamp: i64,
    /// Milliseconds since 1970; only from clients that set a retention of their own.
    pub expire_timestamp: Option<i64>,
}

/// A generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupValue {
    /// `consumer`, `connect`, …; empty if the group never had a member.
    pub protocol_type: String,
    /// The generation's number.
    pub generation: i32,
    /// The protocol that was chosen; none without members.
    pub protocol: Option<String>,
    /// The leader's member id; none without members.
    pub leader: Option<String>,
    /// Milliseconds since 1970 when the group came into its state.
    pub state_timestamp: Option<i64>,
    /// The members.
    pub members: Vec<MemberValue>,
}

/// A member of a generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    /// The member's id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// How long the member may take to join again.
    pub rebalance_timeout_ms: i32,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// The member's metadata for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader gave the member.
    pub assignment: Bytes,
}

impl Record {
    /// Whether the record takes back what the last one of its key said.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Record::Offset { value, .. } => value.is_none(),
            Record::Group { value, .. } => value.is_none(),
            Record::ConsumerGroup { epoch, .. } | Record::ConsumerTargetEpoch { epoch, .. } => {
                epoch.is_none()
            }
            Record::ConsumerTopics { topics, .. } => topics.is_none(),
            Record::ConsumerMember { value, .. } => value.is_none(),
            Record::ConsumerTarget { partitions, .. } => partitions.is_none(),
            Record::ConsumerCurrent { value, .. } => value.is_none(),
        }
    }

    /// The group that the record is about.
    pub fn group(&self) -> &Arc<str> {
        match self {
            Record::Offset { group, .. }
            | Record::Group { group, .. }
            | Record::ConsumerGroup { group, .. }
            | Record::ConsumerTopics { group, .. }
            | Record::ConsumerMember { group, .. }
            | Record::ConsumerTargetEpoch { group, .. }
            | Record::ConsumerTarget { group, .. }
            | Record::ConsumerCurrent { group, .. } => group,
        }
    }
}
