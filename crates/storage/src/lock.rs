//! One process at a time in a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The lock file's name inside the data directory.
const NAME: &str = "lock";

/// Holds a data directory for this process. Dropping it, or the process's end however it comes,
/// frees the directory.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
    path: PathBuf,
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the data directory {} is in use by process {holder}", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The other process's id, or "unknown" while it is starting.
        holder: String,
    },
    /// The lock file cannot be made or locked.
    #[error("the data directory cannot be used, its lock file would be {}", file.display())]
    Io {
        /// The lock file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the directory, making it if it is not there. The lock is the kernel's (`flock`), so
    /// that a file left by a dead process is no obstacle.
    ///
    /// # Errors
    /// `Held` at once if another process has it; `Io`.
    pub fn acquire(dir: impl AsRef<Path>) -> Result<Self, LockError> {
        let dir = dir.as_ref();
        let path = dir.join(NAME);
        let io = |source| LockError::Io { file: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: dir.to_path_buf(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(DirLock { _file: file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Another program's file could be of any size.
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_names_its_holder_and_is_free_after_drop() {
        let dir = std::env::temp_dir().join(format!("polyport-lock-{}", std::process::id()));
        let first = DirLock::acquire(&dir).unwrap();
        let error = DirLock::acquire(&dir).unwrap_err();
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DirLock::acquire(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
