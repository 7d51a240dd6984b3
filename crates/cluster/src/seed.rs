//! Filling an empty node before its first start: with an imported tree or a backup.
//!
//! The node begins with a snapshot as if its cluster had made it just after it was founded (term 0,
//! index 0), with the configuration's members. All nodes that are filled alike agree from the start;
//! a majority of the voters must be, the rest are filled by the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

use openraft::Membership;
use openraft::vote::RaftLeaderId;
use polyport_storage::disk::OsDisk;
use polyport_storage::snapshot::SnapshotStore;

use crate::node::Options;
use crate::raft::{LogId, SnapshotMeta, StoredMembership, encode_meta};
use crate::{Member, Role};

fn refused(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether nothing was ever kept where these options say.
///
/// # Errors
/// `AlreadyExists` if something was, and what the operating system says.
pub fn check_empty(options: &Options) -> io::Result<()> {
    if options.join.is_some() {
        let what = "a node that joins a cluster is filled by it: remove cluster.join".to_owned();
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    for dir in [&options.log_dir, &options.snapshot_dir] {
        if !is_empty(dir)? {
            let what = format!("{} is not empty: use a new data directory", dir.display());
            return Err(refused(what));
        }
    }
    Ok(())
}

/// Writes the first snapshot of a node that holds nothing. `write` writes the state machine's
/// content.
///
/// # Errors
/// As [`check_empty`], and `write`'s.
pub fn fill(
    options: &Options,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    check_empty(options)?;
    let voters: BTreeSet<u64> = options
        .members
        .iter()
        .filter(|(_, member)| member.role == Role::Voter)
        .map(|(id, _)| id.0)
        .collect();
    let nodes: BTreeMap<u64, Member> =
        options.members.iter().map(|(id, member)| (id.0, member.clone())).collect();
    let membership = Membership::new(vec![voters], nodes).map_err(io::Error::other)?;
    let leader_id = openraft::alias::LeaderIdOf::<crate::raft::Types>::new(0, 0);
    let at = Some(LogId { leader_id, index: 0 });
    let meta =
        SnapshotMeta { last_log_id: at, last_membership: StoredMembership::new(at, membership) };
    let store = SnapshotStore::open_dir(OsDisk, &options.snapshot_dir)?;
    let mut out = store.create(0, &encode_meta(&meta))?;
    write(&mut out)?;
    out.finish()?;
    Ok(())
}

/// Reads a backup's content, checked as it is read.
///
/// # Errors
/// If the file cannot be read or is no backup.
pub fn open_backup(file: &Path) -> io::Result<impl Read> {
    polyport_storage::snapshot::SnapshotReader::open_file(file).map_err(io::Error::from)
}

/// Reads a backup's content from its bytes as they come, checked as they are read.
///
/// # Errors
/// If the bytes cannot be read or are no backup's.
pub fn read_backup(bytes: impl Read) -> io::Result<impl Read> {
    polyport_storage::snapshot::SnapshotReader::from_stream(bytes, "as received")
        .map_err(io::Error::from)
}
