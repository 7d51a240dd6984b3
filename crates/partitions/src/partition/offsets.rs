//! Offsets by time and by epoch; deleting records; producers.

use polyport_log::producer::ProducerEntry;
use polyport_log::{FoundTimestamp, Isolation, OffsetOutOfRange};
use polyport_storage::Disk;

use super::Partition;
use super::core::Core;
use crate::error::{DeleteRecordsError, ListOffsetError, Refused};

/// Which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAt {
    /// -2: the first that may be read.
    Earliest,
    /// -4: the first that is on this broker's disk, which is the same without tiered storage.
    EarliestLocal,
    /// -1: the one after the last that the asker may see.
    Latest,
    /// -3: of the record with the greatest timestamp.
    MaxTimestamp,
    /// Of the first record whose timestamp is not below this, in milliseconds.
    Timestamp(i64),
}

/// ListOffsets for one partition.
#[derive(Clone, Copy, Debug)]
pub struct ListOffset {
    /// Which one.
    pub at: OffsetAt,
    /// Up to where the asker sees.
    pub isolation: Isolation,
    /// The leader epoch that the asker believes in.
    pub leader_epoch: Option<i32>,
    /// Whether a follower may answer.
    pub only_leader: bool,
}

impl<D: Disk> Partition<D> {
    /// Finds an offset; `None` if there is no such record. A timestamp of -1 says that the offset is
    /// not a record's; so does an epoch of -1. Lookups by time read records from the disk.
    ///
    /// # Errors
    /// See [`ListOffsetError`].
    pub fn list_offset(&self, ask: &ListOffset) -> Result<Option<FoundTimestamp>, ListOffsetError> {
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        core.check_asker(ask.leader_epoch, ask.only_leader)?;
        let upper = Core::upper(log, ask.isolation);
        // A leader that was just elected may not know yet how far the one before had come.
        let behind = ask.isolation != Isolation::LogEnd
            && core.replicas().is_some_and(|set| set.epoch_start() > log.high_watermark());
        let found = match ask.at {
            OffsetAt::Earliest | OffsetAt::EarliestLocal => {
                let start = log.earliest();
                let leader_epoch = start.leader_epoch.unwrap_or(-1);
                let found = FoundTimestamp { timestamp: -1, offset: start.offset, leader_epoch };
                return Ok(Some(found));
            }
            OffsetAt::Latest if behind => return Err(ListOffsetError::NotAvailable),
            OffsetAt::Latest => {
                let leader_epoch = core.leader_epoch;
                return Ok(Some(FoundTimestamp { timestamp: -1, offset: upper, leader_epoch }));
            }
            OffsetAt::MaxTimestamp => log.find_max_timestamp(),
            OffsetAt::Timestamp(timestamp) => log.find_timestamp(timestamp),
        };
        match found {
            Ok(Some(found)) if found.offset < upper => Ok(Some(found)),
            Ok(_) if behind => Err(ListOffsetError::NotAvailable),
            Ok(_) => Ok(None),
            Err(error) => {
                drop(core);
                Err(self.storage_failed(&error).into())
            }
        }
    }

    /// OffsetForLeaderEpoch: the greatest epoch not above the one asked for, and where it ends; `None`
    /// if this log does not know.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn end_offset_for_epoch(
        &self,
        epoch: i32,
        leader_epoch: Option<i32>,
        only_leader: bool,
    ) -> Result<Option<(i32, i64)>, Refused> {
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        core.check_asker(leader_epoch, only_leader)?;
        Ok(log.end_offset_for_epoch(epoch))
    }

    /// Deletes records below the offset; with `None` all that are replicated. Segments go with the next
    /// check of retention. Returns the low watermark: up to where all replicas have deleted.
    ///
    /// # Errors
    /// See [`DeleteRecordsError`].
    pub fn delete_records(&self, before: Option<i64>) -> Result<i64, DeleteRecordsError> {
        let mut core = self.core.write();
        core.check_asker(None, true)?;
        let log = core.usable_mut(&self.dir)?;
        if !log.config().delete {
            return Err(DeleteRecordsError::Policy);
        }
        let offset = before.unwrap_or_else(|| log.high_watermark());
        if offset < 0 {
            let (start, end) = (log.log_start_offset(), log.high_watermark());
            return Err(OffsetOutOfRange { offset, start, end }.into());
        }
        log.advance_log_start(offset)?;
        let start = log.log_start_offset();
        Ok(core.replicas().map_or(start, |set| set.low_watermark(start)))
    }

    /// The producers of the partition that are remembered, by id: DescribeProducers.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn producers(&self) -> Result<Vec<ProducerEntry>, Refused> {
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        core.check_asker(None, true)?;
        Ok(log.producers().entries().cloned().collect())
    }

    /// What is remembered of one producer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn producer(&self, producer_id: i64) -> Result<Option<ProducerEntry>, Refused> {
        self.with_log(|log| log.producers().entry(producer_id).cloned())
    }
}
