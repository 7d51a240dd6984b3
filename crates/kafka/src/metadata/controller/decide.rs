//! What is to be done about partitions, given what is known of the cluster. Pure: the image goes in,
//! conditional changes come out.
//!
//! A replica can be trusted to be in sync only if its broker has lived ever since the state that
//! says so was written: a broker that has been away may have lost what it had not flushed, so its
//! return counts as a failure followed by a start, as in Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::metadata::TopicId;
use crate::metadata::image::{Changes, Image, Partition, PartitionState, Topic};
use crate::metadata::topics::first_state;
use crate::metadata::znode::{Assignment, NO_LEADER, PartitionStateZnode, TopicZnode};

/// A change of one partition's state or of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give a partition its first state.
    CreateState {
        /// Topic.
        topic: Arc<str>,
        /// Partition.
        partition: i32,
        /// The state.
        state: PartitionStateZnode,
    },
    /// Change a partition's state, if it still is what it was.
    SetState(SetState),
    /// The new replicas of some of a topic's partitions are in sync: settle their assignment.
    Settle {
        /// Topic.
        topic: Arc<str>,
        /// The version that the topic's znode must have.
        version: i32,
        /// Its new content.
        znode: TopicZnode,
        /// New states of the partitions that were settled.
        states: Vec<SetState>,
    },
    /// Delete a topic that is marked, or only the mark if there is no topic.
    Delete {
        /// Topic.
        topic: Arc<str>,
    },
}

/// A conditional change of a partition's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetState {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// The version that the znode must have.
    pub version: i32,
    /// The new state.
    pub state: PartitionStateZnode,
}

/// What is to be looked at.
#[derive(Clone, Debug)]
pub enum Scope<'a> {
    /// Every partition.
    Everything,
    /// What may be affected by these changes.
    Changes(&'a Changes),
}

/// How elections are held.
pub struct Rules<'a> {
    /// Brokers that were away and are back since the last decision.
    pub bounced: &'a BTreeSet<i32>,
    /// Whether a topic takes a leader that was not in sync, rather than none.
    pub unclean: &'a dyn Fn(&str) -> bool,
}

/// All that is to be done.
pub fn decide(image: &Image, scope: &Scope<'_>, rules: &Rules<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let everything = match scope {
        Scope::Everything => true,
        // A broker may be anywhere.
        Scope::Changes(changes) => !changes.brokers.is_empty(),
    };
    if everything {
        steps.extend(image.deleting().iter().map(|topic| Step::Delete { topic: topic.clone() }));
        for topic in image.topics() {
            look_at(image, topic, topic.numbered(), rules, &mut steps);
        }
        return steps;
    }
    let Scope::Changes(changes) = scope else { return steps };
    let marked = changes.deleting.iter().filter(|topic| image.is_deleting(topic));
    steps.extend(marked.map(|topic| Step::Delete { topic: topic.clone() }));
    let mut partitions = changes.partitions.iter().peekable();
    while let Some((name, first)) = partitions.next() {
        let mut numbers = vec![*first];
        while let Some((_, number)) = partitions.next_if(|(next, _)| next == name) {
            numbers.push(*number);
        }
        if let Some(topic) = image.topic(name) {
            let named = numbers.into_iter().filter_map(|n| Some((n, topic.partition(n)?)));
            look_at(image, topic, named, rules, &mut steps);
        }
    }
    steps
}

fn look_at<'a>(
    image: &Image,
    topic: &Topic,
    partitions: impl Iterator<Item = (i32, &'a Partition)>,
    rules: &Rules<'_>,
    steps: &mut Vec<Step>,
) {
    if image.is_deleting(&topic.name) {
        return;
    }
    let mut settled = Vec::new();
    for (number, partition) in partitions {
        let name = topic.name.clone();
        let Some(state) = &partition.state else {
            if let Some(state) = first_state(image, &partition.replicas) {
                steps.push(Step::CreateState { topic: name, partition: number, state });
            }
            continue;
        };
        let version = state.version;
        let set = |state| SetState { topic: name, partition: number, version, state };
        if let Some(state) = settle(image, partition, state, rules) {
            settled.push(set(state));
        } else if let Some(state) = elect(image, partition, state, rules, &topic.name) {
            steps.push(Step::SetState(set(state)));
        }
    }
    if !settled.is_empty() {
        steps.push(settle_topic(topic, settled));
    }
}

