//! Fetch.

use std::sync::Arc;
use std::time::Duration;

use polyport_kafka_codec::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use polyport_kafka_codec::messages::{FetchRequest, FetchResponse};
use polyport_kafka_codec::{ApiKey, ErrorCode, Message, Reader, Records, Uuid, frame};
use polyport_log::{FileRange, Isolation};
use polyport_partitions::{BrokerId, FetchWaiter, FollowerFetch, Partition, Read, ReadAnswer};
use polyport_storage::{OsDisk, disk::OsFile};
use tokio::time::{Instant, timeout_at};

use crate::broker::Broker;
use crate::metadata::TopicId;
use crate::quota::Kind;
use crate::security::acl::Operation;
use crate::server::connection::Ended;
use crate::server::dispatch::{Call, Handled};
use crate::server::error::Code;
use crate::server::fetch_session::{Asked, Context, Key, Said, TopicRef, Wanted};
use crate::server::response::{Piece, Response};

/// The first version that names topics by their ids.
const FIRST_VERSION_BY_ID: i16 = 13;
/// The first version whose limit of bytes gives way to a first batch that is larger.
const FIRST_VERSION_OF_SOFT_LIMIT: i16 = 3;

/// The first version that names the leader to go to (KIP-951).
const FIRST_VERSION_OF_LEADERS: i16 = 12;

/// A partition that is fetched.
struct Place {
    key: Key,
    wanted: Wanted,
    /// The topic's name, if the topic is known.
    topic: Option<Arc<str>>,
    partition: Result<Arc<Partition<OsDisk>>, ErrorCode>,
}

type Outcome = Result<ReadAnswer<OsFile>, ErrorCode>;

/// What all partitions of a request have in common.
struct Limits {
    follower: Option<BrokerId>,
    isolation: Isolation,
    max_bytes: u64,
    min_bytes: u64,
    soft: bool,
    /// Whether an answer can name the leader to go to.
    names_leader: bool,
    deadline: Instant,
}

/// Answers the request: at once, or when there is enough to read.
///
/// # Errors
/// What ends the connection.
pub(in crate::server) async fn handle(call: &Call, mut reader: Reader) -> Result<Handled, Ended> {
    let request = FetchRequest::decode(&mut reader, call.version())?;
    drop(reader);
    let broker = &call.broker;
    let by_id = call.version() >= FIRST_VERSION_BY_ID;
    let follower = follower(&request);
    if follower.is_some() && !call.client.is_broker() {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return encode(call, FetchResponse { error_code, ..Default::default() }, Vec::new());
    }
    let limits = limits(call, &request, follower);
    let asked = asked(request, by_id);
    let context =
        match broker.fetch_sessions.begin(asked, Instant::now().into_std(), crate::broker::draw) {
            Ok(context) => context,
            Err(refused) => {
                let error_code = refused.code().code();
                return encode(
                    call,
                    FetchResponse { error_code, ..Default::default() },
                    Vec::new(),
                );
            }
        };
    let places: Vec<Place> = context.wanted.iter().map(|(k, w)| place(call, k, *w)).collect();
    let (outcomes, waited) = read_enough(call, &places, &limits).await;
    let worked = call.began.elapsed().saturating_sub(waited);
    let throttled = throttled(call, &context, &outcomes, worked);
    let answer = match throttled {
        Some(answer) => answer,
        None => {
            let (response, ranges) = respond(broker, &context, places, outcomes, &limits);
            encode(call, response, ranges)
        }
    };
    let worked = call.began.elapsed().saturating_sub(waited);
    broker.stats.requests.worked(ApiKey::Fetch, worked);
    answer
}

