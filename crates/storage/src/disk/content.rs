//! What a simulated disk holds: the content of files and the changes of their names, each as seen
//! and as durable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use polyport_base::rng::SplitMix64;

/// Writes survive a crash or not in units of this many bytes.
const SECTOR: usize = 512;

pub(super) type Inode = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
pub(super) struct Content {
    pub seen: Vec<u8>,
    pub durable: Vec<u8>,
    /// Sectors of `seen` that the next sync makes durable.
    pub dirty: BTreeSet<usize>,
}

#[derive(Debug)]
pub(super) enum NameChange {
    Link(PathBuf, Inode),
    Rename(PathBuf, PathBuf, Inode),
    Unlink(PathBuf),
}

impl NameChange {
    pub fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            NameChange::Link(path, inode) => {
                names.insert(path.clone(), inode.clone());
            }
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), inode.clone());
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
        }
    }

    /// Follows a directory that was renamed.
    pub fn move_paths(&mut self, moved: impl Fn(&PathBuf) -> PathBuf) {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => *path = moved(path),
            NameChange::Rename(from, to, _) => {
                *from = moved(from);
                *to = moved(to);
            }
        }
    }

    pub fn dir(&self) -> PathBuf {
        let (NameChange::Link(path, _) | NameChange::Rename(_, path, _) | NameChange::Unlink(path)) =
            self;
        path.parent().unwrap_or(Path::new("")).to_path_buf()
    }
}

impl Content {
    pub fn set_len(&mut self, len: usize) {
        let old = self.seen.len();
        self.seen.resize(len, 0);
        self.dirty.extend(old.min(len) / SECTOR..old.max(len).div_ceil(SECTOR));
    }

    pub fn write(&mut self, bytes: &[u8], at: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        if end > self.seen.len() {
            self.set_len(end);
        }
        self.seen[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
    }

    fn persist(&mut self, sector: usize) {
        let at = sector * SECTOR;
        let end = (at + SECTOR).min(self.seen.len()).min(self.durable.len());
        if at < end {
            self.durable[at..end].copy_from_slice(&self.seen[at..end]);
        }
    }

    pub fn sync(&mut self) {
        // A failed sync before may have cleaned sectors that are not durable: they stay as they
        // are, and only the length and the dirty sectors follow.
        self.durable.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.persist(sector);
        }
    }

    pub fn crash(&mut self, rng: &mut SplitMix64, keep_percent: u64) {
        if self.seen.len() != self.durable.len() && rng.chance(keep_percent) {
            self.durable.resize(self.seen.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if rng.chance(keep_percent) {
                self.persist(sector);
            }
        }
        self.seen.clone_from(&self.durable);
    }
}
