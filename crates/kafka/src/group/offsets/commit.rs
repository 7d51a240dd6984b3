//! What clients ask for and are told about offsets.

use std::sync::Arc;

use super::super::GroupError;
use super::super::record::OffsetValue;
use super::Offsets;

/// OffsetCommit and TxnOffsetCommit. Whether the partitions exist is for the caller to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOffsets {
    /// The member's id; empty if the client manages its partitions by itself.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The generation of a classic group, the member's epoch of a consumer group; -1 if none.
    pub generation: i32,
    /// The offsets.
    pub offsets: Vec<CommitOffset>,
}

/// One offset to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The next record to be read.
    pub offset: i64,
    /// Epoch of the leader that the last read record came from.
    pub leader_epoch: Option<i32>,
    /// The client's own words.
    pub metadata: Option<Arc<str>>,
    /// Milliseconds since 1970, from clients that say when; now otherwise.
    pub commit_timestamp: Option<i64>,
    /// Milliseconds, from clients that say how long the offset is to be kept.
    pub retention_ms: Option<i64>,
}

impl CommitOffset {
    /// What is to be stored.
    ///
    /// # Errors
    /// `OffsetMetadataTooLarge`.
    pub(crate) fn value(&self, now: i64, max_metadata: usize) -> Result<OffsetValue, GroupError> {
        let metadata = self.metadata.clone().unwrap_or_default();
        // A text has no more UTF-16 units than bytes, so most need not be counted.
        if metadata.len() > max_metadata && metadata.encode_utf16().count() > max_metadata {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        let commit_timestamp = self.commit_timestamp.unwrap_or(now);
        Ok(OffsetValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata,
            commit_timestamp,
            expire_timestamp: self.retention_ms.map(|retention| now.saturating_add(retention)),
        })
    }
}

/// OffsetFetch of one group. By default: all offsets, for somebody who is no member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// From version 9 on, a member's id.
    pub member_id: Option<String>,
    /// From version 9 on, a member's epoch; -1 if none.
    pub member_epoch: i32,
    /// Which partitions, by topic; `None`: all with an offset.
    pub partitions: Option<Vec<(Arc<str>, Vec<i32>)>>,
    /// Whether an offset that an open transaction may replace is to be answered with an error.
    pub require_stable: bool,
}

impl Default for FetchOffsets {
    fn default() -> Self {
        FetchOffsets { member_id: None, member_epoch: -1, partitions: None, require_stable: false }
    }
}

/// What OffsetFetch answers about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The offset; `Ok(None)` if none was committed, `UnstableOffsetCommit` if a transaction is open.
    pub offset: Result<Option<OffsetValue>, GroupError>,
}

/// A group's offset in a partition, for measuring how far behind the group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The group's id.
    pub group: Arc<str>,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The next record to be read.
    pub offset: i64,
}

impl Offsets {
    /// Answers OffsetFetch. A group that does not exist answers as an empty one.
    pub(crate) fn fetch(&self, request: &FetchOffsets) -> Vec<FetchedOffset> {
        let one = |topic: &Arc<str>, partition: i32| {
            let offset = if request.require_stable && self.is_unstable(topic, partition) {
                Err(GroupError::UnstableOffsetCommit)
            } else {
                Ok(self.get(topic, partition).cloned())
            };
            FetchedOffset { topic: topic.clone(), partition, offset }
        };
        match &request.partitions {
            Some(topics) => topics
                .iter()
                .flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, *p)))
                .map(|(topic, partition)| one(topic, partition))
                .collect(),
            None => self.iter().map(|(topic, partition, _)| one(topic, partition)).collect(),
        }
    }
}
