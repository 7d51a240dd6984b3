//! What stays of a batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::KeyOffsets;
use crate::LogConfig;
use crate::batch::{Batch, BatchBuilder, BatchError, Codec, EndMarker, Header};
use crate::producer::ProducerState;
use crate::segment::AbortedTxn;

/// One round's knowledge, carried from batch to batch in the order of the log.
pub(super) struct Rewrite<'a> {
    pub keys: &'a KeyOffsets,
    /// Keys of records below this offset were noted.
    pub noted_to: i64,
    /// The batch that ends here stays as an empty one, so that the log keeps its end.
    pub round_end: i64,
    pub now: i64,
    pub config: &'a LogConfig,
    /// Last data offset of each live producer, or its epoch if it has none: its last batch stays,
    /// empty if need be, because its sequence is needed.
    pub producers: &'a BTreeMap<i64, (Option<i64>, i16)>,
    /// Aborted transactions to come, by first offset.
    pub aborted: VecDeque<AbortedTxn>,
    /// Those begun, by producer, and whether records of theirs were met.
    open_aborted: BTreeMap<i64, (AbortedTxn, bool)>,
    /// Producers with records of a transaction that is not aborted.
    open_committed: BTreeSet<i64>,
    scratch: Vec<u8>,
}

/// What becomes of a batch.
pub(super) enum Kept {
    Nothing,
    AsItIs,
    /// Written to the buffer; with how many records.
    Rewritten,
}

/// The producers of a log as a rewrite needs them.
pub(super) fn last_of_producers(state: &ProducerState) -> BTreeMap<i64, (Option<i64>, i16)> {
    let last = state.entries().map(|entry| {
        let last = entry.last_batch().map(|batch| batch.last_offset);
        (entry.producer_id, (last, entry.epoch))
    });
    last.collect()
}

impl<'a> Rewrite<'a> {
    pub fn new(
        keys: &'a KeyOffsets,
        (noted_to, round_end): (i64, i64),
        now: i64,
        config: &'a LogConfig,
        producers: &'a BTreeMap<i64, (Option<i64>, i16)>,
        aborted: Vec<AbortedTxn>,
    ) -> Self {
        Rewrite {
            keys,
            noted_to,
            round_end,
            now,
            config,
            producers,
            aborted: aborted.into(),
            open_aborted: BTreeMap::new(),
            open_committed: BTreeSet::new(),
            scratch: Vec::new(),
        }
    }

    /// Decides on a batch. Entries of the new transaction index go to `txns`.
    pub fn batch(
        &mut self,
        batch: &Batch<'_>,
        to: &mut Vec<u8>,
        txns: &mut Vec<AbortedTxn>,
    ) -> Result<Kept, BatchError> {
        let header = *batch.header();
        while self.aborted.front().is_some_and(|txn| txn.first_offset <= header.last_offset()) {
            if let Some(txn) = self.aborted.pop_front() {
                self.open_aborted.insert(txn.producer_id, (txn, false));
            }
        }
        if header.attributes.is_control() {
            return self.control(batch, to, txns);
        }
        if header.attributes.is_transactional() {
            // The marker of an older one may be gone already.
            if let Some((txn, met)) = self.open_aborted.get_mut(&header.producer_id)
                && header.base_offset < txn.last_offset
            {
                *met = true;
                return self.emptied(&header, to);
            }
            self.open_committed.insert(header.producer_id);
        }
        self.data(batch, to)
    }

    /// A marker stays while records of its transaction are in the log, and `delete.retention.ms`
    /// longer.
    fn control(
        &mut self,
        batch: &Batch<'_>,
        to: &mut Vec<u8>,
        txns: &mut Vec<AbortedTxn>,
    ) -> Result<Kept, BatchError> {
        let header = *batch.header();
        let needed = match EndMarker::read(batch)? {
            None => false,
            Some(marker) if marker.commit => self.open_committed.remove(&header.producer_id),
            Some(_) => match self.open_aborted.remove(&header.producer_id) {
                Some((txn, true)) => {
                    txns.push(txn);
                    true
                }
                _ => false,
            },
        };
        if needed || header.count == 0 && self.must_stay(&header) {
            return Ok(Kept::AsItIs);
        }
        match header.delete_horizon() {
            Some(horizon) if horizon <= self.now => self.emptied(&header, to),
            Some(_) => Ok(Kept::AsItIs),
            None => {
                let mut records = Vec::new();
                let limit = self.config.decompressed_limit_bytes;
                let mut scratch = Vec::new();
                for record in batch.records(&mut scratch, limit)? {
                    records.push(record?);
                }
                let mut builder = self.with_horizon(&header);
                records.iter().for_each(|record| builder.copy(record));
                self.write(&builder, &header, to)
            }
        }
    }

