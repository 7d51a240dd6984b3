//! A broker's machine, and the process on it: the real store, and around it what production's broker
//! does with tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use polyport_base::{Clock, Millis};
use polyport_kafka::metadata::image::{Image, Partition as ImagePartition};
use polyport_kafka::metadata::leaders::isr_change;
use polyport_kafka::metadata::topics::TRANSACTION_STATE;
use polyport_kafka::metadata::znode::{BrokerZnode, PartitionStateZnode, path};
use polyport_kafka::transaction::TransactionError;
use polyport_kafka::transaction::shard::InitProducerId;
use polyport_log::batch::EndMarker;
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::producer::{Origin, ProducerError};
use polyport_log::{AppendError, Isolation, TopicPartition};
use polyport_partitions::{
    AckError, AckWait, Acks, AppendOptions, FetchError, IsrProposal, ListOffset, OffsetAt,
    Partition, PartitionState, ProduceError, Read, Settings, Store, TopicConfig, Upkeep,
};
use polyport_storage::disk::SimDisk;

use super::bench::{Asker, Bench};
use super::controller::Controlling;
use super::coordinator::{Coordinated, Situation};
use super::follow::{Following, Me, Sessions};
use super::message::{Address, Ask, Event, Found, Refusal, Tell};
use super::tree::{Change, Outcome, Purpose, Request, Seen, Tree};

/// A partition of a process.
pub type Replica = Arc<Partition<SimDisk>>;

/// 2024-01-01T00:00:00Z: where every run's wall clocks begin.
const BEGIN_MS: i64 = 1_704_067_200_000;

/// The wall clock of one machine: the run's time, plus its own error.
#[derive(Debug, Default)]
pub struct NodeClock {
    now_ms: AtomicI64,
    error_ms: AtomicI64,
}

impl NodeClock {
    /// Sets it wrong by this much.
    pub fn jump(&self, error_ms: i64) {
        self.error_ms.store(error_ms, Ordering::Relaxed);
    }

    /// The run's time is this.
    pub fn set(&self, now: u64) {
        self.now_ms.store(now as i64, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Millis {
        let (now, error) =
            (self.now_ms.load(Ordering::Relaxed), self.error_ms.load(Ordering::Relaxed));
        Millis(BEGIN_MS + now + error)
    }
}

/// How partitions are kept in this run.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `replica.lag.time.max.ms`.
    pub lag_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// Most bytes that may not be durable.
    pub unflushed_limit_bytes: u64,
    /// `min.insync.replicas` by topic.
    pub min_isr: BTreeMap<String, usize>,
}

impl Shape {
    /// A topic's configuration.
    pub fn config(&self, topic: &str) -> Arc<TopicConfig> {
        let mut config = TopicConfig::default();
        config.log.segment_bytes = self.segment_bytes;
        config.log.index_interval_bytes = self.index_interval_bytes;
        config.log.retention_ms = None;
        config.min_insync_replicas = self.min_isr.get(topic).copied().unwrap_or(1);
        config.file_delete_delay_ms = 500;
        Arc::new(config)
    }

