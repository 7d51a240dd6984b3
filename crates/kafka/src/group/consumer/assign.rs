//! The assignors of the server: who is to read what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::record::{Partitions, TopicId};

/// A way to share partitions among members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Everybody gets as many as the others, and keeps what it had.
    #[default]
    Uniform,
    /// Of each topic everybody gets a range, so that partitions of the same number go together.
    Range,
}

impl Assignor {
    /// As clients and tools say it.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// Shares the topics' partitions, each to one of those who read its topic.
    pub(super) fn assign(
        self,
        topics: &BTreeMap<TopicId, i32>,
        readers: &BTreeMap<Arc<str>, Reader>,
    ) -> BTreeMap<Arc<str>, Partitions> {
        match self {
            Assignor::Uniform => uniform(topics, readers),
            Assignor::Range => range(topics, readers),
        }
    }
}

/// A member, as assignors see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    pub(super) instance_id: Option<String>,
    pub(super) topics: BTreeSet<TopicId>,
    /// What it was to have before.
    pub(super) before: Partitions,
}

/// Members in the order of their instance ids, which survive restarts, then of their own.
fn range(
    topics: &BTreeMap<TopicId, i32>,
    readers: &BTreeMap<Arc<str>, Reader>,
) -> BTreeMap<Arc<str>, Partitions> {
    let mut order: Vec<(&Arc<str>, &Reader)> = readers.iter().collect();
    order.sort_by_key(|(id, reader)| (reader.instance_id.is_none(), &reader.instance_id, *id));
    let mut shares: BTreeMap<Arc<str>, Partitions> =
        readers.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for (topic, count) in topics {
        let of: Vec<&Arc<str>> = order
            .iter()
            .filter(|(_, reader)| reader.topics.contains(topic))
            .map(|(id, _)| *id)
            .collect();
        if of.is_empty() {
            continue;
        }
        // No more members than partitions get anything: the first ones get one more than the others.
        let (each, more) = (count / of.len() as i32, count % of.len() as i32);
        let mut next = 0;
        for (place, id) in of.into_iter().enumerate() {
            let end = next + each + i32::from((place as i32) < more);
            if next < end
                && let Some(share) = shares.get_mut(id)
            {
                share.insert(*topic, (next..end).collect());
            }
            next = end;
        }
    }
    shares
}

/// Members with how much each has, the one with the least first.
struct Loads<'a> {
    by_load: BTreeSet<(usize, &'a Arc<str>)>,
    shares: BTreeMap<&'a Arc<str>, (usize, Partitions)>,
    readers: &'a BTreeMap<Arc<str>, Reader>,
}

impl<'a> Loads<'a> {
    fn change(&mut self, id: &'a Arc<str>, change: impl FnOnce(&mut Partitions) -> isize) {
        let Some((load, share)) = self.shares.get_mut(id) else { return };
        self.by_load.remove(&(*load, id));
        *load = load.saturating_add_signed(change(share));
        self.by_load.insert((*load, id));
    }

    fn give(&mut self, id: &'a Arc<str>, topic: TopicId, partition: i32) {
        self.change(id, |share| {
            share.entry(topic).or_default().insert(partition);
            1
        });
    }

    fn take(&mut self, id: &'a Arc<str>, topic: TopicId, partition: i32) {
        self.change(id, |share| {
            if let Some(partitions) = share.get_mut(&topic) {
                partitions.remove(&partition);
                if partitions.is_empty() {
                    share.remove(&topic);
                }
            }
            -1
        });
    }

    /// Who has the least of those who read the topic.
    fn least(&self, topic: TopicId) -> Option<(usize, &'a Arc<str>)> {
        let reads = |id: &Arc<str>| self.readers[id].topics.contains(&topic);
        self.by_load.iter().find(|(_, id)| reads(id)).copied()
    }

    /// A partition whose owner has two more than somebody else who could have it: it goes there.
    fn find_move(&self) -> Option<(&'a Arc<str>, &'a Arc<str>, TopicId, i32)> {
        for (load, from) in self.by_load.iter().rev() {
            for (topic, partitions) in &self.shares[*from].1 {
                let Some((least, to)) = self.least(*topic) else { continue };
                if least + 1 < *load
                    && let Some(partition) = partitions.last()
                {
                    return Some((from, to, *topic, *partition));
                }
            }
        }
        None
    }
}

/// Everybody keeps what still is; the rest goes to those who have least; then one partition after the
/// other goes from who has much to who has less, until that would be no gain.
fn uniform(
    topics: &BTreeMap<TopicId, i32>,
    readers: &BTreeMap<Arc<str>, Reader>,
) -> BTreeMap<Arc<str>, Partitions> {
    let mut loads = Loads {
        by_load: readers.keys().map(|id| (0, id)).collect(),
        shares: readers.keys().map(|id| (id, (0, Partitions::new()))).collect(),
        readers,
    };
    let mut taken: BTreeSet<(TopicId, i32)> = BTreeSet::new();
    for (id, reader) in readers {
        for (topic, partitions) in &reader.before {
            let count = topics.get(topic).copied().unwrap_or(0);
            if !reader.topics.contains(topic) {
                continue;
            }
            for partition in partitions.range(..count) {
                if taken.insert((*topic, *partition)) {
                    loads.give(id, *topic, *partition);
                }
            }
        }
    }
    for (topic, count) in topics {
        for partition in 0..*count {
            if !taken.contains(&(*topic, partition))
                && let Some((_, id)) = loads.least(*topic)
            {
                loads.give(id, *topic, partition);
            }
        }
    }
    // Every move makes the loads more alike, so that this ends.
    while let Some((from, to, topic, partition)) = loads.find_move() {
        loads.take(from, topic, partition);
        loads.give(to, topic, partition);
    }
    loads.shares.into_iter().map(|(id, (_, share))| (id.clone(), share)).collect()
}
