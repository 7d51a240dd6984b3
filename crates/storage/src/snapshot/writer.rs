//! Writing a snapshot.

use std::io::{self, Write};
use std::path::PathBuf;

use super::format::{self, CHUNK_BYTES, CHUNK_HEADER_BYTES, METADATA_LIMIT_BYTES};
use super::{SnapshotError, store::Layout};
use crate::disk::{Disk, DiskFile};

/// Writes one snapshot under a temporary name. It exists once [`SnapshotWriter::finish`] returned
/// `Ok`. Given up, it is to be told so by [`SnapshotWriter::abort`]: a writer that is only dropped, as
/// in a process that ends, leaves a temporary file that [`super::SnapshotStore::delete_tmp`] removes.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    layout: Layout<D>,
    file: D::File,
    temporary: PathBuf,
    index: u64,
    end: u64,
    /// Room for the chunk's header, then its payload.
    chunk: Vec<u8>,
    chunks: u32,
    payload_bytes: u64,
}

impl<D: Disk> SnapshotWriter<D> {
    pub(super) fn new(
        layout: Layout<D>,
        index: u64,
        metadata: &[u8],
    ) -> Result<Self, SnapshotError> {
        if metadata.len() > METADATA_LIMIT_BYTES {
            let (bytes, limit_bytes) = (metadata.len(), METADATA_LIMIT_BYTES);
            return Err(SnapshotError::MetadataTooLarge { bytes, limit_bytes });
        }
        let (file, temporary) = layout.create_tmp(&format::name(index))?;
        let header = format::header(index, metadata);
        if let Err(error) = file.write_at(&header, 0) {
            layout.discard(&temporary);
            return Err(SnapshotError::io("write to", &temporary)(error));
        }
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + CHUNK_BYTES);
        chunk.resize(CHUNK_HEADER_BYTES, 0);
        let end = header.len() as u64;
        Ok(SnapshotWriter {
            layout,
            file,
            temporary,
            index,
            end,
            chunk,
            chunks: 0,
            payload_bytes: 0,
        })
    }

    /// Writes the rest, makes it durable and gives the file its name. Returns the file's length in
    /// bytes.
    ///
    /// # Errors
    /// `Io`; the snapshot does not exist then, and nothing of it is left.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        let finished = self.publish();
        if finished.is_err() {
            self.abort();
        }
        finished
    }

    /// Gives up and removes what was written: after an error, on a full disk, it may be all the space
    /// there is. What cannot be removed now is removed when the node starts.
    pub fn abort(self) {
        self.layout.discard(&self.temporary);
    }

    fn publish(&mut self) -> Result<u64, SnapshotError> {
        self.write_chunk()?;
        let footer = format::footer(self.chunks, self.payload_bytes);
        let io = SnapshotError::io("write to", &self.temporary);
        self.file.write_at(&footer, self.end).map_err(io)?;
        let len = self.end + footer.len() as u64;
        self.layout.publish(&self.file, &self.temporary, self.index)?;
        Ok(len)
    }

    fn write_chunk(&mut self) -> Result<(), SnapshotError> {
        let payload_bytes = self.chunk.len() - CHUNK_HEADER_BYTES;
        if payload_bytes == 0 {
            return Ok(());
        }
        format::seal(&mut self.chunk, payload_bytes as u32, self.chunks);
        let io = SnapshotError::io("write to", &self.temporary);
        self.file.write_at(&self.chunk, self.end).map_err(io)?;
        self.end += self.chunk.len() as u64;
        self.chunks += 1;
        self.payload_bytes += payload_bytes as u64;
        self.chunk.truncate(CHUNK_HEADER_BYTES);
        Ok(())
    }
}

impl<D: Disk> Write for SnapshotWriter<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_HEADER_BYTES + CHUNK_BYTES - self.chunk.len();
        if room == 0 {
            self.write_chunk()?;
            return self.write(bytes);
        }
        let n = bytes.len().min(room);
        self.chunk.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    /// Does nothing: chunks are written when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
