//! The codecs of a batch's records. Looked into only where the broker must: to check what a client
//! sent, to re-compress, and to compact.

mod snappy;

use std::io::{self, BufRead, BufReader, Read, Write};

use super::BatchError;

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// One gzip member.
    Gzip,
    /// Raw blocks of Snappy in the framing of its Java library.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// A Zstandard frame.
    Zstd,
}

impl Codec {
    pub(super) fn from_number(number: u8) -> Result<Self, BatchError> {
        Ok(match number {
            0 => Codec::None,
            1 => Codec::Gzip,
            2 => Codec::Snappy,
            3 => Codec::Lz4,
            4 => Codec::Zstd,
            other => return Err(BatchError::Codec(other)),
        })
    }

    /// The number in a batch's attributes.
    pub fn number(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// The name in configurations: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    fn failed(self, error: &dyn std::fmt::Display) -> BatchError {
        BatchError::Compression { codec: self.name(), reason: error.to_string() }
    }

    /// A reader of what `compressed` holds. Takes memory for the codec's window only.
    pub(super) fn reader<'a>(
        self,
        compressed: &'a [u8],
    ) -> Result<Box<dyn BufRead + 'a>, BatchError> {
        Ok(match self {
            Codec::None => Box::new(compressed),
            Codec::Gzip => Box::new(BufReader::new(flate2::bufread::GzDecoder::new(compressed))),
            Codec::Snappy => Box::new(snappy::Reader::new(compressed)),
            Codec::Lz4 => Box::new(BufReader::new(lz4_flex::frame::FrameDecoder::new(compressed))),
            Codec::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(compressed)
                    .map_err(|error| self.failed(&error))?;
                Box::new(BufReader::new(decoder))
            }
        })
    }

    /// Decompresses into `into`, whose content is replaced.
    pub(super) fn decompress(
        self,
        compressed: &[u8],
        into: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> Result<(), BatchError> {
        into.clear();
        let limited = self.reader(compressed)?.take(limit_bytes as u64 + 1).read_to_end(into);
        limited.map_err(|error| self.failed(&error))?;
        if into.len() > limit_bytes {
            return Err(BatchError::DecompressedTooLarge { limit_bytes });
        }
        Ok(())
    }

    /// Appends `plain`, compressed, to `to`. `level`: the codec's own scale; `None` is Kafka's
    /// default.
    ///
    /// # Errors
    /// `InvalidInput` for a level that the codec does not have.
    pub(super) fn compress(
        self,
        plain: &[u8],
        level: Option<i32>,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self {
            Codec::None => to.extend_from_slice(plain),
            Codec::Gzip => {
                let level = match level.map(u32::try_from) {
                    None | Some(Err(_)) => flate2::Compression::default(),
                    Some(Ok(level)) if level <= 9 => flate2::Compression::new(level),
                    Some(Ok(_)) => return Err(io::ErrorKind::InvalidInput.into()),
                };
                let mut encoder = flate2::write::GzEncoder::new(to, level);
                encoder.write_all(plain)?;
                encoder.finish()?;
            }
            Codec::Snappy => snappy::compress(plain, to)?,
            Codec::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, to);
                encoder.write_all(plain)?;
                encoder.finish().map_err(io::Error::other)?;
            }
            Codec::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(to, level.unwrap_or(3))?;
                encoder.write_all(plain)?;
                encoder.finish()?;
            }
        }
        Ok(())
    }
}
