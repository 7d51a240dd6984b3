//! Reading entries back.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

use super::error::WalError;
use super::frame::{Frame, Kind};
use super::segment::Segment;
use super::{Location, Shared};
use crate::disk::{Disk, DiskFile};

/// Records this close together are read in one go.
const GAP_BYTES: u32 = 4096;
/// The most bytes read in one go, unless one record is larger.
const RUN_BYTES: u64 = 1 << 20;

/// Reads flushed entries. A cheap clone for any thread; it needs no turn of the writer.
#[derive(Debug)]
pub struct WalReader<D: Disk> {
    pub(super) shared: Arc<RwLock<Shared<D>>>,
    pub(super) salt: u32,
}

impl<D: Disk> Clone for WalReader<D> {
    fn clone(&self) -> Self {
        WalReader { shared: self.shared.clone(), salt: self.salt }
    }
}

/// Records of one segment that are read together.
struct Run<D: Disk> {
    segment: Segment<D::File>,
    first_index: u64,
    locations: Vec<Location>,
}

impl<D: Disk> WalReader<D> {
    /// The flushed entries' indexes.
    pub fn entries(&self) -> Range<u64> {
        self.shared.read().index.entries()
    }

    /// The last flushed purged index.
    pub fn purged(&self) -> Option<u64> {
        self.shared.read().index.purged()
    }

    /// Gives the entries of `range` that there are to `each`, in order, and returns the index after
    /// the last one given (`range.start` if none). Stops before the payloads pass `max_bytes`, but
    /// gives at least one entry.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn read(
        &self,
        range: Range<u64>,
        max_bytes: usize,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<u64, WalError> {
        let mut next = range.start;
        let mut bytes = Vec::new();
        for run in self.plan(range, max_bytes as u64) {
            next = run.first_index + run.locations.len() as u64;
            self.read_run(&run, &mut bytes, &mut each)?;
        }
        Ok(next)
    }

    /// As [`WalReader::read`], into memory.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn read_vec(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, WalError> {
        let mut entries = Vec::new();
        self.read(range, max_bytes, |index, payload| entries.push((index, payload.to_vec())))?;
        Ok(entries)
    }

    /// Takes the places under the lock; the files stay readable even if purged meanwhile.
    fn plan(&self, range: Range<u64>, max_bytes: u64) -> Vec<Run<D>> {
        let shared = self.shared.read();
        let there = shared.index.entries();
        let mut runs: Vec<Run<D>> = Vec::new();
        let mut total = 0;
        for index in range.start.max(there.start)..range.end.min(there.end) {
            let Some(location) = shared.index.get(index) else { break };
            total += u64::from(location.record_bytes);
            if total > max_bytes && !runs.is_empty() {
                break;
            }
            match runs.last_mut() {
                Some(run) if run.takes(location) => run.locations.push(location),
                _ => {
                    let Some(segment) = shared.segments.get(&location.segment) else { break };
                    runs.push(Run {
                        segment: segment.clone(),
                        first_index: index,
                        locations: vec![location],
                    });
                }
            }
        }
        runs
    }

    fn read_run(
        &self,
        run: &Run<D>,
        bytes: &mut Vec<u8>,
        each: &mut impl FnMut(u64, &[u8]),
    ) -> Result<(), WalError> {
        let path = &run.segment.path;
        let (start, end) = run.span();
        bytes.resize((end - start) as usize, 0);
        let file = &run.segment.file;
        let got = file.read_full_at(bytes, start).map_err(WalError::io("read", path))?;
        for (index, location) in (run.first_index..).zip(&run.locations) {
            let at = (u64::from(location.offset) - start) as usize;
            let record = bytes.get(at..got).unwrap_or_default();
            let corrupt = |what: String| WalError::corrupt(path, location.offset.into(), what);
            let frame = Frame::parse(record).map_err(|e| corrupt(e.to_string()))?;
            let payload = frame.payload(record, self.salt).map_err(|e| corrupt(e.to_string()))?;
            if frame.kind != Kind::Entry || frame.index != index {
                return Err(corrupt(format!("entry {index} is expected here")));
            }
            each(index, payload);
        }
        Ok(())
    }
}

impl<D: Disk> Run<D> {
    fn span(&self) -> (u64, u64) {
        let start = self.locations.first().map_or(0, |l| u64::from(l.offset));
        let end =
            self.locations.last().map_or(0, |l| u64::from(l.offset) + u64::from(l.record_bytes));
        (start, end)
    }

    fn takes(&self, next: Location) -> bool {
        let (start, end) = self.span();
        let next_start = u64::from(next.offset);
        next.segment == self.segment.ordinal
            && next_start >= end
            && next_start - end <= u64::from(GAP_BYTES)
            && next_start + u64::from(next.record_bytes) - start <= RUN_BYTES
    }
}
