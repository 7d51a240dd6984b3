//! The partition of `__consumer_offsets` below a shard.

use std::future::Future;
use std::pin::Pin;

use polyport_base::Millis;
use polyport_log::batch::{Attributes, BatchBuilder, EndMarker};

use super::super::error::AppendError;
use super::super::machine::{Append, EndTransaction, Moment, TransactionalProducer};
use super::super::record::Record;

/// Ends when records are replicated, or will not be.
pub type Replicated = Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send>>;

/// An append that was made.
pub struct Written {
    /// The first record's offset.
    pub base_offset: i64,
    /// The offset after the last record.
    pub next_offset: i64,
    /// What acknowledging it waits for; `None` if nothing.
    pub replicated: Option<Replicated>,
}

/// A partition of `__consumer_offsets` that this node leads.
pub trait OffsetsLog: Send + Sync + 'static {
    /// Appends a batch as a coordinator does, for all in-sync replicas. May block for a write to the
    /// page cache.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append(&self, batch: &mut [u8], now: Millis) -> Result<Written, AppendError>;

    /// Whole batches from the one that holds the offset on, up to the log's end; `None` if there are
    /// none. An offset below the log's start means the start. May block for the disk.
    ///
    /// # Errors
    /// If the partition cannot be read.
    fn read(&self, offset: i64) -> Result<Option<Vec<u8>>, ReadFailed>;
}

/// The partition cannot be read, or holds what cannot be records.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the partition at offset {offset}")]
pub struct ReadFailed {
    /// Where.
    pub offset: i64,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Appends to a partition for the machine, and remembers what must be replicated before anybody is
/// told.
pub(super) struct Appender<'a> {
    pub(super) log: &'a dyn OffsetsLog,
    /// Where the last append ended that was not replicated at once.
    pub(super) replicate_to: i64,
    /// Appends that are not replicated yet: where they end, and what to wait for.
    pub(super) waits: Vec<(i64, Replicated)>,
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
    fn append_batch(&mut self, now: Moment) -> Result<i64, AppendError> {
        let written = self.log.append(&mut self.buffers.batch, now.wall)?;
        if let Some(replicated) = written.replicated {
            self.replicate_to = written.next_offset;
            self.waits.push((written.next_offset, replicated));
        }
        Ok(written.base_offset)
    }
}

impl Append for Appender<'_> {
    fn append(
        &mut self,
        now: Moment,
        records: &[Record],
        producer: Option<TransactionalProducer>,
    ) -> Result<i64, AppendError> {
        let mut builder = BatchBuilder::new(0);
        if let Some(producer) = producer {
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
        self.append_batch(now)
    }

    fn append_marker(&mut self, now: Moment, end: EndTransaction) -> Result<i64, AppendError> {
        let EndTransaction { producer, commit, coordinator_epoch } = end;
        let marker = EndMarker { commit, coordinator_epoch };
        self.buffers.batch = marker.build(producer.id, producer.epoch, now.wall.0);
        self.append_batch(now)
    }
}
