//! A partition at work: its log, its role, and who waits for it.

mod append;
mod clean;
mod core;
mod flush;
mod follow;
mod offsets;
mod read;
mod role;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::{Log, LogError, TopicPartition};
use polyport_storage::Disk;

pub use append::{Acks, AppendAnswer, AppendOptions};
pub use follow::FollowedLeader;
pub use offsets::{ListOffset, OffsetAt};
pub use read::{Read, ReadAnswer};
pub use role::Role;

use crate::dir::Dir;
use crate::error::Refused;
use crate::replicas::BrokerId;
use crate::settings::TopicConfig;
use crate::wait::fetch::FetchWaiters;
use core::Core;

/// What the partition needs to know of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub broker_id: BrokerId,
    pub lag_max_ms: i64,
}

/// A partition of which this broker has a replica.
///
/// All methods may be called by many at once. They block for as long as a write to the page cache
/// takes, or a read of an index; none syncs but those that say so.
///
/// Locks are taken in this order: `flushing`, `core`, the directory's, the waiters'.
#[derive(Debug)]
pub struct Partition<D: Disk> {
    of: TopicPartition,
    topic_id: OnceLock<TopicId>,
    dir: Arc<Dir<D>>,
    local: Local,
    /// Apart from the log, so that records are checked without it.
    config: RwLock<Arc<TopicConfig>>,
    core: RwLock<Core<D>>,
    waiters: FetchWaiters,
    /// Held by the one flush of the log that is at work, and by whoever shortens it.
    flushing: Mutex<()>,
    /// It is in the directory's queue to be flushed, at once or when it is time.
    flush_queued: AtomicBool,
    flush_due: AtomicBool,
    /// A round of compaction is at work.
    cleaning: AtomicBool,
}

/// How a partition is, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// What this broker is to it.
    pub role: Role,
    /// The newest leader epoch this broker knows; -1 if none.
    pub leader_epoch: i32,
    /// In-sync replicas, as the leader knows them.
    pub isr: Vec<BrokerId>,
    /// How many replicas there are, as the leader knows them.
    pub replicas: usize,
    /// Fewer are in sync than `min.insync.replicas`; leader only.
    pub under_min_isr: bool,
    /// The first offset that may be read.
    pub log_start_offset: i64,
    /// Up to where `read_committed` consumers see.
    pub last_stable_offset: i64,
    /// Up to where consumers see.
    pub high_watermark: i64,
    /// The next record's offset.
    pub log_end_offset: i64,
    /// Bytes of records.
    pub size_bytes: u64,
    /// How many segments.
    pub segments: usize,
}

impl<D: Disk> Partition<D> {
    pub(crate) fn new(
        of: TopicPartition,
        topic_id: Option<TopicId>,
        dir: Arc<Dir<D>>,
        local: Local,
        config: Arc<TopicConfig>,
        log: Result<Log<D>, Refused>,
    ) -> Arc<Self> {
        let known = OnceLock::new();
        if let Some(topic_id) = topic_id {
            known.get_or_init(|| topic_id);
        }
        Arc::new(Partition {
            of,
            topic_id: known,
            dir,
            local,
            config: RwLock::new(config),
            core: RwLock::new(Core::new(log)),
            waiters: FetchWaiters::default(),
            flushing: Mutex::new(()),
            flush_queued: AtomicBool::new(false),
            flush_due: AtomicBool::new(false),
            cleaning: AtomicBool::new(false),
        })
    }

    /// Which one it is.
    pub fn of(&self) -> &TopicPartition {
        &self.of
    }

    /// The topic's id; `None` for a directory of a Kafka that had none.
    pub fn topic_id(&self) -> Option<TopicId> {
        self.topic_id.get().copied()
    }

    pub(crate) fn topic_id_cell(&self) -> &OnceLock<TopicId> {
        &self.topic_id
    }

    /// The log directory it is in.
    pub fn log_dir(&self) -> &std::path::Path {
        &self.dir.path
    }

    pub(crate) fn dir(&self) -> &Arc<Dir<D>> {
        &self.dir
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<TopicConfig> {
        self.config.read().clone()
    }

    /// Why everything is refused, if it is: `Storage`, `Gone`, or `NotLeader` once the store is closed.
    pub fn failure(&self) -> Option<Refused> {
        self.core.read().usable(&self.dir).err()
    }

    /// How it is.
    ///
    /// # Errors
    /// `Storage`, `Gone`.
    pub fn status(&self) -> Result<PartitionStatus, Refused> {
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        let set = core.replicas();
        Ok(PartitionStatus {
            role: core.role(),
            leader_epoch: core.leader_epoch,
            isr: set.map_or_else(Vec::new, |set| set.isr().to_vec()),
            replicas: set.map_or(0, |set| set.followers().len() + 1),
            under_min_isr: set.is_some_and(|set| !set.has_enough()),
            log_start_offset: log.log_start_offset(),
            last_stable_offset: log.last_stable_offset(),
            high_watermark: log.high_watermark(),
            log_end_offset: log.log_end_offset(),
            size_bytes: log.size_bytes(),
            segments: log.segment_count(),
        })
    }

    /// What the log says, when nothing but the log matters.
    pub(crate) fn with_log<T>(&self, look: impl FnOnce(&Log<D>) -> T) -> Result<T, Refused> {
        Ok(look(self.core.read().usable(&self.dir)?))
    }

    /// Takes note of what went wrong on the disk, and says what is answered.
    pub(crate) fn storage_failed(&self, error: &LogError) -> Refused {
        let partition = self.of.dir_name();
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(partition, %error, source, "a partition's log failed");
        self.dir.failed(error);
        Refused::Storage
    }
}