    fn settings(&self, node: i32) -> Settings {
        Settings {
            broker_id: node,
            cluster_id: "simulated".to_owned(),
            log_dirs: vec!["/logs".into()],
            replica_lag_time_max_ms: self.lag_ms,
            retention_check_interval_ms: 700,
            flush_checkpoint_interval_ms: 600,
            high_watermark_checkpoint_interval_ms: 300,
            producer_expiration_check_interval_ms: 3_600_000,
            cleaner: None,
            io_threads_per_dir: 1,
            unflushed_limit_bytes: self.unflushed_limit_bytes,
            ..Settings::default()
        }
    }
}

/// A machine.
pub struct Node {
    /// `broker.id`.
    pub id: i32,
    /// Its disk.
    pub disk: SimDisk,
    /// Its clock.
    pub clock: Arc<NodeClock>,
    /// How many processes it has had.
    pub life: u64,
    /// What runs on it.
    pub process: Option<Process>,
    /// The process stands still.
    pub is_paused: bool,
    /// What came meanwhile.
    pub backlog: Vec<Event>,
}

impl Node {
    /// A machine with an empty disk.
    pub fn new(id: i32) -> Self {
        Self {
            id,
            disk: SimDisk::new(),
            clock: Arc::default(),
            life: 0,
            process: None,
            is_paused: false,
            backlog: Vec::new(),
        }
    }
}

/// What an append still waits for, and what comes then.
struct Waiting {
    done: Pin<Box<dyn Future<Output = Result<(), AckError>>>>,
    asker: Asker,
    then: Tell,
}

/// A change of in-sync replicas on its way to the tree.
struct Proposed {
    proposal: IsrProposal,
    state: PartitionStateZnode,
    /// When to send it again, because nobody knows what became of it.
    retry_at: Option<u64>,
}

/// A broker's process.
pub struct Process {
    /// Who it is.
    pub me: Me,
    /// Its session with the tree.
    pub session: u64,
    /// Its partitions.
    pub store: Store<SimDisk>,
    /// What it knows.
    pub image: Image,
    /// How many of the tree's changes it has seen.
    pub seen: usize,
    /// It has registered and follows the metadata.
    is_registered: bool,
    is_registering: bool,
    pub(super) controlling: Option<Controlling>,
    pub(super) is_standing: bool,
    shape: Arc<Shape>,
    clock: Arc<NodeClock>,
    upkeep: Upkeep,
    following: Following,
    sessions: Sessions,
    proposed: BTreeMap<TopicPartition, Proposed>,
    waiting: Vec<Waiting>,
    coordinated: BTreeMap<i32, Coordinated>,
    isr_at: u64,
    flush_at: u64,
}

impl Process {
    /// Starts on a machine's disk. It registers before it does anything else.
    ///
    /// # Errors
    /// What it finds wrong with its disk.
    pub fn start(
        node: &Node,
        shape: &Arc<Shape>,
        tree: &mut Tree,
        now: u64,
    ) -> Result<Self, String> {
        node.clock.set(now);
        let known = shape.clone();
        let opened = Store::open(
            node.disk.clone(),
            shape.settings(node.id),
            node.clock.clone(),
            &move |topic| known.config(topic),
        );
        let (store, opened) = opened.map_err(|error| error.to_string())?;
        if let Some((of, error)) = opened.failed_partitions.first() {
            return Err(format!("{} cannot be opened: {error}", of.dir_name()));
        }
        if let Some((dir, error)) = opened.failed_dirs.first() {
            return Err(format!("{} cannot be opened: {error}", dir.display()));
        }
        Ok(Self {
            me: Me { node: node.id, life: node.life },
            session: tree.open(node.id, now),
            store,
            image: Image::default(),
            seen: 0,
            is_registered: false,
            is_registering: false,
            controlling: None,
            is_standing: false,
            shape: shape.clone(),
            clock: node.clock.clone(),
            upkeep: Upkeep::default(),
            following: Following::default(),
            sessions: Sessions::default(),
            proposed: BTreeMap::new(),
            waiting: Vec::new(),
            coordinated: BTreeMap::new(),
            isr_at: 0,
            flush_at: 0,
        })
    }

    fn address(&self) -> Address {
        Address::Node(self.me.node)
    }

    /// Its wall clock.
    pub fn clock(&self) -> Millis {
        self.clock.now()
    }

    /// Sends transactions to the tree.
    pub(super) fn write(
        &self,
        purpose: Purpose,
        transactions: Vec<Vec<Change>>,
        bench: &mut Bench,
    ) {
        let request = Request { purpose, session: self.session, transactions, is_held: false };
        let ms = 1 + bench.rng.below(5);
        bench.after(ms, Event::Write { node: self.me.node, life: self.me.life, request });
    }

    /// Its session is gone: it gets another, and registers anew.
    pub fn reopen(&mut self, session: u64) {
        self.session = session;
        self.is_registering = false;
        self.controlling = None;
    }

    /// It is time to look what is to be done.
    pub fn tick(&mut self, tree: &Tree, bench: &mut Bench) {
        let registration = path::broker(self.me.node);
        let registered = tree.get(&registration);
        let is_ours = registered.is_some_and(|(_, _, session)| session == Some(self.session));
        if !is_ours && !self.is_registering && tree.is_open(self.session) {
            self.is_registering = true;
            let json = BrokerZnode { jmx_port: -1, ..BrokerZnode::default() }.to_json();
            let left =
                registered.map(|(_, version, _)| Change::Delete(registration.clone(), version));
            let create = Change::Create(registration, json, Some(self.session));
            let all = left.into_iter().chain([create]).collect();
            self.write(Purpose::Register, vec![all], bench);
        }
        if is_ours {
            // Also if nobody has told it.
            let created = tree.created(&path::broker(self.me.node));
            let seen = self.image.brokers().get(&self.me.node).map(|broker| broker.epoch);
            if seen == created {
                self.begin(bench);
            }
        }
        if !self.is_registered {
            return;
        }
        self.stand(tree, bench);
        self.control(bench);
        for leader in self.following.leaders() {
            self.following.go_on(self.me, leader, &self.store, bench);
        }
        let clock = self.clock();
        if bench.now >= self.flush_at {
            self.flush_at = bench.now + 50 + bench.rng.below(400);
            self.store.flush_step(0, clock);
        }
        let mut upkeep = self.upkeep;
        self.store.upkeep_step(&mut upkeep, clock);
        self.upkeep = upkeep;
        if bench.now >= self.isr_at {
            self.isr_at = bench.now + self.shape.lag_ms as u64 / 2;
            for (partition, proposal) in self.store.isr_proposals(clock) {
                self.propose(&partition, proposal, bench);
            }
        }
        self.propose_again(bench);
        self.settle(bench);
    }

