//! One seed, from an empty cluster to the verdict.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::rng::SplitMix64;
use polyport_cluster::node::Standing;
use polyport_cluster::{Members, Role};
use polyport_storage::disk::SimDisk;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::client::Client;
use crate::clock::SimClock;
use crate::history::History;
use crate::network::Network;
use crate::node::{self, Node, Process, Shape};
use crate::{check, faults, randomness, succession};

/// A broken promise.
pub type Failure = String;

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Digest of all that happened: equal for equal seeds.
    pub digest: u64,
    /// What was broken.
    pub failures: Vec<Failure>,
    /// Requests answered.
    pub answered: usize,
    /// Entries of the log.
    pub entries: usize,
    /// Snapshots that replaced a running node's state.
    pub restored: u64,
}

struct Inner {
    shape: Shape,
    nodes: Mutex<Vec<Node>>,
    /// The membership that was asked for last, and who asked.
    members: Mutex<(Members, Vec<AbortHandle>)>,
    stopping: AtomicBool,
}

/// The cluster of a run and all about it. Clones are the same.
#[derive(Clone)]
pub struct World {
    /// What everybody saw.
    pub history: History,
    /// Between the nodes.
    pub network: Network,
    /// How many clients there are.
    pub clients: u64,
    inner: Arc<Inner>,
}

impl World {
    /// Machines that were just bought, and the network between them.
    pub fn new(shape: Shape, clients: u64, history: History, begin: Instant, seed: u64) -> Self {
        let node = |id| Node::new(id, SimClock::new(begin));
        let nodes = (1..=shape.voters + shape.observers).map(node).collect();
        let inner = Inner {
            members: Mutex::new((shape.members(), Vec::new())),
            shape,
            nodes: Mutex::new(nodes),
            stopping: AtomicBool::new(false),
        };
        Self { history, network: Network::new(seed), clients, inner: Arc::new(inner) }
    }

