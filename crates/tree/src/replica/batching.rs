//! Writes of many connections, collected into few batches.
//!
//! While a window's worth of batches is on its way, commands gather for the next: the busier the
//! node, the larger its batches, and the fewer entries and syncs a write costs. With a flush delay,
//! commands gather for that long after each batch as well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_cluster::Proposals;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Replica, Settings, Shared, Subscriber};
use crate::access::Identities;
use crate::command::{BatchBuilder, Command, Submitter};
use crate::watch::Watcher;

/// A batch of so many bytes takes no further command, however long it has to wait for its turn. An
/// entry of the journal, and a frame between nodes, is no longer than this and one command.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Whom to tell about a command.
pub(super) struct Pending {
    pub(super) subscriber: Option<Arc<dyn Subscriber>>,
    pub(super) token: u64,
}

/// A submitter's place in the batch being built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    batch: u64,
    number: u16,
}

pub(super) struct Outbox {
    node: NodeId,
    nonce: u64,
    window: usize,
    flush_delay: Duration,
    max_batch: usize,
    /// When the last batch was sent.
    flushed: Option<Instant>,
    /// Told when commands are held back until a flush delay has passed.
    held: Arc<Notify>,
    proposals: Proposals,
    builder: BatchBuilder,
    pending: Vec<Pending>,
    /// Batches that take no more and wait for room in the window, oldest first.
    full: VecDeque<(BatchBuilder, Vec<Pending>)>,
    /// Batches on their way: sequence, when it was sent, and whom to tell.
    in_flight: VecDeque<(u64, Instant, Vec<Pending>)>,
    /// Once it has been opened.
    origin: Option<u64>,
    next_sequence: u64,
    /// Number, among this process' proposals, of the request for the origin; batch `n` comes `n + 1`
    /// after it.
    base: u64,
    /// Batches built so far, plus one: what a `Place` belongs to.
    building: u64,
}

impl Outbox {
    pub(super) fn new(settings: &Settings, nonce: u64, proposals: Proposals) -> Self {
        Self {
            node: settings.node,
            nonce,
            window: settings.window.max(1),
            flush_delay: settings.flush_delay,
            max_batch: match settings.max_batch {
                0 => usize::MAX,
                most => most,
            },
            flushed: None,
            held: Arc::default(),
            proposals,
            builder: BatchBuilder::default(),
            pending: Vec::new(),
            full: VecDeque::new(),
            in_flight: VecDeque::new(),
            origin: None,
            next_sequence: 0,
            base: 0,
            building: 1,
        }
    }

    /// Asks for an origin.
    pub(super) fn open(&mut self) {
        let mut builder = BatchBuilder::default();
        let who = Identities { ids: Vec::new(), bypass: true };
        let server = Submitter { session: 0, connection: 0, who, enforce_quota: false };
        let number = builder.submitter(&server);
        builder.push(number, &Command::OpenOrigin { node: self.node.0, nonce: self.nonce });
        self.proposals.push(self.base, &builder.finish(0, 0));
    }

    /// Our origin was replaced: a request of an earlier process of this node came late. What is on
    /// its way will be skipped by all, so everything begins anew under another nonce. Nobody is told
    /// here; the caller interrupts all subscribers.
    pub(super) fn reopen(&mut self) {
        self.in_flight.clear();
        self.full.clear();
        self.pending.clear();
        self.builder = BatchBuilder::default();
        self.building += 1;
        self.proposals.clear();
        self.base += self.next_sequence + 1;
        self.next_sequence = 0;
        self.origin = None;
        self.nonce = self.nonce.wrapping_add(1);
        self.open();
    }

    /// Our request for an origin was granted.
    pub(super) fn opened(&mut self, origin: u64, nonce: u64) {
        if nonce == self.nonce && self.origin.is_none() {
            self.origin = Some(origin);
            self.proposals.acknowledge(self.base);
            self.flush();
        }
    }

    pub(super) fn is_ours(&self, origin: u64) -> bool {
        self.origin == Some(origin)
    }

    pub(super) fn outstanding(&self) -> usize {
        let waiting: usize = self.in_flight.iter().map(|(_, _, pending)| pending.len()).sum();
        let full: usize = self.full.iter().map(|(_, pending)| pending.len()).sum();
        waiting + full + self.pending.len()
    }

    /// Sends what has gathered, unless it is to gather for longer.
    pub(super) fn flush(&mut self) {
        let Some(origin) = self.origin else { return };
        while self.in_flight.len() < self.window
            && let Some((mut full, pending)) = self.full.pop_front()
        {
            let batch = full.finish(origin, self.next_sequence);
            self.sent(&batch, pending);
        }
        if self.builder.is_empty() || self.in_flight.len() >= self.window {
            return;
        }
        if self.held_until().is_some_and(|until| Instant::now() < until) {
            self.held.notify_one();
            return;
        }
        self.send();
    }

