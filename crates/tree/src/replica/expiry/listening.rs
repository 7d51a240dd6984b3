//! How long this node has listened to its clients in vain. It outlives leaders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polyport_base::NodeId;
use tokio::time::Instant;

use super::note::{self, Silent};
use crate::machine::Machine;
use crate::session::SessionId;

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

/// Who leads a majority, and in which term.
pub(in crate::replica) type Led = (NodeId, u64);

/// When a client was heard at the latest; nothing if since the clock was looked at.
type LastHeard = Option<Duration>;

#[derive(Debug)]
struct Here {
    touch: Touch,
    heard: LastHeard,
}

/// This node's clients. Times are those of a clock that runs only while one and the same leader
/// leads: when nobody does, clients are turned away everywhere, and that is not their silence.
#[derive(Debug, Default)]
pub(super) struct Listening {
    clock: Duration,
    looked: Option<(Instant, Led)>,
    /// Connected.
    here: HashMap<SessionId, Here>,
    /// Heard, then gone before that was reported.
    gone: Vec<SessionId>,
    /// Attached to this process, but its connection is gone.
    left: HashMap<SessionId, LastHeard>,
    /// Origins of processes that are no more, while sessions are attached to them, and since when.
    replaced: BTreeMap<u64, Duration>,
    /// The other origins.
    origins: BTreeSet<u64>,
}

impl Listening {
    pub(super) fn attach(&mut self, session: SessionId, touch: Touch) {
        touch.set();
        self.left.remove(&session);
        self.here.insert(session, Here { touch, heard: None });
    }

    pub(super) fn detach(&mut self, session: SessionId) {
        if let Some(Here { touch, mut heard }) = self.here.remove(&session) {
            if touch.take() {
                self.gone.push(session);
                heard = None;
            }
            self.left.insert(session, heard);
        }
    }

    /// The log says that these came to this node or another: what was known of them is past.
    pub(super) fn attached(&mut self, sessions: &[SessionId]) {
        for session in sessions {
            self.left.remove(session);
            if let Some(here) = self.here.get_mut(session) {
                here.heard = None;
            }
        }
    }

    /// Entries of the log were skipped: any session may have been elsewhere and come back.
    pub(super) fn skipped(&mut self) {
        self.left.clear();
        self.here.values_mut().for_each(|here| here.heard = None);
        self.replaced.clear();
        self.origins.clear();
    }

    /// Looks at the clock, who leads, and which sessions can still be heard through whom. To be
    /// called twice a tick; a step longer than a tick is a pause of this process.
    pub(super) fn look(
        &mut self,
        led: Option<Led>,
        origin: Option<u64>,
        machine: &Machine,
        tick: Duration,
    ) {
        let now = Instant::now();
        if let (Some((then, before)), Some(led)) = (self.looked, led)
            && before == led
        {
            let step = now - then;
            self.clock += if step > tick { tick / 2 } else { step };
        }
        self.looked = led.map(|led| (now, led));
        let sessions = machine.sessions();
        self.left.retain(|session, _| {
            let attached = sessions.get(session).map(|session| session.attachment.origin);
            attached.is_some() && attached == origin
        });
        for heard in self.left.values_mut() {
            heard.get_or_insert(self.clock);
        }
        for here in self.here.values_mut() {
            here.heard.get_or_insert(self.clock);
        }
        self.notice_replaced(machine);
    }

    fn notice_replaced(&mut self, machine: &Machine) {
        let origins: BTreeSet<u64> = machine.origins.iter().map(|(_, origin)| origin.id).collect();
        if origins == self.origins {
            return;
        }
        let attached = machine.sessions().values().map(|session| session.attachment.origin);
        let replaced: BTreeSet<u64> = attached.filter(|origin| !origins.contains(origin)).collect();
        self.replaced.retain(|origin, _| replaced.contains(origin));
        for origin in replaced {
            self.replaced.entry(origin).or_insert(self.clock);
        }
        self.origins = origins;
    }

    /// Whom this node has heard of since the last call, as a note to the leader.
    pub(super) fn report(&mut self) -> Vec<u8> {
        let mut heard: Vec<SessionId> = self.gone.drain(..).collect();
        for (session, here) in &mut self.here {
            if here.touch.take() {
                here.heard = Some(self.clock);
                heard.push(*session);
            }
        }
        let mut note = Vec::new();
        note::put_heard(&mut note, &heard);
        note
    }

    /// That, for how long each client of this process, `origin`, has been silent, and since when
    /// nobody can have been heard by processes that are no more: for the leader of a term who knows
    /// nothing of that yet, or whom notes may not have reached.
    pub(super) fn report_all(&mut self, term: u64, origin: u64, machine: &Machine) -> Vec<u8> {
        let mut note = self.report();
        let mut silent = Vec::new();
        let clock = self.clock;
        for (id, session) in machine.sessions() {
            if session.attachment.origin == origin {
                let heard = match self.here.get(id) {
                    Some(here) => here.heard,
                    None => *self.left.entry(*id).or_insert(Some(clock)),
                };
                let silence = heard.map_or(Duration::ZERO, |heard| clock - heard);
                silent.push(Silent { session: *id, attachment: session.attachment, silence });
            }
        }
        note::put_silent(&mut note, term, &silent);
        let replaced = self.replaced.iter().map(|(origin, since)| (*origin, clock - *since));
        note::put_replaced(&mut note, term, replaced);
        note
    }
}
