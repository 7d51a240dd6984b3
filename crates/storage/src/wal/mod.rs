//! The journal of the consensus log. Its format is in the crate's documentation.

mod error;
mod flush;
mod frame;
mod index;
mod options;
mod reader;
mod recover;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

pub use error::WalError;
pub use frame::Position;
pub use options::WalOptions;
pub use reader::WalReader;
pub use recover::{Cut, Recovered};
pub use upkeep::Upkeep;

use crate::disk::Disk;
use frame::{FRAME_BYTES, Kind};
use index::{Index, Location};
use options::MAX_BUFFERED_BYTES;
use segment::Segment;

/// The journal. One owner writes; [`WalReader`]s read what was flushed.
///
/// Changes are buffered until [`Wal::flush`]; only what a flush with `durable` returned `Ok` for may
/// be acknowledged to others.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    disk: D,
    dir: PathBuf,
    options: WalOptions,
    salt: u32,
    shared: Arc<RwLock<Shared<D>>>,
    live: Segment<D::File>,
    /// Where the next byte goes in the live segment.
    end: u64,
    /// The length up to which the live segment is reserved.
    reserved: u64,
    /// Bytes of the live segment's opening.
    opening: u64,
    /// Bytes written to the live segment since it is live here.
    written: u64,
    /// Whether what is reserved was written full of zeros, so that syncs are at their fastest.
    zeroed: bool,
    /// Whether a write that failed may have left something behind the end.
    torn: bool,
    upkeep: Upkeep<D>,
    /// Whether the last reservation found no room for a whole step.
    is_tight: bool,
    /// All before this is durable.
    synced: Position,
    /// Once set, the live segment gets no more bytes even if beginning the next one fails.
    sealed: bool,
    /// Records not yet written, and what they change once they are.
    buffer: Vec<u8>,
    pending: Vec<Pending>,
    /// The index after the last entry, buffered ones included.
    next: Option<u64>,
    /// With the buffered changes, and as far as they were written.
    blobs: Blobs,
    flushed: Blobs,
    blobs_changed: bool,
    poison: Option<String>,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared<D: Disk> {
    index: Index,
    segments: BTreeMap<u32, Segment<D::File>>,
}

/// The small values of which only the latest counts.
#[derive(Clone, Debug, Default)]
struct Blobs {
    vote: Option<Vec<u8>>,
    mark: Option<Vec<u8>>,
    purged: Option<(u64, Vec<u8>)>,
}

/// A buffered record's effect on the index.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Entry { index: u64, at: u32, record_bytes: u32 },
    Truncate { from: u64 },
    Purge { to: u64 },
}

impl<D: Disk> Wal<D> {
    /// Opens the journal in `dir`, making the directory and the first segment if they are not there,
    /// and recovers: a torn end is cut off and reported.
    ///
    /// # Errors
    /// `Corrupt` if durable data changed or is gone; `Io`; `BadOption`.
    pub fn open(
        disk: D,
        dir: impl AsRef<Path>,
        options: WalOptions,
    ) -> Result<(Self, Recovered), WalError> {
        options.check()?;
        recover::open(disk, dir.as_ref(), options)
    }

    /// Buffers an entry, its payload being the parts one after the other.
    ///
    /// # Errors
    /// `OutOfOrder`, `TooLarge`, `Poisoned`; nothing is buffered then.
    pub fn append<P: AsRef<[u8]>>(&mut self, index: u64, parts: &[P]) -> Result<(), WalError> {
        self.usable()?;
        if let Some(expected) = self.next
            && expected != index
        {
            return Err(WalError::OutOfOrder { index, expected });
        }
        let at = self.buffer.len() as u32;
        let record_bytes = self.record(Kind::Entry, index, parts)?;
        self.pending.push(Pending::Entry { index, at, record_bytes });
        self.next = Some(index + 1);
        Ok(())
    }

    /// Buffers the removal of all entries after the given one; `None` removes all.
    ///
    /// # Errors
    /// `OutOfOrder` if that would remove purged entries; `Poisoned`.
    pub fn truncate_after(&mut self, after: Option<u64>) -> Result<(), WalError> {
        self.usable()?;
        let from = after.map_or(0, |index| index.saturating_add(1));
        if let Some((purged, _)) = self.blobs.purged
            && from <= purged
        {
            return Err(WalError::OutOfOrder { index: from, expected: purged + 1 });
        }
        if self.next.is_none_or(|next| next <= from) {
            return Ok(());
        }
        self.record::<&[u8]>(Kind::Truncate, from, &[])?;
        self.pending.push(Pending::Truncate { from });
        let purged = self.blobs.purged.as_ref().map(|(index, _)| *index);
        self.next = index::next_after_truncation(from, purged);
        Ok(())
    }

