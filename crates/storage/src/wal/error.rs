//! What can go wrong with the journal.

use std::io;
use std::path::{Path, PathBuf};

/// A failed operation on the journal.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The disk refused an operation. Unless [`WalError::Poisoned`] follows, the operation may be
    /// tried again.
    #[error("{op} {}", file.display())]
    Io {
        /// What was tried, as a verb.
        op: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Data that was durable is no longer what was written, or is gone. Never repaired silently.
    #[error(
        "{} is corrupt at offset {offset}: {what}. This node's journal can no longer be trusted. In \
         an ensemble with a majority of healthy nodes: move this node's data directory away and \
         start the node again, it rejoins from the others. Otherwise: restore a backup with \
         `polyport restore`",
        file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A sync failed earlier. What is durable is unknown, so that nothing may be acknowledged until
    /// the process has started again and recovered.
    #[error("the journal stopped after a failed sync ({reason}); restart the node")]
    Poisoned {
        /// The failure that stopped it.
        reason: String,
    },
    /// The caller left a gap or went back without truncating.
    #[error("entry {index} does not follow the log, whose next index is {expected}")]
    OutOfOrder {
        /// The index given.
        index: u64,
        /// The index that must come next.
        expected: u64,
    },
    /// One record, or what is buffered without a flush, is larger than the format or the options
    /// allow.
    #[error("{bytes} bytes are more than the journal's limit of {limit_bytes}")]
    TooLarge {
        /// The size asked for.
        bytes: u64,
        /// The size allowed.
        limit_bytes: u64,
    },
    /// An option has an impossible value.
    #[error("journal option {option}: {problem}")]
    BadOption {
        /// The field of `WalOptions`.
        option: &'static str,
        /// Why not.
        problem: &'static str,
    },
}

impl WalError {
    /// Whether the disk, or the owner's share of it, is full: nothing is wrong that free space would
    /// not cure.
    pub fn is_full(&self) -> bool {
        matches!(self, WalError::Io { source, .. } if crate::disk::is_full(source))
    }

    /// For `map_err` on a disk's operation.
    pub(super) fn io(op: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| WalError::Io { op, file: file.to_path_buf(), source }
    }

    /// For a finding in a file.
    pub(super) fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        WalError::Corrupt { file: file.to_path_buf(), offset, what: what.into() }
    }
}
