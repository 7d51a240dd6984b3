//! The files beside a `.log`: offsets, times, aborted transactions, producers.

use std::path::Path;

use polyport_log::producer::snapshot;

use super::segment::Batches;
use super::{Depth, WHOLE, absolute, base_offset, io_failure};
use crate::kafka::stop::Failure;
use crate::zk_cli::Console;

const OFFSET_ENTRY: usize = 8;
const TIME_ENTRY: usize = 12;
const TRANSACTION_ENTRY: usize = 34;
const NO_TIMESTAMP: i64 = -1;

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| io_failure(path, &error))
}

fn i32_at(entry: &[u8], at: usize) -> i32 {
    entry[at..].first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

fn i64_at(entry: &[u8], at: usize) -> i64 {
    entry[at..].first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// What an index is checked against: a batch of the log.
struct Place {
    position: u64,
    last_offset: i64,
    max_timestamp: i64,
}

fn places(index: &Path) -> Result<Vec<Place>, Failure> {
    let mut batches = Batches::open(&index.with_extension("log"), WHOLE)?;
    let mut places = Vec::new();
    while let Some((position, batch)) = batches.next() {
        let header = batch.header();
        let (last_offset, max_timestamp) = (header.last_offset(), header.max_timestamp);
        places.push(Place { position, last_offset, max_timestamp });
    }
    Ok(places)
}

fn not_sane(path: &Path, bytes: usize, entry: usize) -> Failure {
    Failure::new(
        "org.apache.kafka.storage.internals.log.CorruptIndexException",
        format!(
            "Index file {} is corrupt, found {bytes} bytes which is neither positive nor a multiple \
             of {entry}.",
            absolute(path)
        ),
    )
}

/// Prints an index of offsets; gives the entries that the log contradicts.
pub fn offsets(path: &Path, depth: &Depth, console: &Console) -> Result<Vec<String>, Failure> {
    let base = base_offset(path)?;
    let bytes = read(path)?;
    if bytes.len() < OFFSET_ENTRY {
        console.line(&format!("{} is empty.", path.display()));
        return Ok(Vec::new());
    }
    if depth.sanity_only {
        if !bytes.len().is_multiple_of(OFFSET_ENTRY) {
            return Err(not_sane(path, bytes.len(), OFFSET_ENTRY));
        }
        console.line(&format!("{} passed sanity check.", path.display()));
        return Ok(Vec::new());
    }
    let places = places(path)?;
    let mut mismatches = Vec::new();
    for (at, entry) in bytes.chunks_exact(OFFSET_ENTRY).enumerate() {
        let offset = base + i64::from(i32_at(entry, 0));
        let position = i32_at(entry, 4);
        // Room that was reserved and not used yet.
        if offset == base && at > 0 {
            break;
        }
        let there = places.binary_search_by_key(&i64::from(position), |it| it.position as i64);
        let last = there.map_or(-1, |found| places[found].last_offset);
        if last != offset {
            mismatches.push(format!("  Index offset: {offset}, log offset: {last}"));
        }
        if !depth.verify_only {
            console.line(&format!("offset: {offset} position: {position}"));
        }
    }
    if !mismatches.is_empty() {
        mismatches.push(format!("Mismatches in :{}", absolute(path)));
        // The last one found is told first.
        mismatches.reverse();
    }
    Ok(mismatches)
}

/// Prints an index of times; gives the entries that the log contradicts.
pub fn times(path: &Path, depth: &Depth, console: &Console) -> Result<Vec<String>, Failure> {
    let base = base_offset(path)?;
    let bytes = read(path)?;
    if depth.sanity_only {
        if !bytes.len().is_multiple_of(TIME_ENTRY) {
            return Err(not_sane(path, bytes.len(), TIME_ENTRY));
        }
        console.line(&format!("{} passed sanity check.", path.display()));
        return Ok(Vec::new());
    }
    let places = places(path)?;
    let (mut mismatches, mut disorder, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut previous = NO_TIMESTAMP;
    for (at, entry) in bytes.chunks_exact(TIME_ENTRY).enumerate() {
        let timestamp = i64_at(entry, 0);
        let offset = base + i64::from(i32_at(entry, 8));
        if offset == base && at > 0 {
            break;
        }
        let found = places.partition_point(|place| place.last_offset < offset);
        match places.get(found) {
            Some(place) if place.last_offset == offset => {
                if place.max_timestamp != timestamp {
                    mismatches.push(format!(
                        "  Index timestamp: {timestamp}, log timestamp: {}",
                        place.max_timestamp
                    ));
                }
                if previous >= timestamp {
                    disorder.push(format!(
                        "  Index timestamp: {timestamp}, Previously indexed timestamp: {previous}"
                    ));
                }
            }
            other => {
                let last = other.map_or(-1, |place| place.last_offset);
                missing.push(format!("Indexed offset: {offset}, found log offset: {last}"));
            }
        }
        if !depth.verify_only {
            console.line(&format!("timestamp: {timestamp} offset: {offset}"));
        }
        previous = timestamp;
    }
    let file = absolute(path);
    let heads = [
        (format!("Found timestamp mismatch in :{file}"), mismatches),
        (format!("Found out of order timestamp in :{file}"), disorder),
        ("The following indexed offsets are not found in the log.".to_owned(), missing),
    ];
    let told = heads.into_iter().filter(|(_, lines)| !lines.is_empty());
    Ok(told.flat_map(|(head, lines)| std::iter::once(head).chain(lines)).collect())
}

/// Prints an index of aborted transactions.
pub fn transactions(path: &Path, console: &Console) -> Result<Vec<String>, Failure> {
    base_offset(path)?;
    for entry in read(path)?.chunks_exact(TRANSACTION_ENTRY) {
        let version = i16::from_be_bytes([entry[0], entry[1]]);
        console.line(&format!(
            "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            i64_at(entry, 2),
            i64_at(entry, 10),
            i64_at(entry, 18),
            i64_at(entry, 26)
        ));
    }
    Ok(Vec::new())
}

/// Prints a snapshot of producers.
pub fn producers(path: &Path, console: &Console) -> Result<Vec<String>, Failure> {
    let entries = match snapshot::decode(&read(path)?) {
        Ok(entries) => entries,
        Err(error) => return Ok(vec![format!("Snapshot {} is corrupt: {error}", path.display())]),
    };
    for entry in entries {
        let open = entry.txn_first_offset;
        let open = open
            .map_or_else(|| "OptionalLong.empty".to_owned(), |it| format!("OptionalLong[{it}]"));
        let batch = match entry.batches().first() {
            Some(batch) => format!(
                "firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                batch.first_sequence(),
                batch.last_sequence,
                batch.last_offset,
                batch.offset_delta,
                batch.timestamp
            ),
            None => String::new(),
        };
        console.line(&format!(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {open} \
             lastTimestamp: {} {batch}",
            entry.producer_id, entry.epoch, entry.coordinator_epoch, entry.last_timestamp
        ));
    }
    Ok(Vec::new())
}
