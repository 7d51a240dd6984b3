//! Reads the data folder of an Apache ZooKeeper: the newest valid snapshot and the transactions
//! logged after it.
//!
//! The formats are those of `FileSnap` and `FileTxnLog`, version 2, as ZooKeeper 3.4 to 3.9 write
//! them. What a damaged file means is ZooKeeper's rule: an invalid snapshot gives way to the one
//! before it, a log's incomplete last record ends the log, a wrong checksum stops the import.
//! Deliberately absent: writing these formats, and snappy-compressed snapshots.

mod install;
mod log;
mod replay;
mod snapshot;
mod source;
mod txn;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_tree::{Acl, Stat};

use replay::Tree;

/// Why a folder cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("{path}: cannot be read")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There are logs but no snapshot: part of the data is missing. ZooKeeper refuses this too,
    /// unless told to trust it (`zookeeper.snapshot.trust.empty`).
    #[error(
        "{0}: there are transaction logs but no snapshot; if the server never took one, allow it explicitly"
    )]
    NoSnapshot(PathBuf),
    /// Neither snapshots nor logs.
    #[error(
        "{0}: holds neither snapshot.* nor log.* (nor a folder version-2 that does): is it a ZooKeeper dataDir?"
    )]
    NothingThere(PathBuf),
    /// No snapshot is valid.
    #[error("{dir}: none of its snapshots is valid: {reasons}")]
    NoValidSnapshot {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with each.
        reasons: String,
    },
    /// The newest snapshot is compressed by snappy.
    #[error(
        "{0}: is compressed by snappy, which is not supported; restart that ZooKeeper with zookeeper.snapshot.compression.method=gz (or none), let it take a snapshot, and import again"
    )]
    Snappy(PathBuf),
    /// A transaction log is damaged before its end.
    #[error(
        "{path}: byte {at}: {what}; inspect the file with zkTxnLogToolkit.sh, or import from another server of the ensemble"
    )]
    DamagedLog {
        /// The file.
        path: PathBuf,
        /// Offset of the record.
        at: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// The fields that ZooKeeper keeps for a znode (`StatPersisted`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersistedStat {
    /// Transaction that created the znode.
    pub czxid: i64,
    /// Transaction that last changed its data.
    pub mzxid: i64,
    /// Wall-clock milliseconds of its creation.
    pub ctime: i64,
    /// Wall-clock milliseconds of the last change of its data.
    pub mtime: i64,
    /// Number of changes of its data.
    pub version: i32,
    /// Number of children ever created, which is not what clients see: see
    /// [`PersistedStat::visible`].
    pub cversion: i32,
    /// Number of changes of its ACL.
    pub aversion: i32,
    /// Owner as stored: 0, a session, `i64::MIN` for a container, or 0xff in the top byte and the
    /// time to live (milliseconds) in the lowest five.
    pub ephemeral_owner: i64,
    /// Transaction that last added or removed a child.
    pub pzxid: i64,
}

/// What kind of znode the stored owner makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stays until deleted.
    Persistent,
    /// Belongs to a session.
    Ephemeral(i64),
    /// Deleted some time after its last child.
    Container,
    /// Deleted when unchanged and childless for this many milliseconds.
    Ttl(i64),
}

impl PersistedStat {
    const CONTAINER: i64 = i64::MIN;
    const TTL_MASK: i64 = 0xff << 56;
    const TTL_VALUE: i64 = 0xff_ffff_ffff;

    /// The kind of znode.
    pub fn kind(&self) -> Kind {
        match self.ephemeral_owner {
            0 => Kind::Persistent,
            Self::CONTAINER => Kind::Container,
            owner if owner & Self::TTL_MASK == Self::TTL_MASK => Kind::Ttl(owner & Self::TTL_VALUE),
            owner => Kind::Ephemeral(owner),
        }
    }

    /// The stat as clients see it: `cversion` counts deletions too, and only sessions own.
    pub fn visible(&self, data_length: i32, num_children: i32) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(num_children),
            aversion: self.aversion,
            ephemeral_owner: match self.kind() {
                Kind::Ephemeral(session) => session,
                _ => 0,
            },
            data_length,
            num_children,
            pzxid: self.pzxid,
        }
    }
}

