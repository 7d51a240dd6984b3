//! Where logs begin and end, asked of each partition's leader; and where they are to begin.

use std::collections::BTreeMap;

use polyport_kafka_codec::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use polyport_kafka_codec::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use polyport_kafka_codec::messages::{DeleteRecordsRequest, ListOffsetsRequest};

use super::Admin;
use crate::kafka::client::{Call, Client, ClientError, Result, To, TopicPartition, known};

/// The first ListOffsets that knows timestamps and offsets as this client does.
const LIST_OFFSETS_WITH_TIMES: i16 = 1;
const ANY_EPOCH: i32 = -1;
const CONSUMER: i32 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first.
    Earliest,
    /// The end.
    Latest,
    /// That of the greatest timestamp.
    MaxTimestamp,
    /// The first on local disks.
    EarliestLocal,
    /// The last in remote storage.
    LatestTiered,
    /// The first with this timestamp or a later one.
    Timestamp(i64),
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

/// What a leader answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// -1 if there is none.
    pub offset: i64,
    /// -1 if that was not asked for.
    pub timestamp: i64,
}

/// What each partition answered.
pub type Offsets = BTreeMap<TopicPartition, Result<ListedOffset>>;

impl Client<'_> {
    /// The leader of each partition.
    ///
    /// # Errors
    /// If nobody answers; a partition has an error of its own.
    pub fn leaders(
        &mut self,
        partitions: &[TopicPartition],
        name: &'static str,
        timeout: Option<std::time::Duration>,
    ) -> Result<BTreeMap<TopicPartition, Result<i32>>> {
        let mut topics: Vec<_> = partitions.iter().map(|it| it.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        let metadata = self.metadata(Some(&topics), false, name, timeout)?;
        let found = partitions.iter().map(|wanted| {
            let topic = metadata.topics.iter().find(|it| it.name.as_ref() == Some(&wanted.topic));
            let leader = match topic {
                Some(topic) if topic.error_code != 0 => Err(topic.error_code),
                Some(topic) => {
                    let mut all = topic.partitions.iter();
                    match all.find(|it| it.partition_index == wanted.partition) {
                        Some(partition) if partition.leader_id >= 0 => Ok(partition.leader_id),
                        Some(_) => Err(LEADER_NOT_AVAILABLE),
                        None => Err(UNKNOWN_TOPIC_OR_PARTITION),
                    }
                }
                None => Err(UNKNOWN_TOPIC_OR_PARTITION),
            };
            let leader = leader.map_err(|code| ClientError::Broker { code, message: None });
            (wanted.clone(), leader)
        });
        Ok(found.collect())
    }

    /// An offset of each partition; leaders that have moved are looked for again.
    ///
    /// # Errors
    /// If nobody answers; a partition has an error of its own.
    pub fn list_offsets(
        &mut self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        committed: bool,
        timeout: Option<std::time::Duration>,
    ) -> Result<Offsets> {
        let deadline = std::time::Instant::now() + timeout.unwrap_or(self.config.api_timeout);
        let mut done = Offsets::new();
        loop {
            let open: Vec<_> =
                wanted.keys().filter(|it| !done.contains_key(*it)).cloned().collect();
            if open.is_empty() {
                return Ok(done);
            }
            let last_try = std::time::Instant::now() >= deadline;
            let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
            for (partition, leader) in self.leaders(&open, "listOffsets", timeout)? {
                match leader {
                    Ok(leader) => by_leader.entry(leader).or_default().push(partition),
                    Err(error) if last_try || error.code() == Some(UNKNOWN_TOPIC_OR_PARTITION) => {
                        done.insert(partition, Err(error));
                    }
                    Err(_) => {}
                }
            }
            for (leader, partitions) in by_leader {
                self.list_offsets_of(leader, &partitions, wanted, committed, last_try, &mut done)?;
            }
            if done.len() < wanted.len() {
                self.pause(self.config.retry_backoff)?;
            }
        }
    }

    fn list_offsets_of(
        &mut self,
        leader: i32,
        partitions: &[TopicPartition],
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        committed: bool,
        last_try: bool,
        done: &mut Offsets,
    ) -> Result<()> {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for partition in partitions {
            let asked = ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: ANY_EPOCH,
                timestamp: wanted.get(partition).map_or(-1, |spec| spec.timestamp()),
                ..ListOffsetsPartition::default()
            };
            match topics.last_mut().filter(|topic| topic.name == partition.topic) {
                Some(topic) => topic.partitions.push(asked),
                None => topics.push(ListOffsetsTopic {
                    name: partition.topic.clone(),
                    partitions: vec![asked],
                }),
            }
        }
        let call = Call::new(To::Node(leader), "listOffsets");
        let make = |version| ListOffsetsRequest {
            replica_id: CONSUMER,
            isolation_level: i8::from(committed && version > LIST_OFFSETS_WITH_TIMES),
            topics: topics.clone(),
        };
        let response = self.call(&call, make, |_| 0)?;
        for topic in response.topics {
            for partition in topic.partitions {
                let key = TopicPartition::new(topic.name.clone(), partition.partition_index);
                let code = partition.error_code;
                if code != 0 && known(code).retriable && !last_try {
                    continue;
                }
                let listed =
                    ListedOffset { offset: partition.offset, timestamp: partition.timestamp };
                done.insert(key, ClientError::check(code, None).map(|()| listed));
            }
        }
        Ok(())
    }
}

impl Admin<'_> {
    /// An offset of each partition.
    ///
    /// # Errors
    /// If nobody answers; a partition has an error of its own.
    pub fn list_offsets(
        &mut self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<Offsets> {
        self.client.list_offsets(wanted, false, self.timeout)
    }

    /// Lets logs begin at offsets, -1 for their ends; gives where each begins then.
    ///
    /// # Errors
    /// If nobody answers; a partition has an error of its own.
    pub fn delete_records(
        &mut self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Result<i64>>> {
        let timeout_ms = self.broker_timeout_ms();
        let partitions: Vec<_> = before.keys().cloned().collect();
        let leaders = self.client.leaders(&partitions, "deleteRecords", self.timeout)?;
        let mut done = BTreeMap::new();
        let mut by_leader: BTreeMap<i32, BTreeMap<String, Vec<DeleteRecordsPartition>>> =
            BTreeMap::new();
        for (partition, leader) in leaders {
            match leader {
                Ok(leader) => {
                    let topics = by_leader.entry(leader).or_default();
                    topics.entry(partition.topic.clone()).or_default().push(
                        DeleteRecordsPartition {
                            partition_index: partition.partition,
                            offset: before.get(&partition).copied().unwrap_or(-1),
                        },
                    );
                }
                Err(error) => {
                    done.insert(partition, Err(error));
                }
            }
        }
        for (leader, topics) in by_leader {
            let call = Call::new(To::Node(leader), "deleteRecords").within(self.timeout);
            let make = |_| DeleteRecordsRequest {
                topics: topics
                    .iter()
                    .map(|(name, partitions)| DeleteRecordsTopic {
                        name: name.clone(),
                        partitions: partitions.clone(),
                    })
                    .collect(),
                timeout_ms,
            };
            let response = self.client.call(&call, make, |_| 0)?;
            for topic in response.topics {
                for partition in topic.partitions {
                    let key = TopicPartition::new(topic.name.clone(), partition.partition_index);
                    let checked = ClientError::check(partition.error_code, None);
                    done.insert(key, checked.map(|()| partition.low_watermark));
                }
            }
        }
        Ok(done)
    }
}
