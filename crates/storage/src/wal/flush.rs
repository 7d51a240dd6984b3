//! Writing: group commit, beginning segments, purging, closing.

use std::sync::Arc;

use super::error::WalError;
use super::frame::{self, Kind, Position};
use super::segment::{HEADER_BYTES, Header, Segment};
use super::upkeep::SPARE;
use super::{Blobs, Location, Pending, Shared, Wal};
use crate::disk::{Disk, DiskFile};

/// The buffer's memory that is kept between flushes.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

impl<D: Disk> Wal<D> {
    /// Writes what is buffered in one write and, if `durable`, makes all that was ever flushed
    /// durable with one sync.
    ///
    /// # Errors
    /// `Io` from writing: what is buffered stays buffered and the flush may be tried again. `Io`
    /// from syncing poisons the journal.
    pub fn flush(&mut self, durable: bool) -> Result<(), WalError> {
        self.usable()?;
        if !self.buffer.is_empty() {
            let full = self.end + self.buffer.len() as u64 > u64::from(self.options.segment_bytes);
            let better = !self.zeroed && self.upkeep.ready();
            self.sealed |= self.end > self.opening && (full || better);
            if self.sealed {
                self.roll()?;
            }
            let before = (self.end, self.written);
            self.write()?;
            self.written += self.end - before.0;
            self.upkeep.written(before.1, self.written);
        }
        if durable && self.synced != self.position() {
            self.sync("sync", &self.live.clone())?;
            self.synced = self.position();
        }
        Ok(())
    }

    /// Forgets the entries up to `to`, of which `name` is the caller's opaque name, durably, and
    /// leaves the segments that are then without use to [`Wal::upkeep`]. `to` may lie beyond the last entry, as after
    /// the installation of a snapshot: the next entry is then `to + 1`. Flushes what is buffered. An
    /// index already purged changes nothing.
    ///
    /// # Errors
    /// As [`Wal::flush`].
    pub fn purge_to(&mut self, to: u64, name: &[u8]) -> Result<(), WalError> {
        self.usable()?;
        if self.blobs.purged.as_ref().is_some_and(|(purged, _)| *purged >= to) {
            return Ok(());
        }
        self.record(Kind::Purged, to, &[name])?;
        self.pending.push(Pending::Purge { to });
        self.blobs.purged = Some((to, name.to_vec()));
        self.blobs_changed = true;
        self.next = self.next.max(Some(to + 1));
        self.flush(true)?;
        self.retire_unused();
        Ok(())
    }

    /// Flushes durably and gives the reserved but unused space back.
    ///
    /// # Errors
    /// As [`Wal::flush`].
    pub fn close(mut self) -> Result<(), WalError> {
        self.flush(true)?;
        let live = &self.live;
        live.file.set_len(self.end).map_err(WalError::io("cut to length", &live.path))?;
        live.file.sync_data().map_err(WalError::io("sync", &live.path))
    }

    fn position(&self) -> Position {
        Position { segment: self.live.ordinal, offset: self.end as u32 }
    }

