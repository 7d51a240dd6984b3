//! Reading records from leaders.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use polyport_kafka_codec::messages::fetch_request::{FetchPartition, FetchTopic};
use polyport_kafka_codec::messages::fetch_response::{AbortedTransaction, PartitionData};
use polyport_kafka_codec::messages::{FetchRequest, FetchResponse};
use polyport_log::batch::{Batch, BatchError, EndMarker, Record};

use super::{Consumer, Position};
use crate::kafka::client::{ClientError, Result, To, TopicPartition, known};

/// The last Fetch that names topics.
const FETCH: i16 = 12;
/// Neither in a session nor beginning one.
const NO_SESSION: i32 = -1;
/// Decompressed records beyond this are no batch of a broker.
const MAX_BATCH_BYTES: usize = 1 << 30;
/// How long over the broker's own waiting an answer may take.
const ANSWER_MARGIN: Duration = Duration::from_secs(30);

const OFFSET_OUT_OF_RANGE: i16 = 1;

/// What a record's timestamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// When it was made.
    CreateTime,
    /// When the broker took it.
    LogAppendTime,
}

/// A record and where it was.
pub struct Fetched<'a> {
    /// Its partition.
    pub partition: &'a TopicPartition,
    /// What its timestamp tells.
    pub timestamp_type: TimestampType,
    /// The record.
    pub record: &'a Record<'a>,
}

impl Consumer<'_> {
    /// Asks every leader once and gives the records to `each`; tells how many there were.
    pub(super) fn fetch(
        &mut self,
        end: Instant,
        each: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<usize> {
        let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, i64)>> = BTreeMap::new();
        for (partition, position) in &self.positions {
            if let Position { offset: Some(offset), leader: Some(leader) } = position {
                by_leader.entry(*leader).or_default().push((partition.clone(), *offset));
            }
        }
        if by_leader.is_empty() {
            self.client.pause(self.config.client.retry_backoff)?;
            return Ok(0);
        }
        let wait = end.saturating_duration_since(Instant::now()).min(self.config.fetch_max_wait);
        let deadline = Instant::now() + wait + ANSWER_MARGIN;
        let mut asked = Vec::new();
        for (leader, partitions) in by_leader {
            match self.ask(leader, &partitions, wait, deadline) {
                Ok(()) => asked.push(leader),
                Err(error) => self.unreachable(leader, error)?,
            }
        }
        let mut read = 0;
        let mut ended = false;
        for leader in asked {
            let connection = self.client.connection(&To::Node(leader), "fetch", deadline);
            let response = connection.and_then(|it| it.receive::<FetchResponse>(deadline));
            match response {
                Ok(_) if ended => {}
                Ok(response) => {
                    let (count, flow) = self.take(response, each)?;
                    read += count;
                    ended = flow.is_break();
                }
                Err(error) => self.unreachable(leader, error)?,
            }
        }
        Ok(read)
    }

    fn ask(
        &mut self,
        leader: i32,
        partitions: &[(TopicPartition, i64)],
        wait: Duration,
        deadline: Instant,
    ) -> Result<()> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (partition, offset) in partitions {
            let asked = FetchPartition {
                partition: partition.partition,
                current_leader_epoch: -1,
                fetch_offset: *offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.config.max_partition_bytes,
                ..FetchPartition::default()
            };
            match topics.last_mut().filter(|topic| topic.topic == partition.topic) {
                Some(topic) => topic.partitions.push(asked),
                None => topics.push(FetchTopic {
                    topic: partition.topic.clone(),
                    partitions: vec![asked],
                    ..FetchTopic::default()
                }),
            }
        }
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.fetch_min_bytes,
            max_bytes: self.config.fetch_max_bytes,
            isolation_level: i8::from(self.config.read_committed),
            session_epoch: NO_SESSION,
            topics,
            ..FetchRequest::default()
        };
        let connection = self.client.connection(&To::Node(leader), "fetch", deadline)?;
        let version = connection.version::<FetchRequest>(FETCH)?;
        connection.send(&request, version, deadline)
    }

    /// A leader that does not answer may be none any more.
    fn unreachable(&mut self, leader: i32, error: ClientError) -> Result<()> {
        self.client.forget(&To::Node(leader));
        match error {
            ClientError::Disconnected | ClientError::Timeout(_) => {
                let led = self.positions.values_mut().filter(|it| it.leader == Some(leader));
                led.for_each(|position| position.leader = None);
                self.client.pause(self.config.client.retry_backoff)
            }
            other => Err(other),
        }
    }

    fn take(
        &mut self,
        response: FetchResponse,
        each: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>)> {
        ClientError::check(response.error_code, None)?;
        let mut read = 0;
        let mut gone = Vec::new();
        for topic in response.responses {
            for data in topic.partitions {
                let partition = TopicPartition::new(topic.topic.clone(), data.partition_index);
                let code = data.error_code;
                if code == OFFSET_OUT_OF_RANGE {
                    gone.push(partition);
                    continue;
                }
                if code != 0 {
                    if !known(code).retriable {
                        return ClientError::check(code, None)
                            .map(|()| (0, ControlFlow::Continue(())));
                    }
                    if let Some(position) = self.positions.get_mut(&partition) {
                        position.leader = None;
                    }
                    continue;
                }
                let (count, flow) = self.take_partition(&partition, data, each)?;
                read += count;
                if flow.is_break() {
                    return Ok((read, flow));
                }
            }
        }
        self.reset(&gone)?;
        Ok((read, ControlFlow::Continue(())))
    }

    fn take_partition(
        &mut self,
        partition: &TopicPartition,
        data: PartitionData,
        each: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>)> {
        let Some(position) = self.positions.get_mut(partition) else {
            return Ok((0, ControlFlow::Continue(())));
        };
        let Some(bytes) = data.records.as_ref().and_then(|records| records.bytes()) else {
            return Ok((0, ControlFlow::Continue(())));
        };
        let aborted = data.aborted_transactions.filter(|_| self.config.read_committed);
        let mut aborted = Aborted::new(aborted.unwrap_or_default());
        let mut from = position.offset.unwrap_or_default();
        let mut read = 0;
        let mut flow = ControlFlow::Continue(());
        let mut rest = &bytes[..];
        while !rest.is_empty() && flow.is_continue() {
            let (batch, after) = match Batch::split_first(rest) {
                Ok(split) => split,
                // Brokers cut an answer off in the middle of a batch.
                Err(BatchError::Incomplete { .. }) => break,
                Err(error) => return Err(malformed(partition, &error)),
            };
            rest = after;
            if self.config.check_crcs {
                batch.check_crc().map_err(|error| malformed(partition, &error))?;
            }
            if aborted.hides(&batch).map_err(|error| malformed(partition, &error))? {
                from = from.max(batch.header().next_offset());
                continue;
            }
            let mut scratch = Vec::new();
            let records = batch.records(&mut scratch, MAX_BATCH_BYTES);
            let timestamp_type = match batch.header().attributes.is_log_append_time() {
                true => TimestampType::LogAppendTime,
                false => TimestampType::CreateTime,
            };
            for record in records.map_err(|error| malformed(partition, &error))? {
                let record = record.map_err(|error| malformed(partition, &error))?;
                if record.offset < from {
                    continue;
                }
                read += 1;
                from = record.offset + 1;
                flow = each(&Fetched { partition, timestamp_type, record: &record });
                if flow.is_break() {
                    break;
                }
            }
            if flow.is_continue() {
                from = from.max(batch.header().next_offset());
            }
        }
        position.offset = Some(from);
        Ok((read, flow))
    }
}

