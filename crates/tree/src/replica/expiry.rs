//! Who has been silent for too long.
//!
//! Each node notes its own clients ([`listening`]) and tells the leader twice a tick; the leader
//! expires who was silent for a timeout. A new leader has heard of nobody yet: it takes everyone for
//! heard of just now, until the node that a session is attached to says for how long it has listened
//! to it in vain. Only that node can say so, because only there, or by an entry of the log, can the
//! client have been heard since. If that node has another process by now, any node can say for how
//! long. So silence adds up over leaders, except for half a tick and an election with each; only if a
//! session's node stays away does the session live until a leader lasts for its timeout.

mod listening;
mod note;

use std::collections::HashMap;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_cluster::node;
use tokio::time::Instant;

pub use listening::Touch;

use self::listening::{Led, Listening};
use self::note::{Said, Silent};
use crate::machine::Machine;
use crate::session::{Attachment, Session, SessionId};
use crate::watch::Watcher;

/// When the leader last heard of a session.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    /// Nobody said so: it was taken for granted when this node began to lead.
    assumed: bool,
}

/// What somebody who knows said to the leader of a term.
#[derive(Clone, Copy, Debug)]
enum Claim {
    /// The node that it is attached to: silent since then.
    Silent(SessionId, Attachment, Instant),
    /// Anybody: nobody was heard through this origin since then.
    Replaced(u64, Instant),
}

/// How things stand when a node looks at its sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Who leads a majority that this node belongs to.
    pub(super) leader: Option<NodeId>,
    pub(super) term: u64,
    /// Whether that is this node, with all that its predecessors acknowledged applied.
    pub(super) leads: bool,
    /// See [`polyport_cluster::Proposals::began`].
    pub(super) began: u64,
    /// This process'.
    pub(super) origin: Option<u64>,
}

/// What is to be done after that.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// For the leader; may be empty.
    pub(super) note: Vec<u8>,
    /// On the leader: who has been silent for too long.
    pub(super) expired: Vec<SessionId>,
}

#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// This node's own clients.
    listening: Listening,
    /// When sending had begun so often, the leader was told of all of them.
    told: u64,
    /// The term in which this node led when it last looked.
    term: Option<u64>,
    /// Leader only, but for what came in lately.
    heard: HashMap<SessionId, Heard>,
    /// Leader only: not judged yet, and for which term.
    claims: Vec<(u64, Claim)>,
    checked: Option<Instant>,
}

impl Expiry {
    /// Looks at all sessions; to be called twice a tick.
    pub(super) fn look(&mut self, now: Standing, machine: &Machine, tick: Duration) -> Findings {
        let Standing { leader, term, leads, began, origin } = now;
        let led: Option<Led> = leader.map(|leader| (leader, term));
        self.listening.look(led, origin, machine, tick);
        let note = match origin.filter(|_| led.is_some() && self.told != began) {
            Some(origin) => {
                self.told = began;
                self.listening.report_all(term, origin, machine)
            }
            None => self.listening.report(),
        };
        if leads {
            return Findings { note, expired: self.expired(machine, term, tick) };
        }
        self.follow(term, tick);
        Findings { note, ..Findings::default() }
    }

    /// The log attached these. Whoever leads: to attach is to be heard.
    pub(super) fn attached(&mut self, sessions: &[SessionId]) {
        self.listening.attached(sessions);
        self.heard(sessions);
    }

    /// The machine was replaced, and entries of the log were not seen.
    pub(super) fn skipped(&mut self) {
        self.listening.skipped();
    }

    /// These were heard of just now.
    fn heard(&mut self, sessions: &[SessionId]) {
        let heard = Heard { at: Instant::now(), assumed: false };
        self.heard.extend(sessions.iter().map(|session| (*session, heard)));
    }

    /// A node's report has come.
    pub(super) fn note(&mut self, note: &[u8]) {
        let now = Instant::now();
        note::read(note, |said| match said {
            Said::Heard(session) => self.heard(&[session]),
            Said::Silent(term, Silent { session, attachment, silence }) => {
                let since = now.checked_sub(silence);
                let claim = since.map(|since| Claim::Silent(session, attachment, since));
                self.claims.extend(claim.map(|claim| (term, claim)));
            }
            Said::Replaced(term, origin, ago) => {
                let claim = now.checked_sub(ago).map(|since| Claim::Replaced(origin, since));
                self.claims.extend(claim.map(|claim| (term, claim)));
            }
        });
    }

