//! The thread that sends.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use polyport_kafka_codec::messages::produce_request::{PartitionProduceData, TopicProduceData};
use polyport_kafka_codec::messages::produce_response::PartitionProduceResponse;
use polyport_kafka_codec::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use polyport_log::batch::{self, BatchBuilder};

use super::accumulator::{Batch, Place, Topic};
use super::{Acknowledged, OnDone, Outcome, ProducerConfig, Shared};
use crate::kafka::client::{Call, Client, ClientError, Result, To, known};
use crate::kafka::log::{Level, log};
use crate::zk_cli::Console;

const NETWORK_CLIENT: &str = "org.apache.kafka.clients.NetworkClient";
const METADATA: &str = "org.apache.kafka.clients.Metadata";
const SENDER: &str = "org.apache.kafka.clients.producer.internals.Sender";
/// How long the thread sleeps at most when nothing is to be done.
const IDLE: Duration = Duration::from_secs(1);
/// The first Produce with today's batches.
const PRODUCE: i16 = 11;
const INIT_PRODUCER_ID: i16 = 4;

const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TOPIC: i16 = 17;
const RECORD_LIST_TOO_LARGE: i16 = 18;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const DUPLICATE_SEQUENCE: i16 = 46;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNKNOWN_PRODUCER_ID: i16 = 59;

/// What a request to a leader has on its way.
type Sent<T> = Vec<(Place, Batch<T>)>;

/// The sending half of a producer.
pub struct Sender<'a, T> {
    config: &'a ProducerConfig,
    client: Client<'a>,
    shared: &'a Shared<T>,
    on_done: OnDone<'a, T>,
    id: Option<(i64, i16)>,
    sequences: HashMap<Place, i32>,
    metadata_requests: u32,
    last_metadata: Option<Instant>,
}

impl<'a, T> Sender<'a, T> {
    /// For what is shared.
    pub fn new(
        config: &'a ProducerConfig,
        console: &'a Console,
        shared: &'a Shared<T>,
        on_done: OnDone<'a, T>,
    ) -> Self {
        let client = Client::new(config.client.clone(), console);
        Self {
            config,
            client,
            shared,
            on_done,
            id: None,
            sequences: HashMap::new(),
            metadata_requests: 0,
            last_metadata: None,
        }
    }

    /// Sends until the producer is closed and everything is done.
    pub fn run(mut self) {
        loop {
            let now = Instant::now();
            let (ready, next, wanted, ended) = {
                let mut accumulator = self.shared.accumulator.lock();
                let (ready, next) = accumulator.drain(now, self.config.max_request_bytes);
                let ended = accumulator.closing && accumulator.is_empty();
                (ready, next, accumulator.wanted(), ended)
            };
            if ended {
                return;
            }
            let idle = ready.is_empty();
            if !ready.is_empty() {
                self.send(ready);
            }
            let due = self.last_metadata.is_none_or(|last| {
                now.saturating_duration_since(last) >= self.config.client.retry_backoff
            });
            let asks = !wanted.is_empty() && due;
            if asks {
                self.learn(&wanted);
            }
            self.expire();
            if idle && !asks {
                let soon = if wanted.is_empty() { IDLE } else { self.config.client.retry_backoff };
                let until = next.unwrap_or(now + soon).min(now + soon);
                let mut accumulator = self.shared.accumulator.lock();
                let closing = accumulator.closing && accumulator.is_empty();
                let more = accumulator.wanted().len() != wanted.len();
                if !closing && !more && until > Instant::now() {
                    self.shared.changed.wait_until(&mut accumulator, until);
                }
            }
        }
    }

