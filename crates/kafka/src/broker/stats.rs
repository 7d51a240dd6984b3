//! What a broker counts: a few relaxed additions a batch, an answer or a request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use polyport_kafka_codec::{ApiKey, ErrorCode};
use polyport_log::Appended;
use polyport_telemetry::Summary;

/// What is counted of a topic. Records that the broker itself writes are not.
#[derive(Debug, Default)]
pub struct TopicStats {
    /// Records that producers sent and that were appended.
    pub messages_in: AtomicU64,
    /// Their bytes, as they came.
    pub bytes_in: AtomicU64,
    /// Bytes of records that consumers were sent.
    pub bytes_out: AtomicU64,
    /// Bytes of records that were refused.
    pub bytes_rejected: AtomicU64,
    /// Produce requests, one for each partition in a request.
    pub produce_requests: AtomicU64,
    /// Fetch requests, one for each partition in an answer.
    pub fetch_requests: AtomicU64,
    /// Of the produce requests, those that failed.
    pub failed_produce: AtomicU64,
    /// Of the fetch requests, those that failed.
    pub failed_fetch: AtomicU64,
}

impl TopicStats {
    /// All that is counted, in an order of its own.
    fn all(&self) -> [&AtomicU64; 8] {
        [
            &self.messages_in,
            &self.bytes_in,
            &self.bytes_out,
            &self.bytes_rejected,
            &self.produce_requests,
            &self.fetch_requests,
            &self.failed_produce,
            &self.failed_fetch,
        ]
    }

    fn add(&self, other: &Self) {
        for (to, from) in self.all().into_iter().zip(other.all()) {
            to.fetch_add(from.load(Relaxed), Relaxed);
        }
    }
}

/// What is counted of an API.
#[derive(Debug, Default)]
pub struct RequestStats {
    count: AtomicU64,
    /// How long answers took. Made with the first: most APIs are never asked.
    total: OnceLock<Summary>,
    local: OnceLock<Summary>,
}

/// Requests by API, at the place of its number.
#[derive(Debug)]
pub struct Requests(Box<[RequestStats]>);

impl Default for Requests {
    fn default() -> Self {
        let most = ApiKey::ALL.iter().map(|api| api.code()).max().unwrap_or(0);
        Self((0..=most).map(|_| RequestStats::default()).collect())
    }
}

impl Requests {
    fn stats(&self, api: ApiKey) -> Option<&RequestStats> {
        self.0.get(usize::try_from(api.code()).ok()?)
    }

    pub(crate) fn count(&self, api: ApiKey) {
        if let Some(stats) = self.stats(api) {
            stats.count.fetch_add(1, Relaxed);
        }
    }

    /// An answer is ready, so long after its request had arrived.
    pub(crate) fn answered(&self, api: ApiKey, took: Duration) {
        if let Some(stats) = self.stats(api) {
            stats.total.get_or_init(Summary::default).record_time(took);
        }
    }

    /// A request kept a thread for so long, without what it waited for others.
    pub(crate) fn worked(&self, api: ApiKey, took: Duration) {
        if let Some(stats) = self.stats(api) {
            stats.local.get_or_init(Summary::default).record_time(took);
        }
    }

    /// How often an API was asked.
    pub fn of(&self, api: ApiKey) -> u64 {
        self.stats(api).map_or(0, |stats| stats.count.load(Relaxed))
    }

    /// How long its answers took; none before the first.
    pub fn total(&self, api: ApiKey) -> Option<&Summary> {
        self.stats(api)?.total.get()
    }

    /// The same without what was waited for others; Produce and Fetch only.
    pub fn local(&self, api: ApiKey) -> Option<&Summary> {
        self.stats(api)?.local.get()
    }
}

/// How many there are now.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicU64>);

impl Level {
    /// One more, until what is returned is dropped.
    pub(crate) fn enter(&self) -> Entered {
        self.0.fetch_add(1, Relaxed);
        Entered(self.clone())
    }

