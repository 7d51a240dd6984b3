//! The tree as ZooKeeper's documentation describes it, written as plainly as possible: the opinion
//! that the real machine's answers are compared with.

use std::collections::BTreeMap;

use polyport_tree::command::{Batch, Command, Submitter, Write};
use polyport_tree::machine::Outcome;
use polyport_tree::session::Attachment;
use polyport_tree::{Stat, TreeError};

/// A znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data.
    pub data: Vec<u8>,
    /// Its stat, without the derived number of children.
    pub stat: Stat,
    /// Children ever created.
    creations: i32,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its timeout.
    pub timeout_ms: i32,
    password: [u8; 16],
    attachment: Attachment,
}

/// The state after some prefix of the log.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Znodes by path, except ZooKeeper's own.
    pub nodes: BTreeMap<String, Znode>,
    /// Sessions by id.
    pub sessions: BTreeMap<i64, Session>,
    /// By node: number, next batch, nonce.
    pub origins: BTreeMap<u64, (u64, u64, u64)>,
    /// The newest transaction.
    pub last_zxid: i64,
    last_term: u64,
}

type Done = Result<Outcome<'static>, TreeError>;

fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => &path[..slash],
    }
}

impl Model {
    /// A tree with nothing but the root.
    pub fn new() -> Self {
        let root = Znode { data: Vec::new(), stat: Stat::default(), creations: 0 };
        // The root's `zookeeper` child is not counted here.
        Self { nodes: BTreeMap::from([("/".to_owned(), root)]), ..Self::default() }
    }

    /// Whether a batch is the next of its origin; counts it if so.
    pub fn admits(&mut self, batch: &Batch<'_>) -> bool {
        if batch.origin == 0 {
            return true;
        }
        let origin = self.origins.values_mut().find(|(id, ..)| *id == batch.origin);
        match origin {
            Some((_, next, _)) if *next == batch.sequence => {
                *next += 1;
                true
            }
            _ => false,
        }
    }

    /// A change of the membership is a transaction.
    pub fn members_changed(&mut self) {
        self.next_zxid();
    }

    /// A batch of this term is applied.
    pub fn begin(&mut self, term: u64) {
        self.last_term = term;
    }

    fn next_zxid(&mut self) -> i64 {
        let first = ((self.last_term & 0x7fff_ffff) << 32) as i64 + 1;
        self.last_zxid = first.max(self.last_zxid + 1);
        self.last_zxid
    }

    /// Applies one command.
    pub fn step(
        &mut self,
        time_ms: i64,
        from: &Submitter<'_>,
        attachment: Attachment,
        command: &Command<'_>,
    ) -> (i64, Done) {
        let zxid = match command {
            Command::Sync => self.last_zxid,
            _ => self.next_zxid(),
        };
        (zxid, self.result(zxid, time_ms, from, attachment, command))
    }

    fn result(
        &mut self,
        zxid: i64,
        time_ms: i64,
        from: &Submitter<'_>,
        attachment: Attachment,
        command: &Command<'_>,
    ) -> Done {
        let client = from.session != 0;
        let needs_session = matches!(
            command,
            Command::Write(_) | Command::Multi(_) | Command::Sync | Command::CloseSession
        );
        if client && needs_session {
            let session = self.sessions.get(&from.session).ok_or(TreeError::SessionExpired)?;
            if session.attachment != attachment {
                return Err(TreeError::SessionMoved);
            }
        }
        match command {
            Command::Write(write) => self.write(zxid, time_ms, from.session, write),
            Command::Multi(writes) => {
                let before = self.nodes.clone();
                let mut results = Vec::new();
                for write in writes {
                    match self.write(zxid, time_ms, from.session, write) {
                        Ok(outcome) => results.push(Ok(outcome)),
                        Err(error) => {
                            results = vec![Err(TreeError::RolledBack); results.len()];
                            results.push(Err(error));
                            results.resize(writes.len(), Err(TreeError::RuntimeInconsistency));
                            self.nodes = before;
                            break;
                        }
                    }
                }
                Ok(Outcome::Multi(results))
            }
            Command::Sync => Ok(Outcome::Synced),
            Command::CreateSession { timeout_ms, password } => {
                let id = from.session << 56 | zxid & 0x00ff_ffff_ffff_ffff;
                let session = Session { timeout_ms: *timeout_ms, password: *password, attachment };
                self.sessions.insert(id, session);
                Ok(Outcome::Attached(id, *password, *timeout_ms))
            }
            Command::Attach { session, password, timeout_ms } => {
                let found = self.sessions.get_mut(session);
                let found = found.filter(|found| found.password == **password);
                let found = found.ok_or(TreeError::SessionExpired)?;
                found.attachment = attachment;
                found.timeout_ms = *timeout_ms;
                Ok(Outcome::Attached(*session, found.password, *timeout_ms))
            }
            Command::CloseSession => {
                self.end_session(zxid, from.session);
                Ok(Outcome::Done)
            }
            Command::Expire { term, .. } if *term != self.last_term => {
                Ok(Outcome::Expired(Vec::new()))
            }
            Command::Expire { sessions, .. } => {
                let ended = sessions.iter().copied();
                Ok(Outcome::Expired(ended.filter(|id| self.end_session(zxid, *id)).collect()))
            }
            Command::OpenOrigin { node, nonce } => {
                let known = self.origins.get(node).filter(|(_, _, known)| known == nonce);
                let id = known.map_or(zxid as u64, |(id, ..)| *id);
                if known.is_none() {
                    self.origins.insert(*node, (id, 0, *nonce));
                }
                Ok(Outcome::Origin(id, *nonce))
            }
            Command::Reap { .. } | Command::Restore(_) => Err(TreeError::Unimplemented),
        }
    }