    fn write(&mut self) -> Result<(), WalError> {
        let end = self.end + self.buffer.len() as u64;
        if end > self.reserved {
            self.reserve(end)?;
        }
        let live = &self.live;
        self.torn = true;
        live.file.write_at(&self.buffer, self.end).map_err(WalError::io("write to", &live.path))?;
        self.torn = false;
        let (segment, start) = (live.ordinal, self.end as u32);
        let mut shared = self.shared.write();
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Entry { index, at, record_bytes } => {
                    let location = Location { segment, offset: start + at, record_bytes };
                    shared
                        .index
                        .push(index, location)
                        .map_err(|expected| WalError::OutOfOrder { index, expected })?;
                }
                Pending::Truncate { from } => shared.index.truncate(from),
                Pending::Purge { to } => shared.index.purge(to),
            }
        }
        drop(shared);
        self.end = end;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        if std::mem::take(&mut self.blobs_changed) {
            self.flushed.clone_from(&self.blobs);
        }
        Ok(())
    }

    /// Reserves the next step of space, or if the disk has no room for a whole step any more, what is
    /// needed up to `end`.
    fn reserve(&mut self, end: u64) -> Result<(), WalError> {
        let step = end.next_multiple_of(u64::from(self.options.prealloc_bytes));
        let live = &self.live;
        self.is_tight = false;
        self.reserved = match live.file.allocate(step) {
            Err(error) if crate::disk::is_full(&error) => {
                self.is_tight = true;
                live.file.allocate(end).map(|()| end)
            }
            reserved => reserved.map(|()| step),
        }
        .map_err(WalError::io("reserve space in", &live.path))?;
        Ok(())
    }

    fn sync(&mut self, op: &'static str, segment: &Segment<D::File>) -> Result<(), WalError> {
        segment.file.sync_data().map_err(|source| {
            self.poison = Some(format!("{op} {}: {source}", segment.path.display()));
            WalError::Io { op, file: segment.path.clone(), source }
        })
    }

    /// Ends the live segment and begins the next.
    fn roll(&mut self) -> Result<(), WalError> {
        let old = self.live.clone();
        // One that is full of zeros has little left, and keeps its length for its next life.
        if !self.zeroed || self.torn {
            old.file.set_len(self.end).map_err(WalError::io("cut to length", &old.path))?;
            self.reserved = self.end;
        }
        self.sync("sync", &old)?;
        self.synced = self.position();
        let header = Header {
            ordinal: old.ordinal + 1,
            next: self.shared.read().index.next(),
            salt: self.salt,
            opening_bytes: 0,
        };
        let opening = opening(header, &self.flushed, self.synced);
        let spare = self.upkeep.take();
        let zeroed = spare.is_some();
        let live = create(&self.disk, &self.dir, header, &opening, spare)?;
        if let Err(source) = self.disk.sync_dir(&self.dir) {
            self.poison = Some(format!("sync {}: {source}", self.dir.display()));
            return Err(WalError::Io { op: "sync", file: self.dir.clone(), source });
        }
        self.shared.write().segments.insert(live.ordinal, live.clone());
        self.live = live;
        self.end = opening.len() as u64;
        self.opening = self.end;
        self.written = 0;
        self.reserved = if zeroed { self.options.segment_bytes.into() } else { self.end };
        self.zeroed = zeroed;
        self.torn = false;
        self.synced = self.position();
        self.sealed = false;
        Ok(())
    }

    /// Gives up the oldest segments as long as they hold no entry that is still there.
    pub(super) fn retire_unused(&mut self) {
        let mut shared = self.shared.write();
        let first_used = shared.index.first_segment().unwrap_or(self.live.ordinal);
        let unused = take_before(&mut shared, first_used);
        drop(shared);
        self.upkeep.retire(unused);
    }
}

fn take_before<D: Disk>(shared: &mut Shared<D>, ordinal: u32) -> Vec<Segment<D::File>> {
    let kept = shared.segments.split_off(&ordinal);
    std::mem::replace(&mut shared.segments, kept).into_values().collect()
}

/// The first bytes of a segment: its header and the values of which the latest counts, so that no
/// earlier segment is needed for them.
pub(super) fn opening(mut header: Header, blobs: &Blobs, synced: Position) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    let mut add = |kind, index, blob: &[u8]| {
        frame::encode(&mut bytes, header.salt, kind, index, synced, &[blob]);
    };
    if let Some((index, name)) = &blobs.purged {
        add(Kind::Purged, *index, name);
    }
    if let Some(vote) = &blobs.vote {
        add(Kind::Vote, 0, vote);
    }
    if let Some(mark) = &blobs.mark {
        add(Kind::Mark, 0, mark);
    }
    header.opening_bytes = bytes.len() as u32;
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    bytes
}

/// Makes a segment under a temporary name, durable, and then gives it its name: a segment that is
/// found under its name has a whole opening. The name is durable after a sync of the directory.
pub(super) fn create<D: Disk>(
    disk: &D,
    dir: &std::path::Path,
    header: Header,
    opening: &[u8],
    spare: Option<D::File>,
) -> Result<Segment<D::File>, WalError> {
    let name = header.name().to_string();
    let path = dir.join(&name);
    let (temporary, file) = match spare {
        Some(file) => (dir.join(SPARE), file),
        None => {
            let temporary = dir.join(name + ".tmp");
            let file = disk.create(&temporary).map_err(WalError::io("create", &temporary))?;
            (temporary, file)
        }
    };
    file.write_at(opening, 0).map_err(WalError::io("write to", &temporary))?;
    file.sync_data().map_err(WalError::io("sync", &temporary))?;
    disk.rename(&temporary, &path).map_err(WalError::io("rename", &temporary))?;
    Ok(Segment { ordinal: header.ordinal, path, file: Arc::new(file) })
}
