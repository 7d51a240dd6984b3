//! Logged transactions: `TxnHeader`, the record of its type, and since 3.6 a digest.

use polyport_tree::Acl;
use polyport_wire::{Cursor, DecodeError};

use crate::codec::jute;

/// Whose, when and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub session: i64,
    pub zxid: i64,
    pub time_ms: i64,
}

/// What a created znode is, as the stored owner says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Session,
    Container,
    Ttl(i64),
}

/// A change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Create {
        path: &'a str,
        data: Option<&'a [u8]>,
        acl: Vec<Acl>,
        owner: Owner,
        parent_cversion: i32,
        /// Only the oldest form of create repairs its parent when the znode exists already.
        repairs_parent: bool,
    },
    Delete {
        path: &'a str,
    },
    SetData {
        path: &'a str,
        data: Option<&'a [u8]>,
        version: i32,
    },
    SetAcl {
        path: &'a str,
        acl: Vec<Acl>,
        version: i32,
    },
    CreateSession {
        timeout_ms: i32,
    },
    CloseSession {
        paths: Vec<&'a str>,
    },
    Multi(Vec<Change<'a>>),
    /// A failed request, or a check of a version.
    Nothing,
}

mod op {
    pub(super) const CREATE: i32 = 1;
    pub(super) const DELETE: i32 = 2;
    pub(super) const SET_DATA: i32 = 5;
    pub(super) const SET_ACL: i32 = 7;
    pub(super) const CHECK: i32 = 13;
    pub(super) const MULTI: i32 = 14;
    pub(super) const CREATE2: i32 = 15;
    pub(super) const RECONFIG: i32 = 16;
    pub(super) const CREATE_CONTAINER: i32 = 19;
    pub(super) const DELETE_CONTAINER: i32 = 20;
    pub(super) const CREATE_TTL: i32 = 21;
    pub(super) const ERROR: i32 = -1;
    pub(super) const CREATE_SESSION: i32 = -10;
    pub(super) const CLOSE_SESSION: i32 = -11;
}

/// Bytes of a digest after a record: version and value.
const DIGEST: usize = 4 + 8;

pub(super) fn decode(record: &[u8]) -> Result<(Header, Change<'_>), DecodeError> {
    let mut cursor = Cursor::new(record);
    let session = cursor.i64("session")?;
    let _cxid = cursor.i32("cxid")?;
    let header = Header { session, zxid: cursor.i64("zxid")?, time_ms: cursor.i64("time")? };
    let at = cursor.position();
    let change = match cursor.i32("type")? {
        op::CREATE_SESSION => Change::CreateSession { timeout_ms: cursor.i32("timeout")? },
        op::CLOSE_SESSION => Change::CloseSession { paths: closed_paths(&cursor) },
        op::MULTI => multi(&mut cursor)?,
        kind => match single(kind, &mut cursor)? {
            Some(change) => change,
            None => return Err(DecodeError { at, what: "unknown transaction type" }),
        },
    };
    Ok((header, change))
}

fn single<'a>(kind: i32, cursor: &mut Cursor<'a>) -> Result<Option<Change<'a>>, DecodeError> {
    Ok(Some(match kind {
        op::CREATE | op::CREATE2 => {
            let (path, data, acl) = created(cursor)?;
            let ephemeral = jute::boolean(cursor, "ephemeral flag")?;
            let owner = if ephemeral { Owner::Session } else { Owner::Nobody };
            // Before 3.4 the record ended here; -1 makes the parent count by itself.
            let parent_cversion =
                if cursor.is_empty() { -1 } else { cursor.i32("parent's cversion")? };
            let repairs_parent = kind == op::CREATE;
            Change::Create { path, data, acl, owner, parent_cversion, repairs_parent }
        }
        op::CREATE_CONTAINER => {
            let (path, data, acl) = created(cursor)?;
            let parent_cversion = cursor.i32("parent's cversion")?;
            let owner = Owner::Container;
            Change::Create { path, data, acl, owner, parent_cversion, repairs_parent: false }
        }
        op::CREATE_TTL => {
            let (path, data, acl) = created(cursor)?;
            let parent_cversion = cursor.i32("parent's cversion")?;
            let owner = Owner::Ttl(cursor.i64("time to live")?);
            Change::Create { path, data, acl, owner, parent_cversion, repairs_parent: false }
        }
        op::DELETE | op::DELETE_CONTAINER => {
            Change::Delete { path: jute::ustring(cursor, "path")? }
        }
        op::SET_DATA | op::RECONFIG => Change::SetData {
            path: jute::ustring(cursor, "path")?,
            data: jute::opt_buffer(cursor, "data")?,
            version: cursor.i32("version")?,
        },
        op::SET_ACL => Change::SetAcl {
            path: jute::ustring(cursor, "path")?,
            acl: jute::acl(cursor)?,
            version: cursor.i32("version")?,
        },
        op::ERROR | op::CHECK => Change::Nothing,
        _ => return Ok(None),
    }))
}

