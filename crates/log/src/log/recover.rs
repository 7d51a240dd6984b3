//! Opening a log: what the last process left is taken as it is, or checked and repaired.

use std::path::Path;

use polyport_base::Millis;
use polyport_storage::Disk;

use super::Log;
use crate::checkpoint::epochs::Epochs;
use crate::cleaner;
use crate::config::LogConfig;
use crate::error::{LogError, io_error};
use crate::producer::{ProducerState, Verifications};
use crate::segment::{Segment, name};

/// What the checkpoints of the log directory say of a partition.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenPoints {
    /// Everything below was durable.
    pub recovery_point: i64,
    /// The log start offset, if it was not a segment's base.
    pub log_start: i64,
    /// The high watermark; 0 if unknown.
    pub high_watermark: i64,
    /// The last process closed the log.
    pub clean: bool,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes of records that were read and checked.
    pub scanned_bytes: u64,
    /// Bytes cut off as a torn end, and why.
    pub cut: Option<(u64, String)>,
    /// Segments removed because they came after a torn end or a hole.
    pub removed_segments: usize,
    /// Segments whose indexes were made anew.
    pub rebuilt_indexes: usize,
}

impl<D: Disk> Log<D> {
    /// Opens the log in `dir`, which is made if it is not there. After a crash, what is beyond the
    /// recovery point is checked batch by batch, and the log ends where the first bad batch begins.
    ///
    /// # Errors
    /// `Io`; `Corrupt` if what was durable cannot be read.
    pub fn open(
        disk: D,
        dir: &Path,
        config: LogConfig,
        points: OpenPoints,
        now: Millis,
    ) -> Result<(Self, Recovered), LogError> {
        disk.create_dir_all(dir).map_err(io_error("make", dir))?;
        cleaner::finish_swaps(&disk, dir)?;
        let (bases, snapshots) = tidy(&disk, dir)?;
        let (epochs, epochs_found) = Epochs::open(&disk, dir)?;
        let mut log = Log {
            disk,
            dir: dir.to_path_buf(),
            config,
            segments: Vec::new(),
            log_start: points.log_start,
            log_end: 0,
            high_watermark: 0,
            recovery_point: points.recovery_point,
            epochs,
            producers: ProducerState::default(),
            verifications: Verifications::default(),
            snapshots,
            snapshot_dirty: false,
            names_dirty: false,
            unflushed_messages: 0,
            unflushed_bytes: 0,
            unflushed_since: None,
            poison: None,
            headers: Vec::new(),
        };
        let recovered = log.load(&bases, points, epochs_found, now)?;
        Ok((log, recovered))
    }

    fn load(
        &mut self,
        bases: &[i64],
        points: OpenPoints,
        epochs_found: bool,
        now: Millis,
    ) -> Result<Recovered, LogError> {
        let mut recovered = Recovered::default();
        let options = Self::options(&self.config);
        for (at, base) in bases.iter().enumerate() {
            let (mut segment, broken) =
                Segment::open(&self.disk, &self.dir, *base, options, now.0)?;
            recovered.rebuilt_indexes += usize::from(broken);
            let next_base = bases.get(at + 1).copied().unwrap_or(i64::MAX);
            // A segment that ends at the recovery point may have been sealed after the flush: its
            // last index entries are not covered.
            let beyond = next_base >= points.recovery_point;
            let is_last = next_base == i64::MAX;
            let check = !points.clean
                && beyond
                && !(is_last && !broken && segment.is_settled(points.recovery_point)?);
            if broken || check {
                let scanned = segment.recover((!broken).then_some(points.recovery_point))?;
                recovered.scanned_bytes += scanned.bytes;
                if let Some((bytes, why)) = scanned.cut {
                    recovered.cut = Some((bytes, why.to_string()));
                }
            }
            self.segments.push(segment);
            let ends_early = recovered.cut.is_some();
            if !points.clean && (ends_early || self.has_hole(next_base, points)?) {
                recovered.removed_segments += self.drop_after(&bases[at + 1..])?;
                break;
            }
        }
        if !points.clean {
            recovered.removed_segments += self.drop_before_hole()?;
        }
        if self.segments.is_empty() {
            let base = points.log_start.max(0);
            let segment = Segment::create(&self.disk, &self.dir, base, "", options, now.0)?;
            self.segments.push(segment);
            if !epochs_found {
                self.epochs.touch()?;
            }
            self.sync_names()?;
        }
        self.log_end = self.active().next_offset()?;
        if self.log_end < points.log_start {
            // What is left was deleted, and its successors are lost: their offsets are not given
            // twice.
            self.restart(points.log_start, now)?.unlink()?;
        }
        self.log_start = points.log_start.max(self.segments[0].base);
        // What was found beyond the recovery point is valid, but only a flush makes it durable.
        self.recovery_point = match points.clean {
            true => self.log_end,
            false => points.recovery_point.min(self.log_end),
        };
        if self.log_end > self.recovery_point {
            self.unflushed_bytes = recovered.scanned_bytes;
            self.unflushed_since = Some(now);
        }
        // A segment that was begun after the last flush may not have a durable name.
        let begun = self.segments.len() > 1 && self.active().base >= self.recovery_point;
        self.names_dirty = !points.clean && (begun || self.log_end > self.recovery_point);
        self.recover_epochs(points, epochs_found)?;
        self.load_producers()?;
        self.set_high_watermark(points.high_watermark);
        Ok(recovered)
    }

