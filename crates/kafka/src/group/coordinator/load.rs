//! Reading a partition from its start, to have its groups.

use polyport_log::batch::{Batch, BatchError, EndMarker};

use super::super::machine::Context;
use super::super::record::Record;
use super::super::shard::Shard;
use crate::internal::load::{DECOMPRESSED_LIMIT_BYTES, each_batch};
use crate::internal::log::{InternalLog, ReadFailed};

/// Applies all records of the partition.
///
/// # Errors
/// If the partition cannot be read. A record that is none of Kafka's is reported and passed over, as
/// tools may write to the topic.
pub(super) fn load(
    log: &dyn InternalLog,
    shard: &mut Shard,
    cx: &Context<'_>,
) -> Result<(), ReadFailed> {
    let mut scratch = Vec::new();
    each_batch(log, |batch| Ok(load_batch(batch, &mut scratch, shard, cx)?))
}

fn load_batch(
    batch: &Batch<'_>,
    scratch: &mut Vec<u8>,
    shard: &mut Shard,
    cx: &Context<'_>,
) -> Result<(), BatchError> {
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
