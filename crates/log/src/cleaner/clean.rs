//! One round of compaction: decided and ended by the log, carried out without it.

use std::path::PathBuf;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_storage::Disk;

use super::rewrite::{Kept, Rewrite, last_of_producers};
use super::{KeyOffsets, swap};
use crate::batch::{Batch, HEADER_BYTES, Header};
use crate::error::{LogError, io_error};
use crate::log::{Log, Removed};
use crate::segment::walk::{LONG, WalkError, Window};
use crate::segment::{
    AbortedTxn, AppendFacts, FileRange, Segment, SegmentOptions, TimestampOffset, name,
};
use crate::{LogConfig, producer::ProducerState};

/// A segment as a round reads it.
#[derive(Clone, Debug)]
pub(crate) struct Source<F> {
    pub base: i64,
    pub end: i64,
    pub file: Arc<F>,
    pub size: u64,
    pub index_bytes: u64,
    pub aborted: Vec<AbortedTxn>,
}

/// What a round may clean, and whether it is worth it.
#[derive(Debug)]
pub struct Cleanable<D: Disk> {
    pub(crate) disk: D,
    pub(crate) dir: PathBuf,
    pub(crate) config: LogConfig,
    pub(crate) options: SegmentOptions,
    pub(crate) sources: Vec<Source<D::File>>,
    pub(crate) first_dirty: i64,
    pub(crate) producers: ProducerState,
    pub(crate) now: Millis,
    /// A record that is older than `max.compaction.lag.ms` waits.
    pub(crate) overdue: bool,
}

/// Segments written, not yet in place.
#[derive(Debug)]
pub struct Cleaned<D: Disk> {
    /// Up to where the log is clean when the round has ended: what the cleaner's checkpoint says.
    pub clean_to: i64,
    groups: Vec<Group<D::File>>,
    /// Bytes of the segments before.
    pub bytes_before: u64,
    /// Bytes of those that replace them.
    pub bytes_after: u64,
}

#[derive(Debug)]
struct Group<F> {
    base: i64,
    /// Bases and files of the segments it replaces.
    old: Vec<(i64, Arc<F>)>,
    has_txns: bool,
}

impl<D: Disk> Cleanable<D> {
    fn bytes(&self, dirty: bool) -> u64 {
        let which = self.sources.iter().filter(|s| (s.base >= self.first_dirty) == dirty);
        which.map(|source| source.size).sum()
    }

    /// Bytes that no round has cleaned yet.
    pub fn dirty_bytes(&self) -> u64 {
        self.bytes(true)
    }

    /// The part of the bytes that no round has cleaned yet.
    pub fn dirty_ratio(&self) -> f64 {
        let (clean, dirty) = (self.bytes(false) as f64, self.bytes(true) as f64);
        if dirty == 0.0 { 0.0 } else { dirty / (clean + dirty) }
    }

    /// Whether `min.cleanable.dirty.ratio` or `max.compaction.lag.ms` ask for a round.
    pub fn is_due(&self) -> bool {
        self.bytes(true) > 0
            && (self.overdue || self.dirty_ratio() > self.config.min_cleanable_dirty_ratio)
    }

