//! Exactly once, in order: each node numbers the batches it sends, and sends again what it has not
//! seen applied, to whichever leader. What comes twice or out of turn is skipped by all alike.

use std::collections::BTreeMap;

/// One node's current incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its number: the zxid at which it opened, so later incarnations are greater.
    pub id: u64,
    /// The batch that comes next.
    pub next_sequence: u64,
    /// The random number it was asked for with; the same question gets the same answer.
    pub nonce: u64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was applied.
    Applied,
    /// It had been applied before, or its origin has been replaced.
    Duplicate,
    /// One before it has not come yet; its origin will send both again.
    Gap,
}

/// The current origin of every node that ever sent something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<u64, Origin>);

impl Origins {
    /// A node's current origin.
    pub fn get(&self, node: u64) -> Option<Origin> {
        self.0.get(&node).copied()
    }

    /// Opens an origin, or finds the one that this very question opened before.
    pub(crate) fn open(&mut self, node: u64, id: u64, nonce: u64) -> u64 {
        match self.0.get(&node) {
            Some(origin) if origin.nonce == nonce => origin.id,
            _ => {
                self.0.insert(node, Origin { id, next_sequence: 0, nonce });
                id
            }
        }
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<Origin> {
        self.0.values().find(|origin| origin.id == id).copied()
    }

    /// Decides on a batch, and counts it if it is to be applied.
    pub(crate) fn admit(&mut self, id: u64, sequence: u64) -> Fate {
        let Some(origin) = self.0.values_mut().find(|origin| origin.id == id) else {
            return Fate::Duplicate;
        };
        if sequence < origin.next_sequence {
            return Fate::Duplicate;
        }
        if sequence > origin.next_sequence {
            return Fate::Gap;
        }
        origin.next_sequence += 1;
        Fate::Applied
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, Origin)> + '_ {
        self.0.iter().map(|(node, origin)| (*node, *origin))
    }

    pub(crate) fn restore(&mut self, node: u64, origin: Origin) {
        self.0.insert(node, origin);
    }
}
