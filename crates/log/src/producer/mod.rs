//! What the log knows of idempotent producers and their transactions.
//!
//! Deterministic and without I/O but for [`snapshot`], which only makes and reads bytes. Iteration is
//! in the order of ids, so that two replicas with the same records write the same snapshot.

mod entry;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod verification;

use std::collections::BTreeMap;

pub use entry::{BatchMetadata, ProducerEntry};
pub use verification::{Verification, VerificationGuard, Verifications};

use crate::batch::header::add_sequence;
use crate::batch::{EndMarker, Header};

/// Who appends, which decides what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's produce request: everything is checked.
    Client,
    /// A coordinator of this node: offsets of groups, transaction states, markers. Epochs are
    /// checked, sequences are not.
    Coordinator,
    /// The leader of the partition, which has checked.
    Replication,
}

/// Why a producer's batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// INVALID_PRODUCER_EPOCH: another instance of the producer has taken over.
    #[error("epoch {epoch} of producer {producer_id} is below {current}")]
    Fenced {
        /// Whose.
        producer_id: i64,
        /// The batch's.
        epoch: i16,
        /// The newest one seen.
        current: i16,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[error("sequence {sequence} of producer {producer_id} does not follow {last}")]
    OutOfOrder {
        /// Whose.
        producer_id: i64,
        /// The batch's first.
        sequence: i32,
        /// The last one in the log; -1 if there is none in this epoch.
        last: i32,
    },
    /// DUPLICATE_SEQUENCE_NUMBER is not answered: Kafka takes an old batch that is no longer
    /// remembered for one out of order, and so does this. INVALID_TXN_STATE: a plain batch inside a
    /// transaction.
    #[error("producer {producer_id} has an open transaction")]
    NotTransactional {
        /// Whose.
        producer_id: i64,
    },
    /// INVALID_TXN_STATE: a transaction would begin that the coordinator does not know of.
    #[error("the transaction of producer {producer_id} was not verified")]
    NotVerified {
        /// Whose.
        producer_id: i64,
    },
    /// TRANSACTION_COORDINATOR_FENCED.
    #[error("marker of coordinator epoch {epoch} after one of {current}")]
    CoordinatorFenced {
        /// The marker's.
        epoch: i32,
        /// The newest one seen.
        current: i32,
    },
}

/// A transaction that a marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Whose it was.
    pub producer_id: i64,
    /// Its first record's offset.
    pub first_offset: i64,
    /// The marker's offset.
    pub last_offset: i64,
    /// Whether it was aborted.
    pub aborted: bool,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default)]
pub struct ProducerState {
    producers: BTreeMap<i64, ProducerEntry>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<i64, i64>,
    /// Ended ones whose markers are not below the high watermark: first offset to marker's offset.
    unreplicated: BTreeMap<i64, i64>,
    /// Everything below this offset is in the state.
    end_offset: i64,
}

impl ProducerState {
    /// Nothing, as of `offset`.
    pub fn empty(offset: i64) -> Self {
        ProducerState { end_offset: offset, ..Self::default() }
    }

    /// Producers read from a snapshot, as of `offset`.
    pub fn from_entries(entries: Vec<ProducerEntry>, offset: i64) -> Self {
        let mut state = Self::empty(offset);
        for entry in entries {
            if let Some(first) = entry.txn_first_offset {
                state.ongoing.insert(first, entry.producer_id);
            }
            state.producers.insert(entry.producer_id, entry);
        }
        state
    }

    /// Everything below this offset is in the state.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Notes that the log reaches to `offset`.
    pub fn set_end_offset(&mut self, offset: i64) {
        self.end_offset = offset;
    }

    /// In the order of ids.
    pub fn entries(&self) -> impl Iterator<Item = &ProducerEntry> {
        self.producers.values()
    }

