//! The offsets that one group has committed.

mod commit;
mod expiry;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::commit::{CommitOffset, CommitOffsets, CommittedOffset, FetchOffsets, FetchedOffset};
pub(crate) use self::expiry::Expiry;

use super::record::OffsetValue;

/// An offset with where it is written: of two, the one further on in the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Committed {
    value: OffsetValue,
    batch: i64,
}

type ByPartition = BTreeMap<Arc<str>, BTreeMap<i32, Committed>>;

/// What a group has committed, and what transactions that have not ended would have it commit. Only
/// records change it, in the order of the log, so that reading the log again gives the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    committed: ByPartition,
    /// By producer id.
    pending: BTreeMap<i64, ByPartition>,
}

impl Offsets {
    /// Applies a record that is in the batch at offset `batch`, of a transaction if there is a
    /// producer id.
    pub(crate) fn apply(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        value: Option<OffsetValue>,
        producer_id: Option<i64>,
        batch: i64,
    ) {
        let Some(value) = value else {
            match producer_id {
                Some(producer_id) => self.remove_pending(producer_id, topic, partition),
                None => {
                    remove(&mut self.committed, topic, partition);
                    let producers: Vec<i64> = self.pending.keys().copied().collect();
                    for producer_id in producers {
                        self.remove_pending(producer_id, topic, partition);
                    }
                }
            }
            return;
        };
        let to = match producer_id {
            Some(producer_id) => self.pending.entry(producer_id).or_default(),
            None => &mut self.committed,
        };
        put(to, topic, partition, Committed { value, batch });
    }

    fn remove_pending(&mut self, producer_id: i64, topic: &str, partition: i32) {
        if let Some(pending) = self.pending.get_mut(&producer_id) {
            remove(pending, topic, partition);
            if pending.is_empty() {
                self.pending.remove(&producer_id);
            }
        }
    }

    /// Ends a transaction. An offset that was committed after the transaction's stays.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if !commit {
            return;
        }
        for (topic, partitions) in pending {
            for (partition, committed) in partitions {
                let newer = self.committed(&topic, partition);
                if newer.is_none_or(|newer| newer.batch < committed.batch) {
                    put(&mut self.committed, &topic, partition, committed);
                }
            }
        }
    }

    fn committed(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.committed.get(topic)?.get(&partition)
    }

    /// The committed offset of a partition.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&OffsetValue> {
        Some(&self.committed(topic, partition)?.value)
    }

    /// Whether a transaction that has not ended has written an offset for the partition.
    pub(crate) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        let wrote = |pending: &ByPartition| {
            pending.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.pending.values().any(wrote)
    }

    /// All committed offsets, by topic and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &OffsetValue)> {
        self.committed.iter().flat_map(|(topic, partitions)| {
            let value = move |(partition, committed)| -> (&Arc<str>, i32, &OffsetValue) {
                let (partition, committed): (&i32, &Committed) = (partition, committed);
                (topic, *partition, &committed.value)
            };
            partitions.iter().map(value)
        })
    }

    /// The partitions of a topic with an offset, pending ones too.
    pub(crate) fn partitions_of(&self, topic: &str) -> Vec<i32> {
        let all = self.pending.values().chain([&self.committed]);
        let mut partitions: Vec<i32> = all
            .filter_map(|offsets| offsets.get(topic))
            .flat_map(|of| of.keys().copied())
            .collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// The topics with an offset, pending ones too.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        let all = self.pending.values().chain([&self.committed]);
        let mut topics: Vec<Arc<str>> = all.flat_map(|offsets| offsets.keys().cloned()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Whether there is nothing, not even pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }
}

fn put(to: &mut ByPartition, topic: &Arc<str>, partition: i32, committed: Committed) {
    match to.get_mut(&**topic) {
        Some(partitions) => {
            partitions.insert(partition, committed);
        }
        None => {
            to.insert(topic.clone(), BTreeMap::from([(partition, committed)]));
        }
    }
}

fn remove(from: &mut ByPartition, topic: &str, partition: i32) {
    if let Some(partitions) = from.get_mut(topic) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            from.remove(topic);
        }
    }
}
