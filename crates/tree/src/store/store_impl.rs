use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::arena::{Arena, NodeIndex};
use super::blob::{self, Blob};
use super::{Meta, NewNode};
use crate::Stat;

/// ZooKeeper's owner of a container.
const CONTAINER_OWNER: i64 = i64::MIN;
/// ZooKeeper's owners of znodes with a time to live: this byte on top, milliseconds below.
const TTL_MASK: u64 = 0xff00_0000_0000_0000;
/// No `Meta` of its own.
const PLAIN: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Node {
    czxid: i64,
    ctime: i64,
    blob: Blob,
    parent: NodeIndex,
    next: NodeIndex,
    prev: NodeIndex,
    acl: u32,
    /// Index of its `Meta`, or `PLAIN`.
    meta: u32,
}

/// A znode taken out of the tree.
#[derive(Debug)]
pub(crate) struct Removed {
    node: Node,
    meta: Option<Meta>,
}

impl Removed {
    pub(crate) fn owner(&self) -> i64 {
        self.meta.map_or(0, |meta| meta.owner)
    }
}

/// A znode's name and data, taken out of it.
#[derive(Debug)]
pub(crate) struct Content(Blob);

impl Content {
    pub(crate) fn data_len(&self) -> usize {
        self.0.data_len()
    }
}

/// All znodes of one tree.
#[derive(Debug)]
pub struct Store {
    nodes: Arena<Node>,
    metas: Arena<Meta>,
    /// (parent, name) → slot; only slots are kept, keys are read from the nodes.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    len: usize,
    data_bytes: u64,
}

impl Store {
    /// A tree that holds only the root.
    pub fn new(root_acl: u32) -> Self {
        let mut store = Self::empty();
        store.nodes.insert(Node {
            czxid: 0,
            ctime: 0,
            blob: Blob::new("", Some(b"")),
            parent: NodeIndex::NONE,
            next: NodeIndex::NONE,
            prev: NodeIndex::NONE,
            acl: root_acl,
            meta: PLAIN,
        });
        store.len = 1;
        store
    }

    /// A tree without even a root, to be filled by [`Store::restore`].
    pub(crate) fn empty() -> Self {
        Self {
            nodes: Arena::new(),
            metas: Arena::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            len: 0,
            data_bytes: 0,
        }
    }

