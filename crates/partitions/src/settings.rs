//! What the store is told of the broker's and the topics' configuration.

use std::path::PathBuf;

use polyport_log::LogConfig;

use crate::replicas::BrokerId;

/// The broker's configuration, in Kafka's names.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `broker.id`.
    pub broker_id: BrokerId,
    /// The cluster's id, written to each directory.
    pub cluster_id: String,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: usize,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max_ms: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`: recovery points and log start offsets.
    pub flush_checkpoint_interval_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_expiration_check_interval_ms: i64,
    /// `log.cleaner.*`; `None` if `log.cleaner.enable` is false.
    pub cleaner: Option<CleanerSettings>,
    /// Polyport's own: how many threads make, sync or close partitions of a directory at once where
    /// many wait, because a file system makes many durable in little more time than one. A simulation
    /// has 1, and no threads.
    pub io_threads_per_dir: usize,
    /// Polyport's own: most bytes of records in a directory that may not be durable. A start after a
    /// crash reads no more than about this. What is beyond is synced in the background.
    pub unflushed_limit_bytes: u64,
}

/// `log.cleaner.*`.
#[derive(Clone, Debug)]
pub struct CleanerSettings {
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.backoff.ms`: pause when there is nothing to clean.
    pub backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`: of all threads together.
    pub dedupe_buffer_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            broker_id: 0,
            cluster_id: String::new(),
            log_dirs: Vec::new(),
            recovery_threads_per_dir: 1,
            replica_lag_time_max_ms: 30_000,
            retention_check_interval_ms: 300_000,
            flush_checkpoint_interval_ms: 60_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            producer_expiration_check_interval_ms: 600_000,
            cleaner: Some(CleanerSettings::default()),
            io_threads_per_dir: 8,
            unflushed_limit_bytes: 2 << 30,
        }
    }
}

impl Default for CleanerSettings {
    fn default() -> Self {
        CleanerSettings { threads: 1, backoff_ms: 15_000, dedupe_buffer_bytes: 128 << 20 }
    }
}

/// A topic's configuration as its partitions need it.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// What the log needs.
    pub log: LogConfig,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
}

impl Default for TopicConfig {
    fn default() -> Self {
        let log = LogConfig::default();
        TopicConfig { log, min_insync_replicas: 1, file_delete_delay_ms: 60_000 }
    }
}
