//! Followers' fetching: for each leader a few tasks (`num.replica.fetchers`), each with a connection
//! of its own, that do what [`Fetching`] decides.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use polyport_base::Clock;
use polyport_kafka_codec::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic, ReplicaState,
};
use polyport_kafka_codec::messages::fetch_response::PartitionData;
use polyport_kafka_codec::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use polyport_kafka_codec::messages::{FetchRequest, FetchResponse, ListOffsetsRequest};
use polyport_kafka_codec::{ErrorCode, Uuid};
use polyport_log::checkpoint::partition_metadata::TopicId as LogTopicId;
use polyport_partitions::fetching::{Act, Answer, Ask, Fetching, Own, Request};
use polyport_partitions::{FollowedLeader, Partition, Refused, Store};
use polyport_storage::OsDisk;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::peers::{Line, PeerError, Peers};
use crate::metadata::TopicId;

/// The versions that brokers ask each other in.
const FETCH_VERSION: i16 = 17;
const LIST_OFFSETS_VERSION: i16 = 7;

/// How requests to leaders are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// `broker.id`.
    pub(super) broker: i32,
    /// `num.replica.fetchers`.
    pub(super) fetchers: usize,
    /// `replica.fetch.backoff.ms`.
    pub(super) backoff_ms: i64,
    /// `replica.fetch.wait.max.ms`.
    pub(super) max_wait: Duration,
    /// `replica.fetch.min.bytes`.
    pub(super) min_bytes: i32,
    /// `replica.fetch.max.bytes`: of one partition.
    pub(super) partition_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub(super) max_bytes: i32,
    /// `replica.socket.timeout.ms`: how long an answer may be late.
    pub(super) patience: Duration,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) topic: Arc<str>,
    pub(super) id: TopicId,
    pub(super) partition: i32,
}

/// As requests name it.
type Key = ([u8; 16], i32);

impl Place {
    fn key(&self) -> Key {
        (self.id.0, self.partition)
    }
}

enum Command {
    Follow(Place, i32),
    Forget(Key),
}

/// A leader, and which of its fetchers.
type Which = (i32, usize);

struct Running {
    commands: UnboundedSender<Command>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct State {
    running: HashMap<Which, Running>,
    assigned: HashMap<Key, Which>,
}

/// This broker's fetchers.
pub(super) struct Fetchers {
    settings: Settings,
    store: Store<OsDisk>,
    peers: Peers,
    clock: Arc<dyn Clock>,
    threads: tokio::runtime::Handle,
    state: Mutex<State>,
}

impl Fetchers {
    /// None yet. They run on the caller's runtime.
    pub(super) fn new(
        settings: Settings,
        store: Store<OsDisk>,
        peers: Peers,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let threads = tokio::runtime::Handle::current();
        Self { settings, store, peers, clock, threads, state: Mutex::default() }
    }

    /// Follows a partition from its leader in a leader epoch; `None`: from nobody any more.
    pub(super) fn set(&self, place: &Place, leader: Option<(i32, i32)>) {
        let key = place.key();
        let mut state = self.state.lock();
        let which = leader.map(|(leader, _)| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            (leader, (hasher.finish() % self.settings.fetchers.max(1) as u64) as usize)
        });
        if let Some(before) = state.assigned.get(&key).copied().filter(|then| Some(*then) != which)
        {
            state.assigned.remove(&key);
            tell(&state.running, before, Command::Forget(key));
        }
        if let (Some(which), Some((_, epoch))) = (which, leader) {
            state.assigned.insert(key, which);
            state.running.entry(which).or_insert_with(|| self.start(which.0));
            tell(&state.running, which, Command::Follow(place.clone(), epoch));
        }
    }

    /// Ends all of them.
    pub(super) fn stop(&self) {
        *self.state.lock() = State::default();
    }

    fn start(&self, leader: i32) -> Running {
        let (commands, received) = unbounded_channel();
        let fetcher = Fetcher {
            leader,
            settings: self.settings,
            store: self.store.clone(),
            peers: self.peers.clone(),
            clock: self.clock.clone(),
            fetching: Fetching::new(self.settings.backoff_ms),
            topics: HashMap::new(),
            commands: received,
        };
        Running { commands, task: self.threads.spawn(fetcher.run()).abort_handle() }
    }
}

fn tell(running: &HashMap<Which, Running>, which: Which, command: Command) {
    if let Some(running) = running.get(&which) {
        // It ends with its sender.
        let _ = running.commands.send(command);
    }
}

/// One task.
struct Fetcher {
    leader: i32,
    settings: Settings,
    store: Store<OsDisk>,
    peers: Peers,
    clock: Arc<dyn Clock>,
    fetching: Fetching<Key>,
    /// Names of the topics that are followed.
    topics: HashMap<[u8; 16], Arc<str>>,
    commands: UnboundedReceiver<Command>,
}

