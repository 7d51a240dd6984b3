//! From batch to batch through a file, without reading what lies between the headers.

use std::io;

use polyport_storage::DiskFile;

use crate::batch::header::{CHECKED_FROM, Step, WALK_BYTES};
use crate::batch::{BatchError, HEADER_BYTES, Header};

/// Bytes looked at for one batch.
pub(crate) const STEP: usize = WALK_BYTES;
/// Bytes looked at in one read of a short walk.
pub(crate) const SHORT: usize = 4096;
/// The same for a scan of everything.
pub(crate) const LONG: usize = 256 * 1024;

/// Why a walk ends early.
#[derive(Debug)]
pub(crate) enum WalkError {
    Io(io::Error),
    Batch(BatchError),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        WalkError::Io(error)
    }
}

impl From<BatchError> for WalkError {
    fn from(error: BatchError) -> Self {
        WalkError::Batch(error)
    }
}

/// A part of a file in memory, moved as needed.
#[derive(Debug)]
pub(crate) struct Window<'a, F> {
    file: &'a F,
    buffer: &'a mut [u8],
    /// Position of the buffer's first byte, and how many are filled.
    start: u64,
    filled: usize,
    /// No byte from here on is looked at.
    end: u64,
}

impl<'a, F: DiskFile> Window<'a, F> {
    /// `buffer` holds at least a header.
    pub fn new(file: &'a F, buffer: &'a mut [u8], end: u64) -> Self {
        Window { file, buffer, start: 0, filled: 0, end }
    }

    /// The bytes at `position`, `n` of them unless the end comes first. `n` fits the buffer.
    fn bytes(&mut self, position: u64, n: usize) -> io::Result<&[u8]> {
        let n = (self.end.saturating_sub(position)).min(n as u64) as usize;
        let inside =
            position >= self.start && position + n as u64 <= self.start + self.filled as u64;
        if !inside {
            let most = self.end.saturating_sub(position).min(self.buffer.len() as u64) as usize;
            self.filled = self.file.read_full_at(&mut self.buffer[..most], position)?;
            self.start = position;
        }
        let from = (position - self.start) as usize;
        Ok(&self.buffer[from..self.filled.min(from + n)])
    }

    /// Offsets and size of the batch at `position`; `None` at the end.
    pub fn step(&mut self, position: u64) -> Result<Option<Step>, WalkError> {
        if position >= self.end {
            return Ok(None);
        }
        let end = self.end;
        let step = Step::parse(self.bytes(position, WALK_BYTES)?)?;
        if position + step.size_bytes > end {
            let have = (end - position) as usize;
            return Err(BatchError::Incomplete { have, need: step.size_bytes as usize }.into());
        }
        Ok(Some(step))
    }

    /// The header of the batch at `position`; `None` at the end.
    pub fn header(&mut self, position: u64) -> Result<Option<Header>, WalkError> {
        if position >= self.end {
            return Ok(None);
        }
        let end = self.end;
        let header = Header::parse(self.bytes(position, HEADER_BYTES)?)?;
        if position + header.size_bytes as u64 > end {
            let have = (end - position) as usize;
            return Err(BatchError::Incomplete { have, need: header.size_bytes }.into());
        }
        Ok(Some(header))
    }

    /// Compares the checksum of the batch at `position`, in pieces: a length that is wrong takes no
    /// memory.
    pub fn check_crc(&mut self, position: u64, header: &Header) -> Result<(), WalkError> {
        let mut at = position + CHECKED_FROM as u64;
        let end = position + header.size_bytes as u64;
        let piece = self.buffer.len();
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        while at < end {
            let bytes = self.bytes(at, piece.min((end - at) as usize))?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            digest.update(bytes);
            at += bytes.len() as u64;
        }
        let computed = digest.finalize() as u32;
        if computed == header.crc {
            Ok(())
        } else {
            Err(BatchError::Crc { stored: header.crc, computed }.into())
        }
    }
}