    fn learn(&mut self, topics: &[String]) {
        self.last_metadata = Some(Instant::now());
        self.metadata_requests += 1;
        let timeout = Some(self.config.client.request_timeout);
        let response = match self.client.metadata(Some(topics), true, "metadata", timeout) {
            Ok(response) => response,
            Err(error) => {
                let refused = !matches!(error, ClientError::Timeout(_) | ClientError::Disconnected);
                let mut accumulator = self.shared.accumulator.lock();
                if refused {
                    topics.iter().for_each(|topic| accumulator.learn(topic, Err(error.clone())));
                }
                return;
            }
        };
        let mut missing = Vec::new();
        let mut invalid = Vec::new();
        let mut accumulator = self.shared.accumulator.lock();
        for topic in response.topics {
            let name = topic.name.unwrap_or_default();
            match topic.error_code {
                0 => {
                    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                    let leaders: BTreeMap<_, _> = topic
                        .partitions
                        .iter()
                        .filter(|partition| partition.leader_id >= 0)
                        .map(|partition| (partition.partition_index, partition.leader_id))
                        .collect();
                    accumulator.learn(&name, Ok(Topic { partitions, leaders }));
                }
                code => {
                    missing.push(format!("{name}={}", known(code).name));
                    if code == INVALID_TOPIC {
                        invalid.push(name.clone());
                    }
                    if matches!(code, INVALID_TOPIC | TOPIC_AUTHORIZATION_FAILED) {
                        let error = refusal(code, &name);
                        accumulator.learn(&name, Err(error));
                    }
                }
            }
        }
        drop(accumulator);
        if !missing.is_empty() {
            let message = format!(
                "{}The metadata response from the cluster reported a recoverable issue with \
                 correlation id {} : {{{}}}",
                self.config.client.log_prefix,
                self.metadata_requests,
                missing.join(", ")
            );
            log(self.client.console, Level::Warn, &message, NETWORK_CLIENT);
        }
        if !invalid.is_empty() {
            let prefix = &self.config.client.log_prefix;
            let message = format!("{prefix}Metadata response reported invalid topics {invalid:?}");
            log(self.client.console, Level::Error, &message.replace('"', ""), METADATA);
        }
        // After what is said of it, so that what follows from it is said after.
        self.shared.changed.notify_all();
    }

    fn send(&mut self, ready: Vec<(i32, Place, Batch<T>)>) {
        if self.config.idempotent
            && self.id.is_none()
            && let Err(error) = self.obtain_id()
        {
            for (_, place, batch) in ready {
                self.failed(place, batch, error.clone());
            }
            return;
        }
        let mut by_leader: BTreeMap<i32, Sent<T>> = BTreeMap::new();
        for (leader, place, batch) in ready {
            by_leader.entry(leader).or_default().push((place, batch));
        }
        // All leaders are asked before the first answer is waited for.
        let deadline = Instant::now() + self.config.client.request_timeout;
        let mut asked = Vec::new();
        for (leader, mut sent) in by_leader {
            match self.ask(leader, &mut sent, deadline) {
                Ok(()) => asked.push((leader, sent)),
                Err(error) => self.all_failed(leader, sent, &error),
            }
        }
        for (leader, sent) in asked {
            if self.config.acks == 0 {
                sent.into_iter().for_each(|(place, batch)| {
                    self.done(&place, batch, &Ok(Acknowledged { base_offset: -1 }));
                });
                continue;
            }
            let connection = self.client.connection(&To::Node(leader), "produce", deadline);
            let response = connection.and_then(|it| it.receive::<ProduceResponse>(deadline));
            match response {
                Ok(response) => self.answered(sent, response),
                Err(error) => self.all_failed(leader, sent, &error),
            }
        }
    }

