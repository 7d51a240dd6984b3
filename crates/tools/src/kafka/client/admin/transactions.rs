//! Transactions: who has one, what it writes to, and ending one by hand.

use std::collections::BTreeMap;

use polyport_kafka_codec::messages::describe_producers_request::TopicRequest;
use polyport_kafka_codec::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use polyport_kafka_codec::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, ListTransactionsRequest,
    WriteTxnMarkersRequest,
};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Coordinator, Result, To, TopicPartition};

/// The first version of ListTransactions that knows durations.
const DURATIONS: i16 = 1;

const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;

/// A transactional id, as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The id.
    pub id: String,
    /// Its producer.
    pub producer_id: i64,
    /// What it is doing: `Ongoing`.
    pub state: String,
}

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Who coordinates it.
    pub coordinator: i32,
    /// Its producer.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// What it is doing.
    pub state: String,
    /// How long a transaction may last, in milliseconds.
    pub timeout_ms: i32,
    /// When the present one began, in milliseconds since 1970.
    pub start_ms: Option<i64>,
    /// What it writes to, or what lacks its marker.
    pub partitions: Vec<TopicPartition>,
}

/// A producer, as a partition knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of the last coordinator that has ended a transaction of it; -1 for none.
    pub coordinator_epoch: i32,
    /// Its last record's number.
    pub last_sequence: i32,
    /// When it wrote last, in milliseconds since 1970.
    pub last_timestamp_ms: i64,
    /// Where its open transaction begins.
    pub transaction_start: Option<i64>,
}

/// A transaction to be aborted in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortTransaction {
    /// Where.
    pub partition: TopicPartition,
    /// Whose.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The coordinator that is said to end it.
    pub coordinator_epoch: i32,
}

