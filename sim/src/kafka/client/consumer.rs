//! A consumer of all partitions, from their beginning.

use std::collections::{BTreeMap, BTreeSet};

use polyport_log::{AbortedTxn, Isolation, TopicPartition};

use super::{Caller, Pending};
use crate::kafka::bench::Bench;
use crate::kafka::history::{Content, sightings};
use crate::kafka::message::{Ask, Found, Refusal, Tell};

/// A consumer.
pub struct Consumer {
    caller: Caller,
    isolation: Isolation,
    /// Its position in each partition.
    pub positions: BTreeMap<TopicPartition, i64>,
    /// It reads from followers too (KIP-392).
    roams: bool,
    /// The newest epoch of those that answered: a follower may have heard of a leader of whom whoever
    /// answers for the metadata has not.
    newest: BTreeMap<TopicPartition, i32>,
    asked: Option<(Pending, TopicPartition, bool)>,
    turn: usize,
    pause_until: u64,
    idle_ms: u64,
}

impl Consumer {
    /// A consumer at the beginning of these partitions.
    pub fn new(caller: Caller, isolation: Isolation, of: &[TopicPartition], roams: bool) -> Self {
        Self {
            caller,
            isolation,
            positions: of.iter().map(|of| (of.clone(), 0)).collect(),
            roams,
            newest: BTreeMap::new(),
            asked: None,
            turn: 0,
            pause_until: 0,
            idle_ms: 30,
        }
    }

    fn name(&self) -> String {
        format!("consumer {} ({:?})", self.caller.me, self.isolation)
    }

    /// Looks what is to be done.
    pub fn tick(&mut self, bench: &mut Bench) {
        self.caller.refresh(bench);
        if let Some((pending, ..)) = &self.asked {
            if !self.caller.is_lost(*pending, bench) {
                return;
            }
            self.asked = None;
            self.caller.wants_metadata = true;
        }
        if bench.now < self.pause_until {
            return;
        }
        self.turn += 1;
        let at = self.turn % self.positions.len();
        let Some((of, offset)) = self.positions.iter().nth(at) else { return };
        let (of, offset) = (of.clone(), *offset);
        let Some((leader, epoch)) = self.caller.leader(&of) else { return };
        if self.newest.get(&of).is_some_and(|newest| *newest > epoch) {
            self.caller.wants_metadata = true;
            return;
        }
        let roams = self.roams && bench.rng.chance(30);
        let (node, ask) = if roams {
            let isolation = self.isolation;
            (
                self.caller.drawn_node(bench),
                Ask::Fetch { of: of.clone(), offset, isolation, epoch: None },
            )
        } else if bench.rng.chance(15) {
            (leader, Ask::Latest { of: of.clone(), epoch })
        } else {
            let isolation = self.isolation;
            (leader, Ask::Fetch { of: of.clone(), offset, isolation, epoch: Some(epoch) })
        };
        self.asked = Some((self.caller.ask(node, ask, bench), of, roams));
    }

    /// An answer.
    pub fn told(&mut self, id: u64, tell: Tell, bench: &mut Bench) {
        if self.caller.learn(id, &tell) {
            return;
        }
        let Some((_, of, roams)) = self.asked.take_if(|(pending, ..)| pending.id == id) else {
            return;
        };
        bench.history.answered += 1;
        match tell {
            Tell::Latest(Ok(end)) => bench.history.end(self.caller.me, &of, end),
            Tell::Found(Ok(found)) => {
                let newest = self.newest.entry(of.clone()).or_insert(found.epoch);
                *newest = found.epoch.max(*newest);
                if found.bytes.is_empty() {
                    self.pause_until = bench.now + self.idle_ms / 2;
                }
                self.take(&of, &found, bench);
            }
            Tell::Found(Err(Refusal::OutOfRange)) if !roams => {
                let (name, at) = (self.name(), self.positions.get(&of).copied());
                let of = of.dir_name();
                bench.history.violation(format!(
                    "{name} has read {of} up to {at:?}, and its leader has less"
                ));
            }
            _ => self.caller.wants_metadata |= !roams,
        }
    }

    fn take(&mut self, of: &TopicPartition, found: &Found, bench: &mut Bench) {
        let (name, dir) = (self.name(), of.dir_name());
        let all = match sightings(&found.bytes) {
            Ok(all) => all,
            Err(error) => {
                return bench.history.violation(format!("{name} reads nonsense in {dir}: {error}"));
            }
        };
        let Some(position) = self.positions.get_mut(of) else { return };
        let mut filter = Filter::new(&found.aborted);
        for one in all {
            let shows =
                filter.shows(one.offset, one.producer_id, one.content, one.is_transactional);
            if one.offset < *position {
                continue;
            }
            if one.offset != *position || one.offset >= found.high_watermark {
                let high_watermark = found.high_watermark;
                bench.history.violation(format!(
                    "{name} at {position} of {dir} is given {} with a high watermark of {high_watermark}",
                    one.offset
                ));
                return;
            }
            *position += 1;
            bench.history.place(of, one.offset, one.content, &name);
            let is_committed = shows || bench.rules.aborted_are_shown;
            if self.isolation == Isolation::LastStable
                && is_committed
                && let Content::Value(value) = one.content
            {
                bench.history.saw_committed(self.caller.me, of, value);
            }
        }
    }
}

/// What a consumer of committed records leaves out, by the list that came with them.
struct Filter<'a> {
    aborted: Vec<&'a AbortedTxn>,
    open: BTreeSet<i64>,
}

impl<'a> Filter<'a> {
    fn new(aborted: &'a [AbortedTxn]) -> Self {
        let mut aborted: Vec<_> = aborted.iter().collect();
        aborted.sort_by_key(|one| std::cmp::Reverse(one.first_offset));
        Self { aborted, open: BTreeSet::new() }
    }

    fn shows(&mut self, offset: i64, producer: i64, content: Content, transactional: bool) -> bool {
        while let Some(one) = self.aborted.pop_if(|one| one.first_offset <= offset) {
            self.open.insert(one.producer_id);
        }
        match content {
            Content::Marker(producer, false) => {
                self.open.remove(&producer);
                false
            }
            Content::Marker(..) => false,
            Content::Value(_) => !transactional || !self.open.contains(&producer),
        }
    }
}
