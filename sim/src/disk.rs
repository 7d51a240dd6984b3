//! A disk that a process loses when it dies.
//!
//! The tasks of a simulated process cannot be killed one by one; instead it loses all that it could
//! touch the world with: its network (see [`crate::network`]) and this.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polyport_storage::disk::{Disk, SimDisk};

/// Whether a process lives. Clones speak of the same process.
#[derive(Clone, Debug)]
pub struct Alive(Arc<AtomicBool>);

impl Default for Alive {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Alive {
    /// Whether it still lives.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It dies.
    pub fn kill(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        match self.get() {
            true => Ok(()),
            false => Err(io::Error::other("the simulated process is dead")),
        }
    }
}

/// One process' view of its machine's disk. Files it opened die with [`SimDisk::crash`] or
/// [`SimDisk::kill`]; this is for everything else.
#[derive(Clone, Debug)]
pub struct ProcessDisk {
    disk: SimDisk,
    alive: Alive,
}

impl ProcessDisk {
    /// The disk as a process sees it.
    pub fn new(disk: SimDisk, alive: Alive) -> Self {
        Self { disk, alive }
    }
}

impl Disk for ProcessDisk {
    type File = <SimDisk as Disk>::File;

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        self.alive.check()?;
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Self::File> {
        self.alive.check()?;
        self.disk.open(path)
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        self.alive.check()?;
        self.disk.read(path, limit_bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.alive.check()?;
        self.disk.list(dir)
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.alive.check()?;
        self.disk.list_dirs(dir)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.rename_dir(from, to)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.remove_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.remove(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive.check()?;
        self.disk.sync_dir(dir)
    }
}
