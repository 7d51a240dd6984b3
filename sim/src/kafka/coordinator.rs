//! The transactions of a partition of `__transaction_state` that a process leads: the real machine,
//! and around it what production's shell does with tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use polyport_base::Millis;
use polyport_kafka::internal::load::each_batch;
use polyport_kafka::internal::log::{AppendError, InternalLog, Replicated};
use polyport_kafka::transaction::machine::{Append, Context, Markers, TransactionalId};
use polyport_kafka::transaction::record::Record;
use polyport_kafka::transaction::shard::{InitProducerId, Initialised, Shard};
use polyport_kafka::transaction::{TransactionConfig, TransactionError};
use polyport_log::TopicPartition;
use polyport_log::batch::BatchBuilder;

use super::bench::{Asker, Bench};
use super::message::{Address, Ask, Tell};
use super::node::Replica;

/// How long a marker's answer may take, and until it is tried again.
const MARKER_MS: [u64; 2] = [500, 40];

/// Appends that may not be replicated yet: where they end, and what tells.
#[derive(Default)]
struct Appends {
    end: i64,
    pending: VecDeque<(i64, Replicated)>,
}

struct Appender<'a> {
    log: &'a Replica,
    appends: &'a mut Appends,
}

impl Append for Appender<'_> {
    fn append(&mut self, now: Millis, records: &[Record]) -> Result<(), AppendError> {
        let mut builder = BatchBuilder::new(0);
        for record in records {
            let key = record.key().map_err(|_| AppendError::TooLarge)?;
            let value = record.value().map_err(|_| AppendError::TooLarge)?;
            builder.push(now.0, Some(&key), value.as_deref());
        }
        let mut bytes = Vec::new();
        let _ = builder.build(None, &mut bytes);
        let written = InternalLog::append(self.log, &mut bytes, now)?;
        if let Some(replicated) = written.replicated {
            self.appends.end = written.next_offset;
            self.appends.pending.push_back((written.next_offset, replicated));
        }
        Ok(())
    }
}

/// Markers on their way.
struct Job {
    gate: i64,
    markers: Markers,
    unmarked: BTreeSet<TopicPartition>,
    /// Questions under way, with when they are given up.
    asked: BTreeMap<u64, (TopicPartition, u64)>,
    retry_at: BTreeMap<TopicPartition, u64>,
}

/// What the machine works for at one time.
pub struct Situation<'a> {
    /// This node.
    pub node: i32,
    /// Its clock.
    pub clock: Millis,
    /// Who leads what.
    pub leader_of: &'a dyn Fn(&TopicPartition) -> Option<i32>,
}

/// A partition of `__transaction_state` at work.
pub struct Coordinated {
    /// Of the leader.
    pub epoch: i32,
    machine: Shard,
    log: Replica,
    config: TransactionConfig,
    appends: Appends,
    below: i64,
    doubtful: i64,
    answers: Vec<(i64, Asker, Tell)>,
    jobs: Vec<Job>,
    /// The partition is not led here any more.
    pub is_over: bool,
    is_loaded: bool,
}

