//! What a connection still owes its client: replies in the order of the requests, and events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use bytes::{BufMut, Bytes};
use parking_lot::Mutex;
use polyport_tree::machine::{Event, Outcome};
use polyport_tree::replica::{Subscriber, View, may_hear};
use polyport_tree::session::SessionId;
use polyport_tree::{EventKind, TreeError};
use tokio::sync::Notify;

use super::answered::Answer;
use super::counters::Counters;
use super::load::Share;
use super::read;
use super::stats::Stats;
use crate::audit;
use crate::auth::Identities;
use crate::codec::jute::Put;
use crate::codec::multi::{self, MultiResult};
use crate::codec::reply::event_number;
use crate::codec::{ErrorCode, OpCode, ReplyHeader, Response, XID_NOTIFICATION};

/// `KeeperState.SyncConnected`.
const SYNC_CONNECTED: i32 = 3;

/// A request that waits for its turn.
pub(super) enum Queued {
    /// A write on its way through the log.
    Write(Write),
    /// A read behind a write: the whole frame after its length.
    Read(Bytes, Instant, Share),
    /// An answer that is ready, behind a write.
    Ready(Vec<u8>),
    /// A request behind a write that was refused without asking the tree.
    Failed { xid: i32, code: ErrorCode },
}

/// What is needed to answer a write.
pub(super) struct Write {
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) since: Instant,
    pub(super) detail: Detail,
    /// Length of the request, in bytes.
    pub(super) len: usize,
    /// To be told how it ended.
    pub(super) audited: Option<Box<audit::Pending>>,
    /// Held until the write is answered.
    pub(super) _share: Share,
}

/// What some answers need besides.
pub(super) enum Detail {
    None,
    /// Sync answers with its path.
    Path(String),
    /// The operations of a multi, and whether znodes may have a time to live.
    Ops(Vec<OpCode>, bool),
}

/// Why the connection is to end once everything owed is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client said goodbye.
    Closed,
    /// The session expired or was closed by another connection.
    SessionEnded,
    /// The session is attached to another connection.
    Moved,
    /// Answers were lost.
    Interrupted,
    /// The client does not read what it asks for.
    TooSlow,
    /// The client asked for an answer longer than it could be owed.
    TooLong,
    /// The client may not go on.
    Refused,
}

#[derive(Default)]
pub(super) struct Owed {
    /// Encoded and ready.
    pub(super) bytes: Vec<u8>,
    /// In the order of the requests; begins with a write.
    pub(super) queue: VecDeque<Queued>,
    /// Bytes of the queue's requests and answers.
    pub(super) queued_bytes: usize,
    pub(super) ending: Option<Ending>,
    /// The answer to the handshake's command.
    pub(super) attached: Option<Result<(SessionId, [u8; 16], i32), TreeError>>,
}

/// Shared by a connection's task and the task that applies the log.
pub(super) struct Outbound {
    owed: Mutex<Owed>,
    pub(super) wake: Notify,
    pub(super) who: Mutex<Arc<Identities>>,
    /// Set once, by the connection, before any watch.
    pub(super) watcher: std::sync::OnceLock<u64>,
    pub(super) session: AtomicI64,
    /// Served without a quorum: reads only.
    pub(super) read_only: AtomicBool,
    /// To end once nothing is in progress.
    pub(super) draining: AtomicBool,
    pub(super) stats: Arc<Stats>,
    pub(super) counters: Arc<Counters>,
    limit: usize,
}

/// Not a request's answer but the handshake's.
pub(super) const HANDSHAKE: u64 = u64::MAX;

impl Outbound {
    /// `limit`: most bytes owed before the client counts as too slow.
    pub(super) fn new(who: Identities, stats: Arc<Stats>, limit: usize) -> Self {
        Self {
            owed: Mutex::new(Owed::default()),
            wake: Notify::new(),
            who: Mutex::new(Arc::new(who)),
            watcher: std::sync::OnceLock::new(),
            session: AtomicI64::new(0),
            read_only: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            stats,
            counters: Arc::default(),
            limit,
        }
    }

