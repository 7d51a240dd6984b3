//! Time, randomness and the network of a run: what every part of the world is moved by.

use std::collections::{BTreeMap, BTreeSet};

use polyport_base::rng::SplitMix64;

use super::Rules;
use super::history::History;
use super::message::{Address, Ask, Body, Envelope, Event, Tell};

/// What carries messages between two.
#[derive(Clone, Copy, Debug, Default)]
struct Wire {
    /// Grows when the connection breaks.
    generation: u64,
    /// When the last message arrives, by direction: messages of a connection do not overtake.
    last: [u64; 2],
}

/// Time, randomness and the network.
pub struct Bench {
    /// Milliseconds since the run began.
    pub now: u64,
    /// All that is drawn.
    pub rng: SplitMix64,
    /// What everybody saw.
    pub history: History,
    /// Which promises the world breaks on purpose.
    pub rules: Rules,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    asks: u64,
    wires: BTreeMap<(Address, Address), Wire>,
    /// From whom to whom nothing comes through.
    blocked: BTreeSet<(Address, Address)>,
    slow_ms: BTreeMap<(Address, Address), u64>,
    /// What became of requests of connections that broke: from whom to whom and which connection, with
    /// when the last one comes; nothing if one was lost, and so all after it.
    broken: BTreeMap<(Address, Address, u64), Option<u64>>,
    /// How often somebody's buffers were lost.
    deaths: BTreeMap<Address, u64>,
    /// Of 1000 messages, so many break their connection.
    pub loss_permille: u64,
}

fn pair(a: Address, b: Address) -> ((Address, Address), usize) {
    if a < b { ((a, b), 0) } else { ((b, a), 1) }
}

impl Bench {
    /// A network without faults, at the beginning of time.
    pub fn new(seed: u64, rules: Rules, trace: bool) -> Self {
        Self {
            now: 0,
            rng: SplitMix64::new(seed),
            history: History::new(trace),
            rules,
            queue: BTreeMap::new(),
            sequence: 0,
            asks: 0,
            wires: BTreeMap::new(),
            blocked: BTreeSet::new(),
            slow_ms: BTreeMap::new(),
            broken: BTreeMap::new(),
            deaths: BTreeMap::new(),
            loss_permille: 0,
        }
    }

    /// Lets something happen later.
    pub fn after(&mut self, ms: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + ms, self.sequence), event);
    }

    /// The next thing that happens, to which time moves.
    pub fn next_event(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        self.history.now = at;
        Some(event)
    }

    /// A number for a question that nobody has asked yet.
    fn next_ask(&mut self) -> u64 {
        self.asks += 1;
        self.asks
    }

    /// Asks; the answer names the number that is returned.
    pub fn ask(&mut self, from: Address, to: Address, ask: Ask) -> u64 {
        let id = self.next_ask();
        self.send(from, to, Body::Ask(id, Box::new(ask)));
        id
    }

    /// Answers, on the connection that the question came by.
    pub fn tell(&mut self, to: &Asker, from: Address, tell: Tell) {
        let (key, _) = pair(from, to.from);
        if self.wires.entry(key).or_default().generation == to.generation {
            self.send(from, to.from, Body::Tell(to.id, Box::new(tell)));
        }
    }

    fn send(&mut self, from: Address, to: Address, body: Body) {
        if self.is_blocked(from, to) {
            self.break_wire(from, to);
            return;
        }
        let slow = self.slow_ms.get(&(from, to)).copied().unwrap_or(0);
        let at = self.now + 1 + self.rng.below(4) + self.rng.below(slow + 1);
        let (key, way) = pair(from, to);
        let wire = self.wires.entry(key).or_default();
        let at = at.max(wire.last[way]);
        wire.last[way] = at;
        let generation = wire.generation;
        let envelope = Envelope { from, to, generation, body, late_of: None };
        self.after(at - self.now, Event::Deliver(envelope));
    }

    /// Whether a message arrives now. One of a connection that broke may come later, if it is a request
    /// that was sent before, and all that were sent before it come.
    pub fn arrives(&mut self, envelope: &mut Envelope) -> bool {
        let (from, to) = (envelope.from, envelope.to);
        let deaths = self.deaths.get(&to).copied().unwrap_or(0);
        if let Some(late_of) = envelope.late_of {
            if let Body::Ask(_, ask) = &envelope.body {
                self.history.event(format_args!("from {from:?} to {to:?} comes late: {ask:?}"));
            }
            return late_of == deaths;
        }
        let stream = (from, to, envelope.generation);
        if self.is_blocked(from, to) || self.rng.below(1000) < self.loss_permille {
            self.break_wire(from, to);
            self.broken.insert(stream, None);
            return false;
        }
        let (key, _) = pair(from, to);
        if self.wires.entry(key).or_default().generation == envelope.generation {
            return true;
        }
        let before = self.broken.get(&stream).copied().unwrap_or(Some(0));
        let may = matches!(&envelope.body, Body::Ask(_, ask) if ask.may_be_late());
        let comes = before.filter(|_| may && self.rng.chance(50));
        // It is in the receiver's buffer.
        let at = comes.map(|before| before.max(self.now + self.rng.below(1200)));
        self.broken.insert(stream, at);
        if let Some(at) = at {
            envelope.late_of = Some(deaths);
            self.after(at - self.now, Event::Deliver(envelope.clone()));
        }
        false
    }

    /// Nothing comes through any more.
    pub fn block(&mut self, from: Address, to: Address) {
        self.blocked.insert((from, to));
    }

    /// Whether nothing comes through.
    pub fn is_blocked(&self, from: Address, to: Address) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Makes a link slow.
    pub fn slow(&mut self, from: Address, to: Address, ms: u64) {
        self.slow_ms.insert((from, to), ms);
    }

    /// Breaks what is between two: answers to what was asked before are lost.
    pub fn break_wire(&mut self, a: Address, b: Address) {
        let wire = self.wires.entry(pair(a, b).0).or_default();
        wire.generation += 1;
        wire.last = [0, 0];
    }

    /// Somebody dies, and with it all its connections and what was in its buffers.
    pub fn bury(&mut self, of: Address) {
        *self.deaths.entry(of).or_insert(0) += 1;
        let theirs: Vec<_> =
            self.wires.keys().filter(|(a, b)| *a == of || *b == of).copied().collect();
        theirs.into_iter().for_each(|(a, b)| self.break_wire(a, b));
    }

    /// Breaks some of all connections.
    pub fn break_some(&mut self, percent: u64) {
        let all: Vec<_> = self.wires.keys().copied().collect();
        for (a, b) in all {
            if self.rng.chance(percent) {
                self.break_wire(a, b);
            }
        }
    }

    /// All links work, and fast.
    pub fn heal(&mut self) {
        self.blocked.clear();
        self.slow_ms.clear();
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Who.
    pub from: Address,
    /// What it calls its question.
    pub id: u64,
    /// The connection's.
    pub generation: u64,
}