    /// How many.
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of many.
pub(crate) struct Entered(Level);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// What a broker counts since its start.
#[derive(Debug)]
pub struct Stats {
    /// When that was.
    pub started: Instant,
    /// By API.
    pub requests: Requests,
    /// Produce requests that wait for their acknowledgements.
    pub waiting_produce: Level,
    /// Fetch requests that wait for records.
    pub waiting_fetch: Level,
    /// Connections that were opened.
    pub connections_opened: AtomicU64,
    /// How often partitions led here have lost in-sync replicas.
    pub isr_shrinks: AtomicU64,
    /// How often they have gained some.
    pub isr_expands: AtomicU64,
    /// Changes of in-sync replicas that the metadata did not take.
    pub isr_failures: AtomicU64,
    connections: tokio::sync::watch::Sender<usize>,
    topics: RwLock<HashMap<String, TopicStats>>,
    /// Of topics that are gone, or that there never were.
    rest: TopicStats,
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
        Self {
            started: Instant::now(),
            requests: Requests::default(),
            waiting_produce: Level::default(),
            waiting_fetch: Level::default(),
            connections_opened: AtomicU64::new(0),
            isr_shrinks: AtomicU64::new(0),
            isr_expands: AtomicU64::new(0),
            isr_failures: AtomicU64::new(0),
            connections: tokio::sync::watch::Sender::default(),
            topics: RwLock::default(),
            rest: TopicStats::default(),
        }
    }
}

/// Whether an error belongs to everyday life: a client whose knowledge is old, a consumer whose
/// offset has been deleted. They are not counted as failures, as in Kafka.
fn is_expected(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::OffsetOutOfRange
    )
}