    /// Number of znodes, the root included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is not even a root.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of names and data held.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    pub(crate) fn slots(&self) -> u32 {
        self.nodes.end()
    }

    /// The slot that the next znode will take, if it has been used before.
    pub(crate) fn next_slot(&self) -> Option<NodeIndex> {
        self.nodes.next_free().map(NodeIndex)
    }

    fn hash(hasher: &DefaultHashBuilder, parent: NodeIndex, name: &[u8]) -> u64 {
        hasher.hash_one((parent.0, name))
    }

    fn node(&self, at: NodeIndex) -> &Node {
        match self.nodes.get(at.0) {
            Some(node) => node,
            None => unreachable!("slot {at:?} is free: an index outlived its znode"),
        }
    }

    fn node_mut(&mut self, at: NodeIndex) -> &mut Node {
        match self.nodes.get_mut(at.0) {
            Some(node) => node,
            None => unreachable!("slot {at:?} is free: an index outlived its znode"),
        }
    }

    /// Whether a slot holds a znode.
    pub(crate) fn holds(&self, at: NodeIndex) -> bool {
        self.nodes.get(at.0).is_some()
    }

    /// The child of that name.
    pub fn child(&self, parent: NodeIndex, name: &str) -> Option<NodeIndex> {
        let hash = Self::hash(&self.hasher, parent, name.as_bytes());
        self.index
            .find(hash, |slot| {
                let node = self.node(NodeIndex(*slot));
                node.parent == parent && node.blob.name_bytes() == name.as_bytes()
            })
            .map(|slot| NodeIndex(*slot))
    }

    /// The znode at a path that begins with a slash.
    pub fn lookup(&self, path: &str) -> Option<NodeIndex> {
        let mut at = NodeIndex::ROOT;
        if path.len() > 1 {
            for name in path[1..].split('/') {
                at = self.child(at, name)?;
            }
        }
        self.holds(at).then_some(at)
    }

    /// The full path of a znode.
    pub fn path(&self, at: NodeIndex) -> String {
        let mut names = Vec::new();
        let mut here = at;
        while let Some(parent) = self.node(here).parent.some() {
            names.push(self.node(here).blob.name());
            here = parent;
        }
        if names.is_empty() {
            return "/".to_owned();
        }
        let mut path = String::with_capacity(names.iter().map(|n| n.len() + 1).sum());
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// The last component of its path.
    pub fn name(&self, at: NodeIndex) -> &str {
        self.node(at).blob.name()
    }

    /// Its parent; the root has none.
    pub fn parent(&self, at: NodeIndex) -> Option<NodeIndex> {
        self.node(at).parent.some()
    }

    /// Its data.
    pub fn data(&self, at: NodeIndex) -> Option<&[u8]> {
        self.node(at).blob.data()
    }

    /// Its interned access control list.
    pub fn acl(&self, at: NodeIndex) -> u32 {
        self.node(at).acl
    }

    /// Transaction and wall-clock milliseconds of its creation.
    pub fn created(&self, at: NodeIndex) -> (i64, i64) {
        let node = self.node(at);
        (node.czxid, node.ctime)
    }

    /// Its changeable metadata.
    pub fn meta(&self, at: NodeIndex) -> Meta {
        let node = self.node(at);
        match self.metas.get(node.meta) {
            Some(meta) => *meta,
            None => Self::plain_meta(node),
        }
    }

    fn plain_meta(node: &Node) -> Meta {
        Meta {
            mzxid: node.czxid,
            mtime: node.ctime,
            pzxid: node.czxid,
            owner: 0,
            version: 0,
            creations: 0,
            aversion: 0,
            num_children: 0,
            first_child: NodeIndex::NONE,
        }
    }

    pub(crate) fn meta_mut(&mut self, at: NodeIndex) -> &mut Meta {
        let node = match self.nodes.get_mut(at.0) {
            Some(node) => node,
            None => unreachable!("slot {at:?} is free: an index outlived its znode"),
        };
        if node.meta == PLAIN {
            node.meta = self.metas.insert(Self::plain_meta(node));
        }
        match self.metas.get_mut(node.meta) {
            Some(meta) => meta,
            None => unreachable!("znode {at:?} names a free meta slot"),
        }
    }

    /// What clients are told.
    pub fn stat(&self, at: NodeIndex) -> Stat {
        let node = self.node(at);
        let meta = self.meta(at);
        Stat {
            czxid: node.czxid,
            mzxid: meta.mzxid,
            ctime: node.ctime,
            mtime: meta.mtime,
            version: meta.version,
            // ZooKeeper keeps the creations and derives the changes.
            cversion: meta.creations.wrapping_mul(2).wrapping_sub(meta.num_children as i32),
            aversion: meta.aversion,
            ephemeral_owner: if is_session(meta.owner) { meta.owner } else { 0 },
            data_length: node.blob.data_len() as i32,
            num_children: meta.num_children as i32,
            pzxid: meta.pzxid,
        }
    }

    /// The children in no particular order.
    pub fn children(&self, at: NodeIndex) -> Children<'_> {
        Children { store: self, next: self.meta(at).first_child }
    }

    /// Adds a child. The caller has checked that the name is free.
    pub(crate) fn insert(&mut self, parent: NodeIndex, new: NewNode<'_>) -> NodeIndex {
        let first = self.meta(parent).first_child;
        let at = NodeIndex(self.nodes.insert(Node {
            czxid: new.zxid,
            ctime: new.time_ms,
            blob: Blob::new(new.name, new.data),
            parent,
            next: first,
            prev: NodeIndex::NONE,
            acl: new.acl,
            meta: PLAIN,
        }));
        if new.owner != 0 {
            self.meta_mut(at).owner = new.owner;
        }
        if let Some(first) = first.some() {
            self.node_mut(first).prev = at;
        }
        let meta = self.meta_mut(parent);
        meta.first_child = at;
        meta.num_children += 1;
        self.index_insert(at);
        self.len += 1;
        self.data_bytes += Self::weight(self.node(at));
        at
    }

    fn weight(node: &Node) -> u64 {
        (node.blob.name_bytes().len() + node.blob.data_len()) as u64
    }

    fn index_insert(&mut self, at: NodeIndex) {
        let node = self.node(at);
        let hash = Self::hash(&self.hasher, node.parent, node.blob.name_bytes());
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.index.insert_unique(hash, at.0, |slot| match nodes.get(*slot) {
            Some(node) => Self::hash(hasher, node.parent, node.blob.name_bytes()),
            None => unreachable!("the index names a free slot"),
        });
    }

    /// Removes a childless znode other than the root. Put back while nothing else was inserted or
    /// removed, it gets its slot again.
    pub(crate) fn remove(&mut self, at: NodeIndex) -> Removed {
        let meta = self.own_meta(at);
        let node = self.node(at);
        let hash = Self::hash(&self.hasher, node.parent, node.blob.name_bytes());
        if let Ok(entry) = self.index.find_entry(hash, |slot| *slot == at.0) {
            entry.remove();
        }
        let node = match self.nodes.remove(at.0) {
            Some(node) => node,
            None => unreachable!("slot {at:?} was read a moment ago"),
        };
        if let Some(next) = node.next.some() {
            self.node_mut(next).prev = node.prev;
        }
        match node.prev.some() {
            Some(prev) => self.node_mut(prev).next = node.next,
            None => self.meta_mut(node.parent).first_child = node.next,
        }
        self.meta_mut(node.parent).num_children -= 1;
        if node.meta != PLAIN {
            self.metas.remove(node.meta);
        }
        self.len -= 1;
        self.data_bytes -= Self::weight(&node);
        Removed { node, meta }
    }

    /// Takes a [`remove`](Self::remove) back.
    pub(crate) fn put_back(&mut self, removed: Removed) -> NodeIndex {
        let Removed { node, meta } = removed;
        let new = NewNode {
            name: node.blob.name(),
            data: node.blob.data(),
            acl: node.acl,
            zxid: node.czxid,
            time_ms: node.ctime,
            owner: 0,
        };
        let at = self.insert(node.parent, new);
        if let Some(meta) = meta {
            *self.meta_mut(at) = meta;
        }
        at
    }

    /// Replaces the data; the answer is what [`swap_content`](Self::swap_content) takes it back
    /// with.
    pub(crate) fn set_data(&mut self, at: NodeIndex, data: Option<&[u8]>) -> Content {
        let content = Content(Blob::new(self.node(at).blob.name(), data));
        self.swap_content(at, content)
    }

    pub(crate) fn swap_content(&mut self, at: NodeIndex, content: Content) -> Content {
        let node = self.node_mut(at);
        let before = Self::weight(node);
        let old = std::mem::replace(&mut node.blob, content.0);
        let after = Self::weight(node);
        self.data_bytes = self.data_bytes - before + after;
        Content(old)
    }

    pub(crate) fn set_acl(&mut self, at: NodeIndex, acl: u32) {
        self.node_mut(at).acl = acl;
    }

    /// Puts a znode of a snapshot back into its slot. Parents come in any order; links between
    /// siblings and counts are made by [`Store::relink`].
    pub(crate) fn restore(
        &mut self,
        at: NodeIndex,
        parent: NodeIndex,
        new: NewNode<'_>,
        meta: Option<Meta>,
    ) {
        let meta = match meta {
            Some(meta) => {
                self.metas.insert(Meta { num_children: 0, first_child: NodeIndex::NONE, ..meta })
            }
            None => PLAIN,
        };
        let node = Node {
            czxid: new.zxid,
            ctime: new.time_ms,
            blob: Blob::new(new.name, new.data),
            parent,
            next: NodeIndex::NONE,
            prev: NodeIndex::NONE,
            acl: new.acl,
            meta,
        };
        self.data_bytes += Self::weight(&node);
        self.nodes.set(at.0, node);
        self.len += 1;
    }

    /// After all [`restore`](Self::restore)s: index, sibling lists and counts. False if a znode's
    /// parent is missing.
    pub(crate) fn relink(&mut self) -> bool {
        self.nodes.rebuild_free_list();
        for slot in 0..self.nodes.end() {
            let at = NodeIndex(slot);
            let Some(node) = self.nodes.get(slot) else { continue };
            let Some(parent) = node.parent.some() else { continue };
            if !self.holds(parent) {
                return false;
            }
            let first = self.meta(parent).first_child;
            self.node_mut(at).next = first;
            if let Some(first) = first.some() {
                self.node_mut(first).prev = at;
            }
            let meta = self.meta_mut(parent);
            meta.first_child = at;
            meta.num_children += 1;
            self.index_insert(at);
        }
        // A znode that the root does not lead to has itself above it.
        let mut open = Vec::from_iter(self.holds(NodeIndex::ROOT).then_some(NodeIndex::ROOT));
        let mut reached = 0;
        while let Some(at) = open.pop() {
            reached += 1;
            open.extend(self.children(at));
        }
        reached > 0 && reached == self.len()
    }

    /// The znode's metadata, if it does not follow from its creation. The list of children is not
    /// part of the comparison: it follows from the children.
    pub(crate) fn own_meta(&self, at: NodeIndex) -> Option<Meta> {
        let node = self.node(at);
        let meta = *self.metas.get(node.meta)?;
        let Meta { num_children, first_child, .. } = meta;
        (meta != Meta { num_children, first_child, ..Self::plain_meta(node) }).then_some(meta)
    }
}

