//! Appending: as the leader, which gives offsets, and as a follower, which takes the leader's.

use polyport_base::Millis;
use polyport_storage::Disk;

use super::Log;
use crate::batch::header::{set_place, set_timestamp};
use crate::batch::{
    Batch, BatchBuilder, BatchError, Codec, EndMarker, Header, RecordRules, RejectedRecord,
    check_client_header, check_records,
};
use crate::config::{Compression, Inspect, LogConfig};
use crate::error::LogError;
use crate::producer::{Origin, ProducerError, Verification};
use crate::segment::{AppendFacts, TimestampOffset};

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's offset.
    pub first_offset: i64,
    /// The last record's offset.
    pub last_offset: i64,
    /// When the records were appended, if the topic's timestamps are that.
    pub log_append_time: Option<i64>,
    /// The log start offset then.
    pub log_start_offset: i64,
    /// The batch is in the log already: nothing was written.
    pub duplicate: bool,
}

/// Why records were not appended. The log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_FOR_MESSAGE_FORMAT: see the variants.
    #[error("bad batch")]
    Batch(#[from] BatchError),
    /// INVALID_RECORD or INVALID_TIMESTAMP, with the records that are to blame.
    #[error("{} records break the topic's rules", .0.len())]
    Records(Vec<RejectedRecord>),
    /// MESSAGE_TOO_LARGE.
    #[error("a batch of {bytes} bytes; max.message.bytes is {limit_bytes}")]
    TooLarge {
        /// The batch's.
        bytes: usize,
        /// The topic's.
        limit_bytes: usize,
    },
    /// RECORD_LIST_TOO_LARGE.
    #[error("{bytes} bytes in one append; segment.bytes is {limit_bytes}")]
    ListTooLarge {
        /// The append's.
        bytes: usize,
        /// The topic's.
        limit_bytes: u64,
    },
    /// INVALID_RECORD: clients append one batch at a time.
    #[error("a client's append has one batch, no more and no less")]
    NotOneBatch,
    /// A follower's records do not follow its log's end. Kafka's OffsetsOutOfOrderException or
    /// UnexpectedAppendOffsetException.
    #[error("records at {found}, expected at {expected} or later")]
    OutOfOrder {
        /// The batch's base offset.
        found: i64,
        /// The log's end, or the offset after the batch before.
        expected: i64,
    },
    /// See its variants.
    #[error("refused producer")]
    Producer(#[from] ProducerError),
    /// KAFKA_STORAGE_ERROR.
    #[error("the disk failed")]
    Log(#[from] LogError),
}

/// What the batches of one append are together.
#[derive(Clone, Copy, Debug)]
struct Span {
    first_offset: i64,
    last_offset: i64,
    max_timestamp: TimestampOffset,
    messages: u64,
}

impl<D: Disk> Log<D> {
    /// Appends a client's or a coordinator's records at the log's end. Offsets, leader epoch and, if
    /// need be, timestamps are written into `records` before it goes to the disk, in one write.
    ///
    /// # Errors
    /// Every variant but `OutOfOrder`. After `Log` the append may be tried again unless the log is
    /// poisoned.
    pub fn append_as_leader(
        &mut self,
        records: &mut [u8],
        leader_epoch: i32,
        origin: Origin,
        now: Millis,
    ) -> Result<Appended, AppendError> {
        let checked = check_for_leader(&self.config, records, origin, now)?;
        let producer = (origin, Verification::NotNeeded);
        self.append_checked(records, checked, leader_epoch, producer, now)
    }

    /// Appends records that were checked, under the same configuration or the one before.
    ///
    /// # Errors
    /// `Producer`, `ListTooLarge`, `Log`.
    pub fn append_checked(
        &mut self,
        records: &mut [u8],
        mut checked: Checked,
        leader_epoch: i32,
        producer: (Origin, Verification),
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.usable()?;
        match &mut checked.rebuilt {
            None => self.place_and_write(records, leader_epoch, producer, now),
            Some(rebuilt) => self.place_and_write(rebuilt, leader_epoch, producer, now),
        }
    }

    fn place_and_write(
        &mut self,
        records: &mut [u8],
        leader_epoch: i32,
        producer: (Origin, Verification),
        now: Millis,
    ) -> Result<Appended, AppendError> {
        self.check_list(records.len())?;
        let append_time = self.config.log_append_time;
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        let mut duplicate = None;
        let mut next = self.log_end;
        let mut at = 0;
        let placed = (|| {
            while at < records.len() {
                let (batch, _) = Batch::split_first(&records[at..])?;
                let header = *batch.header();
                if header.attributes.is_control() {
                    if let Some(marker) = EndMarker::read(&batch)? {
                        self.producers.check_marker(&header, marker)?;
                    }
                } else if header.has_producer_id() {
                    if producer.0 == Origin::Client
                        && let Some(found) = self.producers.duplicate(&header)
                    {
                        duplicate = Some(found);
                        return Ok(());
                    }
                    self.check_producer(&header, producer)?;
                }
                let bytes = &mut records[at..at + header.size_bytes];
                set_place(bytes, next, leader_epoch);
                if append_time {
                    set_timestamp(bytes, true, now.0);
                } else if header.attributes.is_log_append_time() {
                    set_timestamp(bytes, false, header.max_timestamp);
                }
                let header = Header::parse(bytes)?;
                next = header.next_offset();
                headers.push(header);
                at += header.size_bytes;
            }
            Ok::<_, AppendError>(())
        })();
        let log_append_time = append_time.then_some(now.0);
        let done = match (placed, duplicate) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(found)) => Ok(Appended {
                first_offset: found.first_offset(),
                last_offset: found.last_offset,
                log_append_time: append_time.then_some(found.timestamp),
                log_start_offset: self.log_start,
                duplicate: true,
            }),
            (Ok(()), None) => self.write(records, &headers, now).map(|span| Appended {
                first_offset: span.first_offset,
                last_offset: span.last_offset,
                log_append_time,
                log_start_offset: self.log_start,
                duplicate: false,
            }),
        };
        self.headers = headers;
        done
    }

    fn check_producer(
        &self,
        header: &Header,
        (origin, verification): (Origin, Verification),
    ) -> Result<(), ProducerError> {
        let begins = header.attributes.is_transactional()
            && !self.producers.is_in_transaction(header.producer_id);
        if begins {
            self.verifications.check(header, verification)?;
        }
        self.producers.check(header, origin)?;
        match origin {
            Origin::Client => self.verifications.check_sequence(header),
            Origin::Coordinator | Origin::Replication => Ok(()),
        }
    }

    fn check_list(&self, bytes: usize) -> Result<(), AppendError> {
        let limit_bytes = self.config.segment_bytes.min(i32::MAX as u64);
        if bytes as u64 > limit_bytes {
            return Err(AppendError::ListTooLarge { bytes, limit_bytes });
        }
        Ok(())
    }

    /// Appends batches fetched from the leader, byte for byte. Offsets may skip, as they do after
    /// compaction, but never go back. More than a segment holds is appended in parts.
    ///
    /// # Errors
    /// `Batch`, `OutOfOrder`: nothing was appended. `ListTooLarge` for a batch that no segment can
    /// hold, `Log`: a part may have been, as the log's end says.
    pub fn append_as_follower(
        &mut self,
        records: &[u8],
        now: Millis,
    ) -> Result<Option<Appended>, AppendError> {
        self.usable()?;
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        let mut expected = self.log_end;
        let mut rest = records;
        let checked = (|| {
            while !rest.is_empty() {
                let (batch, after) = match Batch::split_first(rest) {
                    // A fetch may end within a batch.
                    Err(BatchError::Incomplete { .. }) => break,
                    other => other?,
                };
                batch.check_crc()?;
                let header = *batch.header();
                if header.base_offset < expected || header.last_offset_delta < 0 {
                    return Err(AppendError::OutOfOrder { found: header.base_offset, expected });
                }
                expected = header.next_offset();
                headers.push(header);
                rest = after;
            }
            Ok(())
        })();
        let whole = &records[..records.len() - rest.len()];
        let done = match checked {
            Err(error) => Err(error),
            Ok(()) if headers.is_empty() => Ok(None),
            Ok(()) => self.write_parts(whole, &headers, now).map(Some),
        };
        self.headers = headers;
        done
    }

    fn write_parts(
        &mut self,
        mut records: &[u8],
        mut headers: &[Header],
        now: Millis,
    ) -> Result<Appended, AppendError> {
        let first_offset = headers.first().map_or(-1, |first| first.base_offset);
        let limit = self.config.segment_bytes;
        while !headers.is_empty() {
            let mut bytes = 0;
            let fits = headers.iter().take_while(|header| {
                bytes += header.size_bytes as u64;
                bytes <= limit
            });
            let (part, rest) = headers.split_at(fits.count().max(1));
            let len = part.iter().map(|header| header.size_bytes).sum();
            self.check_list(len)?;
            let (bytes, after) = records.split_at(len);
            self.write(bytes, part, now)?;
            (headers, records) = (rest, after);
        }
        Ok(Appended {
            first_offset,
            last_offset: self.log_end - 1,
            log_append_time: None,
            log_start_offset: self.log_start,
            duplicate: false,
        })
    }

    /// Writes checked batches and takes them into the state.
    fn write(
        &mut self,
        records: &[u8],
        headers: &[Header],
        now: Millis,
    ) -> Result<Span, AppendError> {
        let span = span(headers);
        if self.must_roll(records.len() as u64, &span, now) {
            self.roll(now)?;
            // The distance from the base decides again: a follower's offsets may skip far.
            if !self.active().has_room(span.last_offset) {
                return Err(AppendError::OutOfOrder {
                    found: span.last_offset,
                    expected: self.log_end,
                });
            }
        }
        for header in headers {
            self.epochs.note(header.leader_epoch, header.base_offset);
        }
        let facts =
            AppendFacts { last_offset: span.last_offset, max_timestamp: span.max_timestamp };
        let position = self.active().size;
        self.active().append(records, facts)?;
        self.log_end = span.last_offset + 1;
        self.unflushed_messages = self.unflushed_messages.saturating_add(span.messages);
        self.unflushed_bytes += records.len() as u64;
        self.unflushed_since.get_or_insert(now);
        let mut at = 0;
        for header in headers {
            let bytes = &records[at..at + header.size_bytes];
            at += header.size_bytes;
            let taken = self.take_in(header, || Ok(bytes.to_vec()), position);
            // The records are in the log, so the state must know them.
            taken.map_err(|error| self.poisoned(error))?;
        }
        Ok(span)
    }

    fn must_roll(&mut self, bytes: u64, span: &Span, now: Millis) -> bool {
        let (limit, wait) = (
            self.config.segment_bytes,
            self.config.segment_ms.saturating_sub(self.config.segment_jitter_ms),
        );
        let active = self.active();
        if active.size == 0 {
            return !active.has_room(span.last_offset);
        }
        let waited = match (active.first_timestamp().ok().flatten(), span.max_timestamp.timestamp) {
            (Some(first), last) if first >= 0 && last >= 0 => last.saturating_sub(first),
            _ => now.0.saturating_sub(active.seen),
        };
        active.size + bytes > limit || waited > wait || !active.has_room(span.last_offset)
    }
}

