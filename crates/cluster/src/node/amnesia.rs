//! A voter that lost its disk has forgotten what it promised: votes it gave and entries it
//! acknowledged. Until it knows better it must not vote, stand for election, or acknowledge entries
//! of a leader that may have been replaced.
//!
//! Every promise was made together with a majority, so among any `voters - majority + 1` others is
//! one that knows a term at least as high: the highest of their terms is the *floor* below which
//! leaders are refused. A leader at or above it was elected without this node's help and holds all
//! that was committed; once this node has applied what such a leader had committed in its own term
//! when it was first heard, its vote is worth what it was.
//!
//! A file marks the disk from before the first promise until then, so that a restart in between does
//! not forget that it forgot.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use polyport_storage::disk::Disk;

#[derive(Debug, Default)]
struct State {
    set: bool,
    floor: Option<u64>,
    goal: Option<u64>,
}

/// Whether, and how far, this node has forgotten.
#[derive(Debug, Default)]
pub(crate) struct Amnesia(Mutex<State>);

fn not_yet() -> io::Error {
    io::Error::other("the disk was empty: not taking part until it is known what was promised")
}

impl Amnesia {
    pub(crate) fn begin(&self) {
        *self.0.lock() = State { set: true, ..State::default() };
    }

    pub(crate) fn end(&self) {
        *self.0.lock() = State::default();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.lock().set
    }

    /// Leaders of lower terms are refused from now on, others are not.
    pub(crate) fn set_floor(&self, term: u64) {
        self.0.lock().floor = Some(term);
    }

    /// The index up to which entries must be applied, once a leader has told.
    pub(crate) fn goal(&self) -> Option<u64> {
        self.0.lock().goal
    }

    /// Whether a leader of this term may be followed. `committed`: term and index of the last entry
    /// it says is committed.
    ///
    /// # Errors
    /// If it may not.
    pub(crate) fn admit(&self, term: u64, committed: Option<(u64, u64)>) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.set {
            return Ok(());
        }
        if state.floor.is_none_or(|floor| term < floor) {
            return Err(not_yet());
        }
        if let Some((of, index)) = committed
            && of == term
        {
            state.goal.get_or_insert(index);
        }
        Ok(())
    }

    /// # Errors
    /// While anything may have been forgotten.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.is_set() { Err(not_yet()) } else { Ok(()) }
    }
}

/// An empty file beside the snapshots that outlives a restart.
#[derive(Clone, Debug)]
pub(crate) struct Mark<D> {
    disk: D,
    dir: PathBuf,
    name: &'static str,
}

impl<D: Disk> Mark<D> {
    /// This node may have promised what it does not remember.
    pub(crate) fn of_amnesia(disk: D, dir: &Path) -> Self {
        Self { disk, dir: dir.to_path_buf(), name: "amnesia" }
    }

    /// This node has not been admitted to the cluster that it is to join.
    pub(crate) fn of_joining(disk: D, dir: &Path) -> Self {
        Self { disk, dir: dir.to_path_buf(), name: "joining" }
    }

    pub(crate) fn is_there(&self) -> io::Result<bool> {
        Ok(self.disk.list(&self.dir)?.iter().any(|name| name == self.name))
    }

    /// Durable when this returns.
    pub(crate) fn make(&self) -> io::Result<()> {
        self.disk.create(&self.dir.join(self.name))?;
        self.disk.sync_dir(&self.dir)
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        if self.is_there()? {
            self.disk.remove(&self.dir.join(self.name))?;
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leaders_at_or_above_the_floor_are_followed() {
        let amnesia = Amnesia::default();
        assert!(amnesia.admit(1, None).is_ok() && amnesia.check().is_ok());
        amnesia.begin();
        assert!(amnesia.admit(9, None).is_err() && amnesia.check().is_err());
        amnesia.set_floor(5);
        assert!(amnesia.admit(4, Some((4, 70))).is_err());
        assert!(amnesia.admit(5, Some((4, 80))).is_ok());
        assert_eq!(amnesia.goal(), None, "the leader has committed nothing of its own yet");
        assert!(amnesia.admit(5, Some((5, 90))).is_ok());
        assert!(amnesia.admit(5, Some((5, 99))).is_ok());
        assert_eq!(amnesia.goal(), Some(90));
        assert!(amnesia.check().is_err());
        amnesia.end();
        assert!(amnesia.check().is_ok());
    }

    #[test]
    fn the_mark_outlives_a_power_loss() {
        let disk = polyport_storage::disk::SimDisk::new();
        let dir = Path::new("/d");
        disk.create_dir_all(dir).unwrap();
        let mark = Mark::of_amnesia(disk.clone(), dir);
        assert!(!mark.is_there().unwrap());
        mark.make().unwrap();
        disk.crash(1);
        assert!(mark.is_there().unwrap());
        assert!(!Mark::of_joining(disk.clone(), dir).is_there().unwrap());
        mark.remove().unwrap();
        disk.crash(2);
        assert!(!mark.is_there().unwrap());
    }
}
