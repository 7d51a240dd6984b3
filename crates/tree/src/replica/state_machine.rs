//! The cluster's log, applied to the machine, and its news carried to this node's connections.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use polyport_base::rng::SplitMix64;
use polyport_cluster::{Committed, Members, Role, SnapshotWrite, StateMachine};

use super::batching::Pending;
use super::{EphemeralDeleted, Local, Observed, Shared, View};
use crate::machine::{Event, Fate, Machine, Outcome, Sink, Stamp};
use crate::session::SessionId;
use crate::snapshot::Ticket;
use crate::watch::{WatchTable, Watcher};
use crate::{Perms, TreeError, access};

pub(super) struct Applier {
    shared: Arc<Shared>,
    rng: SplitMix64,
    /// Transactions and bytes of log to apply before the next snapshot.
    until_snapshot: u64,
    bytes_until_snapshot: u64,
}

impl Applier {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let seed = shared.clock.now().0 as u64 ^ shared.settings.node.0 << 48;
        let rng = SplitMix64::new(seed);
        let mut applier = Self { shared, rng, until_snapshot: 0, bytes_until_snapshot: 0 };
        applier.rearm();
        applier
    }

    /// Nodes that snapshot at the same moment would all be slow at the same moment.
    fn rearm(&mut self) {
        let every = self.shared.settings.snapshot_every.max(2);
        self.until_snapshot = upper_half(every, &mut self.rng);
        let bytes = self.shared.settings.snapshot_bytes;
        self.bytes_until_snapshot = match bytes {
            0 => u64::MAX,
            bytes => upper_half(bytes, &mut self.rng),
        };
    }

    fn count(&mut self, transactions: u64, bytes: u64) {
        self.shared.transactions.fetch_add(transactions, Ordering::Relaxed);
        if self.until_snapshot <= transactions || self.bytes_until_snapshot <= bytes {
            self.rearm();
            self.shared.snapshot_due.notify_one();
        } else {
            self.until_snapshot -= transactions;
            self.bytes_until_snapshot -= bytes;
        }
    }
}

/// A random number from half of `most`, exclusively, to `most`.
fn upper_half(most: u64, rng: &mut SplitMix64) -> u64 {
    most / 2 + rng.below(most - most / 2) + 1
}

/// Takes what the machine says of one batch.
struct Teller<'a> {
    observed: &'a Observed,
    local: &'a mut Local,
    pending: Vec<Pending>,
    opened: Option<(u64, u64)>,
    attached: Vec<SessionId>,
    restored: bool,
    ephemeral_deleted: Option<&'a EphemeralDeleted>,
}

impl<'a> Teller<'a> {
    fn new(shared: &'a Shared, local: &'a mut Local, pending: Vec<Pending>) -> Self {
        Self {
            observed: &shared.observed,
            local,
            pending,
            opened: None,
            attached: Vec::new(),
            restored: false,
            ephemeral_deleted: shared.ephemeral_deleted.get(),
        }
    }
}

impl Sink for Teller<'_> {
    fn event(&mut self, event: Event<'_>) {
        let watchers = self.local.watches.trigger(event.kind, event.path);
        self.observed.fired(event.kind, watchers.len());
        for watcher in watchers {
            if let Some(subscriber) = self.local.subscribers.get(&watcher) {
                subscriber.notified(&event);
            }
        }
    }

    fn outcome(
        &mut self,
        machine: &Machine,
        number: usize,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    ) {
        match &result {
            // Whoever had the session here before has lost it. The new connection, if it is here,
            // is known by `Replica::attach` once it has its answer.
            Ok(Outcome::Attached(session, _, _)) => {
                self.attached.push(*session);
                self.detach(*session, true);
            }
            Ok(Outcome::Expired(sessions)) if number < self.pending.len() => {
                let expired = sessions.len() as u64;
                self.observed.sessions_expired.fetch_add(expired, Ordering::Relaxed);
            }
            Ok(Outcome::Origin(origin, nonce)) => self.opened = Some((*origin, *nonce)),
            Ok(Outcome::Restored(_)) => {
                self.restored = true;
                // Nobody sees the new tree through a connection that has shown the old one.
                self.local.watches = WatchTable::default();
                for subscriber in self.local.subscribers.values() {
                    subscriber.interrupted();
                }
            }
            _ => {}
        }
        let pending = self.pending.get(number);
        if let Some(Pending { subscriber: Some(subscriber), token }) = pending {
            let mut view = View { machine, watches: &mut self.local.watches };
            subscriber.completed(&mut view, *token, zxid, result);
        }
    }

    fn session_closed(&mut self, session: SessionId) {
        self.detach(session, false);
    }

    fn ephemeral_deleted(&mut self, session: SessionId, path: &str) {
        if let Some(told) = self.ephemeral_deleted {
            told(session, path);
        }
    }
}

