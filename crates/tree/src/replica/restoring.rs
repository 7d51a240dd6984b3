//! Bringing a backup into the log: it is checked as it comes, cut into commands, and its end makes
//! it the content of every node.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use polyport_base::rng::SplitMix64;
use polyport_cluster::content::Content;
use polyport_cluster::seed;
use tokio::sync::{mpsc, oneshot};

use super::{Replica, Shared, Subscriber, View};
use crate::TreeError;
use crate::command::{Command, Restore};
use crate::machine::{Event, Outcome, RestoreError, Restored};

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;
/// Pieces on their way through the log at once.
const WINDOW: usize = 8;
/// How long the log may take for a step.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the last step may take: all nodes read the whole backup then.
const END_PATIENCE: Duration = Duration::from_secs(600);

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    /// The bytes are no backup, or stopped coming. Nothing was changed.
    #[error("the backup cannot be read: {0}")]
    Backup(#[from] io::Error),
    /// The machine refused it. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] RestoreError),
    /// There is no majority. Nothing was changed.
    #[error("no majority of the cluster is there")]
    NoQuorum,
    /// The log did not take a step in time, or its answer was lost.
    #[error("the cluster did not answer{}", if *.0 { ": the restore may still happen, look at it" } else { "" })]
    Unanswered(bool),
}

type Answer = Result<Option<Restored>, RestoreError>;

/// Waits for the outcome of one step.
struct Waiting(Mutex<Option<oneshot::Sender<Answer>>>);

impl Subscriber for Waiting {
    fn completed(&self, _: &mut View<'_>, _: u64, _: i64, result: Result<Outcome<'_>, TreeError>) {
        let answer = match result {
            Ok(Outcome::Restored(restored)) => Ok(Some(restored)),
            Ok(Outcome::NotRestored(error)) => Err(error),
            _ => Ok(None),
        };
        if let Some(sender) = self.0.lock().take() {
            // Nobody waits any more, perhaps.
            drop(sender.send(answer));
        }
    }

    fn notified(&self, _: &Event<'_>) {}

    fn detached(&self, _: bool) {}

    fn interrupted(&self) {}
}

/// The frames of a backup as one stream. An empty frame is its end; without one it broke off.
struct Frames {
    frames: mpsc::Receiver<Bytes>,
    frame: Bytes,
    ended: bool,
}

impl Read for Frames {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.frame.is_empty() && !self.ended {
            self.frame = self.frames.blocking_recv().ok_or_else(|| {
                io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off half-way")
            })?;
            self.ended = self.frame.is_empty();
        }
        let n = self.frame.len().min(buf.len());
        self.frame.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// Reads the content of a backup and gives it in pieces, and at last an empty one or an error.
fn check(frames: mpsc::Receiver<Bytes>, out: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let read = || -> io::Result<()> {
        let frames = Frames { frames, frame: Bytes::new(), ended: false };
        let mut content = seed::read_backup(frames)?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            content.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            let last = piece.is_empty();
            if out.blocking_send(Ok(piece)).is_err() || last {
                return Ok(());
            }
        }
    };
    if let Err(error) = read() {
        // Nobody waits any more, perhaps.
        drop(out.blocking_send(Err(error)));
    }
}

impl Replica {
    /// Replaces everything in the cluster by a backup's content, whose file's bytes come as
    /// `frames` and end with an empty one. All sessions of clients end.
    ///
    /// # Errors
    /// See [`NotRestored`].
    pub async fn restore(&self, frames: mpsc::Receiver<Bytes>) -> Result<Restored, NotRestored> {
        let in_quorum = self.status.borrow().in_quorum;
        restore(&self.shared, in_quorum, frames).await
    }

    /// Operators ask over the node port.
    pub(super) fn serve_operators(&self) {
        // The cluster is not to keep alive what keeps the cluster alive.
        let (shared, status) = (Arc::downgrade(&self.shared), self.status.clone());
        let stopped = || "the node is stopping".to_owned();
        let here = shared.clone();
        let describe = move || here.upgrade().map_or_else(stopped, |shared| shared.describe());
        let restore = move |frames| -> polyport_cluster::content::Restoring {
            let (shared, in_quorum) = (shared.upgrade(), status.borrow().in_quorum);
            Box::pin(async move {
                let shared = shared.ok_or_else(stopped)?;
                let restored = restore(&shared, in_quorum, frames).await;
                restored.map(|restored| restored.to_string()).map_err(|error| error.to_string())
            })
        };
        let restore = Box::new(restore);
        self.cluster.serve_content(Content { describe: Box::new(describe), restore });
    }
}

async fn restore(
    shared: &Shared,
    in_quorum: bool,
    frames: mpsc::Receiver<Bytes>,
) -> Result<Restored, NotRestored> {
    if !in_quorum {
        return Err(NotRestored::NoQuorum);
    }
    let (out, pieces) = mpsc::channel(2);
    // It ends when either of its channels does.
    drop(tokio::task::spawn_blocking(move || check(frames, &out)));
    let id = shared.next_restore();
    let result = shared.bring(id, pieces).await;
    if let Err(error) = &result {
        tracing::warn!(%error, "a backup was not restored");
        if !matches!(error, NotRestored::Unanswered(true)) {
            shared.submit_own(&Command::Restore(Restore::Cancel { id }));
        }
    }
    result
}

/// The answer to a step; `last` if it is the one that does it.
async fn answer(
    step: oneshot::Receiver<Answer>,
    patience: Duration,
    last: bool,
) -> Result<Option<Restored>, NotRestored> {
    match tokio::time::timeout(patience, step).await {
        Ok(Ok(answer)) => Ok(answer?),
        _ => Err(NotRestored::Unanswered(last)),
    }
}

impl Shared {
    fn describe(&self) -> String {
        let machine = self.machine.read();
        let (znodes, sessions) = (machine.store().len(), machine.sessions().len());
        format!("{znodes} znodes, {sessions} sessions, last zxid 0x{:x}", machine.last_zxid())
    }

    /// A number that no other restore has.
    fn next_restore(&self) -> u64 {
        let number = self.next_watcher.fetch_add(1, Ordering::Relaxed);
        SplitMix64::new(self.outbox.lock().nonce() ^ number).next_u64()
    }

    async fn bring(
        &self,
        id: u64,
        mut pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    ) -> Result<Restored, NotRestored> {
        let mut under_way = VecDeque::from([self.step(Restore::Begin { id })]);
        let (mut number, mut len) = (0, 0);
        loop {
            let broke = || io::Error::other("it was not read to its end");
            let piece = pieces.recv().await.ok_or_else(broke)??;
            if piece.is_empty() {
                break;
            }
            len += piece.len() as u64;
            under_way.push_back(self.step(Restore::Piece { id, number, bytes: &piece }));
            number += 1;
            if under_way.len() >= WINDOW
                && let Some(first) = under_way.pop_front()
            {
                answer(first, PATIENCE, false).await?;
            }
        }
        for step in under_way {
            answer(step, PATIENCE, false).await?;
        }
        let restored = answer(self.step(Restore::End { id, len }), END_PATIENCE, true).await?;
        restored.ok_or(NotRestored::Unanswered(true))
    }

    fn step(&self, step: Restore<'_>) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let waiting = Arc::new(Waiting(Mutex::new(Some(sender))));
        self.submit_own_for(&Command::Restore(step), Some(waiting));
        receiver
    }
}
