//! What one entry of the log holds: a batch of commands of one node's clients.
//!
//! ```text
//! batch      := version:u8 origin:u64 sequence:u64 submitters:u16 submitter* command*
//! submitter  := session:i64 connection:u64 flags:u8 identities:u8 (string string)*
//! command    := submitter:u16 kind:u8 body
//! string     := length:u32 bytes
//! ```
//! A node numbers its batches; [`crate::machine`] applies each exactly once and in order, whatever
//! was sent again to whichever leader.

mod restore;

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};

pub use restore::Restore;

use crate::access::Identities;
use crate::session::{Attachment, SessionId};
use crate::{Acl, CreateMode, Id, Perms};

const VERSION: u8 = 1;

/// Who sent a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitter<'a> {
    /// The session; 0 while it is being made, and for the server's own commands.
    pub session: SessionId,
    /// Connection within the batch's origin.
    pub connection: u64,
    /// The identities it has proved.
    pub who: Identities<'a>,
    /// Whether hard quotas bind it.
    pub enforce_quota: bool,
}

/// A change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// Adds a znode.
    Create {
        /// Path, or its prefix if sequential.
        path: &'a str,
        /// Data; null is not empty.
        data: Option<&'a [u8]>,
        /// Access control list, already resolved (no `auth` scheme left).
        acl: Vec<Acl>,
        /// Kind of znode.
        mode: CreateMode,
        /// Time to live in milliseconds, where the mode has one.
        ttl_ms: i64,
    },
    /// Removes a childless znode.
    Delete {
        /// Which.
        path: &'a str,
        /// Version it must have; -1 for any.
        version: i32,
    },
    /// Replaces a znode's data.
    SetData {
        /// Which.
        path: &'a str,
        /// New data.
        data: Option<&'a [u8]>,
        /// Version it must have; -1 for any.
        version: i32,
    },
    /// Replaces a znode's access control list.
    SetAcl {
        /// Which.
        path: &'a str,
        /// New list, already resolved.
        acl: Vec<Acl>,
        /// ACL version it must have; -1 for any.
        version: i32,
    },
    /// Changes nothing; fails if the version differs.
    Check {
        /// Which.
        path: &'a str,
        /// Version it must have; -1 for any.
        version: i32,
    },
}

