//! What the groups' machine is given and gives back.
//!
//! The machine is deterministic: the time, fresh member ids and the outcome of each append come in
//! as values, and it iterates over ordered maps only.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Millis;
use polyport_log::producer::Verification;

use super::classic::{JoinOutcome, SyncOutcome};
use super::config::GroupConfig;
use super::consumer::TopicView;
use super::error::AppendError;
use super::record::Record;

/// Now, by two clocks: timestamps that are stored must mean the same on other nodes, and deadlines
/// must not move when somebody sets the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: Millis,
    /// Since some fixed moment; never goes backwards.
    pub uptime: Duration,
}

/// The name of a request whose answer is held. Given by whoever passes the request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// The answer to a held request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To JoinGroup.
    Join(JoinOutcome),
    /// To SyncGroup.
    Sync(SyncOutcome),
}

/// An idempotent producer on whose behalf records are written in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionalProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// Offsets are committed in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTransaction {
    /// Whose transaction it is.
    pub producer: TransactionalProducer,
    /// What the transaction's coordinator said of it.
    pub verification: Verification,
}

impl From<TransactionalProducer> for InTransaction {
    /// Without the coordinator being asked.
    fn from(producer: TransactionalProducer) -> Self {
        Self { producer, verification: Verification::NotNeeded }
    }
}

/// The end of a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// Whose.
    pub producer: TransactionalProducer,
    /// Whether it was committed.
    pub commit: bool,
    /// Epoch of the transaction coordinator that says so.
    pub coordinator_epoch: i32,
}

/// Where records go: the partition of `__consumer_offsets` in production, memory in tests.
pub trait Append {
    /// Appends records in one batch. Returns the offset of the first.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append(
        &mut self,
        now: Moment,
        records: &[Record],
        transaction: Option<InTransaction>,
    ) -> Result<i64, AppendError>;

    /// Appends the marker that ends a transaction.
    ///
    /// # Errors
    /// If nothing was appended.
    fn append_marker(&mut self, now: Moment, end: EndTransaction) -> Result<i64, AppendError>;
}

/// What the machine works with while it handles one command.
pub struct Context<'a> {
    /// When.
    pub now: Moment,
    /// The limits in force.
    pub config: &'a GroupConfig,
    /// The topics of the cluster.
    pub topics: &'a dyn TopicView,
    /// Where records go.
    pub log: &'a mut dyn Append,
    /// Held answers that are ready, in order.
    pub answers: &'a mut Vec<(Waiter, Answer)>,
}

impl Context<'_> {
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<i64, AppendError> {
        self.log.append(self.now, records, None)
    }

    pub(crate) fn answer_join(&mut self, waiter: Waiter, outcome: JoinOutcome) {
        self.answers.push((waiter, Answer::Join(outcome)));
    }

    pub(crate) fn answer_sync(&mut self, waiter: Waiter, outcome: SyncOutcome) {
        self.answers.push((waiter, Answer::Sync(outcome)));
    }
}

/// A group's id, shared by what speaks of it.
pub type GroupId = Arc<str>;
