//! What the records of consumer groups hold.

use bytes::Bytes;

use super::{Partitions, TopicId};

/// A topic that a consumer group is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitionCount {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// What a member of a consumer group said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerMember {
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// Names of topics, in order.
    pub topics: Vec<String>,
    /// A regular expression for more of them.
    pub topic_regex: Option<String>,
    /// How long the member may take to give partitions up.
    pub rebalance_timeout_ms: i32,
    /// The assignor that the member prefers.
    pub assignor: Option<String>,
    /// Of a member that speaks the classic protocol to a consumer group.
    pub classic: Option<ClassicProtocols>,
}

/// What a member of the classic protocol brought into a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicProtocols {
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// Names and metadata.
    pub protocols: Vec<(String, Bytes)>,
}

/// Where a member is on its way to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what its epoch's target says.
    #[default]
    Stable,
    /// It has to give partitions up first.
    UnrevokedPartitions,
    /// It waits for partitions that others still have.
    UnreleasedPartitions,
    /// Written by a newer version; the member has to begin anew.
    Unknown,
}

/// What a member of a consumer group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// The member's epoch.
    pub epoch: i32,
    /// The one before it, which the member may still send if it missed an answer.
    pub previous_epoch: i32,
    /// Where it is on its way.
    pub state: MemberState,
    /// What it may read.
    pub assigned: Partitions,
    /// What it has to give up, and may be reading still.
    pub pending_revocation: Partitions,
}

impl MemberState {
    pub(super) fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    pub(super) fn from_number(number: i8) -> Self {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}