    /// Until when commands are to wait for others.
    fn held_until(&self) -> Option<Instant> {
        let held = !self.flush_delay.is_zero();
        self.flushed.filter(|_| held).map(|flushed| flushed + self.flush_delay)
    }

    /// Whether nothing more may go into the batch being built.
    fn is_full(&self) -> bool {
        self.pending.len() >= self.max_batch || !self.builder.has_room()
    }

    fn send(&mut self) {
        let Some(origin) = self.origin else { return };
        let batch = self.builder.finish(origin, self.next_sequence);
        let pending = std::mem::take(&mut self.pending);
        self.building += 1;
        self.sent(&batch, pending);
    }

    fn sent(&mut self, batch: &[u8], pending: Vec<Pending>) {
        self.in_flight.push_back((self.next_sequence, Instant::now(), pending));
        self.proposals.push(self.base + self.next_sequence + 1, batch);
        self.next_sequence += 1;
        self.flushed = Some(Instant::now());
    }

    /// The batch being built takes no more, and waits for its turn.
    fn seal(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.full.push_back((std::mem::take(&mut self.builder), pending));
        self.building += 1;
        self.flush();
    }

    /// A batch of ours is being applied: when it was sent and whom to tell.
    pub(super) fn applied(&mut self, sequence: u64) -> Option<(Instant, Vec<Pending>)> {
        self.proposals.acknowledge(self.base + sequence + 1);
        match self.in_flight.front() {
            Some((front, _, _)) if *front == sequence => {
                self.in_flight.pop_front().map(|(_, sent, pending)| (sent, pending))
            }
            _ => None,
        }
    }

    /// The machine was replaced by a snapshot that holds our batches below `next_sequence`: their
    /// answers are lost.
    pub(super) fn skip_to(&mut self, next_sequence: u64) {
        if next_sequence > 0 {
            self.proposals.acknowledge(self.base + next_sequence);
        }
        while self.in_flight.front().is_some_and(|(sequence, _, _)| *sequence < next_sequence) {
            self.in_flight.pop_front();
        }
    }

    pub(super) fn proposals(&self) -> Proposals {
        self.proposals.clone()
    }

    pub(super) fn origin(&self) -> Option<u64> {
        self.origin
    }

    /// A random number of this process.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    fn push(
        &mut self,
        place: &mut Place,
        from: &Submitter<'_>,
        command: &Command<'_>,
        pending: Pending,
    ) {
        if place.batch != self.building {
            *place = Place { batch: self.building, number: self.builder.submitter(from) };
        }
        self.builder.push(place.number, command);
        self.pending.push(pending);
        if self.is_full() && self.full.is_empty() && self.origin.is_some() {
            // Neither the window nor a delay holds it.
            self.send();
        } else if self.is_full() || self.builder.byte_len() >= MAX_BATCH_BYTES {
            self.seal();
        }
    }
}

impl Replica {
    /// Puts a command into the next batch. `place` is the caller's to keep between calls as long as
    /// `from` stays the same. Call [`Replica::flush`] after the last of a burst.
    pub fn submit(
        &self,
        place: &mut Place,
        from: &Submitter<'_>,
        command: &Command<'_>,
        subscriber: Arc<dyn Subscriber>,
        token: u64,
    ) {
        let pending = Pending { subscriber: Some(subscriber), token };
        self.shared.outbox.lock().push(place, from, command, pending);
    }

    /// Sends what has gathered, if there is room on the way; otherwise it goes with the next
    /// answer.
    pub fn flush(&self) {
        self.shared.outbox.lock().flush();
    }

    /// The submitter of a connection.
    pub fn submitter<'a>(
        &self,
        session: i64,
        watcher: Watcher,
        who: Identities<'a>,
        enforce_quota: bool,
    ) -> Submitter<'a> {
        Submitter { session, connection: watcher, who, enforce_quota }
    }
}

/// Sends what was held back when its time has come.
pub(super) async fn send_held(shared: Arc<Shared>) {
    let held = shared.outbox.lock().held.clone();
    loop {
        held.notified().await;
        let until = shared.outbox.lock().held_until();
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
        shared.outbox.lock().flush();
    }
}

impl Shared {
    /// A command of the server itself; nobody waits for its answer.
    pub(super) fn submit_own(&self, command: &Command<'_>) {
        self.submit_own_for(command, None);
    }

    /// A command of the server itself, whose answer `subscriber` gets.
    pub(super) fn submit_own_for(
        &self,
        command: &Command<'_>,
        subscriber: Option<Arc<dyn Subscriber>>,
    ) {
        let who = Identities { ids: Vec::new(), bypass: true };
        let server = Submitter { session: 0, connection: 0, who, enforce_quota: false };
        let mut outbox = self.outbox.lock();
        let pending = Pending { subscriber, token: 0 };
        outbox.push(&mut Place::default(), &server, command, pending);
        outbox.flush();
    }
}

#[cfg(test)]
mod tests;