    /// Buffers the vote: an opaque small value of which the latest counts.
    ///
    /// # Errors
    /// `TooLarge` above 64 KiB, `Poisoned`.
    pub fn set_vote(&mut self, vote: &[u8]) -> Result<(), WalError> {
        self.usable()?;
        self.record(Kind::Vote, 0, &[vote])?;
        self.blobs.vote = Some(vote.to_vec());
        self.blobs_changed = true;
        Ok(())
    }

    /// Buffers the mark: an opaque small value of which the latest counts, such as the last
    /// committed log id.
    ///
    /// # Errors
    /// `TooLarge` above 64 KiB, `Poisoned`.
    pub fn set_mark(&mut self, mark: &[u8]) -> Result<(), WalError> {
        self.usable()?;
        self.record(Kind::Mark, 0, &[mark])?;
        self.blobs.mark.get_or_insert_default().clear();
        self.blobs.mark.get_or_insert_default().extend_from_slice(mark);
        self.blobs_changed = true;
        Ok(())
    }

    /// The index of the first entry, buffered ones included.
    pub fn first_index(&self) -> Option<u64> {
        let first = self.first_pending()?;
        self.next.filter(|next| *next > first).map(|_| first)
    }

    /// The index of the last entry, buffered ones included; `None` if there is no entry.
    pub fn last_index(&self) -> Option<u64> {
        self.first_index().and(self.next).map(|next| next - 1)
    }

    /// The last purged index and the caller's name of it.
    pub fn purged(&self) -> Option<(u64, &[u8])> {
        self.blobs.purged.as_ref().map(|(index, blob)| (*index, blob.as_slice()))
    }

    /// The latest vote, buffered or flushed.
    pub fn vote(&self) -> Option<&[u8]> {
        self.blobs.vote.as_deref()
    }

    /// The latest mark, buffered or flushed.
    pub fn mark(&self) -> Option<&[u8]> {
        self.blobs.mark.as_deref()
    }

    /// All before this place is durable.
    pub fn synced(&self) -> Position {
        self.synced
    }

    /// Bytes that wait for a flush.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a failed sync has stopped the journal.
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_some()
    }

    /// Whether the disk has less room left than one step of reservation: it will be full soon.
    pub fn is_tight(&self) -> bool {
        self.is_tight
    }

    /// A handle that reads flushed entries, for any thread.
    pub fn reader(&self) -> WalReader<D> {
        WalReader { shared: self.shared.clone(), salt: self.salt }
    }

    /// Makes the next segment ready and removes purged ones. Somebody has to run it: without, space is
    /// not given back before the journal is opened again.
    pub fn upkeep(&self) -> Upkeep<D> {
        self.upkeep.clone()
    }

    /// The index of the first entry once the buffered changes are made.
    fn first_pending(&self) -> Option<u64> {
        let shared = self.shared.read();
        if self.pending.is_empty() {
            let entries = shared.index.entries();
            return (!entries.is_empty()).then_some(entries.start);
        }
        let mut index_first =
            Some(shared.index.entries()).filter(|e| !e.is_empty()).map(|e| e.start);
        drop(shared);
        for pending in &self.pending {
            match *pending {
                Pending::Entry { index, .. } => index_first = index_first.or(Some(index)),
                Pending::Truncate { from } => index_first = index_first.filter(|i| *i < from),
                Pending::Purge { to } => index_first = index_first.map(|i| i.max(to + 1)),
            }
        }
        index_first
    }

    fn record<P: AsRef<[u8]>>(
        &mut self,
        kind: Kind,
        index: u64,
        parts: &[P],
    ) -> Result<u32, WalError> {
        let bytes: u64 = parts.iter().map(|part| part.as_ref().len() as u64).sum();
        let limit_bytes = match kind {
            Kind::Entry => self.options.max_record_bytes,
            _ => options::MAX_BLOB_BYTES,
        };
        let limit_bytes = u64::from(limit_bytes);
        if bytes > limit_bytes {
            return Err(WalError::TooLarge { bytes, limit_bytes });
        }
        let buffered = self.buffer.len() as u64 + FRAME_BYTES as u64 + bytes;
        if buffered > MAX_BUFFERED_BYTES {
            return Err(WalError::TooLarge { bytes: buffered, limit_bytes: MAX_BUFFERED_BYTES });
        }
        Ok(frame::encode(&mut self.buffer, self.salt, kind, index, self.synced, parts))
    }

    fn usable(&self) -> Result<(), WalError> {
        match &self.poison {
            Some(reason) => Err(WalError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }
}

impl<D: Disk> Drop for Wal<D> {
    fn drop(&mut self) {
        self.upkeep.close();
    }
}
