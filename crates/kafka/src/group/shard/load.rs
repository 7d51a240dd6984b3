//! Applying records: those that were just written, and those that are read when the partition comes
//! to this node.

use super::super::classic::ClassicGroup;
use super::super::machine::{Context, GroupId};
use super::super::record::Record;
use super::membership::Membership;
use super::{Group, Shard};

impl Shard {
    /// Applies a record of the batch at offset `batch`, of a transaction if there is a producer id.
    pub fn apply(
        &mut self,
        record: Record,
        producer_id: Option<i64>,
        batch: i64,
        cx: &Context<'_>,
    ) {
        match record {
            Record::Offset { group, topic, partition, value } => {
                if value.is_none() && !self.groups.contains_key(&group) {
                    return;
                }
                if let Some(producer_id) = producer_id {
                    self.producers.entry(producer_id).or_default().insert(group.clone());
                }
                let offsets = &mut self.group_or_new(&group, cx).offsets;
                offsets.apply(&topic, partition, value, producer_id, batch);
            }
            Record::Group { group, value } => {
                let membership = match &value {
                    Some(value) => ClassicGroup::load(group.clone(), value),
                    None => ClassicGroup::new(group.clone(), cx.now.wall),
                };
                if value.is_none() && !self.groups.contains_key(&group) {
                    return;
                }
                self.group_or_new(&group, cx).membership = Membership::Classic(membership);
            }
            record => self.apply_consumer(record, cx),
        }
    }

    /// Carries out the end of a producer's transaction.
    pub fn apply_marker(&mut self, producer_id: i64, commit: bool) {
        for id in self.producers.remove(&producer_id).unwrap_or_default() {
            if let Some(group) = self.groups.get_mut(&id) {
                group.offsets.end_transaction(producer_id, commit);
                self.forget_if_nothing(&id);
            }
        }
    }

    /// All records have been applied: groups come to life.
    pub fn on_loaded(&mut self, cx: &mut Context<'_>) {
        self.retention_check = cx.now.uptime + cx.config.offsets_retention_check_interval;
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            match self.groups.get_mut(&id).map(|group| &mut group.membership) {
                Some(Membership::Classic(classic)) => classic.on_loaded(cx),
                Some(Membership::Consumer(consumer)) => {
                    consumer.on_loaded(cx.now.uptime, cx.config.consumer_session_timeout);
                }
                None => {}
            }
            self.settle(&id, cx);
        }
    }

    /// The partition is another node's now: those who wait are sent there.
    pub fn on_unloaded(&mut self, cx: &mut Context<'_>) {
        for group in self.groups.values_mut() {
            if let Membership::Classic(classic) = &mut group.membership {
                classic.on_unloaded(cx);
            }
        }
        *self = Shard::default();
    }

    pub(super) fn forget_if_nothing(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Group::is_nothing) {
            self.forget(id);
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        if let Some((id, group)) = self.groups.remove_entry(id)
            && let Some(timer) = group.timer
        {
            self.timers.remove(&(timer, id));
        }
    }
}