    fn end_session(&mut self, zxid: i64, id: i64) -> bool {
        if self.sessions.remove(&id).is_none() {
            return false;
        }
        let own = self.nodes.iter().filter(|(_, node)| node.stat.ephemeral_owner == id);
        for path in own.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.remove(zxid, &path);
        }
        true
    }

    fn remove(&mut self, zxid: i64, path: &str) {
        self.nodes.remove(path);
        if let Some(parent) = self.nodes.get_mut(parent_of(path)) {
            parent.stat.num_children -= 1;
            parent.stat.cversion += 1;
            parent.stat.pzxid = zxid;
        }
    }

    fn existing(&mut self, path: &str, version: i32) -> Result<&mut Znode, TreeError> {
        let node = self.nodes.get_mut(path).ok_or(TreeError::NoNode)?;
        match version == -1 || version == node.stat.version {
            true => Ok(node),
            false => Err(TreeError::BadVersion),
        }
    }

    fn write(&mut self, zxid: i64, time_ms: i64, session: i64, write: &Write<'_>) -> Done {
        match write {
            Write::Create { path, data, mode, .. } => {
                let parent = self.nodes.get_mut(parent_of(path)).ok_or(TreeError::NoNode)?;
                let path = match mode.is_sequential() {
                    true => format!("{path}{:010}", parent.creations),
                    false => (*path).to_owned(),
                };
                let ephemeral_parent = parent.stat.ephemeral_owner != 0;
                if self.nodes.contains_key(&path) {
                    return Err(TreeError::NodeExists);
                }
                if ephemeral_parent {
                    return Err(TreeError::NoChildrenForEphemerals);
                }
                if let Some(parent) = self.nodes.get_mut(parent_of(&path)) {
                    parent.creations += 1;
                    parent.stat.cversion += 1;
                    parent.stat.num_children += 1;
                    parent.stat.pzxid = zxid;
                }
                let data = data.unwrap_or_default().to_vec();
                let stat = Stat {
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                    ctime: time_ms,
                    mtime: time_ms,
                    ephemeral_owner: if mode.is_ephemeral() { session } else { 0 },
                    data_length: data.len() as i32,
                    ..Stat::default()
                };
                self.nodes.insert(path.clone(), Znode { data, stat, creations: 0 });
                Ok(Outcome::Created(path.into(), stat))
            }
            Write::Delete { path, version } => {
                if self.existing(path, *version)?.stat.num_children > 0 {
                    return Err(TreeError::NotEmpty);
                }
                self.remove(zxid, path);
                Ok(Outcome::Done)
            }
            Write::SetData { path, data, version } => {
                let node = self.existing(path, *version)?;
                node.data = data.unwrap_or_default().to_vec();
                node.stat.data_length = node.data.len() as i32;
                node.stat.version += 1;
                node.stat.mzxid = zxid;
                node.stat.mtime = time_ms;
                Ok(Outcome::Stat(node.stat))
            }
            Write::Check { path, version } => {
                self.existing(path, *version)?;
                Ok(Outcome::Done)
            }
            Write::SetAcl { .. } => Err(TreeError::Unimplemented),
        }
    }
}
