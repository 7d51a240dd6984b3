//! Reading a partition from its start.

use polyport_log::batch::{Batch, BatchError};

use super::log::{InternalLog, ReadFailed};

/// Most bytes that a batch may decompress to. Coordinators do not compress and write no batch beyond
/// `max.message.bytes`; this bounds what somebody else's may take.
pub const DECOMPRESSED_LIMIT_BYTES: usize = 256 << 20;

/// What stops the reading.
type Stop = Box<dyn std::error::Error + Send + Sync>;

/// Hands over all batches of the partition, in order, with their checksums checked.
///
/// # Errors
/// If the partition cannot be read, or `each` does not want to go on.
pub fn each_batch(
    log: &dyn InternalLog,
    mut each: impl FnMut(&Batch<'_>) -> Result<(), Stop>,
) -> Result<(), ReadFailed> {
    let mut offset = 0;
    while let Some(bytes) = log.read(offset)? {
        let mut rest = bytes.as_slice();
        let before = offset;
        while !rest.is_empty() {
            let failed = |source: Stop| ReadFailed { offset, source };
            let corrupt = |error: BatchError| failed(error.into());
            let (batch, after) = Batch::split_first(rest).map_err(corrupt)?;
            batch.check_crc().map_err(corrupt)?;
            each(&batch).map_err(failed)?;
            offset = batch.header().next_offset();
            rest = after;
        }
        if offset <= before {
            break;
        }
    }
    Ok(())
}