impl Teller<'_> {
    fn detach(&mut self, session: SessionId, moved: bool) {
        let watcher: Option<Watcher> = self.local.attached.remove(&session);
        if let Some(subscriber) = watcher.and_then(|w| self.local.subscribers.get(&w)) {
            subscriber.detached(moved);
        }
    }
}

impl StateMachine for Applier {
    fn apply(&mut self, committed: &[Committed<'_>]) -> io::Result<()> {
        let shared = self.shared.clone();
        let mut machine = shared.machine.write();
        let before = machine.last_zxid();
        let mut restored = false;
        for entry in committed {
            let stamp = Stamp { term: entry.term, time_ms: entry.time.0 };
            let age_ms = shared.clock.now().0.saturating_sub(entry.time.0);
            shared.observed.entry(entry.bytes.len(), age_ms);
            let (origin, sequence) = peek(entry.bytes)?;
            // Fate is decided inside; asking first is safe, because nobody else applies.
            let (ours, pending) = {
                let mut outbox = shared.outbox.lock();
                let next = machine.origin_by_id(origin).map(|origin| origin.next_sequence);
                let ours = outbox.is_ours(origin);
                let due = ours && next == Some(sequence);
                (ours, if due { outbox.applied(sequence) } else { None })
            };
            let mut local = shared.local.lock();
            let observed = &shared.observed;
            let pending = pending.map_or_else(Vec::new, |(sent, pending)| {
                observed.proposal.record_time(sent.elapsed());
                pending
            });
            let mut teller = Teller::new(&shared, &mut local, pending);
            let fate = machine.apply(stamp, entry.bytes, &mut teller).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("log entry {}: {error}", entry.index),
                )
            })?;
            let Teller { opened, attached, restored: restored_here, .. } = teller;
            restored |= restored_here;
            if !attached.is_empty() {
                shared.expiry.lock().attached(&attached);
            }
            if let Some((origin, nonce)) = opened {
                drop(local);
                let mut outbox = shared.outbox.lock();
                outbox.opened(origin, nonce);
                let newest = machine.origin(shared.settings.node.0).map(|origin| origin.id);
                if outbox.origin().is_some() && outbox.origin() != newest {
                    outbox.reopen();
                    drop(outbox);
                    let local = shared.local.lock();
                    local.subscribers.values().for_each(|subscriber| subscriber.interrupted());
                }
            } else if ours && fate == Fate::Applied {
                drop(local);
                shared.outbox.lock().flush();
            }
        }
        let after = machine.last_zxid();
        shared.last_zxid.store(after, Ordering::Release);
        drop(machine);
        let bytes = committed.iter().map(|entry| entry.bytes.len() as u64).sum();
        if restored {
            tracing::warn!(zxid = format!("0x{after:x}"), "everything was replaced by a restore");
            // So that the pieces can leave the log; and what was counted so far is in it.
            self.rearm();
            shared.snapshot_due.notify_one();
            return Ok(());
        }
        // The upper half is the term.
        let first = if after >> 32 == before >> 32 { before } else { after >> 32 << 32 };
        self.count((after - first).max(0) as u64, bytes);
        Ok(())
    }

    fn members_changed(&mut self, index: u64, members: &Members) {
        let shared = self.shared.clone();
        let mut machine = shared.machine.write();
        let mut local = shared.local.lock();
        let mut teller = Teller::new(&shared, &mut local, Vec::new());
        machine.set_config(&config_text(index, members), &mut teller);
        shared.last_zxid.store(machine.last_zxid(), Ordering::Release);
    }

    fn snapshot(&mut self) -> Box<dyn SnapshotWrite> {
        let mut machine = self.shared.machine.write();
        let zxid = machine.last_zxid();
        let (ticket, head) = machine.begin_snapshot();
        Box::new(Writing { shared: self.shared.clone(), ticket, head, zxid })
    }

    fn restore(&mut self, mut from: &mut dyn Read) -> io::Result<()> {
        let restored = Machine::read_snapshot(&mut from)?;
        let shared = self.shared.clone();
        let mut machine = shared.machine.write();
        *machine = restored;
        shared.expiry.lock().skipped();
        shared.last_zxid.store(machine.last_zxid(), Ordering::Release);
        shared.observed.snapshot_at(machine.last_zxid());
        {
            let mut outbox = shared.outbox.lock();
            if let Some(origin) = machine.origin(shared.settings.node.0) {
                outbox.opened(origin.id, origin.nonce);
                if outbox.origin() == Some(origin.id) {
                    outbox.skip_to(origin.next_sequence);
                }
            }
        }
        // Events and answers were skipped: clients must come again and say what they watch.
        for subscriber in shared.local.lock().subscribers.values() {
            subscriber.interrupted();
        }
        Ok(())
    }
}