/// Records that [`check_for_leader`] has passed.
#[derive(Debug)]
#[must_use]
pub struct Checked {
    /// What is stored instead, if they cannot be stored as they are.
    rebuilt: Option<Vec<u8>>,
}

/// The part of [`Log::append_as_leader`] that needs no log, so that nobody need wait for it: checks
/// all batches, and makes those anew that the topic wants otherwise.
///
/// # Errors
/// `Batch`, `Records`, `TooLarge`, `NotOneBatch`.
pub fn check_for_leader(
    config: &LogConfig,
    records: &[u8],
    origin: Origin,
    now: Millis,
) -> Result<Checked, AppendError> {
    let mut rest = records;
    let mut rebuild = false;
    let mut count = 0;
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest)?;
        rest = after;
        count += 1;
        if origin == Origin::Client && !rest.is_empty() {
            return Err(AppendError::NotOneBatch);
        }
        check_size(config, batch.bytes().len())?;
        batch.check_crc()?;
        rebuild |= check_batch(config, &batch, origin, now)?;
    }
    if count == 0 {
        return Err(AppendError::NotOneBatch);
    }
    if !rebuild {
        return Ok(Checked { rebuilt: None });
    }
    let mut rebuilt = Vec::with_capacity(records.len());
    rest = records;
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest)?;
        rest = after;
        let at = rebuilt.len();
        rebuild_batch(config, &batch, &mut rebuilt)?;
        check_size(config, rebuilt.len() - at)?;
    }
    Ok(Checked { rebuilt: Some(rebuilt) })
}

