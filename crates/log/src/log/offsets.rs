//! Offsets by time, for ListOffsets.

use polyport_storage::Disk;

use super::Log;
use crate::error::LogError;
use crate::segment::TimestampOffset;

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundTimestamp {
    /// The record's timestamp.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// The epoch of the leader that appended it; -1 if unknown.
    pub leader_epoch: i32,
}

/// Where the log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The log start offset.
    pub offset: i64,
    /// The epoch of the record there, if it is known.
    pub leader_epoch: Option<i32>,
}

impl<D: Disk> Log<D> {
    /// The first record that may be read (-2).
    pub fn earliest(&self) -> Start {
        Start { offset: self.log_start, leader_epoch: self.epochs.epoch_of(self.log_start) }
    }

    /// The first record whose timestamp is not below `timestamp`.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn find_timestamp(&self, timestamp: i64) -> Result<Option<FoundTimestamp>, LogError> {
        let limit = self.config.decompressed_limit_bytes;
        for segment in &self.segments {
            if segment.max_timestamp.timestamp < timestamp {
                continue;
            }
            let found = segment.find_timestamp(timestamp, self.log_start, limit)?;
            if let Some((TimestampOffset { timestamp, offset }, leader_epoch)) = found {
                return Ok(Some(FoundTimestamp { timestamp, offset, leader_epoch }));
            }
        }
        Ok(None)
    }

    /// The first record with the greatest timestamp of all (-3).
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn find_max_timestamp(&self) -> Result<Option<FoundTimestamp>, LogError> {
        let greatest = self.segments.iter().map(|segment| segment.max_timestamp.timestamp).max();
        match greatest {
            Some(timestamp) if timestamp >= 0 => self.find_timestamp(timestamp),
            _ => Ok(None),
        }
    }
}
