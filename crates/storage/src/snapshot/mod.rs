//! Snapshots of the replicated state, each one file. The format is in the crate's documentation.

mod format;
mod reader;
mod receive;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use reader::SnapshotReader;
pub use receive::{RawSnapshot, SnapshotReceiver};
pub use store::{Newest, SnapshotStore};
pub use writer::SnapshotWriter;

/// A failed operation on a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk refused an operation.
    #[error("{op} {}", file.display())]
    Io {
        /// What was tried, as a verb.
        op: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not what was written, or not all of it.
    #[error("snapshot {} is damaged at offset {offset}: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The caller's metadata are larger than the format allows.
    #[error("snapshot metadata of {bytes} bytes are more than {limit_bytes}")]
    MetadataTooLarge {
        /// The size asked for.
        bytes: usize,
        /// The size allowed.
        limit_bytes: usize,
    },
    /// A piece of a received snapshot does not follow the one before.
    #[error("a piece at offset {offset} was received where {expected} should follow")]
    OutOfOrder {
        /// The piece's offset in bytes.
        offset: u64,
        /// The bytes received before.
        expected: u64,
    },
    /// A received snapshot is larger than its receiver allows.
    #[error("the snapshot received is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The size allowed.
        limit_bytes: u64,
    },
}

impl SnapshotError {
    /// Whether the disk, or the owner's share of it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self, SnapshotError::Io { source, .. } if crate::disk::is_full(source))
    }

    fn io(op: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| SnapshotError::Io { op, file: file.to_path_buf(), source }
    }

    fn damaged(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        SnapshotError::Damaged { file: file.to_path_buf(), offset, what: what.into() }
    }
}

/// For the `std::io` traits, which know no other error.
impl From<SnapshotError> for io::Error {
    fn from(error: SnapshotError) -> Self {
        let kind = match &error {
            SnapshotError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
