//! The tree, as a map of znodes that changes one transaction after the other. How it comes to that is
//! the business of the other simulation.

use std::collections::BTreeMap;

use polyport_log::TopicPartition;
use polyport_tree::Stat;

/// One change that a transaction makes.
#[derive(Clone, Debug)]
pub enum Change {
    /// The version must be this.
    Check(String, i32),
    /// A new znode; with a session if it is ephemeral.
    Create(String, Vec<u8>, Option<u64>),
    /// New data, if the version is this.
    Set(String, Vec<u8>, i32),
    /// An end, if the version is this.
    Delete(String, i32),
}

/// What a node's write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its registration.
    Register,
    /// Its election as the controller.
    Stand,
    /// The controller's decisions.
    Decisions,
    /// In-sync replicas.
    Isr(TopicPartition),
}

/// Transactions that a node sends, each carried out by itself.
#[derive(Clone, Debug)]
pub struct Request {
    /// What for.
    pub purpose: Purpose,
    /// Whose they are.
    pub session: u64,
    /// All or none of each.
    pub transactions: Vec<Vec<Change>>,
    /// It waits for the way to be free.
    pub is_held: bool,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of each transaction: its zxid, or that it does not fit any more; and how many changes there are.
    Done(Vec<Result<i64, Misfit>>, usize),
    /// Nobody knows.
    Unknown,
}

/// A transaction was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which of its changes does not fit.
    pub at: usize,
}

#[derive(Clone, Debug)]
struct Znode {
    data: Vec<u8>,
    version: i32,
    created: i64,
    changed: i64,
    session: Option<u64>,
}

impl Znode {
    fn stat(&self) -> Stat {
        Stat {
            czxid: self.created,
            mzxid: self.changed,
            ctime: 0,
            mtime: 0,
            version: self.version,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: self.session.unwrap_or(0) as i64,
            data_length: self.data.len() as i32,
            num_children: 0,
            pzxid: self.created,
        }
    }
}

/// What a path held after a transaction; nothing if it was gone.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Transaction.
    pub zxid: i64,
    /// Path.
    pub path: String,
    /// Data and stat.
    pub content: Option<(Vec<u8>, Stat)>,
}

/// The tree.
#[derive(Default)]
pub struct Tree {
    zxid: i64,
    znodes: BTreeMap<String, Znode>,
    /// All that ever changed.
    pub changes: Vec<Seen>,
    /// Sessions with when their node was heard last.
    sessions: BTreeMap<u64, (i32, u64)>,
    last_session: u64,
}

impl Tree {
    /// A new session of a node.
    pub fn open(&mut self, node: i32, now: u64) -> u64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, (node, now));
        self.last_session
    }

    /// Whether a session is there.
    pub fn is_open(&self, session: u64) -> bool {
        self.sessions.contains_key(&session)
    }

    /// A session's client was heard.
    pub fn heard(&mut self, session: u64, now: u64) {
        if let Some((_, heard)) = self.sessions.get_mut(&session) {
            *heard = now;
        }
    }

    /// Ends the sessions that were not heard for so long, and their ephemerals; says of which nodes.
    pub fn expire(&mut self, now: u64, timeout_ms: u64) -> Vec<i32> {
        let late: Vec<(u64, i32)> = self
            .sessions
            .iter()
            .filter(|(_, (_, heard))| heard + timeout_ms < now)
            .map(|(session, (node, _))| (*session, *node))
            .collect();
        for (session, _) in &late {
            self.close(*session);
        }
        late.into_iter().map(|(_, node)| node).collect()
    }

    /// Ends a session and its ephemerals.
    pub fn close(&mut self, session: u64) {
        self.sessions.remove(&session);
        let theirs: Vec<String> = self
            .znodes
            .iter()
            .filter(|(_, znode)| znode.session == Some(session))
            .map(|(path, _)| path.clone())
            .collect();
        if !theirs.is_empty() {
            self.zxid += 1;
            theirs.into_iter().for_each(|path| self.remove(path));
        }
    }

    fn remove(&mut self, path: String) {
        self.znodes.remove(&path);
        self.changes.push(Seen { zxid: self.zxid, path, content: None });
    }

    fn put(&mut self, path: &str, znode: Znode) {
        let content = Some((znode.data.clone(), znode.stat()));
        self.changes.push(Seen { zxid: self.zxid, path: path.to_owned(), content });
        self.znodes.insert(path.to_owned(), znode);
    }

    /// The transaction that made a znode.
    pub fn created(&self, path: &str) -> Option<i64> {
        Some(self.znodes.get(path)?.created)
    }

    /// The transaction that last changed a znode.
    pub fn changed(&self, path: &str) -> Option<i64> {
        Some(self.znodes.get(path)?.changed)
    }

    /// Data, version and session of a znode.
    pub fn get(&self, path: &str) -> Option<(&[u8], i32, Option<u64>)> {
        let znode = self.znodes.get(path)?;
        Some((&znode.data, znode.version, znode.session))
    }

    /// Carries a transaction out, or nothing of it.
    ///
    /// # Errors
    /// Which change does not fit.
    pub fn transact(&mut self, changes: &[Change]) -> Result<i64, Misfit> {
        for (at, change) in changes.iter().enumerate() {
            // No transaction here names a path twice but to replace an ephemeral.
            let replaced = |path: &String| {
                let earlier = changes[..at].iter();
                earlier.clone().any(|one| matches!(one, Change::Delete(gone, _) if gone == path))
            };
            let version = |path: &String| self.znodes.get(path).map(|znode| znode.version);
            let fits = match change {
                Change::Check(path, expected)
                | Change::Set(path, _, expected)
                | Change::Delete(path, expected) => version(path) == Some(*expected),
                Change::Create(path, _, session) => {
                    (version(path).is_none() || replaced(path))
                        && session.is_none_or(|session| self.is_open(session))
                }
            };
            if !fits {
                return Err(Misfit { at });
            }
        }
        self.zxid += 1;
        let zxid = self.zxid;
        for change in changes {
            match change {
                Change::Check(..) => {}
                Change::Create(path, data, session) => {
                    let data = data.clone();
                    let (created, changed, session) = (zxid, zxid, *session);
                    self.put(path, Znode { data, version: 0, created, changed, session });
                }
                Change::Set(path, data, _) => {
                    if let Some(mut znode) = self.znodes.get(path).cloned() {
                        znode.data.clone_from(data);
                        znode.version += 1;
                        znode.changed = zxid;
                        self.put(path, znode);
                    }
                }
                Change::Delete(path, _) => self.remove(path.clone()),
            }
        }
        Ok(zxid)
    }
}
