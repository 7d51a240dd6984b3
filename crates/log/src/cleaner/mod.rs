//! Compaction: of the records of a key, only the last stays.
//!
//! A round reads the dirty part of the log and notes the last offset of each key ([`KeyOffsets`],
//! bounded in memory), then writes every segment below anew without the records that have a later
//! one. Segments are replaced so that a crash at any point leaves the old records or the new ones,
//! never neither:
//!
//! 1. the new segment is written as `.cleaned` files and synced;
//! 2. its records are renamed to `.log.swap`, durably: from here on the new segment counts;
//! 3. the old segments' files are removed, durably;
//! 4. the names lose their suffixes, durably.
//!
//! A start removes `.cleaned` files and goes on from step 3 for `.swap` files; indexes that are
//! missing then are made from the records.

mod clean;
mod keys;
mod rewrite;
mod swap;
#[cfg(test)]
mod tests;

pub(crate) use clean::Source;
pub use clean::{Cleanable, Cleaned};
pub use keys::KeyOffsets;
pub(crate) use swap::finish_swaps;
