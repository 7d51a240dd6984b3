//! Bytes of a file to a peer: by `sendfile` where the socket is plain, through memory inside TLS.

use std::io;
use std::os::fd::AsFd;

use rustix::net::SendFlags;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::stream::Stream;

/// Most bytes of a file that are in memory for one connection.
const PIECE_BYTES: usize = 64 << 10;
/// Most bytes that one call hands to the system.
const CALL_BYTES: u64 = 1 << 30;

impl Stream {
    /// Writes `len` bytes of `file` from `position` on. Reading what is not in the page cache blocks
    /// the calling thread.
    ///
    /// # Errors
    /// The operating system's; `UnexpectedEof` if the file is shorter.
    pub async fn send_file(&mut self, file: impl AsFd, position: u64, len: u64) -> io::Result<()> {
        let Self::Plain(stream) = self else {
            return self.send_through_memory(file, position, len).await;
        };
        let mut at = position;
        let end = position + len;
        while at < end {
            let most = usize::try_from((end - at).min(CALL_BYTES)).unwrap_or(usize::MAX);
            let send = || Ok(rustix::fs::sendfile(&*stream, &file, Some(&mut at), most)?);
            if stream.async_io(Interest::WRITABLE, send).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    async fn send_through_memory(
        &mut self,
        file: impl AsFd,
        position: u64,
        len: u64,
    ) -> io::Result<()> {
        let mut at = position;
        let end = position + len;
        let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(len).unwrap_or(PIECE_BYTES))];
        while at < end {
            let most = piece.len().min(usize::try_from(end - at).unwrap_or(PIECE_BYTES));
            let read = rustix::io::pread(&file, &mut piece[..most], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.write_all(&piece[..read]).await?;
            at += read as u64;
        }
        Ok(())
    }

    /// Writes bytes that more will follow at once, so that the system need not send them apart.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn write_before_more(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self::Plain(stream) = self else { return self.write_all(bytes).await };
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = send_more(stream, rest).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }
}

async fn send_more(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    stream.async_io(Interest::WRITABLE, || Ok(rustix::net::send(stream, bytes, flags)?)).await
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (Stream::Plain(server.unwrap().0), client.unwrap())
    }

    #[tokio::test]
    async fn a_part_of_a_file_follows_its_header() {
        let (mut server, mut client) = pair().await;
        // Larger than what the sockets hold, so that sending has to wait.
        let content: Vec<u8> = (0..16 << 20).map(|at: u32| (at % 251) as u8).collect();
        let mut file = tempfile().unwrap();
        file.write_all(&content).unwrap();
        let (from, len) = (1000, (16 << 20) - 2000);
        let sending = async {
            server.write_before_more(b"header").await.unwrap();
            server.send_file(&file, from as u64, len as u64).await.unwrap();
            drop(server);
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(sending, client.read_to_end(&mut got));
        read.unwrap();
        assert_eq!(&got[..6], b"header");
        assert!(got[6..] == content[from..from + len]);
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let (mut server, _client) = pair().await;
        let file = tempfile().unwrap();
        let sent = server.send_file(&file, 0, 10).await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// A file without a name.
    fn tempfile() -> io::Result<std::fs::File> {
        let fd = rustix::fs::memfd_create("sent", rustix::fs::MemfdFlags::CLOEXEC)?;
        Ok(fd.into())
    }
}