/// Origin and sequence at the head of a batch.
fn peek(bytes: &[u8]) -> io::Result<(u64, u64)> {
    let mut cursor = polyport_wire::Cursor::new(bytes);
    let mut read = || {
        cursor.u8("batch version")?;
        Ok::<_, polyport_wire::DecodeError>((cursor.u64("origin")?, cursor.u64("sequence")?))
    };
    read().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// `/zookeeper/config` as ZooKeeper writes it. `index`: of the entry that made the members so.
pub fn config_text(index: u64, members: &Members) -> Vec<u8> {
    let mut text = String::new();
    for (id, member) in members {
        let quorum = match member.quorum.is_empty() {
            true => {
                let port = member.address.rsplit(':').next().unwrap_or("0");
                format!("{}:{port}", member.address)
            }
            false => member.quorum.clone(),
        };
        let role = match member.role {
            Role::Voter => "participant",
            Role::Observer => "observer",
        };
        let client = match member.client.is_empty() {
            true => String::new(),
            false => format!(";{}", member.client),
        };
        text.push_str(&format!("server.{id}={quorum}:{role}{client}\n"));
    }
    text.push_str(&format!("version={index:x}"));
    text.into_bytes()
}

struct Writing {
    shared: Arc<Shared>,
    ticket: Ticket,
    head: Vec<u8>,
    zxid: i64,
}

impl SnapshotWrite for Writing {
    fn write_to(self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.head)?;
        let mut piece = Vec::new();
        loop {
            let more = self.shared.machine.write().snapshot_piece(self.ticket, &mut piece)?;
            let written = out.write_all(&piece);
            piece.clear();
            if written.is_err() {
                self.shared.machine.write().abandon_snapshot(self.ticket);
                return written;
            }
            if !more {
                self.shared.observed.snapshot_at(self.zxid);
                return Ok(());
            }
        }
    }
}

/// Whether someone with these identities may hear of an event.
pub fn may_hear(event: &Event<'_>, ids: &[(&str, &str)]) -> bool {
    access::permits(event.acl, Perms::READ, ids)
}

#[cfg(test)]
mod tests;