fn malformed(partition: &TopicPartition, error: &BatchError) -> ClientError {
    ClientError::Protocol(format!(
        "Received exception when fetching the next record from {partition}. If needed, please seek \
         past the record to continue consumption. ({error})"
    ))
}

/// The transactions that were aborted, while a partition's batches are gone through in order.
struct Aborted {
    /// Those to come, the nearest last.
    ahead: Vec<AbortedTransaction>,
    producers: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut transactions: Vec<AbortedTransaction>) -> Self {
        transactions.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: transactions, producers: BTreeSet::new() }
    }

    /// Whether a batch is not for the reader: a marker, or part of an aborted transaction.
    fn hides(&mut self, batch: &Batch<'_>) -> std::result::Result<bool, BatchError> {
        let header = batch.header();
        while let Some(next) = self.ahead.last()
            && next.first_offset <= header.last_offset()
        {
            self.producers.insert(next.producer_id);
            self.ahead.pop();
        }
        if header.attributes.is_control() {
            if let Some(EndMarker { commit: false, .. }) = EndMarker::read(batch)? {
                self.producers.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.attributes.is_transactional() && self.producers.contains(&header.producer_id))
    }
}

#[cfg(test)]
mod tests {
    use polyport_log::batch::{Attributes, BatchBuilder};

    use super::*;

    fn batch(offset: i64, producer: i64, transactional: bool) -> Vec<u8> {
        let attributes = Attributes::default().with_transactional(transactional);
        let mut builder = BatchBuilder::new(offset).attributes(attributes).producer(producer, 0, 0);
        builder.push(1, None, Some(b"x"));
        let mut bytes = Vec::new();
        builder.build(None, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_aborted_is_not_shown() {
        let transaction = AbortedTransaction { producer_id: 7, first_offset: 1 };
        let mut aborted = Aborted::new(vec![transaction]);
        let mut hides =
            |bytes: &[u8]| aborted.hides(&Batch::split_first(bytes).unwrap().0).unwrap();
        assert!(!hides(&batch(0, 7, true)), "committed before");
        assert!(hides(&batch(1, 7, true)));
        assert!(!hides(&batch(2, 8, true)) && !hides(&batch(3, 7, false)));
        let marker = EndMarker { commit: false, coordinator_epoch: 0 }.build(7, 0, 1);
        assert!(hides(&marker), "markers are nobody's records");
        assert!(!hides(&batch(5, 7, true)), "the next transaction");
    }
}
