//! A producer of one partition: plain, with one batch at a time, or idempotent, with several.

use std::collections::VecDeque;

use polyport_log::TopicPartition;
use polyport_log::batch::{Attributes, BatchBuilder};
use polyport_partitions::Acks;

use super::{Caller, Pending};
use crate::kafka::bench::Bench;
use crate::kafka::message::{Ask, Refusal, Tell};

/// What a producer wants of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `acks=0`.
    Unanswered,
    /// `acks=1`.
    Leader,
    /// `acks=all`.
    All,
    /// `acks=all` and `enable.idempotence`.
    Idempotent,
}

struct Batch {
    /// Of all batches of the producer.
    number: u64,
    sequence: i32,
    values: Vec<u64>,
    asked: Option<Pending>,
}

/// A producer.
pub struct Producer {
    caller: Caller,
    /// What it wants.
    pub kind: Kind,
    /// Where to.
    pub of: TopicPartition,
    /// Its producer id, if it is idempotent.
    pub id: i64,
    /// Its values are from here on.
    pub first_value: u64,
    /// How many values it has made.
    pub made: u64,
    queue: VecDeque<Batch>,
    next_sequence: i32,
    next_number: u64,
    in_flight: usize,
    /// A first batch was acknowledged. Until then there is one at a time: of a producer that it does
    /// not know, a leader takes any sequence, as in Kafka, so that a second batch could shut out the
    /// first.
    is_known: bool,
    /// Something failed: what is under way comes to an end first, and is then sent again in order.
    is_recovering: bool,
    is_stopped: bool,
    pause_until: u64,
    eager_ms: u64,
}

/// The batch of some values.
pub(super) fn batch(
    (id, epoch, sequence): (i64, i16, i32),
    is_transactional: bool,
    values: &[u64],
) -> Vec<u8> {
    let attributes = Attributes::default().with_transactional(is_transactional);
    let mut builder = BatchBuilder::new(0).attributes(attributes).producer(id, epoch, sequence);
    for value in values {
        builder.push(1_704_067_200_000, None, Some(value.to_string().as_bytes()));
    }
    let mut bytes = Vec::new();
    // Without compression there is nothing that could fail.
    let _ = builder.build(None, &mut bytes);
    bytes
}

impl Producer {
    /// A producer; `eager_ms` is how long it thinks between batches.
    pub fn new(
        caller: Caller,
        kind: Kind,
        of: TopicPartition,
        first_value: u64,
        eager_ms: u64,
        in_flight: usize,
    ) -> Self {
        let id = match kind {
            Kind::Idempotent => 1 << 50 | caller.me as i64,
            _ => -1,
        };
        Self {
            caller,
            kind,
            of,
            id,
            first_value,
            made: 0,
            queue: VecDeque::new(),
            next_sequence: 0,
            next_number: 0,
            in_flight: if kind == Kind::Idempotent { in_flight } else { 1 },
            is_known: false,
            is_recovering: false,
            is_stopped: false,
            pause_until: 0,
            eager_ms,
        }
    }

    fn name(&self) -> String {
        format!("producer {} ({:?})", self.caller.me, self.kind)
    }

    fn send(&mut self, at: usize, bench: &mut Bench) {
        let Some((node, _)) = self.caller.leader(&self.of) else { return };
        let is_idempotent = self.kind == Kind::Idempotent && !bench.rules.producers_are_plain;
        let one = &self.queue[at];
        let producer = match is_idempotent {
            true => (self.id, 0, one.sequence),
            false => (-1, -1, -1),
        };
        let acks = match self.kind {
            Kind::Unanswered => None,
            Kind::Leader => Some(Acks::Leader),
            Kind::All | Kind::Idempotent => Some(Acks::All),
        };
        let ask = Ask::Produce {
            of: self.of.clone(),
            acks,
            batch: batch(producer, false, &one.values),
            is_transactional: false,
        };
        let pending = self.caller.ask(node, ask, bench);
        self.queue[at].asked = Some(pending);
    }