    /// It is registered, and sees that: from now on it does what the metadata say.
    fn begin(&mut self, bench: &mut Bench) {
        if !self.is_registered {
            self.is_registered = true;
            bench.history.event(format_args!("node {} is registered", self.me.node));
            self.follow_image(&self.all_partitions(), bench);
        }
    }

    /// Sees what has changed in the tree.
    pub fn see(&mut self, changes: &[Seen], bench: &mut Bench) {
        let Some(last) = changes.last() else { return };
        self.seen += changes.len();
        let before = self.image.clone();
        let znodes: BTreeMap<_, _> =
            changes.iter().map(|seen| (seen.path.clone(), seen.content.clone())).collect();
        let changes = self.image.take(last.zxid, znodes);
        if let Some(controlling) = &mut self.controlling {
            controlling.note(&before, &self.image, &changes);
        }
        if !self.is_registered {
            return;
        }
        // Whether a leader may act depends on its broker's registration too.
        let keeps: Vec<TopicPartition> = match changes.brokers.is_empty() {
            true => changes
                .partitions
                .iter()
                .map(|(topic, number)| TopicPartition {
                    topic: topic.to_string(),
                    partition: *number,
                })
                .collect(),
            false => self.all_partitions(),
        };
        self.follow_image(&keeps, bench);
        if !changes.brokers.is_empty() {
            let (now, image) = (self.clock(), &self.image);
            let life = |image: &Image, id| image.brokers().get(&id).map(|broker| broker.epoch);
            for partition in self.store.partitions() {
                // One that is back already was away nevertheless.
                let stayed =
                    |id| !changes.brokers.contains(&id) || life(&before, id) == life(image, id);
                partition.set_alive(|id| image.is_alive(id) && stayed(id), now);
                partition.set_alive(|id| image.is_alive(id), now);
            }
        }
        self.control(bench);
        self.settle(bench);
    }

    fn all_partitions(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self
            .image
            .topics()
            .flat_map(|topic| {
                topic.numbered().map(|(partition, _)| TopicPartition {
                    topic: topic.name.to_string(),
                    partition,
                })
            })
            .collect();
        all.sort();
        all
    }

    fn follow_image(&mut self, changed: &[TopicPartition], bench: &mut Bench) {
        for of in changed {
            let Some(topic) = self.image.topic(&of.topic).cloned() else { continue };
            let Some(partition) = topic.partition(of.partition) else { continue };
            if partition.replicas.contains(&self.me.node) {
                self.keep(of, TopicId(topic.id.0), partition, bench);
            }
        }
    }

    /// Makes sure that a partition is here, and tells it who leads.
    fn keep(
        &mut self,
        of: &TopicPartition,
        id: TopicId,
        partition: &ImagePartition,
        bench: &mut Bench,
    ) {
        let Some(state) = &partition.state else { return };
        let config = self.shape.config(&of.topic);
        let replica = match self.store.create(of, id, &config, state.leader_epoch == 0) {
            Ok(replica) => replica,
            Err(error) => {
                let node = self.me.node;
                return bench.history.violation(format!("node {node} cannot keep {of:?}: {error}"));
            }
        };
        let leader = match bench.rules.the_returned_lead_on {
            true => partition.leader(),
            false => self.image.acting_leader(partition),
        };
        let said = PartitionState {
            leader,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.version,
            replicas: partition.replicas.to_vec(),
            isr: state.isr.to_vec(),
        };
        let now = self.clock();
        if let Err(error) = replica.set_state(&said, now) {
            let node = self.me.node;
            return bench
                .history
                .violation(format!("node {node} cannot lead or follow {of:?}: {error}"));
        }
        replica.set_alive(|broker| self.image.is_alive(broker), now);
        let leads = leader == Some(self.me.node);
        let followed = leader.filter(|_| !leads).map(|leader| (leader, state.leader_epoch));
        self.following.follow(of, followed);
        if let Some((leader, _)) = followed {
            self.following.go_on(self.me, leader, &self.store, bench);
        }
        if of.topic == TRANSACTION_STATE {
            self.coordinate(of, leads.then_some(state.leader_epoch), replica, bench);
        }
    }

