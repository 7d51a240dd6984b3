//! One log directory at work: its checkpoints, whether its disk works, what waits to be synced.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use polyport_log::{LogDir, LogError};
use polyport_storage::Disk;

use crate::observed::Observed;
use crate::work::flush::FlushQueue;

/// One of `log.dirs` whose disk worked when the store was opened.
///
/// Locks are taken in this order: a partition's, the directory's.
#[derive(Debug)]
pub(crate) struct Dir<D: Disk> {
    pub path: PathBuf,
    /// `None` once it was closed.
    pub log_dir: Mutex<Option<LogDir<D>>>,
    /// Why the disk is not used any more.
    failed: OnceLock<String>,
    /// How many partitions are here.
    pub partitions: AtomicUsize,
    /// Bytes of records in all partitions that are not durable.
    unflushed_bytes: AtomicU64,
    unflushed_limit_bytes: u64,
    pub queue: FlushQueue<D>,
    pub observed: Arc<Observed>,
}

impl<D: Disk> Dir<D> {
    pub fn new(
        log_dir: LogDir<D>,
        unflushed_limit_bytes: u64,
        observed: Arc<Observed>,
    ) -> Arc<Self> {
        Arc::new(Dir {
            path: log_dir.path().to_path_buf(),
            log_dir: Mutex::new(Some(log_dir)),
            failed: OnceLock::new(),
            partitions: AtomicUsize::new(0),
            unflushed_bytes: AtomicU64::new(0),
            unflushed_limit_bytes,
            queue: FlushQueue::default(),
            observed,
        })
    }

    /// Why the directory is offline, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    pub fn is_offline(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Takes note of an error. A disk that fails is not used any more: what it says of what was
    /// written is worth nothing. A full one may be used when there is room again, and what is wrong
    /// with one partition's files is that partition's trouble.
    pub fn failed(&self, error: &LogError) {
        let LogError::Io { source, .. } = error else { return };
        // Nor is it the disk's fault when descriptors are short.
        if error.is_shortage() {
            return;
        }
        let why = format!("{error}: {source}");
        if self.failed.set(why.clone()).is_ok() {
            let dir = self.path.display();
            tracing::error!(%dir, error = why, "a log directory failed and is offline");
            self.queue.ring();
        }
    }

    /// Counts bytes that a crash of the machine would lose.
    pub fn add_unflushed(&self, bytes: u64) {
        let before = self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        let limit = self.unflushed_limit_bytes;
        if before <= limit && before + bytes > limit {
            self.queue.push_excess();
        }
    }

    pub fn sub_unflushed(&self, bytes: u64) {
        self.unflushed_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether more is not durable than should be. Syncing goes on until it is half of that, so that
    /// it does not begin again with the next append.
    pub fn has_excess(&self) -> bool {
        self.unflushed_bytes.load(Ordering::Relaxed) > self.unflushed_limit_bytes / 2
    }
}
