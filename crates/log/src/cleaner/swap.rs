//! Replacing segments so that a crash leaves the old ones or the new one.

use std::path::{Path, PathBuf};

use polyport_storage::{Disk, DiskFile};

use crate::error::{LogError, io_error};
use crate::segment::name;
use crate::segment::walk::{SHORT, WalkError, Window};

const KINDS: [&str; 4] = [name::LOG, name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX];

fn sync<D: Disk>(disk: &D, dir: &Path) -> Result<(), LogError> {
    disk.sync_dir(dir).map_err(io_error("sync", dir))
}

fn rename<D: Disk>(disk: &D, from: &Path, to: &Path) -> Result<(), LogError> {
    disk.rename(from, to).map_err(io_error("rename", from))
}

/// Puts the synced `.cleaned` segment at `base` in the place of `old` ones. Returns the files that
/// are no longer needed; open ones stay readable.
pub(super) fn replace<D: Disk>(
    disk: &D,
    dir: &Path,
    base: i64,
    old: &[i64],
    has_txns: bool,
) -> Result<Vec<PathBuf>, LogError> {
    let path = |kind: &str, suffix: &str| name::with(&name::file(dir, base, kind), suffix);
    rename(disk, &path(name::LOG, name::CLEANED), &path(name::LOG, name::SWAP))?;
    sync(disk, dir)?;
    let mut gone = Vec::new();
    for old in old {
        for kind in KINDS {
            let file = name::file(dir, *old, kind);
            let deleted = name::with(&file, name::DELETED);
            match disk.rename(&file, &deleted) {
                Ok(()) => gone.push(deleted),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("rename", &file)(error)),
            }
        }
    }
    sync(disk, dir)?;
    for kind in [name::OFFSET_INDEX, name::TIME_INDEX, name::TXN_INDEX] {
        if kind != name::TXN_INDEX || has_txns {
            rename(disk, &path(kind, name::CLEANED), &path(kind, ""))?;
        }
    }
    rename(disk, &path(name::LOG, name::SWAP), &path(name::LOG, ""))?;
    sync(disk, dir)?;
    Ok(gone)
}

/// Ends what a crash interrupted.
pub(crate) fn finish_swaps<D: Disk>(disk: &D, dir: &Path) -> Result<(), LogError> {
    let names = disk.list(dir).map_err(io_error("list", dir))?;
    for file in names.iter().filter(|file| file.ends_with(name::CLEANED)) {
        crate::remove_if_there(disk, &dir.join(file))?;
    }
    for file in &names {
        let Some((base, kind)) = name::parse(file) else { continue };
        if kind != format!("{}{}", name::LOG, name::SWAP) {
            continue;
        }
        let swap = dir.join(file);
        let end = end_of(disk, &swap, base)?;
        let replaced = names.iter().filter_map(|old| name::parse(old)).filter(|(old, kind)| {
            KINDS.contains(kind) && (*old == base || (base..end).contains(old))
        });
        for (old, kind) in replaced {
            crate::remove_if_there(disk, &name::file(dir, old, kind))?;
        }
        sync(disk, dir)?;
        rename(disk, &swap, &name::file(dir, base, name::LOG))?;
        sync(disk, dir)?;
    }
    Ok(())
}

/// The offset after the last record of a synced segment file.
fn end_of<D: Disk>(disk: &D, path: &Path, base: i64) -> Result<i64, LogError> {
    let file = disk.open(path).map_err(io_error("open", path))?;
    let size = file.len().map_err(io_error("measure", path))?;
    let mut buffer = [0; SHORT];
    let mut window = Window::new(&file, &mut buffer, size);
    let (mut position, mut end) = (0, base);
    loop {
        match window.step(position) {
            Ok(None) => return Ok(end),
            Ok(Some(step)) => {
                end = step.last_offset + 1;
                position += step.size_bytes;
            }
            Err(WalkError::Io(error)) => return Err(io_error("read", path)(error)),
            Err(WalkError::Batch(source)) => {
                return Err(LogError::Corrupt { path: path.to_path_buf(), position, source });
            }
        }
    }
}
