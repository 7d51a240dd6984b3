//! Snapshots of a machine that goes on working.
//!
//! [`Machine::begin_snapshot`] fixes the moment and copies what is small. Then znodes are written
//! slot by slot with the lock let go in between; a znode about to change before its turn is put
//! aside as it was. So a snapshot is exact at its moment, costs the changes made meanwhile, and
//! stops nobody for longer than one piece.
//!
//! ```text
//! snapshot := head piece* node* end
//! head     := version:u8 last_zxid:i64 term:u64 time_ms:i64 origins acls sessions restoring?
//! restoring:= id:u64 touched_ms:i64 pieces:u32
//! piece    := bytes
//! node     := slot:u32 parent:u32 czxid:i64 ctime:i64 acl:u32 name data meta?
//! end      := u32::MAX
//! ```
//! Version 2 has a restore under way and its pieces, version 1 has none.

mod foreign;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes};
use polyport_wire::{Cursor, DecodeError};

use crate::command::{get_acl, put_acl};
use crate::machine::{Machine, Origin, Restoring, Stamp};
use crate::session::{Attachment, Session};
use crate::store::{MAX_NAME, Meta, NewNode, NodeIndex, Store};
use foreign::Slots;

const VERSION: u8 = 1;
/// With a restore under way.
const VERSION_RESTORING: u8 = 2;
/// Bytes of a piece, about: what is written under one hold of the lock.
const PIECE: usize = 64 * 1024;
/// No record is longer: a name, a frame's worth of data, and fixed fields.
const MAX_RECORD: u32 = 1 << 30;

/// Which snapshot a piece is asked of: a machine writes one at a time, but it may be replaced or told
/// to begin another while a writer still holds on to the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

static TICKETS: AtomicU64 = AtomicU64::new(1);

