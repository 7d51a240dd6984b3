//! One segment: a file of batches and its indexes.

mod index_file;
pub mod name;
mod offset_index;
mod range;
mod recover;
#[cfg(test)]
mod tests;
mod time_index;
mod txn_index;
pub(crate) mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_storage::{Disk, DiskFile};

use crate::batch::header::Step;
use crate::batch::{Batch, Header};
use crate::error::{LogError, io_error};
use offset_index::OffsetIndex;
pub use range::FileRange;
use time_index::TimeIndex;
pub use time_index::TimestampOffset;
pub use txn_index::AbortedTxn;
pub(crate) use txn_index::TxnIndex;
use walk::{SHORT, WalkError, Window};

/// What a segment needs to know of its log's configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentOptions {
    pub index_interval_bytes: u64,
    pub max_index_bytes: u64,
}

/// What is known of the records in an append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendFacts {
    pub last_offset: i64,
    pub max_timestamp: TimestampOffset,
}

#[derive(Debug)]
pub(crate) struct Segment<D: Disk> {
    dir: PathBuf,
    pub base: i64,
    pub log: Arc<D::File>,
    pub size: u64,
    offsets: OffsetIndex<D>,
    times: TimeIndex<D>,
    pub txns: TxnIndex<D>,
    pub max_timestamp: TimestampOffset,
    /// The first append's timestamp, which rolling by time goes by.
    pub first_timestamp: Option<i64>,
    /// When this process first saw the segment, for records that have no timestamp.
    pub seen: i64,
    bytes_since_index: u64,
    options: SegmentOptions,
    dirty: bool,
}

impl<D: Disk> Segment<D> {
    /// Makes an empty segment; `suffix` goes behind all names.
    pub fn create(
        disk: &D,
        dir: &Path,
        base: i64,
        suffix: &str,
        options: SegmentOptions,
        now: i64,
    ) -> Result<Self, LogError> {
        let path = |kind: &str| name::file(dir, base, &format!("{kind}{suffix}"));
        let log = path(name::LOG);
        let file = disk.create(&log).map_err(io_error("create", &log))?;
        Ok(Segment {
            dir: dir.to_path_buf(),
            base,
            log: Arc::new(file),
            size: 0,
            offsets: OffsetIndex::create(disk, &path(name::OFFSET_INDEX), base)?,
            times: TimeIndex::create(disk, &path(name::TIME_INDEX), base)?,
            txns: TxnIndex::none(disk, &path(name::TXN_INDEX)),
            max_timestamp: TimestampOffset { timestamp: -1, offset: base },
            first_timestamp: None,
            seen: now,
            bytes_since_index: 0,
            options,
            dirty: true,
        })
    }

    /// Opens a segment that is there. Missing and impossible indexes are made anew, empty; says
    /// whether that happened.
    pub fn open(
        disk: &D,
        dir: &Path,
        base: i64,
        options: SegmentOptions,
        now: i64,
    ) -> Result<(Self, bool), LogError> {
        let path = |kind| name::file(dir, base, kind);
        let log = path(name::LOG);
        let file = disk.open(&log).map_err(io_error("open", &log))?;
        let size = file.len().map_err(io_error("measure", &log))?;
        let (offsets, times) = (path(name::OFFSET_INDEX), path(name::TIME_INDEX));
        let mut broken = false;
        let opened = OffsetIndex::open(disk, &offsets, base, size)?;
        let offsets = opened.map_or_else(
            || {
                broken = true;
                OffsetIndex::create(disk, &offsets, base)
            },
            Ok,
        )?;
        let opened = TimeIndex::open(disk, &times, base)?;
        let times = opened.map_or_else(
            || {
                broken = true;
                TimeIndex::create(disk, &times, base)
            },
            Ok,
        )?;
        let max_timestamp = times.last()?;
        let segment = Segment {
            dir: dir.to_path_buf(),
            base,
            log: Arc::new(file),
            size,
            offsets,
            times,
            txns: TxnIndex::open(disk, &path(name::TXN_INDEX))?,
            max_timestamp,
            first_timestamp: None,
            seen: now,
            bytes_since_index: 0,
            options,
            dirty: false,
        };
        Ok((segment, broken))
    }