type Created<'a> = (&'a str, Option<&'a [u8]>, Vec<Acl>);

fn created<'a>(cursor: &mut Cursor<'a>) -> Result<Created<'a>, DecodeError> {
    let path = jute::ustring(cursor, "path")?;
    Ok((path, jute::opt_buffer(cursor, "data")?, jute::acl(cursor)?))
}

/// A multi is all or nothing: one that holds an error changes nothing.
fn multi<'a>(cursor: &mut Cursor<'a>) -> Result<Change<'a>, DecodeError> {
    let mut changes = Vec::new();
    let mut failed = false;
    for _ in 0..jute::count(cursor, 8, "number of operations")? {
        let at = cursor.position();
        let kind = cursor.i32("type in a multi")?;
        let mut inner = Cursor::new(jute::buffer(cursor, "operation")?);
        failed |= kind == op::ERROR;
        let what = "operation of a multi";
        match single(kind, &mut inner).map_err(|error| DecodeError { at, what: error.what })? {
            Some(change) => changes.push(change),
            None => return Err(DecodeError { at, what }),
        }
    }
    Ok(if failed { Change::Nothing } else { Change::Multi(changes) })
}

/// Since 3.6 the znodes that a closed session leaves are listed, unless that is configured away;
/// then a digest may follow at once, which does not read as a list of paths.
fn closed_paths<'a>(cursor: &Cursor<'a>) -> Vec<&'a str> {
    let mut cursor = cursor.clone();
    let paths = jute::strings(&mut cursor, "paths").unwrap_or_default();
    let whole = matches!(cursor.remaining(), 0 | DIGEST);
    if whole && paths.iter().all(|path| path.starts_with('/')) { paths } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use jute::Put;
    use proptest::prelude::*;

    fn record(kind: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_i64(7);
        bytes.put_i32(1);
        bytes.put_i64(9);
        bytes.put_i64(11);
        bytes.put_i32(kind);
        body(&mut bytes);
        bytes
    }

    #[test]
    fn the_oldest_form_of_create_is_read() {
        let bytes = record(op::CREATE, |out| {
            out.put_ustring("/a");
            out.put_opt_buffer(None);
            out.put_acl(&Acl::open());
            out.put_bool(true);
        });
        let (header, change) = decode(&bytes).unwrap();
        assert_eq!(header, Header { session: 7, zxid: 9, time_ms: 11 });
        assert!(matches!(
            change,
            Change::Create { parent_cversion: -1, owner: Owner::Session, .. }
        ));
    }

    #[test]
    fn a_closed_session_with_or_without_paths_and_digest() {
        let none = Change::CloseSession { paths: Vec::new() };
        let digest = |out: &mut Vec<u8>| {
            out.put_i32(2);
            out.put_i64(0x1234);
        };
        assert_eq!(decode(&record(op::CLOSE_SESSION, |_| ())).unwrap().1, none);
        assert_eq!(decode(&record(op::CLOSE_SESSION, digest)).unwrap().1, none);
        for with_digest in [false, true] {
            let bytes = record(op::CLOSE_SESSION, |out| {
                out.put_strings(&["/a", "/b"]);
                if with_digest {
                    digest(out);
                }
            });
            let paths = vec!["/a", "/b"];
            assert_eq!(decode(&bytes).unwrap().1, Change::CloseSession { paths });
        }
    }

    #[test]
    fn unknown_types_are_refused() {
        assert_eq!(decode(&record(99, |_| ())).unwrap_err().what, "unknown transaction type");
        let nested = record(op::MULTI, |out| {
            out.put_i32(1);
            out.put_i32(op::MULTI);
            out.put_buffer(&[]);
        });
        assert_eq!(decode(&nested).unwrap_err().what, "operation of a multi");
    }

    proptest! {
        #[test]
        fn any_record_is_read_or_refused(kind in -12..25i32, body in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(&record(kind, |out| out.extend_from_slice(&body)));
            let _ = decode(&body);
        }
    }
}
