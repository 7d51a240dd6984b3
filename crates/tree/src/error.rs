//! Why an operation on the tree was refused.

/// A refused operation. The names are those of ZooKeeper's `KeeperException.Code`; the numbers
/// belong to the protocol and live in its crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TreeError {
    /// An operation of a multi that had succeeded and was taken back because a later one failed.
    #[error("rolled back because another operation of the transaction failed")]
    RolledBack,
    /// An operation of a multi that did not run because another one failed.
    #[error("not run because another operation of the transaction failed")]
    RuntimeInconsistency,
    /// The request cannot be carried out by this server.
    #[error("operation not implemented")]
    Unimplemented,
    /// A path, flag or list in the request is not allowed.
    #[error("invalid arguments")]
    BadArguments,
    /// No znode at the path.
    #[error("no znode at the path")]
    NoNode,
    /// The session lacks a permission.
    #[error("not permitted by the znode's ACL")]
    NoAuth,
    /// The expected version is not the znode's.
    #[error("version conflict")]
    BadVersion,
    /// The parent is ephemeral.
    #[error("ephemeral znodes may not have children")]
    NoChildrenForEphemerals,
    /// The path is taken.
    #[error("znode exists")]
    NodeExists,
    /// The znode has children.
    #[error("znode has children")]
    NotEmpty,
    /// The session ended.
    #[error("session expired")]
    SessionExpired,
    /// An ACL list is empty or names an unknown scheme or a malformed id.
    #[error("invalid ACL")]
    InvalidAcl,
    /// Authentication was refused.
    #[error("authentication failed")]
    AuthFailed,
    /// The session is owned by another connection.
    #[error("session moved to another server")]
    SessionMoved,
    /// A local session asked for an ephemeral znode and cannot be upgraded.
    #[error("local sessions cannot own ephemeral znodes")]
    EphemeralOnLocalSession,
    /// A write in read-only mode.
    #[error("server is read-only")]
    NotReadOnly,
    /// No such watch.
    #[error("no such watch")]
    NoWatcher,
    /// Reconfiguration is switched off.
    #[error("reconfiguration is disabled")]
    ReconfigDisabled,
    /// The configuration asked for is not acceptable, or its version is not the current one.
    #[error("bad membership configuration")]
    BadConfig,
    /// Another reconfiguration is running.
    #[error("a reconfiguration is in progress")]
    ReconfigInProgress,
    /// Too few of the new members are in sync.
    #[error("no quorum of the new configuration is in sync")]
    NewConfigNoQuorum,
    /// A hard quota would be exceeded.
    #[error("quota exceeded")]
    QuotaExceeded,
    /// The server sheds load.
    #[error("request throttled")]
    Throttled,
}
