//! Reading: where in which file the batches are.

use polyport_storage::Disk;

use super::Log;
use crate::error::{LogError, OffsetOutOfRange};
use crate::segment::{AbortedTxn, FileRange};

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// To the log's end: followers.
    LogEnd,
    /// To the high watermark: `read_uncommitted` consumers.
    HighWatermark,
    /// To the last stable offset: `read_committed` consumers.
    LastStable,
}

/// The answer to a read.
#[derive(Debug)]
pub struct Fetched<F> {
    /// Whole batches, the first one holding the offset asked for; `None` if there is nothing to see.
    pub range: Option<FileRange<F>>,
    /// The first batch's base offset; the offset asked for if there is nothing.
    pub base_offset: i64,
    /// The log start offset then.
    pub log_start_offset: i64,
    /// The high watermark then.
    pub high_watermark: i64,
    /// The last stable offset then.
    pub last_stable_offset: i64,
    /// For `LastStable`: the aborted transactions with records in the range, by first offset.
    pub aborted: Vec<AbortedTxn>,
}

/// A failed read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE.
    #[error(transparent)]
    OutOfRange(#[from] OffsetOutOfRange),
    /// KAFKA_STORAGE_ERROR.
    #[error("the disk failed")]
    Log(#[from] LogError),
}

impl<D: Disk> Log<D> {
    /// Whole batches from the one that holds `offset` on, from one segment: as many as fit
    /// `max_bytes`, one at least if `at_least_one`.
    ///
    /// # Errors
    /// `OutOfRange`; `Log` if the segment is damaged.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Fetched<D::File>, ReadError> {
        let (start, end) = (self.log_start, self.log_end);
        if offset < start || offset > end {
            return Err(OffsetOutOfRange { offset, start, end }.into());
        }
        let upper = match isolation {
            Isolation::LogEnd => self.log_end,
            Isolation::HighWatermark => self.high_watermark,
            Isolation::LastStable => self.last_stable_offset(),
        };
        let mut fetched = Fetched {
            range: None,
            base_offset: offset,
            log_start_offset: self.log_start,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            aborted: Vec::new(),
        };
        if offset >= upper {
            return Ok(fetched);
        }
        let mut at = self.segment_of(offset);
        while let Some(segment) = self.segments.get(at) {
            if segment.base >= upper {
                break;
            }
            let next_base = self.segments.get(at + 1).map(|next| next.base);
            // Only the segment that the bound falls into has to look where that is.
            let end = if upper == self.log_end || next_base.is_some_and(|next| next <= upper) {
                segment.size
            } else {
                segment.position_of(upper)?
            };
            if let Some((range, base)) = segment.read(offset, max_bytes, at_least_one, end)? {
                if isolation == Isolation::LastStable {
                    let beyond = self.end_of(at, &range)?;
                    fetched.aborted = self.aborted_between(at, base, beyond);
                }
                fetched.base_offset = base;
                fetched.range = (range.len > 0).then_some(range);
                return Ok(fetched);
            }
            // Compaction may have taken the end of a segment.
            at += 1;
        }
        Ok(fetched)
    }

    /// An offset above all in the range, as low as can be told without reading records.
    fn end_of(&self, at: usize, range: &FileRange<D::File>) -> Result<i64, LogError> {
        let segment = &self.segments[at];
        match segment.offset_at(range.position + range.len)? {
            Some(next) => Ok(next),
            None => Ok(self.segments.get(at + 1).map_or(self.log_end, |next| next.base)),
        }
    }

    /// Aborted transactions that have records in `from..to`, looking from segment `at` on.
    fn aborted_between(&self, at: usize, from: i64, to: i64) -> Vec<AbortedTxn> {
        let mut found = Vec::new();
        'segments: for segment in &self.segments[at..] {
            for txn in segment.txns.entries() {
                if txn.last_offset >= from && txn.first_offset < to {
                    found.push(*txn);
                }
                // At its marker everything before this offset was decided.
                if txn.last_stable_offset >= to {
                    break 'segments;
                }
            }
        }
        found.sort_unstable_by_key(|txn| txn.first_offset);
        found
    }
}