fn check_size(config: &LogConfig, bytes: usize) -> Result<(), AppendError> {
    let limit_bytes = config.max_message_bytes;
    if bytes > limit_bytes {
        return Err(AppendError::TooLarge { bytes, limit_bytes });
    }
    Ok(())
}

/// Whether the batch must be made anew.
fn check_batch(
    config: &LogConfig,
    batch: &Batch<'_>,
    origin: Origin,
    now: Millis,
) -> Result<bool, AppendError> {
    let header = batch.header();
    if header.attributes.is_control() && origin != Origin::Client {
        return Ok(false);
    }
    check_client_header_of(header, origin)?;
    let source = header.attributes.codec()?;
    let other_codec = match config.compression {
        Compression::Producer => false,
        Compression::Codec(target) => target != source,
    };
    let timestamps = (!config.log_append_time).then(|| {
        let before = now.0.saturating_sub(config.timestamp_before_max_ms);
        (before, now.0.saturating_add(config.timestamp_after_max_ms))
    });
    let key_required = config.compact && origin == Origin::Client;
    let skip = config.inspect == Inspect::Headers
        && source != Codec::None
        && !key_required
        && timestamps.is_none_or(|(least, most)| least < 0 && header.max_timestamp <= most);
    if skip {
        return Ok(other_codec);
    }
    let facts = check_records(batch, &RecordRules { key_required, timestamps })?;
    if !facts.rejected.is_empty() {
        return Err(AppendError::Records(facts.rejected));
    }
    let wrong_time = !config.log_append_time && header.max_timestamp != facts.max_timestamp;
    Ok(other_codec || !facts.in_sequence || wrong_time)
}

