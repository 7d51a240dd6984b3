//! Reading a partition from its start, to have its groups.

use polyport_log::batch::{Batch, BatchError, EndMarker};

use super::super::machine::Context;
use super::super::record::Record;
use super::super::shard::Shard;
use super::log::{OffsetsLog, ReadFailed};

/// Most bytes that a batch may decompress to. Coordinators do not compress and write no batch beyond
/// `max.message.bytes`; this bounds what somebody else's may take.
const DECOMPRESSED_LIMIT_BYTES: usize = 256 << 20;

/// Applies all records of the partition.
///
/// # Errors
/// If the partition cannot be read. A record that is none of Kafka's is reported and passed over, as
/// tools may write to the topic.
pub(super) fn load(
    log: &dyn OffsetsLog,
    shard: &mut Shard,
    cx: &Context<'_>,
) -> Result<(), ReadFailed> {
    let mut offset = 0;
    let mut scratch = Vec::new();
    while let Some(bytes) = log.read(offset)? {
        let mut rest = bytes.as_slice();
        let before = offset;
        while !rest.is_empty() {
            let failed = |error: BatchError| ReadFailed { offset, source: error.into() };
            let (batch, after) = Batch::split_first(rest).map_err(failed)?;
            load_batch(&batch, &mut scratch, shard, cx).map_err(failed)?;
            offset = batch.header().next_offset();
            rest = after;
        }
        if offset <= before {
            break;
        }
    }
    Ok(())
}

fn load_batch(
    batch: &Batch<'_>,
    scratch: &mut Vec<u8>,
    shard: &mut Shard,
    cx: &Context<'_>,
) -> Result<(), BatchError> {
    batch.check_crc()?;
    let header = *batch.header();
    if header.attributes.is_control() {
        if let Some(marker) = EndMarker::read(batch)? {
            shard.apply_marker(header.producer_id, marker.commit);
        }
        return Ok(());
    }
    let producer_id = header.attributes.is_transactional().then_some(header.producer_id);
    for record in batch.records(scratch, DECOMPRESSED_LIMIT_BYTES)? {
        let record = record?;
        let key = record.key.unwrap_or_default();
        match Record::decode(key, record.value) {
            Ok(Some(decoded)) => shard.apply(decoded, producer_id, header.base_offset, cx),
            Ok(None) => tracing::warn!(offset = record.offset, "a record of a kind unknown here"),
            Err(error) => {
                tracing::error!(offset = record.offset, %error, "a record that cannot be read");
            }
        }
    }
    Ok(())
}
