//! The tree while transactions are applied: `DataTree.processTxn`.
//!
//! A snapshot is written while the tree changes, so transactions logged after its start may be in
//! it already. Applying them again must do no harm: a znode that exists or is gone is no error.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use polyport_tree::Acl;

use super::txn::{Change, Header, Owner};
use super::{ImportedNode, ImportedTree, Kind, PersistedStat};

/// A znode without its path.
#[derive(Debug)]
pub(super) struct Node {
    pub data: Option<Vec<u8>>,
    pub acl: Arc<[Acl]>,
    pub stat: PersistedStat,
}

/// The state that transactions change. The root is under the empty path.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    ephemerals: HashMap<i64, BTreeSet<String>>,
    acls: HashSet<Arc<[Acl]>>,
    pub sessions: BTreeMap<i64, i32>,
    pub last_zxid: i64,
}

impl Tree {
    /// No znodes, as of a transaction.
    pub fn at(zxid: i64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            ephemerals: HashMap::new(),
            acls: HashSet::new(),
            sessions: BTreeMap::new(),
            last_zxid: zxid,
        }
    }

    /// What a new server begins with.
    pub fn empty() -> Self {
        let mut tree = Self::at(0);
        let open = tree.share_acl(Acl::open());
        for path in ["", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            let stat = PersistedStat::default();
            tree.load(path.to_owned(), Node { data: Some(Vec::new()), acl: open.clone(), stat });
        }
        tree
    }

    /// One allocation for equal lists.
    pub fn share_acl(&mut self, acl: Vec<Acl>) -> Arc<[Acl]> {
        if let Some(known) = self.acls.get(&acl[..]) {
            return Arc::clone(known);
        }
        let shared: Arc<[Acl]> = acl.into();
        self.acls.insert(Arc::clone(&shared));
        shared
    }

    /// Whether a path begins with a slash and the znode above it is there.
    pub fn has_parent(&self, path: &str) -> bool {
        path.rfind('/').is_some_and(|at| self.nodes.contains_key(&path[..at]))
    }

    /// Puts a znode in place as it was stored.
    pub fn load(&mut self, path: String, node: Node) {
        if let Kind::Ephemeral(session) = node.stat.kind() {
            self.ephemerals.entry(session).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
    }

    /// Applies a transaction.
    pub fn apply(&mut self, header: Header, change: Change<'_>) {
        self.last_zxid = self.last_zxid.max(header.zxid);
        match change {
            Change::Create { .. } => self.create(header, change),
            Change::Delete { path } => self.delete(path, header.zxid),
            Change::SetData { path, data, version } => {
                if let Some(node) = self.nodes.get_mut(key(path)) {
                    node.data = data.map(<[u8]>::to_vec);
                    node.stat.mtime = header.time_ms;
                    node.stat.mzxid = header.zxid;
                    node.stat.version = version;
                }
            }
            Change::SetAcl { path, acl, version } => {
                let acl = self.share_acl(acl);
                if let Some(node) = self.nodes.get_mut(key(path)) {
                    node.acl = acl;
                    node.stat.aversion = version;
                }
            }
            Change::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, timeout_ms);
            }
            Change::CloseSession { paths } => {
                self.sessions.remove(&header.session);
                for path in paths {
                    self.delete(path, header.zxid);
                }
                for path in self.ephemerals.remove(&header.session).unwrap_or_default() {
                    self.delete(&path, header.zxid);
                }
            }
            Change::Multi(changes) => {
                for change in changes {
                    self.apply(header, change);
                }
            }
            Change::Nothing => {}
        }
    }

    fn create(&mut self, header: Header, change: Change<'_>) {
        let Change::Create { path, data, acl, owner, parent_cversion, repairs_parent } = change
        else {
            return;
        };
        let exists = self.nodes.contains_key(key(path));
        if exists && !repairs_parent {
            return;
        }
        let Some(parent) = path.rfind('/').and_then(|at| self.nodes.get_mut(&path[..at])) else {
            return;
        };
        let counted = match parent_cversion {
            -1 => parent.stat.cversion.wrapping_add(1),
            given => given,
        };
        // A counter in the snapshot may be ahead of the transaction; it never goes back.
        if counted > parent.stat.cversion {
            parent.stat.cversion = counted;
            parent.stat.pzxid = header.zxid;
        }
        if exists {
            return;
        }
        let stat = PersistedStat {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time_ms,
            mtime: header.time_ms,
            ephemeral_owner: match owner {
                Owner::Nobody => 0,
                Owner::Session => header.session,
                Owner::Container => PersistedStat::CONTAINER,
                Owner::Ttl(ttl_ms) => PersistedStat::TTL_MASK | ttl_ms,
            },
            ..PersistedStat::default()
        };
        let acl = self.share_acl(acl);
        self.load(path.to_owned(), Node { data: data.map(<[u8]>::to_vec), acl, stat });
    }

    fn delete(&mut self, path: &str, zxid: i64) {
        // The root is never deleted by a server; a record that says so is not obeyed.
        let Some(at) = path.rfind('/').filter(|_| path.len() > 1) else {
            return;
        };
        let Some(parent) = self.nodes.get_mut(&path[..at]) else {
            return;
        };
        // Also when the znode is gone already: the snapshot may have seen only its removal.
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        if let Some(node) = self.nodes.remove(path)
            && let Kind::Ephemeral(session) = node.stat.kind()
            && let Some(paths) = self.ephemerals.get_mut(&session)
        {
            paths.remove(path);
        }
    }

    /// Hands everything over.
    pub fn finish(self, result: &mut ImportedTree) {
        result.sessions = self.sessions.into_iter().collect();
        let mut present: HashSet<String> = HashSet::new();
        // A path sorts after its parent's, so each znode follows its parent.
        for (path, node) in self.nodes {
            let parent = path.rfind('/').map(|at| &path[..at]);
            if parent.is_some_and(|parent| !parent.is_empty() && !present.contains(parent)) {
                result.notes.push(format!("{path}: left out, because its parent is gone"));
                continue;
            }
            present.insert(path.clone());
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let Node { data, acl, stat } = node;
            result.nodes.push(ImportedNode { path, data, acl, stat });
        }
    }
}

fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}