/// One command of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// One write.
    Write(Write<'a>),
    /// All or none of several.
    Multi(Vec<Write<'a>>),
    /// Changes nothing: its place in the log is the barrier.
    Sync,
    /// Makes a session attached to the submitter's connection.
    CreateSession {
        /// Its timeout.
        timeout_ms: i32,
        /// Its password, random, chosen by the node the client came to.
        password: [u8; 16],
    },
    /// Moves a session to the submitter's connection.
    Attach {
        /// Which.
        session: SessionId,
        /// Its password.
        password: &'a [u8],
        /// The timeout negotiated anew.
        timeout_ms: i32,
    },
    /// Ends the submitter's session.
    CloseSession,
    /// Ends sessions that were silent too long.
    Expire {
        /// In which term the leader found so. In a later one, after its proposal was lost and sent
        /// again, it says nothing: they may have been heard of since.
        term: u64,
        /// Who.
        sessions: Vec<SessionId>,
    },
    /// A node begins to send batches; its number is the answer.
    OpenOrigin {
        /// The node.
        node: u64,
        /// Its random token, by which it knows the answer as its own.
        nonce: u64,
    },
    /// Deletes a container or a znode past its time to live if that is still due.
    Reap {
        /// Which.
        path: &'a str,
    },
    /// A step of replacing everything.
    Restore(Restore<'a>),
}

mod kind {
    pub const CREATE: u8 = 1;
    pub const DELETE: u8 = 2;
    pub const SET_DATA: u8 = 3;
    pub const SET_ACL: u8 = 4;
    pub const CHECK: u8 = 5;
    pub const MULTI: u8 = 6;
    pub const SYNC: u8 = 7;
    pub const CREATE_SESSION: u8 = 8;
    pub const ATTACH: u8 = 9;
    pub const CLOSE_SESSION: u8 = 10;
    pub const EXPIRE: u8 = 11;
    pub const OPEN_ORIGIN: u8 = 12;
    pub const REAP: u8 = 13;
    pub const RESTORE_BEGIN: u8 = 14;
    pub const RESTORE_PIECE: u8 = 15;
    pub const RESTORE_END: u8 = 16;
    pub const RESTORE_CANCEL: u8 = 17;
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn put_opt_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.put_u8(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

/// Writes a list; the open list, nearly every list there is, is one byte.
pub(crate) fn put_acl(out: &mut Vec<u8>, acl: &[Acl]) {
    if let [only] = acl
        && only.perms == Perms::ALL
        && only.id.scheme == "world"
        && only.id.id == "anyone"
    {
        return out.put_u8(u8::MAX);
    }
    out.put_u8(acl.len().min(MAX_ACL) as u8);
    for entry in acl.iter().take(MAX_ACL) {
        out.put_i32(entry.perms.0);
        put_bytes(out, entry.id.scheme.as_bytes());
        put_bytes(out, entry.id.id.as_bytes());
    }
}

/// Most entries a list may have.
pub const MAX_ACL: usize = 254;

fn bytes<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], DecodeError> {
    let len = cursor.u32(what)?;
    cursor.take(len as usize, what)
}

fn string<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a str, DecodeError> {
    let at = cursor.position();
    std::str::from_utf8(bytes(cursor, what)?).map_err(|_| DecodeError { at, what })
}

fn opt_bytes<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    match cursor.u8("data")? {
        0 => Ok(None),
        _ => bytes(cursor, "data").map(Some),
    }
}

pub(crate) fn get_acl(cursor: &mut Cursor<'_>) -> Result<Vec<Acl>, DecodeError> {
    match cursor.u8("acl")? {
        u8::MAX => Ok(Acl::open()),
        count => (0..count)
            .map(|_| {
                let perms = Perms(cursor.i32("acl permissions")?);
                let scheme = string(cursor, "acl scheme")?;
                Ok(Acl { perms, id: Id::new(scheme, string(cursor, "acl id")?) })
            })
            .collect(),
    }
}

impl<'a> Write<'a> {
    /// The path it names.
    pub fn path(&self) -> &'a str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::SetAcl { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create { path, data, acl, mode, ttl_ms } => {
                out.put_u8(kind::CREATE);
                put_bytes(out, path.as_bytes());
                put_opt_bytes(out, *data);
                put_acl(out, acl);
                out.put_u8(mode.flag() as u8);
                if mode.has_ttl() {
                    out.put_i64(*ttl_ms);
                }
            }
            Self::Delete { path, version } => {
                out.put_u8(kind::DELETE);
                put_bytes(out, path.as_bytes());
                out.put_i32(*version);
            }
            Self::SetData { path, data, version } => {
                out.put_u8(kind::SET_DATA);
                put_bytes(out, path.as_bytes());
                put_opt_bytes(out, *data);
                out.put_i32(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.put_u8(kind::SET_ACL);
                put_bytes(out, path.as_bytes());
                put_acl(out, acl);
                out.put_i32(*version);
            }
            Self::Check { path, version } => {
                out.put_u8(kind::CHECK);
                put_bytes(out, path.as_bytes());
                out.put_i32(*version);
            }
        }
    }

    fn decode(tag: u8, cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let path = string(cursor, "path")?;
        let version = |cursor: &mut Cursor<'a>| cursor.i32("expected version");
        Ok(match tag {
            kind::CREATE => {
                let data = opt_bytes(cursor)?;
                let acl = get_acl(cursor)?;
                let at = cursor.position();
                let mode = CreateMode::from_flag(i32::from(cursor.u8("create mode")?))
                    .ok_or(DecodeError { at, what: "create mode" })?;
                let ttl_ms = if mode.has_ttl() { cursor.i64("time to live")? } else { 0 };
                Self::Create { path, data, acl, mode, ttl_ms }
            }
            kind::DELETE => Self::Delete { path, version: version(cursor)? },
            kind::SET_DATA => {
                Self::SetData { path, data: opt_bytes(cursor)?, version: version(cursor)? }
            }
            kind::SET_ACL => {
                Self::SetAcl { path, acl: get_acl(cursor)?, version: version(cursor)? }
            }
            kind::CHECK => Self::Check { path, version: version(cursor)? },
            _ => return Err(cursor.error("unknown kind of command")),
        })
    }
}

