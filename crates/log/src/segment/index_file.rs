//! A file of entries of one size, appended to and searched. New entries wait in memory until there is
//! a page of them or the segment is flushed: a crash loses only what recovery computes again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_storage::{Disk, DiskFile};

use crate::error::{LogError, io_error};

/// Pending bytes at which they are written.
const PAGE_BYTES: usize = 4096;

#[derive(Debug)]
pub(crate) struct IndexFile<D: Disk, const N: usize> {
    path: PathBuf,
    file: Arc<D::File>,
    /// Entries in the file.
    written: u32,
    pending: Vec<u8>,
    last: Option<[u8; N]>,
    dirty: bool,
}

impl<D: Disk, const N: usize> IndexFile<D, N> {
    pub fn create(disk: &D, path: &Path) -> Result<Self, LogError> {
        let file = disk.create(path).map_err(io_error("create", path))?;
        let (path, file) = (path.to_path_buf(), Arc::new(file));
        Ok(IndexFile { path, file, written: 0, pending: Vec::new(), last: None, dirty: false })
    }

    /// Opens the file; `None` if it is not there or its length is none of an index.
    pub fn open(disk: &D, path: &Path) -> Result<Option<Self>, LogError> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", path)(error)),
        };
        let len = file.len().map_err(io_error("measure", path))?;
        if !len.is_multiple_of(N as u64) {
            return Ok(None);
        }
        let Ok(written) = u32::try_from(len / N as u64) else { return Ok(None) };
        let (path, file) = (path.to_path_buf(), Arc::new(file));
        let mut index =
            IndexFile { path, file, written, pending: Vec::new(), last: None, dirty: false };
        index.last = match written {
            0 => None,
            some => Some(index.get(some - 1)?),
        };
        Ok(Some(index))
    }

    pub fn len(&self) -> u32 {
        self.written + (self.pending.len() / N) as u32
    }

    pub fn last(&self) -> Option<[u8; N]> {
        self.last
    }

    pub fn get(&self, at: u32) -> Result<[u8; N], LogError> {
        let mut entry = [0; N];
        if at >= self.written {
            let from = (at - self.written) as usize * N;
            entry.copy_from_slice(&self.pending[from..from + N]);
            return Ok(entry);
        }
        let read = self.file.read_full_at(&mut entry, u64::from(at) * N as u64);
        if read.map_err(io_error("read", &self.path))? < N {
            let gone = std::io::ErrorKind::UnexpectedEof.into();
            return Err(io_error("read", &self.path)(gone));
        }
        Ok(entry)
    }

    /// How many entries from the first on satisfy `holds`, which is true up to some entry and false
    /// after it.
    pub fn partition_point(&self, holds: impl Fn(&[u8; N]) -> bool) -> Result<u32, LogError> {
        let (mut low, mut high) = (0, self.len());
        // Most searches are for the end.
        if self.last.as_ref().is_none_or(&holds) {
            return Ok(high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(&self.get(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Adds an entry. That a full page cannot be written is no failure of the append, whose records
    /// are written already: the page stays pending and the next flush tries, and reports it.
    pub fn push(&mut self, entry: [u8; N]) {
        self.pending.extend_from_slice(&entry);
        self.last = Some(entry);
        if self.pending.len().is_multiple_of(PAGE_BYTES / N * N) {
            let _ = self.write();
        }
    }

    /// Hands pending entries to the file.
    pub fn write(&mut self) -> Result<(), LogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let at = u64::from(self.written) * N as u64;
        self.file.write_at(&self.pending, at).map_err(io_error("write", &self.path))?;
        self.written += (self.pending.len() / N) as u32;
        self.pending.clear();
        self.dirty = true;
        Ok(())
    }

    /// Makes all entries durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.write()?;
        if self.dirty {
            self.file.sync_data().map_err(io_error("sync", &self.path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// What must be synced for all entries to be durable; the caller syncs it or gives up the log.
    pub fn take_dirty(&mut self) -> Result<Option<Arc<D::File>>, LogError> {
        self.write()?;
        Ok(std::mem::take(&mut self.dirty).then(|| self.file.clone()))
    }

    /// Keeps the first entries only, durably: later entries will stand in the same places.
    pub fn truncate(&mut self, keep: u32) -> Result<(), LogError> {
        if keep >= self.len() {
            return Ok(());
        }
        self.write()?;
        let len = u64::from(keep) * N as u64;
        self.file.set_len(len).map_err(io_error("truncate", &self.path))?;
        self.written = keep;
        self.last = match keep {
            0 => None,
            some => Some(self.get(some - 1)?),
        };
        self.dirty = true;
        self.sync()
    }

    /// Gives back the memory of pending entries: the segment gets no more.
    pub fn seal(&mut self) -> Result<(), LogError> {
        self.write()?;
        self.pending = Vec::new();
        Ok(())
    }

    /// Keeps entries up to the first one that does not follow `order` from the one before it.
    pub fn keep_ordered(
        &mut self,
        order: impl Fn(Option<&[u8; N]>, &[u8; N]) -> bool,
    ) -> Result<(), LogError> {
        let mut before: Option<[u8; N]> = None;
        let mut bytes = vec![0; PAGE_BYTES / N * N];
        let mut keep = 0;
        'all: while keep < self.written {
            let at = u64::from(keep) * N as u64;
            let read = self.file.read_full_at(&mut bytes, at);
            let read = read.map_err(io_error("read", &self.path))?;
            let (entries, _) = bytes[..read].as_chunks::<N>();
            for entry in entries {
                if !order(before.as_ref(), entry) {
                    break 'all;
                }
                before = Some(*entry);
                keep += 1;
            }
            if entries.is_empty() {
                break;
            }
        }
        self.truncate(keep)
    }
}
