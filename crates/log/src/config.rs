//! A log's configuration, in the names and defaults of Kafka's topic configuration.

use crate::batch::Codec;

/// What becomes of batches compressed otherwise than the topic says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `producer`: stored as sent.
    #[default]
    Producer,
    /// Re-compressed with this codec unless it is theirs already.
    Codec(Codec),
}

/// How far a compressed batch of a client is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inspect {
    /// Every record, as Kafka does: a batch that lies about its records is refused.
    #[default]
    Records,
    /// The header and the checksum only: no decompression. Keys of compacted topics are still
    /// looked at.
    Headers,
}

/// Configuration of one log. Times are milliseconds; `None` is Kafka's -1, no limit.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`, already drawn for this log.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// `max.message.bytes`: of a batch.
    pub max_message_bytes: usize,
    /// `compression.type`.
    pub compression: Compression,
    /// `compression.<codec>.level`.
    pub compression_level: Option<i32>,
    /// Polyport's own: how far compressed batches are checked.
    pub inspect: Inspect,
    /// Polyport's own: most bytes that a batch may have after decompression where records are kept
    /// in memory, for re-compression, lookups by time and compaction.
    pub decompressed_limit_bytes: usize,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` has delete.
    pub delete: bool,
    /// `cleanup.policy` has compact.
    pub compact: bool,
    /// `retention.ms`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`.
    pub retention_bytes: Option<u64>,
    /// `flush.messages`.
    pub flush_messages: u64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            max_message_bytes: 1_048_588,
            compression: Compression::Producer,
            compression_level: None,
            inspect: Inspect::Records,
            decompressed_limit_bytes: 256 << 20,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: i64::MAX,
            delete: true,
            compact: false,
            retention_ms: Some(7 * DAY),
            retention_bytes: None,
            flush_messages: u64::MAX,
            flush_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: DAY,
            producer_expiration_ms: DAY,
        }
    }
}