/// The answer to a client that is beyond its quota: nothing, so that the records are not sent twice.
fn throttled(
    call: &Call,
    context: &Context,
    outcomes: &[Outcome],
    worked: Duration,
) -> Option<Result<Handled, Ended>> {
    let bytes = outcomes.iter().flatten().map(ReadAnswer::bytes).sum();
    let throttle_ms = call.used_bytes(Kind::Fetch, bytes).max(call.used_time(worked));
    if throttle_ms <= 0 {
        return None;
    }
    call.unused_bytes(Kind::Fetch, bytes);
    let response = FetchResponse { session_id: context.id, ..Default::default() };
    Some(call.encode(response, throttle_ms).map(Handled::Answer))
}

/// The broker that fetches to follow; nobody may but over the node port.
fn follower(request: &FetchRequest) -> Option<BrokerId> {
    let named = request.replica_id.max(request.replica_state.replica_id);
    (named >= 0).then_some(named)
}

fn limits(call: &Call, request: &FetchRequest, follower: Option<BrokerId>) -> Limits {
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let most = match follower {
        Some(_) => u64::MAX,
        None => call.broker.fetch_max_bytes.min(call.most_bytes(Kind::Fetch)),
    };
    let max_bytes = (request.max_bytes.max(0) as u64).min(most);
    Limits {
        follower,
        isolation: match request.isolation_level {
            _ if follower.is_some() => Isolation::LogEnd,
            1 => Isolation::LastStable,
            _ => Isolation::HighWatermark,
        },
        max_bytes,
        min_bytes: (request.min_bytes.max(0) as u64).min(max_bytes),
        soft: call.version() >= FIRST_VERSION_OF_SOFT_LIMIT,
        names_leader: call.version() >= FIRST_VERSION_OF_LEADERS,
        deadline: Instant::now() + wait,
    }
}

