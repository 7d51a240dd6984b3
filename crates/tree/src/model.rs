//! The data model: what a znode is seen as from outside.

use std::ops::{BitOr, BitOrAssign};

/// What is known of a znode besides its data; field for field ZooKeeper's `Stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Transaction that created the znode.
    pub czxid: i64,
    /// Transaction that last changed its data.
    pub mzxid: i64,
    /// Wall-clock milliseconds of its creation.
    pub ctime: i64,
    /// Wall-clock milliseconds of the last change of its data.
    pub mtime: i64,
    /// Number of changes of its data; wraps past -1.
    pub version: i32,
    /// Number of changes of its children (creations and deletions).
    pub cversion: i32,
    /// Number of changes of its ACL.
    pub aversion: i32,
    /// Session that owns an ephemeral znode, 0 for all others as clients see them.
    pub ephemeral_owner: i64,
    /// Bytes of data.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// Transaction that last added or removed a child.
    pub pzxid: i64,
}

/// A set of permissions (`cdrwa`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data and list children.
    pub const READ: Perms = Perms(1);
    /// Set data.
    pub const WRITE: Perms = Perms(2);
    /// Create children.
    pub const CREATE: Perms = Perms(4);
    /// Delete children.
    pub const DELETE: Perms = Perms(8);
    /// Set the ACL.
    pub const ADMIN: Perms = Perms(16);
    /// All of them.
    pub const ALL: Perms = Perms(31);

    /// Whether any permission of `other` is in this set.
    pub fn intersects(self, other: Perms) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Perms {
    type Output = Perms;
    fn bitor(self, other: Perms) -> Perms {
        Perms(self.0 | other.0)
    }
}

impl BitOrAssign for Perms {
    fn bitor_assign(&mut self, other: Perms) {
        self.0 |= other.0;
    }
}

/// Who: a scheme (`world`, `digest`, `ip`, `x509`, `sasl`, …) and a name within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Authentication scheme.
    pub scheme: String,
    /// Name within the scheme; its form is the scheme's.
    pub id: String,
}

impl Id {
    /// An id of `scheme` named `id`.
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }

    /// `world:anyone`, whom everybody is.
    pub fn anyone() -> Self {
        Self::new("world", "anyone")
    }
}

/// One line of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl {
    /// What is permitted.
    pub perms: Perms,
    /// To whom.
    pub id: Id,
}

impl Acl {
    /// `world:anyone:cdrwa`, ZooKeeper's `OPEN_ACL_UNSAFE`.
    pub fn open() -> Vec<Acl> {
        vec![Acl { perms: Perms::ALL, id: Id::anyone() }]
    }
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Is deleted with the session that created it.
    Ephemeral,
    /// Persistent, its name ended by the parent's creation counter.
    PersistentSequential,
    /// Ephemeral, its name ended by the parent's creation counter.
    EphemeralSequential,
    /// Deleted by the server some time after its last child is.
    Container,
    /// Deleted by the server when childless and unchanged for its time to live.
    PersistentWithTtl,
    /// The same, sequential.
    PersistentSequentialWithTtl,
}

impl CreateMode {
    /// The mode of a protocol flag (ZooKeeper's `CreateMode.fromFlag`), if it is one.
    pub fn from_flag(flag: i32) -> Option<Self> {
        Some(match flag {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentWithTtl,
            6 => Self::PersistentSequentialWithTtl,
            _ => return None,
        })
    }

    /// The protocol flag of the mode.
    pub fn flag(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl => 5,
            Self::PersistentSequentialWithTtl => 6,
        }
    }

    /// Whether the znode belongs to a session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the name is ended by a counter.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether a time to live is part of the request.
    pub fn has_ttl(self) -> bool {
        matches!(self, Self::PersistentWithTtl | Self::PersistentSequentialWithTtl)
    }
}

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Nothing about a znode: the session's state changed.
    None,
    /// A znode was created at the path.
    NodeCreated,
    /// The znode was deleted.
    NodeDeleted,
    /// Its data was set.
    NodeDataChanged,
    /// A child was created or deleted.
    NodeChildrenChanged,
    /// A data watch was removed.
    DataWatchRemoved,
    /// A child watch was removed.
    ChildWatchRemoved,
    /// A persistent watch was removed.
    PersistentWatchRemoved,
}
