//! The small text files beside the segments, in Kafka's formats.

pub mod epochs;
mod lines;
pub mod meta_properties;
pub mod offsets;
pub mod partition_metadata;
#[cfg(test)]
mod tests;

use std::path::Path;

use polyport_storage::{Disk, DiskFile};

use crate::error::{LogError, io_error};
use crate::segment::name;

/// Largest text file that is read.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// Replaces a file so that a crash leaves the old one or the new one.
pub(crate) fn replace<D: Disk>(disk: &D, path: &Path, content: &[u8]) -> Result<(), LogError> {
    let temporary = name::with(path, ".tmp");
    let file = disk.create(&temporary).map_err(io_error("create", &temporary))?;
    file.write_at(content, 0).map_err(io_error("write", &temporary))?;
    file.sync_data().map_err(io_error("sync", &temporary))?;
    disk.rename(&temporary, path).map_err(io_error("rename to", path))?;
    sync_parent(disk, path)
}

/// Makes the names beside a file durable.
pub(crate) fn sync_parent<D: Disk>(disk: &D, path: &Path) -> Result<(), LogError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    disk.sync_dir(dir).map_err(io_error("sync", dir))
}

/// A file's content; `None` if it is not there.
pub(crate) fn read<D: Disk>(disk: &D, path: &Path) -> Result<Option<String>, LogError> {
    match disk.read(path, MAX_BYTES) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(LogError::Text { path: path.to_path_buf(), line: 1, what: "UTF-8 text" }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}
