//! The log below a coordinator.

use std::future::Future;
use std::pin::Pin;

use polyport_base::Millis;
use polyport_log::producer::Verification;

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

/// Why records were not appended, or are not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The partition is led elsewhere, or its disk failed.
    #[error("the partition is not led here")]
    NotLeader,
    /// Fewer replicas are in sync than `min.insync.replicas`. After an append: those that are in sync
    /// have the records.
    #[error("too few replicas are in sync")]
    NotEnoughReplicas,
    /// Larger than `max.message.bytes`.
    #[error("the batch is too large")]
    TooLarge,
    /// The producer's epoch is an old one.
    #[error("the producer was fenced")]
    ProducerFenced,
    /// The transaction is not one that its coordinator knows of.
    #[error("the transaction was not verified")]
    NotVerified,
    /// The marker's coordinator is an old one.
    #[error("the transaction coordinator was fenced")]
    CoordinatorFenced,
}

/// A partition that this node leads.
pub trait InternalLog: Send + Sync + 'static {
    /// Appends a batch as a coordinator does, for all in-sync replicas. May block for a write to the
    /// page cache.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append(&self, batch: &mut [u8], now: Millis) -> Result<Written, AppendError> {
        self.append_verified(batch, Verification::NotNeeded, now)
    }

    /// As `append`, of a batch of a transaction that was verified, or not.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append_verified(
        &self,
        batch: &mut [u8],
        verification: Verification,
        now: Millis,
    ) -> Result<Written, AppendError>;

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