/// A znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedNode {
    /// Its absolute path.
    pub path: String,
    /// Its data; absent is not the same as empty.
    pub data: Option<Vec<u8>>,
    /// Its access control list, shared among znodes with the same one.
    pub acl: Arc<[Acl]>,
    /// Its stat as stored.
    pub stat: PersistedStat,
}

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedTree {
    /// All znodes, each after its parent; the first is the root.
    pub nodes: Vec<ImportedNode>,
    /// Open sessions by id, with their timeout in milliseconds.
    pub sessions: Vec<(i64, i32)>,
    /// The last transaction that was applied.
    pub last_zxid: i64,
    /// The snapshot that was taken; none if there was none and that was allowed.
    pub snapshot: Option<PathBuf>,
    /// The logs that were read, oldest first.
    pub logs: Vec<PathBuf>,
    /// How many logged transactions were applied after the snapshot.
    pub transactions: u64,
    /// First and last zxid of each run of transactions that should be there and is not.
    pub gaps: Vec<(i64, i64)>,
    /// What was skipped or cut off, one sentence each.
    pub notes: Vec<String>,
}

/// Which folder to import, and how.
#[derive(Clone, Debug)]
pub struct Import {
    data_dir: PathBuf,
    log_dir: PathBuf,
    trust_empty_snapshot: bool,
}

impl Import {
    /// From a ZooKeeper's `dataDir`, which holds its logs too unless [`Import::log_dir`] says.
    pub fn from(data_dir: &Path) -> Self {
        let data_dir = versioned(data_dir);
        Self { log_dir: data_dir.clone(), data_dir, trust_empty_snapshot: false }
    }

    /// The logs are in this `dataLogDir`.
    pub fn log_dir(mut self, log_dir: &Path) -> Self {
        self.log_dir = versioned(log_dir);
        self
    }

    /// Accept logs without any snapshot: ZooKeeper's `snapshot.trust.empty`.
    pub fn trust_empty_snapshot(mut self) -> Self {
        self.trust_empty_snapshot = true;
        self
    }

    /// Reads everything. Nothing in the folder is changed.
    ///
    /// # Errors
    /// If nothing usable is there, a file cannot be read, or a log is damaged before its end.
    pub fn read(&self) -> Result<ImportedTree, ImportError> {
        let snapshots = list(&self.data_dir, "snapshot")?;
        let logs = list(&self.log_dir, "log")?;
        let mut result = ImportedTree::default();
        let mut tree = match self.newest_valid(&snapshots, &mut result)? {
            Some(tree) => tree,
            None if logs.is_empty() => {
                return Err(ImportError::NothingThere(self.data_dir.clone()));
            }
            None if self.trust_empty_snapshot => Tree::empty(),
            None => return Err(ImportError::NoSnapshot(self.data_dir.clone())),
        };
        log::replay(&logs, &mut tree, &mut result)?;
        result.last_zxid = tree.last_zxid;
        tree.finish(&mut result);
        Ok(result)
    }

    fn newest_valid(
        &self,
        snapshots: &[(i64, PathBuf)],
        result: &mut ImportedTree,
    ) -> Result<Option<Tree>, ImportError> {
        let mut reasons = Vec::new();
        for (zxid, path) in snapshots.iter().rev() {
            match snapshot::read(path, *zxid)? {
                Ok(tree) => {
                    result.snapshot = Some(path.clone());
                    result.notes = reasons;
                    return Ok(Some(tree));
                }
                Err(reason) => reasons.push(format!("{}: skipped: {reason}", path.display())),
            }
        }
        match reasons.is_empty() {
            true => Ok(None),
            false => Err(ImportError::NoValidSnapshot {
                dir: self.data_dir.clone(),
                reasons: reasons.join("; "),
            }),
        }
    }
}

fn versioned(dir: &Path) -> PathBuf {
    let inner = dir.join("version-2");
    if inner.is_dir() { inner } else { dir.to_owned() }
}

/// Files named `prefix.<zxid in hex>`, with any extension after that, oldest first.
fn list(dir: &Path, prefix: &str) -> Result<Vec<(i64, PathBuf)>, ImportError> {
    let io = |source| ImportError::Io { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let zxid = path.file_name().and_then(|name| {
            let mut parts = name.to_str()?.split('.');
            (parts.next() == Some(prefix)).then(|| parts.next())?
        });
        if let Some(zxid) = zxid.and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
            files.push((zxid, path));
        }
    }
    files.sort();
    Ok(files)
}
