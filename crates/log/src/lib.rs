//! The log: one partition's records on disk, in Kafka's own layout, so that Kafka's tools read it and
//! a Kafka's directory can be taken over. Reference: Apache Kafka 3.9, message format version 2.
//!
//! - [`batch`]: record batches: views over bytes, checks, construction, codecs. Pure.
//! - [`segment`]: a file of batches with its indexes.
//! - [`log`]: [`Log`]: appending, reading, truncating, retention, recovery.
//! - [`producer`]: idempotent producers and transactions.
//! - [`cleaner`] is compaction.
//! - [`checkpoint`]: the small text files.
//! - [`dir`]: [`LogDir`], one of `log.dirs`.
//!
//! # The layout
//! In a log directory:
//!
//! | file | holds |
//! |---|---|
//! | `meta.properties` | broker id and cluster id |
//! | `recovery-point-offset-checkpoint` | per partition, up to where records are durable |
//! | `replication-offset-checkpoint` | per partition, the high watermark |
//! | `log-start-offset-checkpoint` | per partition, the log start offset where no segment begins |
//! | `cleaner-offset-checkpoint` | per partition, up to where compaction has come |
//! | `.kafka_cleanshutdown` | there after a clean stop |
//! | `<topic>-<partition>/` | a partition |
//! | `<topic>-<partition>.<id>-delete/` | a partition that is being removed |
//! | `<topic>-<partition>.<id>-stray/` | one that nobody knew, left for an operator |
//!
//! In a partition's directory; offsets in names have 20 digits:
//!
//! | file | holds |
//! |---|---|
//! | `<base>.log` | batches, one after the other |
//! | `<base>.index` | 8 bytes an entry: last offset of an append relative to the base, its position |
//! | `<base>.timeindex` | 12 bytes an entry: greatest timestamp so far, its offset relative to the base |
//! | `<base>.txnindex` | 34 bytes an entry: an aborted transaction; only if there is one |
//! | `<offset>.snapshot` | the producers as of that offset |
//! | `leader-epoch-checkpoint` | the first offset of each leader epoch |
//! | `partition.metadata` | the topic's id |
//! | `*.cleaned`, `*.swap` | compaction at work, see [`cleaner`] |
//! | `*.deleted` | waits for its removal |
//!
//! Everything binary is big-endian; checksums are CRC-32C. The text files are version, count and a
//! line an entry.
//!
//! # What a crash leaves
//! Records are written without syncing; `flush.messages`, `flush.ms` and the caller decide when to
//! sync. Below the recovery point, records and index entries are durable and are not read at a start.
//! From there on every batch is checked, and the log ends where the first bad one begins: what was
//! flushed is always there, and what is there is a prefix of what was appended. What is found valid
//! is as durable as it was: a start syncs nothing that the next flush can sync. Truncation syncs at
//! once, so that old records cannot come back in the place of new ones.
//!
//! Different from Kafka: a start reads from the last index entry below the recovery point, not the
//! whole segment; index files are not reserved ahead; reads end between batches.
//!
//! # Deliberately absent
//! - Sockets, requests, replication between nodes, groups: those who use logs.
//! - Threads, tokio, clocks: time comes in as a value, and callers decide where blocking calls run.
//! - Message formats 0 and 1: [`batch::BatchError::Magic`] refuses them, on the wire and in segments;
//!   who accepts them from clients converts them with [`batch::BatchBuilder`].
//! - Tiered storage; the transaction verification of KIP-890, which needs the coordinator.

pub mod batch;
pub mod checkpoint;
pub mod cleaner;
pub mod config;
pub mod dir;
pub mod error;
pub mod log;
pub mod producer;
pub mod segment;

use std::path::Path;

use polyport_storage::Disk;

pub use config::{Compression, Inspect, LogConfig};
pub use dir::{LogDir, LogDirError};
pub use error::{LogError, OffsetOutOfRange};
pub use log::{
    AppendError, Appended, Checked, Fetched, Flush, FoundTimestamp, Isolation, LaterRead, Log,
    OpenPoints, PlannedRead, ReadError, Recovered, Removed, Start, check_for_leader,
};
pub use segment::{AbortedTxn, FileRange, TimestampOffset};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there<D: Disk>(disk: &D, path: &Path) -> Result<(), LogError> {
    match disk.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error::io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}
