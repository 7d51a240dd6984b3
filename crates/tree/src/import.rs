//! A machine made from another system's tree, stats and all.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::machine::{Machine, RESERVED};
use crate::session::{Attachment, Session, SessionId};
use crate::store::{Meta, NewNode, NodeIndex, is_session};
use crate::{Acl, Id, Perms, path};

/// A znode to take over.
#[derive(Clone, Copy, Debug)]
pub struct Imported<'a> {
    /// Absolute path; its parent comes before it, the root first.
    pub path: &'a str,
    /// Data; absent is kept apart from empty.
    pub data: Option<&'a [u8]>,
    /// Access control list.
    pub acl: &'a [Acl],
    /// Transaction that created it.
    pub czxid: i64,
    /// Wall-clock milliseconds of its creation.
    pub ctime: i64,
    /// The rest of its stat; the number of children is counted.
    pub meta: Meta,
}

/// A session to take over: id, timeout in milliseconds, password.
pub type ImportedSession = (SessionId, i32, [u8; 16]);

/// Why a tree cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFailure {
    /// The root is not the first, or a parent does not come before its child.
    #[error("{0}: its parent does not come before it")]
    Orphan(String),
    /// The same path twice.
    #[error("{0} is there twice")]
    Twice(String),
}

fn is_plain(node: &Imported<'_>) -> bool {
    let meta = &node.meta;
    (meta.mzxid, meta.pzxid, meta.mtime) == (node.czxid, node.czxid, node.ctime)
        && meta.owner == 0
        && (meta.version, meta.creations, meta.aversion) == (0, 0, 0)
}

impl Machine {
    /// A tree of these znodes and sessions, whose next transaction comes after `last_zxid`.
    /// Ephemerals of sessions that are not among them are left out: their owners are gone.
    ///
    /// # Errors
    /// See [`ImportFailure`].
    pub fn import<'a>(
        nodes: impl IntoIterator<Item = Imported<'a>>,
        sessions: impl IntoIterator<Item = ImportedSession>,
        last_zxid: i64,
    ) -> Result<Self, ImportFailure> {
        let mut machine = Self::without_nodes();
        machine.last_zxid = last_zxid;
        for (id, timeout_ms, password) in sessions {
            let (attachment, ephemerals) = (Attachment::default(), Default::default());
            machine.sessions.insert(id, Session { timeout_ms, password, attachment, ephemerals });
        }
        let mut slots: HashMap<String, u32> = HashMap::new();
        for node in nodes {
            let owner = node.meta.owner;
            if is_session(owner) && !machine.sessions.contains_key(&owner) {
                continue;
            }
            machine.take_over(&mut slots, &node)?;
        }
        let reserved_acl = [Acl { perms: Perms::READ, id: Id::anyone() }];
        for path in RESERVED {
            if slots.contains_key(path) {
                continue;
            }
            let open = Acl::open();
            let acl = if path == "/zookeeper/config" { &reserved_acl[..] } else { &open[..] };
            let meta = Meta {
                mzxid: 0,
                mtime: 0,
                pzxid: 0,
                owner: 0,
                version: 0,
                creations: 0,
                aversion: 0,
                num_children: 0,
                first_child: NodeIndex::NONE,
            };
            let data = Some(&b""[..]);
            machine
                .take_over(&mut slots, &Imported { path, data, acl, czxid: 0, ctime: 0, meta })?;
        }
        machine.finish_loading();
        Ok(machine)
    }

    fn take_over(
        &mut self,
        slots: &mut HashMap<String, u32>,
        node: &Imported<'_>,
    ) -> Result<(), ImportFailure> {
        let slot = slots.len() as u32;
        let (parent, name) = match path::parent(node.path) {
            None => (NodeIndex::NONE, ""),
            Some(parent) => {
                let found = slots.get(parent).map(|slot| NodeIndex(*slot));
                let found = found.ok_or_else(|| ImportFailure::Orphan(node.path.to_owned()))?;
                (found, node.path.rsplit('/').next().unwrap_or_default())
            }
        };
        if (slot == 0) != (parent == NodeIndex::NONE) {
            return Err(ImportFailure::Orphan(node.path.to_owned()));
        }
        if slots.insert(node.path.to_owned(), slot).is_some() {
            return Err(ImportFailure::Twice(node.path.to_owned()));
        }
        let acl = self.acls.intern(node.acl);
        let new =
            NewNode { name, data: node.data, acl, zxid: node.czxid, time_ms: node.ctime, owner: 0 };
        let meta = (!is_plain(node)).then_some(node.meta);
        self.store.restore(NodeIndex(slot), parent, new, meta);
        Ok(())
    }

    /// After the last znode was put into its slot: links, and what is found by looking at each.
    /// False if a znode's parent is missing.
    pub(crate) fn finish_loading(&mut self) -> bool {
        if !self.store.relink() {
            return false;
        }
        for slot in 0..self.store.slots() {
            let at = NodeIndex(slot);
            if self.store.holds(at) {
                let owner = self.store.meta(at).owner;
                self.enlist(at, owner);
            }
        }
        self.find_quotas();
        true
    }

    /// Writes a whole snapshot of a machine that nobody else uses.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_snapshot(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let (ticket, head) = self.begin_snapshot();
        out.write_all(&head)?;
        let mut piece = Vec::new();
        loop {
            let more = self.snapshot_piece(ticket, &mut piece)?;
            out.write_all(&piece)?;
            piece.clear();
            if !more {
                return Ok(());
            }
        }
    }
}

