//! Sessions, as all nodes know them: who exists, with what timeout, and where it is attached.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::NodeIndex;

/// A session's number. The top byte names the node that made it; never 0 in use.
pub type SessionId = i64;

/// Which connection a session is attached to. Commands of any other are refused, so that a request
/// a client sent before it reconnected can never overtake one sent after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Incarnation of the node (see [`crate::machine::Machine::origin`]).
    pub origin: u64,
    /// Connection within it.
    pub connection: u64,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Silence after which it expires.
    pub timeout_ms: i32,
    /// What a client must show to re-attach.
    pub password: [u8; 16],
    /// Where it is attached.
    pub attachment: Attachment,
    /// Slots of its ephemerals.
    pub ephemerals: BTreeSet<NodeIndex>,
}

/// All sessions, in the order of their ids.
pub type Sessions = BTreeMap<SessionId, Session>;
