//! Where a consumer is: committed offsets, resets, commits.

use std::collections::BTreeMap;
use std::time::Instant;

use polyport_kafka_codec::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use polyport_kafka_codec::messages::offset_fetch_request::OffsetFetchRequestTopic;
use polyport_kafka_codec::messages::{OffsetCommitRequest, OffsetFetchRequest};

use super::{Consumer, Reset, Subscription};
use crate::kafka::client::admin::OffsetSpec;
use crate::kafka::client::{Call, ClientError, Coordinator, Result, To, TopicPartition};

/// The last OffsetFetch about one group at a time.
const OFFSET_FETCH: i16 = 7;
/// The first one that waits for transactions.
const REQUIRE_STABLE: i16 = 7;
const OFFSET_COMMIT: i16 = 8;
const STATIC_COMMIT: i16 = 7;
const UNSTABLE_OFFSET_COMMIT: i16 = 88;
/// Rebalancing, an older generation or a member that is gone: the group settles those.
const SETTLED_BY_JOINING: [i16; 3] = [22, 25, 27];

impl Consumer<'_> {
    /// Finds an offset for every partition that has none yet.
    pub(super) fn find_positions(&mut self) -> Result<()> {
        let lacking: Vec<_> = self
            .positions
            .iter()
            .filter(|(_, position)| position.offset.is_none())
            .map(|(partition, _)| partition.clone())
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let committed = match &self.group {
            Some(group) => self.committed(&group.id.clone(), &lacking)?,
            None => BTreeMap::new(),
        };
        let mut resets = Vec::new();
        for partition in lacking {
            match committed.get(&partition) {
                Some(offset) => self.set_offset(&partition, *offset),
                None => resets.push(partition),
            }
        }
        self.reset(&resets)
    }

    fn set_offset(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(position) = self.positions.get_mut(partition) {
            position.offset = Some(offset);
        }
    }

    /// Goes where the settings say, in partitions that have no offset or one that is gone.
    pub(super) fn reset(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let spec = match (&self.subscription, self.config.reset) {
            (Subscription::Partition(_, -2), _) | (_, Reset::Earliest) => OffsetSpec::Earliest,
            (Subscription::Partition(_, -1), _) | (_, Reset::Latest) => OffsetSpec::Latest,
            (_, Reset::None) => {
                let names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
                return Err(ClientError::Protocol(format!(
                    "Undefined offset with no reset policy for partitions: [{}]",
                    names.join(", ")
                )));
            }
        };
        let wanted: BTreeMap<_, _> = partitions.iter().map(|it| (it.clone(), spec)).collect();
        let timeout = Some(self.config.client.request_timeout);
        let listed = self.client.list_offsets(&wanted, self.config.read_committed, timeout)?;
        for (partition, offset) in listed {
            match offset {
                Ok(listed) => self.set_offset(&partition, listed.offset),
                Err(error) if error.is_retriable() => {
                    self.client.pause(self.config.client.retry_backoff)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn committed(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            topics.entry(partition.topic.clone()).or_default().push(partition.partition);
        }
        let call = Call::new(To::Coordinator(Coordinator::Group, group.to_owned()), "offsetFetch")
            .up_to(OFFSET_FETCH);
        let make = |version| OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: Some(
                topics
                    .iter()
                    .map(|(name, partition_indexes)| OffsetFetchRequestTopic {
                        name: name.clone(),
                        partition_indexes: partition_indexes.clone(),
                    })
                    .collect(),
            ),
            require_stable: version >= REQUIRE_STABLE,
            ..OffsetFetchRequest::default()
        };
        loop {
            let response = self.client.call(&call, make, |response| response.error_code)?;
            ClientError::check(response.error_code, None)?;
            let mut unstable = false;
            let mut committed = BTreeMap::new();
            for topic in response.topics {
                for partition in topic.partitions {
                    if partition.error_code == UNSTABLE_OFFSET_COMMIT {
                        unstable = true;
                        continue;
                    }
                    ClientError::check(partition.error_code, None)?;
                    if partition.committed_offset >= 0 {
                        let key =
                            TopicPartition::new(topic.name.clone(), partition.partition_index);
                        committed.insert(key, partition.committed_offset);
                    }
                }
            }
            if !unstable {
                return Ok(committed);
            }
            self.client.pause(self.config.client.retry_backoff)?;
        }
    }

    pub(super) fn commit_if_due(&mut self) -> Result<()> {
        match self.config.auto_commit {
            Some(interval) if self.last_commit.elapsed() >= interval => self.commit(),
            _ => Ok(()),
        }
    }

    /// Commits where the consumer is in every partition.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.last_commit = Instant::now();
        let Some(group) = &self.group else { return Ok(()) };
        let Some(generation) = group.generation else { return Ok(()) };
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, position) in &self.positions {
            let Some(offset) = position.offset else { continue };
            let committed = OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: offset,
                committed_metadata: Some(String::new()),
                ..OffsetCommitRequestPartition::default()
            };
            match topics.last_mut().filter(|topic| topic.name == partition.topic) {
                Some(topic) => topic.partitions.push(committed),
                None => topics.push(OffsetCommitRequestTopic {
                    name: partition.topic.clone(),
                    partitions: vec![committed],
                }),
            }
        }
        if topics.is_empty() {
            return Ok(());
        }
        let to = To::Coordinator(Coordinator::Group, group.id.clone());
        let call = Call::new(to, "offsetCommit").up_to(OFFSET_COMMIT);
        let instance = self.config.group_instance_id.clone();
        let (group_id, member_id) = (group.id.clone(), group.member.clone());
        let make = |version| OffsetCommitRequest {
            group_id: group_id.clone(),
            generation_id_or_member_epoch: generation,
            member_id: member_id.clone(),
            group_instance_id: instance.clone().filter(|_| version >= STATIC_COMMIT),
            topics: topics.clone(),
            ..OffsetCommitRequest::default()
        };
        let first = |response: &polyport_kafka_codec::messages::OffsetCommitResponse| {
            let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.find(|it| it.error_code != 0).map_or(0, |it| it.error_code)
        };
        let response = self.client.call(&call, make, first)?;
        match first(&response) {
            code if SETTLED_BY_JOINING.contains(&code) => Ok(()),
            code => ClientError::check(code, None),
        }
    }
}
