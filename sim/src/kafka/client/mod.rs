//! Clients: what they ask, how they try again, and what they tell the history.

mod consumer;
mod producer;
mod transactional;

use std::collections::BTreeMap;

use polyport_log::TopicPartition;

pub use consumer::Consumer;
pub use producer::{Kind, Producer};
pub use transactional::Transactional;

use super::bench::Bench;
use super::message::{Address, Ask, Tell};

/// How long a client waits for an answer.
const TIMEOUT_MS: u64 = 700;

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: u64,
    to: Address,
    until: u64,
}

/// What every client has: a place in the network, and what it knows of the cluster.
pub struct Caller {
    me: usize,
    nodes: Vec<i32>,
    known: BTreeMap<TopicPartition, (i32, i32)>,
    metadata: Option<Pending>,
    wants_metadata: bool,
}

impl Caller {
    /// Knows nothing yet.
    pub fn new(me: usize, nodes: Vec<i32>) -> Self {
        Self { me, nodes, known: BTreeMap::new(), metadata: None, wants_metadata: true }
    }

    fn ask(&self, node: i32, ask: Ask, bench: &mut Bench) -> Pending {
        let to = Address::Node(node);
        let id = bench.ask(Address::Client(self.me), to, ask);
        Pending { id, to, until: bench.now + TIMEOUT_MS }
    }

    /// Whether an answer will not come any more; the connection is given up then.
    fn is_lost(&self, pending: Pending, bench: &mut Bench) -> bool {
        let is_late = pending.until <= bench.now;
        if is_late {
            bench.break_wire(Address::Client(self.me), pending.to);
        }
        is_late
    }

    /// Asks anybody who leads what, if it wants to know.
    fn refresh(&mut self, bench: &mut Bench) {
        if let Some(pending) = self.metadata
            && self.is_lost(pending, bench)
        {
            self.metadata = None;
        }
        if self.wants_metadata && self.metadata.is_none() {
            let node = self.nodes[bench.rng.below(self.nodes.len() as u64) as usize];
            self.metadata = Some(self.ask(node, Ask::Metadata, bench));
        }
    }

    /// Takes an answer about who leads what. What is older than what is known is not believed.
    fn learn(&mut self, id: u64, tell: &Tell) -> bool {
        let (Some(pending), Tell::Metadata(known)) = (self.metadata, tell) else { return false };
        if pending.id == id {
            self.metadata = None;
            self.wants_metadata = false;
            for (of, led) in known {
                let newest = self.known.entry(of.clone()).or_insert(*led);
                if newest.1 <= led.1 {
                    *newest = *led;
                }
            }
        }
        true
    }

    fn leader(&mut self, of: &TopicPartition) -> Option<(i32, i32)> {
        let known = self.known.get(of).copied();
        self.wants_metadata |= known.is_none();
        known
    }

    fn drawn_node(&self, bench: &mut Bench) -> i32 {
        self.nodes[bench.rng.below(self.nodes.len() as u64) as usize]
    }
}

/// A client.
pub enum Client {
    /// See there.
    Producer(Producer),
    /// See there.
    Consumer(Consumer),
    /// See there.
    Transactional(Transactional),
}

impl Client {
    /// Looks what is to be done.
    pub fn tick(&mut self, bench: &mut Bench) {
        match self {
            Client::Producer(client) => client.tick(bench),
            Client::Consumer(client) => client.tick(bench),
            Client::Transactional(client) => client.tick(bench),
        }
    }

    /// An answer.
    pub fn told(&mut self, id: u64, tell: Tell, bench: &mut Bench) {
        match self {
            Client::Producer(client) => client.told(id, tell, bench),
            Client::Consumer(client) => client.told(id, tell, bench),
            Client::Transactional(client) => client.told(id, tell, bench),
        }
    }

    /// Begins nothing new.
    pub fn stop(&mut self) {
        match self {
            Client::Producer(client) => client.stop(),
            Client::Consumer(_) => {}
            Client::Transactional(client) => client.stop(),
        }
    }

    /// Why it is not done, if it is not.
    pub fn unfinished(&self) -> Option<String> {
        match self {
            Client::Producer(client) => client.unfinished(),
            Client::Consumer(_) => None,
            Client::Transactional(client) => client.unfinished(),
        }
    }
}
