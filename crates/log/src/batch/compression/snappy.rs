//! Snappy as Kafka's clients frame it: the framing of the Java library `snappy-java`, a header of
//! 16 bytes and then blocks of a big-endian length and raw Snappy. Some clients send one raw block
//! without framing, which that library also takes.

use std::io::{self, BufRead, Read};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
/// What the Java library puts into one block.
const BLOCK_BYTES: usize = 32 * 1024;
/// Three bytes of Snappy copy at most 64: a block that says it grows more is lying about its size.
const MAX_GROWTH: usize = 64;

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(compressed: &'a [u8]) -> Self {
        let framed = compressed.len() >= HEADER_BYTES && compressed.starts_with(&MAGIC);
        let rest = if framed { &compressed[HEADER_BYTES..] } else { compressed };
        Reader { rest, framed, block: Vec::new(), at: 0 }
    }

    fn next_raw(&mut self) -> io::Result<&'a [u8]> {
        if !self.framed {
            return Ok(std::mem::take(&mut self.rest));
        }
        // Streams that were joined repeat the header.
        while self.rest.len() >= HEADER_BYTES && self.rest.starts_with(&MAGIC) {
            self.rest = &self.rest[HEADER_BYTES..];
        }
        if self.rest.is_empty() {
            return Ok(&[]);
        }
        let (length, rest) =
            self.rest.split_first_chunk().ok_or_else(|| bad("block length is cut off"))?;
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > rest.len() {
            return Err(bad("block is cut off"));
        }
        let (raw, rest) = rest.split_at(length);
        self.rest = rest;
        Ok(raw)
    }

    fn refill(&mut self) -> io::Result<()> {
        while self.at == self.block.len() && !self.rest.is_empty() {
            let raw = self.next_raw()?;
            if raw.is_empty() {
                return Ok(());
            }
            let length = snap::raw::decompress_len(raw).map_err(io::Error::other)?;
            if length > raw.len() * MAX_GROWTH {
                return Err(bad("impossible block size"));
            }
            self.block.resize(length, 0);
            self.at = 0;
            let done = snap::raw::Decoder::new().decompress(raw, &mut self.block);
            if let Err(error) = done {
                self.block.clear();
                return Err(io::Error::other(error));
            }
        }
        Ok(())
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill()?;
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.block.len());
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let n = from.len().min(buf.len());
        buf[..n].copy_from_slice(&from[..n]);
        self.consume(n);
        Ok(n)
    }
}

pub(super) fn compress(plain: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    to.extend_from_slice(&MAGIC);
    to.extend_from_slice(&1_u32.to_be_bytes());
    to.extend_from_slice(&1_u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(BLOCK_BYTES) {
        let at = to.len();
        to.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut to[at + 4..]).map_err(io::Error::other)?;
        to[at..at + 4].copy_from_slice(&(length as u32).to_be_bytes());
        to.truncate(at + 4 + length);
    }
    Ok(())
}
