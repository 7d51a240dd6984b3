//! Connections in memory, with the faults that TCP connections have: delay, stalls, one-way
//! silence, and breaking with whatever was on the way.
//!
//! Frames of one connection stay in order, as TCP keeps them; frames of different connections
//! overtake each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use polyport_base::rng::SplitMix64;
use polyport_cluster::Cluster;
use polyport_cluster::transport::{Connection, Transport};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::disk::Alive;

/// Frames on the way in each direction before the sender waits.
const QUEUE: usize = 64;
/// How long connecting may take, as in production.
const PATIENCE: Duration = Duration::from_secs(2);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// One end died: what is on the way arrives, nothing more is taken.
    Draining,
    /// What was on the way is lost.
    Broken,
}

struct Wire {
    ends: (u64, u64),
    fate: watch::Sender<Fate>,
}

struct State {
    rng: SplitMix64,
    listening: BTreeMap<String, (u64, Cluster, Alive)>,
    /// Directions in which nothing gets through for now.
    blocked: BTreeSet<(u64, u64)>,
    /// Directions that are slower by up to so many milliseconds.
    slow: BTreeMap<(u64, u64), u64>,
    wires: Vec<Arc<Wire>>,
}

/// The network of a run. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    /// Told of every change of `blocked`.
    weather: watch::Sender<()>,
}

impl Network {
    /// A network without faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: SplitMix64::new(seed),
            listening: BTreeMap::new(),
            blocked: BTreeSet::new(),
            slow: BTreeMap::new(),
            wires: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), weather: watch::Sender::new(()) }
    }

    /// A process begins to accept connections.
    pub fn listen(&self, address: &str, node: u64, cluster: Cluster, alive: Alive) {
        self.state.lock().listening.insert(address.to_owned(), (node, cluster, alive));
    }

    /// A process died: its connections end, half of them with what was on the way.
    pub fn hang_up(&self, address: &str, node: u64) {
        let state = &mut *self.state.lock();
        state.listening.remove(address);
        for wire in state.wires.iter().filter(|wire| wire.ends.0 == node || wire.ends.1 == node) {
            let fate = if state.rng.chance(50) { Fate::Draining } else { Fate::Broken };
            wire.fate.send_replace(fate);
        }
        state.tidy();
    }

    /// Breaks connections, each with this chance.
    pub fn break_some(&self, percent: u64) {
        let state = &mut *self.state.lock();
        for wire in &state.wires {
            if state.rng.chance(percent) {
                wire.fate.send_replace(Fate::Broken);
            }
        }
        state.tidy();
    }

    /// Lets nothing through from one node to another.
    pub fn block(&self, from: u64, to: u64) {
        self.state.lock().blocked.insert((from, to));
        self.weather.send_replace(());
    }

    /// Makes a direction slower by up to so many milliseconds a frame.
    pub fn slow(&self, from: u64, to: u64, up_to_ms: u64) {
        self.state.lock().slow.insert((from, to), up_to_ms);
    }

    /// All directions work again, at their usual speed.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.blocked.clear();
        state.slow.clear();
        drop(state);
        self.weather.send_replace(());
    }

    fn is_blocked(&self, from: u64, to: u64) -> bool {
        self.state.lock().blocked.contains(&(from, to))
    }

    fn delay(&self, from: u64, to: u64) -> Duration {
        let state = &mut *self.state.lock();
        let rare = if state.rng.chance(2) { 40 } else { 0 };
        let slow = state.slow.get(&(from, to)).copied().unwrap_or_default();
        Duration::from_micros(300 + state.rng.below((2 + rare + slow) * 1000))
    }

    async fn connect(&self, from: u64, alive: Alive, address: String) -> io::Result<Connection> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let find = || {
            let state = self.state.lock();
            let found = state
                .listening
                .get(&address)
                .map(|(node, cluster, alive)| (*node, cluster.clone(), alive.clone()));
            found.filter(|_| alive.get())
        };
        let to = find().map(|(to, ..)| to);
        if let Some(to) = to {
            if self.is_blocked(from, to) || self.is_blocked(to, from) {
                tokio::time::sleep(PATIENCE).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            tokio::time::sleep(self.delay(from, to) + self.delay(to, from)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (to, cluster, peer) = find().ok_or_else(refused)?;
        if !peer.get() {
            return Err(refused());
        }
        let wire = Arc::new(Wire { ends: (from, to), fate: watch::Sender::new(Fate::Open) });
        self.state.lock().wires.push(wire.clone());
        let ours = self.pump(&wire, from, to);
        let theirs = self.pump(&wire, to, from);
        cluster.accept(Connection { sender: theirs.0, receiver: ours.1 });
        Ok(Connection { sender: ours.0, receiver: theirs.1 })
    }

    /// One direction of a connection.
    fn pump(
        &self,
        wire: &Arc<Wire>,
        from: u64,
        to: u64,
    ) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
        let (sender, outgoing) = mpsc::channel(QUEUE);
        let (incoming, receiver) = mpsc::channel(QUEUE);
        let direction = Direction { network: self.clone(), wire: wire.clone(), from, to };
        tokio::spawn(direction.run(outgoing, incoming));
        (sender, receiver)
    }
}

impl State {
    fn tidy(&mut self) {
        self.wires.retain(|wire| *wire.fate.borrow() == Fate::Open);
    }
}

struct Direction {
    network: Network,
    wire: Arc<Wire>,
    from: u64,
    to: u64,
}

impl Direction {
    async fn run(self, mut outgoing: mpsc::Receiver<Bytes>, incoming: mpsc::Sender<Bytes>) {
        let mut fate = self.wire.fate.subscribe();
        let mut weather = self.network.weather.subscribe();
        let mut on_the_way: VecDeque<(Instant, Bytes)> = VecDeque::new();
        let mut open = true;
        loop {
            match *fate.borrow_and_update() {
                Fate::Broken => return,
                Fate::Draining => open = false,
                Fate::Open => {}
            }
            if !open && on_the_way.is_empty() {
                return;
            }
            let blocked = self.network.is_blocked(self.from, self.to);
            let due = on_the_way.front().map(|(due, _)| *due).filter(|_| !blocked);
            tokio::select! {
                biased;
                changed = fate.changed() => if changed.is_err() { return },
                changed = weather.changed() => if changed.is_err() { return },
                () = incoming.closed() => return,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let Some((_, frame)) = on_the_way.pop_front() else { continue };
                    tokio::select! {
                        biased;
                        sent = incoming.send(frame) => if sent.is_err() { return },
                        _ = fate.changed() => return,
                    }
                }
                frame = outgoing.recv(), if open && on_the_way.len() < QUEUE => match frame {
                    Some(frame) => {
                        let due = Instant::now() + self.network.delay(self.from, self.to);
                        let last = on_the_way.back().map_or(due, |(last, _)| *last);
                        on_the_way.push_back((due.max(last), frame));
                    }
                    None => open = false,
                },
            }
        }
    }
}

/// The network as one process sees it.
#[derive(Clone)]
pub struct SimTransport {
    network: Network,
    node: u64,
    alive: Alive,
}

impl SimTransport {
    /// For a process of a node.
    pub fn new(network: Network, node: u64, alive: Alive) -> Self {
        Self { network, node, alive }
    }
}

impl Transport for SimTransport {
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Connection>> + Send {
        let (network, node) = (self.network.clone(), self.node);
        let (alive, address) = (self.alive.clone(), address.to_owned());
        async move { network.connect(node, alive, address).await }
    }
}