/// Whether a broker has lived since the state was written.
fn serves(image: &Image, state: &PartitionState, rules: &Rules<'_>, id: i32) -> bool {
    let broker = image.brokers().get(&id);
    broker.is_some_and(|broker| broker.epoch <= state.zxid) && !rules.bounced.contains(&id)
}

/// The state after an election.
pub(in crate::metadata) fn next(
    image: &Image,
    state: &PartitionState,
    leader: i32,
    isr: Vec<i32>,
) -> PartitionStateZnode {
    let epoch = state.leader_epoch.wrapping_add(1);
    PartitionStateZnode::new(image.controller_epoch.0, leader, epoch, isr)
}

/// The state that a partition should have because brokers came or went, if it is another.
pub(in crate::metadata) fn elect(
    image: &Image,
    partition: &Partition,
    state: &PartitionState,
    rules: &Rules<'_>,
    topic: &str,
) -> Option<PartitionStateZnode> {
    // Who is no replica any more, because a move was cancelled, leaves.
    let serves = |id: &i32| partition.replicas.contains(id) && serves(image, state, rules, *id);
    let in_sync: Vec<i32> = state.isr.iter().copied().filter(serves).collect();
    if serves(&state.leader) && state.isr.contains(&state.leader) {
        if in_sync.len() == state.isr.len() {
            return None;
        }
        // The leader stays, so its epoch does.
        let epoch = state.leader_epoch;
        let shrunk =
            PartitionStateZnode::new(image.controller_epoch.0, state.leader, epoch, in_sync);
        return Some(shrunk);
    }
    let mut replicas = partition.replicas.iter();
    if let Some(leader) = replicas.find(|id| in_sync.contains(id)) {
        return Some(next(image, state, *leader, in_sync));
    }
    // Those that were in sync when last seen, and at last, if the topic would rather lose records
    // than wait, anybody.
    let alive = |id: &&i32| image.is_alive(**id);
    let was_in_sync = |id: &&i32| alive(id) && state.isr.contains(id);
    let leader = partition.replicas.iter().find(was_in_sync).or_else(|| {
        let anybody = partition.replicas.iter().find(alive);
        anybody.filter(|_| (rules.unclean)(topic))
    });
    match leader {
        Some(leader) => Some(next(image, state, *leader, vec![*leader])),
        None if state.leader == NO_LEADER => None,
        // Whoever was in sync may lead again when it comes back.
        None => Some(next(image, state, NO_LEADER, state.isr.to_vec())),
    }
}

/// The state of a partition whose new replicas are all in sync: its old ones leave.
fn settle(
    image: &Image,
    partition: &Partition,
    state: &PartitionState,
    rules: &Rules<'_>,
) -> Option<PartitionStateZnode> {
    partition.reassigning.as_ref()?;
    let target = partition.assignment().target();
    let ready = |id: &i32| state.isr.contains(id) && serves(image, state, rules, *id);
    if target.is_empty() || !target.iter().all(ready) {
        return None;
    }
    let leader = if target.contains(&state.leader) { state.leader } else { target[0] };
    let isr = state.isr.iter().copied().filter(|id| target.contains(id)).collect();
    Some(next(image, state, leader, isr))
}

fn settle_topic(topic: &Topic, states: Vec<SetState>) -> Step {
    let assignment = |(number, partition): (i32, &Partition)| {
        let now = partition.assignment();
        let settled = states.iter().any(|state| state.partition == number);
        (number, if settled { Assignment::settled(now.target()) } else { now })
    };
    let id = Some(topic.id).filter(|id| *id != TopicId::ZERO);
    let znode = TopicZnode { id, partitions: topic.numbered().map(assignment).collect() };
    Step::Settle { topic: topic.name.clone(), version: topic.version, znode, states }
}

/// The state in which a partition's preferred leader leads, if it could and does not.
pub fn prefer(
    image: &Image,
    partition: &Partition,
    rules: &Rules<'_>,
) -> Option<PartitionStateZnode> {
    let state = partition.state.as_ref()?;
    let preferred = *partition.replicas.first()?;
    let may = state.isr.contains(&preferred) && serves(image, state, rules, preferred);
    (may && state.leader != preferred).then(|| next(image, state, preferred, state.isr.to_vec()))
}

#[cfg(test)]
mod tests;
