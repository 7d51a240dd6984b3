//! Bytes that must survive: the disk, the journal of the consensus log, snapshots, the directory's
//! lock.
//!
//! - [`disk`]: the [`Disk`] trait with two implementations, the operating system's and one in memory
//!   that loses what was not synced and fails on demand.
//! - [`wal`]: the journal. [`Wal`] appends, [`WalReader`] reads what was flushed, [`wal::Upkeep`] removes
//!   what was purged and has the next segment ready.
//! - [`snapshot`]: one file per snapshot, checked chunk by chunk.
//! - [`lock`]: one process per data directory.
//!
//! # The journal's format
//! One stream of records in segment files `log.<F>.<N>`: F the next entry's index when the segment
//! was begun, 16 hex digits (0 if any index may come first); N its ordinal, 8 hex digits, counting
//! from 1 without gaps. The ordinal is the order; indexes alone are not, because a truncation goes
//! back. All numbers are little-endian; checksums are CRC-32C.
//!
//! | segment header | bytes | |
//! |---|---|---|
//! | magic | 0..8 | `PPWALOG\n` |
//! | version | 8..12 | 1 |
//! | ordinal | 12..16 | as in the name |
//! | next index | 16..24 | as in the name; all ones: any |
//! | salt | 24..28 | the same in all segments of a journal |
//! | opening | 28..32 | bytes of header and first records, durable before the file got its name |
//! | reserved | 32..36 | 0 |
//! | checksum | 36..40 | of bytes 0..36 |
//!
//! | record | bytes | |
//! |---|---|---|
//! | checksum | 0..4 | of all that follows, exclusive-or the salt |
//! | length | 4..8 | of the payload |
//! | type | 8 | 1 entry, 2 truncate, 3 vote, 4 mark, 5 purged |
//! | index | 9..17 | entry: its index; truncate: the first index removed; purged: the last one |
//! | synced segment | 17..21 | all before this ordinal and |
//! | synced offset | 21..25 | this offset was durable when the record was made |
//! | payload | 25.. | |
//!
//! Every segment begins with the latest purged, vote and mark records, so that older segments are
//! needed for their entries only. Zero bytes after the last record are reserved space.
//!
//! `log.spare` is the next segment's file while it is being written full of zeros, by [`wal::Upkeep`];
//! opening the journal removes it.
//!
//! **A torn end or corruption?** Bytes that are no record are a torn end, which is cut off and
//! reported, if they are in the last segment, behind its opening, and no valid record behind them
//! says that they were durable. Everything else stops the opening: so does a missing segment unless
//! what it held was purged. The salt keeps a client from putting into a payload what would pass for
//! such a record. What is read behind the last proven place is written again and synced before
//! [`Wal::open`] returns.
//!
//! # A snapshot's format
//! `snapshot.<index, 16 hex digits>`, the index of the last entry it holds.
//!
//! | part | bytes | |
//! |---|---|---|
//! | header | 8 | `PPSNAP\r\n` |
//! | | 4 | version 1 |
//! | | 4 | length of the metadata, at most 1 MiB |
//! | | 8 | index |
//! | | n | the caller's metadata |
//! | | 4 | checksum of the above |
//! | each chunk | 4 | length of the payload, 1 to 262144 |
//! | | 4 | number, from 0 |
//! | | 4 | checksum: the payload's turned left by one bit, exclusive-or that of length and number |
//! | | n | payload |
//! | footer | 12 | as a chunk of length 0 whose number is that of the chunks |
//! | | 4 | number of chunks |
//! | | 8 | payload bytes of all chunks |
//!
//! # Deliberately absent
//! - Threads, tokio, clocks: callers decide where blocking calls run and when to sync.
//! - The meaning of entries, votes, marks and log ids: they are opaque.
//! - Repair. Decay is located and reported; healing is the cluster's work.
//! - Detection of a whole newest segment, or a whole directory, that somebody removed, and of a newest
//!   segment that somebody cut just behind a record. Nothing on the disk could tell: what would have to
//!   say how far the journal was durable would cost a second sync with each write. A segment without
//!   reserved space behind its last record is no sign either, a torn end that was cut off and a nearly
//!   full disk leave the same. Whoever cuts files off takes votes and acknowledged entries from a node,
//!   and must not start it with what is left: with its data directory moved away it comes back from the
//!   others, and does not vote before it has.
//! - Compression and encryption.

pub mod disk;
pub mod lock;
pub mod snapshot;
pub mod wal;

pub use disk::{Disk, DiskFile, Fault, OsDisk, SimDisk};
pub use lock::{DirLock, LockError};
pub use snapshot::{SnapshotError, SnapshotReader, SnapshotStore, SnapshotWriter};
pub use wal::{Recovered, Wal, WalError, WalOptions, WalReader};

/// CRC-32C (Castagnoli), the checksum of everything this crate writes.
fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The little-endian number at `at`. Callers have checked the length.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

/// The little-endian number at `at`. Callers have checked the length.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}