    /// Most bytes owed before the client counts as too slow.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Works on what is owed. The machine, if it is locked at all, is locked before.
    pub(super) fn owed<R>(&self, work: impl FnOnce(&mut Owed) -> R) -> R {
        work(&mut self.owed.lock())
    }

    pub(super) fn watcher(&self) -> u64 {
        self.watcher.get().copied().unwrap_or_default()
    }

    pub(super) fn end(&self, ending: Ending) {
        self.owed.lock().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    /// Ends the connection once nothing is in progress; one without a session at once.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        match session_of(self) {
            0 => self.end(Ending::Interrupted),
            _ => self.wake.notify_one(),
        }
    }

    /// Appends a watch notification, and counts it.
    pub(super) fn event(&self, owed: &mut Owed, kind: EventKind, path: &str, zxid: i64) {
        let before = owed.bytes.len();
        owed.event(kind, path, zxid);
        // As ZooKeeper counts: without the length before the frame.
        self.stats.watched(owed.bytes.len() - before - 4);
    }

    /// Marks a client that lets too much pile up.
    fn check(&self, owed: &mut Owed) {
        if owed.bytes.len() > self.limit && owed.ending.is_none() {
            owed.ending = Some(Ending::TooSlow);
        }
    }
}

impl Queued {
    /// Bytes it takes, without the record itself.
    fn byte_len(&self) -> usize {
        match self {
            Self::Write(write) => write.len,
            Self::Read(frame, ..) => frame.len(),
            Self::Ready(frame) => frame.len(),
            Self::Failed { .. } => 0,
        }
    }
}

impl Owed {
    /// Queues behind a write, or a write.
    pub(super) fn push(&mut self, queued: Queued) {
        self.queued_bytes += queued.byte_len();
        self.queue.push_back(queued);
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.byte_len();
        Some(queued)
    }

    /// Whether the connection lost its place in the order of things: what the tree shows from here
    /// on is not for its client.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.ending, Some(Ending::SessionEnded | Ending::Interrupted))
    }

    /// Bytes that are no request: the connection cannot go on.
    pub(super) fn end_malformed(&mut self) {
        self.ending.get_or_insert(Ending::Refused);
    }

    /// Appends a frame.
    pub(super) fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.put_i32(0);
        write(&mut self.bytes);
        let len = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    /// Appends a reply without a body.
    pub(super) fn reply(&mut self, xid: i32, zxid: i64, err: ErrorCode) {
        self.frame(|out| ReplyHeader { xid, zxid, err }.encode(out));
    }
}

fn results(
    ops: &[OpCode],
    ttl: bool,
    results: Vec<Result<Outcome<'_>, TreeError>>,
) -> Vec<MultiResult> {
    let result = |(op, result): (&OpCode, Result<Outcome<'_>, TreeError>)| match result {
        Ok(Outcome::Created(path, _)) if *op == OpCode::Create => {
            Ok((*op, Response::Path(path.into_owned())))
        }
        Ok(Outcome::Created(path, stat)) => Ok((*op, Response::PathStat(path.into_owned(), stat))),
        Ok(Outcome::Stat(stat)) => Ok((*op, Response::Stat(stat))),
        Ok(_) => Ok((*op, Response::Empty)),
        // Sent to the tree as a time to live that cannot be, to fail in its place.
        Err(TreeError::BadArguments) if *op == OpCode::CreateTtl && !ttl => {
            Err(ErrorCode::UNIMPLEMENTED)
        }
        Err(error) => Err(ErrorCode::from(error)),
    };
    ops.iter().zip(results).map(result).collect()
}

fn encode(write: &Write, zxid: i64, result: Result<Outcome<'_>, TreeError>, out: &mut Vec<u8>) {
    let xid = write.xid;
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            return ReplyHeader { xid, zxid, err: error.into() }.encode(out);
        }
    };
    ReplyHeader { xid, zxid, err: ErrorCode::OK }.encode(out);
    match (outcome, &write.detail) {
        (Outcome::Created(path, stat), _) => {
            out.put_ustring(&path);
            if write.op != OpCode::Create {
                out.put_stat(&stat);
            }
        }
        (Outcome::Stat(stat), _) => out.put_stat(&stat),
        (Outcome::Synced, Detail::Path(path)) => out.put_ustring(path),
        (Outcome::Multi(all), Detail::Ops(ops, ttl)) => {
            multi::encode_results(&results(ops, *ttl, all), out);
        }
        _ => {}
    }
}

