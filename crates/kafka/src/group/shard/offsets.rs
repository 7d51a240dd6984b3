//! Committing, reading and expiring offsets.

use std::sync::Arc;

use super::super::error::{AppendError, GroupError};
use super::super::machine::{Context, EndTransaction, GroupId, InTransaction};
use super::super::offsets::{CommitOffsets, FetchOffsets, FetchedOffset, Offsets};
use super::super::record::Record;
use super::membership::Membership;
use super::{Group, Shard};

/// The answer to a commit: why all of it was refused, or what became of each offset, in their order.
pub type CommitOutcome = Result<Vec<Result<(), GroupError>>, GroupError>;

/// What became of a commit whose records were written, or were not.
fn finish(
    outcomes: Vec<Result<(), GroupError>>,
    written: Result<(), AppendError>,
) -> Vec<Result<(), GroupError>> {
    let written = written.map_err(AppendError::for_commit);
    outcomes.into_iter().map(|outcome| outcome.and(written)).collect()
}

impl Shard {
    /// OffsetCommit of several groups, appended in one batch.
    pub fn commit(
        &mut self,
        requests: &[(GroupId, CommitOffsets)],
        cx: &mut Context<'_>,
    ) -> Vec<CommitOutcome> {
        let mut records = Vec::new();
        let check = |(group, request): &(GroupId, CommitOffsets)| {
            self.check_commit(group, request, false, &mut records, cx)
        };
        let checked: Vec<CommitOutcome> = requests.iter().map(check).collect();
        let written = self.write(records, None, cx);
        if requests.len() > 1 && written == Err(AppendError::TooLarge) {
            // One of them is, or all together.
            let alone = |request| self.commit(std::slice::from_ref(request), cx);
            return requests.iter().flat_map(alone).collect();
        }
        for (group, _) in requests {
            self.forget_if_nothing(group);
        }
        checked.into_iter().map(|outcomes| Ok(finish(outcomes?, written))).collect()
    }

    /// TxnOffsetCommit.
    ///
    /// # Errors
    /// Those of `commit`; `InvalidProducerEpoch`, `InvalidTxnState`.
    pub fn commit_in_transaction(
        &mut self,
        group: &GroupId,
        request: &CommitOffsets,
        transaction: impl Into<InTransaction>,
        cx: &mut Context<'_>,
    ) -> CommitOutcome {
        let mut records = Vec::new();
        let checked = self.check_commit(group, request, true, &mut records, cx);
        let written = self.write(records, Some(transaction.into()), cx);
        self.forget_if_nothing(group);
        Ok(finish(checked?, written))
    }

    fn check_commit(
        &mut self,
        id: &GroupId,
        request: &CommitOffsets,
        in_transaction: bool,
        records: &mut Vec<Record>,
        cx: &Context<'_>,
    ) -> CommitOutcome {
        if !in_transaction && request.generation >= 0 && !self.groups.contains_key(id) {
            return Err(GroupError::IllegalGeneration);
        }
        let offsets = &request.offsets;
        let membership = &mut self.group_or_new(id, cx).membership;
        let member = membership.check_commit(request, in_transaction, cx);
        if let Err(error) = member {
            self.forget_if_nothing(id);
            return Err(error);
        }
        let mut outcomes = Vec::with_capacity(offsets.len());
        for offset in offsets {
            match offset.value(cx.now.wall.0, cx.config.max_offset_metadata) {
                Err(error) => outcomes.push(Err(error)),
                Ok(value) => {
                    let (group, topic) = (id.clone(), offset.topic.clone());
                    let partition = offset.partition;
                    records.push(Record::Offset { group, topic, partition, value: Some(value) });
                    outcomes.push(Ok(()));
                }
            }
        }
        Ok(outcomes)
    }

    /// Appends records and applies them.
    pub(super) fn write(
        &mut self,
        records: Vec<Record>,
        transaction: Option<InTransaction>,
        cx: &mut Context<'_>,
    ) -> Result<(), AppendError> {
        if records.is_empty() {
            return Ok(());
        }
        let batch = cx.log.append(cx.now, &records, transaction)?;
        let producer = transaction.map(|transaction| transaction.producer.id);
        for record in records {
            self.apply(record, producer, batch, cx);
        }
        Ok(())
    }