impl Admin<'_> {
    /// The transactional ids by the broker that coordinates them; of these producers, if any are
    /// named, and open for longer than a time, if it is not negative.
    ///
    /// # Errors
    /// The first one of a broker.
    pub fn list_transactions(
        &mut self,
        producer_ids: &[i64],
        longer_than_ms: i64,
    ) -> Result<BTreeMap<i32, Vec<TransactionListing>>> {
        let mut all = BTreeMap::new();
        for broker in self.brokers()? {
            let call = Call::new(To::Node(broker.id), "listTransactions").within(self.timeout);
            let make = |version| ListTransactionsRequest {
                producer_id_filters: producer_ids.to_vec(),
                duration_filter: if version >= DURATIONS { longer_than_ms } else { -1 },
                ..ListTransactionsRequest::default()
            };
            let response = self.client.call(&call, make, |response| response.error_code)?;
            ClientError::check(response.error_code, None)?;
            let listed = response.transaction_states.into_iter().map(|of| TransactionListing {
                id: of.transactional_id,
                producer_id: of.producer_id,
                state: of.transaction_state,
            });
            all.insert(broker.id, listed.collect());
        }
        Ok(all)
    }

    /// A transactional id.
    ///
    /// # Errors
    /// If it does not exist, or nobody answers.
    pub fn describe_transaction(&mut self, id: &str) -> Result<TransactionDescription> {
        let to = To::Coordinator(Coordinator::Transaction, id.to_owned());
        let call = Call::new(to, "describeTransactions").within(self.timeout);
        let make = |_| DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
        let response = self.client.call(&call, make, |response| {
            response.transaction_states.first().map_or(0, |state| state.error_code)
        })?;
        let found = response.transaction_states.into_iter().next();
        let found = found.ok_or(ClientError::Disconnected)?;
        let unknown = (found.error_code == TRANSACTIONAL_ID_NOT_FOUND).then(|| {
            format!(
                "DescribeTransactions request for transactionalId `{id}` failed because the ID could \
                 not be found"
            )
        });
        ClientError::check(found.error_code, unknown)?;
        let deadline = std::time::Instant::now() + self.client.config.api_timeout;
        let coordinator = self.client.coordinator_id(Coordinator::Transaction, id, deadline)?;
        let partitions = found.topics.into_iter().flat_map(|topic| {
            let name = topic.topic;
            topic.partitions.into_iter().map(move |number| TopicPartition::new(&name, number))
        });
        Ok(TransactionDescription {
            coordinator,
            producer_id: found.producer_id,
            producer_epoch: found.producer_epoch,
            state: found.transaction_state,
            timeout_ms: found.transaction_timeout_ms,
            start_ms: Some(found.transaction_start_time_ms).filter(|start| *start >= 0),
            partitions: partitions.collect(),
        })
    }

    /// The producers of partitions, as their leaders know them, or one broker.
    ///
    /// # Errors
    /// The first one of a partition.
    pub fn describe_producers(
        &mut self,
        partitions: &[TopicPartition],
        broker: Option<i32>,
    ) -> Result<BTreeMap<TopicPartition, Vec<ProducerState>>> {
        let mut by_broker: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        let leaders = match broker {
            Some(_) => BTreeMap::new(),
            None => self.client.leaders(partitions, "describeProducers", self.timeout)?,
        };
        for partition in partitions {
            let of = match (broker, leaders.get(partition)) {
                (Some(broker), _) => broker,
                (None, Some(Ok(leader))) => *leader,
                (None, Some(Err(error))) => return Err(error.clone()),
                (None, None) => return Err(ClientError::Disconnected),
            };
            let topics = by_broker.entry(of).or_default();
            topics.entry(&partition.topic).or_default().push(partition.partition);
        }
        let mut all = BTreeMap::new();
        for (broker, topics) in by_broker {
            let call = Call::new(To::Node(broker), "describeProducers").within(self.timeout);
            let make = |_| DescribeProducersRequest {
                topics: topics
                    .iter()
                    .map(|(name, numbers)| TopicRequest {
                        name: (*name).to_owned(),
                        partition_indexes: numbers.clone(),
                    })
                    .collect(),
            };
            let response = self.client.call(&call, make, |_| 0)?;
            for topic in response.topics {
                for of in topic.partitions {
                    ClientError::check(of.error_code, of.error_message)?;
                    let producers = of.active_producers.into_iter().map(|state| ProducerState {
                        id: state.producer_id,
                        epoch: state.producer_epoch,
                        coordinator_epoch: state.coordinator_epoch,
                        last_sequence: state.last_sequence,
                        last_timestamp_ms: state.last_timestamp,
                        transaction_start: Some(state.current_txn_start_offset)
                            .filter(|start| *start >= 0),
                    });
                    let place = TopicPartition::new(&topic.name, of.partition_index);
                    all.insert(place, producers.collect());
                }
            }
        }
        Ok(all)
    }

    /// Aborts a transaction in one partition.
    ///
    /// # Errors
    /// As the partition's leader says.
    pub fn abort_transaction(&mut self, abort: &AbortTransaction) -> Result<()> {
        let place = std::slice::from_ref(&abort.partition);
        let leaders = self.client.leaders(place, "abortTransaction", self.timeout)?;
        let leader = leaders.into_values().next().ok_or(ClientError::Disconnected)??;
        let call = Call::new(To::Node(leader), "abortTransaction").within(self.timeout);
        let make = |_| WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: abort.producer_id,
                producer_epoch: abort.producer_epoch,
                transaction_result: false,
                coordinator_epoch: abort.coordinator_epoch,
                topics: vec![WritableTxnMarkerTopic {
                    name: abort.partition.topic.clone(),
                    partition_indexes: vec![abort.partition.partition],
                }],
            }],
        };
        let response = self.client.call(&call, make, |_| 0)?;
        let topics = response.markers.into_iter().flat_map(|marker| marker.topics);
        let found = topics.flat_map(|topic| topic.partitions).next();
        ClientError::check(found.ok_or(ClientError::Disconnected)?.error_code, None)
    }
}
