//! A client of the tree within this process, for the services of this node: a session of its own,
//! writes that are awaited, reads here and now, and watches.
//!
//! The session lives as long as the process does. It can be lost all the same, if the node is cut
//! off from the others for longer than its timeout or everything is replaced by a restore: then the
//! client opens another by itself, and [`Client::session`] tells its owner, who makes its ephemerals
//! anew.

mod connection;
mod keep;
mod read;
mod watch;
pub mod writes;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use tokio::sync::{Notify, Semaphore, watch as latest};

pub use connection::{Done, Written};
pub use read::Tree;
pub use watch::{Changed, Changes, Watch, WatchEvent};

use crate::command::{Command, Write};
use crate::replica::Replica;
use crate::session::SessionId;
use crate::watch::WatchKind;
use crate::{Stat, TreeError};
use connection::Connection;

/// Most bytes of one write, or of all writes of a multi: paths, data and what describes them.
/// ZooKeeper's `jute.maxbuffer` is as long.
pub const MAX_BYTES: usize = 1 << 20;

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the session outlives its silence.
    pub session_timeout: Duration,
    /// Most writes on their way at once; more wait for their turn.
    pub max_outstanding: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { session_timeout: Duration::from_secs(18), max_outstanding: 1024 }
    }
}

/// Why a write was not done, or is not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The tree refused it; nothing changed.
    #[error("the tree refused write {at}: {error}")]
    Refused {
        /// Which write of a multi, from 0; 0 for a single one.
        at: usize,
        /// Why.
        error: TreeError,
    },
    /// The answer was lost with the session's connection: the write may have been done.
    #[error("the answer was lost, the write may have been done")]
    Unknown,
    /// Longer than [`MAX_BYTES`].
    #[error("{0} bytes are more than one write may have")]
    TooLong(usize),
    /// The client was closed.
    #[error("the tree's client is closed")]
    Closed,
}

impl ClientError {
    /// Why the tree refused, if it did.
    pub fn refusal(&self) -> Option<TreeError> {
        match self {
            Self::Refused { error, .. } => Some(*error),
            _ => None,
        }
    }
}

struct Shared {
    replica: Replica,
    options: Options,
    room: Arc<Semaphore>,
    current: Mutex<Option<Arc<Connection>>>,
    session: latest::Sender<SessionId>,
    /// Told when the last handle is dropped.
    dropped: Notify,
}

/// Ends the session's upkeep with the last handle.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.room.close();
        self.0.dropped.notify_one();
    }
}

/// A client of the tree. Clones are handles on the same; with the last of them the session is left
/// to expire, unless it was closed before.
#[derive(Clone)]
pub struct Client(Arc<Handle>);

impl Client {
    /// Opens a session, as soon as the cluster has a leader.
    ///
    /// # Errors
    /// If the operating system has no randomness for the session's password.
    pub async fn open(replica: Replica, options: Options) -> std::io::Result<Self> {
        let mut password = [0; 16];
        getrandom::fill(&mut password)?;
        let (session, mut opened) = latest::channel(0);
        let shared = Arc::new(Shared {
            replica,
            room: Arc::new(Semaphore::new(options.max_outstanding.max(1))),
            options,
            current: Mutex::new(None),
            session,
            dropped: Notify::new(),
        });
        tokio::spawn(keep::keep(shared.clone(), password));
        let client = Self(Arc::new(Handle(shared)));
        // Its sender lives in `client`.
        let _ = opened.wait_for(|session| *session != 0).await;
        Ok(client)
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    /// The session in use, followed; 0 while there is none. When it changes, the ephemerals of the
    /// one before are gone or will be.
    pub fn session(&self) -> latest::Receiver<SessionId> {
        self.shared().session.subscribe()
    }

    /// The copy of the tree it reads.
    pub fn replica(&self) -> &Replica {
        &self.shared().replica
    }

    async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        let mut session = self.session();
        loop {
            if let Some(connection) = self.shared().current.lock().clone() {
                return Ok(connection);
            }
            // Only after a look at the current one, so that no change is missed.
            session.changed().await.map_err(|_| ClientError::Closed)?;
        }
    }

    async fn submit(&self, command: Command<'_>) -> Result<Written, ClientError> {
        let room = self.shared().room.clone().acquire_owned();
        let permit = room.await.map_err(|_| ClientError::Closed)?;
        let connection = self.connection().await?;
        let answer = connection.submit(&self.shared().replica, &command, Some(permit));
        // Not across the await: its lists are the caller's.
        drop(command);
        answer.ok_or(ClientError::Unknown)?.await.map_err(|_| ClientError::Unknown)?
    }

    /// Does one write.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn write(&self, write: Write<'_>) -> Result<Written, ClientError> {
        check_length(std::slice::from_ref(&write))?;
        self.submit(Command::Write(write)).await
    }

    /// Does all of several writes, or none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn multi(&self, writes: Vec<Write<'_>>) -> Result<Written, ClientError> {
        check_length(&writes)?;
        self.submit(Command::Multi(writes)).await
    }

    /// Waits until this node has everything that was done anywhere before the call.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn sync(&self) -> Result<(), ClientError> {
        self.submit(Command::Sync).await.map(|_| ())
    }

    /// Reads. The tree stands still meanwhile: keep it short.
    pub fn read<R>(&self, look: impl FnOnce(Tree<'_>) -> R) -> R {
        look(Tree::new(&self.shared().replica.read()))
    }

    /// Data and stat of a znode, if it is there.
    pub fn get(&self, path: &str) -> Option<(Vec<u8>, Stat)> {
        self.read(|tree| tree.get(path).map(|(data, stat)| (data.to_vec(), stat)))
    }

    /// Watches some paths, or with [`WatchKind::PersistentRecursive`] all below them too, until the
    /// answer is dropped. The other kinds fire once and are not for this.
    pub fn watch(&self, kind: WatchKind, paths: &[&str]) -> Watch {
        Watch::new(self.shared().replica.clone(), kind, paths)
    }

    /// Whether the session that owns an ephemeral was opened by an earlier process of this node and
    /// was not taken up again: nobody is there any more, though its timeout has not passed.
    pub fn is_left_behind(&self, owner: SessionId) -> bool {
        let replica = &self.shared().replica;
        let node = replica.settings().node.0 as i64;
        let machine = replica.read();
        let known = machine.sessions().get(&owner);
        (owner as u64 >> 56) as i64 == node & 0xff
            && known.is_some_and(|s| machine.origin_by_id(s.attachment.origin).is_none())
    }

    /// The node whose process a session is attached to; `None` if there is no such session, or the
    /// node has another process by now.
    pub fn node_of(&self, session: SessionId) -> Option<NodeId> {
        let machine = self.shared().replica.read();
        let origin = machine.sessions().get(&session)?.attachment.origin;
        machine.node_by_origin(origin).map(NodeId)
    }

    /// Ends the session: its ephemerals go at once.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn close(self) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        connection.closing();
        // First, so that no other session is opened in the place of this one.
        self.shared().room.close();
        self.shared().dropped.notify_one();
        let replica = &self.shared().replica;
        let answer = connection.submit(replica, &Command::CloseSession, None);
        answer.ok_or(ClientError::Unknown)?.await.map_err(|_| ClientError::Unknown)?.map(|_| ())
    }
}

/// What a write costs in the log besides path and data.
const OVERHEAD: usize = 64;

fn check_length(writes: &[Write<'_>]) -> Result<(), ClientError> {
    let total = writes.iter().map(writes::byte_len).sum();
    if total > MAX_BYTES { Err(ClientError::TooLong(total)) } else { Ok(()) }
}
