//! What a broker checks in a batch before it appends it. Nothing is allocated for a record of an
//! uncompressed batch.

use super::compression::Codec;
use super::source::{Slice, Source, Stream};
use super::{Batch, BatchError, Header};

/// Limits on records that clients send.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordRules {
    /// Whether each record needs a key: compacted topics.
    pub key_required: bool,
    /// Least and greatest timestamp of a record, if timestamps are the producer's.
    pub timestamps: Option<(i64, i64)>,
}

/// Why one record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// It needs a key. INVALID_RECORD.
    #[error("Compacted topic cannot accept message without key")]
    NoKey,
    /// Its timestamp is out of range. INVALID_TIMESTAMP.
    #[error("Timestamp {0} of message is out of range")]
    Timestamp(i64),
}

/// A record that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its number in the batch, from 0.
    pub index: i32,
    /// Why.
    pub fault: RecordFault,
}

/// What the records of a batch say, read one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// The greatest timestamp; -1 if there is none.
    pub max_timestamp: i64,
    /// Whether record n has offset delta n.
    pub in_sequence: bool,
    /// The ones that break a rule. Empty allocates nothing.
    pub rejected: Vec<RejectedRecord>,
}

/// Checks the header fields of a batch that a client sent.
///
/// # Errors
/// `Inconsistent`, `Codec`.
pub fn check_client_header(header: &Header) -> Result<(), BatchError> {
    if header.last_offset_delta < 0 {
        return Err(BatchError::Inconsistent("last offset delta is negative"));
    }
    if header.count <= 0 {
        return Err(BatchError::Inconsistent("a batch without records"));
    }
    if i64::from(header.count) != i64::from(header.last_offset_delta) + 1 {
        return Err(BatchError::Inconsistent("count and last offset delta disagree"));
    }
    if header.attributes.is_control() {
        return Err(BatchError::Inconsistent("clients may not write control records"));
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(BatchError::Inconsistent("a producer id without epoch or sequence"));
    }
    if header.attributes.is_transactional() && !header.has_producer_id() {
        return Err(BatchError::Inconsistent("a transactional batch without producer id"));
    }
    header.attributes.codec().map(|_| ())
}

/// Reads all records of the batch, compressed or not, without keeping any.
///
/// # Errors
/// `Record`, `Inconsistent`, `Codec`, `Compression`.
pub fn check_records(batch: &Batch<'_>, rules: &RecordRules) -> Result<RecordFacts, BatchError> {
    let header = batch.header();
    match header.attributes.codec()? {
        Codec::None => check(header, &mut Slice::new(batch.payload()), rules),
        codec => {
            let reader = codec.reader(batch.payload())?;
            check(header, &mut Stream::new(reader, codec.name()), rules)
        }
    }
}

fn check<S: Source>(
    header: &Header,
    from: &mut S,
    rules: &RecordRules,
) -> Result<RecordFacts, BatchError> {
    let mut facts = RecordFacts { max_timestamp: -1, in_sequence: true, rejected: Vec::new() };
    for index in 0..header.count {
        if let Some(fault) = check_one(header, from, rules, index, &mut facts)? {
            facts.rejected.push(RejectedRecord { index, fault });
        }
    }
    if !from.is_at_end()? {
        return Err(BatchError::Inconsistent("more records than the batch says"));
    }
    Ok(facts)
}

fn nullable<S: Source>(from: &mut S, what: &'static str) -> Result<bool, BatchError> {
    match usize::try_from(from.varint(what)?) {
        Ok(length) => from.skip(length, what).map(|()| true),
        Err(_) => Ok(false),
    }
}

fn check_one<S: Source>(
    header: &Header,
    from: &mut S,
    rules: &RecordRules,
    index: i32,
    facts: &mut RecordFacts,
) -> Result<Option<RecordFault>, BatchError> {
    let length = from.varint("record length")?;
    let length = u64::try_from(length).map_err(|_| from.error("record length is negative"))?;
    let end = from.at() + length;
    from.byte("record attributes")?;
    let timestamp = header.base_timestamp.wrapping_add(from.varlong("timestamp delta")?);
    let offset_delta = from.varint("offset delta")?;
    let has_key = nullable(from, "key")?;
    nullable(from, "value")?;
    let headers = from.varint("header count")?;
    if headers < 0 {
        return Err(from.error("header count is negative"));
    }
    for _ in 0..headers {
        if !nullable(from, "header key")? {
            return Err(from.error("header key is null"));
        }
        nullable(from, "header value")?;
    }
    if from.at() != end {
        return Err(from.error("a record of another length than it says"));
    }
    facts.max_timestamp = facts.max_timestamp.max(timestamp);
    facts.in_sequence &= offset_delta == index;
    if rules.key_required && !has_key {
        return Ok(Some(RecordFault::NoKey));
    }
    match rules.timestamps {
        Some((least, greatest)) if timestamp != -1 && !(least..=greatest).contains(&timestamp) => {
            Ok(Some(RecordFault::Timestamp(timestamp)))
        }
        _ => Ok(None),
    }
}
