//! A snapshot's header, chunks and footer.

use crate::{crc32c, u32_at, u64_at};

pub(super) const MAGIC: &[u8; 8] = b"PPSNAP\r\n";
pub(super) const VERSION: u32 = 1;
/// Magic, version, metadata's length, index.
pub(super) const HEADER_BYTES: usize = 24;
/// Payload bytes of every chunk but the last.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Length, number, checksum.
pub(super) const CHUNK_HEADER_BYTES: usize = 12;
/// What follows the end marker: chunks, payload bytes.
pub(super) const FOOTER_BYTES: usize = 12;
pub(super) const METADATA_LIMIT_BYTES: usize = 1 << 20;

/// The bytes before the first chunk.
pub(super) fn header(index: u64, metadata: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + metadata.len() + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(metadata.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&index.to_le_bytes());
    bytes.extend_from_slice(metadata);
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Fills in the header of the chunk that `bytes` holds. A length of 0 marks the footer, whose
/// payload is not counted as a chunk's. The number is under the checksum, so that a lost, doubled or
/// moved chunk shows.
pub(super) fn seal(bytes: &mut [u8], payload_bytes: u32, number: u32) {
    bytes[..4].copy_from_slice(&payload_bytes.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    let crc = checksum(bytes);
    bytes[8..CHUNK_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The checksum of a chunk: that of its payload, turned by length and number.
pub(super) fn checksum(chunk: &[u8]) -> u32 {
    let place = crc32c(&chunk[..8]);
    crc32c(&chunk[CHUNK_HEADER_BYTES..]).rotate_left(1) ^ place
}

/// The footer as a sealed chunk of length 0.
pub(super) fn footer(chunks: u32, payload_bytes: u64) -> [u8; CHUNK_HEADER_BYTES + FOOTER_BYTES] {
    let mut bytes = [0; CHUNK_HEADER_BYTES + FOOTER_BYTES];
    bytes[12..16].copy_from_slice(&chunks.to_le_bytes());
    bytes[16..24].copy_from_slice(&payload_bytes.to_le_bytes());
    seal(&mut bytes, 0, chunks);
    bytes
}

/// The totals in a footer's payload.
pub(super) fn totals(payload: &[u8]) -> (u32, u64) {
    (u32_at(payload, 0), u64_at(payload, 4))
}

/// The name of the snapshot that holds everything up to `index`.
pub(super) fn name(index: u64) -> String {
    format!("snapshot.{index:016x}")
}

pub(super) fn parse_name(file: &str) -> Option<u64> {
    let index = u64::from_str_radix(file.strip_prefix("snapshot.")?, 16).ok()?;
    (name(index) == file).then_some(index)
}
