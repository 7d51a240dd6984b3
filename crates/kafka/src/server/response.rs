//! An answer on its way out: bytes, and ranges of files that need not pass through the process.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use polyport_log::FileRange;
use polyport_net::stream::Stream;
use polyport_storage::disk::OsFile;
use tokio::io::AsyncWriteExt;

/// Records up to this many bytes are copied: one write more costs more than that.
const COPIED_BYTES: u64 = 8 << 10;
/// Bytes that are gathered before they are written.
const GATHERED_BYTES: usize = 64 << 10;

/// A part of an answer.
#[derive(Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// Records, still in their segment.
    File(FileRange<OsFile>),
}

impl Piece {
    /// How many bytes it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.len as usize,
        }
    }
}

/// A whole answer, its length in front.
#[derive(Debug, Default)]
pub struct Response {
    /// What it is put together of.
    pub pieces: Vec<Piece>,
    /// For how long the client is not listened to afterwards.
    pub throttle: Duration,
}

impl Response {
    /// One piece of bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { pieces: vec![Piece::Bytes(bytes.into())], throttle: Duration::ZERO }
    }
}

/// What is written to a socket, gathered.
#[derive(Debug, Default)]
pub(super) struct Output {
    gathered: Vec<u8>,
}

impl Output {
    /// Writes an answer; its last bytes may stay behind until [`Output::flush`].
    ///
    /// # Errors
    /// The socket's or the file's.
    pub(super) async fn send(&mut self, to: &mut Stream, response: Response) -> io::Result<()> {
        for piece in response.pieces {
            match piece {
                Piece::Bytes(bytes) => self.gathered.extend_from_slice(&bytes),
                Piece::File(range) if range.len <= COPIED_BYTES => {
                    range.read_into(&mut self.gathered)?;
                }
                Piece::File(range) => {
                    to.write_before_more(&self.gathered).await?;
                    self.gathered.clear();
                    to.send_file(&*range.file, range.position, range.len).await?;
                }
            }
            if self.gathered.len() >= GATHERED_BYTES {
                self.flush(to).await?;
            }
        }
        Ok(())
    }

    /// Writes what has been gathered.
    ///
    /// # Errors
    /// The socket's.
    pub(super) async fn flush(&mut self, to: &mut Stream) -> io::Result<()> {
        if !self.gathered.is_empty() {
            to.write_all(&self.gathered).await?;
            self.gathered.clear();
            self.gathered.shrink_to(GATHERED_BYTES);
        }
        to.flush().await
    }
}
