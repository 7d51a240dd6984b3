//! All machines, clients and the tree of a run, and how events reach them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use polyport_base::rng::SplitMix64;
use polyport_kafka::metadata::TopicId;
use polyport_kafka::metadata::controller::decide::{self, Rules as Elections};
use polyport_kafka::metadata::znode::{Assignment, PartitionStateZnode, TopicZnode, path};
use polyport_log::TopicPartition;
use polyport_storage::disk::SimDisk;

use super::Rules;
use super::bench::{Asker, Bench};
use super::client::Client;
use super::faults::Plan;
use super::message::{Address, Body, Envelope, Event};
use super::node::{Node, Process, Shape};
use super::tree::{Change, Outcome, Request, Tree};

/// The world of a run.
pub struct World {
    /// Time, randomness, network.
    pub bench: Bench,
    /// The tree.
    pub tree: Tree,
    /// The machines.
    pub nodes: Vec<Node>,
    /// The clients.
    pub clients: Vec<Client>,
    /// All partitions, with their replicas.
    pub partitions: BTreeMap<TopicPartition, Vec<i32>>,
    pub(super) view_delay_ms: BTreeMap<i32, u64>,
    pub(super) lost_answers_percent: u64,
    shape: Arc<Shape>,
    session_timeout_ms: u64,
    /// What goes wrong, while something does.
    plan: Option<Plan>,
    /// Replicas that are in sync by the tree, and have lost what they had not synced since they came
    /// in sync: until the controller has put them out.
    wounded: BTreeSet<(TopicPartition, i32)>,
    /// How many of the tree's changes have been looked at for that.
    looked: usize,
}

impl World {
    /// Machines that were just bought.
    pub fn new(seed: u64, rules: Rules, trace: bool) -> Self {
        let mut bench = Bench::new(seed, rules, trace);
        let nodes = [3, 3, 3, 4, 5][bench.rng.below(5) as usize];
        let topics = [("a", 2, 2), ("b", 1, 1), ("__transaction_state", 1, 2)];
        let shape = Shape {
            lag_ms: 200 + bench.rng.below(1000) as i64,
            segment_bytes: [3000, 10_000, 1 << 20][bench.rng.below(3) as usize],
            index_interval_bytes: [100, 4096][bench.rng.below(2) as usize],
            unflushed_limit_bytes: [2000, 1 << 20][bench.rng.below(2) as usize],
            min_isr: topics.iter().map(|(name, _, min)| ((*name).to_owned(), *min)).collect(),
        };
        let session_timeout_ms = 300 + bench.rng.below(1200);
        let mut world = Self {
            bench,
            tree: Tree::default(),
            nodes: (1..=nodes).map(Node::new).collect(),
            clients: Vec::new(),
            partitions: BTreeMap::new(),
            view_delay_ms: BTreeMap::new(),
            lost_answers_percent: 0,
            shape: Arc::new(shape),
            session_timeout_ms,
            plan: None,
            wounded: BTreeSet::new(),
            looked: 0,
        };
        let epoch = Change::Create(path::CONTROLLER_EPOCH.to_owned(), b"0".to_vec(), None);
        let mut all = vec![epoch];
        for (number, (topic, partitions, _)) in topics.into_iter().enumerate() {
            all.push(world.topic(number as u8, topic, partitions));
        }
        let _ = world.tree.transact(&all);
        for id in world.ids() {
            world.start(id);
        }
        world.bench.after(20, Event::Sessions);
        world
    }

    fn topic(&mut self, number: u8, topic: &str, partitions: i32) -> Change {
        let ids = self.ids();
        let mut assignments = BTreeMap::new();
        for partition in 0..partitions {
            let mut replicas = ids.clone();
            let by = self.bench.rng.below(ids.len() as u64) as usize;
            replicas.rotate_left(by);
            replicas.truncate(3);
            assignments.insert(partition, Assignment::settled(replicas.clone()));
            self.partitions.insert(TopicPartition { topic: topic.to_owned(), partition }, replicas);
        }
        let znode = TopicZnode { id: Some(TopicId([number + 1; 16])), partitions: assignments };
        Change::Create(path::topic(topic), znode.to_json(), None)
    }