    fn ask(&mut self, leader: i32, sent: &mut Sent<T>, deadline: Instant) -> Result<()> {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for ((topic, partition), batch) in sent.iter_mut() {
            batch.attempts += 1;
            let records = self.encode(topic, *partition, batch)?;
            let data = PartitionProduceData { index: *partition, records: Some(records) };
            match topics.last_mut().filter(|it| it.name == *topic) {
                Some(it) => it.partition_data.push(data),
                None => topics
                    .push(TopicProduceData { name: topic.clone(), partition_data: vec![data] }),
            }
        }
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.config.acks,
            timeout_ms: i32::try_from(self.config.client.request_timeout.as_millis())
                .unwrap_or(i32::MAX),
            topic_data: topics,
        };
        let connection = self.client.connection(&To::Node(leader), "produce", deadline)?;
        let version = connection.version::<ProduceRequest>(PRODUCE)?;
        match self.config.acks {
            0 => connection.send_only(&request, version, deadline),
            _ => connection.send(&request, version, deadline),
        }
    }

    /// The batch's bytes; it gets its sequence numbers when it is first sent.
    fn encode(&mut self, topic: &str, partition: i32, batch: &mut Batch<T>) -> Result<BytesMut> {
        if let (Some((id, epoch)), None) = (self.id, batch.sequence) {
            let next = self.sequences.entry((topic.to_owned(), partition)).or_default();
            batch.sequence = Some((id, epoch, *next));
            *next = advanced(*next, batch.builder.count());
        }
        let builder = match batch.sequence {
            Some((id, epoch, sequence)) => {
                batch.builder = std::mem::replace(&mut batch.builder, BatchBuilder::new(0))
                    .producer(id, epoch, sequence);
                &batch.builder
            }
            None => &batch.builder,
        };
        let mut bytes = Vec::with_capacity(batch.bytes);
        builder
            .build(None, &mut bytes)
            .map_err(|error| ClientError::Protocol(format!("cannot build a batch: {error}")))?;
        Ok(BytesMut::from(bytes.as_slice()))
    }

    fn obtain_id(&mut self) -> Result<()> {
        let call = Call::new(To::Any, "initProducerId")
            .up_to(INIT_PRODUCER_ID)
            .within(Some(self.config.delivery_timeout));
        let make = |_| InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, None)?;
        self.id = Some((response.producer_id, response.producer_epoch));
        self.sequences.clear();
        self.shared.accumulator.lock().forget_sequences();
        Ok(())
    }

    fn all_failed(&mut self, leader: i32, sent: Sent<T>, error: &ClientError) {
        self.client.forget(&To::Node(leader));
        let error = match error {
            ClientError::Timeout(_) => ClientError::Disconnected,
            other => other.clone(),
        };
        sent.into_iter().for_each(|(place, batch)| self.failed(place, batch, error.clone()));
    }

    fn answered(&mut self, sent: Sent<T>, response: ProduceResponse) {
        let mut answers: HashMap<Place, PartitionProduceResponse> = response
            .responses
            .into_iter()
            .flat_map(|topic| {
                let name = topic.name;
                topic.partition_responses.into_iter().map(move |it| ((name.clone(), it.index), it))
            })
            .collect();
        for (place, batch) in sent {
            match answers.remove(&place) {
                Some(it) if it.error_code == 0 || it.error_code == DUPLICATE_SEQUENCE => {
                    let acknowledged = Acknowledged { base_offset: it.base_offset };
                    self.done(&place, batch, &Ok(acknowledged));
                }
                Some(it) => {
                    let (code, message) = (it.error_code, it.error_message);
                    self.failed(place, batch, ClientError::Broker { code, message });
                }
                None => {
                    let error = ClientError::Protocol("the answer lacks a partition".to_owned());
                    self.failed(place, batch, error);
                }
            }
        }
    }

    /// A batch did not make it: it is tried again, split, or given up.
    fn failed(&mut self, place: Place, mut batch: Batch<T>, error: ClientError) {
        let code = error.code().unwrap_or_default();
        if matches!(code, MESSAGE_TOO_LARGE | RECORD_LIST_TOO_LARGE)
            && batch.builder.count() > 1
            && let Some(parts) = halves(&mut batch)
        {
            self.restart_sequences();
            self.shared.accumulator.lock().put_back_parts(&place, parts);
            return;
        }
        if matches!(code, OUT_OF_ORDER_SEQUENCE | INVALID_PRODUCER_EPOCH | UNKNOWN_PRODUCER_ID) {
            self.restart_sequences();
        }
        let expired = Instant::now() >= batch.since + self.config.delivery_timeout;
        if error.is_retriable() && batch.attempts <= self.config.retries && !expired {
            self.warn_of_retry(&place, &batch, &error);
            batch.not_before = Some(Instant::now() + self.config.client.retry_backoff);
            self.shared.accumulator.lock().put_back(&place, batch);
            return;
        }
        if batch.sequence.is_some() {
            // Whether the broker has it is not known: what follows begins anew.
            self.restart_sequences();
        }
        self.done(&place, batch, &Err(error));
    }

    fn warn_of_retry(&self, (topic, partition): &Place, batch: &Batch<T>, error: &ClientError) {
        let left = self.config.retries.saturating_sub(batch.attempts);
        let (name, prefix) = (error.known().name, &self.config.client.log_prefix);
        let message = format!(
            "{prefix}Got error produce response with correlation id {} on topic-partition \
             {topic}-{partition}, retrying ({left} attempts left). Error: {name}",
            self.metadata_requests
        );
        log(self.client.console, Level::Warn, &message, SENDER);
    }

    fn restart_sequences(&mut self) {
        self.id = None;
        self.sequences.clear();
        self.shared.accumulator.lock().forget_sequences();
    }

    fn done(&self, place: &Place, batch: Batch<T>, outcome: &Outcome) {
        (self.on_done)(batch.tokens, outcome);
        self.shared.accumulator.lock().done(place, batch.bytes);
        self.shared.changed.notify_all();
    }

    fn expire(&mut self) {
        let timeout = self.config.delivery_timeout;
        let expired = self.shared.accumulator.lock().expired(Instant::now(), timeout);
        for ((topic, partition), batch) in expired {
            let error = ClientError::Timeout(format!(
                "Expiring {} record(s) for {topic}-{partition}:{} ms has passed since batch creation",
                batch.builder.count(),
                batch.since.elapsed().as_millis()
            ));
            if batch.sequence.is_some() {
                self.restart_sequences();
            }
            self.done(&(topic, partition), batch, &Err(error));
        }
    }
}

