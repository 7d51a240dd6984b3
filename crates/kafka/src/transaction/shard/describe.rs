//! `DescribeTransactions` and `ListTransactions`.

use std::collections::BTreeSet;

use polyport_base::Millis;
use polyport_log::TopicPartition;

use super::super::error::TransactionError;
use super::super::machine::{Producer, TransactionalId};
use super::super::record::TransactionState;
use super::{Shard, Transaction};

/// All there is to know of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Who may write.
    pub producer: Producer,
    /// Where it is.
    pub state: TransactionState,
    /// How long its transactions may be open, in milliseconds.
    pub timeout_ms: i32,
    /// When the last one began; `None` if there was none.
    pub start: Option<Millis>,
    /// What is in the transaction and, if it is being ended, lacks its marker.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOverview {
    /// Which.
    pub id: TransactionalId,
    /// Its producer's id.
    pub producer_id: i64,
    /// Where it is.
    pub state: TransactionState,
}

/// Which transactional ids are listed. All by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only these producers', unless there are none.
    pub producer_ids: BTreeSet<i64>,
    /// Only those in these states.
    pub states: Option<BTreeSet<TransactionState>>,
    /// Only those whose transaction began longer ago, in milliseconds.
    pub older_than_ms: Option<i64>,
}

impl ListFilter {
    /// Takes the names of states; returns those that are none. An empty list lets every state pass.
    pub fn set_states<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for name in names {
            let states = self.states.get_or_insert_default();
            match TransactionState::from_name(name) {
                Some(state) => {
                    states.insert(state);
                }
                None => unknown.push(name),
            }
        }
        unknown
    }

    fn passes(&self, found: &Transaction, now: Millis) -> bool {
        let value = &found.value;
        // One that never had a transaction is as old as can be, as in Kafka.
        let age_ms = now.0.saturating_sub(value.start.map_or(-1, |at| at.0));
        (self.producer_ids.is_empty() || self.producer_ids.contains(&value.producer.id))
            && self.states.as_ref().is_none_or(|states| states.contains(&value.state))
            && self.older_than_ms.is_none_or(|older_ms| age_ms > older_ms)
    }
}

impl Shard {
    /// Describes a transactional id.
    ///
    /// # Errors
    /// `InvalidRequest`, `TransactionalIdNotFound`.
    pub fn describe(&self, id: &str) -> Result<TransactionDescription, TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let found = self.get(id).ok_or(TransactionError::TransactionalIdNotFound)?;
        let value = &found.value;
        let partitions = match &found.ending {
            Some(ending) => &ending.unmarked,
            None => &value.partitions,
        };
        Ok(TransactionDescription {
            producer: value.producer,
            state: value.state,
            timeout_ms: value.timeout_ms,
            start: value.start,
            partitions: partitions.clone(),
        })
    }

    /// Lists transactional ids, in order.
    pub fn list<'a>(
        &'a self,
        filter: &'a ListFilter,
        now: Millis,
    ) -> impl Iterator<Item = TransactionOverview> + 'a {
        let passing = self.transactions.iter().filter(move |(_, found)| filter.passes(found, now));
        passing.map(|(id, found)| TransactionOverview {
            id: id.clone(),
            producer_id: found.value.producer.id,
            state: found.value.state,
        })
    }
}
