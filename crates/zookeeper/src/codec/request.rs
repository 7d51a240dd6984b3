//! Requests after the handshake.

use bytes::BufMut;
use polyport_tree::Acl;
use polyport_wire::{Cursor, DecodeError};

use super::jute::{self, Put};
use super::multi::{self, MultiOp, MultiReadOp};
use super::op::OpCode;

/// The first eight bytes of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number of the request, echoed in the reply.
    pub xid: i32,
    /// Operation code, known or not.
    pub op: i32,
}

impl RequestHeader {
    /// Reads the header; the body follows.
    ///
    /// # Errors
    /// If fewer than eight bytes are left.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: cursor.i32("request xid")?, op: cursor.i32("operation code")? })
    }

    /// Writes the header.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.xid);
        out.put_i32(self.op);
    }
}

/// The watch lists a reconnecting client wants re-armed (setWatches and setWatches2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchLists<'a> {
    /// The last zxid the client saw: what changed after it fires at once.
    pub relative_zxid: i64,
    /// Watches set by getData, and by exists on a znode that was there.
    pub data: Vec<&'a str>,
    /// Watches set by exists on a znode that was not there.
    pub exist: Vec<&'a str>,
    /// Watches set by getChildren.
    pub child: Vec<&'a str>,
    /// Persistent watches (setWatches2 only).
    pub persistent: Vec<&'a str>,
    /// Persistent recursive watches (setWatches2 only).
    pub persistent_recursive: Vec<&'a str>,
}

/// A create in any of its four opcodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// Which opcode: [`OpCode::Create`], `Create2`, `CreateContainer` or `CreateTtl`.
    pub op: OpCode,
    /// Path asked for (the prefix, if sequential).
    pub path: &'a str,
    /// Initial data; null is not the same as empty.
    pub data: Option<&'a [u8]>,
    /// Access control list.
    pub acl: Vec<Acl>,
    /// `CreateMode` flag, unchecked.
    pub flags: i32,
    /// Time to live in milliseconds; sent with `CreateTtl` only.
    pub ttl_ms: i64,
}

impl<'a> Create<'a> {
    pub(super) fn decode(op: OpCode, cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: jute::ustring(cursor, "path")?,
            data: jute::opt_buffer(cursor, "data")?,
            acl: jute::acl(cursor)?,
            flags: cursor.i32("create flags")?,
            ttl_ms: match op {
                OpCode::CreateTtl => cursor.i64("time to live")?,
                _ => 0,
            },
        })
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_ustring(self.path);
        out.put_opt_buffer(self.data);
        out.put_acl(&self.acl);
        out.put_i32(self.flags);
        if self.op == OpCode::CreateTtl {
            out.put_i64(self.ttl_ms);
        }
    }
}