    /// Reads and rewrites; the log is not needed meanwhile. `keys` is cleared first. If it has no
    /// room for all keys the round ends earlier in the log.
    ///
    /// # Errors
    /// `Io`, `Corrupt`. The log is as it was.
    pub fn run(&self, keys: &mut KeyOffsets) -> Result<Option<Cleaned<D>>, LogError> {
        keys.clear();
        let clean_to = self.note_keys(keys)?;
        if clean_to <= self.first_dirty {
            return Ok(None);
        }
        let sources: Vec<_> = self.sources.iter().filter(|s| s.base < clean_to).collect();
        let mut aborted: Vec<AbortedTxn> =
            self.sources.iter().flat_map(|source| source.aborted.iter().copied()).collect();
        aborted.sort_unstable_by_key(|txn| txn.first_offset);
        let producers = last_of_producers(&self.producers);
        let bounds = (clean_to, sources.last().map_or(clean_to, |last| last.end));
        let mut rewrite = Rewrite::new(keys, bounds, self.now.0, &self.config, &producers, aborted);
        let mut cleaned = Cleaned { clean_to, groups: Vec::new(), bytes_before: 0, bytes_after: 0 };
        let mut rest = sources.as_slice();
        while !rest.is_empty() {
            let (group, after) = rest.split_at(self.group(rest));
            rest = after;
            let segment = self.rewrite_group(group, &mut rewrite)?;
            cleaned.bytes_before += group.iter().map(|source| source.size).sum::<u64>();
            cleaned.bytes_after += segment.size;
            cleaned.groups.push(Group {
                base: segment.base,
                old: group.iter().map(|source| (source.base, source.file.clone())).collect(),
                has_txns: segment.txns.has_file(),
            });
        }
        Ok(Some(cleaned))
    }

    /// How many of the next segments become one.
    fn group(&self, sources: &[&Source<D::File>]) -> usize {
        let (mut bytes, mut index) = (0, 0);
        let base = sources.first().map_or(0, |first| first.base);
        let fits = sources.iter().take_while(|source| {
            bytes += source.size;
            index += source.index_bytes;
            bytes <= self.config.segment_bytes
                && index <= self.config.segment_index_bytes
                && source.end - base <= i64::from(i32::MAX)
        });
        fits.count().max(1)
    }

