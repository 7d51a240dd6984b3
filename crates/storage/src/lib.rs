//! Bytes that must survive: the disk, the journal of the consensus log, snapshots, the directory's
//! lock.

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