    /// This node does not lead. What was said to it may have come before it knew that it does.
    fn follow(&mut self, term: u64, tick: Duration) {
        let now = Instant::now();
        self.heard.retain(|_, heard| now.saturating_duration_since(heard.at) < tick);
        self.claims.retain(|(then, _)| *then >= term);
        self.term = None;
        self.checked = None;
    }

    /// Who was silent for longer than its timeout, on a leader that has applied all that its
    /// predecessors acknowledged. A pause of this process (or of its machine) is nobody's silence.
    fn expired(&mut self, machine: &Machine, term: u64, tick: Duration) -> Vec<SessionId> {
        let now = Instant::now();
        let since = self.checked.replace(now).map_or(Duration::ZERO, |then| now - then);
        if since > tick {
            let pause = since - tick / 2;
            self.heard.values_mut().for_each(|heard| heard.at += pause);
            for (_, Claim::Silent(_, _, since) | Claim::Replaced(_, since)) in &mut self.claims {
                *since += pause;
            }
        }
        if self.term.replace(term) != Some(term) {
            // Another may have led since.
            self.heard.values_mut().for_each(|heard| heard.at = now);
        }
        let sessions = machine.sessions();
        self.heard.retain(|session, _| sessions.contains_key(session));
        for id in sessions.keys() {
            self.heard.entry(*id).or_insert(Heard { at: now, assumed: true });
        }
        self.judge(machine, term);
        let silent = |(id, session): &(&SessionId, &Session)| {
            let heard = self.heard.get(id).map_or(now, |heard| heard.at);
            now.saturating_duration_since(heard) > timeout(session)
        };
        sessions.iter().filter(silent).map(|(id, _)| *id).collect()
    }

    /// Believes those who know, about sessions that were not heard of since this node leads.
    fn judge(&mut self, machine: &Machine, term: u64) {
        let sessions = machine.sessions();
        let mut replaced: HashMap<u64, Instant> = HashMap::new();
        for (_, claim) in self.claims.drain(..).filter(|(then, _)| *then == term) {
            match claim {
                Claim::Silent(id, attachment, since) => {
                    let attached = sessions.get(&id).map(|session| session.attachment);
                    let Some(heard) = self.heard.get_mut(&id) else { continue };
                    if attached != Some(attachment) {
                        // It is elsewhere by now.
                    } else if heard.assumed {
                        *heard = Heard { at: since, assumed: false };
                    } else {
                        // A note may have been lost with its connection.
                        heard.at = heard.at.max(since);
                    }
                }
                Claim::Replaced(origin, since) => {
                    let earliest = replaced.entry(origin).or_insert(since);
                    *earliest = since.min(*earliest);
                }
            }
        }
        if replaced.is_empty() {
            return;
        }
        for (id, session) in sessions {
            if let Some(since) = replaced.get(&session.attachment.origin)
                && let Some(heard) = self.heard.get_mut(id).filter(|heard| heard.assumed)
            {
                heard.at = heard.at.min(*since);
            }
        }
    }
}

fn timeout(session: &Session) -> Duration {
    Duration::from_millis(session.timeout_ms.max(0) as u64)
}

impl super::Replica {
    /// When each session will expire if its client stays silent, as far as this node knows as the
    /// leader; empty on any other.
    pub fn expiring(&self) -> Vec<(SessionId, Duration)> {
        if self.status.borrow().standing != node::Standing::Leading {
            return Vec::new();
        }
        let machine = self.shared.machine.read();
        let expiry = self.shared.expiry.lock();
        let left = |(id, session): (&SessionId, &Session)| {
            // Who was not reported yet is new.
            let silent = expiry.heard.get(id).map_or(Duration::ZERO, |heard| heard.at.elapsed());
            (*id, timeout(session).saturating_sub(silent))
        };
        machine.sessions().iter().map(left).collect()
    }

    /// A session is attached to a connection of this node, which touches it from now on.
    pub fn keep_alive(&self, session: SessionId, touch: Touch) {
        self.shared.expiry.lock().listening.attach(session, touch);
    }

    /// A connection is gone; its session, unless another connection of this node has it by now, is
    /// no longer reported and lives until its timeout.
    pub fn forget_if(&self, session: SessionId, watcher: Watcher) {
        let local = self.shared.local.lock();
        if local.attached.get(&session).is_none_or(|attached| *attached == watcher) {
            self.shared.expiry.lock().listening.detach(session);
        }
    }
}

#[cfg(test)]
mod tests;
