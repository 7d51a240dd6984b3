//! Requests that go through the log.

use polyport_tree::command::{Command, Write as TreeWrite};
use polyport_tree::{CreateMode, TreeError};

use super::outbound::Detail;
use crate::auth::Identities;
use crate::codec::multi::MultiOp;
use crate::codec::request::Create;
use crate::codec::{OpCode, Request};

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

/// A request as a command of the log, and what its answer will need.
///
/// # Errors
/// What the server refuses before it asks anybody.
pub(super) fn command<'a>(
    request: Request<'a>,
    who: &Identities,
) -> Result<(Command<'a>, Detail), TreeError> {
    Ok(match request {
        Request::Create(asked) => (Command::Write(create(asked, who)?), Detail::None),
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
            for op in ops {
                let (write, code) = multi(op, who);
                writes.push(write);
                codes.push(code);
            }
            (Command::Multi(writes), Detail::Ops(codes))
        }
        // The server alone may delete containers.
        _ => return Err(TreeError::Unimplemented),
    })
}

fn create<'a>(asked: Create<'a>, who: &Identities) -> Result<TreeWrite<'a>, TreeError> {
    let mode = CreateMode::from_flag(asked.flags).ok_or(TreeError::BadArguments)?;
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
fn multi<'a>(op: MultiOp<'a>, who: &Identities) -> (TreeWrite<'a>, OpCode) {
    match op {
        MultiOp::Create(asked) => {
            // ZooKeeper answers containers and times to live in a multi as create2, and its clients
            // know no other.
            let plain = asked.op == OpCode::Create && asked.flags != CreateMode::Container.flag();
            let code = if plain { OpCode::Create } else { OpCode::Create2 };
            let (path, data) = (asked.path, asked.data);
            let write = create(asked, who).unwrap_or_else(|error| {
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
