//! Produce.

use std::time::Duration;

use polyport_base::Millis;
use polyport_kafka_codec::messages::produce_request::PartitionProduceData;
use polyport_kafka_codec::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use polyport_kafka_codec::messages::{ProduceRequest, ProduceResponse};
use polyport_kafka_codec::{ApiKey, ErrorCode, Message, Reader};
use polyport_log::AppendError;
use polyport_log::batch::RejectedRecord;
use polyport_log::producer::{ProducerError, Verification};
use polyport_partitions::{Acks, AppendAnswer, AppendOptions, ProduceError};
use tokio::time::{Instant, timeout_at};

use super::verification::{self, Refusal};
use crate::metadata::topics::is_internal;
use crate::quota::Kind;
use crate::security::acl::Operation;
use crate::server::connection::Ended;
use crate::server::dispatch::{Call, Handled};
use crate::server::error::Code;

/// The first version whose records are of format 2.
const FIRST_VERSION_OF_FORMAT_2: i16 = 3;
/// The first version whose records may be compressed with Zstandard (KIP-110).
const FIRST_VERSION_OF_ZSTD: i16 = 7;
/// Where a batch has the low byte of its attributes.
const SECOND_ATTRIBUTE_BYTE: usize = 22;
/// The first version that names the leader to go to (KIP-951).
const FIRST_VERSION_OF_LEADERS: i16 = 10;
/// What a client calls itself that may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// What has become of a partition's records.
enum Appended {
    Done(AppendAnswer),
    Failed(ErrorCode, Vec<RejectedRecord>, Option<String>),
}

impl Appended {
    fn failed(code: ErrorCode) -> Self {
        Self::Failed(code, Vec::new(), None)
    }
}

/// What the producer waits for, and what is said of its transaction.
type How = (i16, Result<Verification, Refusal>);

/// Partitions of a topic with what became of them.
type Topics = Vec<(String, Vec<(i32, Appended)>)>;

/// Appends the records, in the order of requests. What is left to do is to wait.
///
/// # Errors
/// What ends the connection: that is how a producer that wants no answers hears of a failure.
pub(in crate::server) async fn begin(call: Call, mut reader: Reader) -> Result<Handled, Ended> {
    let request = ProduceRequest::decode(&mut reader, call.version())?;
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let acks = request.acks;
    let mut verdicts = verification::verify(&call, &request).await;
    let now = call.broker.clock.now();
    let mut topics: Topics = Vec::with_capacity(request.topic_data.len());
    let transaction = may_write_transactions(&call, &request);
    for (at, topic) in request.topic_data.into_iter().enumerate() {
        let may = transaction.and_then(|()| call.topic(Operation::Write, &topic.name));
        let append = |(number, data): (usize, PartitionProduceData)| {
            let verdict = match (may, &mut verdicts) {
                (Err(code), _) => return (data.index, Appended::failed(code)),
                (Ok(()), Ok(verdicts)) => verdicts.take(at, number),
                (Ok(()), Err(code)) => Err((*code, None)),
            };
            (data.index, append(&call, &topic.name, data, (acks, verdict), now))
        };
        let partitions = topic.partition_data.into_iter().enumerate().map(append).collect();
        topics.push((topic.name, partitions));
    }
    if acks == 0 {
        let mut all = topics.iter().flat_map(|(_, partitions)| partitions);
        return match all.any(|(_, appended)| matches!(appended, Appended::Failed(..))) {
            true => Err(Ended::Refused("records without acknowledgement cannot be appended")),
            false => {
                let throttle_ms = call.used_bytes(Kind::Produce, call.size_bytes);
                let throttle = Duration::from_millis(throttle_ms.max(0) as u64);
                Ok(Handled::Nothing { throttle })
            }
        };
    }
    let worked = call.began.elapsed();
    let mut all = topics.iter().flat_map(|(_, partitions)| partitions);
    let waits = |appended: &Appended| matches!(appended, Appended::Done(d) if d.wait.is_some());
    if all.any(|(_, appended)| waits(appended)) {
        let waiting = call.broker.stats.waiting_produce.enter();
        return Ok(Handled::Later(Box::pin(async move {
            let response = finish(&call, topics, deadline).await;
            drop(waiting);
            call.broker.stats.requests.answered(ApiKey::Produce, call.began.elapsed());
            call.encode(response, throttle_ms(&call, worked))
        })));
    }
    let responses = topics.into_iter().map(|(name, partitions)| {
        let said = |(index, appended)| said(&call, &name, index, appended);
        let partition_responses = partitions.into_iter().map(said).collect();
        TopicProduceResponse { name, partition_responses }
    });
    let response = ProduceResponse { responses: responses.collect(), ..Default::default() };
    let throttle_ms = throttle_ms(&call, worked);
    call.encode(response, throttle_ms).map(Handled::Answer)
}

/// Counts what the request used.
fn throttle_ms(call: &Call, worked: Duration) -> i32 {
    call.used_bytes(Kind::Produce, call.size_bytes).max(call.used_time(worked))
}

/// Lets records of transactions pass only of those who may write to the transactional id.
fn may_write_transactions(call: &Call, request: &ProduceRequest) -> Result<(), ErrorCode> {
    if call.broker.access.is_none() {
        return Ok(());
    }
    let mut all = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let transactional = all.any(|data| data.records.as_deref().is_some_and(is_transactional));
    match (transactional, &request.transactional_id) {
        (false, _) => Ok(()),
        (true, Some(id)) => call.transactional_id(Operation::Write, id),
        (true, None) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
    }
}

