//! Finding the valid part of a segment after a crash, and making its indexes from it.

use polyport_storage::Disk;

use super::walk::{LONG, WalkError, Window};
use super::{AppendFacts, Segment, TimestampOffset};
use crate::batch::BatchError;
use crate::error::LogError;

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Bytes that were read.
    pub bytes: u64,
    /// What was cut off the end: its bytes, and why.
    pub cut: Option<(u64, BatchError)>,
}

impl<D: Disk> Segment<D> {
    /// Whether the last segment ends at or before `trusted` and its indexes go with it: then nothing
    /// has to be checked or written.
    pub fn is_settled(&mut self, trusted: i64) -> Result<bool, LogError> {
        match self.next_offset() {
            Ok(next) if next <= trusted => {}
            Ok(_) | Err(LogError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let last = self.times.last()?;
        if last.timestamp >= 0 {
            // The one entry that no flush may have covered.
            let mut right = false;
            self.walk(last.offset, |header, _| {
                right = header.max_timestamp == last.timestamp
                    && (header.base_offset..=header.last_offset()).contains(&last.offset);
                Ok(false)
            })?;
            if !right {
                return Ok(false);
            }
        }
        self.resume()?;
        Ok(true)
    }

    /// Checks every batch from the last index entry at or before `trusted` on, cuts the segment
    /// before the first that is not valid, and makes the indexes for what is left. What is before
    /// `trusted` was durable together with its index entries; with `None` there are no index entries,
    /// and what is made is synced. What comes after `trusted` is not: the next flush does that.
    pub fn recover(&mut self, trusted: Option<i64>) -> Result<Scanned, LogError> {
        let from = trusted.unwrap_or(self.base);
        self.offsets.keep_ordered(self.size)?;
        self.times.keep_ordered()?;
        let mut entry = self.offsets.lookup(from)?;
        if entry.position > 0 && !self.begins_batch(entry.position, entry.offset)? {
            entry.position = 0;
        }
        let start = entry.position;
        // The entry of the start's own batch stays; the batch at 0 has none.
        if start > 0 {
            self.offsets.truncate_after_position(start)?;
        } else {
            self.offsets.truncate(self.base)?;
            self.times.truncate(self.base)?;
        }
        self.max_timestamp = self.times.last()?;
        let mut next_offset = self.base;
        let mut position = start;
        self.bytes_since_index = 0;
        let log = self.log.clone();
        let mut buffer = vec![0; LONG];
        let mut window = Window::new(&*log, &mut buffer, self.size);
        let error = loop {
            let header = match window.header(position) {
                Ok(None) => break None,
                Ok(Some(header)) => header,
                Err(error) => break Some(error),
            };
            if let Err(error) = window.check_crc(position, &header) {
                break Some(error);
            }
            if position == start && start > 0 {
                next_offset = header.base_offset;
                self.times.truncate(header.base_offset)?;
                self.max_timestamp = self.times.last()?;
            }
            if header.base_offset < next_offset
                || header.last_offset_delta < 0
                || header.last_offset() - self.base > i64::from(i32::MAX)
            {
                break Some(BatchError::Inconsistent("offsets that go back").into());
            }
            let last_offset = header.last_offset();
            let bytes = header.size_bytes as u64;
            let timestamp = header.max_timestamp;
            let found = TimestampOffset { timestamp, offset: last_offset };
            if position == 0 {
                self.first_timestamp = Some(timestamp);
            }
            if position == start && start > 0 {
                // Its index entry is there already.
                if timestamp > self.max_timestamp.timestamp {
                    self.max_timestamp = found;
                }
                self.bytes_since_index = bytes;
            } else {
                self.index(position, bytes, AppendFacts { last_offset, max_timestamp: found });
            }
            next_offset = last_offset + 1;
            position += bytes;
        };
        let bytes = position - start;
        let cut = match error {
            None => None,
            Some(WalkError::Io(source)) => {
                return Err(self.failed(position, WalkError::Io(source)));
            }
            Some(WalkError::Batch(why)) => Some((self.truncate_at(position, next_offset)?, why)),
        };
        self.txns.truncate(next_offset)?;
        self.times.push(self.max_timestamp);
        self.dirty |= next_offset > from;
        if trusted.is_none() {
            self.sync()?;
        }
        Ok(Scanned { bytes, cut })
    }

    fn begins_batch(&self, position: u64, holds: i64) -> Result<bool, LogError> {
        let mut buffer = vec![0; LONG];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        let checked = window.header(position).and_then(|header| match header {
            Some(header) => window.check_crc(position, &header).map(|()| Some(header)),
            None => Ok(None),
        });
        match checked {
            Ok(header) => Ok(header.is_some_and(|header| header.base_offset <= holds)),
            Err(WalkError::Batch(_)) => Ok(false),
            Err(error) => Err(self.failed(position, error)),
        }
    }
}