    /// The nodes' ids.
    pub fn ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// A node by its id.
    pub fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[(id - 1) as usize]
    }

    /// Clients begin.
    pub fn add(&mut self, client: Client) {
        self.clients.push(client);
        let client = self.clients.len() - 1;
        self.bench.after(1, Event::Wake { client, token: 0 });
    }

    /// From now on things go wrong, or no longer.
    pub fn set_plan(&mut self, plan: Option<Plan>) {
        if plan.is_some() && self.plan.is_none() {
            self.bench.after(1, Event::Fault);
        }
        self.plan = plan;
    }

    /// Lets time pass until something is so; says whether it came to that in so long.
    pub fn run_until(&mut self, limit_ms: u64, mut is_so: impl FnMut(&World) -> bool) -> bool {
        let end = self.bench.now + limit_ms;
        let mut next_look = 0;
        while self.bench.now < end {
            let Some(event) = self.bench.next_event() else { return false };
            self.handle(event);
            if self.bench.now >= next_look {
                if is_so(self) {
                    return true;
                }
                next_look = self.bench.now + 50;
            }
        }
        false
    }

    fn handle(&mut self, event: Event) {
        let bench = &mut self.bench;
        // What would reach a process that stands still waits for it.
        let (node, life) = match &event {
            Event::Tick { node, life }
            | Event::Refetch { node, life, .. }
            | Event::View { node, life, .. }
            | Event::Written { node, life, .. } => (*node, Some(*life)),
            Event::Deliver(Envelope { to: Address::Node(node), .. }) => (*node, None),
            Event::Deliver(envelope) => return self.deliver_to_client(envelope.clone()),
            Event::Write { .. } => {
                let Event::Write { node, life, request } = event else { return };
                return self.write(node, life, request);
            }
            Event::Wake { client, .. } => {
                self.clients[*client].tick(bench);
                let ms = 8 + bench.rng.below(15);
                return bench.after(ms, event);
            }
            Event::Sessions => return self.sessions(),
            Event::Fault => {
                if let Some(plan) = self.plan.clone() {
                    self.trouble(&plan);
                }
                return;
            }
        };
        let machine = &mut self.nodes[(node - 1) as usize];
        machine.clock.set(bench.now);
        if machine.is_paused {
            return machine.backlog.push(event);
        }
        let is_gone = machine
            .process
            .as_ref()
            .is_none_or(|process| life.is_some_and(|life| life != process.me.life));
        match event {
            // Whoever listens on a dead machine's port may be its next process.
            Event::Deliver(envelope) => self.deliver_to_node(node, envelope),
            _ if is_gone => {}
            event => self.process_event(node, event),
        }
    }

    fn process_event(&mut self, node: i32, event: Event) {
        let bench = &mut self.bench;
        let is_cut = bench.is_blocked(Address::Tree, Address::Node(node))
            || bench.is_blocked(Address::Node(node), Address::Tree);
        let machine = &mut self.nodes[(node - 1) as usize];
        let Some(process) = &mut machine.process else { return };
        match event {
            Event::Tick { life, .. } => {
                let ms = 15 + bench.rng.below(15);
                bench.after(ms, Event::Tick { node, life });
                if !is_cut && !self.tree.is_open(process.session) {
                    process.reopen(self.tree.open(node, bench.now));
                }
                if !is_cut && process.seen < self.tree.changes.len() {
                    let delay = self.view_delay_ms.get(&node).copied().unwrap_or(3);
                    let ms = bench.rng.below(delay);
                    let upto = self.tree.changes.len();
                    bench.after(ms, Event::View { node, life, upto });
                }
                process.tick(&self.tree, bench);
            }
            Event::View { upto, .. } if !is_cut && process.seen < upto => {
                process.see(&self.tree.changes[process.seen..upto], bench);
            }
            Event::Written { purpose, outcome, .. } => {
                if let Outcome::Done(_, upto) = outcome
                    && process.seen < upto
                {
                    // A node sees what it wrote before it is told.
                    process.see(&self.tree.changes[process.seen..upto], bench);
                }
                process.written(purpose, outcome, &self.tree, bench);
            }
            Event::Refetch { leader, .. } => process.refetch(leader, bench),
            _ => {}
        }
    }

    fn deliver_to_node(&mut self, node: i32, mut envelope: Envelope) {
        let bench = &mut self.bench;
        if !bench.arrives(&mut envelope) {
            return;
        }
        let machine = &mut self.nodes[(node - 1) as usize];
        let Some(process) = &mut machine.process else {
            return bench.break_wire(envelope.from, envelope.to);
        };
        match envelope.body {
            Body::Ask(id, ask) => {
                let asker = Asker { from: envelope.from, id, generation: envelope.generation };
                process.asked(asker, *ask, bench);
            }
            Body::Tell(id, tell) => process.told(envelope.from, id, *tell, bench),
        }
    }

    fn deliver_to_client(&mut self, mut envelope: Envelope) {
        let Address::Client(client) = envelope.to else { return };
        if self.bench.arrives(&mut envelope)
            && let Body::Tell(id, tell) = envelope.body
        {
            self.clients[client].told(id, *tell, &mut self.bench);
        }
    }

    /// A write arrives at the tree, or does not.
    fn write(&mut self, node: i32, life: u64, mut request: Request) {
        let bench = &mut self.bench;
        let is_cut = bench.is_blocked(Address::Node(node), Address::Tree);
        let unknown = |request: Request| Event::Written {
            node,
            life,
            purpose: request.purpose,
            outcome: Outcome::Unknown,
        };
        if is_cut {
            if request.is_held || bench.rng.chance(40) {
                // It is on its way for as long as it takes, though the node may have given it up.
                if !request.is_held {
                    bench.after(400, unknown(request.clone()));
                }
                request.is_held = true;
                return bench.after(50, Event::Write { node, life, request });
            }
            return bench.after(300, unknown(request));
        }
        let done: Vec<_> =
            request.transactions.iter().map(|changes| self.tree.transact(changes)).collect();
        let upto = self.tree.changes.len();
        self.note_states();
        if request.is_held {
            return;
        }
        let bench = &mut self.bench;
        let is_lost = bench.rng.chance(self.lost_answers_percent)
            || bench.is_blocked(Address::Tree, Address::Node(node));
        if is_lost {
            return bench.after(300, unknown(request));
        }
        let (purpose, outcome) = (request.purpose, Outcome::Done(done, upto));
        let ms = 1 + bench.rng.below(6);
        bench.after(ms, Event::Written { node, life, purpose, outcome });
    }

    fn sessions(&mut self) {
        let now = self.bench.now;
        for node in &self.nodes {
            let address = Address::Node(node.id);
            let is_cut = self.bench.is_blocked(address, Address::Tree)
                || self.bench.is_blocked(Address::Tree, address);
            if let Some(process) = node.process.as_ref().filter(|_| !is_cut && !node.is_paused) {
                self.tree.heard(process.session, now);
            }
        }
        for node in self.tree.expire(now, self.session_timeout_ms) {
            self.bench.history.event(format_args!("a session of node {node} expires"));
        }
        self.bench.after(20, Event::Sessions);
    }

    /// The state of a partition, as the tree has it.
    pub fn state(&self, of: &TopicPartition) -> Option<PartitionStateZnode> {
        let (json, ..) = self.tree.get(&path::state(&of.topic, of.partition))?;
        PartitionStateZnode::parse(json).ok()
    }

    /// Looks at what has changed in the tree.
    fn note_states(&mut self) {
        let changes = &self.tree.changes[self.looked..];
        self.looked = self.tree.changes.len();
        for seen in changes {
            let Some(path::TopicPath::State(topic, partition)) = path::parse_topic_path(&seen.path)
            else {
                continue;
            };
            let of = TopicPartition { topic: topic.to_owned(), partition };
            let Some(state) =
                seen.content.as_ref().and_then(|(json, _)| PartitionStateZnode::parse(json).ok())
            else {
                continue;
            };
            self.bench.history.states += 1;
            self.bench.history.event(format_args!(
                "{} is led by {} in epoch {}, in sync {:?}",
                of.dir_name(),
                state.leader,
                state.leader_epoch,
                state.isr
            ));
            self.wounded.retain(|(p, id)| *p != of || state.isr.contains(id));
        }
    }

    /// Whether a replica is one that the controller can trust, and keeps what it has: registered ever
    /// since the state that says that it is in sync, in touch with the tree, and in sync since it last
    /// lost anything.
    fn is_sound(&self, of: &TopicPartition, id: i32) -> bool {
        let node = &self.nodes[(id - 1) as usize];
        let address = Address::Node(id);
        let is_cut = self.bench.is_blocked(address, Address::Tree)
            || self.bench.is_blocked(Address::Tree, address);
        let registration = path::broker(id);
        let registered = self.tree.get(&registration).and_then(|(_, _, session)| session);
        let is_registered =
            node.process.as_ref().is_some_and(|process| registered == Some(process.session));
        let since = self.tree.created(&registration);
        let serves = since <= self.tree.changed(&path::state(&of.topic, of.partition));
        let is_wounded = self.wounded.contains(&(of.clone(), id));
        is_registered && serves && !is_cut && !node.is_paused && !is_wounded
    }

    fn sound_without(&self, of: &TopicPartition, id: i32) -> bool {
        let state = self.state(of);
        state.is_none_or(|state| {
            state.isr.iter().any(|other| *other != id && self.is_sound(of, *other))
        })
    }

    /// Whether a node may lose what it has not synced: every partition that it is in sync with has
    /// another sound replica.
    pub(super) fn may_lose_pages(&self, id: i32) -> bool {
        self.partitions.keys().all(|of| {
            let is_in_sync = self.state(of).is_some_and(|state| state.isr.contains(&id));
            !is_in_sync || self.sound_without(of, id)
        })
    }

    /// Whether a node may go away for a while with all that it has: it is not the last sound replica
    /// of a partition with one that is not.
    pub(super) fn may_go(&self, id: i32) -> bool {
        let mut endangered = self.wounded.iter().map(|(of, _)| of);
        endangered.all(|of| self.sound_without(of, id))
    }

    pub(super) fn lose_pages(&mut self, id: i32) {
        for of in self.partitions.keys() {
            if self.state(of).is_some_and(|state| state.isr.contains(&id)) {
                self.wounded.insert((of.clone(), id));
            }
        }
    }

    /// Starts a node's process unless it runs.
    pub fn start(&mut self, id: i32) {
        let (shape, now) = (self.shape.clone(), self.bench.now);
        let node = &mut self.nodes[(id - 1) as usize];
        if node.process.is_some() {
            return;
        }
        node.life += 1;
        self.bench.history.event(format_args!("node {id} starts"));
        match Process::start(node, &shape, &mut self.tree, now) {
            Ok(mut process) => {
                process.see(&self.tree.changes, &mut self.bench);
                let life = node.life;
                node.process = Some(process);
                self.bench.after(1, Event::Tick { node: id, life });
            }
            Err(error) => {
                self.bench.history.violation(format!("node {id} does not start: {error}"));
            }
        }
    }

    /// A node's process dies.
    pub(super) fn kill(&mut self, id: i32, disk: impl FnOnce(&SimDisk)) {
        let node = self.node(id);
        node.process = None;
        node.is_paused = false;
        node.backlog.clear();
        disk(&node.disk);
        self.bench.bury(Address::Node(id));
    }

    /// A node's process stops as it should.
    pub(super) fn stop(&mut self, id: i32) {
        let now = self.bench.now;
        let node = self.node(id);
        node.clock.set(now);
        if let Some(process) = node.process.take().filter(|_| !node.is_paused) {
            let failed = process.store.close();
            let session = process.session;
            if failed > 0 {
                self.bench.history.violation(format!("node {id} cannot close its logs"));
            }
            if !self.bench.is_blocked(Address::Node(id), Address::Tree) {
                self.tree.close(session);
            }
        }
        self.kill(id, SimDisk::kill);
    }

    pub(super) fn wipe(&mut self, id: i32) {
        self.node(id).disk = SimDisk::new();
    }

    pub(super) fn pause(&mut self, id: i32) {
        self.node(id).is_paused = true;
    }

    /// A process that stood still goes on.
    pub(super) fn resume(&mut self, id: i32) {
        let node = self.node(id);
        if !node.is_paused {
            return;
        }
        node.is_paused = false;
        for event in std::mem::take(&mut node.backlog) {
            self.handle(event);
        }
    }

    pub(super) fn jump(&mut self, id: i32, error_ms: i64) {
        self.node(id).clock.jump(error_ms);
    }

    /// Who leads a partition drawn at random.
    pub(super) fn leader_of_any(&mut self) -> Option<i32> {
        let at = self.bench.rng.below(self.partitions.len() as u64) as usize;
        let of = self.partitions.keys().nth(at)?;
        self.state(of).map(|state| state.leader).filter(|leader| *leader > 0)
    }

    /// Somebody's tool wants preferred leaders.
    pub(super) fn prefer(&mut self) {
        let at = self.bench.rng.below(self.nodes.len() as u64) as usize;
        let Some(process) = &self.nodes[at].process else { return };
        let none = BTreeSet::new();
        let rules = Elections { bounced: &none, unclean: &|_| false };
        let mut all = Vec::new();
        for of in self.partitions.keys() {
            let Some(partition) = process.image.partition(&of.topic, of.partition) else {
                continue;
            };
            let version = partition.state.as_ref().map_or(-1, |state| state.version);
            if let Some(state) = decide::prefer(&process.image, partition, &rules) {
                let path = path::state(&of.topic, of.partition);
                all.push(Change::Set(path, state.to_json(), version));
            }
        }
        for change in all {
            let _ = self.tree.transact(&[change]);
        }
        self.note_states();
    }
}

/// A generator for what is drawn before the world is there.
pub(super) fn plan_rng(seed: u64) -> SplitMix64 {
    SplitMix64::new(!seed)
}