/// The same records under this topic's codec, with offset deltas 0, 1, 2 …
fn rebuild_batch(
    config: &LogConfig,
    batch: &Batch<'_>,
    to: &mut Vec<u8>,
) -> Result<(), AppendError> {
    let mut scratch = Vec::new();
    let header = batch.header();
    if header.attributes.is_control() {
        to.extend_from_slice(batch.bytes());
        return Ok(());
    }
    let mut builder = BatchBuilder::like(header);
    if let Compression::Codec(codec) = config.compression {
        builder = builder.attributes(header.attributes.with_codec(codec));
    }
    for record in batch.records(&mut scratch, config.decompressed_limit_bytes)? {
        builder.copy_in_sequence(&record?);
    }
    let built = builder.build(config.compression_level, to);
    built
        .map_err(|error| BatchError::Compression { codec: "topic's", reason: error.to_string() })?;
    Ok(())
}

fn check_client_header_of(header: &Header, origin: Origin) -> Result<(), BatchError> {
    if origin == Origin::Client {
        return check_client_header(header);
    }
    // Coordinators have no sequences.
    let checked = Header { base_sequence: header.base_sequence.max(0), ..*header };
    check_client_header(&checked)
}

fn span(headers: &[Header]) -> Span {
    let mut span = Span {
        first_offset: headers.first().map_or(-1, |first| first.base_offset),
        last_offset: headers.last().map_or(-1, Header::last_offset),
        max_timestamp: TimestampOffset { timestamp: -1, offset: -1 },
        messages: 0,
    };
    for header in headers {
        span.messages += u64::from(header.count.max(0) as u32);
        if header.max_timestamp > span.max_timestamp.timestamp || span.max_timestamp.offset < 0 {
            let (timestamp, offset) = (header.max_timestamp, header.last_offset());
            span.max_timestamp = TimestampOffset { timestamp, offset };
        }
    }
    span
}
