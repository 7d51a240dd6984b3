//! Replacing everything while clients are connected: a snapshot comes through the log in pieces, and
//! takes the place of the present content in one transaction.

use std::io::{self, Read};

use bytes::Bytes;

use super::apply::Context;
use super::{Event, Machine, Outcome, Sink};
use crate::TreeError;
use crate::command::Restore;
use crate::session::{Attachment, SessionId};

/// Largest snapshot that is collected, in bytes.
pub const MAX_RESTORE_BYTES: u64 = 16 << 30;

/// After this long without a piece, by the times of the log's entries, what was collected is
/// dropped: whoever sent it is gone. In milliseconds.
pub const ABANDONED_AFTER_MS: i64 = 10 * 60 * 1000;

const CONFIG: &str = "/zookeeper/config";

/// What a restore has collected so far.
#[derive(Debug)]
pub(crate) struct Restoring {
    pub(crate) id: u64,
    /// When the newest piece came.
    pub(crate) touched_ms: i64,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) len: u64,
}

impl Restoring {
    pub(crate) fn new(id: u64, touched_ms: i64) -> Self {
        Self { id, touched_ms, pieces: Vec::new(), len: 0 }
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.len += piece.len() as u64;
        self.pieces.push(piece);
    }

    fn reader(&self) -> Pieces<'_> {
        Pieces { rest: self.pieces.iter(), piece: &[] }
    }
}

/// Reads pieces as one.
struct Pieces<'a> {
    rest: std::slice::Iter<'a, Bytes>,
    piece: &'a [u8],
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.rest.next() {
                Some(next) => self.piece = next,
                None => return Ok(0),
            }
        }
        self.piece.read(buf)
    }
}

/// What a restore did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Znodes there are now.
    pub znodes: usize,
    /// Sessions that came with them.
    pub sessions: usize,
    /// Sessions of before that ended.
    pub ended: usize,
    /// The transaction that did it.
    pub zxid: i64,
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { znodes, sessions, ended, zxid } = self;
        write!(
            f,
            "{znodes} znodes and {sessions} sessions are there now, last zxid 0x{zxid:x}; {ended} \
             sessions ended"
        )
    }
}

/// Why a restore did not happen. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// No restore of this number is under way.
    #[error("another restore has begun since, or this one was given up")]
    Overtaken,
    /// A piece does not follow the one before.
    #[error("piece {0} came out of turn")]
    OutOfTurn(u32),
    /// The pieces are too many.
    #[error("a snapshot of more than {MAX_RESTORE_BYTES} bytes cannot be restored")]
    TooLarge,
    /// Not all of the pieces came.
    #[error("{0} bytes came where {1} were sent")]
    Incomplete(u64, u64),
    /// The bytes are no snapshot of a tree.
    #[error("the backup cannot be used: {0}")]
    Unusable(String),
}

/// Ends sessions of a tree that nobody has seen yet.
struct Unseen;

impl Sink for Unseen {
    fn event(&mut self, _: Event<'_>) {}
    fn outcome(&mut self, _: &Machine, _: usize, _: i64, _: Result<Outcome<'_>, TreeError>) {}
    fn session_closed(&mut self, _: SessionId) {}
}

impl Machine {
    /// Bytes that a restore under way has collected.
    pub fn restoring_bytes(&self) -> u64 {
        self.restoring.as_ref().map_or(0, |restoring| restoring.len)
    }

    pub(super) fn forget_abandoned_restore(&mut self, now_ms: i64) {
        let old = |of: &mut Restoring| now_ms.saturating_sub(of.touched_ms) > ABANDONED_AFTER_MS;
        self.restoring.take_if(old);
    }

    pub(super) fn restore_step<'a>(
        &mut self,
        context: &Context,
        step: Restore<'_>,
        sink: &mut impl Sink,
    ) -> Outcome<'a> {
        let done = match step {
            Restore::Begin { id } => {
                self.restoring = Some(Restoring::new(id, context.time_ms));
                Ok(Outcome::Done)
            }
            Restore::Piece { id, number, bytes } => {
                self.collect(context, id, number, bytes).map(|()| Outcome::Done)
            }
            Restore::End { id, len } => {
                self.replace_all(context, id, len, sink).map(Outcome::Restored)
            }
            Restore::Cancel { id } => {
                self.restoring.take_if(|restoring| restoring.id == id);
                Ok(Outcome::Done)
            }
        };
        done.unwrap_or_else(Outcome::NotRestored)
    }

    fn collect(
        &mut self,
        context: &Context,
        id: u64,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), RestoreError> {
        let mut restoring =
            self.restoring.take_if(|of| of.id == id).ok_or(RestoreError::Overtaken)?;
        if restoring.pieces.len() != number as usize {
            return Err(RestoreError::OutOfTurn(number));
        }
        if restoring.len + bytes.len() as u64 > MAX_RESTORE_BYTES {
            return Err(RestoreError::TooLarge);
        }
        restoring.push(Bytes::copy_from_slice(bytes));
        restoring.touched_ms = context.time_ms;
        self.restoring = Some(restoring);
        Ok(())
    }

    /// Puts what was collected in the place of the present content. What belongs to the living
    /// cluster stays: its origins, its membership, and that zxids only grow.
    fn replace_all(
        &mut self,
        context: &Context,
        id: u64,
        len: u64,
        sink: &mut impl Sink,
    ) -> Result<Restored, RestoreError> {
        let restoring = self.restoring.take_if(|of| of.id == id).ok_or(RestoreError::Overtaken)?;
        if restoring.len != len {
            return Err(RestoreError::Incomplete(restoring.len, len));
        }
        let read = Self::read_foreign_snapshot(|| restoring.reader());
        let mut new = read.map_err(|error| RestoreError::Unusable(error.to_string()))?;
        drop(restoring);
        new.last_zxid = context.zxid.max(new.last_zxid + 1);
        let context = Context { zxid: new.last_zxid, ..*context };
        for session in new.sessions.values_mut() {
            // No connection of this cluster.
            session.attachment = Attachment::default();
        }
        let ended: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in &ended {
            // A client that is told that its session is over must not find its ephemerals.
            new.end_session(&context, *session, &mut Unseen);
        }
        let members = self.store.lookup(CONFIG).and_then(|at| self.store.data(at));
        if let (Some(members), Some(at)) = (members, new.store.lookup(CONFIG))
            && new.store.data(at) != Some(members)
        {
            new.put_data(&context, at, Some(members));
        }
        self.take_the_place(new);
        for session in &ended {
            sink.session_closed(*session);
        }
        let (znodes, sessions) = (self.store.len(), self.sessions.len());
        Ok(Restored { znodes, sessions, ended: ended.len(), zxid: context.zxid })
    }

    fn take_the_place(&mut self, new: Self) {
        let Self { store, acls, sessions, last_zxid, quotas, reapable, .. } = new;
        let before = std::mem::replace(&mut self.store, store);
        self.keep_for_snapshot(before);
        (self.acls, self.sessions, self.last_zxid) = (acls, sessions, last_zxid);
        (self.quotas, self.reapable) = (quotas, reapable);
    }
}