    /// Writes the marker that ends a producer's transaction, and carries it out.
    ///
    /// # Errors
    /// `InvalidProducerEpoch`, `TransactionCoordinatorFenced`, or why it could not be written.
    pub fn end_transaction(
        &mut self,
        end: EndTransaction,
        cx: &mut Context<'_>,
    ) -> Result<(), GroupError> {
        cx.log.append_marker(cx.now, end).map_err(AppendError::for_group)?;
        self.apply_marker(end.producer.id, end.commit);
        Ok(())
    }

    /// OffsetFetch.
    ///
    /// # Errors
    /// `UnknownMemberId`, `StaleMemberEpoch`, for members of consumer groups.
    pub fn fetch(
        &self,
        group: &str,
        request: &FetchOffsets,
    ) -> Result<Vec<FetchedOffset>, GroupError> {
        match self.group(group) {
            Some(group) => {
                if let Membership::Consumer(consumer) = &group.membership {
                    consumer.check_fetch(request.member_id.as_deref(), request.member_epoch)?;
                }
                Ok(group.offsets.fetch(request))
            }
            None => Ok(Offsets::default().fetch(request)),
        }
    }

    /// Every committed offset.
    pub fn each_offset(&self, mut each: impl FnMut(&GroupId, &Arc<str>, i32, i64)) {
        for (id, group) in &self.groups {
            for (topic, partition, value) in group.offsets.iter() {
                each(id, topic, partition, value.offset);
            }
        }
    }

    /// The topics are gone, and what was committed for them with them.
    pub fn topics_deleted(&mut self, topics: &[Arc<str>], cx: &mut Context<'_>) {
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get(&id) else { continue };
            let gone = |topic: &Arc<str>| {
                let partitions = group.offsets.partitions_of(topic).into_iter();
                partitions.map(|partition| (topic.clone(), partition)).collect::<Vec<_>>()
            };
            let gone: Vec<_> = topics.iter().flat_map(gone).collect();
            if !gone.is_empty() {
                self.remove_and_log(&id, gone, cx);
            }
        }
    }

    /// Removes what has outlived its retention, and groups that nothing is left of.
    pub(super) fn expire_offsets(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get(&id) else { continue };
            let expired = expired(group, cx);
            let is_left = group.membership.is_vacant() && group.offsets.is_empty();
            if !expired.is_empty() || is_left {
                self.remove_and_log(&id, expired, cx);
            }
        }
    }

    fn remove_and_log(&mut self, id: &GroupId, gone: Vec<(Arc<str>, i32)>, cx: &mut Context<'_>) {
        let count = gone.len();
        match self.remove_offsets(id, gone, cx) {
            Ok(()) => tracing::info!(group = &**id, count, "offsets removed"),
            Err(error) => tracing::warn!(group = &**id, %error, "offsets not removed"),
        }
    }

    /// Removes offsets, and the group if nothing else is left of it.
    pub(super) fn remove_offsets(
        &mut self,
        id: &GroupId,
        partitions: Vec<(Arc<str>, i32)>,
        cx: &mut Context<'_>,
    ) -> Result<(), AppendError> {
        if !self.groups.contains_key(id) {
            return Ok(());
        }
        let tombstone = |(topic, partition)| {
            let group = id.clone();
            Record::Offset { group, topic, partition, value: None }
        };
        self.write(partitions.into_iter().map(tombstone).collect(), None, cx)?;
        match self.groups.get(id) {
            Some(group) if group.membership.is_vacant() && group.offsets.is_empty() => {
                self.remove_group(id, cx)
            }
            _ => Ok(()),
        }
    }

    /// Removes a group without members, with what it has committed.
    pub(super) fn remove_group(
        &mut self,
        id: &GroupId,
        cx: &mut Context<'_>,
    ) -> Result<(), AppendError> {
        let Some(group) = self.groups.get(id) else { return Ok(()) };
        let mut records = group.membership.tombstones();
        for topic in group.offsets.topics() {
            for partition in group.offsets.partitions_of(&topic) {
                let (group, topic) = (id.clone(), topic.clone());
                records.push(Record::Offset { group, topic, partition, value: None });
            }
        }
        self.write(records, None, cx)?;
        self.forget(id);
        Ok(())
    }
}

/// The partitions whose offsets have outlived their retention.
fn expired(group: &Group, cx: &Context<'_>) -> Vec<(Arc<str>, i32)> {
    let subscribed = |topic: &str| group.membership.is_subscribed(topic);
    let expiry = group.membership.expiry(&subscribed);
    group.offsets.expired(&expiry, cx.now.wall, cx.config.offsets_retention)
}
