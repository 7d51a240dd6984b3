//! What the log and the snapshots need of a disk.
//!
//! Two disks exist: [`OsDisk`], the operating system's, and [`SimDisk`], one in memory that forgets
//! what was not synced and fails on demand.

mod content;
mod fault;
mod os;
mod sim;

use std::io;
use std::path::Path;

pub use fault::Fault;
pub use os::{OsDisk, OsFile};
pub use sim::{SimDisk, SimFile};

/// Whether an operation failed for want of space, and nothing else.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether an operation failed for want of something that may be there later: space, descriptors,
/// memory. The disk itself is well.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    is_full(error)
        || errno.is_some_and(|errno| {
            [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM]
                .contains(&errno)
        })
}

/// A place for files. Clones name the same place.
///
/// A file's *content* is durable after [`DiskFile::sync_data`]; its *name* (creation, rename,
/// removal) is durable after [`Disk::sync_dir`] of the directory that holds it. Neither implies the
/// other.
pub trait Disk: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Creates the file, or empties the one that is there, and opens it for reading and writing.
    ///
    /// # Errors
    /// What the operating system says; so do all other methods.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that exists for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Reads a whole file into memory. For small files.
    ///
    /// # Errors
    /// `NotFound` if it does not exist; `FileTooLarge` above `limit_bytes`.
    fn read(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>>;

    /// The names in a directory that are files, sorted. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// `NotFound` if the directory does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The names in a directory that are directories, sorted. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// `NotFound` if the directory does not exist.
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a directory, with all that is in it, within its parent; durable when it returns.
    ///
    /// # Errors
    /// `NotFound` if `from` does not exist; what the operating system says if `to` does.
    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a directory and all that is in it. Open files stay readable.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file, replacing what has the new name.
    ///
    /// # Errors
    /// `NotFound` if `from` does not exist.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Open files stay readable.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and its parents; not an error if it is there.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// After an error it is unknown which names are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes of the file system that a directory is on, and how many of them are free; `None` if
    /// there is no limit.
    ///
    /// # Errors
    /// What the operating system says.
    fn space(&self, _dir: &Path) -> io::Result<Option<(u64, u64)>> {
        Ok(None)
    }
}

/// An open file. Reads and writes name their position, so one file may be shared by threads.
pub trait DiskFile: std::fmt::Debug + Send + Sync + 'static {
    /// Reads at most `buf.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the operating system says; so do all other methods.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file if needed.
    ///
    /// # Errors
    /// After an error any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content, and the length that is needed to read it, durable.
    ///
    /// # Errors
    /// After an error the writes since the last sync may be lost even if a later sync succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space so that the file is at least `len` bytes long; the new bytes are zero. Where
    /// the file system cannot reserve, the file is only made longer.
    ///
    /// # Errors
    /// `StorageFull` if there is no room.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts or grows the file to `len` bytes; new bytes are zero.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    ///
    /// # Errors
    /// What the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset` as far as the file goes, and says how many bytes that were.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}