impl Meta {
    /// Of a znode without children (they are counted as they come): the fields in the order of
    /// ZooKeeper's stat, without those of its creation.
    pub fn imported(
        (mzxid, mtime): (i64, i64),
        (version, creations, aversion): (i32, i32, i32),
        owner: i64,
        pzxid: i64,
    ) -> Self {
        Self {
            mzxid,
            mtime,
            pzxid,
            owner,
            version,
            creations,
            aversion,
            num_children: 0,
            first_child: NodeIndex::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str, owner: i64) -> Imported<'_> {
        let meta = Meta::imported((7, 70), (3, 5, 1), owner, 6);
        Imported { path, data: Some(b"d"), acl: &[], czxid: 2, ctime: 20, meta }
    }

    #[test]
    fn stats_are_taken_over_and_survive_a_snapshot() {
        let nodes = [node("/", 0), node("/a", 0), node("/a/e", 9), node("/a/gone", 8)];
        let mut machine = Machine::import(nodes, [(9, 4000, [1; 16])], 100).unwrap();
        let mut bytes = Vec::new();
        machine.write_snapshot(&mut bytes).unwrap();
        let read = Machine::read_snapshot(&mut &bytes[..]).unwrap();
        for machine in [&machine, &read] {
            let store = machine.store();
            let stat = store.stat(store.lookup("/a").unwrap());
            assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (2, 7, 6));
            assert_eq!((stat.ctime, stat.mtime), (20, 70));
            assert_eq!((stat.version, stat.cversion, stat.aversion), (3, 9, 1));
            assert_eq!(stat.num_children, 1);
            assert_eq!(machine.ephemerals(9, "/"), ["/a/e"]);
            assert!(store.lookup("/a/gone").is_none());
            assert!(store.lookup("/zookeeper/config").is_some());
            assert_eq!(machine.last_zxid(), 100);
            assert_eq!(machine.sessions()[&9].password, [1; 16]);
        }
    }

    #[test]
    fn disorder_is_refused() {
        let orphan = Machine::import([node("/", 0), node("/a/b", 0)], [], 1);
        assert_eq!(orphan.unwrap_err(), ImportFailure::Orphan("/a/b".to_owned()));
        let twice = Machine::import([node("/", 0), node("/a", 0), node("/a", 0)], [], 1);
        assert_eq!(twice.unwrap_err(), ImportFailure::Twice("/a".to_owned()));
        assert!(Machine::import([node("/a", 0)], [], 1).is_err());
    }
}
