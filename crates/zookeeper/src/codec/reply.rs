//! Replies and notifications.

use bytes::BufMut;
use polyport_tree::{Acl, EventKind, Stat};
use polyport_wire::{Cursor, DecodeError};

use super::error_code::ErrorCode;
use super::jute::{self, Put};
use super::multi::{self, MultiResult};
use super::op::OpCode;

/// The first sixteen bytes of every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's, or one of the `XID_` constants.
    pub xid: i32,
    /// The newest transaction that this server had applied when it answered.
    pub zxid: i64,
    /// Success or why not.
    pub err: ErrorCode,
}

impl ReplyHeader {
    /// Reads the header; the body follows if `err` is success.
    ///
    /// # Errors
    /// If fewer than sixteen bytes are left.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: cursor.i32("reply xid")?,
            zxid: cursor.i64("reply zxid")?,
            err: ErrorCode(cursor.i32("reply error")?),
        })
    }

    /// Writes the header.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.xid);
        out.put_i64(self.zxid);
        out.put_i32(self.err.0);
    }
}

/// A reply's body, owned: for clients and for rare server replies. The server writes frequent ones
/// straight from the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Response {
    Empty,
    Path(String),
    PathStat(String, Stat),
    Stat(Stat),
    Data(Option<Vec<u8>>, Stat),
    Acl(Vec<Acl>, Stat),
    Children(Vec<String>),
    ChildrenStat(Vec<String>, Stat),
    Count(i32),
    Token(Vec<u8>),
    WhoAmI(Vec<(String, String)>),
    Multi(Vec<MultiResult>),
}

impl Response {
    /// Reads the body of a successful reply to `op`.
    ///
    /// # Errors
    /// If it is cut short or malformed.
    pub fn decode(op: OpCode, cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let string = |cursor: &mut Cursor<'_>| jute::ustring(cursor, "path").map(str::to_owned);
        let strings = |cursor: &mut Cursor<'_>| -> Result<Vec<String>, DecodeError> {
            Ok(jute::strings(cursor, "names")?.into_iter().map(str::to_owned).collect())
        };
        Ok(match op {
            OpCode::Create | OpCode::Sync => Self::Path(string(cursor)?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::PathStat(string(cursor)?, jute::stat(cursor)?)
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Self::Stat(jute::stat(cursor)?),
            OpCode::GetData | OpCode::Reconfig => {
                let data = jute::opt_buffer(cursor, "data")?.map(<[u8]>::to_vec);
                Self::Data(data, jute::stat(cursor)?)
            }
            OpCode::GetAcl => Self::Acl(jute::acl(cursor)?, jute::stat(cursor)?),
            OpCode::GetChildren | OpCode::GetEphemerals => Self::Children(strings(cursor)?),
            OpCode::GetChildren2 => Self::ChildrenStat(strings(cursor)?, jute::stat(cursor)?),
            OpCode::GetAllChildrenNumber => Self::Count(cursor.i32("number of children")?),
            OpCode::Sasl => Self::Token(jute::buffer(cursor, "sasl token")?.to_vec()),
            OpCode::WhoAmI => {
                let count = jute::count(cursor, 8, "identities")?;
                let pair = |cursor: &mut Cursor<'_>| {
                    let scheme = jute::ustring(cursor, "auth scheme")?.to_owned();
                    Ok((scheme, jute::ustring(cursor, "user")?.to_owned()))
                };
                Self::WhoAmI((0..count).map(|_| pair(cursor)).collect::<Result<_, _>>()?)
            }
            OpCode::Multi | OpCode::MultiRead => Self::Multi(multi::decode_results(cursor)?),
            _ => Self::Empty,
        })
    }

    /// Writes the body.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Empty => {}
            Self::Path(path) => out.put_ustring(path),
            Self::PathStat(path, stat) => {
                out.put_ustring(path);
                out.put_stat(stat);
            }
            Self::Stat(stat) => out.put_stat(stat),
            Self::Data(data, stat) => {
                out.put_opt_buffer(data.as_deref());
                out.put_stat(stat);
            }
            Self::Acl(acl, stat) => {
                out.put_acl(acl);
                out.put_stat(stat);
            }
            Self::Children(names) => out.put_strings(names),
            Self::ChildrenStat(names, stat) => {
                out.put_strings(names);
                out.put_stat(stat);
            }
            Self::Count(count) => out.put_i32(*count),
            Self::Token(token) => out.put_buffer(token),
            Self::WhoAmI(ids) => {
                out.put_i32(ids.len() as i32);
                for (scheme, user) in ids {
                    out.put_ustring(scheme);
                    out.put_ustring(user);
                }
            }
            Self::Multi(results) => multi::encode_results(results, out),
        }
    }
}

/// A watch notification, or a change of the session's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherEvent {
    /// What happened.
    pub kind: EventKind,
    /// `KeeperState` number; 3 is SyncConnected.
    pub state: i32,
    /// The znode, as the watch was set.
    pub path: String,
}

/// The number of an event kind on the wire: `Watcher.Event.EventType`.
pub fn event_number(kind: EventKind) -> i32 {
    match kind {
        EventKind::None => -1,
        EventKind::NodeCreated => 1,
        EventKind::NodeDeleted => 2,
        EventKind::NodeDataChanged => 3,
        EventKind::NodeChildrenChanged => 4,
        EventKind::DataWatchRemoved => 5,
        EventKind::ChildWatchRemoved => 6,
        EventKind::PersistentWatchRemoved => 7,
    }
}

impl WatcherEvent {
    /// Reads a notification's body.
    ///
    /// # Errors
    /// If it is cut short or its kind is unknown.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let at = cursor.position();
        let kind = match cursor.i32("event type")? {
            -1 => EventKind::None,
            1 => EventKind::NodeCreated,
            2 => EventKind::NodeDeleted,
            3 => EventKind::NodeDataChanged,
            4 => EventKind::NodeChildrenChanged,
            5 => EventKind::DataWatchRemoved,
            6 => EventKind::ChildWatchRemoved,
            7 => EventKind::PersistentWatchRemoved,
            _ => return Err(DecodeError { at, what: "unknown event type" }),
        };
        let state = cursor.i32("keeper state")?;
        Ok(Self { kind, state, path: jute::ustring(cursor, "path")?.to_owned() })
    }

    /// Writes a notification's body.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(event_number(self.kind));
        out.put_i32(self.state);
        out.put_ustring(&self.path);
    }
}