    fn with_horizon(&self, header: &Header) -> BatchBuilder {
        BatchBuilder::like(header)
            .attributes(header.attributes.with_delete_horizon(true))
            .base_timestamp(self.now.saturating_add(self.config.delete_retention_ms))
    }

    fn data(&mut self, batch: &Batch<'_>, to: &mut Vec<u8>) -> Result<Kept, BatchError> {
        let header = *batch.header();
        let limit = self.config.decompressed_limit_bytes;
        let horizon = header.delete_horizon();
        let tombstones_stay = horizon.is_none_or(|horizon| self.now < horizon);
        let mut kept = Vec::new();
        let mut tombstone = false;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut failed = None;
        for record in batch.records(&mut scratch, limit)? {
            match record {
                Ok(record) => {
                    if self.stays(&record, tombstones_stay) {
                        tombstone |= record.value.is_none();
                        kept.push(record);
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let sets_horizon = tombstone && horizon.is_none();
        let outcome = if kept.is_empty() {
            self.emptied(&header, to)
        } else if kept.len() as i64 == i64::from(header.count) && !sets_horizon {
            Ok(Kept::AsItIs)
        } else {
            let mut builder = if sets_horizon {
                self.with_horizon(&header)
            } else {
                let builder = BatchBuilder::like(&header);
                match horizon {
                    Some(horizon) => builder.base_timestamp(horizon),
                    None => builder,
                }
            };
            kept.iter().for_each(|record| builder.copy(record));
            self.write(&builder, &header, to)
        };
        drop(kept);
        self.scratch = scratch;
        outcome
    }

    fn stays(&self, record: &crate::batch::Record<'_>, tombstones_stay: bool) -> bool {
        if record.offset >= self.noted_to {
            return true;
        }
        // A record without key cannot be superseded, nor found: it has no place here.
        let Some(key) = record.key else { return false };
        let newest = self.keys.last_offset(key).is_none_or(|last| record.offset >= last);
        newest && (record.value.is_some() || tombstones_stay)
    }

    fn must_stay(&self, header: &Header) -> bool {
        if header.next_offset() == self.round_end {
            return true;
        }
        match self.producers.get(&header.producer_id) {
            Some((Some(last), _)) => *last == header.last_offset(),
            Some((None, epoch)) => {
                header.attributes.is_control() && *epoch == header.producer_epoch
            }
            None => false,
        }
    }

    fn emptied(&self, header: &Header, to: &mut Vec<u8>) -> Result<Kept, BatchError> {
        if !self.must_stay(header) {
            return Ok(Kept::Nothing);
        }
        if header.count == 0 {
            return Ok(Kept::AsItIs);
        }
        let plain = header.attributes.with_codec(Codec::None).with_delete_horizon(false);
        let builder = BatchBuilder::like(header).attributes(plain);
        self.write_with(&builder, header, header.max_timestamp, to)
    }

    fn write(
        &self,
        builder: &BatchBuilder,
        header: &Header,
        to: &mut Vec<u8>,
    ) -> Result<Kept, BatchError> {
        let append_time = header.attributes.is_log_append_time();
        let greatest = if append_time { header.max_timestamp } else { builder.max_timestamp() };
        self.write_with(builder, header, greatest, to)
    }

    fn write_with(
        &self,
        builder: &BatchBuilder,
        header: &Header,
        max_timestamp: i64,
        to: &mut Vec<u8>,
    ) -> Result<Kept, BatchError> {
        let level = self.config.compression_level;
        let built = builder.build_up_to(header.last_offset(), max_timestamp, level, to);
        built.map_err(|error| BatchError::Compression {
            codec: "batch's",
            reason: error.to_string(),
        })?;
        Ok(Kept::Rewritten)
    }
}
