//! Access control before the leader is asked (`enableEagerACLCheck`): a write that the local tree
//! shows to be forbidden takes no part in the log, and so no zxid.
//!
//! The local tree may be behind, also behind earlier requests of the same connection that are still
//! on their way: what passes here is checked again when it is applied, but what is refused here was
//! refused by an older list. ZooKeeper checks no more than this either: containers, znodes with a
//! time to live and multi are left to the leader.

use polyport_tree::access::permits;
use polyport_tree::command::{Command, Write};
use polyport_tree::machine::{Machine, RESERVED};
use polyport_tree::{Perms, path};

use crate::auth::Identities;
use crate::codec::OpCode;

/// Whether a write is known to be forbidden.
pub(super) fn forbids(
    machine: &Machine,
    op: OpCode,
    command: &Command<'_>,
    who: &Identities,
) -> bool {
    let Command::Write(write) = command else { return false };
    let (at, perms) = match (op, write) {
        (OpCode::Create | OpCode::Create2, Write::Create { path, .. }) => {
            (parent(path), Perms::CREATE)
        }
        (_, Write::Delete { path, .. }) => (parent(path), Perms::DELETE),
        (_, Write::SetData { path, .. }) => (Some(*path), Perms::WRITE),
        (_, Write::SetAcl { path, .. }) => (Some(*path), Perms::ADMIN),
        _ => return false,
    };
    let store = machine.store();
    // What is not there or no path at all is the leader's to answer.
    let Some(at) = at.and_then(|at| store.lookup(at)) else { return false };
    let acl = machine.acls().get(store.acl(at));
    !who.bypass() && !permits(acl, perms, &who.borrowed())
}

fn parent(path: &str) -> Option<&str> {
    match RESERVED.contains(&path) {
        true => None,
        // Of a sequential znode, the path may end in a slash.
        false => path::parent(path),
    }
}
