//! A transactional producer: one transaction after the other, some of which it forgets.

use std::collections::BTreeMap;

use polyport_kafka::metadata::topics::TRANSACTION_STATE;
use polyport_kafka::transaction::TransactionError;
use polyport_kafka::transaction::machine::{End, Producer as Identity};
use polyport_log::TopicPartition;
use polyport_partitions::Acks;

use super::producer::batch;
use super::{Caller, Pending};
use crate::kafka::bench::Bench;
use crate::kafka::history::{Ended, Transaction};
use crate::kafka::message::{Ask, Refusal, Tell};

/// How long its transactions may be open.
const TIMEOUT_MS: i32 = 1500;

/// What it is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Init,
    Begin,
    Produce,
    End(End),
    /// It has forgotten its transaction, until then.
    Forgetful(u64),
}

/// A transactional producer.
pub struct Transactional {
    caller: Caller,
    id: String,
    all: Vec<TopicPartition>,
    identity: Option<Identity>,
    step: Step,
    asked: Option<Pending>,
    /// The transaction: its number, partitions and batches that are left.
    number: u64,
    partitions: Vec<TopicPartition>,
    left: u64,
    /// The batch that is sent: where, and its values.
    current: Option<(TopicPartition, Vec<u64>)>,
    sequences: BTreeMap<TopicPartition, i32>,
    next_value: u64,
    /// EndTxn was sent, and what became of it is not known.
    is_uncertain: bool,
    is_stopped: bool,
    pause_until: u64,
}

impl Transactional {
    /// A producer for these partitions.
    pub fn new(caller: Caller, all: Vec<TopicPartition>, first_value: u64) -> Self {
        let id = format!("t{}", caller.me);
        Self {
            caller,
            id,
            all,
            identity: None,
            step: Step::Init,
            asked: None,
            number: 0,
            partitions: Vec::new(),
            left: 0,
            current: None,
            sequences: BTreeMap::new(),
            next_value: first_value,
            is_uncertain: false,
            is_stopped: false,
            pause_until: 0,
        }
    }

    fn coordinator(&mut self) -> Option<i32> {
        let of = TopicPartition { topic: TRANSACTION_STATE.to_owned(), partition: 0 };
        self.caller.leader(&of).map(|(node, _)| node)
    }

    /// Looks what is to be done.
    pub fn tick(&mut self, bench: &mut Bench) {
        self.caller.refresh(bench);
        if let Some(pending) = self.asked {
            if !self.caller.is_lost(pending, bench) {
                return;
            }
            self.asked = None;
            self.again(bench);
        }
        if bench.now < self.pause_until {
            return;
        }
        match self.step.clone() {
            Step::Init => self.init(bench),
            Step::Begin if self.is_stopped && self.partitions.is_empty() => {}
            Step::Begin => self.begin(bench),
            Step::Produce => self.produce(bench),
            Step::End(end) => self.end(end, bench),
            Step::Forgetful(until) => {
                if bench.now >= until {
                    self.step = Step::Init;
                }
            }
        }
    }

    fn again(&mut self, bench: &mut Bench) {
        self.caller.wants_metadata = true;
        self.pause_until = bench.now + 15 + bench.rng.below(60);
    }

    fn init(&mut self, bench: &mut Bench) {
        let Some(node) = self.coordinator() else { return };
        let ask = Ask::Init { id: self.id.clone(), timeout_ms: TIMEOUT_MS, expected: None };
        self.asked = Some(self.caller.ask(node, ask, bench));
    }

    fn begin(&mut self, bench: &mut Bench) {
        let (Some(node), Some(producer)) = (self.coordinator(), self.identity) else { return };
        if self.partitions.is_empty() {
            self.number = (self.caller.me as u64) << 32 | bench.history.transactions.len() as u64;
            let records = Vec::new();
            let transaction = Transaction { ended: Ended::Aborted, records };
            bench.history.transactions.insert(self.number, transaction);
            let mut chosen = self.all.clone();
            chosen.retain(|_| bench.rng.chance(60));
            if chosen.is_empty() {
                chosen.push(self.all[0].clone());
            }
            self.partitions = chosen;
            self.left = 1 + bench.rng.below(5);
            self.is_uncertain = false;
        }
        let partitions = self.partitions.clone();
        let ask = Ask::Add { id: self.id.clone(), producer, partitions };
        self.asked = Some(self.caller.ask(node, ask, bench));
    }