impl Fetcher {
    async fn run(mut self) {
        let mut line = None;
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            let now = self.clock.now();
            let (store, topics) = (&self.store, &self.topics);
            let ends = |key: &Key| find(store, topics, key)?.followed();
            let Some(request) = self.fetching.request(now, ends) else {
                let pause = self.fetching.due(now).map(|due| due.0.saturating_sub(now.0));
                if !self.rest(pause).await {
                    return;
                }
                continue;
            };
            if let Err(error) = self.exchange(&mut line, request).await {
                let leader = self.leader;
                tracing::debug!(leader, %error, "a leader does not answer its follower");
                line = None;
                self.fetching.failed(self.clock.now());
            }
        }
    }

    /// Waits until there may be something to fetch; false if there never will be.
    async fn rest(&mut self, pause_ms: Option<i64>) -> bool {
        let pause = async {
            match pause_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.max(1) as u64)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv() => match command {
                Some(command) => self.obey(command),
                None => return false,
            },
            () = pause => {}
        }
        true
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow(place, epoch) => {
                self.topics.insert(place.id.0, place.topic.clone());
                self.fetching.follow(place.key(), epoch);
                // What was in the way may be over with the election.
                self.fetching.retry();
            }
            Command::Forget(key) => self.fetching.forget(&key),
        }
        if self.fetching.is_empty() {
            self.topics.clear();
        }
    }

    async fn exchange(
        &mut self,
        line: &mut Option<Line>,
        request: Request<Key>,
    ) -> Result<(), PeerError> {
        let line = match line {
            Some(line) => line,
            None => line.insert(self.peers.line(self.leader).await?),
        };
        let request = fetch(&self.settings, request);
        line.send(&request, FETCH_VERSION).await?;
        let response = self.response(line).await?;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => self.fetching.succeeded(response.session_id),
            Some(
                ErrorCode::FetchSessionIdNotFound
                | ErrorCode::InvalidFetchSessionEpoch
                | ErrorCode::FetchSessionTopicIdError,
            ) => {
                self.fetching.session_lost();
                return Ok(());
            }
            code => {
                tracing::warn!(leader = self.leader, ?code, "a leader refuses its follower");
                self.fetching.failed(self.clock.now());
                return Ok(());
            }
        }
        for topic in response.responses {
            for data in topic.partitions {
                let key = (topic.topic_id.0, data.partition_index);
                if let Some(epoch) = self.take(&key, data).await {
                    self.ask_range(line, &key, epoch).await?;
                }
            }
        }
        Ok(())
    }

    /// The answer to the request that was sent. Whoever is to be followed from now on does not wait
    /// for it.
    async fn response(&mut self, line: &mut Line) -> Result<FetchResponse, PeerError> {
        let broker = self.leader;
        let late = tokio::time::sleep(self.settings.max_wait + self.settings.patience);
        let mut late = std::pin::pin!(late);
        loop {
            tokio::select! {
                response = line.receive::<FetchRequest>(FETCH_VERSION) => return response,
                Some(command) = self.commands.recv() => {
                    let hurries = matches!(command, Command::Follow(..));
                    self.obey(command);
                    if hurries {
                        line.hurry().await?;
                    }
                }
                () = &mut late => {
                    let source = std::io::ErrorKind::TimedOut.into();
                    return Err(PeerError::Io { broker, source });
                }
            }
        }
    }

    /// Does what follows from what a leader says of a partition. The answer is the epoch in which it
    /// is to be asked where its log is.
    async fn take(&mut self, key: &Key, data: PartitionData) -> Option<i32> {
        let answer = match ErrorCode::from_code(data.error_code) {
            Some(ErrorCode::None) if data.diverging_epoch.epoch >= 0 => Answer::Diverging {
                epoch: data.diverging_epoch.epoch,
                end: data.diverging_epoch.end_offset,
            },
            Some(ErrorCode::None) => Answer::Records,
            Some(ErrorCode::OffsetOutOfRange) => Answer::OutOfRange,
            Some(ErrorCode::FencedLeaderEpoch) => Answer::Fenced,
            _ => Answer::Refused,
        };
        let partition = find(&self.store, &self.topics, key)?;
        let (high_watermark, log_start) = (data.high_watermark, data.log_start_offset);
        let (act, now) = (self.decide(key, &partition, answer), self.clock.now());
        let done = match act {
            Act::Nothing => return None,
            Act::AskRange(epoch) => return Some(epoch),
            Act::Append(epoch) => {
                let records = data.records.as_ref().and_then(|records| records.bytes());
                let none = Bytes::new();
                let leader = FollowedLeader { epoch, high_watermark, log_start };
                let records = records.unwrap_or(&none);
                let appended = partition.append_as_follower(records, leader, now);
                appended.map(|_| ()).map_err(|error| error.to_string())
            }
            act => self.shorten(&partition, act).await.map_err(|error| error.to_string()),
        };
        if let Err(error) = done {
            let partition = partition.of().dir_name();
            tracing::warn!(partition, leader = self.leader, error, "not as the leader has it");
            self.fetching.refused(key, now);
        }
        None
    }

    fn decide(&mut self, key: &Key, partition: &Partition<OsDisk>, answer: Answer) -> Act {
        // It leads by now, or its disk failed.
        let Some(ends) = partition.followed() else { return Act::Nothing };
        let end_of_epoch =
            |epoch| partition.end_offset_for_epoch(epoch, None, false).ok().flatten();
        let own = Own { ends, end_of_epoch: &end_of_epoch };
        self.fetching.answered(key, answer, &own, self.clock.now())
    }

    /// Takes back what the leader has not.
    async fn shorten(&self, partition: &Arc<Partition<OsDisk>>, act: Act) -> Result<(), Refused> {
        let (partition, now) = (partition.clone(), self.clock.now());
        let name = partition.of().dir_name();
        tracing::info!(partition = name, leader = self.leader, ?act, "a follower's log is cut");
        // The disk syncs.
        let done = tokio::task::spawn_blocking(move || match act {
            Act::Truncate { offset, leader_epoch } => partition.truncate(offset, leader_epoch, now),
            Act::Restart { offset, leader_epoch } => {
                partition.restart_at(offset, leader_epoch, now)
            }
            Act::Nothing | Act::Append(_) | Act::AskRange(_) => Ok(()),
        });
        done.await.unwrap_or(Err(Refused::Storage))
    }

    /// Asks where the leader's log begins and ends, and goes there.
    async fn ask_range(&mut self, line: &mut Line, key: &Key, epoch: i32) -> Result<(), PeerError> {
        const EARLIEST: i64 = -2;
        const LATEST: i64 = -1;
        let Some(partition) = find(&self.store, &self.topics, key) else { return Ok(()) };
        let mut offsets = [-1; 2];
        for (at, offset) in [EARLIEST, LATEST].into_iter().zip(&mut offsets) {
            let asked = ListOffsetsPartition {
                partition_index: key.1,
                current_leader_epoch: epoch,
                timestamp: at,
                ..Default::default()
            };
            let topic =
                ListOffsetsTopic { name: partition.of().topic.clone(), partitions: vec![asked] };
            let request = ListOffsetsRequest {
                replica_id: self.settings.broker,
                topics: vec![topic],
                ..Default::default()
            };
            let ask = line.ask(&request, LIST_OFFSETS_VERSION);
            let broker = self.leader;
            let answer = timeout(self.settings.patience, ask)
                .await
                .unwrap_or_else(|late| Err(PeerError::Io { broker, source: late.into() }))?;
            let told = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
            if let Some(told) = told.filter(|told| told.error_code == ErrorCode::None.code()) {
                *offset = told.offset;
            }
        }
        let [start, end] = offsets;
        let answer = match start >= 0 && end >= 0 {
            true => Answer::Range { start, end },
            false => Answer::Refused,
        };
        let act = self.decide(key, &partition, answer);
        if act != Act::Nothing && self.shorten(&partition, act).await.is_err() {
            self.fetching.refused(key, self.clock.now());
        }
        Ok(())
    }
}