    fn coordinate(
        &mut self,
        of: &TopicPartition,
        leads: Option<i32>,
        replica: Replica,
        bench: &mut Bench,
    ) {
        let known = self.coordinated.get(&of.partition);
        if leads.is_some() && known.is_some_and(|known| Some(known.epoch) == leads) {
            return;
        }
        if let Some(mut before) = self.coordinated.remove(&of.partition) {
            before.resign(self.me.node, bench);
        }
        let Some(epoch) = leads else { return };
        match Coordinated::load(replica, epoch, self.clock()) {
            Ok(loaded) => {
                self.coordinated.insert(of.partition, loaded);
            }
            Err(error) => {
                bench.history.violation(format!("transactions cannot be loaded: {error}"))
            }
        }
    }

    /// Sends a change of the in-sync replicas to the tree.
    fn propose(&mut self, partition: &Replica, proposal: IsrProposal, bench: &mut Bench) {
        let of = partition.of().clone();
        if bench.rules.nobody_joins && proposal.isr.len() > 1 {
            return partition.isr_refused(self.clock());
        }
        let leader = (self.me.node, proposal.leader_epoch);
        let name = (of.topic.as_str(), of.partition);
        let isr = proposal.isr.clone();
        match isr_change(&self.image, name, leader, proposal.partition_epoch, isr) {
            Ok(state) => {
                self.send_proposal(&of, &state, proposal.partition_epoch, bench);
                self.proposed.insert(of, Proposed { proposal, state, retry_at: None });
            }
            Err(_) => partition.isr_refused(self.clock()),
        }
    }

    fn send_proposal(
        &self,
        of: &TopicPartition,
        state: &PartitionStateZnode,
        version: i32,
        bench: &mut Bench,
    ) {
        let path = path::state(&of.topic, of.partition);
        let set = Change::Set(path, state.to_json(), version);
        self.write(Purpose::Isr(of.clone()), vec![vec![set]], bench);
    }

    fn propose_again(&mut self, bench: &mut Bench) {
        let due: Vec<TopicPartition> = self
            .proposed
            .iter()
            .filter(|(_, one)| one.retry_at.is_some_and(|at| at <= bench.now))
            .map(|(of, _)| of.clone())
            .collect();
        for of in due {
            let version = self
                .image
                .partition(&of.topic, of.partition)
                .and_then(|known| Some(known.state.as_ref()?.version));
            let Some(one) = self.proposed.get_mut(&of) else { continue };
            one.retry_at = None;
            let (state, expected) = (one.state.clone(), one.proposal.partition_epoch);
            match version == Some(expected) {
                true => self.send_proposal(&of, &state, expected, bench),
                // What became of it the image has told.
                false => drop(self.proposed.remove(&of)),
            }
        }
    }

    /// The tree has answered, or nobody knows.
    pub fn written(&mut self, purpose: Purpose, outcome: Outcome, tree: &Tree, bench: &mut Bench) {
        match purpose {
            Purpose::Register => {
                self.is_registering = false;
                if matches!(&outcome, Outcome::Done(done, _) if done.iter().all(Result::is_ok)) {
                    self.begin(bench);
                }
            }
            Purpose::Stand => self.stood(&outcome, tree, bench),
            Purpose::Decisions => self.decided(&outcome, bench),
            Purpose::Isr(of) => match outcome {
                // Written or not: the state is a newer one, and the image brings it.
                Outcome::Done(..) => drop(self.proposed.remove(&of)),
                Outcome::Unknown => {
                    if let Some(one) = self.proposed.get_mut(&of) {
                        one.retry_at = Some(bench.now + 100);
                    }
                }
            },
        }
        self.settle(bench);
    }

    /// It is time to fetch from a leader.
    pub fn refetch(&mut self, leader: i32, bench: &mut Bench) {
        self.following.woken(self.me, leader, &self.store, bench);
        self.settle(bench);
    }

