//! What a broker counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use polyport_kafka_codec::ApiKey;

/// What is counted of a topic.
#[derive(Debug, Default)]
pub struct TopicStats {
    /// Bytes of records that producers sent.
    pub bytes_in: AtomicU64,
    /// Bytes of records that consumers were sent.
    pub bytes_out: AtomicU64,
    /// Produce requests, one for each partition in a request.
    pub produce_requests: AtomicU64,
    /// Fetch requests, one for each partition in an answer.
    pub fetch_requests: AtomicU64,
}

/// Requests by API.
#[derive(Debug)]
pub struct Requests(HashMap<ApiKey, AtomicU64>);

impl Requests {
    pub(crate) fn count(&self, api: ApiKey) {
        if let Some(count) = self.0.get(&api) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often an API was asked.
    pub fn of(&self, api: ApiKey) -> u64 {
        self.0.get(&api).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// What a broker counts since its start.
#[derive(Debug)]
pub struct Stats {
    /// By API.
    pub requests: Requests,
    /// Partitions of produce requests that failed.
    pub failed_produce: AtomicU64,
    /// Partitions of fetch requests that failed.
    pub failed_fetch: AtomicU64,
    connections: tokio::sync::watch::Sender<usize>,
    topics: RwLock<HashMap<String, Arc<TopicStats>>>,
}

/// A connection, until this is dropped.
pub(crate) struct Open(tokio::sync::watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Default for Stats {
    fn default() -> Self {
        let requests = ApiKey::ALL.iter().map(|api| (*api, AtomicU64::new(0))).collect();
        Self {
            requests: Requests(requests),
            failed_produce: AtomicU64::new(0),
            failed_fetch: AtomicU64::new(0),
            connections: tokio::sync::watch::Sender::default(),
            topics: RwLock::default(),
        }
    }
}

impl Stats {
    pub(crate) fn connected(&self) -> Open {
        self.connections.send_modify(|open| *open += 1);
        Open(self.connections.clone())
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Returns when no connection is open.
    pub(crate) async fn all_closed(&self) {
        // The sender is this one.
        let _ = self.connections.subscribe().wait_for(|open| *open == 0).await;
    }

    fn topic(&self, topic: &str) -> Arc<TopicStats> {
        if let Some(found) = self.topics.read().get(topic) {
            return found.clone();
        }
        self.topics.write().entry(topic.to_owned()).or_default().clone()
    }

    /// Counts records that arrived for a partition that is here.
    pub(crate) fn topic_in(&self, topic: &str, bytes: usize) {
        let stats = self.topic(topic);
        stats.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        stats.produce_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts records that were read from a partition that is here.
    pub(crate) fn topic_out(&self, topic: &str, bytes: u64) {
        let stats = self.topic(topic);
        stats.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        stats.fetch_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn produce_failed(&self) {
        self.failed_produce.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fetch_failed(&self) {
        self.failed_fetch.fetch_add(1, Ordering::Relaxed);
    }

    /// Topics are gone, and so is what was counted of them.
    pub(crate) fn forget(&self, topics: &[Arc<str>]) {
        let mut all = self.topics.write();
        for topic in topics {
            all.remove(&**topic);
        }
    }

    /// What was counted of each topic.
    pub fn topics(&self) -> Vec<(String, Arc<TopicStats>)> {
        let all = self.topics.read();
        all.iter().map(|(topic, stats)| (topic.clone(), stats.clone())).collect()
    }
}