impl Coordinated {
    /// Reads the partition.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(log: Replica, epoch: i32, clock: Millis) -> Result<Self, String> {
        let config = TransactionConfig {
            abort_interval: std::time::Duration::from_millis(200),
            ..TransactionConfig::default()
        };
        let mut machine = Shard::new(epoch, clock, &config);
        let mut scratch = Vec::new();
        each_batch(&log, |batch| {
            for record in batch.records(&mut scratch, 1 << 20)? {
                let record = record?;
                let key = record.key.unwrap_or_default();
                if let Some(record) = Record::decode(key, record.value)? {
                    machine.load(record);
                }
            }
            Ok(())
        })
        .map_err(|error| format!("{error}: {}", error.source))?;
        Ok(Self {
            epoch,
            machine,
            log,
            config,
            appends: Appends::default(),
            below: 0,
            doubtful: 0,
            answers: Vec::new(),
            jobs: Vec::new(),
            is_over: false,
            is_loaded: false,
        })
    }

    fn run<T>(&mut self, clock: Millis, work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T) -> T {
        let mut markers = Vec::new();
        let mut appender = Appender { log: &self.log, appends: &mut self.appends };
        let mut cx =
            Context { now: clock, config: &self.config, log: &mut appender, markers: &mut markers };
        let result = work(&mut self.machine, &mut cx);
        let gate = self.appends.end;
        self.jobs.extend(markers.into_iter().map(|markers| Job {
            gate,
            unmarked: markers.partitions.iter().cloned().collect(),
            markers,
            asked: BTreeMap::new(),
            retry_at: BTreeMap::new(),
        }));
        result
    }

    fn answer(&mut self, asker: Asker, tell: Tell) {
        self.answers.push((self.appends.end, asker, tell));
    }

    /// InitProducerId. `fresh` is taken if an id is needed.
    pub fn init(&mut self, asker: Asker, id: &str, ask: InitProducerId, fresh: i64, clock: Millis) {
        let id: TransactionalId = id.into();
        let mut none = None;
        let mut found =
            self.run(clock, |shard, cx| shard.init_producer_id(&id, ask, &mut none, cx));
        if found == Ok(Initialised::NeedsProducerId) {
            let mut fresh = Some(fresh);
            found = self.run(clock, |shard, cx| shard.init_producer_id(&id, ask, &mut fresh, cx));
        }
        let told = match found {
            Ok(Initialised::Producer(producer)) => Ok(producer),
            Ok(Initialised::NeedsProducerId) => Err(TransactionError::UnknownServerError),
            Err(error) => Err(error),
        };
        self.answer(asker, Tell::Initialised(told));
    }

    /// AddPartitionsToTxn and EndTxn.
    pub fn asked(&mut self, asker: Asker, ask: Ask, clock: Millis) {
        let done = match ask {
            Ask::Add { id, producer, partitions } => {
                let id: TransactionalId = Arc::from(id);
                self.run(clock, |shard, cx| shard.add_partitions(&id, producer, &partitions, cx))
            }
            Ask::End { id, producer, end } => {
                let id: TransactionalId = Arc::from(id);
                self.run(clock, |shard, cx| shard.end(&id, producer, end, cx))
            }
            _ => Err(TransactionError::InvalidRequest),
        };
        self.answer(asker, Tell::Done(done));
    }

    /// Goes on with what can go on: answers, markers, deadlines.
    pub fn poll(&mut self, at: &Situation<'_>, bench: &mut Bench) {
        if self.is_over {
            return;
        }
        if !self.is_loaded {
            self.is_loaded = true;
            self.run(at.clock, |shard, cx| shard.on_loaded(cx));
        }
        if self.machine.next_deadline() <= at.clock {
            self.run(at.clock, |shard, cx| shard.tick(cx));
        }
        self.follow_replication();
        if self.is_over {
            return self.resign(at.node, bench);
        }
        let (below, doubtful) = (self.below, self.doubtful);
        let (open, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.answers)
            .into_iter()
            .partition(|(gate, ..): &(i64, Asker, Tell)| *gate <= below);
        self.answers = held;
        for (gate, asker, tell) in open {
            let tell = if doubtful >= gate && gate > 0 {
                refused(&tell, TransactionError::CoordinatorNotAvailable)
            } else {
                tell
            };
            bench.tell(&asker, Address::Node(at.node), tell);
        }
        self.send_markers(at, bench);
    }

    fn follow_replication(&mut self) {
        let mut cx = TaskContext::from_waker(Waker::noop());
        while let Some((end, replicated)) = self.appends.pending.front_mut() {
            let end = *end;
            match replicated.as_mut().poll(&mut cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(AppendError::NotEnoughReplicas)) => self.doubtful = end,
                Poll::Ready(Err(_)) => {
                    self.is_over = true;
                    return;
                }
            }
            self.below = end;
            self.appends.pending.pop_front();
        }
    }

    fn send_markers(&mut self, at: &Situation<'_>, bench: &mut Bench) {
        let (clock, below) = (at.clock, self.below);
        let mut empty = Vec::new();
        for job in self.jobs.iter_mut().filter(|job| job.gate <= below) {
            if job.unmarked.is_empty() {
                empty.push((job.markers.transactional_id.clone(), job.markers.ending));
                continue;
            }
            let [timeout_ms, pause_ms] = MARKER_MS;
            let late: Vec<u64> = job
                .asked
                .iter()
                .filter(|(_, (_, until))| *until <= bench.now)
                .map(|(id, _)| *id)
                .collect();
            for id in late {
                job.asked.remove(&id);
            }
            if bench.rules.markers_are_not_sent {
                continue;
            }
            for of in job.unmarked.clone() {
                let is_asked = job.asked.values().any(|(asked, _)| *asked == of);
                let rests = job.retry_at.get(&of).is_some_and(|at| *at > bench.now);
                let Some(leader) = (at.leader_of)(&of).filter(|_| !is_asked && !rests) else {
                    continue;
                };
                job.retry_at.insert(of.clone(), bench.now + pause_ms);
                let ask = Ask::Mark { marker: job.markers.marker, of: of.clone() };
                let id = bench.ask(Address::Node(at.node), Address::Node(leader), ask);
                job.asked.insert(id, (of, bench.now + timeout_ms));
            }
        }
        for (id, ending) in empty {
            self.jobs
                .retain(|job| job.markers.transactional_id != id || job.markers.ending != ending);
            self.run(clock, |shard, cx| shard.marked(&id, ending, &[], cx));
        }
    }

    /// A marker's answer. Says whether it was this one's.
    pub fn marked(
        &mut self,
        ask: u64,
        done: Result<(), bool>,
        clock: Millis,
        bench: &mut Bench,
    ) -> bool {
        let Some(at) = self.jobs.iter().position(|job| job.asked.contains_key(&ask)) else {
            return false;
        };
        let job = &mut self.jobs[at];
        let Some((of, _)) = job.asked.remove(&ask) else { return false };
        bench.history.event(format_args!(
            "{:?} {:?} in {}: {done:?}",
            job.markers.transactional_id,
            job.markers.marker,
            of.dir_name()
        ));
        let is_taken_over = done == Err(false);
        if done.is_ok() {
            job.unmarked.remove(&of);
            let (id, ending) = (job.markers.transactional_id.clone(), job.markers.ending);
            if job.unmarked.is_empty() {
                self.jobs.remove(at);
            }
            self.run(clock, |shard, cx| shard.marked(&id, ending, &[of], cx));
        } else if is_taken_over {
            self.jobs.remove(at);
        }
        true
    }

    /// Whoever waits is sent away.
    pub fn resign(&mut self, node: i32, bench: &mut Bench) {
        self.is_over = true;
        for (_, asker, tell) in std::mem::take(&mut self.answers) {
            let tell = refused(&tell, TransactionError::NotCoordinator);
            bench.tell(&asker, Address::Node(node), tell);
        }
    }
}

/// The same kind of answer, with an error.
fn refused(tell: &Tell, error: TransactionError) -> Tell {
    match tell {
        Tell::Initialised(_) => Tell::Initialised(Err(error)),
        _ => Tell::Done(Err(error)),
    }
}