    /// An answer to what this process asked.
    pub fn told(&mut self, from: Address, id: u64, tell: Tell, bench: &mut Bench) {
        let clock = self.clock();
        match tell {
            Tell::Followed(answer) => {
                let Address::Node(leader) = from else { return };
                let whom = (leader, id);
                self.following.answered(self.me, whom, answer, &self.store, clock, bench);
            }
            Tell::Marked(done) => {
                let mut coordinated = self.coordinated.values_mut();
                coordinated.any(|one| one.marked(id, done, clock, bench));
            }
            _ => {}
        }
        self.settle(bench);
    }

    /// Somebody asks.
    pub fn asked(&mut self, asker: Asker, ask: Ask, bench: &mut Bench) {
        let me = self.address();
        match ask {
            Ask::Metadata => {
                let known = self.all_partitions().into_iter().filter_map(|of| {
                    let found = self.image.partition(&of.topic, of.partition)?;
                    let led = (found.leader()?, found.leader_epoch());
                    Some((of, led))
                });
                bench.tell(&asker, me, Tell::Metadata(known.collect()));
            }
            Ask::Produce { of, acks, batch, .. } => self.produce(asker, &of, acks, batch, bench),
            Ask::Fetch { of, offset, isolation, epoch } => {
                let found = self.fetch(&of, offset, isolation, epoch, bench);
                bench.tell(&asker, me, Tell::Found(found));
            }
            Ask::Latest { of, epoch } => {
                let found = self.latest(&of, epoch, bench);
                bench.tell(&asker, me, Tell::Latest(found));
            }
            Ask::Mark { marker, of } => {
                let end = EndMarker {
                    commit: marker.end == polyport_kafka::transaction::machine::End::Commit,
                    coordinator_epoch: marker.coordinator_epoch,
                };
                let (id, epoch) = (marker.producer.id, marker.producer.epoch);
                let mut batch = end.build(id, epoch, self.clock().0);
                let options =
                    AppendOptions { origin: Origin::Coordinator, ..AppendOptions::coordinator() };
                let done =
                    self.store.partition(&of.topic, of.partition).ok_or(true).and_then(|found| {
                        found.append(&mut batch, options, self.clock()).map_err(marker_refused)
                    });
                match done {
                    Ok(answer) => self.wait(asker, answer.wait, Tell::Marked(Ok(())), bench),
                    Err(again) => bench.tell(&asker, me, Tell::Marked(Err(again))),
                }
            }
            Ask::Init { id, timeout_ms, expected } => {
                let fresh = bench.rng.next_u64() as i64 & 0xff_ffff_ffff;
                let clock = self.clock();
                match self.coordinated.get_mut(&0).filter(|one| !one.is_over) {
                    Some(found) => {
                        let ask = InitProducerId { timeout_ms, expected };
                        found.init(asker, &id, ask, fresh, clock);
                    }
                    None => {
                        let error = TransactionError::NotCoordinator;
                        bench.tell(&asker, me, Tell::Initialised(Err(error)));
                    }
                }
            }
            Ask::Add { .. } | Ask::End { .. } => {
                let clock = self.clock();
                match self.coordinated.get_mut(&0).filter(|one| !one.is_over) {
                    Some(found) => found.asked(asker, ask, clock),
                    None => {
                        let error = TransactionError::NotCoordinator;
                        bench.tell(&asker, me, Tell::Done(Err(error)));
                    }
                }
            }
            Ask::Follow(question) => {
                let clock = self.clock();
                let (answer, proposals) = self.sessions.answer(question, &self.store, clock, bench);
                for (partition, proposal) in proposals {
                    self.propose(&partition, proposal, bench);
                }
                bench.tell(&asker, me, Tell::Followed(answer));
            }
        }
        self.settle(bench);
    }

    fn produce(
        &mut self,
        asker: Asker,
        of: &TopicPartition,
        acks: Option<Acks>,
        mut batch: Vec<u8>,
        bench: &mut Bench,
    ) {
        let options = AppendOptions::client(acks.unwrap_or(Acks::Leader));
        let appended = match self.store.partition(&of.topic, of.partition) {
            Some(found) => {
                found.append(&mut batch, options, self.clock()).map_err(|error| refusal(&error))
            }
            None => Err(Refusal::Again),
        };
        if acks.is_none() {
            return;
        }
        match appended {
            Ok(answer) => {
                let told = Tell::Produced(Ok(answer.appended.first_offset));
                let wait = answer.wait.filter(|_| !bench.rules.acknowledge_at_once);
                self.wait(asker, wait, told, bench);
            }
            Err(error) => bench.tell(&asker, self.address(), Tell::Produced(Err(error))),
        }
    }

