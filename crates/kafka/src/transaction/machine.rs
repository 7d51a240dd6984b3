//! What the transactions' machine is given and gives back.
//!
//! The machine is deterministic: the time, fresh producer ids and the outcome of each append come in
//! as values, and it iterates over ordered maps only.

use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::TopicPartition;

use super::config::TransactionConfig;
use super::record::Record;
use crate::internal::log::AppendError;

/// A transactional id, shared by what speaks of it.
pub type TransactionalId = Arc<str>;

/// A producer at one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its records count.
    Commit,
    /// They do not.
    Abort,
}

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction ends.
    pub producer: Producer,
    /// How.
    pub end: End,
    /// Epoch of the coordinator that says so.
    pub coordinator_epoch: i32,
}

/// Markers to be written, once all that was appended before is replicated. Written twice they do no
/// harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Whose transaction it is.
    pub transactional_id: TransactionalId,
    /// To be handed back with the outcome: no other end of a transaction has it.
    pub ending: u64,
    /// What they say.
    pub marker: Marker,
    /// Where to; may be none.
    pub partitions: Vec<TopicPartition>,
}

/// Where records go: the partition of `__transaction_state` in production, memory in tests.
pub trait Append {
    /// Appends records in one batch.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append(&mut self, now: Millis, records: &[Record]) -> Result<(), AppendError>;
}

/// What the machine works with while it handles one command.
pub struct Context<'a> {
    /// When.
    pub now: Millis,
    /// The limits in force.
    pub config: &'a TransactionConfig,
    /// Where records go.
    pub log: &'a mut dyn Append,
    /// Markers to be written, in order.
    pub markers: &'a mut Vec<Markers>,
}
