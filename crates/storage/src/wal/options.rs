//! The journal's settings.

use super::error::WalError;

/// Settings of a journal. The defaults suit a server.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// Disk space is reserved in steps of this many bytes. Default 64 MiB.
    pub prealloc_bytes: u32,
    /// A new segment is begun before one would pass this many bytes. At most 1 GiB. Default 64 MiB.
    pub segment_bytes: u32,
    /// The largest payload of one record in bytes. At most 1 GiB. Default 224 MiB.
    pub max_record_bytes: u32,
    /// Makes a new journal's checksums unforeseeable. `None` takes it from the operating system;
    /// simulations give one.
    pub salt: Option<u32>,
}

const MIB: u32 = 1 << 20;
const LIMIT: u32 = 1024 * MIB;

impl Default for WalOptions {
    fn default() -> Self {
        WalOptions {
            prealloc_bytes: 64 * MIB,
            segment_bytes: 64 * MIB,
            max_record_bytes: 224 * MIB,
            salt: None,
        }
    }
}

impl WalOptions {
    /// Refuses values that would overflow an offset.
    pub(super) fn check(&self) -> Result<(), WalError> {
        let too_large = "must be between 1 byte and 1 GiB";
        for (option, value) in [
            ("prealloc_bytes", self.prealloc_bytes),
            ("segment_bytes", self.segment_bytes),
            ("max_record_bytes", self.max_record_bytes),
        ] {
            if value == 0 || value > LIMIT {
                return Err(WalError::BadOption { option, problem: too_large });
            }
        }
        Ok(())
    }

    /// The salt of a new journal.
    pub(super) fn new_salt(&self) -> u32 {
        use std::hash::{BuildHasher, Hasher};
        self.salt.unwrap_or_else(|| {
            // The standard library's hasher is keyed from the operating system's randomness.
            std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
        })
    }
}

/// The most bytes one flush may carry, so that every offset fits in 32 bits.
pub(super) const MAX_BUFFERED_BYTES: u64 = LIMIT as u64 + 64 * MIB as u64;

/// The largest vote, mark or name of a purged entry in bytes. They are repeated in every segment.
pub(super) const MAX_BLOB_BYTES: u32 = 64 << 10;
