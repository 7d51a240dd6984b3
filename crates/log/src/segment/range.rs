//! Bytes of a segment that a reader may have, still in their file.

use std::sync::Arc;

use polyport_storage::DiskFile;

/// Whole batches in a file. They stay readable when the segment is removed, because the file is open.
#[derive(Debug)]
pub struct FileRange<F> {
    /// The segment's file, for `sendfile`.
    pub file: Arc<F>,
    /// Where the first batch begins.
    pub position: u64,
    /// How many bytes.
    pub len: u64,
}

impl<F> Clone for FileRange<F> {
    fn clone(&self) -> Self {
        FileRange { file: self.file.clone(), position: self.position, len: self.len }
    }
}

impl<F: DiskFile> FileRange<F> {
    /// Appends the bytes to `to`.
    ///
    /// # Errors
    /// What the operating system says; `UnexpectedEof` if the log was truncated meanwhile.
    pub fn read_into(&self, to: &mut Vec<u8>) -> std::io::Result<()> {
        let at = to.len();
        to.resize(at + self.len as usize, 0);
        if self.file.read_full_at(&mut to[at..], self.position)? < self.len as usize {
            to.truncate(at);
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// The bytes in memory.
    ///
    /// # Errors
    /// As `read_into`.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }
}