    /// Looks what is to be done.
    pub fn tick(&mut self, bench: &mut Bench) {
        self.caller.refresh(bench);
        let pending: Vec<Pending> = self.queue.iter().filter_map(|one| one.asked).collect();
        if pending.into_iter().any(|one| self.caller.is_lost(one, bench)) {
            // All came by one connection.
            self.queue.iter_mut().for_each(|one| one.asked = None);
            self.fail(bench);
        }
        let under_way = self.queue.iter().filter(|one| one.asked.is_some()).count();
        if self.is_recovering || under_way < self.queue.len() {
            if under_way == 0 && bench.now >= self.pause_until {
                self.is_recovering = false;
                (0..self.queue.len()).for_each(|at| self.send(at, bench));
            }
            return;
        }
        let is_due = bench.now >= self.pause_until && self.caller.leader(&self.of).is_some();
        let most = if self.is_known { self.in_flight } else { 1 };
        // Leaders remember five batches, so the oldest that is not answered holds the others back.
        let oldest = self.queue.front().map_or(self.next_number, |one| one.number);
        if is_due && !self.is_stopped && self.next_number - oldest < most as u64 {
            self.make(bench);
            self.pause_until = bench.now + bench.rng.below(self.eager_ms + 1);
        }
    }

    fn make(&mut self, bench: &mut Bench) {
        let count = 1 + bench.rng.below(3);
        let first = self.first_value + self.made;
        let values: Vec<u64> = (first..first + count).collect();
        self.made += count;
        let sequence = self.next_sequence;
        self.next_sequence += count as i32;
        let number = self.next_number;
        self.next_number += 1;
        self.queue.push_back(Batch { number, sequence, values, asked: None });
        self.send(self.queue.len() - 1, bench);
        if self.kind == Kind::Unanswered {
            self.queue.pop_back();
        }
    }

    fn fail(&mut self, bench: &mut Bench) {
        self.is_recovering = true;
        self.caller.wants_metadata = true;
        self.pause_until = bench.now + 10 + bench.rng.below(60);
    }

    /// An answer.
    pub fn told(&mut self, id: u64, tell: Tell, bench: &mut Bench) {
        if self.caller.learn(id, &tell) {
            return;
        }
        let Tell::Produced(done) = tell else { return };
        let asked = |one: &Batch| one.asked.is_some_and(|pending| pending.id == id);
        let Some(at) = self.queue.iter().position(asked) else { return };
        bench.history.answered += 1;
        match done {
            Ok(first) => {
                let Some(one) = self.queue.remove(at) else { return };
                self.is_known = true;
                if matches!(self.kind, Kind::All | Kind::Idempotent) {
                    let who = self.name();
                    bench.history.acknowledge(&self.of, first, &one.values, &who);
                }
            }
            Err(refusal) => {
                self.queue[at].asked = None;
                if let Refusal::OutOfOrder(_, last) = refusal
                    && last + 1 >= self.queue[at].sequence + self.queue[at].values.len() as i32
                {
                    // The leader has it, and does not remember where: its snapshots, as Kafka's, have
                    // the last batch of each producer only.
                    bench.history.event(format_args!(
                        "{} has a batch that its leader has forgotten",
                        self.name()
                    ));
                    bench.history.forgotten += 1;
                    self.queue.remove(at);
                    return;
                }
                let is_gone = matches!(refusal, Refusal::OutOfOrder(..)) && at == 0;
                if is_gone || matches!(refusal, Refusal::Fenced | Refusal::Absurd(_)) {
                    let (name, of) = (self.name(), self.of.dir_name());
                    bench.history.violation(format!("{name} is refused at {of}: {refusal:?}"));
                }
                self.fail(bench);
            }
        }
    }

    /// Makes no more.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Why it is not done.
    pub fn unfinished(&self) -> Option<String> {
        let left = self.queue.len();
        (left > 0).then(|| format!("{} has {left} batches for {}", self.name(), self.of.dir_name()))
    }
}