/// A request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Request<'a> {
    Create(Create<'a>),
    Delete {
        path: &'a str,
        version: i32,
    },
    DeleteContainer {
        path: &'a str,
    },
    Exists {
        path: &'a str,
        watch: bool,
    },
    GetData {
        path: &'a str,
        watch: bool,
    },
    SetData {
        path: &'a str,
        data: Option<&'a [u8]>,
        version: i32,
    },
    GetAcl {
        path: &'a str,
    },
    SetAcl {
        path: &'a str,
        acl: Vec<Acl>,
        version: i32,
    },
    GetChildren {
        path: &'a str,
        watch: bool,
    },
    GetChildren2 {
        path: &'a str,
        watch: bool,
    },
    GetAllChildrenNumber {
        path: &'a str,
    },
    GetEphemerals {
        prefix: &'a str,
    },
    Sync {
        path: &'a str,
    },
    Check {
        path: &'a str,
        version: i32,
    },
    Multi(Vec<MultiOp<'a>>),
    MultiRead(Vec<MultiReadOp<'a>>),
    Reconfig {
        joining: Option<&'a str>,
        leaving: Option<&'a str>,
        new_members: Option<&'a str>,
        version: i64,
    },
    CheckWatches {
        path: &'a str,
        kind: i32,
    },
    RemoveWatches {
        path: &'a str,
        kind: i32,
    },
    SetWatches(WatchLists<'a>),
    SetWatches2(WatchLists<'a>),
    AddWatch {
        path: &'a str,
        mode: i32,
    },
    Auth {
        scheme: &'a str,
        /// Null is not empty.
        auth: Option<&'a [u8]>,
    },
    Sasl {
        token: &'a [u8],
    },
    WhoAmI,
    Ping,
    CloseSession,
}

/// A nullable string.
fn opt_ustring<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
) -> Result<Option<&'a str>, DecodeError> {
    let at = cursor.position();
    jute::opt_buffer(cursor, what)?
        .map(|bytes| std::str::from_utf8(bytes).map_err(|_| DecodeError { at, what }))
        .transpose()
}

impl<'a> Request<'a> {
    /// Reads the body that follows the header of an operation.
    ///
    /// # Errors
    /// If it is cut short, malformed, or `op` is not one that clients send.
    pub fn decode(op: OpCode, cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        const PATH: &str = "path";
        const WATCH: &str = "watch flag";
        const VERSION: &str = "expected version";
        let path = |cursor: &mut Cursor<'a>| jute::ustring(cursor, PATH);
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(Create::decode(op, cursor)?)
            }
            OpCode::Delete => Self::Delete { path: path(cursor)?, version: cursor.i32(VERSION)? },
            OpCode::DeleteContainer => Self::DeleteContainer { path: path(cursor)? },
            OpCode::Exists => {
                Self::Exists { path: path(cursor)?, watch: jute::boolean(cursor, WATCH)? }
            }
            OpCode::GetData => {
                Self::GetData { path: path(cursor)?, watch: jute::boolean(cursor, WATCH)? }
            }
            OpCode::SetData => Self::SetData {
                path: path(cursor)?,
                data: jute::opt_buffer(cursor, "data")?,
                version: cursor.i32(VERSION)?,
            },
            OpCode::GetAcl => Self::GetAcl { path: path(cursor)? },
            OpCode::SetAcl => Self::SetAcl {
                path: path(cursor)?,
                acl: jute::acl(cursor)?,
                version: cursor.i32(VERSION)?,
            },
            OpCode::GetChildren => {
                Self::GetChildren { path: path(cursor)?, watch: jute::boolean(cursor, WATCH)? }
            }
            OpCode::GetChildren2 => {
                Self::GetChildren2 { path: path(cursor)?, watch: jute::boolean(cursor, WATCH)? }
            }
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber { path: path(cursor)? },
            OpCode::GetEphemerals => Self::GetEphemerals { prefix: path(cursor)? },
            OpCode::Sync => Self::Sync { path: path(cursor)? },
            OpCode::Check => Self::Check { path: path(cursor)?, version: cursor.i32(VERSION)? },
            OpCode::Multi => Self::Multi(multi::decode(cursor)?),
            OpCode::MultiRead => Self::MultiRead(multi::decode_read(cursor)?),
            OpCode::Reconfig => Self::Reconfig {
                joining: opt_ustring(cursor, "joining servers")?,
                leaving: opt_ustring(cursor, "leaving servers")?,
                new_members: opt_ustring(cursor, "new members")?,
                version: cursor.i64("configuration version")?,
            },
            OpCode::CheckWatches => {
                Self::CheckWatches { path: path(cursor)?, kind: cursor.i32("watcher type")? }
            }
            OpCode::RemoveWatches => {
                Self::RemoveWatches { path: path(cursor)?, kind: cursor.i32("watcher type")? }
            }
            OpCode::SetWatches => Self::SetWatches(WatchLists {
                relative_zxid: cursor.i64("relative zxid")?,
                data: jute::strings(cursor, "data watches")?,
                exist: jute::strings(cursor, "exist watches")?,
                child: jute::strings(cursor, "child watches")?,
                ..WatchLists::default()
            }),
            OpCode::SetWatches2 => Self::SetWatches2(WatchLists {
                relative_zxid: cursor.i64("relative zxid")?,
                data: jute::strings(cursor, "data watches")?,
                exist: jute::strings(cursor, "exist watches")?,
                child: jute::strings(cursor, "child watches")?,
                persistent: jute::strings(cursor, "persistent watches")?,
                persistent_recursive: jute::strings(cursor, "persistent recursive watches")?,
            }),
            OpCode::AddWatch => {
                Self::AddWatch { path: path(cursor)?, mode: cursor.i32("watch mode")? }
            }
            OpCode::Auth => {
                cursor.i32("auth type")?;
                Self::Auth {
                    scheme: jute::ustring(cursor, "auth scheme")?,
                    auth: jute::opt_buffer(cursor, "auth data")?,
                }
            }
            OpCode::Sasl => Self::Sasl { token: jute::buffer(cursor, "sasl token")? },
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::Ping => Self::Ping,
            OpCode::CloseSession => Self::CloseSession,
            OpCode::CreateSession => {
                return Err(cursor.error("operation that clients may not send"));
            }
        })
    }

    /// The operation code.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::DeleteContainer { .. } => OpCode::DeleteContainer,
            Self::Exists { .. } => OpCode::Exists,
            Self::GetData { .. } => OpCode::GetData,
            Self::SetData { .. } => OpCode::SetData,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::GetChildren { .. } => OpCode::GetChildren,
            Self::GetChildren2 { .. } => OpCode::GetChildren2,
            Self::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Self::GetEphemerals { .. } => OpCode::GetEphemerals,
            Self::Sync { .. } => OpCode::Sync,
            Self::Check { .. } => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::CheckWatches { .. } => OpCode::CheckWatches,
            Self::RemoveWatches { .. } => OpCode::RemoveWatches,
            Self::SetWatches(_) => OpCode::SetWatches,
            Self::SetWatches2(_) => OpCode::SetWatches2,
            Self::AddWatch { .. } => OpCode::AddWatch,
            Self::Auth { .. } => OpCode::Auth,
            Self::Sasl { .. } => OpCode::Sasl,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::Ping => OpCode::Ping,
            Self::CloseSession => OpCode::CloseSession,
        }
    }

    /// Writes the body, without header and frame length.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Create(create) => create.encode(out),
            Self::Delete { path, version } | Self::Check { path, version } => {
                out.put_ustring(path);
                out.put_i32(*version);
            }
            Self::DeleteContainer { path }
            | Self::GetAcl { path }
            | Self::GetAllChildrenNumber { path }
            | Self::GetEphemerals { prefix: path }
            | Self::Sync { path } => out.put_ustring(path),
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => {
                out.put_ustring(path);
                out.put_bool(*watch);
            }
            Self::SetData { path, data, version } => {
                out.put_ustring(path);
                out.put_opt_buffer(*data);
                out.put_i32(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.put_ustring(path);
                out.put_acl(acl);
                out.put_i32(*version);
            }
            Self::Multi(ops) => multi::encode(ops, out),
            Self::MultiRead(ops) => multi::encode_read(ops, out),
            Self::Reconfig { joining, leaving, new_members, version } => {
                for list in [joining, leaving, new_members] {
                    out.put_opt_buffer(list.map(str::as_bytes));
                }
                out.put_i64(*version);
            }
            Self::CheckWatches { path, kind } | Self::RemoveWatches { path, kind } => {
                out.put_ustring(path);
                out.put_i32(*kind);
            }
            Self::SetWatches(lists) | Self::SetWatches2(lists) => {
                out.put_i64(lists.relative_zxid);
                out.put_strings(&lists.data);
                out.put_strings(&lists.exist);
                out.put_strings(&lists.child);
                if matches!(self, Self::SetWatches2(_)) {
                    out.put_strings(&lists.persistent);
                    out.put_strings(&lists.persistent_recursive);
                }
            }
            Self::AddWatch { path, mode } => {
                out.put_ustring(path);
                out.put_i32(*mode);
            }
            Self::Auth { scheme, auth } => {
                out.put_i32(0);
                out.put_ustring(scheme);
                out.put_opt_buffer(*auth);
            }
            Self::Sasl { token } => out.put_buffer(token),
            Self::WhoAmI | Self::Ping | Self::CloseSession => {}
        }
    }

    /// Appends a whole frame: length, header, body.
    pub fn encode_frame(&self, xid: i32, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_i32(0);
        RequestHeader { xid, op: self.op().into() }.encode(out);
        self.encode(out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
