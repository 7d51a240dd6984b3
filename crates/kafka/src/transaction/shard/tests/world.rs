//! Random producers, zombies, crashes and slow replicas, with a checker for each promise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polyport_base::Millis;
use polyport_base::rng::SplitMix64;
use polyport_log::TopicPartition;

use super::super::super::config::TransactionConfig;
use super::super::super::error::TransactionError;
use super::super::super::machine::{Context, End, Marker, Markers, Producer, TransactionalId};
use super::super::super::record::TransactionState;
use crate::internal::log::AppendError;

use super::super::{InitProducerId, Initialised, Shard};
use super::transcript::{MemoryLog, id_of, reread};

const IDS: u64 = 3;
const CLIENTS: usize = 6;
const PARTITIONS: i32 = 4;

type Answer = Result<Option<Producer>, TransactionError>;

#[derive(Clone, Copy, Debug)]
enum Entry {
    Data { producer: Producer, transaction: usize },
    Marker(Marker),
}

/// A partition that producers write to, with what fences old producers and coordinators.
#[derive(Default)]
struct Data {
    entries: Vec<Entry>,
    epochs: BTreeMap<i64, i16>,
    coordinators: BTreeMap<i64, i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Init,
    Begin,
    Open,
    End(End),
}

struct Client {
    id: TransactionalId,
    step: Step,
    producer: Option<Producer>,
    transaction: usize,
    added: BTreeSet<TopicPartition>,
    asked: Vec<TopicPartition>,
    /// The request whose answer is awaited.
    waits: Option<u64>,
}

/// What producers were told of a transaction.
#[derive(Default)]
struct Told {
    outcome: Option<End>,
    /// Partitions that were added, where they ended then, and for whom.
    added: Vec<(TopicPartition, usize, i64)>,
}

enum Held {
    Answer { client: usize, request: u64, answer: Answer },
    Markers(Markers),
}

struct Job {
    markers: Markers,
    epoch: i32,
    left: Vec<TopicPartition>,
}