    /// The segment as it is, for a reader that goes on when the log changes. Its files are open, as
    /// their names may come to be those of others.
    pub fn for_reading(&self) -> Result<Self, LogError> {
        Ok(Segment {
            dir: self.dir.clone(),
            log: self.log.clone(),
            offsets: self.offsets.for_reading()?,
            times: self.times.clone(),
            txns: self.txns.emptied(),
            ..*self
        })
    }

    pub fn path(&self) -> PathBuf {
        name::file(&self.dir, self.base, name::LOG)
    }

    pub(crate) fn failed(&self, position: u64, error: WalkError) -> LogError {
        match error {
            WalkError::Io(source) => io_error("read", &self.path())(source),
            WalkError::Batch(source) => LogError::Corrupt { path: self.path(), position, source },
        }
    }

    /// Whether records of this last offset can be told by a 32-bit distance, and the indexes have
    /// room.
    pub fn has_room(&self, last_offset: i64) -> bool {
        let distance = last_offset - self.base;
        (0..=i64::from(i32::MAX)).contains(&distance)
            && !self.offsets.is_full(self.options.max_index_bytes)
            && !self.times.is_full(self.options.max_index_bytes)
    }

    /// Writes whole batches at the end, with one write.
    pub fn append(&mut self, records: &[u8], facts: AppendFacts) -> Result<(), LogError> {
        let position = self.size;
        if let Err(error) = self.log.write_at(records, position) {
            // What was written in part is behind the end and will be overwritten; shortening the file
            // only spares the next start a torn tail.
            let _ = self.log.set_len(position);
            return Err(io_error("write", &self.path())(error));
        }
        self.dirty = true;
        if position == 0 {
            self.first_timestamp = Some(facts.max_timestamp.timestamp);
        }
        self.size += records.len() as u64;
        self.index(position, records.len() as u64, facts);
        Ok(())
    }

    /// Notes what was appended in the indexes.
    fn index(&mut self, position: u64, bytes: u64, facts: AppendFacts) {
        if facts.max_timestamp.timestamp > self.max_timestamp.timestamp {
            self.max_timestamp = facts.max_timestamp;
        }
        if self.bytes_since_index > self.options.index_interval_bytes {
            self.offsets.push(facts.last_offset, position);
            self.times.push(self.max_timestamp);
            self.bytes_since_index = 0;
        }
        self.bytes_since_index += bytes;
    }

    /// The first batch that ends at this offset or later, and where it is.
    pub fn find(&self, offset: i64) -> Result<Option<(Step, u64)>, LogError> {
        let mut position = self.offsets.lookup(offset)?.position;
        let mut buffer = [0; SHORT];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        loop {
            match window.step(position) {
                Ok(None) => return Ok(None),
                Ok(Some(step)) if step.last_offset >= offset => return Ok(Some((step, position))),
                Ok(Some(step)) => position += step.size_bytes,
                Err(error) => return Err(self.failed(position, error)),
            }
        }
    }

    /// Where the first batch begins that ends at this offset or later; the size if there is none.
    pub fn position_of(&self, offset: i64) -> Result<u64, LogError> {
        Ok(self.find(offset)?.map_or(self.size, |(_, position)| position))
    }

