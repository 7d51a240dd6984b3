//! From what a folder holds to a tree that serves it.

use polyport_tree::Machine;
use polyport_tree::import::{ImportFailure, Imported};
use polyport_tree::store::Meta;

use super::ImportedTree;

impl ImportedTree {
    /// The tree, with every stat as ZooKeeper would show it and the sessions open: their clients
    /// re-attach with the passwords they have, the others' ephemerals expire.
    ///
    /// # Errors
    /// If the znodes are not in order.
    pub fn machine(&self) -> Result<Machine, ImportFailure> {
        let nodes = self.nodes.iter().map(|node| {
            let stat = &node.stat;
            let meta = Meta::imported(
                (stat.mzxid, stat.mtime),
                (stat.version, stat.cversion, stat.aversion),
                stat.ephemeral_owner,
                stat.pzxid,
            );
            Imported {
                path: &node.path,
                data: node.data.as_deref(),
                acl: &node.acl,
                czxid: stat.czxid,
                ctime: stat.ctime,
                meta,
            }
        });
        let sessions = self.sessions.iter().map(|(id, ms)| (*id, *ms, session_password(*id)));
        Machine::import(nodes, sessions, self.last_zxid)
    }
}

/// ZooKeeper does not store passwords: it derives a session's from its id, by the generator of
/// `java.util.Random` (a linear congruential one of 48 bits).
fn session_password(session: i64) -> [u8; 16] {
    const SECRET: i64 = 0xB341_5C00;
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((session ^ SECRET) as u64 ^ MULTIPLIER) & MASK;
    let mut password = [0; 16];
    for bytes in password.chunks_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        let next = (state >> 16) as u32;
        bytes.copy_from_slice(&next.to_le_bytes());
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_javas() {
        // new java.util.Random(0).nextBytes(…) begins with these.
        let expected = [0x60, 0xb4, 0x20, 0xbb, 0x38, 0x51, 0xd9, 0xd4];
        assert_eq!(session_password(0xB341_5C00)[..8], expected);
    }
}
