//! Reads.

use crate::Stat;
use crate::machine::Machine;

/// The tree at one moment.
#[derive(Clone, Copy)]
pub struct Tree<'a>(&'a Machine);

impl<'a> Tree<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        Self(machine)
    }

    /// The newest transaction it shows.
    pub fn zxid(self) -> i64 {
        self.0.last_zxid()
    }

    /// Data and stat of a znode, if it is there. Null data is empty here.
    pub fn get(self, path: &str) -> Option<(&'a [u8], Stat)> {
        let store = self.0.store();
        let at = store.lookup(path)?;
        Some((store.data(at).unwrap_or_default(), store.stat(at)))
    }

    /// Stat of a znode, if it is there.
    pub fn stat(self, path: &str) -> Option<Stat> {
        let store = self.0.store();
        store.lookup(path).map(|at| store.stat(at))
    }

    /// Names of a znode's children in no particular order; none if it is not there.
    pub fn children(self, path: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let store = self.0.store();
        let at = store.lookup(path);
        at.into_iter().flat_map(move |at| store.children(at)).map(|child| store.name(child))
    }
}
