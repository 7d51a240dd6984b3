//! `snapshot.<zxid>`: header, sessions, access control lists, znodes, and a checksum; then, as
//! far as the version writes them, a digest and the last zxid, each with a checksum again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use polyport_tree::{Acl, Id, Perms};

use super::replay::{Node, Tree};
use super::source::{Source, SourceError};
use super::{ImportError, PersistedStat};

/// "ZKSN".
const MAGIC: i32 = 0x5a4b_534e;
/// `OPEN_ACL_UNSAFE`, which is not in the snapshot's table.
const OPEN_ACL: i64 = -1;

#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("does not begin as a snapshot")]
    Magic,
    #[error("byte {0}: wrong checksum")]
    Checksum(u64),
    #[error("byte {at}: {path} has no parent before it")]
    Orphan { at: u64, path: String },
    #[error("byte {at}: {path} names access control list {id}, which is not there")]
    UnknownAcl { at: u64, path: String, id: i64 },
}

/// Reads a snapshot. The inner error says why it is not valid, so that an older one can be tried.
pub(super) fn read(path: &Path, zxid: i64) -> Result<Result<Tree, String>, ImportError> {
    let io = |source| ImportError::Io { path: path.to_owned(), source };
    let file = BufReader::with_capacity(256 * 1024, File::open(path).map_err(io)?);
    let decoded = match path.extension().and_then(|extension| extension.to_str()) {
        Some("snappy") => return Err(ImportError::Snappy(path.to_owned())),
        Some("gz") => decode(Source::new(BufReader::new(GzDecoder::new(file))), zxid),
        _ => decode(Source::new(file), zxid),
    };
    Ok(decoded.map_err(|error| error.to_string()))
}

fn decode<R: Read>(mut source: Source<R>, zxid: i64) -> Result<Tree, SnapshotError> {
    if source.i32()? != MAGIC {
        return Err(SnapshotError::Magic);
    }
    let _version = source.i32()?;
    let _database = source.i64()?;
    let mut tree = Tree::at(zxid);
    for _ in 0..source.count("number of sessions")? {
        let (id, timeout_ms) = (source.i64()?, source.i32()?);
        tree.sessions.insert(id, timeout_ms);
    }
    let acls = acls(&mut source, &mut tree)?;
    nodes(&mut source, &acls, &mut tree)?;
    check_seal(&mut source)?;
    trailer(&mut source)?;
    Ok(tree)
}

fn acls<R: Read>(
    source: &mut Source<R>,
    tree: &mut Tree,
) -> Result<HashMap<i64, Arc<[Acl]>>, SnapshotError> {
    let mut acls = HashMap::new();
    for _ in 0..source.count("number of access control lists")? {
        let id = source.i64()?;
        let mut acl = Vec::new();
        for _ in 0..source.count("length of an access control list")? {
            let perms = Perms(source.i32()?);
            let scheme = source.string("scheme")?;
            acl.push(Acl { perms, id: Id::new(scheme, source.string("id")?) });
        }
        acls.insert(id, tree.share_acl(acl));
    }
    acls.insert(OPEN_ACL, tree.share_acl(Acl::open()));
    Ok(acls)
}

fn nodes<R: Read>(
    source: &mut Source<R>,
    acls: &HashMap<i64, Arc<[Acl]>>,
    tree: &mut Tree,
) -> Result<(), SnapshotError> {
    loop {
        let at = source.position;
        let path = source.string("path")?;
        if path == "/" {
            // The mark of the end; the root itself is stored under the empty path.
            return Ok(());
        }
        let data = source.buffer("data")?;
        let acl = source.i64()?;
        let stat = PersistedStat {
            czxid: source.i64()?,
            mzxid: source.i64()?,
            ctime: source.i64()?,
            mtime: source.i64()?,
            version: source.i32()?,
            cversion: source.i32()?,
            aversion: source.i32()?,
            ephemeral_owner: source.i64()?,
            pzxid: source.i64()?,
        };
        let Some(acl) = acls.get(&acl) else {
            return Err(SnapshotError::UnknownAcl { at, path, id: acl });
        };
        if !path.is_empty() && !tree.has_parent(&path) {
            return Err(SnapshotError::Orphan { at, path });
        }
        tree.load(path, Node { data, acl: Arc::clone(acl), stat });
    }
}

/// The checksum of everything before it, then a slash that helps to see that a file is whole.
fn check_seal<R: Read>(source: &mut Source<R>) -> Result<(), SnapshotError> {
    let (at, expected) = (source.position, source.checksum.value());
    let found = source.i64()?;
    source.string("end mark")?;
    if found == expected { Ok(()) } else { Err(SnapshotError::Checksum(at)) }
}

/// The digest (since 3.6) and the last zxid (since 3.9) are each there or not, by version and
/// configuration. Told apart by how much is left.
fn trailer<R: Read>(source: &mut Source<R>) -> Result<(), SnapshotError> {
    const SEAL: usize = 8 + 4 + 1;
    const LAST_ZXID: usize = 8 + SEAL;
    let (start, checksum) = (source.position, source.checksum);
    let left = source.rest(4096)?;
    let mut rest = Source::resume(&left[..], start, checksum);
    if left.len() == LAST_ZXID {
        rest.i64()?;
        return check_seal(&mut rest);
    }
    if left.is_empty() {
        return Ok(());
    }
    rest.i64()?;
    // Digests before version 2 were texts.
    if rest.i32()? < 2 {
        rest.string("digest")?;
    } else {
        rest.i64()?;
    }
    check_seal(&mut rest)?;
    if rest.position < start + left.len() as u64 {
        rest.i64()?;
        check_seal(&mut rest)?;
    }
    Ok(())
}
