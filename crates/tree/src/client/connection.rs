//! One attachment of the session: what was submitted through it, and whom to tell.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use super::ClientError;
use crate::access::Identities;
use crate::command::{Command, Submitter};
use crate::machine::Outcome;
use crate::replica::{Place, Replica, Subscriber, View};
use crate::session::SessionId;
use crate::watch::Watcher;
use crate::{Event, Stat, TreeError};

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A znode was created there; the name of a sequential one is only known now.
    Created(String, Stat),
    /// A znode's data or access control list was set.
    Set(Stat),
    /// Deleted, checked, synced.
    Done,
}

/// Writes that were done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The transaction.
    pub zxid: i64,
    /// In the order of the writes.
    pub done: Vec<Done>,
}

impl Written {
    /// The znode's stat after the first write, if it was a creation or a set.
    pub fn stat(&self) -> Option<Stat> {
        match self.done.first()? {
            Done::Created(_, stat) | Done::Set(stat) => Some(*stat),
            Done::Done => None,
        }
    }
}

pub(super) type Answer = Result<Written, ClientError>;

/// Why a connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its session is over.
    Expired,
    /// Answers were lost, or the session was taken elsewhere.
    Interrupted,
    /// The owner closes it.
    Closing,
}

struct Waiting {
    answer: oneshot::Sender<Answer>,
    /// Held until the tree has answered, whether or not somebody still waits: what was submitted
    /// takes room.
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct State {
    next_token: u64,
    waiting: HashMap<u64, Waiting>,
    attached: Option<Result<SessionId, TreeError>>,
    ended: Option<Ended>,
    /// Its end is wished for: the answer to the last command is still to come.
    closing: bool,
}

#[derive(Default)]
pub(super) struct Connection {
    watcher: OnceLock<Watcher>,
    session: OnceLock<SessionId>,
    /// Never held together with `state`.
    place: Mutex<Place>,
    state: Mutex<State>,
    changed: Notify,
}

/// Not a write's answer but that to the command which attaches.
const ATTACHING: u64 = u64::MAX;

impl Connection {
    pub(super) fn new(replica: &Replica) -> Arc<Self> {
        let connection = Arc::new(Self::default());
        let watcher = replica.subscribe(connection.clone());
        // Set here only.
        let _ = connection.watcher.set(watcher);
        connection
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.watcher.get().copied().unwrap_or_default()
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.session.get().copied()
    }

    fn push(
        self: &Arc<Self>,
        replica: &Replica,
        session: SessionId,
        command: &Command<'_>,
        token: u64,
    ) {
        // A service of this node is the server itself to access control lists and quotas.
        let who = Identities { ids: Vec::new(), bypass: true };
        let from = Submitter { session, connection: self.watcher(), who, enforce_quota: false };
        let mut place = self.place.lock();
        replica.submit(&mut place, &from, command, self.clone(), token);
        drop(place);
        replica.flush();
    }

    /// Opens a session, or takes up one that was open.
    pub(super) async fn attach(
        self: &Arc<Self>,
        replica: &Replica,
        command: &Command<'_>,
    ) -> Option<Result<SessionId, TreeError>> {
        // A new session carries its node's number in its own.
        let node = replica.settings().node.0 as i64;
        self.push(replica, node, command, ATTACHING);
        // What follows is another submitter's.
        *self.place.lock() = Place::default();
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.lock();
                if state.ended.is_some() {
                    return None;
                }
                if let Some(attached) = state.attached.take() {
                    if let Ok(session) = attached {
                        // Once in a connection's life.
                        let _ = self.session.set(session);
                    }
                    return Some(attached);
                }
            }
            changed.await;
        }
    }

    /// Sends a command; nothing if the connection is over.
    pub(super) fn submit(
        self: &Arc<Self>,
        replica: &Replica,
        command: &Command<'_>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Option<oneshot::Receiver<Answer>> {
        let session = self.session()?;
        let (answer, receiver) = oneshot::channel();
        let token = {
            let mut state = self.state.lock();
            if state.ended.is_some() {
                return None;
            }
            let token = state.next_token;
            state.next_token += 1;
            state.waiting.insert(token, Waiting { answer, _room: room });
            token
        };
        self.push(replica, session, command, token);
        Some(receiver)
    }

    /// The owner is about to end the session.
    pub(super) fn closing(&self) {
        self.state.lock().closing = true;
    }

    /// Nothing comes through it any more; the first reason counts.
    fn end(&self, ended: Ended) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(ended);
        if !(state.closing && ended == Ended::Expired) {
            // Those who wait learn from the loss of their channel that nothing is known.
            state.waiting.clear();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until the connection is over.
    pub(super) async fn ended(&self) -> Ended {
        loop {
            let changed = self.changed.notified();
            if let Some(ended) = self.state.lock().ended {
                return ended;
            }
            changed.await;
        }
    }
}

impl Subscriber for Connection {
    fn completed(
        &self,
        _: &mut View<'_>,
        token: u64,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    ) {
        if token == ATTACHING {
            self.state.lock().attached = Some(match result {
                Ok(Outcome::Attached(session, ..)) => Ok(session),
                Ok(_) => Err(TreeError::Unimplemented),
                Err(error) => Err(error),
            });
            self.changed.notify_one();
            return;
        }
        let waiting = self.state.lock().waiting.remove(&token);
        if let Some(waiting) = waiting {
            // Nobody waits any more, perhaps.
            drop(waiting.answer.send(answer(zxid, result)));
        }
    }

    fn notified(&self, _: &Event<'_>) {}

    fn detached(&self, moved: bool) {
        self.end(if moved { Ended::Interrupted } else { Ended::Expired });
    }

    fn interrupted(&self) {
        self.end(Ended::Interrupted);
    }
}

fn done(outcome: Outcome<'_>) -> Done {
    match outcome {
        Outcome::Created(path, stat) => Done::Created(path.into_owned(), stat),
        Outcome::Stat(stat) => Done::Set(stat),
        _ => Done::Done,
    }
}

fn answer(zxid: i64, result: Result<Outcome<'_>, TreeError>) -> Answer {
    let results = match result {
        Ok(Outcome::Multi(results)) => results,
        Ok(outcome) => return Ok(Written { zxid, done: vec![done(outcome)] }),
        Err(error) => return Err(ClientError::Refused { at: 0, error }),
    };
    let mut all = Vec::with_capacity(results.len());
    for (at, result) in results.into_iter().enumerate() {
        match result {
            Ok(outcome) => all.push(done(outcome)),
            // Those before the one that failed.
            Err(TreeError::RolledBack) => {}
            Err(error) => return Err(ClientError::Refused { at, error }),
        }
    }
    Ok(Written { zxid, done: all })
}
