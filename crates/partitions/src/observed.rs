//! What is measured of the disk's work.

use std::sync::atomic::AtomicU64;

use polyport_telemetry::Summary;

/// What the background has done since the start. Times in microseconds.
#[derive(Debug, Default)]
pub struct Observed {
    /// How long each sync of a partition's records took.
    pub flush: Summary,
    /// How long each round of compaction took.
    pub clean: Summary,
    /// Rounds of compaction that came to nothing.
    pub clean_failed: AtomicU64,
}
