//! A segment file's name and header.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::WalError;
use crate::{crc32c, u32_at, u64_at};

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 40;
const MAGIC: &[u8; 8] = b"PPWALOG\n";
const VERSION: u32 = 1;
/// Stands for "no entry was ever written, any index may come first".
const ANY: u64 = u64::MAX;

/// What a segment file says about itself in its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Segments are numbered without gaps in the order in which they were begun.
    pub ordinal: u32,
    /// The index of the next entry when the segment was begun.
    pub next: Option<u64>,
    /// The journal's salt, the same in all its segments.
    pub salt: u32,
    /// Bytes of header and first records that were durable before the file got its name.
    pub opening_bytes: u32,
}

/// Which segment a file is, from its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub ordinal: u32,
    pub first: u64,
}

impl Name {
    pub fn parse(name: &str) -> Option<Self> {
        let (first, ordinal) = name.strip_prefix("log.")?.split_once('.')?;
        if first.len() != 16 || ordinal.len() != 8 {
            return None;
        }
        let parsed = Name {
            ordinal: u32::from_str_radix(ordinal, 16).ok()?,
            first: u64::from_str_radix(first, 16).ok()?,
        };
        // Refuses signs and capitals, which from_str_radix takes.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "log.{:016x}.{:08x}", self.first, self.ordinal)
    }
}

impl Header {
    pub fn name(&self) -> Name {
        Name { ordinal: self.ordinal, first: self.next.unwrap_or(0) }
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.next.unwrap_or(ANY).to_le_bytes());
        bytes[24..28].copy_from_slice(&self.salt.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.opening_bytes.to_le_bytes());
        let crc = crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8], file: &Path, name: &Name) -> Result<Self, WalError> {
        let corrupt = |what: &str| WalError::corrupt(file, 0, what);
        if bytes.len() < HEADER_BYTES {
            return Err(corrupt("the file is shorter than a segment's header"));
        }
        if &bytes[..8] != MAGIC {
            return Err(corrupt("the file does not begin as a segment does"));
        }
        if u32_at(bytes, 36) != crc32c(&bytes[..36]) {
            return Err(corrupt("the header's checksum does not match its bytes"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(corrupt(&format!("format version {version} is not known, only {VERSION}")));
        }
        let next = u64_at(bytes, 16);
        let header = Header {
            ordinal: u32_at(bytes, 12),
            next: (next != ANY).then_some(next),
            salt: u32_at(bytes, 24),
            opening_bytes: u32_at(bytes, 28),
        };
        if header.name() != *name {
            return Err(corrupt("the file is named as another segment than its header says"));
        }
        Ok(header)
    }
}

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub ordinal: u32,
    pub path: PathBuf,
    pub file: Arc<F>,
}

impl<F> Clone for Segment<F> {
    fn clone(&self) -> Self {
        Segment { ordinal: self.ordinal, path: self.path.clone(), file: self.file.clone() }
    }
}