    /// Whole batches from the one that holds `offset` on, before `end`: as many as fit `max_bytes`,
    /// one at least if `at_least_one`.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        end: u64,
    ) -> Result<Option<(FileRange<D::File>, i64)>, LogError> {
        let Some((first, position)) = self.find(offset)? else { return Ok(None) };
        if position >= end {
            return Ok(None);
        }
        let len = if end - position <= max_bytes {
            end - position
        } else {
            let fits = self.last_boundary(position, first.size_bytes, position + max_bytes)?;
            match fits - position {
                0 if at_least_one => first.size_bytes,
                len => len,
            }
        };
        let range = FileRange { file: self.log.clone(), position, len };
        Ok(Some((range, first.base_offset)))
    }

    /// The base offset of the batch at a boundary; `None` at the end.
    pub fn offset_at(&self, position: u64) -> Result<Option<i64>, LogError> {
        let mut buffer = [0; walk::STEP];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        match window.step(position) {
            Ok(step) => Ok(step.map(|step| step.base_offset)),
            Err(error) => Err(self.failed(position, error)),
        }
    }

    /// The last boundary between batches not above `limit`, given a batch at `position`.
    fn last_boundary(&self, position: u64, size: u64, limit: u64) -> Result<u64, LogError> {
        if position + size > limit {
            return Ok(position);
        }
        let mut at = self.offsets.lookup_position(limit)?.position.max(position);
        let mut buffer = [0; SHORT];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        loop {
            match window.step(at) {
                Ok(Some(step)) if at + step.size_bytes <= limit => at += step.size_bytes,
                Ok(_) => return Ok(at),
                Err(error) => return Err(self.failed(at, error)),
            }
        }
    }

    /// Calls `visit` with each batch's header and position from the batch that holds `offset` on,
    /// until it says no.
    pub fn walk(
        &self,
        offset: i64,
        mut visit: impl FnMut(&Header, u64) -> Result<bool, LogError>,
    ) -> Result<(), LogError> {
        let mut position = self.position_of(offset)?;
        // Only headers are looked at: of large batches the rest need not be read.
        let mut buffer = [0; SHORT];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        loop {
            match window.header(position) {
                Ok(None) => return Ok(()),
                Ok(Some(header)) => {
                    if !visit(&header, position)? {
                        return Ok(());
                    }
                    position += header.size_bytes as u64;
                }
                Err(error) => return Err(self.failed(position, error)),
            }
        }
    }

    /// The bytes of the batch at `position`.
    pub fn batch_bytes(&self, header: &Header, position: u64) -> Result<Vec<u8>, LogError> {
        let len = header.size_bytes as u64;
        let range = FileRange { file: self.log.clone(), position, len };
        range.read().map_err(io_error("read", &self.path()))
    }

    /// The offset after the last record; the base if there is none.
    pub fn next_offset(&self) -> Result<i64, LogError> {
        let mut next = self.base;
        let from = self.offsets.lookup_position(self.size)?;
        let mut position = from.position;
        let mut buffer = [0; SHORT];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        loop {
            match window.step(position) {
                Ok(None) => return Ok(next),
                Ok(Some(step)) => {
                    next = step.last_offset + 1;
                    position += step.size_bytes;
                }
                Err(error) => return Err(self.failed(position, error)),
            }
        }
    }

    /// The first record from `start` on whose timestamp is not below `wanted`, and its batch's leader
    /// epoch.
    pub fn find_timestamp(
        &self,
        wanted: i64,
        start: i64,
        decompress_limit: usize,
    ) -> Result<Option<(TimestampOffset, i32)>, LogError> {
        let from = self.times.lookup(wanted.saturating_sub(1))?.offset.max(start);
        let mut found = None;
        self.walk(from, |header, position| {
            if header.max_timestamp < wanted || header.last_offset() < start {
                return Ok(true);
            }
            let bytes = self.batch_bytes(header, position)?;
            let corrupt = |source| LogError::Corrupt { path: self.path(), position, source };
            let (batch, _) = Batch::split_first(&bytes).map_err(corrupt)?;
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch, decompress_limit).map_err(corrupt)? {
                let record = record.map_err(corrupt)?;
                if record.timestamp >= wanted && record.offset >= start {
                    let (timestamp, offset) = (record.timestamp, record.offset);
                    found = Some((TimestampOffset { timestamp, offset }, header.leader_epoch));
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// Removes batches that reach to this offset or beyond, durably. Returns the removed bytes.
    pub fn truncate(&mut self, offset: i64) -> Result<u64, LogError> {
        let position = self.position_of(offset)?;
        self.truncate_at(position, offset)
    }

    fn truncate_at(&mut self, position: u64, offset: i64) -> Result<u64, LogError> {
        let removed = self.size - position;
        let path = self.path();
        // Synced at once: what comes to stand here must not be mistaken after a power loss for what
        // stood here before.
        self.log.set_len(position).map_err(io_error("truncate", &path))?;
        self.log.sync_data().map_err(io_error("sync", &path))?;
        self.size = position;
        self.offsets.truncate(offset)?;
        self.times.truncate(offset)?;
        self.txns.truncate(offset)?;
        if position == 0 {
            self.first_timestamp = None;
        }
        self.resume()?;
        Ok(removed)
    }

    /// Finds out what the indexes do not say of the batches after their last entries.
    fn resume(&mut self) -> Result<(), LogError> {
        let mut greatest = self.times.last()?;
        let from = self.offsets.lookup_position(self.size)?.position;
        let mut position = from;
        let mut buffer = [0; SHORT];
        let mut window = Window::new(&*self.log, &mut buffer, self.size);
        loop {
            match window.header(position) {
                Ok(None) => break,
                Ok(Some(header)) => {
                    if header.max_timestamp > greatest.timestamp {
                        let (timestamp, offset) = (header.max_timestamp, header.last_offset());
                        greatest = TimestampOffset { timestamp, offset };
                    }
                    position += header.size_bytes as u64;
                }
                Err(error) => return Err(self.failed(position, error)),
            }
        }
        self.max_timestamp = greatest;
        self.bytes_since_index = self.size - from;
        Ok(())
    }

    /// The segment gets no more, or the process ends. Its greatest timestamp must be the index's last,
    /// as everybody who opens the segment takes it from there.
    pub fn seal(&mut self) -> Result<(), LogError> {
        self.times.push(self.max_timestamp);
        self.offsets.file().seal()?;
        self.times.file().seal()
    }

    /// Hands pending index entries to the system. If it fails they stay pending.
    pub fn write_indexes(&mut self) -> Result<(), LogError> {
        self.offsets.file().write()?;
        self.times.file().write()
    }

    /// The files that must be synced for the segment to be durable.
    pub fn take_dirty(&mut self, to: &mut Vec<Arc<D::File>>) -> Result<(), LogError> {
        if std::mem::take(&mut self.dirty) {
            to.push(self.log.clone());
        }
        to.extend(self.offsets.file().take_dirty()?);
        to.extend(self.times.file().take_dirty()?);
        to.extend(self.txns.take_dirty());
        Ok(())
    }

    /// Makes everything durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        let mut files = Vec::new();
        self.take_dirty(&mut files)?;
        for file in files {
            file.sync_data().map_err(io_error("sync", &self.path()))?;
        }
        Ok(())
    }

    /// Bytes of the larger index, which limits how many segments compaction may join.
    pub fn index_bytes(&mut self) -> u64 {
        let offsets = u64::from(self.offsets.file().len()) * 8;
        offsets.max(u64::from(self.times.file().len()) * 12)
    }

    /// The timestamp of the first batch, read if it is not known; `None` if there is none.
    pub fn first_timestamp(&mut self) -> Result<Option<i64>, LogError> {
        if self.first_timestamp.is_none() && self.size > 0 {
            let mut first = None;
            self.walk(self.base, |header, _| {
                first = Some(header.max_timestamp);
                Ok(false)
            })?;
            self.first_timestamp = first;
        }
        Ok(self.first_timestamp)
    }
}