    /// Whether the segment after the last one, beginning at `next_base`, does not continue it. Holes
    /// below the recovery point are compaction's.
    fn has_hole(&self, next_base: i64, points: OpenPoints) -> Result<bool, LogError> {
        if next_base == i64::MAX || next_base <= points.recovery_point {
            return Ok(false);
        }
        match self.segments.last() {
            Some(last) => Ok(last.next_offset()? != next_base),
            None => Ok(false),
        }
    }

    fn drop_after(&mut self, bases: &[i64]) -> Result<usize, LogError> {
        // The newest first, as a crash in here must not leave a hole.
        for base in bases.iter().rev() {
            for kind in [name::LOG, name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX] {
                crate::remove_if_there(&self.disk, &self.file(*base, kind))?;
            }
            self.sync_names()?;
        }
        Ok(bases.len())
    }

    /// Without compaction a hole means that a crash undid a part of retention's work: what is before
    /// it was to go.
    fn drop_before_hole(&mut self) -> Result<usize, LogError> {
        if self.config.compact || self.segments.len() < 2 {
            return Ok(0);
        }
        let mut keep_from = 0;
        for at in 1..self.segments.len() {
            if self.segments[at - 1].next_offset()? != self.segments[at].base {
                keep_from = at;
            }
        }
        let dropped: Vec<i64> = self.segments.drain(..keep_from).map(|s| s.base).collect();
        for base in &dropped {
            for kind in [name::LOG, name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX] {
                crate::remove_if_there(&self.disk, &self.file(*base, kind))?;
            }
        }
        if !dropped.is_empty() {
            self.sync_names()?;
        }
        Ok(dropped.len())
    }

    /// Epochs of records that are gone go; those of records that are there come.
    fn recover_epochs(&mut self, points: OpenPoints, found: bool) -> Result<(), LogError> {
        self.epochs.truncate_end(self.log_end)?;
        if self.log_start > self.segments[0].base || !points.clean {
            self.epochs.truncate_start(self.log_start)?;
        }
        if points.clean && found {
            return Ok(());
        }
        let from = if found { points.recovery_point.min(self.log_end) } else { self.log_start };
        let mut changed = false;
        for at in self.segment_of(from)..self.segments.len() {
            let (segment, epochs) = (&self.segments[at], &mut self.epochs);
            segment.walk(from.max(segment.base), |header, _| {
                changed |= epochs.note(header.leader_epoch, header.base_offset);
                Ok(true)
            })?;
        }
        if changed { self.epochs.store() } else { Ok(()) }
    }
}

/// Removes what is left over from a crash and finds the segments and snapshots, ascending.
fn tidy<D: Disk>(disk: &D, dir: &Path) -> Result<(Vec<i64>, Vec<i64>), LogError> {
    let names = disk.list(dir).map_err(io_error("list", dir))?;
    let mut bases = Vec::new();
    let mut snapshots = Vec::new();
    for file in &names {
        let Some((offset, kind)) = name::parse(file) else {
            if file.ends_with(".tmp") {
                crate::remove_if_there(disk, &dir.join(file))?;
            }
            continue;
        };
        match kind {
            name::LOG => bases.push(offset),
            name::SNAPSHOT => snapshots.push(offset),
            _ if kind.ends_with(name::DELETED) => crate::remove_if_there(disk, &dir.join(file))?,
            _ => {}
        }
    }
    bases.sort_unstable();
    snapshots.sort_unstable();
    for file in &names {
        // An index without its records would pass for that of a later segment of the same base.
        if let Some((offset, name::OFFSET_INDEX | name::TIME_INDEX | name::TXN_INDEX)) =
            name::parse(file)
            && bases.binary_search(&offset).is_err()
        {
            crate::remove_if_there(disk, &dir.join(file))?;
        }
    }
    Ok((bases, snapshots))
}
