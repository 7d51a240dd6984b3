//! What may be wrong with a record batch.

use polyport_wire::DecodeError;

/// Bytes that are no valid batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does: a torn write, or a cut read.
    #[error("{have} bytes of a batch, {need} needed")]
    Incomplete {
        /// Bytes there are.
        have: usize,
        /// Bytes the batch needs; at least the header's.
        need: usize,
    },
    /// The length field is below what a header needs, or negative.
    #[error("impossible batch length {0}")]
    Length(i32),
    /// Not version 2 of the format. Kafka's CORRUPT_MESSAGE or UNSUPPORTED_FOR_MESSAGE_FORMAT.
    #[error("batch of magic {0}; only 2 is kept")]
    Magic(i8),
    /// CORRUPT_MESSAGE.
    #[error("checksum is {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Bits 0 to 2 of the attributes name no codec. INVALID_RECORD.
    #[error("unknown compression codec {0}")]
    Codec(u8),
    /// Compressed bytes that do not decompress. CORRUPT_MESSAGE.
    #[error("{codec} data does not decompress: {reason}")]
    Compression {
        /// The codec's name.
        codec: &'static str,
        /// What the codec says.
        reason: String,
    },
    /// The decompressed records are larger than the caller takes.
    #[error("records of more than {limit_bytes} bytes after decompression")]
    DecompressedTooLarge {
        /// What the caller takes.
        limit_bytes: usize,
    },
    /// A record inside is malformed. INVALID_RECORD.
    #[error("records, {0}")]
    Record(DecodeError),
    /// Header fields contradict each other or the records. INVALID_RECORD.
    #[error("{0}")]
    Inconsistent(&'static str),
}

impl From<DecodeError> for BatchError {
    fn from(error: DecodeError) -> Self {
        BatchError::Record(error)
    }
}