impl Stats {
    pub(crate) fn connected(&self) -> Open {
        self.connections_opened.fetch_add(1, Relaxed);
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

    /// Counts for a topic that is here.
    fn known(&self, topic: &str, count: impl Fn(&TopicStats)) {
        if let Some(found) = self.topics.read().get(topic) {
            return count(found);
        }
        count(self.topics.write().entry(topic.to_owned()).or_default());
    }

    /// Counts for a topic of which nobody knows whether it is here: names that clients think of must
    /// not take memory.
    fn named(&self, topic: Option<&str>, count: impl Fn(&TopicStats)) {
        let topics = self.topics.read();
        count(topic.and_then(|topic| topics.get(topic)).unwrap_or(&self.rest));
    }

    /// Counts records that were appended.
    pub(crate) fn produced(&self, topic: &str, bytes: usize, appended: &Appended) {
        let messages = appended.last_offset - appended.first_offset + 1;
        let messages = if appended.duplicate { 0 } else { messages.max(0) as u64 };
        self.known(topic, |stats| {
            stats.messages_in.fetch_add(messages, Relaxed);
            stats.bytes_in.fetch_add(bytes as u64, Relaxed);
            stats.produce_requests.fetch_add(1, Relaxed);
        });
    }

    /// Counts records that were refused.
    pub(crate) fn rejected(&self, topic: &str, bytes: usize, code: ErrorCode) {
        self.named(Some(topic), |stats| {
            stats.bytes_rejected.fetch_add(bytes as u64, Relaxed);
            stats.produce_requests.fetch_add(1, Relaxed);
            stats.failed_produce.fetch_add(u64::from(!is_expected(code)), Relaxed);
        });
    }

    /// Counts records that were appended, and then not acknowledged.
    pub(crate) fn unacknowledged(&self, topic: &str, code: ErrorCode) {
        self.named(Some(topic), |stats| {
            stats.failed_produce.fetch_add(u64::from(!is_expected(code)), Relaxed);
        });
    }

    /// Counts records that were read from a partition that is here.
    pub(crate) fn fetched(&self, topic: &str, bytes: u64) {
        self.known(topic, |stats| {
            stats.bytes_out.fetch_add(bytes, Relaxed);
            stats.fetch_requests.fetch_add(1, Relaxed);
        });
    }

    /// Counts a partition that could not be read.
    pub(crate) fn fetch_failed(&self, topic: Option<&str>, code: ErrorCode) {
        self.named(topic, |stats| {
            stats.fetch_requests.fetch_add(1, Relaxed);
            stats.failed_fetch.fetch_add(u64::from(!is_expected(code)), Relaxed);
        });
    }

    /// Counts a change of the in-sync replicas.
    pub(crate) fn isr_changed(&self, before: usize, after: usize) {
        self.isr_shrinks.fetch_add(u64::from(after < before), Relaxed);
        self.isr_expands.fetch_add(u64::from(after > before), Relaxed);
    }

    pub(crate) fn isr_failed(&self) {
        self.isr_failures.fetch_add(1, Relaxed);
    }

    /// Topics are gone. What was counted of them stays in the sum, which must not shrink.
    pub(crate) fn forget(&self, topics: &[Arc<str>]) {
        let mut all = self.topics.write();
        for gone in topics.iter().filter_map(|topic| all.remove(&**topic)) {
            self.rest.add(&gone);
        }
    }

    /// What was counted of each topic, by name, as `look` sees it; and of all together, also of those
    /// that are gone.
    pub fn topics<T>(&self, look: impl Fn(&TopicStats) -> T) -> (T, Vec<(String, T)>) {
        let sum = TopicStats::default();
        let all = self.topics.read();
        sum.add(&self.rest);
        all.values().for_each(|stats| sum.add(stats));
        let mut each: Vec<_> =
            all.iter().map(|(topic, stats)| (topic.clone(), look(stats))).collect();
        drop(all);
        each.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        (look(&sum), each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(first_offset: i64, last_offset: i64, duplicate: bool) -> Appended {
        Appended {
            first_offset,
            last_offset,
            log_append_time: None,
            log_start_offset: 0,
            duplicate,
        }
    }

    fn messages_and_failures(stats: &TopicStats) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Relaxed);
        (of(&stats.messages_in), of(&stats.produce_requests), of(&stats.failed_produce))
    }

    #[test]
    fn the_sum_does_not_shrink_when_a_topic_goes() {
        let stats = Stats::default();
        stats.produced("a", 100, &appended(5, 9, false));
        stats.produced("b", 100, &appended(0, 0, false));
        let (sum, each) = stats.topics(messages_and_failures);
        assert_eq!(sum, (6, 2, 0));
        assert_eq!(each, [("a".to_owned(), (5, 1, 0)), ("b".to_owned(), (1, 1, 0))]);
        stats.forget(&["a".into(), "unheard of".into()]);
        let (sum, each) = stats.topics(messages_and_failures);
        assert_eq!((sum, each.len()), ((6, 2, 0), 1));
    }

    #[test]
    fn a_batch_that_is_there_already_brings_no_messages() {
        let stats = Stats::default();
        stats.produced("a", 100, &appended(0, 2, false));
        stats.produced("a", 100, &appended(0, 2, true));
        assert_eq!(stats.topics(messages_and_failures).0, (3, 2, 0));
    }

    #[test]
    fn names_that_clients_think_of_take_no_memory_and_old_knowledge_is_no_failure() {
        let stats = Stats::default();
        stats.rejected("nowhere", 10, ErrorCode::UnknownTopicOrPartition);
        stats.rejected("nowhere", 10, ErrorCode::MessageTooLarge);
        stats.unacknowledged("nowhere", ErrorCode::RequestTimedOut);
        stats.fetch_failed(None, ErrorCode::UnknownTopicId);
        stats.fetch_failed(None, ErrorCode::KafkaStorageError);
        let (sum, each) = stats.topics(messages_and_failures);
        assert_eq!((sum, each.len()), ((0, 2, 2), 0));
        assert_eq!(stats.topics(|all| all.failed_fetch.load(Relaxed)).0, 1);
    }

    #[test]
    fn every_api_has_a_place_of_its_own() {
        let stats = Stats::default();
        for (at, api) in ApiKey::ALL.iter().enumerate() {
            (0..=at).for_each(|_| stats.requests.count(*api));
        }
        for (at, api) in ApiKey::ALL.iter().enumerate() {
            assert_eq!(stats.requests.of(*api), at as u64 + 1, "{}", api.name());
        }
        assert!(stats.requests.total(ApiKey::Produce).is_none());
        stats.requests.answered(ApiKey::Produce, Duration::from_millis(3));
        let times = stats.requests.total(ApiKey::Produce).unwrap().millis();
        assert_eq!((times.count, times.sum), (1, 3.0));
    }

    #[test]
    fn who_waits_is_counted_while_it_waits() {
        let level = Level::default();
        let entered = (level.enter(), level.enter());
        assert_eq!(level.now(), 2);
        drop(entered);
        assert_eq!(level.now(), 0);
    }
}
