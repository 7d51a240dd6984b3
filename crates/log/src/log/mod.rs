//! One partition's log.

mod append;
mod clean;
mod flush;
mod offsets;
mod producers;
mod read;
mod recover;
mod retention;
#[cfg(test)]
mod tests;
mod truncate;

use std::path::{Path, PathBuf};

use polyport_base::Millis;
use polyport_storage::Disk;

pub use append::{AppendError, Appended, Checked, check_for_leader};
pub use flush::Flush;
pub use offsets::{FoundTimestamp, Start};
pub use read::{Fetched, Isolation, LaterRead, PlannedRead, ReadError};
pub use recover::{OpenPoints, Recovered};
pub use retention::Removed;

use crate::batch::Header;
use crate::checkpoint::epochs::{EpochEntry, Epochs};
use crate::config::LogConfig;
use crate::error::{LogError, io_error};
use crate::producer::{ProducerState, VerificationGuard, Verifications};
use crate::segment::{Segment, SegmentOptions, name};

/// One partition's log on one disk.
///
/// Changes take `&mut self` and never sync more than they must; reads take `&self`, only find where
/// the bytes are, and hand out a range of a file that stays readable without the log. A caller that
/// shares a log between threads puts it behind a lock that is held for microseconds: syncing is split
/// into [`Log::begin_flush`] and [`Log::end_flush`] so that the sync itself needs no lock.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    dir: PathBuf,
    config: LogConfig,
    /// Ascending by base, never empty; the last is the active one.
    segments: Vec<Segment<D>>,
    log_start: i64,
    log_end: i64,
    high_watermark: i64,
    recovery_point: i64,
    epochs: Epochs<D>,
    producers: ProducerState,
    verifications: Verifications,
    /// Offsets of the snapshots on the disk, ascending.
    snapshots: Vec<i64>,
    /// The last of them was written by this process and not synced. One that a crash has left may not
    /// be durable either: a torn one is recognised, and an older one and more records do as well.
    snapshot_dirty: bool,
    /// Names were made that no sync of the directory has covered.
    names_dirty: bool,
    unflushed_messages: u64,
    /// Bytes of records that are not durable: what a start after a crash has to read.
    unflushed_bytes: u64,
    /// When the oldest record that is not durable was appended.
    unflushed_since: Option<Millis>,
    poison: Option<String>,
    /// Headers of the append at work; kept for its memory.
    headers: Vec<Header>,
}

impl<D: Disk> Log<D> {
    /// The partition's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration in force.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Changes the configuration. Segments that exist keep their size.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The first offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start
    }

    /// The offset of the next record.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end
    }

    /// Everything below is on all in-sync replicas.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Everything below is durable, as far as this log knows.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Everything below is decided: what `read_committed` consumers may see.
    pub fn last_stable_offset(&self) -> i64 {
        match self.producers.first_unstable_offset() {
            Some(unstable) => unstable.clamp(self.log_start, self.high_watermark),
            None => self.high_watermark,
        }
    }

    /// Raises or lowers the high watermark, within the log. Returns what it became.
    pub fn set_high_watermark(&mut self, offset: i64) -> i64 {
        self.high_watermark = offset.clamp(self.log_start, self.log_end);
        self.producers.on_high_watermark(self.high_watermark);
        self.high_watermark
    }

    /// The producers of the partition.
    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    /// A transactional batch has come: the guard to append it with once the coordinator has said that
    /// the partition is in the transaction; `None` if the transaction has begun here, so that nobody
    /// need be asked.
    pub fn begin_verification(
        &mut self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        now: Millis,
    ) -> Option<VerificationGuard> {
        match self.producers.is_in_transaction(producer_id) {
            true => None,
            false => Some(self.verifications.begin(producer_id, epoch, sequence, now.0)),
        }
    }

    /// Forgets producers that were silent for too long.
    pub fn expire_producers(&mut self, now: Millis) {
        let before = now.0.saturating_sub(self.config.producer_expiration_ms);
        self.producers.expire(before);
        self.verifications.expire(before);
    }

    /// The epochs of the leaders whose records are in the log.
    pub fn leader_epochs(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// The epoch of the last leader that appended, if any.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest()
    }

    /// For OffsetsForLeaderEpoch: the greatest epoch not above the one asked for, and where it ends;
    /// `None` if this log does not know.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.epochs.end_offset_for(epoch, self.log_end)
    }

    /// Notes that a leader of this epoch begins at the log's end. As durable as the records that it
    /// will append: without any, it is as if it had not begun.
    pub fn begin_leader_epoch(&mut self, epoch: i32) {
        self.epochs.note(epoch, self.log_end);
    }

    /// Bytes of records, in all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// How many segments there are, the active one included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The base offsets of the segments, ascending.
    pub fn segment_bases(&self) -> impl Iterator<Item = i64> {
        self.segments.iter().map(|segment| segment.base)
    }

    fn options(config: &LogConfig) -> SegmentOptions {
        SegmentOptions {
            index_interval_bytes: config.index_interval_bytes,
            max_index_bytes: config.segment_index_bytes,
        }
    }

    fn active(&mut self) -> &mut Segment<D> {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// The number of the segment that holds `offset`, or would.
    fn segment_of(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    fn usable(&self) -> Result<(), LogError> {
        match &self.poison {
            None => Ok(()),
            Some(why) => Err(LogError::Poisoned(why.clone())),
        }
    }

    /// Notes a failure after which nobody knows what is durable.
    fn poisoned(&mut self, error: LogError) -> LogError {
        self.poison = Some(error.to_string());
        error
    }

    /// Ends the active segment and begins one at the log's end. The old one is not synced.
    fn roll(&mut self, now: Millis) -> Result<(), LogError> {
        self.active().seal()?;
        self.take_snapshot()?;
        let base = self.log_end;
        if self.active().base == base && self.active().size == 0 {
            return Ok(());
        }
        let options = Self::options(&self.config);
        let segment = Segment::create(&self.disk, &self.dir, base, "", options, now.0)?;
        self.segments.push(segment);
        self.names_dirty = true;
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), LogError> {
        self.disk.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
        self.names_dirty = false;
        Ok(())
    }

    fn file(&self, offset: i64, kind: &str) -> PathBuf {
        name::file(&self.dir, offset, kind)
    }
}
