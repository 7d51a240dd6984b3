//! Records that wait to be sent, in batches, and what is known of their topics.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use polyport_log::batch::{Attributes, BatchBuilder, Codec};

use super::{ProducerConfig, Record};
use crate::kafka::client::ClientError;

/// What a topic's metadata says.
#[derive(Clone, Debug)]
pub struct Topic {
    /// How many partitions there are.
    pub partitions: i32,
    /// The leader of each that has one.
    pub leaders: BTreeMap<i32, i32>,
}

/// A batch on its way.
#[derive(Debug)]
pub struct Batch<T> {
    /// Its records.
    pub builder: BatchBuilder,
    /// About how large it is.
    pub bytes: usize,
    /// When it got its first record.
    pub since: Instant,
    /// The tokens of its records.
    pub tokens: Vec<T>,
    /// How often it was sent.
    pub attempts: u32,
    /// Not to be sent before.
    pub not_before: Option<Instant>,
    /// Its producer's id and epoch and its first sequence number, once it was sent.
    pub sequence: Option<(i64, i16, i32)>,
}

/// The batches of a partition.
#[derive(Debug)]
struct Queue<T> {
    batches: VecDeque<Batch<T>>,
    on_its_way: bool,
}

/// A partition of a topic, as a key.
pub type Place = (String, i32);

/// Everything that waits.
pub struct Accumulator<T> {
    linger: Duration,
    batch_bytes: usize,
    buffer_bytes: usize,
    codec: Codec,
    topics: BTreeMap<String, Topic>,
    refused: BTreeMap<String, ClientError>,
    wanted: BTreeSet<String>,
    queues: BTreeMap<String, BTreeMap<i32, Queue<T>>>,
    waiting_bytes: usize,
    waiting_batches: usize,
    /// The producer ends when everything is sent.
    pub closing: bool,
    /// How many wait until everything is sent.
    pub flushing: usize,
}

impl<T> Accumulator<T> {
    /// With nothing in it.
    pub fn new(config: &ProducerConfig) -> Self {
        Self {
            linger: config.linger,
            batch_bytes: config.batch_bytes,
            buffer_bytes: config.buffer_bytes,
            codec: config.codec,
            topics: BTreeMap::new(),
            refused: BTreeMap::new(),
            wanted: BTreeSet::new(),
            queues: BTreeMap::new(),
            waiting_bytes: 0,
            waiting_batches: 0,
            closing: false,
            flushing: 0,
        }
    }

    /// How many partitions a topic has, if that is known.
    pub fn partitions(&self, topic: &str) -> Option<i32> {
        self.topics.get(topic).map(|topic| topic.partitions)
    }

    /// Asks for a topic's metadata.
    pub fn want(&mut self, topic: &str) {
        if !self.wanted.contains(topic) {
            self.wanted.insert(topic.to_owned());
        }
    }

    /// Why a topic's metadata does not come, if the broker refused it; told once, then it may be
    /// asked for again.
    pub fn refused(&mut self, topic: &str) -> Option<ClientError> {
        self.refused.remove(topic)
    }

    /// The topics whose metadata is wanted.
    pub fn wanted(&self) -> Vec<String> {
        self.wanted.iter().cloned().collect()
    }

    /// Takes a topic's metadata.
    pub fn learn(&mut self, name: &str, topic: Result<Topic, ClientError>) {
        match topic {
            Ok(topic) => {
                self.wanted.remove(name);
                self.refused.remove(name);
                self.topics.insert(name.to_owned(), topic);
            }
            Err(error) => {
                self.wanted.remove(name);
                self.refused.insert(name.to_owned(), error);
            }
        }
    }

    /// Whether there is room for a record; an empty accumulator has room for any.
    pub fn has_room(&self, size: usize) -> bool {
        self.waiting_bytes == 0 || self.waiting_bytes + size <= self.buffer_bytes
    }