impl<'a> Command<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Write(write) => write.encode(out),
            Self::Multi(writes) => {
                out.put_u8(kind::MULTI);
                out.put_u32(writes.len() as u32);
                for write in writes {
                    write.encode(out);
                }
            }
            Self::Sync => out.put_u8(kind::SYNC),
            Self::CreateSession { timeout_ms, password } => {
                out.put_u8(kind::CREATE_SESSION);
                out.put_i32(*timeout_ms);
                out.put_slice(password);
            }
            Self::Attach { session, password, timeout_ms } => {
                out.put_u8(kind::ATTACH);
                out.put_i64(*session);
                put_bytes(out, password);
                out.put_i32(*timeout_ms);
            }
            Self::CloseSession => out.put_u8(kind::CLOSE_SESSION),
            Self::Expire { term, sessions } => {
                out.put_u8(kind::EXPIRE);
                out.put_u64(*term);
                out.put_u32(sessions.len() as u32);
                for session in sessions {
                    out.put_i64(*session);
                }
            }
            Self::OpenOrigin { node, nonce } => {
                out.put_u8(kind::OPEN_ORIGIN);
                out.put_u64(*node);
                out.put_u64(*nonce);
            }
            Self::Reap { path } => {
                out.put_u8(kind::REAP);
                put_bytes(out, path.as_bytes());
            }
            Self::Restore(step) => step.encode(out),
        }
    }

    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        Ok(match cursor.u8("kind of command")? {
            kind::MULTI => {
                let count = cursor.u32("writes of a multi")?;
                let mut writes = Vec::new();
                for _ in 0..count {
                    let tag = cursor.u8("kind of command")?;
                    writes.push(Write::decode(tag, cursor)?);
                }
                Self::Multi(writes)
            }
            kind::SYNC => Self::Sync,
            kind::CREATE_SESSION => {
                let timeout_ms = cursor.i32("session timeout")?;
                let mut password = [0; 16];
                password.copy_from_slice(cursor.take(16, "session password")?);
                Self::CreateSession { timeout_ms, password }
            }
            kind::ATTACH => Self::Attach {
                session: cursor.i64("session id")?,
                password: bytes(cursor, "session password")?,
                timeout_ms: cursor.i32("session timeout")?,
            },
            kind::CLOSE_SESSION => Self::CloseSession,
            kind::EXPIRE => {
                let term = cursor.u64("term of an expiry")?;
                let count = cursor.u32("expired sessions")?;
                let mut sessions = Vec::new();
                for _ in 0..count {
                    sessions.push(cursor.i64("expired sessions")?);
                }
                Self::Expire { term, sessions }
            }
            kind::OPEN_ORIGIN => {
                Self::OpenOrigin { node: cursor.u64("node")?, nonce: cursor.u64("nonce")? }
            }
            kind::REAP => Self::Reap { path: string(cursor, "path")? },
            tag => match Restore::decode(tag, cursor)? {
                Some(step) => Self::Restore(step),
                None => Self::Write(Write::decode(tag, cursor)?),
            },
        })
    }
}

/// Collects commands into a batch. Reused from batch to batch.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    submitters: Vec<u8>,
    submitter_count: u16,
    commands: Vec<u8>,
    command_count: usize,
}

impl BatchBuilder {
    /// Adds a submitter; the answer names it in [`BatchBuilder::push`].
    pub fn submitter(&mut self, submitter: &Submitter<'_>) -> u16 {
        let out = &mut self.submitters;
        out.put_i64(submitter.session);
        out.put_u64(submitter.connection);
        out.put_u8(u8::from(submitter.who.bypass) | u8::from(submitter.enforce_quota) << 1);
        let ids = &submitter.who.ids[..submitter.who.ids.len().min(usize::from(u8::MAX))];
        out.put_u8(ids.len() as u8);
        for (scheme, id) in ids {
            put_bytes(out, scheme.as_bytes());
            put_bytes(out, id.as_bytes());
        }
        self.submitter_count += 1;
        self.submitter_count - 1
    }

    /// Whether another submitter fits.
    pub fn has_room(&self) -> bool {
        self.submitter_count < u16::MAX
    }

    /// Adds a command.
    pub fn push(&mut self, submitter: u16, command: &Command<'_>) {
        self.commands.put_u16(submitter);
        command.encode(&mut self.commands);
        self.command_count += 1;
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.command_count
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.command_count == 0
    }

    /// Bytes of commands so far.
    pub fn byte_len(&self) -> usize {
        self.commands.len() + self.submitters.len()
    }

    /// The batch; the builder is empty afterwards.
    pub fn finish(&mut self, origin: u64, sequence: u64) -> Vec<u8> {
        let mut batch = Vec::with_capacity(19 + self.byte_len());
        batch.put_u8(VERSION);
        batch.put_u64(origin);
        batch.put_u64(sequence);
        batch.put_u16(self.submitter_count);
        batch.put_slice(&self.submitters);
        batch.put_slice(&self.commands);
        self.submitters.clear();
        self.submitter_count = 0;
        self.commands.clear();
        self.command_count = 0;
        batch
    }
}

