//! A file of entries of one size, appended to and searched. New entries wait in memory until there is
//! a page of them or the segment is flushed: a crash loses only what recovery computes again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_storage::{Disk, DiskFile};

use crate::error::{LogError, io_error};

/// Pending bytes at which they are written.
const PAGE_BYTES: usize = 4096;

/// The file is open only while it is written: most segments get no more records and are seldom
/// searched, and of a broker with many the indexes would be most of its open files.
#[derive(Debug)]
pub(crate) struct IndexFile<D: Disk, const N: usize> {
    disk: D,
    path: PathBuf,
    file: Option<Arc<D::File>>,
    /// Entries in the file.
    written: u32,
    pending: Vec<u8>,
    last: Option<[u8; N]>,
    dirty: bool,
    sealed: bool,
}

/// Derived, it would ask for files that can be cloned.
impl<D: Disk, const N: usize> Clone for IndexFile<D, N> {
    fn clone(&self) -> Self {
        IndexFile {
            disk: self.disk.clone(),
            path: self.path.clone(),
            file: self.file.clone(),
            written: self.written,
            pending: self.pending.clone(),
            last: self.last,
            dirty: self.dirty,
            sealed: self.sealed,
        }
    }
}

impl<D: Disk, const N: usize> IndexFile<D, N> {
    pub fn create(disk: &D, path: &Path) -> Result<Self, LogError> {
        let file = disk.create(path).map_err(io_error("create", path))?;
        Ok(Self::new(disk, path, Some(Arc::new(file))))
    }

    fn new(disk: &D, path: &Path, file: Option<Arc<D::File>>) -> Self {
        let (disk, path) = (disk.clone(), path.to_path_buf());
        IndexFile {
            disk,
            path,
            file,
            written: 0,
            pending: Vec::new(),
            last: None,
            dirty: false,
            sealed: false,
        }
    }

    /// Looks at the file; `None` if it is not there or its length is none of an index.
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
        let mut index = Self::new(disk, path, None);
        index.written = written;
        index.last = match written {
            0 => None,
            some => Some(index.get_from(&file, some - 1)?),
        };
        Ok(Some(index))
    }

    /// The file, opened if it is not.
    fn handle(&self) -> Result<Arc<D::File>, LogError> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => {
                let file = self.disk.open(&self.path).map_err(io_error("open", &self.path))?;
                Ok(Arc::new(file))
            }
        }
    }

    /// Keeps the file open.
    pub fn hold(&mut self) -> Result<(), LogError> {
        self.held().map(|_| ())
    }

    /// The file, which stays open.
    fn held(&mut self) -> Result<Arc<D::File>, LogError> {
        let file = self.handle()?;
        self.file = Some(file.clone());
        Ok(file)
    }

    pub fn len(&self) -> u32 {
        self.written + (self.pending.len() / N) as u32
    }

    pub fn last(&self) -> Option<[u8; N]> {
        self.last
    }

    pub fn get(&self, at: u32) -> Result<[u8; N], LogError> {
        if at >= self.written {
            return Ok(self.get_pending(at));
        }
        self.get_from(&*self.handle()?, at)
    }

    fn get_pending(&self, at: u32) -> [u8; N] {
        let mut entry = [0; N];
        let from = (at - self.written) as usize * N;
        entry.copy_from_slice(&self.pending[from..from + N]);
        entry
    }

    fn get_from(&self, file: &D::File, at: u32) -> Result<[u8; N], LogError> {
        let mut entry = [0; N];
        let read = file.read_full_at(&mut entry, u64::from(at) * N as u64);
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
        let file = self.handle()?;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = match middle < self.written {
                true => self.get_from(&file, middle)?,
                false => self.get_pending(middle),
            };
            if holds(&entry) {
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
        let file = self.held()?;
        file.write_at(&self.pending, at).map_err(io_error("write", &self.path))?;
        self.written += (self.pending.len() / N) as u32;
        self.pending.clear();
        self.dirty = true;
        Ok(())
    }

    /// Makes all entries durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.write()?;
        if self.dirty {
            self.held()?.sync_data().map_err(io_error("sync", &self.path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// What must be synced for all entries to be durable; the caller syncs it or gives up the log.
    pub fn take_dirty(&mut self) -> Result<Option<Arc<D::File>>, LogError> {
        self.write()?;
        if !self.dirty {
            return Ok(None);
        }
        let file = self.handle()?;
        self.dirty = false;
        if self.sealed {
            self.file = None;
        }
        Ok(Some(file))
    }

    /// Keeps the first entries only, durably: later entries will stand in the same places.
    pub fn truncate(&mut self, keep: u32) -> Result<(), LogError> {
        if keep >= self.len() {
            return Ok(());
        }
        self.write()?;
        let len = u64::from(keep) * N as u64;
        self.sealed = false;
        self.held()?.set_len(len).map_err(io_error("truncate", &self.path))?;
        self.written = keep;
        self.last = match keep {
            0 => None,
            some => Some(self.get(some - 1)?),
        };
        self.dirty = true;
        self.sync()
    }

    /// Gives back the memory of pending entries and, when all is synced, the open file: the segment
    /// gets no more.
    pub fn seal(&mut self) -> Result<(), LogError> {
        self.write()?;
        self.pending = Vec::new();
        self.sealed = true;
        if !self.dirty {
            self.file = None;
        }
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
        let file = self.handle()?;
        'all: while keep < self.written {
            let at = u64::from(keep) * N as u64;
            let read = file.read_full_at(&mut bytes, at);
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