    /// Notes the keys of the dirty part. Returns up to where they fit.
    fn note_keys(&self, keys: &mut KeyOffsets) -> Result<i64, LogError> {
        let mut clean_to = self.first_dirty;
        let mut aborted = Vec::new();
        for source in &self.sources {
            aborted.extend(source.aborted.iter().copied());
        }
        let mut scratch = Vec::new();
        for source in self.sources.iter().filter(|source| source.end > self.first_dirty) {
            let mut full = false;
            self.batches(source, |batch| {
                let header = batch.header();
                // Records of aborted transactions supersede nothing.
                let void = header.attributes.is_transactional()
                    && aborted.iter().any(|txn| {
                        txn.producer_id == header.producer_id
                            && (txn.first_offset..=txn.last_offset).contains(&header.base_offset)
                    });
                if header.last_offset() < self.first_dirty || header.attributes.is_control() || void
                {
                    return Ok(true);
                }
                let limit = self.config.decompressed_limit_bytes;
                for record in batch.records(&mut scratch, limit)? {
                    let record = record?;
                    if let Some(key) = record.key
                        && record.offset >= self.first_dirty
                        && !keys.note(key, record.offset)
                    {
                        full = true;
                        clean_to = record.offset;
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if full {
                return Ok(clean_to);
            }
            clean_to = source.end;
        }
        Ok(clean_to)
    }

    fn rewrite_group(
        &self,
        group: &[&Source<D::File>],
        rewrite: &mut Rewrite<'_>,
    ) -> Result<Segment<D>, LogError> {
        let base = group.first().map_or(0, |first| first.base);
        let (disk, dir) = (&self.disk, &self.dir);
        let mut segment =
            Segment::create(disk, dir, base, name::CLEANED, self.options, self.now.0)?;
        let flush_at = self.config.index_interval_bytes.max(4096) as usize;
        let mut buffer = Vec::new();
        let mut facts: Option<AppendFacts> = None;
        let mut txns = Vec::new();
        for source in group {
            let mut failed = None;
            self.batches(source, |batch| {
                let at = buffer.len();
                match rewrite.batch(&batch, &mut buffer, &mut txns)? {
                    Kept::Nothing => return Ok(true),
                    Kept::AsItIs => buffer.extend_from_slice(batch.bytes()),
                    Kept::Rewritten => {}
                }
                let written = Header::parse(&buffer[at..])?;
                let last_offset = written.last_offset();
                let found =
                    TimestampOffset { timestamp: written.max_timestamp, offset: last_offset };
                let greatest = match facts {
                    Some(AppendFacts { max_timestamp, .. })
                        if max_timestamp.timestamp >= found.timestamp =>
                    {
                        max_timestamp
                    }
                    _ => found,
                };
                facts = Some(AppendFacts { last_offset, max_timestamp: greatest });
                if buffer.len() >= flush_at
                    && let Some(facts) = facts.take()
                {
                    failed = segment.append(&buffer, facts).err();
                    buffer.clear();
                    return Ok(failed.is_none());
                }
                Ok(true)
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        if let Some(facts) = facts {
            segment.append(&buffer, facts)?;
        }
        txns.sort_unstable_by_key(|txn| txn.last_offset);
        for txn in txns {
            segment.txns.push(txn)?;
        }
        segment.seal()?;
        segment.sync()?;
        Ok(segment)
    }

    /// Calls `visit` with each whole batch until it says no.
    fn batches(
        &self,
        source: &Source<D::File>,
        mut visit: impl FnMut(Batch<'_>) -> Result<bool, crate::batch::BatchError>,
    ) -> Result<(), LogError> {
        let path = name::file(&self.dir, source.base, name::LOG);
        let failed = |position, error| match error {
            WalkError::Io(source) => io_error("read", &path)(source),
            WalkError::Batch(source) => LogError::Corrupt { path: path.clone(), position, source },
        };
        let mut buffer = vec![0; LONG];
        let mut window = Window::new(&*source.file, &mut buffer, source.size);
        let mut bytes = Vec::new();
        let mut position = 0;
        loop {
            let header = window.header(position).map_err(|error| failed(position, error))?;
            let Some(header) = header else { return Ok(()) };
            debug_assert!(header.size_bytes >= HEADER_BYTES);
            let len = header.size_bytes as u64;
            bytes.clear();
            let range = FileRange { file: source.file.clone(), position, len };
            range.read_into(&mut bytes).map_err(io_error("read", &path))?;
            let visited = Batch::split_first(&bytes)
                .and_then(|(batch, _)| batch.check_crc().and_then(|()| visit(batch)));
            if !visited.map_err(|error| failed(position, WalkError::Batch(error)))? {
                return Ok(());
            }
            position += len;
        }
    }
}

impl<D: Disk> Log<D> {
    /// What a round of compaction may clean, beginning at `first_dirty`, the end of the round before.
    /// Only segments go in that are sealed, durable, decided, replicated and older than
    /// `min.compaction.lag.ms`.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn cleanable(
        &mut self,
        first_dirty: i64,
        now: Millis,
    ) -> Result<Option<Cleanable<D>>, LogError> {
        let parts = self.cleaning_parts(first_dirty, now)?;
        Ok(Some(parts).filter(|parts| !parts.sources.is_empty()))
    }

    /// Puts the cleaned segments in the place of the old ones, unless the log has changed below them.
    ///
    /// # Errors
    /// `Io`: the log is poisoned; opening it again ends the replacement.
    pub fn end_clean(&mut self, cleaned: Cleaned<D>) -> Result<Removed<D>, LogError> {
        let mut removed = self.nothing_removed();
        for group in cleaned.groups {
            // Retention may have taken segments meanwhile: what is left of the round is dropped, and
            // its files with the next start or round.
            if !group.old.iter().all(|(base, file)| self.has_segment(*base, file)) {
                continue;
            }
            let old: Vec<i64> = group.old.iter().map(|(base, _)| *base).collect();
            let done = swap::replace(self.disk(), self.dir(), group.base, &old, group.has_txns);
            let gone = self.or_poison(done)?;
            removed.add(gone, old.len());
            let reopened = self.reopen_segment(group.base, &old);
            self.or_poison(reopened)?;
        }
        Ok(removed)
    }
}