    /// Whether clients are to come to an end.
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Relaxed)
    }

    /// The nodes' numbers.
    pub fn ids(&self) -> Vec<u64> {
        self.inner.nodes.lock().iter().map(|node| node.id).collect()
    }

    /// The process of a node drawn at random, if it runs.
    pub fn any_process(&self, rng: &mut SplitMix64) -> Option<Arc<Process>> {
        let nodes = self.inner.nodes.lock();
        nodes[rng.below(nodes.len() as u64) as usize].process.clone()
    }

    /// All processes.
    pub fn processes(&self) -> Vec<(u64, Arc<Process>)> {
        let nodes = self.inner.nodes.lock();
        nodes.iter().filter_map(|node| Some((node.id, node.process.clone()?))).collect()
    }

    /// Who believes to lead in the highest term.
    pub fn leader(&self) -> Option<u64> {
        let leads = |(id, process): (u64, Arc<Process>)| {
            let status = process.cluster.status();
            let status = status.borrow();
            (status.standing == Standing::Leading).then_some((status.term, id))
        };
        self.processes().into_iter().filter_map(leads).max().map(|(_, id)| id)
    }

    fn node<R>(&self, id: u64, work: impl FnOnce(&mut Node) -> R) -> Option<R> {
        self.inner.nodes.lock().iter_mut().find(|node| node.id == id).map(work)
    }

    /// Starts a node's process unless it runs.
    pub async fn start(&self, id: u64, nonce: u64) {
        let machine = self.node(id, |node| match node.process {
            Some(_) => None,
            None => {
                node.was_full = node.full;
                Some((node.disk.clone(), node.clock.clone()))
            }
        });
        let Some(Some((disk, clock))) = machine else { return };
        self.history.event(format_args!("node {id} starts"));
        let shape = &self.inner.shape;
        let started =
            node::start(shape, id, disk, clock, &self.network, &self.history, nonce).await;
        match started {
            Ok(process) => drop(self.node(id, |node| node.process = Some(process))),
            Err(error) if self.node(id, |node| node.was_full) == Some(true) => {
                self.history.event(format_args!("node {id} does not start: {error}"));
            }
            Err(error) => {
                self.history.violation(format!("node {id} does not start: {error}"));
            }
        }
    }

    /// A node's disk is full after so many more bytes.
    pub fn fill_disk(&self, id: u64, bytes: u64) {
        self.node(id, |node| node.fill(bytes));
    }

    /// All disks have space again.
    pub fn free_disks(&self) {
        self.inner.nodes.lock().iter_mut().for_each(Node::free);
    }

    /// As production does: a process whose consensus has stopped exits. Only a full disk is a reason
    /// for that. Those that ended so are started again if `restart`.
    pub async fn bury_the_failed(&self, restart: bool, rng: &mut SplitMix64) {
        for (id, process) in self.processes() {
            if !process.cluster.status().borrow().failed {
                continue;
            }
            if self.node(id, |node| node.was_full) != Some(true) {
                self.history.violation(format!("node {id} has stopped by itself"));
            }
            self.history.event(format_args!("node {id} exits: its disk is full"));
            self.history.disturbed();
            let full = self.node(id, |node| node.full) == Some(true);
            self.kill(id, SimDisk::kill);
            if full {
                // The end of a process makes no space.
                self.fill_disk(id, 0);
            }
            if restart {
                self.start(id, rng.next_u64()).await;
            }
        }
    }

    /// The membership is to change: a member leaves, comes back, or plays another part.
    pub fn change_members(&self, rng: &mut SplitMix64) {
        let full = self.inner.shape.members();
        let ids: Vec<NodeId> = full.keys().copied().collect();
        let id = ids[rng.below(ids.len() as u64) as usize];
        let other_part = rng.chance(40);
        let mut members = self.inner.members.lock().0.clone();
        match members.get_mut(&id) {
            Some(member) if other_part => {
                member.role = match member.role {
                    Role::Voter => Role::Observer,
                    Role::Observer => Role::Voter,
                };
            }
            Some(_) => drop(members.remove(&id)),
            None => drop(members.insert(id, full[&id].clone())),
        }
        if !members.values().any(|member| member.role == Role::Voter) {
            return;
        }
        let Some(process) = self.any_process(rng) else { return };
        let history = self.history.clone();
        let wanted = members.clone();
        let change = tokio::spawn(async move {
            let result = process.cluster.reconfigure(wanted, None).await;
            history.event(format_args!("the change of the members ends with {result:?}"));
        });
        let mut asked = self.inner.members.lock();
        asked.0 = members;
        asked.1.push(change.abort_handle());
    }

    /// The membership is to be the first one again, whatever was asked for before.
    pub async fn restore_members(&self, within: Duration) {
        for change in self.inner.members.lock().1.drain(..) {
            change.abort();
        }
        let deadline = Instant::now() + within;
        let mut last = None;
        while Instant::now() < deadline {
            for (id, process) in self.processes() {
                let restore = process.cluster.reconfigure(self.inner.shape.members(), None);
                let restored = tokio::time::timeout(Duration::from_secs(10), restore).await;
                self.history.event(format_args!("node {id} restores the members: {restored:?}"));
                let Ok(Ok(index)) = restored else { continue };
                if last.replace(index) == Some(index) {
                    return;
                }
                // What was asked before may still be on its way to a leader.
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.history.violation("the members cannot be restored".to_owned());
    }

    /// A node's process ends; `disk` says what its disk makes of it.
    pub fn kill(&self, id: u64, disk: impl FnOnce(&SimDisk)) {
        let process = self.node(id, |node| {
            let process = node.process.take();
            if process.is_some() {
                disk(&node.disk);
                // That ended its faults.
                node.full = false;
            }
            process
        });
        if let Some(Some(process)) = process {
            process.kill();
            self.network.hang_up(&Shape::address(id), id);
        }
    }

    /// Whether losing a node's disk now would be the loss of a minority: all others run, have all
    /// there is, and none was wiped a moment ago.
    pub fn may_wipe(&self, victim: u64) -> bool {
        let processes = self.processes();
        let newest = processes.iter().map(|(_, process)| process.replica.last_zxid()).max();
        let all = self.ids().len();
        self.inner.shape.voters > 2
            && processes.len() == all
            && processes.iter().all(|(id, process)| {
                let status = process.replica.status().borrow().clone();
                let whole = status.in_quorum && !status.forgetful;
                *id == victim || whole && Some(process.replica.last_zxid()) == newest
            })
    }

    /// A node gets a new, empty disk.
    pub fn wipe(&self, id: u64) {
        self.node(id, |node| {
            node.disk = SimDisk::new();
            node.full = false;
        });
    }

    /// A node's wall clock is wrong from now on.
    pub fn jump(&self, id: u64, error_ms: i64) {
        self.node(id, |node| node.clock.jump(error_ms));
    }

    fn with_process(&self, id: u64, work: impl FnOnce(Arc<Process>)) {
        let process = self.node(id, |node| node.process.clone());
        if let Some(process) = process.flatten() {
            work(process);
        }
    }

    /// A node makes a snapshot.
    pub fn snapshot(&self, id: u64) {
        self.with_process(id, |process| {
            tokio::spawn(async move { drop(process.cluster.snapshot().await) });
        });
    }

    /// A leader hands over.
    pub fn transfer(&self, id: u64) {
        self.with_process(id, |process| {
            tokio::spawn(async move { process.cluster.transfer().await });
        });
    }

    /// Waits until a promise holds on all nodes, or records that it was broken.
    async fn eventually(&self, what: &str, within: Duration, holds: impl Fn(&Process) -> bool) {
        let deadline = Instant::now() + within;
        loop {
            let processes = self.processes();
            let lacking: Vec<u64> =
                processes.iter().filter(|(_, p)| !holds(p)).map(|(id, _)| *id).collect();
            if lacking.is_empty() && processes.len() == self.ids().len() {
                return;
            }
            if Instant::now() >= deadline {
                return self.history.violation(format!("{what}: not on nodes {lacking:?}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics of tasks are failures of the seed whose thread they happen on.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.borrow_mut().push(info.to_string()));
            usual(info);
        }));
    });
}

/// What a seed decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Clients at work, and faults of all kinds.
    Torment,
    /// A client that has vanished, and one leader after the other.
    Succession,
}

