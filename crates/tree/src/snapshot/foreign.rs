//! A snapshot that an operator brings. Unlike a node's own it may be anybody's: whatever its bytes
//! are, every node must come to the same end, with no more memory than the bytes take.

use std::io::{self, Read};

use polyport_wire::Cursor;

use super::{malformed, read_record};
use crate::machine::{Machine, RESERVED};
use crate::path;
use crate::store::{NodeIndex, is_session};

/// Which slots znodes are put into.
pub(super) enum Slots {
    /// Those they had.
    AsWritten,
    /// The first ones, in their order: slots that were free are left out. They are memory, as many
    /// as the largest number says.
    Ranked(Vec<u32>),
}

impl Slots {
    /// None for a slot that holds nothing.
    pub(super) fn place(&self, written: u32) -> Option<NodeIndex> {
        let slot = NodeIndex(written);
        match self {
            Self::Ranked(slots) if slot != NodeIndex::NONE => {
                slots.binary_search(&written).ok().map(|rank| NodeIndex(rank as u32))
            }
            _ => Some(slot),
        }
    }
}

fn unusable(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The tree goes on counting from a backup's last transaction: half of all numbers must be left, or
/// its own snapshots could soon not be read any more.
const MAX_FOREIGN_ZXID: i64 = i64::MAX / 2;

impl Machine {
    /// Reads a snapshot twice, from its beginning each time. Origins and restores in it are those of
    /// the cluster it was made by.
    ///
    /// # Errors
    /// If it is malformed or no tree as this machine makes them.
    pub(crate) fn read_foreign_snapshot<R: Read>(open: impl Fn() -> R) -> io::Result<Self> {
        let mut from = open();
        let mut record = Vec::new();
        drop(Self::read_before_nodes(&mut from, &mut record)?);
        let mut slots = Vec::new();
        while read_record(&mut from, &mut record)? {
            let slot = Cursor::new(&record).u32("slot").map_err(malformed)?;
            if slots.last().is_some_and(|last| *last >= slot) || slot == NodeIndex::NONE.0 {
                return Err(unusable("its znodes are out of order"));
            }
            slots.push(slot);
        }
        if from.read(&mut [0])? != 0 {
            return Err(unusable("bytes follow its end"));
        }
        let mut machine = Self::read_with(&mut open(), &Slots::Ranked(slots))?;
        machine.restoring = None;
        machine.check_foreign()?;
        Ok(machine)
    }

    fn check_foreign(&mut self) -> io::Result<()> {
        for slot in 0..self.store.slots() {
            let at = NodeIndex(slot);
            let (czxid, _) = self.store.created(at);
            let meta = self.store.meta(at);
            // Imported trees may know of later transactions than they name as their last.
            self.last_zxid = self.last_zxid.max(czxid).max(meta.mzxid).max(meta.pzxid);
            let session = is_session(meta.owner);
            if session && (meta.num_children > 0 || !self.sessions.contains_key(&meta.owner)) {
                let path = self.store.path(at);
                return Err(unusable(format!("{path} is ephemeral and should not be there")));
            }
            let name = self.store.name(at);
            let Some(parent) = self.store.parent(at) else {
                if name.is_empty() {
                    continue;
                }
                return Err(unusable("its root has a name"));
            };
            let sound = !name.is_empty() && !name.contains('/');
            if !sound || path::validate(&format!("/{name}")).is_err() {
                return Err(unusable(format!("a znode has the name {name:?}")));
            }
            if self.store.child(parent, name) != Some(at) {
                return Err(unusable(format!("{} is there twice", self.store.path(at))));
            }
        }
        if self.last_zxid > MAX_FOREIGN_ZXID {
            return Err(unusable("its transactions have numbers beyond all counting"));
        }
        let owner = |path: &str| self.store.lookup(path).map(|at| self.store.meta(at).owner);
        match RESERVED.iter().find(|path| owner(path) != Some(0)) {
            Some(missing) => Err(unusable(format!("{missing} is missing or somebody's"))),
            None => Ok(()),
        }
    }
}