    fn produce(&mut self, bench: &mut Bench) {
        let Some(producer) = self.identity else { return };
        if self.current.is_none() {
            if self.left == 0 {
                let end = if bench.rng.chance(70) { End::Commit } else { End::Abort };
                self.step = match bench.rng.below(100) {
                    0..6 => Step::Init,
                    6..12 => Step::Forgetful(bench.now + 2 * TIMEOUT_MS as u64),
                    _ => Step::End(end),
                };
                return;
            }
            self.left -= 1;
            let at = bench.rng.below(self.partitions.len() as u64) as usize;
            let count = 1 + bench.rng.below(2);
            let values: Vec<u64> = (self.next_value..self.next_value + count).collect();
            self.next_value += count;
            for value in &values {
                bench.history.transaction_of.insert(*value, self.number);
            }
            self.current = Some((self.partitions[at].clone(), values));
        }
        let Some((of, values)) = self.current.clone() else { return };
        let Some((node, _)) = self.caller.leader(&of) else { return };
        let sequence = self.sequences.get(&of).copied().unwrap_or(0);
        let ask = Ask::Produce {
            acks: Some(Acks::All),
            batch: batch((producer.id, producer.epoch, sequence), true, &values),
            of,
            is_transactional: true,
        };
        self.asked = Some(self.caller.ask(node, ask, bench));
    }

    fn end(&mut self, end: End, bench: &mut Bench) {
        let (Some(node), Some(producer)) = (self.coordinator(), self.identity) else { return };
        let ask = Ask::End { id: self.id.clone(), producer, end };
        self.asked = Some(self.caller.ask(node, ask, bench));
        if end == End::Commit {
            self.conclude(Ended::Unknown, bench);
            self.is_uncertain = true;
        }
    }

    fn conclude(&self, ended: Ended, bench: &mut Bench) {
        if let Some(known) = bench.history.transactions.get_mut(&self.number) {
            known.ended = ended;
        }
    }

    /// The transaction is over, whatever it was.
    fn leave(&mut self, next: Step) {
        self.step = next;
        self.partitions.clear();
        self.current = None;
        self.left = 0;
    }

    /// An answer.
    pub fn told(&mut self, id: u64, tell: Tell, bench: &mut Bench) {
        if self.caller.learn(id, &tell) || self.asked.take_if(|one| one.id == id).is_none() {
            return;
        }
        bench.history.answered += 1;
        match tell {
            Tell::Initialised(Ok(identity)) => {
                self.identity = Some(identity);
                self.sequences.clear();
                self.leave(Step::Begin);
            }
            Tell::Initialised(Err(error)) => self.refused(error, bench),
            Tell::Done(Ok(())) => match self.step.clone() {
                Step::Begin => self.step = Step::Produce,
                Step::End(end) => {
                    self.conclude(
                        if end == End::Commit { Ended::Committed } else { Ended::Aborted },
                        bench,
                    );
                    self.leave(Step::Begin);
                    self.pause_until = bench.now + bench.rng.below(40);
                }
                _ => {}
            },
            Tell::Done(Err(error)) => self.refused(error, bench),
            Tell::Produced(Ok(first)) => self.produced(first, bench),
            Tell::Produced(Err(Refusal::Again)) => self.again(bench),
            Tell::Produced(Err(Refusal::Fenced)) => self.leave(Step::Init),
            Tell::Produced(Err(refusal)) => {
                bench.history.violation(format!("{} is refused: {refusal:?}", self.id));
                self.leave(Step::Init);
            }
            _ => {}
        }
    }

    fn produced(&mut self, first: i64, bench: &mut Bench) {
        let Some((of, values)) = self.current.take() else { return };
        *self.sequences.entry(of.clone()).or_insert(0) += values.len() as i32;
        for (offset, value) in (first..).zip(&values) {
            let content = crate::kafka::history::Content::Value(*value);
            bench.history.place(&of, offset, content, &self.id);
            bench.history.acknowledged.entry(of.clone()).or_default().insert(*value);
        }
        if let Some(known) = bench.history.transactions.get_mut(&self.number) {
            known.records.extend(values.iter().map(|value| (of.clone(), *value)));
        }
    }

    fn refused(&mut self, error: TransactionError, bench: &mut Bench) {
        use TransactionError as E;
        match error {
            E::NotCoordinator
            | E::CoordinatorLoadInProgress
            | E::CoordinatorNotAvailable
            | E::ConcurrentTransactions => self.again(bench),
            E::ProducerFenced | E::InvalidProducerEpoch => self.leave(Step::Init),
            // It may have been aborted because it was late, unless it was this client that decided.
            E::InvalidTxnState if matches!(self.step, Step::End(End::Abort)) => {
                self.leave(Step::Init);
            }
            error => {
                let (id, step) = (&self.id, &self.step);
                bench.history.violation(format!("{id} is refused at {step:?}: {error:?}"));
                self.leave(Step::Init);
            }
        }
    }

    /// Begins no more.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Why it is not done.
    pub fn unfinished(&self) -> Option<String> {
        let rests = self.step == Step::Begin && self.partitions.is_empty();
        (!rests).then(|| format!("{} is at {:?}", self.id, self.step))
    }
}