/// A batch being read.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Incarnation of the node that sent it; 0 for [`Command::OpenOrigin`].
    pub origin: u64,
    /// Its number among that origin's batches, from 0.
    pub sequence: u64,
    /// Who sent the commands.
    pub submitters: Vec<Submitter<'a>>,
    cursor: Cursor<'a>,
}

impl<'a> Batch<'a> {
    /// Reads the head; the commands follow one by one.
    ///
    /// # Errors
    /// If it is cut short or of another version.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8("batch version")? != VERSION {
            return Err(DecodeError { at: 0, what: "batch version" });
        }
        let origin = cursor.u64("batch origin")?;
        let sequence = cursor.u64("batch sequence")?;
        let count = cursor.u16("submitters")?;
        let mut submitters = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let session = cursor.i64("submitter session")?;
            let connection = cursor.u64("submitter connection")?;
            let flags = cursor.u8("submitter flags")?;
            let mut who = Identities { ids: Vec::new(), bypass: flags & 1 != 0 };
            for _ in 0..cursor.u8("submitter identities")? {
                let scheme = string(&mut cursor, "identity scheme")?;
                who.ids.push((scheme, string(&mut cursor, "identity")?));
            }
            submitters.push(Submitter { session, connection, who, enforce_quota: flags & 2 != 0 });
        }
        Ok(Self { origin, sequence, submitters, cursor })
    }

    /// The next command and the number of its submitter.
    ///
    /// # Errors
    /// If it is malformed or names no submitter.
    pub fn next_command(&mut self) -> Result<Option<(usize, Command<'a>)>, DecodeError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let at = self.cursor.position();
        let submitter = usize::from(self.cursor.u16("submitter")?);
        if submitter >= self.submitters.len() {
            return Err(DecodeError { at, what: "submitter" });
        }
        Ok(Some((submitter, Command::decode(&mut self.cursor)?)))
    }

    /// The attachment that a submitter's session must have.
    pub fn attachment(&self, submitter: usize) -> Attachment {
        Attachment { origin: self.origin, connection: self.submitters[submitter].connection }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_as_written() {
        let submitter = Submitter {
            session: 7,
            connection: 3,
            who: Identities { ids: vec![("ip", "127.0.0.1"), ("digest", "u:h")], bypass: false },
            enforce_quota: true,
        };
        let acl = vec![Acl { perms: Perms::READ, id: Id::new("sasl", "bob") }];
        let create = |acl: Vec<Acl>| Write::Create {
            path: "/a",
            data: Some(b"x"),
            acl,
            mode: CreateMode::PersistentWithTtl,
            ttl_ms: 99,
        };
        let commands = [
            Command::Write(create(Acl::open())),
            Command::Write(Write::SetData { path: "/a", data: None, version: -1 }),
            Command::Multi(vec![
                create(acl.clone()),
                Write::Check { path: "/b", version: 2 },
                Write::SetAcl { path: "/a", acl, version: 1 },
                Write::Delete { path: "/a", version: 0 },
            ]),
            Command::Sync,
            Command::CreateSession { timeout_ms: 1, password: [9; 16] },
            Command::Attach { session: 7, password: b"pw", timeout_ms: 3 },
            Command::CloseSession,
            Command::Expire { term: 3, sessions: vec![1, 2] },
            Command::OpenOrigin { node: 1, nonce: 2 },
            Command::Reap { path: "/c" },
            Command::Restore(Restore::Begin { id: 7 }),
            Command::Restore(Restore::Piece { id: 7, number: 1, bytes: b"bytes" }),
            Command::Restore(Restore::End { id: 7, len: 5 }),
            Command::Restore(Restore::Cancel { id: 7 }),
        ];
        let mut builder = BatchBuilder::default();
        let number = builder.submitter(&submitter);
        for command in &commands {
            builder.push(number, command);
        }
        let bytes = builder.finish(5, 6);
        assert!(builder.is_empty());
        let mut batch = Batch::decode(&bytes).unwrap();
        assert_eq!((batch.origin, batch.sequence), (5, 6));
        assert_eq!(batch.submitters, [submitter]);
        for command in &commands {
            assert_eq!(batch.next_command().unwrap(), Some((0, command.clone())));
        }
        assert_eq!(batch.next_command().unwrap(), None);
        for cut in 0..bytes.len() {
            if let Ok(mut batch) = Batch::decode(&bytes[..cut]) {
                while let Ok(Some(_)) = batch.next_command() {}
            }
        }
    }
}