/// Whether the first batch is of a transaction: bit 4 of its attributes.
fn is_transactional(records: &[u8]) -> bool {
    records.get(SECOND_ATTRIBUTE_BYTE).is_some_and(|attributes| attributes & 0x10 != 0)
}

/// Appends a partition's records, and counts what became of them.
fn append(call: &Call, topic: &str, data: PartitionProduceData, how: How, now: Millis) -> Appended {
    let bytes = data.records.as_ref().map_or(0, |records| records.len());
    let appended = try_append(call, topic, data, how, now);
    let stats = &call.broker.stats;
    match &appended {
        Appended::Done(answer) => stats.produced(topic, bytes, &answer.appended),
        Appended::Failed(code, ..) => stats.rejected(topic, bytes, *code),
    }
    appended
}

fn try_append(
    call: &Call,
    topic: &str,
    data: PartitionProduceData,
    how: How,
    now: Millis,
) -> Appended {
    let (acks, verdict) = how;
    let acks = match acks {
        0 | 1 => Acks::Leader,
        -1 => Acks::All,
        _ => return Appended::failed(ErrorCode::InvalidRequiredAcks),
    };
    let broker = &call.broker;
    let admin = || call.header.client_id.as_deref() == Some(ADMIN_CLIENT);
    if is_internal(topic) && !admin() {
        let text = format!("Cannot append to internal topic {topic}");
        return Appended::Failed(ErrorCode::InvalidTopicException, Vec::new(), Some(text));
    }
    if call.version() < FIRST_VERSION_OF_FORMAT_2 {
        return Appended::failed(ErrorCode::UnsupportedForMessageFormat);
    }
    let Some(partition) = broker.store.partition(topic, data.index) else {
        return Appended::failed(broker.why_missing(topic, data.index));
    };
    let Some(mut records) = data.records.filter(|records| !records.is_empty()) else {
        return Appended::failed(ErrorCode::InvalidRecord);
    };
    if call.version() < FIRST_VERSION_OF_ZSTD && is_zstd(&records) {
        return Appended::failed(ErrorCode::UnsupportedCompressionType);
    }
    let verification = match verdict {
        Ok(verification) => verification,
        Err((code, text)) => return Appended::Failed(code, Vec::new(), text),
    };
    let options = AppendOptions { verification, ..AppendOptions::client(acks) };
    match partition.append(&mut records, options, now) {
        Ok(answer) => Appended::Done(answer),
        Err(error) => failed(error),
    }
}

/// Whether the first batch says that Zstandard compressed it: the codec is the last three bits of its
/// attributes.
fn is_zstd(records: &[u8]) -> bool {
    records.get(SECOND_ATTRIBUTE_BYTE).is_some_and(|attributes| attributes & 7 == 4)
}

fn failed(error: ProduceError) -> Appended {
    let code = error.code();
    match error {
        ProduceError::Records(AppendError::Records(rejected)) => {
            let text = "One or more records have been rejected".to_owned();
            Appended::Failed(code, rejected, Some(text))
        }
        ProduceError::Records(AppendError::Producer(ProducerError::NotVerified { .. })) => {
            let text = "Record was not part of an ongoing transaction".to_owned();
            Appended::Failed(code, Vec::new(), Some(text))
        }
        ProduceError::Records(error) => Appended::Failed(code, Vec::new(), Some(error.to_string())),
        ProduceError::Refused(_) | ProduceError::NotEnoughReplicas => Appended::failed(code),
    }
}

/// Waits for what was appended, at most until `deadline`.
async fn finish(call: &Call, topics: Topics, deadline: Instant) -> ProduceResponse {
    let mut responses = Vec::with_capacity(topics.len());
    for (name, partitions) in topics {
        let mut partition_responses = Vec::with_capacity(partitions.len());
        for (index, mut appended) in partitions {
            if let Appended::Done(AppendAnswer { wait: wait @ Some(_), .. }) = &mut appended
                && let Some(wait) = wait.take()
            {
                let failure = match timeout_at(deadline, wait.done()).await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.code()),
                    Err(_) => Some(ErrorCode::RequestTimedOut),
                };
                if let Some(code) = failure {
                    call.broker.stats.unacknowledged(&name, code);
                    appended = Appended::failed(code);
                }
            }
            partition_responses.push(said(call, &name, index, appended));
        }
        responses.push(TopicProduceResponse { name, partition_responses });
    }
    ProduceResponse { responses, ..Default::default() }
}

fn current_leader(call: &Call, topic: &str, index: i32) -> LeaderIdAndEpoch {
    let (leader_id, leader_epoch) = call.broker.leader_and_epoch(topic, index).unwrap_or((-1, -1));
    LeaderIdAndEpoch { leader_id, leader_epoch }
}

fn said(call: &Call, topic: &str, index: i32, appended: Appended) -> PartitionProduceResponse {
    match appended {
        Appended::Done(AppendAnswer { appended, .. }) => PartitionProduceResponse {
            index,
            base_offset: appended.first_offset,
            log_append_time_ms: appended.log_append_time.unwrap_or(-1),
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Appended::Failed(code, rejected, error_message) => PartitionProduceResponse {
            index,
            error_code: code.code(),
            current_leader: match code {
                ErrorCode::NotLeaderOrFollower if call.version() >= FIRST_VERSION_OF_LEADERS => {
                    current_leader(call, topic, index)
                }
                _ => LeaderIdAndEpoch::default(),
            },
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: rejected
                .into_iter()
                .map(|record| BatchIndexAndErrorMessage {
                    batch_index: record.index,
                    batch_index_error_message: Some(record.fault.to_string()),
                })
                .collect(),
            error_message,
        },
    }
}
