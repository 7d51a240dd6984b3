//! A consumer: assigned partitions or membership in a group of the classic protocol, positions,
//! fetching, and commits.
//!
//! One thread: heartbeats and commits happen between fetches, so a consumer that does not poll for its
//! session's time leaves its group, as with a `max.poll.interval.ms` of that length. The range assignor
//! is the only one. Absent: fetch sessions, following preferred replicas.

mod assign;
mod config;
mod fetch;
mod group;
mod offsets;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub use config::{ConsumerConfig, Reset};
pub use fetch::{Fetched, TimestampType};
use group::Group;
pub use group::assigned as assigned_partitions;

use super::{Client, ClientError, Result, TopicPartition, is_internal, known};
use crate::kafka::log::{Level, log};
use crate::kafka::pattern::Pattern;
use crate::zk_cli::Console;

const NETWORK_CLIENT: &str = "org.apache.kafka.clients.NetworkClient";

/// What a consumer wants to read.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// These topics, shared with the group.
    Topics(Vec<String>),
    /// The topics that match, shared with the group.
    Matching(Pattern),
    /// This partition, from this offset: -1 is the end, -2 the beginning.
    Partition(TopicPartition, i64),
}

/// Where a consumer is in a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// The next offset; found when it is first needed.
    offset: Option<i64>,
    /// Who leads it.
    leader: Option<i32>,
}

/// A consumer.
pub struct Consumer<'a> {
    client: Client<'a>,
    config: ConsumerConfig,
    subscription: Subscription,
    group: Option<Group>,
    positions: BTreeMap<TopicPartition, Position>,
    /// The partitions of the subscribed topics, as of the last metadata.
    partitions: BTreeMap<String, i32>,
    last_metadata: Option<Instant>,
    last_commit: Instant,
    metadata_requests: u32,
}

impl<'a> Consumer<'a> {
    /// A consumer; it connects when it is first polled. Its calls end when the user asks for an end.
    pub fn new(config: ConsumerConfig, subscription: Subscription, console: &'a Console) -> Self {
        let mut client = Client::new(config.client.clone(), console);
        client.set_heed_interrupts(true);
        let mut positions = BTreeMap::new();
        let mut group = None;
        match &subscription {
            Subscription::Partition(partition, offset) => {
                let known = (*offset >= 0).then_some(*offset);
                positions.insert(partition.clone(), Position { offset: known, leader: None });
            }
            _ => group = config.group_id.clone().map(Group::new),
        }
        Self {
            client,
            config,
            subscription,
            group,
            positions,
            partitions: BTreeMap::new(),
            last_metadata: None,
            last_commit: Instant::now(),
            metadata_requests: 0,
        }
    }

    /// Reads for at most about `timeout`, until something was read; gives each record to `each`,
    /// which may end the reading: then the next poll begins behind that record. Tells how many
    /// records there were.
    ///
    /// # Errors
    /// `Interrupted`, and what another try does not mend.
    pub fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<usize> {
        let end = Instant::now() + timeout.min(Duration::from_secs(1 << 30));
        loop {
            let read = match self.step(end, each) {
                Ok(read) => read,
                Err(ClientError::Timeout(_) | ClientError::Disconnected) => 0,
                Err(error) => return Err(error),
            };
            if read > 0 || Instant::now() >= end {
                return Ok(read);
            }
        }
    }

    fn step(
        &mut self,
        end: Instant,
        each: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<usize> {
        self.refresh_metadata()?;
        self.be_member()?;
        self.commit_if_due()?;
        self.find_positions()?;
        if self.positions.is_empty() {
            let nap = self.config.client.retry_backoff;
            let left = end.saturating_duration_since(Instant::now());
            self.client.pause(nap.min(left.max(Duration::from_millis(1))))?;
            return Ok(0);
        }
        self.fetch(end, each)
    }

    /// Asks for the topics' partitions and leaders where they are not known or old.
    fn refresh_metadata(&mut self) -> Result<()> {
        let now = Instant::now();
        let age = self.last_metadata.map(|last| now.saturating_duration_since(last));
        let lacking = self.partitions.is_empty()
            || self.positions.values().any(|position| position.leader.is_none());
        let after =
            if lacking { self.config.client.retry_backoff } else { self.config.metadata_max_age };
        if age.is_some_and(|age| age < after) {
            return Ok(());
        }
        let topics = match &self.subscription {
            Subscription::Topics(topics) => Some(topics.clone()),
            Subscription::Matching(_) => None,
            Subscription::Partition(partition, _) => Some(vec![partition.topic.clone()]),
        };
        self.last_metadata = Some(now);
        self.metadata_requests += 1;
        let response = self.client.metadata(topics.as_deref(), true, "metadata", None)?;
        let mut missing = Vec::new();
        let mut partitions = BTreeMap::new();
        for topic in response.topics {
            let name = topic.name.unwrap_or_default();
            if let Subscription::Matching(pattern) = &self.subscription
                && (is_internal(&name) && self.config.exclude_internal || !pattern.matches(&name))
            {
                continue;
            }
            if topic.error_code != 0 {
                missing.push((name, topic.error_code));
                continue;
            }
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            for partition in topic.partitions {
                let key = TopicPartition::new(name.clone(), partition.partition_index);
                if let Some(position) = self.positions.get_mut(&key) {
                    position.leader = Some(partition.leader_id).filter(|leader| *leader >= 0);
                }
            }
            partitions.insert(name, count);
        }
        self.report_missing(&missing)?;
        if self.partitions != partitions {
            self.partitions = partitions;
            if let Some(group) = &mut self.group {
                group.topics_changed();
            }
        }
        Ok(())
    }

    fn report_missing(&self, missing: &[(String, i16)]) -> Result<()> {
        const INVALID_TOPIC: i16 = 17;
        const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
        if missing.is_empty() {
            return Ok(());
        }
        let all: Vec<_> =
            missing.iter().map(|(name, code)| format!("{name}={}", known(*code).name)).collect();
        let message = format!(
            "{}The metadata response from the cluster reported a recoverable issue with \
                 correlation id {} : {{{}}}",
            self.config.client.log_prefix,
            self.metadata_requests,
            all.join(", ")
        );
        log(self.client.console, Level::Warn, &message, NETWORK_CLIENT);
        if let Some((name, code)) = missing.iter().find(|(_, code)| *code == INVALID_TOPIC) {
            return ClientError::check(*code, Some(format!("Invalid topics: [{name}]")));
        }
        match missing.iter().find(|(_, code)| *code == TOPIC_AUTHORIZATION_FAILED) {
            Some((name, code)) => {
                let message = format!("Not authorized to access topics: [{name}]");
                ClientError::check(*code, Some(message))
            }
            None => Ok(()),
        }
    }

    /// Whether it has partitions to read.
    pub fn is_assigned(&self) -> bool {
        !self.positions.is_empty()
    }

    /// Commits where the consumer is, if it does so by itself, and leaves the group.
    ///
    /// # Errors
    /// If the coordinator cannot be told; the group finds out by itself then.
    pub fn close(&mut self) -> Result<()> {
        self.client.set_heed_interrupts(false);
        self.client.config.api_timeout = Duration::from_secs(5);
        let committed = match self.config.auto_commit {
            Some(_) => self.commit(),
            None => Ok(()),
        };
        let left = self.leave();
        committed.and(left)
    }
}
