//! `.txnindex`: the aborted transactions whose markers are in the segment. 34 bytes an entry: version
//! 0, producer id, first offset, marker's offset, last stable offset then; big-endian. The file is
//! made with its first entry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_storage::{Disk, DiskFile};

use crate::error::{LogError, io_error};

const ENTRY_BYTES: usize = 34;

/// A transaction whose records a `read_committed` consumer skips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose it was.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
    /// The last stable offset after the marker.
    pub last_stable_offset: i64,
}

impl AbortedTxn {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut raw = [0; ENTRY_BYTES];
        let fields =
            [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (chunk, field) in raw[2..].chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.to_be_bytes());
        }
        raw
    }

    fn decode(raw: &[u8; ENTRY_BYTES]) -> Option<AbortedTxn> {
        let field = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&raw[at..at + 8]);
            i64::from_be_bytes(field)
        };
        let txn = AbortedTxn {
            producer_id: field(2),
            first_offset: field(10),
            last_offset: field(18),
            last_stable_offset: field(26),
        };
        (raw[..2] == [0, 0] && txn.first_offset <= txn.last_offset && *raw != [0; ENTRY_BYTES])
            .then_some(txn)
    }
}

#[derive(Debug)]
pub(crate) struct TxnIndex<D: Disk> {
    disk: D,
    path: PathBuf,
    file: Option<Arc<D::File>>,
    entries: Vec<AbortedTxn>,
    dirty: bool,
}

impl<D: Disk> TxnIndex<D> {
    /// One without a file.
    pub fn none(disk: &D, path: &Path) -> Self {
        let (disk, path) = (disk.clone(), path.to_path_buf());
        TxnIndex { disk, path, file: None, entries: Vec::new(), dirty: false }
    }

    /// The same without its entries.
    pub fn emptied(&self) -> Self {
        Self::none(&self.disk, &self.path)
    }

    /// Reads the file if there is one, as far as its entries are entries.
    pub fn open(disk: &D, path: &Path) -> Result<Self, LogError> {
        let mut index = Self::none(disk, path);
        let bytes = match disk.read(path, u64::from(u32::MAX)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(index),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        index.file = Some(Arc::new(disk.open(path).map_err(io_error("open", path))?));
        let (raw, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        index.entries = raw.iter().map_while(AbortedTxn::decode).collect();
        if index.entries.len() < raw.len() || !rest.is_empty() {
            index.cut()?;
        }
        Ok(index)
    }

    fn cut(&mut self) -> Result<(), LogError> {
        if let Some(file) = &self.file {
            let len = (self.entries.len() * ENTRY_BYTES) as u64;
            file.set_len(len).map_err(io_error("truncate", &self.path))?;
            file.sync_data().map_err(io_error("sync", &self.path))?;
        }
        Ok(())
    }

    /// Adds an entry, unless its marker is not behind the last one's: replaying a log meets markers
    /// that are here already. Says whether the file was made.
    pub fn push(&mut self, txn: AbortedTxn) -> Result<bool, LogError> {
        if self.entries.last().is_some_and(|last| last.last_offset >= txn.last_offset) {
            return Ok(false);
        }
        let made = self.file.is_none();
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = self.disk.create(&self.path);
                Arc::new(file.map_err(io_error("create", &self.path))?)
            }
        };
        let at = (self.entries.len() * ENTRY_BYTES) as u64;
        let written = file.write_at(&txn.encode(), at);
        self.file = Some(file);
        written.map_err(io_error("write", &self.path))?;
        self.entries.push(txn);
        self.dirty = true;
        Ok(made)
    }

    /// Removes transactions whose markers are at this offset or later.
    pub fn truncate(&mut self, offset: i64) -> Result<(), LogError> {
        let keep = self.entries.partition_point(|txn| txn.last_offset < offset);
        if keep == self.entries.len() {
            return Ok(());
        }
        self.entries.truncate(keep);
        self.cut()
    }

    /// What must be synced for all entries to be durable.
    pub fn take_dirty(&mut self) -> Option<Arc<D::File>> {
        if std::mem::take(&mut self.dirty) { self.file.clone() } else { None }
    }

    pub fn entries(&self) -> &[AbortedTxn] {
        &self.entries
    }

    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }
}
