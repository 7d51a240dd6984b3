//! A file that is put aside when it is full.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// From this size on the file is put aside, as in the configuration that ZooKeeper ships.
pub(super) const MAX_BYTES: u64 = 10 << 20;
/// Files put aside that are kept: `.1` is the newest.
const KEPT: u32 = 10;

pub(super) struct Rolling {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

impl Rolling {
    pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let (file, bytes) = open(path)?;
        Ok(Self { path: path.to_owned(), file, bytes, max_bytes })
    }

    /// Appends a line. One that cannot be written whole is not counted.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes >= self.max_bytes {
            self.roll()?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn roll(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))?;
        (self.file, self.bytes) = open(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let dir = std::env::temp_dir().join(format!("polyport-audit-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("audit.log");
        fs::write(&path, "0\n").unwrap();
        let mut rolling = Rolling::open(&path, 4).unwrap();
        for number in 1..=30 {
            rolling.write(format!("{number}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
        assert_eq!(read("audit.log"), "30\n");
        assert_eq!(read("audit.log.1"), "28\n29\n");
        assert_eq!(read("audit.log.10"), "10\n11\n");
        assert!(!dir.join("audit.log.11").exists());
        // What was there is added to, also after a restart.
        drop(rolling);
        let mut rolling = Rolling::open(&path, 400).unwrap();
        rolling.write(b"31\n").unwrap();
        assert_eq!(read("audit.log"), "30\n31\n");
        fs::remove_dir_all(&dir).unwrap();
    }
}
