//! Where each entry is.

use std::collections::VecDeque;
use std::ops::Range;

/// The place and size of one entry's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub segment: u32,
    pub offset: u32,
    pub record_bytes: u32,
}

/// The log as a list: which entries exist, which index comes next.
///
/// Live writing and recovery apply the same changes to it in the same order, so that both arrive at
/// the same log.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The index of the first location, or of the next entry when there is none. `None`: any index
    /// may come first.
    base: Option<u64>,
    locations: VecDeque<Location>,
    /// All entries up to this one may be gone.
    purged: Option<u64>,
}

impl Index {
    /// A log whose earlier part is not known and whose next entry is `next`.
    pub fn starting_at(next: Option<u64>) -> Self {
        Index { base: next, ..Index::default() }
    }

    /// The index that must come next; `None` if any may.
    pub fn next(&self) -> Option<u64> {
        Some(self.base? + self.locations.len() as u64)
    }

    /// The entries there are.
    pub fn entries(&self) -> Range<u64> {
        let base = self.base.unwrap_or(0);
        base..base + self.locations.len() as u64
    }

    /// The last purged index.
    pub fn purged(&self) -> Option<u64> {
        self.purged
    }

    /// Where the entry is.
    pub fn get(&self, index: u64) -> Option<Location> {
        self.locations.get(usize::try_from(index.checked_sub(self.base?)?).ok()?).copied()
    }

    /// Adds an entry, or says which index was expected.
    pub fn push(&mut self, index: u64, location: Location) -> Result<(), u64> {
        match self.next() {
            Some(next) if next != index => return Err(next),
            Some(_) => {}
            None => self.base = Some(index),
        }
        self.locations.push_back(location);
        Ok(())
    }

    /// Forgets the entries from `from` on.
    pub fn truncate(&mut self, from: u64) {
        let Some(base) = self.base else { return };
        // What is left must not depend on where the list began: a journal that is read from a later
        // segment on begins elsewhere.
        if let Some(keep) = from.checked_sub(base).filter(|keep| *keep > 0) {
            self.locations.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            return;
        }
        self.locations.clear();
        self.base = next_after_truncation(from, self.purged);
    }

    /// Forgets the entries up to `to`; the next entry is then at least `to + 1`.
    pub fn purge(&mut self, to: u64) {
        self.purged = self.purged.max(Some(to));
        match self.base {
            Some(base) if base > to => {}
            Some(base) if base + (self.locations.len() as u64) > to => {
                self.locations.drain(..(to + 1 - base) as usize);
                self.base = Some(to + 1);
            }
            _ => {
                self.locations.clear();
                self.base = Some(to + 1);
            }
        }
    }

    /// The segment of the first entry.
    pub fn first_segment(&self) -> Option<u32> {
        self.locations.front().map(|location| location.segment)
    }

    /// Whether entries are missing between what was purged and what is here.
    pub fn has_hole(&self) -> bool {
        self.base.is_some_and(|base| base > self.purged.map_or(0, |purged| purged + 1))
    }
}

/// The index that must come next when the entries from `from` on are gone; `None`: any.
pub(super) fn next_after_truncation(from: u64, purged: Option<u64>) -> Option<u64> {
    match purged {
        None if from == 0 => None,
        _ => Some(purged.map_or(from, |purged| from.max(purged + 1))),
    }
}