/// Whether an owner is a session (not a container or a time to live).
pub fn is_session(owner: i64) -> bool {
    owner != 0 && owner != CONTAINER_OWNER && time_to_live(owner).is_none()
}

/// Whether an owner marks a container.
pub fn is_container(owner: i64) -> bool {
    owner == CONTAINER_OWNER
}

/// The time to live in milliseconds that an owner encodes.
pub fn time_to_live(owner: i64) -> Option<i64> {
    let bits = owner as u64;
    (bits & TTL_MASK == TTL_MASK).then_some((bits & 0xff_ffff_ffff) as i64)
}

/// The owner that encodes a time to live in milliseconds, at most 2^40 - 1.
pub fn ttl_owner(ttl_ms: i64) -> i64 {
    (TTL_MASK | ttl_ms as u64) as i64
}

/// The owner of a container.
pub const fn container_owner() -> i64 {
    CONTAINER_OWNER
}

/// The longest name a znode may have, in bytes.
pub const MAX_NAME: usize = blob::MAX_NAME;

/// Iterates over a znode's children.
#[derive(Debug)]
pub struct Children<'a> {
    store: &'a Store,
    next: NodeIndex,
}

impl Iterator for Children<'_> {
    type Item = NodeIndex;

    fn next(&mut self) -> Option<NodeIndex> {
        let at = self.next.some()?;
        self.next = self.store.node(at).next;
        Some(at)
    }
}