    /// Adds a record; whether there is something to be sent at once.
    pub fn push(
        &mut self,
        (topic, partition): (&str, i32),
        timestamp: i64,
        record: &Record<'_>,
        size: usize,
        token: T,
    ) -> bool {
        if !self.queues.contains_key(topic) {
            self.queues.insert(topic.to_owned(), BTreeMap::new());
        }
        let Some(partitions) = self.queues.get_mut(topic) else { return false };
        let queue = partitions
            .entry(partition)
            .or_insert_with(|| Queue { batches: VecDeque::new(), on_its_way: false });
        let open = queue
            .batches
            .back()
            .is_some_and(|batch| batch.attempts == 0 && batch.bytes + size <= self.batch_bytes);
        let mut news = false;
        if !open {
            let attributes = Attributes::default().with_codec(self.codec);
            // A batch that is full now, or one that is to go at once: the sender has work.
            news = true;
            self.waiting_batches += 1;
            queue.batches.push_back(Batch {
                builder: BatchBuilder::new(0).attributes(attributes),
                bytes: 0,
                since: Instant::now(),
                tokens: Vec::new(),
                attempts: 0,
                not_before: None,
                sequence: None,
            });
        }
        let Some(batch) = queue.batches.back_mut() else { return news };
        match record.headers {
            [] => batch.builder.push(timestamp, record.key, record.value),
            headers => {
                batch.builder.push_with_headers(timestamp, record.key, record.value, headers);
            }
        }
        batch.bytes += size;
        batch.tokens.push(token);
        self.waiting_bytes += size;
        news || batch.bytes >= self.batch_bytes
    }

    /// Takes the batches that are to be sent now, one a partition at most, and tells when the next
    /// ones will be. A topic whose leader is not known is wanted.
    pub fn drain(
        &mut self,
        now: Instant,
        limit: usize,
    ) -> (Vec<(i32, Place, Batch<T>)>, Option<Instant>) {
        let mut ready = Vec::new();
        let mut next: Option<Instant> = None;
        let mut sizes: BTreeMap<i32, usize> = BTreeMap::new();
        let at_once = self.closing || self.flushing > 0;
        for (topic, partitions) in &mut self.queues {
            for (partition, queue) in partitions {
                if queue.on_its_way {
                    continue;
                }
                let more = queue.batches.len() > 1;
                let Some(first) = queue.batches.front() else { continue };
                let full = more || first.bytes >= self.batch_bytes || at_once;
                let lingered =
                    if full || first.attempts > 0 { now } else { first.since + self.linger };
                let due = first.not_before.unwrap_or(lingered).max(lingered);
                if due > now {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    continue;
                }
                let leader = self.topics.get(topic).and_then(|it| it.leaders.get(partition));
                let Some(leader) = leader.copied() else {
                    self.wanted.insert(topic.clone());
                    continue;
                };
                let size = sizes.entry(leader).or_default();
                if *size > 0 && *size + first.bytes > limit {
                    next = Some(now);
                    continue;
                }
                *size += first.bytes;
                queue.on_its_way = true;
                if let Some(batch) = queue.batches.pop_front() {
                    ready.push((leader, (topic.clone(), *partition), batch));
                }
            }
        }
        (ready, next)
    }

    /// A batch comes back to be sent again.
    pub fn put_back(&mut self, (topic, partition): &Place, batch: Batch<T>) {
        if let Some(queue) = self.queue(topic, *partition) {
            queue.batches.push_front(batch);
            queue.on_its_way = false;
        }
        self.wanted.insert(topic.clone());
    }

    /// A batch that was too large comes back as several.
    pub fn put_back_parts(&mut self, (topic, partition): &Place, parts: Vec<Batch<T>>) {
        self.waiting_batches += parts.len().saturating_sub(1);
        if let Some(queue) = self.queue(topic, *partition) {
            parts.into_iter().rev().for_each(|part| queue.batches.push_front(part));
            queue.on_its_way = false;
        }
    }

    /// A batch is done, well or not.
    pub fn done(&mut self, (topic, partition): &Place, bytes: usize) {
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        self.waiting_batches = self.waiting_batches.saturating_sub(1);
        if let Some(queue) = self.queue(topic, *partition) {
            queue.on_its_way = false;
        }
    }

    fn queue(&mut self, topic: &str, partition: i32) -> Option<&mut Queue<T>> {
        self.queues.get_mut(topic)?.get_mut(&partition)
    }

    /// Takes the batches whose time is over.
    pub fn expired(&mut self, now: Instant, timeout: Duration) -> Vec<(Place, Batch<T>)> {
        let mut expired = Vec::new();
        for (topic, partitions) in &mut self.queues {
            for (partition, queue) in partitions {
                while !queue.on_its_way
                    && queue.batches.front().is_some_and(|batch| now >= batch.since + timeout)
                {
                    let Some(batch) = queue.batches.pop_front() else { break };
                    expired.push(((topic.clone(), *partition), batch));
                }
            }
        }
        expired
    }

    /// Forgets the sequence numbers that were given, since the producer has a new id.
    pub fn forget_sequences(&mut self) {
        let queues = self.queues.values_mut().flat_map(BTreeMap::values_mut);
        queues.flat_map(|queue| &mut queue.batches).for_each(|batch| batch.sequence = None);
    }

    /// Whether nothing waits and nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.waiting_batches == 0
    }
}
