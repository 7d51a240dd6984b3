//! Znodes in memory, made to be small: a childless, never changed znode costs 48 bytes, its name
//! and data in one allocation, and about 6 bytes of index.
//!
//! No permissions, sessions or watches here: [`crate::machine`] decides, this room keeps.

mod arena;
mod blob;
mod store_impl;

pub use arena::NodeIndex;
pub use store_impl::{
    Children, MAX_NAME, Store, container_owner, is_container, is_session, time_to_live, ttl_owner,
};
pub(crate) use store_impl::{Content, Removed};

/// What is kept of a znode that was changed, has had children or is not plain persistent. Others
/// need none: all of it follows from the transaction that created them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Transaction that last set the data.
    pub mzxid: i64,
    /// Wall-clock milliseconds of that.
    pub mtime: i64,
    /// Transaction that last added or removed a child.
    pub pzxid: i64,
    /// Session id, or ZooKeeper's encoding of container or time to live; 0 for persistent.
    pub owner: i64,
    /// Number of sets.
    pub version: i32,
    /// Number of children ever created: the counter of sequential names.
    pub creations: i32,
    /// Number of ACL changes.
    pub aversion: i32,
    /// Children now.
    pub num_children: u32,
    pub(crate) first_child: NodeIndex,
}

/// What a new znode is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// Last component of the path.
    pub name: &'a str,
    /// Data; null is kept apart from empty.
    pub data: Option<&'a [u8]>,
    /// Interned access control list.
    pub acl: u32,
    /// Transaction that creates it.
    pub zxid: i64,
    /// Wall-clock milliseconds of its creation.
    pub time_ms: i64,
    /// As [`Meta::owner`].
    pub owner: i64,
}