/// Sequence numbers go on at 0 after the greatest.
fn advanced(sequence: i32, count: i32) -> i32 {
    let next = i64::from(sequence) + i64::from(count);
    (next & i64::from(i32::MAX)) as i32
}

/// The two halves of a batch; `None` if it cannot be read back.
fn halves<T>(batch: &mut Batch<T>) -> Option<Vec<Batch<T>>> {
    let mut bytes = Vec::new();
    batch.builder.build(None, &mut bytes).ok()?;
    let (whole, _) = batch::Batch::split_first(&bytes).ok()?;
    let attributes = whole.header().attributes;
    let mut scratch = Vec::new();
    let records: Vec<_> =
        whole.records(&mut scratch, 1 << 30).ok()?.collect::<std::result::Result<_, _>>().ok()?;
    let middle = records.len() / 2;
    let second = batch.tokens.split_off(middle.min(batch.tokens.len()));
    let first = std::mem::take(&mut batch.tokens);
    let parts = [(&records[..middle], first), (&records[middle..], second)];
    let share = batch.bytes / 2;
    Some(
        parts
            .into_iter()
            .zip([share, batch.bytes - share])
            .map(|((records, tokens), bytes)| {
                let mut builder = BatchBuilder::new(0).attributes(attributes);
                for record in records {
                    let headers: Vec<_> = record.headers.iter().collect();
                    let (key, value) = (record.key, record.value);
                    builder.push_with_headers(record.timestamp, key, value, &headers);
                }
                let (since, attempts) = (batch.since, batch.attempts);
                Batch { builder, bytes, since, tokens, attempts, not_before: None, sequence: None }
            })
            .collect(),
    )
}

fn refusal(code: i16, topic: &str) -> ClientError {
    let message = match code {
        INVALID_TOPIC => format!("Invalid topics: [{topic}]"),
        _ => format!("Not authorized to access topics: [{topic}]"),
    };
    ClientError::Broker { code, message: Some(message) }
}