/// This node's replica of a partition.
fn find(
    store: &Store<OsDisk>,
    topics: &HashMap<[u8; 16], Arc<str>>,
    key: &Key,
) -> Option<Arc<Partition<OsDisk>>> {
    let found = store.partition(topics.get(&key.0)?, key.1)?;
    // One of another topic of the same name, which is gone or about to be.
    (found.topic_id() == Some(LogTopicId(key.0))).then_some(found)
}

/// A request as it is sent.
fn fetch(settings: &Settings, request: Request<Key>) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for ((id, partition), Ask { leader_epoch, offset, log_start, last_epoch }) in request.wanted {
        let wanted = FetchPartition {
            partition,
            current_leader_epoch: leader_epoch,
            fetch_offset: offset,
            last_fetched_epoch: last_epoch.unwrap_or(-1),
            log_start_offset: log_start,
            partition_max_bytes: settings.partition_max_bytes,
            ..Default::default()
        };
        match topics.last_mut().filter(|topic| topic.topic_id.0 == id) {
            Some(topic) => topic.partitions.push(wanted),
            None => topics.push(FetchTopic {
                topic_id: Uuid(id),
                partitions: vec![wanted],
                ..Default::default()
            }),
        }
    }
    let mut forgotten: Vec<ForgottenTopic> = Vec::new();
    for (id, partition) in request.forgotten {
        match forgotten.last_mut().filter(|topic| topic.topic_id.0 == id) {
            Some(topic) => topic.partitions.push(partition),
            None => forgotten.push(ForgottenTopic {
                topic_id: Uuid(id),
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    let (session_id, session_epoch) = request.session;
    FetchRequest {
        replica_state: ReplicaState { replica_id: settings.broker, ..Default::default() },
        max_wait_ms: i32::try_from(settings.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: settings.min_bytes,
        max_bytes: settings.max_bytes,
        session_id,
        session_epoch,
        topics,
        forgotten_topics_data: forgotten,
        ..Default::default()
    }
}
