//! What OffsetCommit and TxnOffsetCommit have in common: offsets of partitions that exist go to the
//! group, the others are refused at once, and the answer has all of them in their order.

use std::sync::Arc;

use polyport_kafka_codec::ErrorCode;

use crate::group::offsets::CommitOffset;
use crate::group::shard::CommitOutcome;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// An offset as the request has it; what is below 0 was not said.
pub(super) struct Asked {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Option<String>,
    pub(super) commit_timestamp: i64,
    pub(super) retention_ms: i64,
}

/// A request's offsets, and what is to be answered so far.
pub(super) struct OffsetsToCommit {
    /// Of partitions that exist.
    pub(super) offsets: Vec<CommitOffset>,
    /// Each topic with its partitions; those without an error are among the offsets.
    pub(super) topics: Vec<(String, Vec<(i32, ErrorCode)>)>,
}

impl OffsetsToCommit {
    /// Takes a request apart. `may`: whether the caller may commit for the group at all.
    pub(super) fn new(
        call: &Call,
        may: Result<(), ErrorCode>,
        topics: impl Iterator<Item = (String, Vec<Asked>)>,
    ) -> Self {
        let image = call.broker.images.current();
        let mut this = Self { offsets: Vec::new(), topics: Vec::new() };
        for (name, partitions) in topics {
            let known = image.topic(&name).filter(|_| !image.is_deleting(&name));
            let may = may.and_then(|()| call.topic(Operation::Read, &name));
            let topic: Arc<str> = name.as_str().into();
            let mut codes = Vec::with_capacity(partitions.len());
            for asked in partitions {
                let exists = known.is_some_and(|of| of.partition(asked.partition).is_some());
                let code = match (may, exists) {
                    (Err(code), _) => code,
                    (Ok(()), true) => ErrorCode::None,
                    (Ok(()), false) => ErrorCode::UnknownTopicOrPartition,
                };
                codes.push((asked.partition, code));
                if code == ErrorCode::None {
                    this.offsets.push(asked.of(&topic));
                }
            }
            this.topics.push((name, codes));
        }
        this
    }

    /// Notes what became of the offsets, in their order.
    pub(super) fn settle(&mut self, outcome: &CommitOutcome) {
        let open = self.topics.iter_mut().flat_map(|(_, partitions)| partitions);
        let open = open.filter(|(_, code)| *code == ErrorCode::None);
        match outcome {
            Ok(outcomes) => {
                for ((_, code), outcome) in open.zip(outcomes) {
                    *code = outcome.as_ref().map_or_else(Code::code, |()| ErrorCode::None);
                }
            }
            Err(error) => open.for_each(|(_, code)| *code = error.code()),
        }
    }

    /// All of the offsets are refused.
    pub(super) fn refuse(&mut self, with: ErrorCode) {
        let open = self.topics.iter_mut().flat_map(|(_, partitions)| partitions);
        open.filter(|(_, code)| *code == ErrorCode::None).for_each(|(_, code)| *code = with);
    }
}

impl Asked {
    fn of(self, topic: &Arc<str>) -> CommitOffset {
        let said = |number: i64| (number >= 0).then_some(number);
        CommitOffset {
            topic: topic.clone(),
            partition: self.partition,
            offset: self.offset,
            leader_epoch: (self.leader_epoch >= 0).then_some(self.leader_epoch),
            metadata: self.metadata.map(Into::into),
            commit_timestamp: said(self.commit_timestamp),
            retention_ms: said(self.retention_ms),
        }
    }
}
