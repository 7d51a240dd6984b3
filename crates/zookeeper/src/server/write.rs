//! Requests that go through the log.

use polyport_tree::command::{Command, Write as TreeWrite};
use polyport_tree::{CreateMode, TreeError};

use super::outbound::Detail;
use crate::auth::Identities;
use crate::codec::multi::MultiOp;
use crate::codec::request::Create;
use crate::codec::{OpCode, Request};

/// Most bytes of the access control lists of one multi, as the log holds them. An `auth` entry of a
/// few bytes stands for all that the client has proved, and a multi has room for thousands.
const MAX_LIST_BYTES: usize = 16 << 20;

/// Whether a request goes through the log.
pub(super) fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Check
            | OpCode::Sync
            | OpCode::CloseSession
    )
}

/// A request as a command of the log, and what its answer will need. `ttl`: whether znodes may have
/// a time to live.
///
/// # Errors
/// What the server refuses before it asks anybody.
pub(super) fn command<'a>(
    request: Request<'a>,
    who: &Identities,
    ttl: bool,
) -> Result<(Command<'a>, Detail), TreeError> {
    Ok(match request {
        Request::Create(asked) => (Command::Write(create(asked, who, ttl)?), Detail::None),
        Request::Delete { path, version } => {
            (Command::Write(TreeWrite::Delete { path, version }), Detail::None)
        }
        Request::SetData { path, data, version } => {
            (Command::Write(TreeWrite::SetData { path, data, version }), Detail::None)
        }
        Request::SetAcl { path, acl, version } => {
            let acl = who.resolve(acl)?;
            (Command::Write(TreeWrite::SetAcl { path, acl, version }), Detail::None)
        }
        Request::Check { path, version } => {
            (Command::Write(TreeWrite::Check { path, version }), Detail::None)
        }
        Request::Sync { path } => (Command::Sync, Detail::Path(path.to_owned())),
        Request::CloseSession => (Command::CloseSession, Detail::None),
        Request::Multi(ops) => {
            let mut writes = Vec::with_capacity(ops.len());
            let mut codes = Vec::with_capacity(ops.len());
            let mut list_bytes = 0;
            for op in ops {
                let (write, code) = multi(op, who, ttl);
                list_bytes += own_list_bytes(&write);
                if list_bytes > MAX_LIST_BYTES {
                    return Err(TreeError::BadArguments);
                }
                writes.push(write);
                codes.push(code);
            }
            (Command::Multi(writes), Detail::Ops(codes, ttl))
        }
        // The server alone may delete containers.
        _ => return Err(TreeError::Unimplemented),
    })
}

/// Bytes of the names in a write's access control list.
fn own_list_bytes(write: &TreeWrite<'_>) -> usize {
    match write {
        TreeWrite::Create { acl, .. } => {
            acl.iter().map(|entry| 12 + entry.id.scheme.len() + entry.id.id.len()).sum()
        }
        _ => 0,
    }
}

fn create<'a>(asked: Create<'a>, who: &Identities, ttl: bool) -> Result<TreeWrite<'a>, TreeError> {
    let mode = CreateMode::from_flag(asked.flags).ok_or(TreeError::BadArguments)?;
    if mode.has_ttl() && !ttl {
        return Err(TreeError::Unimplemented);
    }
    let allowed = match asked.op {
        OpCode::CreateContainer => mode == CreateMode::Container,
        OpCode::CreateTtl => mode.has_ttl(),
        _ => !mode.has_ttl(),
    };
    if !allowed {
        return Err(TreeError::BadArguments);
    }
    let acl = who.resolve(asked.acl)?;
    Ok(TreeWrite::Create { path: asked.path, data: asked.data, acl, mode, ttl_ms: asked.ttl_ms })
}

/// What the server itself refuses fails in its place of the multi: an empty list is an invalid one,
/// a time to live of 0 is no argument.
fn multi<'a>(op: MultiOp<'a>, who: &Identities, ttl: bool) -> (TreeWrite<'a>, OpCode) {
    match op {
        MultiOp::Create(asked) => {
            // ZooKeeper answers containers and times to live in a multi as create2, and its clients
            // know no other.
            let plain = asked.op == OpCode::Create && asked.flags != CreateMode::Container.flag();
            let code = if asked.op == OpCode::CreateTtl && !ttl {
                // Remembered for its error.
                OpCode::CreateTtl
            } else if plain {
                OpCode::Create
            } else {
                OpCode::Create2
            };
            let (path, data) = (asked.path, asked.data);
            let write = create(asked, who, ttl).unwrap_or_else(|error| {
                let (acl, mode) = match error {
                    TreeError::InvalidAcl => (Vec::new(), CreateMode::Persistent),
                    _ => (polyport_tree::Acl::open(), CreateMode::PersistentWithTtl),
                };
                TreeWrite::Create { path, data, acl, mode, ttl_ms: 0 }
            });
            (write, code)
        }
        MultiOp::Delete { path, version } => (TreeWrite::Delete { path, version }, OpCode::Delete),
        MultiOp::SetData { path, data, version } => {
            (TreeWrite::SetData { path, data, version }, OpCode::SetData)
        }
        MultiOp::Check { path, version } => (TreeWrite::Check { path, version }, OpCode::Check),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{MAX_IDENTITIES, MAX_IDENTITY_BYTES};
    use polyport_tree::{Acl, Id, Perms};

    fn creations(count: usize) -> Request<'static> {
        let acl = vec![Acl { perms: Perms::ALL, id: Id::new("auth", "") }];
        let create =
            Create { op: OpCode::Create, path: "/a", data: None, acl, flags: 0, ttl_ms: 0 };
        Request::Multi(vec![MultiOp::Create(create); count])
    }

    #[test]
    fn a_multi_cannot_grow_beyond_what_the_log_takes() {
        let mut who = Identities::default();
        for number in 0..8 {
            let name = format!("{number}:{}", "x".repeat(MAX_IDENTITY_BYTES / 8 - 10));
            who.add(Id::new("digest", name)).unwrap();
        }
        assert!(command(creations(200), &who, true).is_ok());
        assert_eq!(command(creations(1000), &who, true).err(), Some(TreeError::BadArguments));
    }

    #[test]
    fn what_one_connection_proves_has_a_limit() {
        let mut many = Identities::default();
        for number in 0..MAX_IDENTITIES {
            many.add(Id::new("digest", format!("{number}:h"))).unwrap();
        }
        assert!(many.add(Id::new("digest", "one:more")).is_err());
        // The same again is not one more.
        assert!(many.add(Id::new("digest", "0:h")).is_ok());
        let mut long = Identities::default();
        assert!(long.add(Id::new("digest", "x".repeat(MAX_IDENTITY_BYTES))).is_err());
        assert!(long.ids().is_empty());
    }
}
