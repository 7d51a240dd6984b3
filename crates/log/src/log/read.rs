//! Reading: where in which file the batches are.

use polyport_storage::Disk;

use super::Log;
use crate::error::{LogError, OffsetOutOfRange};
use crate::segment::{AbortedTxn, FileRange, Segment};

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

/// A read that needs the log no more, or has been done.
#[derive(Debug)]
pub enum PlannedRead<D: Disk> {
    /// Nothing is left to do.
    Done(Fetched<D::File>),
    /// The records are in a segment that gets no more: they may be looked for while others append.
    Later(Box<LaterRead<D>>),
}

/// See [`PlannedRead::Later`].
#[derive(Debug)]
pub struct LaterRead<D: Disk> {
    segment: Segment<D>,
    offset: i64,
    max_bytes: u64,
    at_least_one: bool,
    fetched: Fetched<D::File>,
}

impl<D: Disk> LaterRead<D> {
    /// Looks for the records, also if the segment was removed or replaced meanwhile. `None` if that
    /// must be done with the log: nothing is left in this segment, or it cannot be read.
    pub fn find(mut self) -> Option<Fetched<D::File>> {
        let end = self.segment.size;
        let found = self.segment.read(self.offset, self.max_bytes, self.at_least_one, end);
        let (range, base) = found.ok().flatten()?;
        self.fetched.base_offset = base;
        self.fetched.range = (range.len > 0).then_some(range);
        Some(self.fetched)
    }
}

impl<D: Disk> Log<D> {
    fn empty_answer(&self, offset: i64) -> Fetched<D::File> {
        Fetched {
            range: None,
            base_offset: offset,
            log_start_offset: self.log_start,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            aborted: Vec::new(),
        }
    }

    /// Where a reader's sight ends.
    fn upper(&self, offset: i64, isolation: Isolation) -> Result<i64, OffsetOutOfRange> {
        let (start, end) = (self.log_start, self.log_end);
        if offset < start || offset > end {
            return Err(OffsetOutOfRange { offset, start, end });
        }
        Ok(match isolation {
            Isolation::LogEnd => self.log_end,
            Isolation::HighWatermark => self.high_watermark,
            Isolation::LastStable => self.last_stable_offset(),
        })
    }

    /// As [`Log::read`], but reads what is not likely to be in memory only after the caller has let go
    /// of the log.
    ///
    /// # Errors
    /// As `read`.
    pub fn plan_read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<PlannedRead<D>, ReadError> {
        let upper = self.upper(offset, isolation)?;
        let at = self.segment_of(offset);
        let whole = self.segments.get(at + 1).is_some_and(|next| next.base <= upper);
        let aborted = isolation == Isolation::LastStable
            && self.segments[at..].iter().any(|segment| !segment.txns.entries().is_empty());
        if offset < upper && whole && !aborted {
            let segment = self.segments[at].for_reading()?;
            let fetched = self.empty_answer(offset);
            let later = LaterRead { segment, offset, max_bytes, at_least_one, fetched };
            return Ok(PlannedRead::Later(Box::new(later)));
        }
        self.read(offset, max_bytes, at_least_one, isolation).map(PlannedRead::Done)
    }

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
        let upper = self.upper(offset, isolation)?;
        let mut fetched = self.empty_answer(offset);
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
