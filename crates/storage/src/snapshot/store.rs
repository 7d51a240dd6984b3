//! The directory of snapshots.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::receive::is_temporary;
use super::{RawSnapshot, SnapshotError, SnapshotReader, SnapshotReceiver, SnapshotWriter, format};
use crate::disk::{Disk, DiskFile};

/// The snapshots in one directory. Clones name the same directory.
#[derive(Clone, Debug)]
pub struct SnapshotStore<D: Disk> {
    layout: Layout<D>,
}

/// What writers and receivers need of the directory.
#[derive(Clone, Debug)]
pub(super) struct Layout<D: Disk> {
    pub disk: D,
    dir: PathBuf,
    /// Keeps the temporary files of concurrent writers apart.
    serial: Arc<AtomicU64>,
}

/// The newest snapshot that is whole, and those newer ones that are not.
#[derive(Debug)]
pub struct Newest<F> {
    /// At the start of its payload.
    pub snapshot: Option<SnapshotReader<F>>,
    /// Why newer ones were passed over, the newest first.
    pub damaged: Vec<SnapshotError>,
}

impl<D: Disk> SnapshotStore<D> {
    /// The snapshots of `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// `Io`; so do all other methods.
    pub fn open_dir(disk: D, dir: impl AsRef<Path>) -> Result<Self, SnapshotError> {
        let dir = dir.as_ref().to_path_buf();
        disk.create_dir_all(&dir).map_err(SnapshotError::io("create", &dir))?;
        Ok(SnapshotStore { layout: Layout { disk, dir, serial: Arc::default() } })
    }

    /// Begins the snapshot of everything up to the log index `index`.
    ///
    /// # Errors
    /// `Io`; `MetadataTooLarge` above 1 MiB.
    pub fn create(&self, index: u64, metadata: &[u8]) -> Result<SnapshotWriter<D>, SnapshotError> {
        SnapshotWriter::new(self.layout.clone(), index, metadata)
    }

    /// Begins to receive another node's snapshot of at most `limit_bytes`.
    ///
    /// # Errors
    /// `Io`.
    pub fn receive(&self, limit_bytes: u64) -> Result<SnapshotReceiver<D>, SnapshotError> {
        SnapshotReceiver::new(self.layout.clone(), limit_bytes)
    }

    /// The indexes of the snapshots there are, oldest first. They are not checked.
    ///
    /// # Errors
    /// `Io`.
    pub fn list(&self) -> Result<Vec<u64>, SnapshotError> {
        let mut indexes: Vec<u64> =
            self.layout.files()?.iter().filter_map(|file| format::parse_name(file)).collect();
        indexes.sort_unstable();
        Ok(indexes)
    }

    /// Opens one for reading its payload. Damage shows when the damaged chunk is reached.
    ///
    /// # Errors
    /// `Io`, also if it does not exist; `Damaged` if its header is.
    pub fn open(&self, index: u64) -> Result<SnapshotReader<D::File>, SnapshotError> {
        let (file, path) = self.layout.open(index)?;
        let reader = SnapshotReader::new(file, path.clone())?;
        if reader.index() != index {
            let what = format!("the file is named as index {index}, but holds {}", reader.index());
            return Err(SnapshotError::damaged(&path, 16, what));
        }
        Ok(reader)
    }

    /// Opens one for sending its bytes.
    ///
    /// # Errors
    /// `Io`, also if it does not exist.
    pub fn open_raw(&self, index: u64) -> Result<RawSnapshot<D::File>, SnapshotError> {
        let (file, path) = self.layout.open(index)?;
        let len = file.len().map_err(SnapshotError::io("read", &path))?;
        Ok(RawSnapshot { file, path, len })
    }

    /// Looks for the newest snapshot that is whole, reading candidates to their end.
    ///
    /// # Errors
    /// `Io`; damage is no error but reported in the result.
    pub fn newest_valid(&self) -> Result<Newest<D::File>, SnapshotError> {
        let mut damaged = Vec::new();
        for index in self.list()?.into_iter().rev() {
            match self.open(index).and_then(SnapshotReader::verify) {
                Ok(_) => return Ok(Newest { snapshot: Some(self.open(index)?), damaged }),
                Err(error @ SnapshotError::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(Newest { snapshot: None, damaged })
    }

    /// Removes all but the newest `keep` snapshots and returns the indexes of those removed.
    ///
    /// # Errors
    /// `Io`.
    pub fn purge_keeping(&self, keep: usize) -> Result<Vec<u64>, SnapshotError> {
        let mut indexes = self.list()?;
        indexes.truncate(indexes.len().saturating_sub(keep));
        for index in &indexes {
            self.layout.remove(&format::name(*index))?;
        }
        Ok(indexes)
    }

    /// Removes temporary files that an interrupted process left, and returns how many. Only while
    /// nothing is being written or received.
    ///
    /// # Errors
    /// `Io`.
    pub fn delete_tmp(&self) -> Result<usize, SnapshotError> {
        let files = self.layout.files()?;
        let temporary: Vec<&String> = files.iter().filter(|file| is_temporary(file)).collect();
        for file in &temporary {
            self.layout.remove(file)?;
        }
        Ok(temporary.len())
    }
}

impl<D: Disk> Layout<D> {
    fn files(&self) -> Result<Vec<String>, SnapshotError> {
        self.disk.list(&self.dir).map_err(SnapshotError::io("list", &self.dir))
    }

    fn open(&self, index: u64) -> Result<(D::File, PathBuf), SnapshotError> {
        let path = self.dir.join(format::name(index));
        let file = self.disk.open(&path).map_err(SnapshotError::io("open", &path))?;
        Ok((file, path))
    }

    fn remove(&self, name: &str) -> Result<(), SnapshotError> {
        let path = self.dir.join(name);
        self.disk.remove(&path).map_err(SnapshotError::io("remove", &path))
    }

    /// Makes an empty file with a temporary name.
    pub fn create_tmp(&self, name: &str) -> Result<(D::File, PathBuf), SnapshotError> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{name}.{serial}.tmp"));
        let file = self.disk.create(&path).map_err(SnapshotError::io("create", &path))?;
        Ok((file, path))
    }

    /// Removes a temporary file that is of no use, if that is possible.
    pub fn discard(&self, temporary: &Path) {
        // Another error is on its way to the caller, and `delete_tmp` will try again.
        drop(self.disk.remove(temporary));
    }

    /// Makes a temporary file's content durable, then its final name.
    pub fn publish(
        &self,
        file: &D::File,
        temporary: &Path,
        index: u64,
    ) -> Result<(), SnapshotError> {
        file.sync_data().map_err(SnapshotError::io("sync", temporary))?;
        let path = self.dir.join(format::name(index));
        self.disk.rename(temporary, &path).map_err(SnapshotError::io("rename", temporary))?;
        self.disk.sync_dir(&self.dir).map_err(SnapshotError::io("sync", &self.dir))
    }
}
