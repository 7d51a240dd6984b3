//! The machine: all transactional ids of one partition of `__transaction_state`.
//!
//! # Order
//! A command is decided on what the machine has, its record is appended, and only then, if the append
//! succeeded, does the machine change, by the same code that applies records when the log is read
//! again. Between append and replication the machine is ahead of what other nodes have; whoever runs
//! it holds every answer, and every marker, back until all that was appended before is replicated.

mod describe;
mod end;
mod expire;
mod init;
mod partitions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use polyport_base::Millis;
use polyport_log::TopicPartition;

pub use self::describe::{ListFilter, TransactionDescription, TransactionOverview};
pub use self::init::{InitProducerId, Initialised};
pub use self::partitions::Verified;

use super::config::TransactionConfig;
use super::error::TransactionError;
use super::machine::{Context, Marker, Markers, Producer, TransactionalId};
use super::record::{Record, TransactionState, TransactionValue};

/// How long until a record that was refused is tried again, if nobody else asks for it.
const RETRY_MS: i64 = 1000;

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transaction {
    /// As it is in the log.
    value: TransactionValue,
    /// By what a producer is known that asks for its epoch again, because it missed the answer. Not
    /// stored: after a change of the coordinator it is fenced instead.
    before: Option<Producer>,
    /// The markers that are being written, if the transaction is being ended.
    ending: Option<Ending>,
    /// Under which deadline the transaction is in `Shard::timers`.
    timer: Option<Millis>,
}

/// A decision that is being carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    number: u64,
    /// Partitions that lack their marker.
    unmarked: BTreeSet<TopicPartition>,
}

/// All transactional ids of one partition of `__transaction_state`.
#[derive(Clone, Debug)]
pub struct Shard {
    transactions: BTreeMap<TransactionalId, Transaction>,
    /// When to look at which transaction.
    timers: BTreeSet<(Millis, TransactionalId)>,
    /// When to look for ids that have outlived their use.
    expiry_check: Millis,
    /// The partition's leader epoch.
    coordinator_epoch: i32,
    /// How many decisions have been carried out.
    endings: u64,
}

impl Shard {
    /// Without any transactional id, for the leader of this epoch.
    pub fn new(coordinator_epoch: i32, now: Millis, config: &TransactionConfig) -> Self {
        Shard {
            transactions: BTreeMap::new(),
            timers: BTreeSet::new(),
            expiry_check: after(now, config.expiration_interval),
            coordinator_epoch,
            endings: 0,
        }
    }

    /// When `tick` has something to do, at the latest.
    pub fn next_deadline(&self) -> Millis {
        match self.timers.first() {
            Some((at, _)) => self.expiry_check.min(*at),
            None => self.expiry_check,
        }
    }

    /// How many transactional ids there are.
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Applies a record that is read from the log.
    pub fn load(&mut self, record: Record) {
        match record.value {
            Some(value) => {
                let transaction = Transaction { value, before: None, ending: None, timer: None };
                self.transactions.insert(record.id, transaction);
            }
            None => {
                self.transactions.remove(&record.id);
            }
        }
    }

    /// All records have been applied: transactions that were decided are carried out, and open ones
    /// are watched.
    pub fn on_loaded(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<TransactionalId> = self.transactions.keys().cloned().collect();
        for id in ids {
            self.changed(&id, cx);
        }
    }

    fn get(&self, id: &str) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    /// What is stored of an id whose producer must be this one.
    fn of_producer(&self, id: &str, producer: Producer) -> Result<&Transaction, TransactionError> {
        let found = self.get(id).ok_or(TransactionError::InvalidProducerIdMapping)?;
        let current = found.value.producer;
        if current.id != producer.id {
            Err(TransactionError::InvalidProducerIdMapping)
        } else if current.epoch != producer.epoch {
            Err(TransactionError::ProducerFenced)
        } else {
            Ok(found)
        }
    }

    /// Appends what is so from here on, and then makes it so.
    fn write(
        &mut self,
        id: &TransactionalId,
        value: TransactionValue,
        before: Option<Producer>,
        cx: &mut Context<'_>,
    ) -> Result<(), TransactionError> {
        let record = Record { id: id.clone(), value: Some(value) };
        cx.log.append(cx.now, std::slice::from_ref(&record))?;
        let Some(value) = record.value else { return Ok(()) };
        match self.transactions.get_mut(id) {
            Some(found) => {
                found.value = value;
                found.before = before;
            }
            None => {
                let transaction = Transaction { value, before, ending: None, timer: None };
                self.transactions.insert(id.clone(), transaction);
            }
        }
        self.changed(id, cx);
        Ok(())
    }

    /// After a change of what is stored: what is to be done about it, and when.
    fn changed(&mut self, id: &TransactionalId, cx: &mut Context<'_>) {
        let Some(found) = self.transactions.get_mut(id) else { return };
        found.ending = None;
        let mut deadline = None;
        match (found.value.state.ending(), found.value.state) {
            (Some(end), _) => {
                self.endings += 1;
                let unmarked = found.value.partitions.clone();
                let partitions = unmarked.iter().cloned().collect();
                found.ending = Some(Ending { number: self.endings, unmarked });
                cx.markers.push(Markers {
                    transactional_id: id.clone(),
                    ending: self.endings,
                    marker: Marker {
                        producer: found.value.producer,
                        end,
                        coordinator_epoch: self.coordinator_epoch,
                    },
                    partitions,
                });
            }
            (None, TransactionState::Ongoing) => {
                let start = found.value.start.unwrap_or(found.value.last_update);
                // The first millisecond in which it is late.
                let late = start.0.saturating_add(found.value.timeout_ms.into()).saturating_add(1);
                deadline = Some(Millis(late));
            }
            _ => {}
        }
        self.set_timer(id, deadline);
    }

    fn set_timer(&mut self, id: &TransactionalId, deadline: Option<Millis>) {
        let Some(found) = self.transactions.get_mut(id) else { return };
        if found.timer == deadline {
            return;
        }
        if let Some(old) = found.timer {
            self.timers.remove(&(old, id.clone()));
        }
        found.timer = deadline;
        if let Some(at) = deadline {
            self.timers.insert((at, id.clone()));
        }
    }

    fn forget(&mut self, id: &TransactionalId) {
        self.set_timer(id, None);
        self.transactions.remove(id);
    }
}

fn after(now: Millis, pause: std::time::Duration) -> Millis {
    let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Millis(now.0.saturating_add(pause_ms))
}
