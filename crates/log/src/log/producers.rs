//! Keeping the state of producers in step with the records.

use polyport_storage::{Disk, DiskFile};

use super::Log;
use crate::batch::{Batch, EndMarker, Header};
use crate::checkpoint;
use crate::error::{LogError, io_error};
use crate::producer::{ProducerState, snapshot};
use crate::segment::{AbortedTxn, name};

/// Largest snapshot that is read.
const MAX_SNAPSHOT_BYTES: u64 = 256 << 20;

impl<D: Disk> Log<D> {
    /// Takes a batch into the state. `bytes` is asked for only if it holds a marker.
    pub(super) fn take_in(
        &mut self,
        header: &Header,
        bytes: impl FnOnce() -> Result<Vec<u8>, LogError>,
        position: u64,
    ) -> Result<(), LogError> {
        if header.attributes.is_transactional() {
            self.verifications.done(header.producer_id);
        }
        if !header.attributes.is_control() {
            self.producers.append(header);
            return Ok(());
        }
        let bytes = bytes()?;
        let at = self.segment_of(header.base_offset);
        let path = self.segments[at].path();
        let corrupt = |source| LogError::Corrupt { path: path.clone(), position, source };
        let (batch, _) = Batch::split_first(&bytes).map_err(corrupt)?;
        let Some(marker) = EndMarker::read(&batch).map_err(corrupt)? else {
            self.producers.set_end_offset(header.next_offset());
            return Ok(());
        };
        let Some(txn) = self.producers.append_marker(header, marker) else { return Ok(()) };
        let last_stable_offset = self.producers.complete(&txn);
        if txn.aborted {
            let aborted = AbortedTxn {
                producer_id: txn.producer_id,
                first_offset: txn.first_offset,
                last_offset: txn.last_offset,
                last_stable_offset,
            };
            self.names_dirty |= self.segments[at].txns.push(aborted)?;
        }
        Ok(())
    }

    /// Writes a snapshot as of the log's end, without syncing it: recovery recognises a torn one.
    pub(super) fn take_snapshot(&mut self) -> Result<(), LogError> {
        let offset = self.producers.end_offset();
        // Without records there are no producers.
        if self.snapshots.last() == Some(&offset) || offset <= self.segments[0].base {
            return Ok(());
        }
        let path = self.file(offset, name::SNAPSHOT);
        let file = self.disk.create(&path).map_err(io_error("create", &path))?;
        let bytes = snapshot::encode(&self.producers);
        file.write_at(&bytes, 0).map_err(io_error("write", &path))?;
        self.snapshots.retain(|other| *other != offset);
        self.snapshots.push(offset);
        self.snapshots.sort_unstable();
        self.snapshot_dirty = true;
        Ok(())
    }

    /// Makes the last snapshot durable.
    pub(super) fn sync_snapshot(&mut self) -> Result<(), LogError> {
        let Some(offset) = self.snapshots.last().filter(|_| self.snapshot_dirty) else {
            return Ok(());
        };
        let path = self.file(*offset, name::SNAPSHOT);
        let file = self.disk.open(&path).map_err(io_error("open", &path))?;
        file.sync_data().map_err(io_error("sync", &path))?;
        checkpoint::sync_parent(&self.disk, &path)?;
        self.snapshot_dirty = false;
        Ok(())
    }

    /// Makes the state anew from the newest snapshot that is whole and the records after it.
    pub(super) fn load_producers(&mut self) -> Result<(), LogError> {
        let (start, end) = (self.log_start, self.log_end);
        self.remove_snapshots(|offset| offset > end)?;
        let mut from = start.max(self.segments[0].base);
        self.producers = ProducerState::empty(from);
        let candidates: Vec<i64> = self.snapshots.iter().rev().copied().collect();
        for offset in candidates {
            let path = self.file(offset, name::SNAPSHOT);
            let bytes = self.disk.read(&path, MAX_SNAPSHOT_BYTES);
            let bytes = bytes.map_err(io_error("read", &path))?;
            match snapshot::decode(&bytes) {
                Ok(entries) if offset >= from => {
                    self.producers = ProducerState::from_entries(entries, offset);
                    from = offset;
                    break;
                }
                Ok(_) => break,
                // Torn by a crash. An older one and more records do as well.
                Err(_) => self.remove_snapshots(|other| other == offset)?,
            }
        }
        self.replay_producers(from)
    }

    fn replay_producers(&mut self, from: i64) -> Result<(), LogError> {
        for at in self.segment_of(from)..self.segments.len() {
            if from >= self.log_end {
                break;
            }
            let mut batches = Vec::new();
            let segment = &self.segments[at];
            segment.walk(from.max(segment.base), |header, position| {
                if header.base_offset >= from && header.has_producer_id() {
                    batches.push((*header, position));
                }
                Ok(true)
            })?;
            for (header, position) in batches {
                let log = self.segments[at].log.clone();
                let path = self.segments[at].path();
                let bytes = || {
                    let len = header.size_bytes as u64;
                    let range = crate::segment::FileRange { file: log, position, len };
                    range.read().map_err(io_error("read", &path))
                };
                self.take_in(&header, bytes, position)?;
            }
        }
        self.producers.set_end_offset(self.log_end);
        Ok(())
    }

    pub(super) fn remove_snapshots(&mut self, which: impl Fn(i64) -> bool) -> Result<(), LogError> {
        let (remove, keep) = self.snapshots.iter().partition(|offset| which(**offset));
        let remove: Vec<i64> = remove;
        self.snapshots = keep;
        for offset in remove {
            let path = self.file(offset, name::SNAPSHOT);
            self.disk.remove(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }
}
