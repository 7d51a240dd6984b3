//! When sessions were last heard of. Each node notes its own clients and tells the leader twice a
//! tick; the leader expires who was silent for a timeout. A new leader gives everyone a fresh one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BufMut;
use polyport_cluster::node::Standing;
use polyport_wire::Cursor;
use tokio::time::Instant;

use crate::session::{Session, SessionId, Sessions};
use crate::watch::Watcher;

/// Set by a connection whenever its client says something; cleared when the leader is told.
#[derive(Clone, Debug, Default)]
pub struct Touch(Arc<AtomicBool>);

impl Touch {
    /// The client was heard.
    pub fn set(&self) {
        // The usual case is that it is set already; a load spares the cache line.
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// This node's clients.
    here: HashMap<SessionId, Touch>,
    /// Clients that were heard and then hung up before that was reported.
    gone: Vec<SessionId>,
    /// Leader only: when each session of the cluster was last heard of.
    heard: HashMap<SessionId, Instant>,
    checked: Option<Instant>,
}

impl Expiry {
    pub(super) fn attach(&mut self, session: SessionId, touch: Touch) {
        touch.set();
        self.here.insert(session, touch);
    }

    pub(super) fn detach(&mut self, session: SessionId) {
        if self.here.remove(&session).is_some_and(|touch| touch.take()) {
            self.gone.push(session);
        }
    }

    /// Whom this node has heard of since the last call, as a note to the leader.
    pub(super) fn report(&mut self) -> Vec<u8> {
        let mut note = Vec::new();
        for session in self.gone.drain(..) {
            note.put_i64(session);
        }
        for (session, touch) in &self.here {
            if touch.take() {
                note.put_i64(*session);
            }
        }
        note
    }

    /// These were heard of just now.
    pub(super) fn heard(&mut self, sessions: &[SessionId]) {
        let now = Instant::now();
        self.heard.extend(sessions.iter().map(|session| (*session, now)));
    }

    /// A node's report has come.
    pub(super) fn note(&mut self, note: &[u8]) {
        let now = Instant::now();
        let mut cursor = Cursor::new(note);
        while let Ok(session) = cursor.i64("session") {
            self.heard.insert(session, now);
        }
    }

    /// This node does not lead (any more).
    pub(super) fn stop_leading(&mut self) {
        self.heard.clear();
        self.checked = None;
    }

    /// Who was silent for longer than its timeout. A pause of this process (or of its machine) is
    /// nobody's silence.
    pub(super) fn expired(&mut self, sessions: &Sessions, tick: Duration) -> Vec<SessionId> {
        let now = Instant::now();
        let since = self.checked.replace(now).map_or(Duration::MAX, |then| now - then);
        let first_check = since == Duration::MAX;
        if !first_check && since > tick {
            let pause = since - tick / 2;
            for heard in self.heard.values_mut() {
                *heard += pause;
            }
        }
        self.heard.retain(|session, _| sessions.contains_key(session));
        let mut expired = Vec::new();
        for (id, session) in sessions {
            let heard = *self.heard.entry(*id).or_insert(now);
            let timeout = Duration::from_millis(session.timeout_ms.max(0) as u64);
            if now.saturating_duration_since(heard) > timeout {
                expired.push(*id);
            }
        }
        expired
    }
}

impl super::Replica {
    /// When each session will expire if its client stays silent, as far as this node knows as the
    /// leader; empty on any other.
    pub fn expiring(&self) -> Vec<(SessionId, Duration)> {
        if self.status.borrow().standing != Standing::Leading {
            return Vec::new();
        }
        let machine = self.shared.machine.read();
        let expiry = self.shared.expiry.lock();
        let left = |(id, session): (&SessionId, &Session)| {
            let timeout = Duration::from_millis(session.timeout_ms.max(0) as u64);
            // Who was not reported yet is new.
            let silent = expiry.heard.get(id).map_or(Duration::ZERO, Instant::elapsed);
            (*id, timeout.saturating_sub(silent))
        };
        machine.sessions().iter().map(left).collect()
    }

    /// A session is attached to a connection of this node, which touches it from now on.
    pub fn keep_alive(&self, session: SessionId, touch: Touch) {
        self.shared.expiry.lock().attach(session, touch);
    }

    /// A connection is gone; its session, unless another connection of this node has it by now, is
    /// no longer reported and lives until its timeout.
    pub fn forget_if(&self, session: SessionId, watcher: Watcher) {
        let local = self.shared.local.lock();
        if local.attached.get(&session).is_none_or(|attached| *attached == watcher) {
            self.shared.expiry.lock().detach(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_hangs_up_was_still_heard() {
        let mut expiry = Expiry::default();
        let touch = Touch::default();
        expiry.attach(7, touch.clone());
        expiry.detach(7);
        assert_eq!(expiry.report(), 7_i64.to_be_bytes());
        assert!(expiry.report().is_empty());
    }
}