impl Subscriber for Outbound {
    fn completed(
        &self,
        view: &mut View<'_>,
        token: u64,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    ) {
        let mut owed = self.owed.lock();
        if token == HANDSHAKE {
            owed.attached = Some(match result {
                Ok(Outcome::Attached(session, password, timeout)) => {
                    Ok((session, password, timeout))
                }
                Ok(_) => Err(TreeError::Unimplemented),
                Err(error) => Err(error),
            });
            self.wake.notify_one();
            return;
        }
        if owed.is_cut() {
            // The answers before this one were lost, or were the last.
            return self.wake.notify_one();
        }
        let Some(Queued::Write(write)) = owed.pop() else {
            // Answers in another order than the requests: nothing sensible can follow.
            owed.ending = Some(Ending::Interrupted);
            self.wake.notify_one();
            return;
        };
        if let Some(audited) = &write.audited {
            audited.done(&result);
        }
        let lost = matches!(result, Err(TreeError::SessionExpired | TreeError::SessionMoved));
        let before = owed.bytes.len();
        owed.frame(|out| encode(&write, zxid, result, out));
        let (op, bytes) = (write.op.into(), owed.bytes.len() - before);
        self.count(&Answer { op, xid: write.xid, zxid, since: write.since, bytes });
        if write.op == OpCode::CloseSession {
            owed.ending = Some(Ending::Closed);
        } else if lost {
            owed.ending.get_or_insert(Ending::Moved);
        }
        while !matches!(owed.queue.front(), None | Some(Queued::Write(_))) {
            if owed.bytes.len() > self.limit {
                // Small requests can have large answers; nobody has read any of these yet.
                break;
            }
            match owed.pop() {
                Some(Queued::Ready(frame)) => {
                    owed.bytes.extend_from_slice(&frame);
                    self.stats.sent();
                }
                Some(Queued::Read(frame, since, _share)) => {
                    let watches = Some(&mut *view.watches);
                    let mut place = read::Place { machine: view.machine, watches };
                    let who = self.who.lock().clone();
                    let before = owed.bytes.len();
                    read::answer(&frame, &mut place, self, &who, &mut owed);
                    self.count(&Answer::to(&frame, zxid, since, owed.bytes.len() - before));
                }
                Some(Queued::Failed { xid, code }) => {
                    owed.reply(xid, zxid, code);
                    self.stats.sent();
                    self.counters.sent();
                }
                _ => {}
            }
        }
        self.check(&mut owed);
        drop(owed);
        self.wake.notify_one();
    }

    fn notified(&self, event: &Event<'_>) {
        let who = self.who.lock().clone();
        if !may_hear(event, &who.borrowed()) {
            return;
        }
        let mut owed = self.owed.lock();
        self.event(&mut owed, event.kind, event.path, event.zxid);
        self.check(&mut owed);
        drop(owed);
        self.wake.notify_one();
    }

    fn detached(&self, moved: bool) {
        let mut owed = self.owed.lock();
        // The last answer of a session that closes itself comes after this.
        if !matches!(owed.queue.front(), Some(Queued::Write(w)) if w.op == OpCode::CloseSession) {
            owed.ending = Some(if moved { Ending::Moved } else { Ending::SessionEnded });
        }
        drop(owed);
        self.wake.notify_one();
    }

    fn interrupted(&self) {
        self.end(Ending::Interrupted);
    }
}

impl Owed {
    /// Appends a watch notification.
    fn event(&mut self, kind: EventKind, path: &str, zxid: i64) {
        self.frame(|out| {
            ReplyHeader { xid: XID_NOTIFICATION, zxid, err: ErrorCode::OK }.encode(out);
            out.put_i32(event_number(kind));
            out.put_i32(SYNC_CONNECTED);
            out.put_ustring(path);
        });
    }
}

/// The session a connection is attached to, 0 for none.
pub(super) fn session_of(outbound: &Outbound) -> SessionId {
    outbound.session.load(Ordering::Acquire)
}
