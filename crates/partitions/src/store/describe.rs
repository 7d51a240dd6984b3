//! What is in which directory: DescribeLogDirs, and metrics.

use std::path::PathBuf;

use polyport_log::TopicPartition;
use polyport_storage::Disk;

use super::Store;
use crate::observed::Observed;

/// A log directory and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirStatus {
    /// Which one.
    pub path: PathBuf,
    /// Why it is offline, if it is.
    pub failure: Option<String>,
    /// Bytes of its file system and how many of them are free; `None` if nobody knows.
    pub space: Option<(u64, u64)>,
    /// Its partitions, by topic and number. Those of a directory that is offline are unknown.
    pub partitions: Vec<PartitionSize>,
}

/// How large a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSize {
    /// Which one.
    pub of: TopicPartition,
    /// Bytes of records.
    pub size_bytes: u64,
    /// How far the log's end is beyond the high watermark.
    pub offset_lag: i64,
}

impl<D: Disk> Store<D> {
    /// What was measured since the start.
    pub fn observed(&self) -> &Observed {
        &self.0.observed
    }

    /// All log directories, in the order of the configuration but for those that could not be opened,
    /// which come last.
    pub fn log_dirs(&self) -> Vec<LogDirStatus> {
        let shared = &self.0;
        let mut found: Vec<LogDirStatus> = Vec::new();
        for dir in &shared.dirs {
            let sizes = shared.partitions_in(dir).filter_map(|partition| {
                let size = partition.with_log(|log| PartitionSize {
                    of: partition.of().clone(),
                    size_bytes: log.size_bytes(),
                    offset_lag: log.log_end_offset() - log.high_watermark(),
                });
                size.ok()
            });
            let mut partitions: Vec<_> = sizes.collect();
            partitions.sort_unstable_by(|a, b| a.of.cmp(&b.of));
            found.push(LogDirStatus {
                path: dir.path.clone(),
                failure: dir.failure().map(str::to_owned),
                space: shared.disk.space(&dir.path).ok().flatten(),
                partitions,
            });
        }
        found.extend(shared.failed_dirs.iter().map(|(path, why)| LogDirStatus {
            path: path.clone(),
            failure: Some(why.clone()),
            space: None,
            partitions: Vec::new(),
        }));
        found
    }
}
