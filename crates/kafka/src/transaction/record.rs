//! What is written to `__transaction_state`, in Kafka's own format: Kafka's console consumer, its
//! `kafka-dump-log` and a real broker read it, and records that they wrote are read here.

use std::collections::BTreeSet;

use polyport_base::Millis;
use polyport_kafka_codec::messages::{
    TransactionLogKey, TransactionLogValue, transaction_log_value,
};
use polyport_kafka_codec::record as message;
use polyport_kafka_codec::{DecodeError, EncodeError};
use polyport_log::TopicPartition;

use super::machine::{End, Producer, TransactionalId};

/// Where a transactional id is. Numbers and names are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// There is a producer and no transaction yet.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It will be committed.
    PrepareCommit,
    /// It will be aborted.
    PrepareAbort,
    /// It was committed.
    CompleteCommit,
    /// It was aborted.
    CompleteAbort,
    /// The transactional id is being forgotten. Never stored.
    Dead,
    /// The producer is being fenced. Never stored.
    PrepareEpochFence,
}

impl TransactionState {
    /// All, by their numbers.
    pub const ALL: [TransactionState; 8] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
        TransactionState::PrepareEpochFence,
    ];

    /// What clients call it.
    pub fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
            TransactionState::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state that clients call so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The decision that is being carried out.
    pub fn ending(self) -> Option<End> {
        match self {
            TransactionState::PrepareCommit => Some(End::Commit),
            TransactionState::PrepareAbort => Some(End::Abort),
            _ => None,
        }
    }

    /// Whether nothing is open: the id may be forgotten.
    pub fn is_idle(self) -> bool {
        use TransactionState::{CompleteAbort, CompleteCommit, Empty};
        matches!(self, Empty | CompleteCommit | CompleteAbort)
    }

    fn number(self) -> i8 {
        self as i8
    }

    fn stored(number: i8) -> Option<Self> {
        let state = Self::ALL.get(usize::try_from(number).ok()?).copied()?;
        let never = [TransactionState::Dead, TransactionState::PrepareEpochFence];
        (!never.contains(&state)).then_some(state)
    }
}

/// All that is stored of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionValue {
    /// Who may write.
    pub producer: Producer,
    /// How long a transaction may be open, in milliseconds.
    pub timeout_ms: i32,
    /// Where it is.
    pub state: TransactionState,
    /// What has been written to, or may have been. Of a transaction that has ended, nothing.
    pub partitions: BTreeSet<TopicPartition>,
    /// When it was last changed.
    pub last_update: Millis,
    /// When the last transaction began; `None` if the producer has had none.
    pub start: Option<Millis>,
}

/// A record of the topic. Without a value the transactional id is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub id: TransactionalId,
    /// What is so from here on.
    pub value: Option<TransactionValue>,
}

impl Record {
    /// The key.
    ///
    /// # Errors
    /// If the id is longer than a request could have brought it.
    pub fn key(&self) -> Result<Vec<u8>, EncodeError> {
        message::encode(&TransactionLogKey { transactional_id: self.id.as_ref().into() }, 0)
    }

    /// The value, version 0, as Kafka 3.9 writes it; `None` for a tombstone.
    ///
    /// # Errors
    /// If a topic's name is longer than any can be.
    pub fn value(&self) -> Result<Option<Vec<u8>>, EncodeError> {
        let encode = |value: &TransactionValue| message::encode(&value.to_message(), 0);
        self.value.as_ref().map(encode).transpose()
    }

    /// Reads a record; `None` if it is of a kind that is unknown here, which Kafka passes over.
    ///
    /// # Errors
    /// If it is none that a coordinator could have written.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, DecodeError> {
        if message::version(key)? != 0 {
            return Ok(None);
        }
        let key: TransactionLogKey = message::decode(key)?;
        let value = match value {
            Some(value) => Some(TransactionValue::from_message(message::decode(value)?)?),
            None => None,
        };
        Ok(Some(Record { id: key.transactional_id.as_str().into(), value }))
    }
}

impl TransactionValue {
    fn to_message(&self) -> TransactionLogValue {
        let mut topics: Vec<transaction_log_value::PartitionsSchema> = Vec::new();
        for TopicPartition { topic, partition } in &self.partitions {
            match topics.last_mut().filter(|last| last.topic == *topic) {
                Some(last) => last.partition_ids.push(*partition),
                None => topics.push(transaction_log_value::PartitionsSchema {
                    topic: topic.clone(),
                    partition_ids: vec![*partition],
                }),
            }
        }
        TransactionLogValue {
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.state.number(),
            transaction_partitions: (self.state != TransactionState::Empty).then_some(topics),
            transaction_last_update_timestamp_ms: self.last_update.0,
            transaction_start_timestamp_ms: self.start.map_or(-1, |at| at.0),
        }
    }