struct World {
    rng: SplitMix64,
    now: Millis,
    config: TransactionConfig,
    shard: Shard,
    epoch: i32,
    log: MemoryLog,
    replicated: usize,
    /// What may be let go once so many records are replicated.
    held: Vec<(usize, Held)>,
    jobs: Vec<Job>,
    data: BTreeMap<TopicPartition, Data>,
    clients: Vec<Client>,
    told: Vec<Told>,
    /// Who got which producer, by transactional id, in order.
    given: BTreeMap<TransactionalId, Vec<(Producer, usize)>>,
    owners: BTreeMap<i64, TransactionalId>,
    requests: u64,
    fresh: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = TransactionConfig {
            id_expiration: Duration::from_secs(300),
            expiration_interval: Duration::from_secs(50),
            ..TransactionConfig::default()
        };
        let now = Millis(1_000);
        let client = |at: usize| Client {
            id: id_of(at as u64 % IDS),
            step: Step::Init,
            producer: None,
            transaction: 0,
            added: BTreeSet::new(),
            asked: Vec::new(),
            waits: None,
        };
        let partition = |partition| TopicPartition { topic: "x".into(), partition };
        World {
            rng: SplitMix64::new(seed),
            now,
            shard: Shard::new(0, now, &config),
            config,
            epoch: 0,
            log: MemoryLog::default(),
            replicated: 0,
            held: Vec::new(),
            jobs: Vec::new(),
            data: (0..PARTITIONS).map(|at| (partition(at), Data::default())).collect(),
            clients: (0..CLIENTS).map(client).collect(),
            told: vec![Told::default()],
            given: BTreeMap::new(),
            owners: BTreeMap::new(),
            requests: 0,
            fresh: 0,
        }
    }

    /// Lets the machine work; what it gives back is held until its records are replicated.
    fn run<T>(&mut self, work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T) -> T {
        let mut markers = Vec::new();
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            log: &mut self.log,
            markers: &mut markers,
        };
        let done = work(&mut self.shard, &mut cx);
        let at = self.log.records.len();
        self.held.extend(markers.into_iter().map(|markers| (at, Held::Markers(markers))));
        done
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..45 => {
                let client = self.rng.below(CLIENTS as u64) as usize;
                self.client(client);
            }
            45..70 => self.replicate(),
            70..92 => self.mark(),
            92..96 => {
                self.now.0 += self.rng.below(1_000) as i64;
                self.run(|shard, cx| shard.tick(cx));
            }
            96..98 => {
                let refuses = self.rng.chance(30).then_some(AppendError::NotEnoughReplicas);
                self.log.refuses = refuses;
            }
            98 if self.rng.chance(40) => self.crash(),
            _ => {
                if self.rng.chance(10) {
                    self.now.0 += 60_000;
                    self.run(|shard, cx| shard.tick(cx));
                }
            }
        }
    }

    fn client(&mut self, at: usize) {
        if self.clients[at].waits.is_some() {
            // It loses patience: it asks again, or begins anew.
            if self.rng.chance(8) {
                self.clients[at].waits = None;
                if self.rng.chance(30) {
                    self.clients[at].step = Step::Init;
                }
            }
            return;
        }
        match (self.clients[at].step, self.clients[at].producer) {
            (Step::Begin, Some(producer)) => self.add(at, producer),
            (Step::Open, Some(producer)) => match self.rng.below(10) {
                0..5 => self.write(at, producer),
                5..7 => self.add(at, producer),
                7..9 => {
                    let end = if self.rng.chance(70) { End::Commit } else { End::Abort };
                    self.clients[at].step = Step::End(end);
                }
                _ => {
                    if self.rng.chance(20) {
                        self.clients[at].step = Step::Init;
                    }
                }
            },
            (Step::End(end), Some(producer)) => {
                let id = self.clients[at].id.clone();
                let answer = self.run(|shard, cx| shard.end(&id, producer, end, cx));
                self.ask(at, producer, answer);
            }
            // Who was fenced comes again after a while, not at once.
            (_, Some(_)) => self.init(at),
            (_, None) => {
                if self.rng.chance(4) {
                    self.init(at);
                }
            }
        }
    }

    fn init(&mut self, at: usize) {
        let expected = self.clients[at].producer.filter(|_| self.rng.chance(40));
        let request = InitProducerId { timeout_ms: 4_000, expected };
        let id = self.clients[at].id.clone();
        let fresh = self.fresh;
        let mut next = Some(fresh);
        let answer =
            self.run(|shard, cx| match shard.init_producer_id(&id, request, &mut None, cx) {
                Ok(Initialised::NeedsProducerId) => {
                    shard.init_producer_id(&id, request, &mut next, cx)
                }
                done => done,
            });
        self.fresh += 1;
        let answer = answer.map(|done| match done {
            Initialised::Producer(producer) => Some(producer),
            Initialised::NeedsProducerId => panic!("it was given one"),
        });
        self.hold(at, answer);
    }

    fn add(&mut self, at: usize, producer: Producer) {
        if self.clients[at].step == Step::Begin && self.clients[at].asked.is_empty() {
            self.told.push(Told::default());
            self.clients[at].transaction = self.told.len() - 1;
        }
        let partitions: Vec<_> = self.data.keys().cloned().collect();
        let chosen: Vec<_> = partitions.into_iter().filter(|_| self.rng.chance(40)).collect();
        let id = self.clients[at].id.clone();
        let answer = self.run(|shard, cx| shard.add_partitions(&id, producer, &chosen, cx));
        self.clients[at].asked = chosen;
        self.ask(at, producer, answer);
    }

    fn write(&mut self, at: usize, producer: Producer) {
        let client = &self.clients[at];
        let (id, transaction) = (client.id.clone(), client.transaction);
        let added: Vec<_> = client.added.iter().cloned().collect();
        if added.is_empty() {
            return;
        }
        let to = added[self.rng.below(added.len() as u64) as usize].clone();
        // As the partition's leader does before it appends.
        let verified = self.shard.verify_partitions(&id, producer, std::slice::from_ref(&to));
        if let Ok(verified) = &verified {
            self.must_be_last(&id, producer);
            assert_eq!(verified[..], [Ok(())], "a partition that was added is not in {id}");
            let data = self.data.get_mut(&to).unwrap();
            let known = data.epochs.entry(producer.id).or_insert(producer.epoch);
            assert!(*known <= producer.epoch, "a verified producer is fenced in a partition");
            *known = producer.epoch;
            data.entries.push(Entry::Data { producer, transaction });
        } else {
            self.clients[at].step = Step::Init;
        }
    }

    /// A request of this producer was not refused as a zombie's.
    fn must_be_last(&self, id: &TransactionalId, producer: Producer) {
        let last = self.given.get(id).and_then(|given| given.last()).map(|(last, _)| *last);
        assert_eq!(last, Some(producer), "a zombie of {id} was served");
    }

    fn ask(&mut self, at: usize, producer: Producer, answer: Result<(), TransactionError>) {
        if answer.is_ok() {
            let id = self.clients[at].id.clone();
            self.must_be_last(&id, producer);
        }
        self.hold(at, answer.map(|()| None));
    }

    fn hold(&mut self, client: usize, answer: Answer) {
        self.requests += 1;
        let request = self.requests;
        self.clients[client].waits = Some(request);
        let held = Held::Answer { client, request, answer };
        self.held.push((self.log.records.len(), held));
    }

    fn replicate(&mut self) {
        let behind = (self.log.records.len() - self.replicated) as u64;
        self.replicated += self.rng.below(behind + 1) as usize;
        let replicated = self.replicated;
        let (free, held) =
            std::mem::take(&mut self.held).into_iter().partition(|(at, _)| *at <= replicated);
        self.held = held;
        let free: Vec<(usize, Held)> = free;
        for (_, held) in free {
            match held {
                Held::Markers(markers) => {
                    let left = markers.partitions.clone();
                    self.jobs.push(Job { markers, epoch: self.epoch, left });
                }
                Held::Answer { client, request, answer } => self.answered(client, request, answer),
            }
        }
    }

    fn answered(&mut self, at: usize, request: u64, answer: Answer) {
        let id = self.clients[at].id.clone();
        if let Ok(Some(producer)) = answer {
            let given = self.given.entry(id.clone()).or_default();
            let twice = given.iter().any(|(one, to)| *one == producer && *to != at);
            assert!(!twice, "{producer:?} was given to two");
            assert!(given.last().is_none_or(|(last, _)| *last <= producer), "{id} went back");
            given.push((producer, at));
            let owner = self.owners.entry(producer.id).or_insert_with(|| id.clone());
            assert_eq!(*owner, id, "a producer id was given twice");
        }
        if self.clients[at].waits != Some(request) {
            return;
        }
        let client = &mut self.clients[at];
        client.waits = None;
        use TransactionError::{
            ConcurrentTransactions, CoordinatorNotAvailable, InvalidProducerIdMapping,
            ProducerFenced,
        };
        match (client.step, answer) {
            (_, Err(ConcurrentTransactions | CoordinatorNotAvailable)) => {}
            (_, Err(ProducerFenced | InvalidProducerIdMapping)) => {
                client.step = Step::Init;
                client.producer = None;
            }
            (_, Err(error)) => panic!("{error:?} at {:?}", client.step),
            (Step::Init, Ok(Some(producer))) => {
                client.step = Step::Begin;
                client.producer = Some(producer);
                client.added.clear();
                client.asked.clear();
            }
            (Step::Begin | Step::Open, Ok(None)) => {
                client.step = Step::Open;
                let told = &mut self.told[client.transaction];
                for partition in &client.asked {
                    if client.added.insert(partition.clone()) {
                        let end = self.data[partition].entries.len();
                        let producer = client.producer.unwrap();
                        told.added.push((partition.clone(), end, producer.id));
                    }
                }
            }
            (Step::End(end), Ok(None)) => {
                self.told[client.transaction].outcome = Some(end);
                client.step = Step::Begin;
                client.added.clear();
                client.asked.clear();
            }
            (step, Ok(answer)) => panic!("{answer:?} at {step:?}"),
        }
    }

    /// One marker arrives, or not, and so does the answer, or not.
    fn mark(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let at = self.rng.below(self.jobs.len() as u64) as usize;
        let job = &mut self.jobs[at];
        // Those of a coordinator of the past may be on their way for long.
        if job.epoch < self.epoch && !self.rng.chance(10) {
            return;
        }
        let Marker { producer, coordinator_epoch, .. } = job.markers.marker;
        let mut marked = Vec::new();
        if !job.left.is_empty() {
            let which = self.rng.below(job.left.len() as u64) as usize;
            let partition = job.left[which].clone();
            if self.rng.chance(20) {
                return;
            }
            let data = self.data.get_mut(&partition).unwrap();
            let epoch = data.epochs.entry(producer.id).or_insert(producer.epoch);
            let coordinator = data.coordinators.entry(producer.id).or_insert(coordinator_epoch);
            if *epoch > producer.epoch || *coordinator > coordinator_epoch {
                assert!(job.epoch < self.epoch, "the current coordinator's marker is fenced");
                self.jobs.remove(at);
                return;
            }
            (*epoch, *coordinator) = (producer.epoch, coordinator_epoch);
            data.entries.push(Entry::Marker(job.markers.marker));
            if self.rng.chance(10) {
                return;
            }
            job.left.remove(which);
            marked.push(partition);
        }
        let is_done = job.left.is_empty();
        let is_current = job.epoch == self.epoch;
        let (id, ending) = (job.markers.transactional_id.clone(), job.markers.ending);
        if is_done {
            self.jobs.remove(at);
        }
        if is_current {
            self.run(|shard, cx| shard.marked(&id, ending, &marked, cx));
        }
    }

    /// Another node takes over, with all that was replicated and perhaps more. The markers of the
    /// coordinator before may be still on their way.
    fn crash(&mut self) {
        let behind = (self.log.records.len() - self.replicated) as u64;
        self.log.records.truncate(self.replicated + self.rng.below(behind + 1) as usize);
        self.replicated = self.log.records.len();
        self.held.clear();
        self.log.refuses = None;
        self.epoch += 1;
        self.shard = reread(&self.log.records, self.epoch, self.now, &self.config);
        self.run(|shard, cx| shard.on_loaded(cx));
    }

    /// The machine is what its log says.
    fn check_log(&self) {
        let stored = |shard: &Shard| -> Vec<_> {
            shard.transactions.iter().map(|(id, it)| (id.clone(), it.value.clone())).collect()
        };
        let again = reread(&self.log.records, self.epoch, self.now, &self.config);
        assert_eq!(stored(&again), stored(&self.shard));
        let mut timers = BTreeSet::new();
        for (id, it) in &self.shard.transactions {
            assert_eq!(it.ending.is_some(), it.value.state.ending().is_some());
            assert!(it.value.state != TransactionState::Ongoing || it.timer.is_some());
            timers.extend(it.timer.map(|at| (at, id.clone())));
        }
        assert_eq!(timers, self.shard.timers);
    }

    /// Everything heals, and all that was open is aborted.
    fn heal(&mut self) {
        self.log.refuses = None;
        for client in &mut self.clients {
            client.waits = None;
        }
        for _ in 0..5 {
            self.now.0 += 11_000;
            self.run(|shard, cx| shard.tick(cx));
            for _ in 0..3_000 {
                self.replicate();
                self.mark();
            }
        }
        assert!(self.jobs.is_empty());
        let is_idle = |it: &super::super::Transaction| it.value.state.is_idle();
        assert!(self.shard.transactions.values().all(is_idle));
    }

    /// What a transaction's records became in each partition; all that were told an outcome have it.
    fn check_outcomes(&self) -> [usize; 2] {
        let mut outcomes: BTreeMap<usize, End> = BTreeMap::new();
        for (partition, data) in &self.data {
            for (at, entry) in data.entries.iter().enumerate() {
                let Entry::Data { producer, transaction } = *entry else { continue };
                let end = data.entries[at..].iter().find_map(|after| match after {
                    Entry::Marker(marker) if marker.producer.id == producer.id => Some(marker.end),
                    _ => None,
                });
                let end = end.unwrap_or_else(|| panic!("{partition:?} has an open transaction"));
                let before = *outcomes.entry(transaction).or_insert(end);
                assert_eq!(before, end, "transaction {transaction} is torn at {partition:?}");
            }
        }
        let mut ends = [0, 0];
        for (transaction, told) in self.told.iter().enumerate() {
            let Some(outcome) = told.outcome else { continue };
            ends[usize::from(outcome == End::Commit)] += 1;
            let really = outcomes.get(&transaction).copied().unwrap_or(outcome);
            assert_eq!(
                really, outcome,
                "transaction {transaction} is not what its producer was told"
            );
            for (partition, from, producer_id) in &told.added {
                let first = self.data[partition].entries[*from..].iter().find_map(|it| match it {
                    Entry::Marker(marker) if marker.producer.id == *producer_id => Some(marker.end),
                    _ => None,
                });
                assert_eq!(first, Some(outcome), "{transaction} has no marker at {partition:?}");
            }
        }
        ends
    }
}

#[test]
fn transactions_are_atomic_and_zombies_fenced_whatever_happens() {
    let mut ended = [0, 0];
    let mut fenced = 0;
    for seed in 0..400 {
        let mut world = World::new(seed);
        for step in 0..1_500 {
            world.step();
            if step % 10 == 0 {
                world.check_log();
            }
        }
        world.heal();
        world.check_log();
        let ends = world.check_outcomes();
        ended = [ended[0] + ends[0], ended[1] + ends[1]];
        fenced += world.given.values().map(|given| given.len() - 1).sum::<usize>();
    }
    // The worlds are worth something only if much happens in them.
    assert!(ended[0] > 800 && ended[1] > 2_000 && fenced > 2_000, "{ended:?} {fenced}");
}
