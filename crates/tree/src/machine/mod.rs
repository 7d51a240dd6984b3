//! The deterministic machine: batches in, outcomes and events out. Every node that applies the same
//! log holds the same tree, sessions and origins.

// The order of a hash map differs from node to node.
#![deny(clippy::iter_over_hash_type)]

mod apply;
mod origin;
mod quota;
mod restore;
mod undo;
mod write;

use std::borrow::Cow;

pub use origin::{Fate, Origin, Origins};
pub use quota::{QuotaLimits, parse_limits};
pub(crate) use restore::Restoring;
pub use restore::{ABANDONED_AFTER_MS, MAX_RESTORE_BYTES, RestoreError, Restored};

use crate::access::AclTable;
use crate::session::{Session, SessionId, Sessions};
use crate::store::{NewNode, NodeIndex, Store, container_owner};
use crate::{Acl, EventKind, Id, Perms, Stat, TreeError};

/// When an entry of the log was proposed, by its leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The leader's term: the upper half of the zxids it gives.
    pub term: u64,
    /// The leader's wall clock, in milliseconds.
    pub time_ms: i64,
}

/// Something happened at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What.
    pub kind: EventKind,
    /// Where.
    pub path: &'a str,
    /// The transaction that did it.
    pub zxid: i64,
    /// Who may read the znode, and so may hear of it.
    pub acl: &'a [Acl],
}

/// What a successful command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A znode was created there.
    Created(Cow<'a, str>, Stat),
    /// Nothing to tell: deleted, checked, closed, reaped, configured.
    Done,
    /// The znode's new stat, after its data or ACL was set.
    Stat(Stat),
    /// The barrier was reached.
    Synced,
    /// A session is attached: its id, password and timeout in milliseconds.
    Attached(SessionId, [u8; 16], i32),
    /// Sessions that ended.
    Expired(Vec<SessionId>),
    /// The number of the node's new origin and the nonce it asked with.
    Origin(u64, u64),
    /// Everything was replaced.
    Restored(Restored),
    /// A step of a restore failed, and changed nothing but that the restore is over.
    NotRestored(RestoreError),
    /// One result for each write of a multi.
    Multi(Vec<Result<Outcome<'a>, TreeError>>),
}

/// Who is told, synchronously, while the machine is locked.
pub trait Sink {
    /// A change that a watch may be waiting for. Comes before the outcome of its command.
    fn event(&mut self, event: Event<'_>);
    /// The command of that number in the batch is done; `machine` is as it left it.
    fn outcome(
        &mut self,
        machine: &Machine,
        number: usize,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    );
    /// A session ended; its connection, if it is here, is to be closed after its last reply.
    fn session_closed(&mut self, session: SessionId);
    /// A znode went because its session ended.
    fn ephemeral_deleted(&mut self, _session: SessionId, _path: &str) {}
}

/// The replicated state.
#[derive(Debug)]
pub struct Machine {
    pub(crate) store: Store,
    pub(crate) acls: AclTable,
    pub(crate) sessions: Sessions,
    pub(crate) origins: Origins,
    pub(crate) last_zxid: i64,
    /// Of the newest batch applied.
    pub(crate) last_stamp: Stamp,
    pub(crate) quotas: quota::Quotas,
    /// Containers and znodes with a time to live.
    pub(crate) reapable: std::collections::BTreeSet<NodeIndex>,
    pub(crate) snapshot: Option<crate::snapshot::InProgress>,
    /// What a restore has collected so far.
    pub(crate) restoring: Option<Restoring>,
}

/// ZooKeeper's own znodes, which cannot be deleted.
pub const RESERVED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// A tree with the root and ZooKeeper's own znodes.
    pub fn new() -> Self {
        let mut acls = AclTable::default();
        let open = acls.intern(&Acl::open());
        // Anybody reads the membership; only the super user and those granted may change it.
        let config_acl = acls.intern(&[Acl { perms: Perms::READ, id: Id::anyone() }]);
        let mut store = Store::new(open);
        let mut reserved = |parent, name, acl, data| {
            let new = NewNode { name, data, acl, zxid: 0, time_ms: 0, owner: 0 };
            store.insert(parent, new)
        };
        let proc = reserved(NodeIndex::ROOT, "zookeeper", open, Some(&b""[..]));
        reserved(proc, "quota", open, Some(&b""[..]));
        reserved(proc, "config", config_acl, Some(&b""[..]));
        Self { store, acls, ..Self::without_nodes() }
    }

    pub(crate) fn without_nodes() -> Self {
        Self {
            store: Store::empty(),
            acls: AclTable::default(),
            sessions: Sessions::new(),
            origins: Origins::default(),
            last_zxid: 0,
            last_stamp: Stamp::default(),
            quotas: quota::Quotas::default(),
            reapable: std::collections::BTreeSet::new(),
            snapshot: None,
            restoring: None,
        }
    }

    /// The znodes.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The interned access control lists.
    pub fn acls(&self) -> &AclTable {
        &self.acls
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The newest transaction applied.
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// The newest origin of a node.
    pub fn origin(&self, node: u64) -> Option<Origin> {
        self.origins.get(node)
    }

    /// The origin of that number, if it is still its node's newest.
    pub fn origin_by_id(&self, id: u64) -> Option<Origin> {
        self.origins.by_id(id)
    }

    /// The node whose current incarnation this is.
    pub fn node_by_origin(&self, id: u64) -> Option<u64> {
        self.origins.iter().find(|(_, origin)| origin.id == id).map(|(node, _)| node)
    }

    /// Paths of a session's ephemerals that begin with `prefix`.
    pub fn ephemerals(&self, session: SessionId, prefix: &str) -> Vec<String> {
        let of = |session: &Session| {
            let paths = session.ephemerals.iter().map(|at| self.store.path(*at));
            paths.filter(|path| path.starts_with(prefix)).collect()
        };
        self.sessions.get(&session).map(of).unwrap_or_default()
    }

    /// Paths of containers that lost their last child, and of childless znodes whose time to live
    /// passed before `now_ms`; at most `limit`. `never_used_ms`: how long a container may wait for
    /// its first child; 0 for ever.
    pub fn due_for_reaping(&self, now_ms: i64, never_used_ms: i64, limit: usize) -> Vec<String> {
        let due = |at: &&NodeIndex| {
            let meta = self.store.meta(**at);
            if meta.owner == container_owner() && meta.creations == 0 {
                let (_, ctime) = self.store.created(**at);
                return never_used_ms > 0 && now_ms - ctime > never_used_ms;
            }
            self.is_due(**at, now_ms)
        };
        self.reapable.iter().filter(due).take(limit).map(|at| self.store.path(*at)).collect()
    }
}