    /// What is known of one.
    pub fn entry(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Whether a producer has an open transaction.
    pub fn is_in_transaction(&self, producer_id: i64) -> bool {
        self.producers.get(&producer_id).is_some_and(|entry| entry.txn_first_offset.is_some())
    }

    /// The batch that this one repeats, if it is one of the producer's last five.
    pub fn duplicate(&self, header: &Header) -> Option<BatchMetadata> {
        let entry = self.producers.get(&header.producer_id)?;
        if entry.epoch != header.producer_epoch {
            return None;
        }
        entry.find(header.base_sequence, header.last_sequence())
    }

    /// Checks a data batch against what is known of its producer. Batches without one pass.
    ///
    /// # Errors
    /// `Fenced`, `OutOfOrder`, `NotTransactional`.
    pub fn check(&self, header: &Header, origin: Origin) -> Result<(), ProducerError> {
        if !header.has_producer_id() || origin == Origin::Replication {
            return Ok(());
        }
        let producer_id = header.producer_id;
        let Some(entry) = self.producers.get(&producer_id) else { return Ok(()) };
        if header.producer_epoch < entry.epoch {
            return Err(ProducerError::Fenced {
                producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        if origin == Origin::Client {
            let sequence = header.base_sequence;
            let fits = if header.producer_epoch != entry.epoch {
                sequence == 0 || entry.epoch == -1
            } else {
                let last = entry.last_sequence();
                let next = if last < 0 { 0 } else { add_sequence(last, 1) };
                entry.epoch == -1 || sequence == next
            };
            if !fits {
                let last = match entry.epoch == header.producer_epoch {
                    true => entry.last_sequence(),
                    false => -1,
                };
                return Err(ProducerError::OutOfOrder { producer_id, sequence, last });
            }
        }
        if entry.txn_first_offset.is_some() && !header.attributes.is_transactional() {
            return Err(ProducerError::NotTransactional { producer_id });
        }
        Ok(())
    }

    /// Checks a transaction's marker.
    ///
    /// # Errors
    /// `Fenced`, `CoordinatorFenced`.
    pub fn check_marker(&self, header: &Header, marker: EndMarker) -> Result<(), ProducerError> {
        let Some(entry) = self.producers.get(&header.producer_id) else { return Ok(()) };
        if header.producer_epoch < entry.epoch {
            return Err(ProducerError::Fenced {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(ProducerError::CoordinatorFenced {
                epoch: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Takes in a data batch that was appended.
    pub fn append(&mut self, header: &Header) {
        self.end_offset = header.next_offset();
        if !header.has_producer_id() {
            return;
        }
        let id = header.producer_id;
        let entry = self.producers.entry(id).or_insert_with(|| ProducerEntry::new(id));
        entry.add(
            header.producer_epoch,
            BatchMetadata {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            },
        );
        if header.attributes.is_transactional() && entry.txn_first_offset.is_none() {
            entry.txn_first_offset = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, id);
        }
    }

    /// Takes in a control batch that was appended. A completed transaction goes to
    /// [`ProducerState::complete`] next.
    pub fn append_marker(&mut self, header: &Header, marker: EndMarker) -> Option<CompletedTxn> {
        self.end_offset = header.next_offset();
        let id = header.producer_id;
        let entry = self.producers.entry(id).or_insert_with(|| ProducerEntry::new(id));
        entry.raise_epoch(header.producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        let first_offset = entry.txn_first_offset.take()?;
        Some(CompletedTxn {
            producer_id: id,
            first_offset,
            last_offset: header.base_offset,
            aborted: !marker.commit,
        })
    }

    /// Ends a transaction. Returns the last stable offset once its marker is replicated.
    pub fn complete(&mut self, txn: &CompletedTxn) -> i64 {
        self.ongoing.remove(&txn.first_offset);
        self.unreplicated.insert(txn.first_offset, txn.last_offset);
        self.ongoing.first_key_value().map_or(txn.last_offset + 1, |(first, _)| *first)
    }

    /// Markers below the high watermark hold nothing back any more.
    pub fn on_high_watermark(&mut self, high_watermark: i64) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, last| *last >= high_watermark);
        }
    }

    /// The first offset that a `read_committed` consumer may not see yet.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let first = |of: &BTreeMap<i64, i64>| of.first_key_value().map(|(first, _)| *first);
        match (first(&self.ongoing), first(&self.unreplicated)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Forgets ended transactions before the log's start.
    pub fn on_log_start(&mut self, log_start: i64) {
        self.unreplicated.retain(|_, last| *last >= log_start);
        self.end_offset = self.end_offset.max(log_start);
    }

    /// Forgets producers without an open transaction that have been silent since `before`.
    pub fn expire(&mut self, before: i64) {
        self.producers
            .retain(|_, entry| entry.txn_first_offset.is_some() || entry.last_timestamp >= before);
    }
}