/// A snapshot being written.
#[derive(Debug)]
pub(crate) struct InProgress {
    ticket: Ticket,
    /// Slots below are written.
    cursor: u32,
    /// Slots from here on are younger than the snapshot.
    end: u32,
    /// Slots that changed before their turn: their record, empty if they held nothing.
    aside: BTreeMap<u32, Vec<u8>>,
    /// Of a restore under way; written first.
    pieces: VecDeque<Bytes>,
    /// The tree as it was when another took its place.
    replaced: Option<Box<Store>>,
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn put_node(store: &Store, at: NodeIndex, out: &mut Vec<u8>) {
    if !store.holds(at) {
        return;
    }
    let start = out.len();
    out.put_u32(0);
    out.put_u32(at.0);
    out.put_u32(store.parent(at).unwrap_or(NodeIndex::NONE).0);
    let (czxid, ctime) = store.created(at);
    out.put_i64(czxid);
    out.put_i64(ctime);
    out.put_u32(store.acl(at));
    put_bytes(out, store.name(at).as_bytes());
    let meta = store.own_meta(at);
    let data = store.data(at);
    out.put_u8(u8::from(data.is_some()) | u8::from(meta.is_some()) << 1);
    if let Some(data) = data {
        put_bytes(out, data);
    }
    if let Some(meta) = meta {
        out.put_i64(meta.mzxid);
        out.put_i64(meta.mtime);
        out.put_i64(meta.pzxid);
        out.put_i64(meta.owner);
        out.put_i32(meta.version);
        out.put_i32(meta.creations);
        out.put_i32(meta.aversion);
    }
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

impl Machine {
    /// Fixes the moment of a snapshot; the answer is its ticket and its head. A snapshot still in
    /// progress is given up.
    pub fn begin_snapshot(&mut self) -> (Ticket, Vec<u8>) {
        let ticket = Ticket(TICKETS.fetch_add(1, Ordering::Relaxed));
        let end = self.store.slots();
        let pieces: VecDeque<Bytes> =
            self.restoring.iter().flat_map(|restoring| restoring.pieces.iter().cloned()).collect();
        let mut out = Vec::new();
        out.put_u8(if self.restoring.is_some() { VERSION_RESTORING } else { VERSION });
        out.put_i64(self.last_zxid);
        out.put_u64(self.last_stamp.term);
        out.put_i64(self.last_stamp.time_ms);
        out.put_u32(self.origins.iter().len() as u32);
        for (node, origin) in self.origins.iter() {
            out.put_u64(node);
            out.put_u64(origin.id);
            out.put_u64(origin.next_sequence);
            out.put_u64(origin.nonce);
        }
        out.put_u32(self.acls.lists().len() as u32);
        for list in self.acls.lists() {
            put_acl(&mut out, list);
        }
        out.put_u32(self.sessions.len() as u32);
        for (id, session) in &self.sessions {
            out.put_i64(*id);
            out.put_i32(session.timeout_ms);
            out.put_slice(&session.password);
            out.put_u64(session.attachment.origin);
            out.put_u64(session.attachment.connection);
        }
        if let Some(restoring) = &self.restoring {
            out.put_u64(restoring.id);
            out.put_i64(restoring.touched_ms);
            out.put_u32(restoring.pieces.len() as u32);
        }
        let (aside, replaced) = (BTreeMap::new(), None);
        self.snapshot = Some(InProgress { ticket, cursor: 0, end, aside, pieces, replaced });
        let mut framed = Vec::with_capacity(out.len() + 4);
        put_bytes(&mut framed, &out);
        (ticket, framed)
    }

    /// Appends the next piece to `out`. False after the last.
    ///
    /// # Errors
    /// If the snapshot was given up: what was written of it is worth nothing.
    pub fn snapshot_piece(&mut self, ticket: Ticket, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(mut progress) = self.snapshot.take_if(|progress| progress.ticket == ticket) else {
            return Err(io::Error::other("the snapshot was overtaken by a newer state"));
        };
        let full = out.len() + PIECE;
        while out.len() < full
            && let Some(piece) = progress.pieces.pop_front()
        {
            put_bytes(out, &piece);
        }
        let store = progress.replaced.as_deref().unwrap_or(&self.store);
        while progress.cursor < progress.end && out.len() < full {
            let at = NodeIndex(progress.cursor);
            match progress.aside.remove(&progress.cursor) {
                Some(record) => out.put_slice(&record),
                None => put_node(store, at, out),
            }
            progress.cursor += 1;
        }
        if progress.cursor < progress.end || !progress.pieces.is_empty() {
            self.snapshot = Some(progress);
            return Ok(true);
        }
        out.put_u32(u32::MAX);
        Ok(false)
    }

    /// Gives up a snapshot, if it is still in progress.
    pub fn abandon_snapshot(&mut self, ticket: Ticket) {
        self.snapshot.take_if(|progress| progress.ticket == ticket);
    }

    /// Another tree takes the place of this one: a snapshot in progress goes on with `before`.
    pub(crate) fn keep_for_snapshot(&mut self, before: Store) {
        if let Some(progress) = &mut self.snapshot {
            progress.replaced.get_or_insert_with(|| Box::new(before));
        }
    }

    /// Called before any change of a slot.
    pub(crate) fn before_change(&mut self, at: NodeIndex) {
        let Some(mut progress) = self.snapshot.take() else {
            return;
        };
        let due = at.0 >= progress.cursor && at.0 < progress.end && progress.replaced.is_none();
        if due && !progress.aside.contains_key(&at.0) {
            let mut record = Vec::new();
            put_node(&self.store, at, &mut record);
            progress.aside.insert(at.0, record);
        }
        self.snapshot = Some(progress);
    }

    /// Called before a znode takes a slot.
    pub(crate) fn before_insert(&mut self) {
        if self.snapshot.is_some()
            && let Some(at) = self.store.next_slot()
        {
            self.before_change(at);
        }
    }

    /// Terms are 31 bits; the last one would leave no room to count in.
    const MAX_READ_ZXID: i64 = i64::MAX - u32::MAX as i64;

    /// Reads a snapshot.
    ///
    /// # Errors
    /// If it cannot be read, is malformed or of another version.
    pub fn read_snapshot(from: &mut impl Read) -> io::Result<Machine> {
        Self::read_with(from, &Slots::AsWritten)
    }

    fn read_with(from: &mut impl Read, slots: &Slots) -> io::Result<Machine> {
        let mut record = Vec::new();
        let mut machine = Self::read_before_nodes(from, &mut record)?;
        while read_record(from, &mut record)? {
            machine.read_node(&record, slots).map_err(malformed)?;
        }
        if !machine.finish_loading() {
            return Err(io::Error::other("snapshot has a znode without its parent"));
        }
        Ok(machine)
    }

    /// The head, and the pieces of a restore.
    fn read_before_nodes(from: &mut impl Read, record: &mut Vec<u8>) -> io::Result<Machine> {
        let mut machine = Machine::without_nodes();
        if !read_record(from, record)? {
            return Err(io::Error::other("snapshot has no head"));
        }
        let pieces = machine.read_head(record).map_err(malformed)?;
        for _ in 0..pieces {
            let there = read_record(from, record)?;
            let Some(restoring) = machine.restoring.as_mut().filter(|_| there) else {
                return Err(io::Error::other("snapshot lacks a piece of a restore"));
            };
            restoring.push(Bytes::copy_from_slice(record));
        }
        Ok(machine)
    }

    /// The answer is how many pieces of a restore follow.
    fn read_head(&mut self, record: &[u8]) -> Result<u32, DecodeError> {
        let mut cursor = Cursor::new(record);
        let version = cursor.u8("snapshot version")?;
        if version != VERSION && version != VERSION_RESTORING {
            return Err(DecodeError { at: 0, what: "snapshot version" });
        }
        self.last_zxid = cursor.i64("last zxid")?;
        if !(0..=Self::MAX_READ_ZXID).contains(&self.last_zxid) {
            return Err(cursor.error("last zxid"));
        }
        self.last_stamp = Stamp { term: cursor.u64("term")?, time_ms: cursor.i64("time")? };
        for _ in 0..cursor.u32("origins")? {
            let node = cursor.u64("origin")?;
            let id = cursor.u64("origin")?;
            let next_sequence = cursor.u64("origin")?;
            let nonce = cursor.u64("origin")?;
            self.origins.restore(node, Origin { id, next_sequence, nonce });
        }
        for _ in 0..cursor.u32("acls")? {
            self.acls.intern(&get_acl(&mut cursor)?);
        }
        for _ in 0..cursor.u32("sessions")? {
            let id = cursor.i64("session")?;
            let timeout_ms = cursor.i32("session")?;
            let mut password = [0; 16];
            password.copy_from_slice(cursor.take(16, "session")?);
            let origin = cursor.u64("session")?;
            let attachment = Attachment { origin, connection: cursor.u64("session")? };
            let ephemerals = std::collections::BTreeSet::new();
            self.sessions.insert(id, Session { timeout_ms, password, attachment, ephemerals });
        }
        let mut pieces = 0;
        if version == VERSION_RESTORING {
            let id = cursor.u64("restore")?;
            self.restoring = Some(Restoring::new(id, cursor.i64("restore")?));
            pieces = cursor.u32("restore")?;
        }
        cursor.finish()?;
        Ok(pieces)
    }

    fn read_node(&mut self, record: &[u8], slots: &Slots) -> Result<(), DecodeError> {
        let mut cursor = Cursor::new(record);
        let mut slot = |what| {
            let written = cursor.u32(what)?;
            slots.place(written).ok_or(cursor.error(what))
        };
        let at = slot("slot")?;
        let parent = slot("parent")?;
        let zxid = cursor.i64("czxid")?;
        let time_ms = cursor.i64("ctime")?;
        if self.store.holds(at) || (parent == NodeIndex::NONE) != (at == NodeIndex::ROOT) {
            return Err(cursor.error("slot or parent"));
        }
        let acl = cursor.u32("acl")?;
        if acl as usize >= self.acls.lists().len() {
            return Err(cursor.error("acl"));
        }
        let len = cursor.u32("name")? as usize;
        if len > MAX_NAME {
            return Err(cursor.error("name"));
        }
        let name = cursor.take(len, "name")?;
        let name = std::str::from_utf8(name).map_err(|_| cursor.error("name"))?;
        let flags = cursor.u8("flags")?;
        let data = match flags & 1 {
            0 => None,
            _ => {
                let len = cursor.u32("data")? as usize;
                Some(cursor.take(len, "data")?)
            }
        };
        let meta = match flags & 2 {
            0 => None,
            _ => Some(Meta {
                mzxid: cursor.i64("meta")?,
                mtime: cursor.i64("meta")?,
                pzxid: cursor.i64("meta")?,
                owner: cursor.i64("meta")?,
                version: cursor.i32("meta")?,
                creations: cursor.i32("meta")?,
                aversion: cursor.i32("meta")?,
                num_children: 0,
                first_child: NodeIndex::NONE,
            }),
        };
        cursor.finish()?;
        let new = NewNode { name, data, acl, zxid, time_ms, owner: 0 };
        self.store.restore(at, parent, new, meta);
        Ok(())
    }
}

/// The newest transaction of a snapshot, by its first bytes. None if they are too few or no
/// snapshot's.
pub fn last_zxid(start: &[u8]) -> Option<i64> {
    let mut cursor = Cursor::new(start);
    cursor.u32("head").ok()?;
    let version = cursor.u8("snapshot version").ok()?;
    let known = version == VERSION || version == VERSION_RESTORING;
    cursor.i64("last zxid").ok().filter(|_| known)
}

fn malformed(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// False at the end mark.
fn read_record(from: &mut impl Read, record: &mut Vec<u8>) -> io::Result<bool> {
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len);
    if len == u32::MAX {
        return Ok(false);
    }
    if len > MAX_RECORD {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "snapshot record too long"));
    }
    record.clear();
    // `take` bounds memory by what is really there.
    if from.take(u64::from(len)).read_to_end(record)? < len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}
