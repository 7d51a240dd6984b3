//! Why the log could not do something.

use std::io;
use std::path::{Path, PathBuf};

use crate::batch::BatchError;

/// A failure of the disk or of what is on it. Kafka's KAFKA_STORAGE_ERROR: the directory it names is
/// not to be used further.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A batch that was stored is not valid any more.
    #[error("{} at byte {position}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the batch begins.
        position: u64,
        /// What is wrong with it.
        source: BatchError,
    },
    /// A text file is not in its format.
    #[error("{}, line {line}: {what}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
    /// A sync failed before: what it covered may be lost, so nothing may be appended.
    #[error("the log stopped when a sync failed: {0}")]
    Poisoned(String),
}

impl LogError {
    /// Whether nothing is wrong but that space, descriptors or memory are short.
    pub fn is_shortage(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if polyport_storage::disk::is_shortage(source))
    }
}

/// Makes an error of the system's word.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_path_buf();
    move |source| LogError::Io { doing, path, source }
}

/// An offset outside the log. OFFSET_OUT_OF_RANGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} is outside {start}..{end}")]
pub struct OffsetOutOfRange {
    /// What was asked for.
    pub offset: i64,
    /// The log start offset.
    pub start: i64,
    /// The log end offset.
    pub end: i64,
}