    fn from_message(message: TransactionLogValue) -> Result<Self, DecodeError> {
        let wrong = |what| DecodeError { at: 0, what };
        let state = TransactionState::stored(message.transaction_status);
        let state = state.ok_or(wrong("transaction status"))?;
        let producer = Producer { id: message.producer_id, epoch: message.producer_epoch };
        if producer.id < 0 || producer.epoch < 0 {
            return Err(wrong("producer of a transaction"));
        }
        let mut partitions = BTreeSet::new();
        for of in message.transaction_partitions.unwrap_or_default() {
            for partition in of.partition_ids {
                partitions.insert(TopicPartition { topic: of.topic.clone(), partition });
            }
        }
        let start = message.transaction_start_timestamp_ms;
        Ok(TransactionValue {
            producer,
            timeout_ms: message.transaction_timeout_ms,
            state,
            partitions,
            last_update: Millis(message.transaction_last_update_timestamp_ms),
            start: (start >= 0).then_some(Millis(start)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    fn value(state: TransactionState) -> TransactionValue {
        let partitions = [partition("ab", 2), partition("ab", 1), partition("c", 0)];
        TransactionValue {
            producer: Producer { id: 0x0102, epoch: 3 },
            timeout_ms: 60_000,
            state,
            partitions: match state {
                TransactionState::Empty => BTreeSet::new(),
                _ => partitions.into_iter().collect(),
            },
            last_update: Millis(0x1122),
            start: (state != TransactionState::Empty).then_some(Millis(0x1100)),
        }
    }

    #[test]
    fn a_record_has_the_bytes_that_kafka_writes() {
        let record = Record { id: "tx".into(), value: Some(value(TransactionState::Ongoing)) };
        assert_eq!(record.key().unwrap(), b"\0\0\0\x02tx");
        let expected: &[&[u8]] = &[
            b"\0\0",
            b"\0\0\0\0\0\0\x01\x02",
            b"\0\x03",
            b"\0\0\xea\x60",
            b"\x01",
            b"\0\0\0\x02",
            b"\0\x02ab\0\0\0\x02\0\0\0\x01\0\0\0\x02",
            b"\0\x01c\0\0\0\x01\0\0\0\0",
            b"\0\0\0\0\0\0\x11\x22",
            b"\0\0\0\0\0\0\x11\0",
        ];
        assert_eq!(record.value().unwrap().unwrap(), expected.concat());
        let empty = Record { id: "tx".into(), value: Some(value(TransactionState::Empty)) };
        let bytes = empty.value().unwrap().unwrap();
        assert_eq!(bytes[17..21], [0xff; 4], "no partitions are null");
        assert_eq!(bytes[29..37], [0xff; 8], "no start is -1");
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    /// From a Kafka 3.9.1: one transaction of a producer whose id is 1.
    #[test]
    fn records_of_a_real_kafka_are_read_and_written_again() {
        let of = |state, partitions: &[TopicPartition], last_update, start| TransactionValue {
            producer: Producer { id: 1, epoch: 0 },
            timeout_ms: 60_000,
            state,
            partitions: partitions.iter().cloned().collect(),
            last_update: Millis(last_update),
            start,
        };
        let start = Some(Millis(0x01a1_ffac_ef1c));
        let x = [partition("x", 2)];
        let records = [
            (
                "0000000000000000000100000000ea6000ffffffff000001a1ffacece3ffffffffffffffff",
                of(TransactionState::Empty, &[], 0x01a1_ffac_ece3, None),
            ),
            (
                "0000000000000000000100000000ea6001000000010001780000000100000002000001a1ffacef1c\
                 000001a1ffacef1c",
                of(TransactionState::Ongoing, &x, 0x01a1_ffac_ef1c, start),
            ),
            (
                "0000000000000000000100000000ea6003000000010001780000000100000002000001a1ffacef23\
                 000001a1ffacef1c",
                of(TransactionState::PrepareAbort, &x, 0x01a1_ffac_ef23, start),
            ),
            (
                "0000000000000000000100000000ea600500000000000001a1ffacef26000001a1ffacef1c",
                of(TransactionState::CompleteAbort, &[], 0x01a1_ffac_ef26, start),
            ),
        ];
        for (hex, value) in records {
            let record = Record { id: "a".into(), value: Some(value) };
            assert_eq!(record.key().unwrap(), bytes("0000000161"));
            assert_eq!(record.value().unwrap().unwrap(), bytes(hex));
            let read = Record::decode(&bytes("0000000161"), Some(&bytes(hex)));
            assert_eq!(read.unwrap().unwrap(), record);
        }
    }

    #[test]
    fn records_are_read_as_they_were_written_and_by_newer_kafkas() {
        for state in TransactionState::ALL {
            let record = Record { id: "ä".into(), value: Some(value(state)) };
            let (key, bytes) = (record.key().unwrap(), record.value().unwrap().unwrap());
            let flexible = message::encode(&value(state).to_message(), 1).unwrap();
            for bytes in [&bytes, &flexible] {
                let read = Record::decode(&key, Some(bytes));
                match state {
                    TransactionState::Dead | TransactionState::PrepareEpochFence => {
                        assert!(read.is_err(), "{state:?} is never stored");
                    }
                    _ => assert_eq!(read.unwrap().unwrap(), record),
                }
            }
            for end in 0..bytes.len() {
                assert!(Record::decode(&key, Some(&bytes[..end])).is_err());
            }
        }
        let key = Record { id: "t".into(), value: None }.key().unwrap();
        let tombstone = Record::decode(&key, None).unwrap().unwrap();
        assert_eq!(tombstone, Record { id: "t".into(), value: None });
        assert_eq!(Record::decode(b"\0\x01\0\x01t", None).unwrap(), None);
        assert!(Record::decode(b"\0", None).is_err());
    }
}
