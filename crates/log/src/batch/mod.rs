//! Record batches, version 2 of Kafka's message format: views over bytes, checks, construction.
//!
//! Pure: no I/O, no clock, and no panic on anybody's bytes. Versions 0 and 1 are refused with
//! [`BatchError::Magic`]; converting them is the business of whoever accepts them.

mod attributes;
mod build;
mod compression;
mod control;
mod error;
pub(crate) mod header;
mod record;
mod source;
#[cfg(test)]
mod tests;
mod validate;
pub(crate) mod varint;

pub use attributes::Attributes;
pub use build::BatchBuilder;
pub use compression::Codec;
pub use control::EndMarker;
pub use error::BatchError;
pub use header::{HEADER_BYTES, Header, LOG_OVERHEAD, size_of_first};
pub use record::{Headers, Record, Records};
pub use validate::{
    RecordFacts, RecordFault, RecordRules, RejectedRecord, check_client_header, check_records,
};

/// A whole batch over borrowed bytes. That its length is right has been checked, its checksum not.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, and what follows it.
    ///
    /// # Errors
    /// `Incomplete`, `Length`, `Magic`.
    pub fn split_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = Header::parse(bytes)?;
        let Some((bytes, rest)) = bytes.split_at_checked(header.size_bytes) else {
            return Err(BatchError::Incomplete { have: bytes.len(), need: header.size_bytes });
        };
        Ok((Batch { header, bytes }, rest))
    }

    /// The header's fields.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header, as stored.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Compares the checksum.
    ///
    /// # Errors
    /// `Crc`.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = header::checksum(self.bytes);
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::Crc { stored: self.header.crc, computed })
        }
    }

    /// Its records, decompressed into `scratch` if need be.
    ///
    /// # Errors
    /// `Codec`, `Compression`, `DecompressedTooLarge`; malformed records are errors of the
    /// iterator.
    pub fn records<'b>(
        &self,
        scratch: &'b mut Vec<u8>,
        limit_bytes: usize,
    ) -> Result<Records<'b>, BatchError>
    where
        'a: 'b,
    {
        let payload = match self.header.attributes.codec()? {
            // An emptied batch keeps its codec but has nothing to decompress.
            _ if self.header.count <= 0 => &[],
            Codec::None => self.payload(),
            codec => {
                codec.decompress(self.payload(), scratch, limit_bytes)?;
                scratch.as_slice()
            }
        };
        Ok(Records::new(self.header, payload))
    }

    /// Records of a batch that is never compressed: a control batch.
    fn plain_records(&self) -> Result<Records<'a>, BatchError> {
        match self.header.attributes.codec()? {
            Codec::None => Ok(Records::new(self.header, self.payload())),
            _ => Err(BatchError::Inconsistent("a compressed control batch")),
        }
    }
}
