//! A producer that batches: records go into a batch of their partition, and a thread of its own sends
//! batches that are full or have waited long enough, with the sequence numbers by which brokers know
//! what they have already.
//!
//! Each partition has one batch on its way at most, so that records stay in order whatever is tried
//! again. Absent: transactions.

mod accumulator;
mod config;
mod partitioner;
mod sender;

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{ClientError, Result};
use accumulator::Accumulator;
pub use config::ProducerConfig;
use partitioner::{Sticky, for_key};
use sender::Sender;

use crate::platform;
use crate::zk_cli::Console;

/// What is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// The partition; by key if not said.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; now if not said.
    pub timestamp: Option<i64>,
    /// Records of one key go to one partition.
    pub key: Option<&'a [u8]>,
    /// What it says.
    pub value: Option<&'a [u8]>,
    /// Beside what it says.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Where records ended up, or why they did not.
pub type Outcome = Result<Acknowledged>;

/// A batch that the leader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The offset of its first record; -1 where brokers do not say.
    pub base_offset: i64,
}

/// What is told of records that are done: their tokens, in order, and how they fared.
pub type OnDone<'a, T> = &'a (dyn Fn(Vec<T>, &Outcome) + Sync);

/// What the producer's two threads share.
struct Shared<T> {
    accumulator: Mutex<Accumulator<T>>,
    changed: Condvar,
}

/// A producer, while [`with`] lasts. `T` comes back with how each record fared.
pub struct Producer<'a, T> {
    shared: &'a Shared<T>,
    config: &'a ProducerConfig,
    sticky: Mutex<Sticky>,
}

/// Lets `work` send records; returns when all of them are done. The records' tokens come back through
/// `on_done`, on the sending thread, or on the caller's for records that were refused at once.
///
/// # Errors
/// As `work` says.
pub fn with<T: Send, R>(
    config: &ProducerConfig,
    console: &Console,
    on_done: OnDone<'_, T>,
    work: impl FnOnce(&Producer<'_, T>) -> R,
) -> R {
    let shared =
        Shared { accumulator: Mutex::new(Accumulator::new(config)), changed: Condvar::new() };
    std::thread::scope(|scope| {
        let sender = Sender::new(config, console, &shared, on_done);
        scope.spawn(move || sender.run());
        let _close = Close(&shared);
        let producer = Producer { shared: &shared, config, sticky: Mutex::default() };
        work(&producer)
    })
}

/// Lets the sender end once everything is sent, also when the work ends in a panic.
struct Close<'a, T>(&'a Shared<T>);

impl<T> Drop for Close<'_, T> {
    fn drop(&mut self) {
        self.0.accumulator.lock().closing = true;
        self.0.changed.notify_all();
    }
}

impl<T> Producer<'_, T> {
    /// Puts a record into a batch; waits while metadata or room is wanting.
    ///
    /// # Errors
    /// If the record is too large, or metadata or room do not come in time; the token comes back.
    pub fn send(
        &self,
        topic: &str,
        record: &Record<'_>,
        token: T,
    ) -> std::result::Result<(), (ClientError, T)> {
        let size = record_bytes(record);
        let limit = self.config.max_request_bytes;
        if size > limit {
            return Err((too_large(size, limit), token));
        }
        let deadline = Instant::now() + self.config.max_block;
        let mut accumulator = self.shared.accumulator.lock();
        let partitions = loop {
            match accumulator.partitions(topic) {
                Some(partitions) => break partitions,
                None => {
                    if let Some(error) = accumulator.refused(topic) {
                        return Err((error, token));
                    }
                    accumulator.want(topic);
                    self.shared.changed.notify_all();
                    if self.wait(&mut accumulator, deadline) {
                        return Err((self.absent(topic), token));
                    }
                }
            }
        };
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => for_key(key, partitions),
            (None, None) => {
                self.sticky.lock().next(topic, partitions, size, self.config.batch_bytes)
            }
        };
        while !accumulator.has_room(size) {
            if self.wait(&mut accumulator, deadline) {
                let message = format!(
                    "Failed to allocate {size} bytes within the configured max blocking time {} ms. \
                     Total memory: {} bytes.",
                    self.config.max_block.as_millis(),
                    self.config.buffer_bytes
                );
                return Err((ClientError::Timeout(message), token));
            }
        }
        let timestamp = record.timestamp.unwrap_or_else(platform::now_millis);
        let ready = accumulator.push((topic, partition), timestamp, record, size, token);
        drop(accumulator);
        if ready {
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Waits for a change; whether the time is over.
    fn wait(
        &self,
        accumulator: &mut parking_lot::MutexGuard<'_, Accumulator<T>>,
        deadline: Instant,
    ) -> bool {
        self.shared.changed.wait_until(accumulator, deadline).timed_out()
    }

    fn absent(&self, topic: &str) -> ClientError {
        ClientError::Timeout(format!(
            "Topic {topic} not present in metadata after {} ms.",
            self.config.max_block.as_millis()
        ))
    }

    /// Waits until every record so far is done.
    pub fn flush(&self) {
        let mut accumulator = self.shared.accumulator.lock();
        accumulator.flushing += 1;
        self.shared.changed.notify_all();
        while !accumulator.is_empty() {
            self.shared.changed.wait_for(&mut accumulator, Duration::from_secs(1));
        }
        accumulator.flushing -= 1;
    }
}

fn record_bytes(record: &Record<'_>) -> usize {
    /// Lengths, deltas and the batch's header at most.
    const AROUND: usize = 88;
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers: usize =
        record.headers.iter().map(|(key, value)| 10 + key.len() + length(*value)).sum();
    AROUND + length(record.key) + length(record.value) + headers
}

fn too_large(size: usize, limit: usize) -> ClientError {
    const MESSAGE_TOO_LARGE: i16 = 10;
    ClientError::Broker {
        code: MESSAGE_TOO_LARGE,
        message: Some(format!(
            "The message is {size} bytes when serialized which is larger than {limit}, which is the \
             value of the max.request.size configuration."
        )),
    }
}
