//! What the machine writes, as batches.

use polyport_log::batch::{Attributes, BatchBuilder, EndMarker};
use polyport_log::producer::Verification;

use super::super::machine::{Append, EndTransaction, InTransaction, Moment};
use super::super::record::Record;
use crate::internal::log::{AppendError, InternalLog, Written};

/// Appends to a partition for the machine, and remembers what must be replicated before anybody is
/// told.
pub(super) struct Appender<'a> {
    pub(super) log: &'a dyn InternalLog,
    /// What was appended.
    pub(super) written: Vec<Written>,
    /// Kept for their memory.
    pub(super) buffers: &'a mut Buffers,
}

#[derive(Debug, Default)]
pub(super) struct Buffers {
    batch: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Appender<'_> {
    fn append_batch(
        &mut self,
        now: Moment,
        verification: Verification,
    ) -> Result<i64, AppendError> {
        let batch = &mut self.buffers.batch;
        let written = self.log.append_verified(batch, verification, now.wall)?;
        let base_offset = written.base_offset;
        self.written.push(written);
        Ok(base_offset)
    }
}

impl Append for Appender<'_> {
    fn append(
        &mut self,
        now: Moment,
        records: &[Record],
        transaction: Option<InTransaction>,
    ) -> Result<i64, AppendError> {
        let mut builder = BatchBuilder::new(0);
        let mut verified = Verification::NotNeeded;
        if let Some(InTransaction { producer, verification }) = transaction {
            verified = verification;
            let attributes = Attributes::default().with_transactional(true);
            // The sequence is Kafka's: nobody checks a coordinator's.
            builder = builder.attributes(attributes).producer(producer.id, producer.epoch, 0);
        }
        let Buffers { batch, key, value } = &mut *self.buffers;
        for record in records {
            key.clear();
            value.clear();
            let encoded = record.encode_key(key).and_then(|()| record.encode_value(value));
            let is_there = encoded.map_err(|_| AppendError::TooLarge)?;
            builder.push(now.wall.0, Some(key), is_there.then_some(value.as_slice()));
        }
        batch.clear();
        // Without compression there is nothing that could fail.
        let _ = builder.build(None, batch);
        self.append_batch(now, verified)
    }

    fn append_marker(&mut self, now: Moment, end: EndTransaction) -> Result<i64, AppendError> {
        let EndTransaction { producer, commit, coordinator_epoch } = end;
        let marker = EndMarker { commit, coordinator_epoch };
        self.buffers.batch = marker.build(producer.id, producer.epoch, now.wall.0);
        self.append_batch(now, Verification::NotNeeded)
    }
}
