//! What clients were told, and what must never be told otherwise from there on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use polyport_log::TopicPartition;
use polyport_log::batch::{Batch, EndMarker};

/// A record as a consumer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A client's value, unique in the run but for what is sent again.
    Value(u64),
    /// A marker: the producer, and whether its transaction was committed.
    Marker(i64, bool),
}

/// A record where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its offset.
    pub offset: i64,
    /// What it is.
    pub content: Content,
    /// Its producer; -1 for none.
    pub producer_id: i64,
    /// It belongs to a transaction.
    pub is_transactional: bool,
}

/// How a transaction ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// EndTxn was answered.
    Committed,
    /// EndTxn was answered, or nothing else is possible.
    Aborted,
    /// Either.
    Unknown,
}

/// A transaction of a client.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// How it ended.
    pub ended: Ended,
    /// What was acknowledged.
    pub records: Vec<(TopicPartition, u64)>,
}

/// Writes into a digest.
struct Digest<'a>(&'a mut u64);

impl fmt::Write for Digest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // FNV-1a.
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// Everything that was seen.
#[derive(Default)]
pub struct History {
    /// Milliseconds since the run began.
    pub now: u64,
    /// Of all that happened.
    pub digest: u64,
    /// Broken promises.
    pub violations: Vec<String>,
    trace: bool,
    /// What consumers saw below a high watermark, or producers were told with `acks=all`.
    pub placed: BTreeMap<TopicPartition, BTreeMap<i64, Content>>,
    /// Values acknowledged with `acks=all`, by partition.
    pub acknowledged: BTreeMap<TopicPartition, BTreeSet<u64>>,
    /// The greatest end that a consumer was told, by consumer.
    ends: BTreeMap<(usize, TopicPartition), i64>,
    /// High watermarks by the leader that told them.
    high_watermarks: BTreeMap<(TopicPartition, i32, i32, u64), i64>,
    /// Transactions by number.
    pub transactions: BTreeMap<u64, Transaction>,
    /// Of which transaction a value is.
    pub transaction_of: BTreeMap<u64, u64>,
    /// What a consumer of committed records saw, by consumer: how often.
    pub committed: BTreeMap<(usize, TopicPartition), BTreeMap<u64, u32>>,
    /// Requests answered.
    pub answered: usize,
    /// Elections and other changes of partitions' states.
    pub states: usize,
    /// Batches sent again that the leader had, and did not know any more.
    pub forgotten: usize,
    /// Records removed by followers that had more than their leader.
    pub truncations: usize,
}

impl History {
    /// Nothing has happened.
    pub fn new(trace: bool) -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, trace, ..Self::default() }
    }

    /// Something happens.
    pub fn event(&mut self, what: fmt::Arguments<'_>) {
        let _ = Digest(&mut self.digest).write_fmt(format_args!("{} {what}\n", self.now));
        if self.trace {
            println!("{:>7} {what}", self.now);
        }
    }

    /// A promise is broken.
    pub fn violation(&mut self, what: String) {
        self.event(format_args!("VIOLATION {what}"));
        if self.violations.len() < 20 {
            self.violations.push(format!("{} ms: {what}", self.now));
        }
    }

    /// There is this record at this offset, for good.
    pub fn place(&mut self, of: &TopicPartition, offset: i64, content: Content, who: &str) {
        let known = self.placed.entry(of.clone()).or_default().insert(offset, content);
        if let Some(known) = known.filter(|known| *known != content) {
            self.violation(format!(
                "two records at {}@{offset}: {known:?}, and for {who} {content:?}",
                of.dir_name()
            ));
        }
    }

    /// A producer was told that its batch is on all in-sync replicas.
    pub fn acknowledge(&mut self, of: &TopicPartition, first: i64, values: &[u64], who: &str) {
        for (offset, value) in (first..).zip(values) {
            self.place(of, offset, Content::Value(*value), who);
            self.acknowledged.entry(of.clone()).or_default().insert(*value);
        }
    }

    /// A consumer was told an end of the partition.
    pub fn end(&mut self, consumer: usize, of: &TopicPartition, end: i64) {
        let known = self.ends.entry((consumer, of.clone())).or_insert(0);
        let before = *known;
        *known = before.max(end);
        if end < before {
            let name = of.dir_name();
            self.violation(format!("the end of {name} went back from {before} to {end}"));
        }
    }

    /// A leader told its high watermark. `life`: of its process.
    pub fn high_watermark(
        &mut self,
        of: &TopicPartition,
        (node, life): (i32, u64),
        epoch: i32,
        at: i64,
    ) {
        let key = (of.clone(), epoch, node, life);
        let known = self.high_watermarks.entry(key).or_insert(0);
        let before = *known;
        *known = before.max(at);
        if at < before {
            let name = of.dir_name();
            self.violation(format!(
                "the high watermark of {name} on node {node} went back from {before} to {at} in epoch {epoch}"
            ));
        }
    }

    /// A consumer of committed records saw a value.
    pub fn saw_committed(&mut self, consumer: usize, of: &TopicPartition, value: u64) {
        let seen = self.committed.entry((consumer, of.clone())).or_default();
        *seen.entry(value).or_default() += 1;
    }
}

/// What is in some batches.
///
/// # Errors
/// What is wrong with them.
pub fn sightings(bytes: &[u8]) -> Result<Vec<Sighting>, String> {
    let mut all = Vec::new();
    let mut rest = bytes;
    let mut scratch = Vec::new();
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest).map_err(|error| error.to_string())?;
        rest = after;
        batch.check_crc().map_err(|error| error.to_string())?;
        let header = *batch.header();
        let marker = match header.attributes.is_control() {
            true => EndMarker::read(&batch).map_err(|error| error.to_string())?,
            false => None,
        };
        let records = batch.records(&mut scratch, 1 << 20).map_err(|error| error.to_string())?;
        for record in records {
            let record = record.map_err(|error| error.to_string())?;
            let content = match marker {
                Some(marker) => Content::Marker(header.producer_id, marker.commit),
                None => Content::Value(value_of(record.value.unwrap_or_default())),
            };
            all.push(Sighting {
                offset: record.offset,
                content,
                producer_id: header.producer_id,
                is_transactional: header.attributes.is_transactional(),
            });
        }
    }
    Ok(all)
}

/// A client's value, or a digest of what is none: coordinators' records.
fn value_of(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        bytes
            .iter()
            .fold(1 << 63, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()))
    })
}