fn asked(request: FetchRequest, by_id: bool) -> Asked {
    let follower = follower(&request);
    let topic_ref = |name: String, id: Uuid| match by_id {
        true => TopicRef::Id(id.0),
        false => TopicRef::Name(name.into()),
    };
    let mut wanted = Vec::new();
    for topic in request.topics {
        let named = topic_ref(topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.into_iter().map(|p| {
            let key = Key { topic: named.clone(), partition: p.partition };
            let wanted = Wanted {
                fetch_offset: p.fetch_offset,
                max_bytes: p.partition_max_bytes,
                current_leader_epoch: p.current_leader_epoch,
                last_fetched_epoch: p.last_fetched_epoch,
                log_start_offset: p.log_start_offset,
            };
            (key, wanted)
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let named = topic_ref(topic.topic, topic.topic_id);
        let key = |partition| Key { topic: named.clone(), partition };
        forgotten.extend(topic.partitions.into_iter().map(key));
    }
    Asked {
        session: request.session_id,
        epoch: request.session_epoch,
        by_id,
        follower: follower.is_some(),
        wanted,
        forgotten,
    }
}

fn place(call: &Call, key: &Key, wanted: Wanted) -> Place {
    let broker = &call.broker;
    let topic = match &key.topic {
        TopicRef::Name(name) => Some(name.clone()),
        TopicRef::Id(id) => {
            broker.images.current().topic_by_id(TopicId(*id)).map(|topic| topic.name.clone())
        }
    };
    let partition = match &topic {
        None => Err(ErrorCode::UnknownTopicId),
        Some(topic) => call.topic(Operation::Read, topic).and_then(|()| {
            let found = broker.store.partition(topic, key.partition);
            found.ok_or_else(|| broker.why_missing(topic, key.partition))
        }),
    };
    Place { key: key.clone(), wanted, topic, partition }
}

/// Reads until there is enough, something is wrong, or the time is over. Also says how long it waited.
async fn read_enough(call: &Call, places: &[Place], limits: &Limits) -> (Vec<Outcome>, Duration) {
    let broker = &call.broker;
    let waiter = FetchWaiter::new();
    let mut waited = Duration::ZERO;
    let mut told = false;
    let mut hurried = false;
    loop {
        let (mut outcomes, bytes) = read(places, limits);
        if let Some(follower) = limits.follower {
            note_fetched(broker, follower, places, &mut outcomes, told);
            told = true;
        }
        let wrong = |outcome: &Outcome| match outcome {
            Ok(answer) => answer.diverging.is_some(),
            Err(_) => true,
        };
        let done = places.is_empty()
            || bytes >= limits.min_bytes
            || outcomes.iter().any(wrong)
            || Instant::now() >= limits.deadline
            || hurried
            || *broker.draining.borrow();
        if done {
            return (outcomes, waited);
        }
        let missing = u32::try_from(limits.min_bytes - bytes).unwrap_or(u32::MAX);
        let round = waiter.begin(missing);
        for (place, outcome) in places.iter().zip(&outcomes) {
            if let (Ok(partition), Ok(answer)) = (&place.partition, outcome) {
                let seen = answer.seen(limits.isolation);
                partition.wait_beyond(seen, limits.isolation, &waiter, round);
            }
        }
        let waiting = (broker.stats.waiting_fetch.enter(), Instant::now());
        tokio::select! {
            _ = timeout_at(limits.deadline, waiter.ready()) => {}
            () = broker.drained() => {}
            () = call.client.hurries() => hurried = true,
        }
        waited += waiting.1.elapsed();
        waiter.end();
    }
}

/// A follower has everything below where it fetches; with that the high watermark may move, which its
/// answer is to say. Its request says so once, however often it is read for.
fn note_fetched(
    broker: &Arc<Broker>,
    follower: BrokerId,
    places: &[Place],
    outcomes: &mut [Outcome],
    told: bool,
) {
    let now = broker.clock.now();
    for (place, outcome) in places.iter().zip(outcomes) {
        let (Ok(partition), Ok(answer)) = (&place.partition, &mut *outcome) else { continue };
        if answer.diverging.is_some() {
            continue;
        }
        let Wanted { fetch_offset: offset, log_start_offset: log_start, .. } = place.wanted;
        let leader_end = answer.log_end_offset;
        let fetch = FollowerFetch { follower, offset, log_start, leader_end };
        if !told {
            match partition.follower_fetched(fetch, now) {
                Ok(Some(proposal)) => broker.propose_isr(partition.clone(), proposal),
                Ok(None) => {}
                Err(error) => {
                    *outcome = Err(error.code());
                    continue;
                }
            }
        }
        if let Ok(high_watermark) = partition.high_watermark() {
            answer.fetched.high_watermark = high_watermark;
        }
    }
}

fn read(places: &[Place], limits: &Limits) -> (Vec<Outcome>, u64) {
    let mut bytes = 0;
    let mut outcomes = Vec::with_capacity(places.len());
    for place in places {
        let outcome = place.partition.as_ref().map_err(|code| *code).and_then(|partition| {
            let known = |epoch: i32| (epoch >= 0).then_some(epoch);
            let left = limits.max_bytes.saturating_sub(bytes);
            let read = Read {
                at_least_one: limits.soft && bytes == 0,
                leader_epoch: known(place.wanted.current_leader_epoch),
                last_fetched_epoch: known(place.wanted.last_fetched_epoch),
                ..Read::consumer(
                    place.wanted.fetch_offset,
                    left.min(place.wanted.max_bytes.max(0) as u64),
                    limits.isolation,
                )
            };
            partition.read(&read).map_err(|error| error.code())
        });
        if let Ok(answer) = &outcome {
            bytes += answer.bytes();
        }
        outcomes.push(outcome);
    }
    (outcomes, bytes)
}

fn respond(
    broker: &Broker,
    context: &Context,
    places: Vec<Place>,
    outcomes: Vec<Outcome>,
    limits: &Limits,
) -> (FetchResponse, Vec<FileRange<OsFile>>) {
    let mut ranges = Vec::new();
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last: Option<TopicRef> = None;
    for (place, outcome) in places.into_iter().zip(outcomes) {
        let said = match &outcome {
            Ok(answer) => Said {
                records: answer.bytes() > 0,
                notable: answer.diverging.is_some(),
                high_watermark: answer.fetched.high_watermark,
                log_start_offset: answer.fetched.log_start_offset,
            },
            Err(_) => {
                Said { records: false, notable: true, high_watermark: -1, log_start_offset: -1 }
            }
        };
        if !context.says(&place.key, said) {
            continue;
        }
        match (&outcome, place.topic.as_deref()) {
            _ if limits.follower.is_some() => {}
            (Ok(answer), Some(topic)) => broker.stats.fetched(topic, answer.bytes()),
            // What was read has a name.
            (Ok(_), None) => {}
            (Err(code), topic) => broker.stats.fetch_failed(topic, *code),
        }
        let data = partition_data(broker, &place, outcome, limits, &mut ranges);
        if last.as_ref() != Some(&place.key.topic) {
            let (topic, topic_id) = match &place.key.topic {
                TopicRef::Name(name) => (name.to_string(), Uuid::ZERO),
                TopicRef::Id(id) => (String::new(), Uuid(*id)),
            };
            responses.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
            last = Some(place.key.topic.clone());
        }
        if let Some(response) = responses.last_mut() {
            response.partitions.push(data);
        }
    }
    (FetchResponse { session_id: context.id, responses, ..Default::default() }, ranges)
}

fn partition_data(
    broker: &Broker,
    place: &Place,
    outcome: Outcome,
    limits: &Limits,
    ranges: &mut Vec<FileRange<OsFile>>,
) -> PartitionData {
    let partition_index = place.key.partition;
    let answer = match outcome {
        Ok(answer) => answer,
        Err(code) => {
            let mut data = PartitionData {
                partition_index,
                error_code: code.code(),
                high_watermark: -1,
                last_stable_offset: -1,
                log_start_offset: -1,
                records: Some(Records::default()),
                ..Default::default()
            };
            if let (ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch, Some(topic)) =
                (code, &place.topic)
                && limits.names_leader
            {
                let (leader_id, leader_epoch) =
                    broker.leader_and_epoch(topic, partition_index).unwrap_or((-1, -1));
                data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            }
            return data;
        }
    };
    let fetched = answer.fetched;
    let records = match fetched.range {
        Some(range) => {
            // A segment has fewer than 2 GiB, and so has what was asked for.
            let length_bytes = u32::try_from(range.len).unwrap_or(0);
            ranges.push(range);
            Records::Elsewhere { length_bytes }
        }
        None => Records::default(),
    };
    let aborted = fetched.aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
    });
    PartitionData {
        partition_index,
        high_watermark: fetched.high_watermark,
        last_stable_offset: fetched.last_stable_offset,
        log_start_offset: fetched.log_start_offset,
        diverging_epoch: answer.diverging.map_or_else(EpochEndOffset::default, |(epoch, end)| {
            EpochEndOffset { epoch, end_offset: end }
        }),
        aborted_transactions: (limits.isolation == Isolation::LastStable)
            .then(|| aborted.collect()),
        records: Some(records),
        ..Default::default()
    }
}

/// The answer in pieces: records stay in their files.
fn encode(
    call: &Call,
    response: FetchResponse,
    ranges: Vec<FileRange<OsFile>>,
) -> Result<Handled, Ended> {
    let mut bytes = Vec::new();
    let (version, correlation) = (call.version(), call.header.correlation_id);
    let gaps = frame::encode_response(&mut bytes, &response, version, correlation)?;
    if gaps.is_empty() {
        return Ok(Handled::Answer(Response::bytes(bytes)));
    }
    let bytes = bytes::Bytes::from(bytes);
    let pieces = frame::pieces(0..bytes.len(), &gaps).filter_map(|piece| match piece {
        frame::Piece::Bytes(range) => Some(Piece::Bytes(bytes.slice(range))),
        frame::Piece::Records { index, .. } => ranges.get(index).cloned().map(Piece::File),
    });
    Ok(Handled::Answer(Response { pieces: pieces.collect(), ..Default::default() }))
}
