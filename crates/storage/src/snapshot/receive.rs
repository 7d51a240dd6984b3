//! Snapshots as raw bytes, for sending to and receiving from another node.

use std::path::PathBuf;

use super::reader::SnapshotReader;
use super::store::Layout;
use super::{SnapshotError, format};
use crate::disk::{Disk, DiskFile};

/// A snapshot's file as bytes, for sending. It stays readable when the snapshot is purged meanwhile.
#[derive(Debug)]
pub struct RawSnapshot<F> {
    pub(super) file: F,
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

impl<F: DiskFile> RawSnapshot<F> {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never true of a whole snapshot.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buf` from `offset` as far as the file goes, and says how many bytes that were.
    ///
    /// # Errors
    /// `Io`.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, SnapshotError> {
        self.file.read_full_at(buf, offset).map_err(SnapshotError::io("read", &self.path))
    }
}

/// Takes another node's snapshot in, piece by piece, under a temporary name. It exists once
/// [`SnapshotReceiver::finish`] returned `Ok`.
#[derive(Debug)]
pub struct SnapshotReceiver<D: Disk> {
    layout: Layout<D>,
    file: D::File,
    temporary: PathBuf,
    received: u64,
    limit_bytes: u64,
}

impl<D: Disk> SnapshotReceiver<D> {
    pub(super) fn new(layout: Layout<D>, limit_bytes: u64) -> Result<Self, SnapshotError> {
        let (file, temporary) = layout.create_tmp("received")?;
        Ok(SnapshotReceiver { layout, file, temporary, received: 0, limit_bytes })
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Writes the next piece, which begins at `offset`.
    ///
    /// # Errors
    /// `OutOfOrder`, `TooLarge`, `Io`; the piece may be sent again.
    pub fn write(&mut self, offset: u64, piece: &[u8]) -> Result<(), SnapshotError> {
        if offset != self.received {
            return Err(SnapshotError::OutOfOrder { offset, expected: self.received });
        }
        let end = self.received.saturating_add(piece.len() as u64);
        if end > self.limit_bytes {
            return Err(SnapshotError::TooLarge { limit_bytes: self.limit_bytes });
        }
        let io = SnapshotError::io("write to", &self.temporary);
        self.file.write_at(piece, self.received).map_err(io)?;
        self.received = end;
        Ok(())
    }

    /// Checks the whole, makes it durable, gives it its name and returns its index.
    ///
    /// # Errors
    /// `Damaged` if it is not a whole snapshot, `Io`; it does not exist then, and nothing of it is
    /// left.
    pub fn finish(self) -> Result<u64, SnapshotError> {
        let finished = self.publish();
        if finished.is_err() {
            self.layout.discard(&self.temporary);
        }
        finished
    }

    fn publish(&self) -> Result<u64, SnapshotError> {
        let io = SnapshotError::io("open", &self.temporary);
        let again = self.layout.disk.open(&self.temporary).map_err(io)?;
        let reader = SnapshotReader::new(again, self.temporary.clone())?;
        let index = reader.index();
        reader.verify()?;
        self.layout.publish(&self.file, &self.temporary, index)?;
        Ok(index)
    }

    /// Gives up and removes what was received.
    ///
    /// # Errors
    /// `Io`.
    pub fn abort(self) -> Result<(), SnapshotError> {
        let io = SnapshotError::io("remove", &self.temporary);
        self.layout.disk.remove(&self.temporary).map_err(io)
    }
}

/// Whether a file of the directory is a temporary one of this crate.
pub(super) fn is_temporary(file: &str) -> bool {
    file.strip_suffix(".tmp").is_some_and(|rest| {
        let (name, number) = rest.rsplit_once('.').unwrap_or((rest, ""));
        number.parse::<u64>().is_ok() && (name == "received" || format::parse_name(name).is_some())
    })
}
