//! Writes, in the fewest words. Access is open to all: services that restrict it say so themselves.

use super::OVERHEAD;
use crate::command::Write;
use crate::{Acl, CreateMode};

/// Whatever version the znode has.
pub const ANY: i32 = -1;

/// Creates a znode of that mode.
pub fn create_as<'a>(path: &'a str, data: &'a [u8], mode: CreateMode) -> Write<'a> {
    Write::Create { path, data: Some(data), acl: Acl::open(), mode, ttl_ms: 0 }
}

/// Creates a persistent znode.
pub fn create<'a>(path: &'a str, data: &'a [u8]) -> Write<'a> {
    create_as(path, data, CreateMode::Persistent)
}

/// Creates a persistent znode without data, which is not the same as with empty data.
pub fn create_bare(path: &str) -> Write<'_> {
    Write::Create { path, data: None, acl: Acl::open(), mode: CreateMode::Persistent, ttl_ms: 0 }
}

/// Sets the data of a znode that has this version.
pub fn set<'a>(path: &'a str, data: &'a [u8], version: i32) -> Write<'a> {
    Write::SetData { path, data: Some(data), version }
}

/// Deletes a childless znode that has this version.
pub fn delete(path: &str, version: i32) -> Write<'_> {
    Write::Delete { path, version }
}

/// Changes nothing, and fails if the znode does not have this version.
pub fn check(path: &str, version: i32) -> Write<'_> {
    Write::Check { path, version }
}

/// Bytes that a write takes of [`MAX_BYTES`](super::MAX_BYTES).
pub fn byte_len(write: &Write<'_>) -> usize {
    let data = match write {
        Write::Create { data, .. } | Write::SetData { data, .. } => data.map_or(0, <[u8]>::len),
        _ => 0,
    };
    let list = match write {
        Write::Create { acl, .. } | Write::SetAcl { acl, .. } => {
            acl.iter().map(|entry| 12 + entry.id.scheme.len() + entry.id.id.len()).sum()
        }
        _ => 0,
    };
    OVERHEAD + write.path().len() + data + list
}