    fn wait(&mut self, asker: Asker, wait: Option<AckWait>, then: Tell, bench: &mut Bench) {
        match wait {
            Some(wait) => self.waiting.push(Waiting { done: Box::pin(wait.done()), asker, then }),
            None => bench.tell(&asker, self.address(), then),
        }
    }

    fn fetch(
        &self,
        of: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        epoch: Option<i32>,
        bench: &mut Bench,
    ) -> Result<Found, Refusal> {
        let partition = self.store.partition(&of.topic, of.partition).ok_or(Refusal::Again)?;
        let only_leader = epoch.is_some();
        let read =
            Read { leader_epoch: epoch, only_leader, ..Read::consumer(offset, 3000, isolation) };
        let answer = partition.read(&read).map_err(|error| match error {
            FetchError::OutOfRange(_) => Refusal::OutOfRange,
            FetchError::Refused(_) => Refusal::Again,
        })?;
        let leader_epoch = partition.status().map_or(-1, |status| status.leader_epoch);
        let fetched = answer.fetched;
        if only_leader {
            let me = (self.me.node, self.me.life);
            bench.history.high_watermark(of, me, leader_epoch, fetched.high_watermark);
        }
        let bytes = match &fetched.range {
            Some(range) => range.read().map_err(|_| Refusal::Again)?,
            None => Vec::new(),
        };
        if !bytes.is_empty() {
            bench.history.event(format_args!(
                "node {} shows {} from {offset} up to {:?} in epoch {leader_epoch}, high watermark {}",
                self.me.node,
                of.dir_name(),
                read.isolation,
                fetched.high_watermark
            ));
        }
        Ok(Found {
            bytes,
            high_watermark: fetched.high_watermark,
            epoch: leader_epoch,
            aborted: fetched.aborted,
        })
    }

    fn latest(&self, of: &TopicPartition, epoch: i32, bench: &Bench) -> Result<i64, Refusal> {
        let partition = self.store.partition(&of.topic, of.partition).ok_or(Refusal::Again)?;
        let isolation = match bench.rules.ends_are_not_committed {
            true => Isolation::LogEnd,
            false => Isolation::HighWatermark,
        };
        let ask = ListOffset {
            at: OffsetAt::Latest,
            isolation,
            leader_epoch: Some(epoch),
            only_leader: true,
        };
        let found = partition.list_offset(&ask).map_err(|_| Refusal::Again)?;
        found.map(|found| found.offset).ok_or(Refusal::Again)
    }

    /// Tells those whose time has come, and lets coordinators go on.
    fn settle(&mut self, bench: &mut Bench) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut at = 0;
        while at < self.waiting.len() {
            let Poll::Ready(done) = self.waiting[at].done.as_mut().poll(&mut cx) else {
                at += 1;
                continue;
            };
            let Waiting { asker, then, .. } = self.waiting.remove(at);
            let tell = match (done, then) {
                (Ok(()), then) => then,
                (Err(_), Tell::Marked(_)) => Tell::Marked(Err(true)),
                (Err(_), _) => Tell::Produced(Err(Refusal::Again)),
            };
            bench.tell(&asker, self.address(), tell);
        }
        let image = &self.image;
        let leader_of = |of: &TopicPartition| image.partition(&of.topic, of.partition)?.leader();
        let situation =
            Situation { node: self.me.node, clock: self.clock.now(), leader_of: &leader_of };
        for one in self.coordinated.values_mut() {
            one.poll(&situation, bench);
        }
    }
}

fn refusal(error: &ProduceError) -> Refusal {
    match error {
        ProduceError::Refused(_) | ProduceError::NotEnoughReplicas => Refusal::Again,
        ProduceError::Records(AppendError::Producer(ProducerError::OutOfOrder {
            sequence,
            last,
            ..
        })) => Refusal::OutOfOrder(*sequence, *last),
        ProduceError::Records(AppendError::Producer(ProducerError::Fenced { .. })) => {
            Refusal::Fenced
        }
        ProduceError::Records(error) => Refusal::Absurd(format!("{error:?}")),
    }
}

/// Whether a marker is to be tried again.
fn marker_refused(error: ProduceError) -> bool {
    !matches!(
        error,
        ProduceError::Records(AppendError::Producer(
            ProducerError::Fenced { .. } | ProducerError::CoordinatorFenced { .. }
        ))
    )
}
