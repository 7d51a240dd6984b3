//! Reading and checking a snapshot.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::SnapshotError;
use super::format::{
    self, CHUNK_BYTES, CHUNK_HEADER_BYTES, FOOTER_BYTES, HEADER_BYTES, METADATA_LIMIT_BYTES,
};
use crate::disk::{Disk, DiskFile, OsDisk};
use crate::{crc32c, u32_at, u64_at};

/// Where a snapshot's bytes come from, in their order.
pub trait Source {
    /// Fills `buf` from `offset` as far as there is something, and says how many bytes that were.
    /// `offset` is where the call before ended.
    ///
    /// # Errors
    /// The file's or the stream's; so does the other method.
    fn next_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether there is nothing from `offset` on.
    ///
    /// # Errors
    /// As above.
    fn ends_at(&mut self, offset: u64) -> io::Result<bool>;
}

impl<F: DiskFile> Source for F {
    fn next_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_full_at(buf, offset)
    }

    fn ends_at(&mut self, offset: u64) -> io::Result<bool> {
        Ok(self.len()? == offset)
    }
}

/// Bytes that come one after the other, from the network for example.
#[derive(Debug)]
pub struct Streamed<R>(R);

impl<R: Read> Source for Streamed<R> {
    fn next_at(&mut self, mut buf: &mut [u8], _: u64) -> io::Result<usize> {
        let wanted = buf.len();
        while !buf.is_empty() {
            match self.0.read(buf) {
                Ok(0) => break,
                Ok(n) => buf = &mut buf[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(wanted - buf.len())
    }

    fn ends_at(&mut self, offset: u64) -> io::Result<bool> {
        Ok(self.next_at(&mut [0], offset)? == 0)
    }
}

/// Reads one snapshot's payload; every chunk is checked before a byte of it is given. The end of
/// the stream is only reported after the footer agreed.
#[derive(Debug)]
pub struct SnapshotReader<F> {
    file: F,
    path: PathBuf,
    index: u64,
    metadata: Vec<u8>,
    /// Where the next chunk begins.
    next: u64,
    chunk: Vec<u8>,
    /// What of `chunk` was given already.
    given: usize,
    chunks: u32,
    payload_bytes: u64,
    ended: bool,
}

impl SnapshotReader<<OsDisk as Disk>::File> {
    /// Opens a snapshot that was copied out of its directory, under any name.
    ///
    /// # Errors
    /// `Io`, also if it does not exist; `Damaged` if its header is.
    pub fn open_file(path: &Path) -> Result<Self, SnapshotError> {
        let file = OsDisk.open(path).map_err(SnapshotError::io("open", path))?;
        Self::new(file, path.to_owned())
    }
}

impl<R: Read> SnapshotReader<Streamed<R>> {
    /// Reads a snapshot's file as it comes; `name` is for messages.
    ///
    /// # Errors
    /// `Io`; `Damaged` if its header is.
    pub fn from_stream(stream: R, name: &str) -> Result<Self, SnapshotError> {
        Self::new(Streamed(stream), PathBuf::from(name))
    }
}

impl<F: Source> SnapshotReader<F> {
    /// Reads the header.
    pub(super) fn new(file: F, path: PathBuf) -> Result<Self, SnapshotError> {
        let mut reader = SnapshotReader {
            file,
            path,
            index: 0,
            metadata: Vec::new(),
            next: 0,
            chunk: Vec::new(),
            given: 0,
            chunks: 0,
            payload_bytes: 0,
            ended: false,
        };
        reader.header()?;
        Ok(reader)
    }

    /// The last log index the snapshot holds.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The caller's metadata.
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// Reads the rest without giving it, to find damage. Returns the payload's bytes.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn verify(mut self) -> Result<u64, SnapshotError> {
        while self.advance()? {}
        Ok(self.payload_bytes)
    }

    fn damaged(&self, what: impl Into<String>) -> SnapshotError {
        SnapshotError::damaged(&self.path, self.next, what)
    }

    /// Reads exactly `len` bytes at `next` to the end of `chunk`.
    fn fill(&mut self, len: usize) -> Result<(), SnapshotError> {
        let start = self.chunk.len();
        self.chunk.resize(start + len, 0);
        let got = self
            .file
            .next_at(&mut self.chunk[start..], self.next + start as u64)
            .map_err(SnapshotError::io("read", &self.path))?;
        if got < len {
            return Err(self.damaged("the file ends too early"));
        }
        Ok(())
    }

    fn header(&mut self) -> Result<(), SnapshotError> {
        self.fill(HEADER_BYTES)?;
        if &self.chunk[..8] != format::MAGIC {
            return Err(self.damaged("the file does not begin as a snapshot does"));
        }
        let version = u32_at(&self.chunk, 8);
        if version != format::VERSION {
            return Err(self.damaged(format!("format version {version} is not known")));
        }
        let metadata_bytes = u32_at(&self.chunk, 12) as usize;
        if metadata_bytes > METADATA_LIMIT_BYTES {
            return Err(self.damaged("the metadata's length is impossible"));
        }
        self.fill(metadata_bytes + 4)?;
        let crc_at = HEADER_BYTES + metadata_bytes;
        if u32_at(&self.chunk, crc_at) != crc32c(&self.chunk[..crc_at]) {
            return Err(self.damaged("the header's checksum does not match its bytes"));
        }
        self.index = u64_at(&self.chunk, 16);
        self.metadata = self.chunk[HEADER_BYTES..crc_at].to_vec();
        self.next = self.chunk.len() as u64;
        self.given = self.chunk.len();
        Ok(())
    }

    /// Takes the next chunk in; false at the end.
    fn advance(&mut self) -> Result<bool, SnapshotError> {
        if self.ended {
            return Ok(false);
        }
        self.chunk.clear();
        // Nothing is given from a chunk that fails below.
        self.given = usize::MAX;
        self.fill(CHUNK_HEADER_BYTES)?;
        let payload_bytes = u32_at(&self.chunk, 0) as usize;
        if payload_bytes > CHUNK_BYTES {
            return Err(self.damaged("the chunk's length is impossible"));
        }
        let footer = payload_bytes == 0;
        self.fill(if footer { FOOTER_BYTES } else { payload_bytes })?;
        if u32_at(&self.chunk, 8) != format::checksum(&self.chunk) {
            return Err(self.damaged("the chunk's checksum does not match its bytes"));
        }
        let number = u32_at(&self.chunk, 4);
        if number != self.chunks {
            return Err(self.damaged(format!("chunk {number} where {} belongs", self.chunks)));
        }
        if footer {
            return self.footer().map(|()| false);
        }
        self.next += self.chunk.len() as u64;
        self.given = CHUNK_HEADER_BYTES;
        self.chunks += 1;
        self.payload_bytes += payload_bytes as u64;
        Ok(true)
    }

    fn footer(&mut self) -> Result<(), SnapshotError> {
        if format::totals(&self.chunk[CHUNK_HEADER_BYTES..]) != (self.chunks, self.payload_bytes) {
            return Err(self.damaged("the footer's totals are not those of the chunks"));
        }
        self.next += self.chunk.len() as u64;
        if !self.file.ends_at(self.next).map_err(SnapshotError::io("read", &self.path))? {
            return Err(self.damaged("bytes follow the footer"));
        }
        self.ended = true;
        Ok(())
    }
}

impl<F: Source> Read for SnapshotReader<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.chunk.len() && !self.advance()? {
            return Ok(0);
        }
        let ready = self.chunk.get(self.given..).unwrap_or_default();
        let n = ready.len().min(buf.len());
        buf[..n].copy_from_slice(&ready[..n]);
        self.given += n;
        Ok(n)
    }
}