/// Runs one seed. `trace`: print everything that happens.
pub fn run_seed(seed: u64, scenario: Scenario, trace: bool) -> Report {
    record_panics();
    // A thread of its own, so that all randomness there is the seed's from the first draw.
    let thread = std::thread::Builder::new().name(format!("seed {seed}"));
    let thread = thread.spawn(move || on_this_thread(seed, scenario, trace));
    let report = thread.map(std::thread::JoinHandle::join);
    match report {
        Ok(Ok(report)) => report,
        Ok(Err(_)) | Err(_) => {
            let failures = vec!["the run itself panicked".to_owned()];
            Report { seed, digest: 0, failures, answered: 0, entries: 0, restored: 0 }
        }
    }
}

fn on_this_thread(seed: u64, scenario: Scenario, trace: bool) -> Report {
    randomness::seed_thread(seed);
    polyport_cluster::simulation::seed_elections(seed);
    node::set_sync_delay(seed, 2);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut report = match runtime {
        Ok(runtime) => match scenario {
            Scenario::Torment => runtime.block_on(run(seed, trace)),
            Scenario::Succession => runtime.block_on(succession::run(seed, trace)),
        },
        Err(error) => panic!("no runtime: {error}"),
    };
    PANICS.with(|panics| report.failures.append(&mut panics.borrow_mut()));
    report
}

fn shape(rng: &mut SplitMix64) -> Shape {
    let voters = [3, 3, 3, 5, 1][rng.below(5) as usize];
    Shape {
        voters,
        observers: u64::from(rng.chance(20)),
        snapshot_every: [20, 60, 200, 100_000][rng.below(4) as usize],
        log_kept: [0, 5, 30, 1000][rng.below(4) as usize],
    }
}

async fn run(seed: u64, trace: bool) -> Report {
    let mut rng = SplitMix64::new(seed);
    let begin = Instant::now();
    let shape = shape(&mut rng);
    let clients = 2 + rng.below(5);
    let history = History::new(begin, trace);
    history.event(format_args!("seed {seed}: {shape:?}, {clients} clients"));
    let world = World::new(shape, clients, history.clone(), begin, rng.next_u64());
    for id in world.ids() {
        world.start(id, rng.next_u64()).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        tasks.spawn(Client::new(number as usize, world.clone(), rng.next_u64()).run());
    }
    let duration = Duration::from_millis(3000 + rng.below(12_000));
    faults::torment(&world, &mut rng, seed, duration).await;
    let patience = Duration::from_secs(30);
    world
        .eventually("no quorum after all faults", patience, |process| {
            process.replica.status().borrow().in_quorum
        })
        .await;
    history.with(|state| state.calm = Some(state.millis()));
    tokio::time::sleep(Duration::from_millis(2000 + rng.below(4000))).await;
    world.inner.stopping.store(true, Ordering::Relaxed);
    let joined =
        tokio::time::timeout(patience, async { while tasks.join_next().await.is_some() {} });
    if joined.await.is_err() {
        history.violation("clients are stuck".to_owned());
    }
    world
        .eventually("sessions live on", patience, |process| {
            process.replica.read().sessions().is_empty()
        })
        .await;
    conclude(seed, &world).await
}

/// All replicas become equal, and are what the log says; then everything that was seen is judged.
async fn conclude(seed: u64, world: &World) -> Report {
    let newest = || world.processes().iter().map(|(_, p)| p.replica.last_zxid()).max();
    world
        .eventually("replicas differ in zxid", Duration::from_secs(10), |process| {
            Some(process.replica.last_zxid()) == newest()
        })
        .await;
    let dumps: Vec<(u64, String)> = world
        .processes()
        .iter()
        .map(|(id, process)| (*id, check::dump(&process.replica.read())))
        .collect();
    let mut failures = world.history.with(|state| std::mem::take(&mut state.violations));
    for (id, dump) in dumps.iter().skip(1) {
        if *dump != dumps[0].1 {
            let pairs = dump.lines().zip(dumps[0].1.lines());
            let first = pairs.filter(|(a, b)| a != b).map(|(a, b)| format!("{a} / {b}")).next();
            failures.push(format!("nodes {id} and {} differ: {first:?}", dumps[0].0));
        }
    }
    let (broken, model) = world.history.with(|state| check::history(state));
    failures.extend(broken);
    if let Some((id, process)) = world.processes().first() {
        let broken = check::state(&process.replica.read(), &model);
        failures.extend(broken.into_iter().map(|broken| format!("node {id}: {broken}")));
    }
    world.history.with(|state| Report {
        seed,
        digest: state.digest,
        failures,
        answered: state.operations.iter().filter(|one| one.answered.is_some()).count(),
        entries: state.log.len(),
        restored: state.restored,
    })
}
