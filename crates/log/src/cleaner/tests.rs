//! What compaction promises.

use std::collections::BTreeMap;
use std::path::Path;

use polyport_base::Millis;
use polyport_base::rng::SplitMix64;
use polyport_storage::{Fault, SimDisk};

use super::*;
use crate::batch::{Attributes, Batch, BatchBuilder, Codec, EndMarker};
use crate::producer::Origin;
use crate::{Isolation, Log, LogConfig, LogError, OpenPoints};

const DIR: &str = "/data/t-0";
/// When tombstones may go, counted from the round that first met them.
const DELETE_MS: i64 = 1000;

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 200,
        compact: true,
        delete: false,
        delete_retention_ms: DELETE_MS,
        ..LogConfig::default()
    }
}

fn open(disk: &SimDisk, points: OpenPoints) -> Log<SimDisk> {
    Log::open(disk.clone(), Path::new(DIR), config(), points, Millis(0)).unwrap().0
}

type Plain<'a> = (&'a str, Option<&'a str>);

fn put(log: &mut Log<SimDisk>, codec: Codec, records: &[Plain<'_>], producer: Option<(i64, i32)>) {
    let transactional = producer.is_some_and(|(_, sequence)| sequence >= 0);
    let attributes = Attributes::default().with_codec(codec).with_transactional(transactional);
    let mut builder = BatchBuilder::new(0).attributes(attributes);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    for (key, value) in records {
        builder.push(10, Some(key.as_bytes()), value.map(str::as_bytes));
    }
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    log.append_as_leader(&mut bytes, 1, Origin::Client, Millis(10)).unwrap();
}

fn end_txn(log: &mut Log<SimDisk>, id: i64, commit: bool) {
    let mut bytes = EndMarker { commit, coordinator_epoch: 0 }.build(id, 0, 10);
    log.append_as_leader(&mut bytes, 1, Origin::Coordinator, Millis(10)).unwrap();
}

/// Seals what is there, so that all of it may be cleaned.
fn seal(log: &mut Log<SimDisk>) {
    let filler = "f".repeat(1200);
    put(log, Codec::None, &[("filler", Some(&filler))], None);
    put(log, Codec::None, &[("filler", Some(&filler))], None);
    let end = log.log_end_offset();
    log.set_high_watermark(end);
    log.flush().unwrap();
}

fn round(log: &mut Log<SimDisk>, first_dirty: i64, now: i64) -> Result<i64, LogError> {
    let mut keys = KeyOffsets::new(1 << 16, 1);
    let Some(cleanable) = log.cleanable(first_dirty, Millis(now))? else { return Ok(first_dirty) };
    let Some(cleaned) = cleanable.run(&mut keys)? else { return Ok(first_dirty) };
    let clean_to = cleaned.clean_to;
    log.end_clean(cleaned)?.unlink()?;
    Ok(clean_to)
}

/// Offset, key, value of all data records; and the offsets of markers.
fn content(log: &Log<SimDisk>) -> (Vec<(i64, String, Option<String>)>, Vec<i64>) {
    let (mut records, mut markers) = (Vec::new(), Vec::new());
    let mut offset = log.log_start_offset();
    while let Some(range) = log.read(offset, 700, true, Isolation::LogEnd).unwrap().range {
        let bytes = range.read().unwrap();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (batch, after) = Batch::split_first(rest).unwrap();
            rest = after;
            batch.check_crc().unwrap();
            assert!(batch.header().next_offset() > offset);
            offset = batch.header().next_offset();
            if batch.header().attributes.is_control() {
                markers.extend((batch.header().count > 0).then_some(batch.header().base_offset));
                continue;
            }
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                records.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
            }
        }
    }
    (records, markers)
}

fn newest(records: &[(i64, String, Option<String>)]) -> BTreeMap<String, Option<String>> {
    records.iter().map(|(_, key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    for codec in [Codec::None, Codec::Lz4] {
        let disk = SimDisk::new();
        let mut log = open(&disk, OpenPoints::default());
        for number in 0..200 {
            let (a, b) = (format!("k{}", number % 7), format!("k{}", number % 13));
            let value = format!("{number}");
            put(&mut log, codec, &[(&a, Some("old")), (&b, Some(&value))], None);
        }
        seal(&mut log);
        let before = content(&log).0;
        let segments = log.segment_count();
        let clean_to = round(&mut log, 0, 100).unwrap();
        let after = content(&log).0;
        assert!(after.len() < 20, "{}", after.len());
        assert_eq!(newest(&after), newest(&before));
        assert!(after.iter().all(|record| before.contains(record)), "unchanged, at its offset");
        // And nothing more to do.
        let cleanable = log.cleanable(clean_to, Millis(100)).unwrap().unwrap();
        assert!(!cleanable.is_due() && cleanable.dirty_ratio() == 0.0);
        // Groups are made by the sizes before a round, so the next one joins the small segments.
        assert_eq!(log.segment_count(), segments);
        round(&mut log, 0, 100).unwrap();
        assert!(log.segment_count() < 6 && segments > 10);
        assert_eq!(content(&log).0, after);
        let recovery_point = log.close().unwrap();
        let points = OpenPoints { recovery_point, clean: true, ..OpenPoints::default() };
        assert_eq!(content(&open(&disk, points)).0, after);
    }
}

#[test]
fn tombstones_stay_for_their_time_and_then_go() {
    let disk = SimDisk::new();
    let mut log = open(&disk, OpenPoints::default());
    put(&mut log, Codec::None, &[("a", Some("1")), ("b", Some("2"))], None);
    put(&mut log, Codec::None, &[("a", None)], None);
    seal(&mut log);
    let has_tombstone = |log: &Log<SimDisk>| {
        content(log).0.iter().any(|(_, key, value)| key == "a" && value.is_none())
    };
    round(&mut log, 0, 100).unwrap();
    assert!(has_tombstone(&log));
    assert!(!content(&log).0.iter().any(|(_, key, value)| key == "a" && value.is_some()));
    round(&mut log, 0, 100 + DELETE_MS - 1).unwrap();
    assert!(has_tombstone(&log));
    round(&mut log, 0, 100 + DELETE_MS).unwrap();
    assert!(!has_tombstone(&log));
    assert_eq!(newest(&content(&log).0)["b"], Some("2".into()));
}

#[test]
fn aborted_records_go_first_and_their_markers_later() {
    let disk = SimDisk::new();
    let mut log = open(&disk, OpenPoints::default());
    put(&mut log, Codec::None, &[("a", Some("good"))], None);
    put(&mut log, Codec::None, &[("a", Some("bad"))], Some((7, 0)));
    end_txn(&mut log, 7, false);
    put(&mut log, Codec::None, &[("c", Some("kept"))], Some((7, 1)));
    end_txn(&mut log, 7, true);
    put(&mut log, Codec::None, &[("z", Some("last of the producer"))], Some((7, 2)));
    end_txn(&mut log, 7, true);
    seal(&mut log);
    round(&mut log, 0, 100).unwrap();
    let (records, markers) = content(&log);
    assert_eq!(newest(&records)["a"], Some("good".into()), "aborted records supersede nothing");
    assert_eq!(newest(&records)["c"], Some("kept".into()));
    assert_eq!(markers, [2, 4, 6]);
    assert_eq!(log.read(0, 1 << 20, true, Isolation::LastStable).unwrap().aborted.len(), 1);
    round(&mut log, 0, 200).unwrap();
    assert_eq!(content(&log).1, [2, 4, 6], "its horizon is set now");
    round(&mut log, 0, 200 + DELETE_MS).unwrap();
    assert_eq!(content(&log).1, [4, 6], "markers of committed records stay with them");
    assert!(log.read(0, 1 << 20, true, Isolation::LastStable).unwrap().aborted.is_empty());
}

#[test]
fn a_producers_last_batch_stays_if_only_as_an_empty_one() {
    let disk = SimDisk::new();
    let mut log = open(&disk, OpenPoints::default());
    put(&mut log, Codec::Zstd, &[("a", Some("1")), ("a", Some("2"))], Some((9, 0)));
    end_txn(&mut log, 9, true);
    put(&mut log, Codec::None, &[("a", Some("3"))], None);
    seal(&mut log);
    round(&mut log, 0, 100).unwrap();
    drop(log);
    disk.kill();
    let log = open(&disk, OpenPoints::default());
    let entry = log.producers().entry(9).unwrap();
    assert_eq!(entry.last_sequence(), 1);
    assert_eq!(newest(&content(&log).0)["a"], Some("3".into()));
}

#[test]
fn what_is_undecided_young_or_not_durable_is_left_alone() {
    let disk = SimDisk::new();
    let mut log = open(&disk, OpenPoints::default());
    for _ in 0..60 {
        put(&mut log, Codec::None, &[("a", Some("x"))], None);
    }
    let sources = |log: &mut Log<SimDisk>, now| {
        log.cleanable(0, Millis(now)).unwrap().map_or(0, |parts| parts.sources.len())
    };
    assert_eq!(sources(&mut log, 100), 0, "not replicated");
    log.set_high_watermark(60);
    assert_eq!(sources(&mut log, 100), 0, "not durable");
    log.flush().unwrap();
    let all = log.segment_count() - 1;
    assert_eq!(sources(&mut log, 100), all);
    log.set_config(LogConfig { min_compaction_lag_ms: 50, ..config() });
    assert_eq!(sources(&mut log, 59), 0, "too young");
    assert_eq!(sources(&mut log, 60), all);
    log.set_config(LogConfig {
        max_compaction_lag_ms: 20,
        min_cleanable_dirty_ratio: 2.0,
        ..config()
    });
    assert!(!log.cleanable(0, Millis(30)).unwrap().unwrap().is_due());
    assert!(log.cleanable(0, Millis(31)).unwrap().unwrap().is_due());
}

#[test]
fn a_full_map_ends_the_round_early_and_the_next_goes_on() {
    let disk = SimDisk::new();
    let mut log = open(&disk, OpenPoints::default());
    for number in 0..200 {
        let key = format!("k{}", number % 50);
        put(&mut log, Codec::None, &[(&key, Some("v"))], None);
    }
    seal(&mut log);
    let before = newest(&content(&log).0);
    let mut keys = KeyOffsets::new(0, 5);
    let mut first_dirty = 0;
    let mut rounds = 0;
    while let Some(cleaned) =
        log.cleanable(first_dirty, Millis(100)).unwrap().unwrap().run(&mut keys).unwrap()
    {
        assert!(cleaned.clean_to > first_dirty && keys.len() <= 14);
        first_dirty = cleaned.clean_to;
        log.end_clean(cleaned).unwrap().unlink().unwrap();
        assert_eq!(newest(&content(&log).0), before);
        rounds += 1;
    }
    assert!(rounds > 5);
    assert!(content(&log).0.len() < 60);
}

#[test]
fn power_loss_at_any_point_of_a_round_loses_no_key() {
    for point in 0..120 {
        let disk = SimDisk::new();
        let mut rng = SplitMix64::new(point);
        let mut log = open(&disk, OpenPoints::default());
        for number in 0..80 {
            let key = format!("k{}", rng.below(9));
            let value = format!("{number}");
            put(&mut log, Codec::None, &[(&key, Some(&value))], None);
        }
        seal(&mut log);
        let (before, end) = (newest(&content(&log).0), log.log_end_offset());
        let recovery_point = log.recovery_point();
        disk.set_fault(Some(Fault::FailAfterOps(point)));
        let done = round(&mut log, 0, 100);
        disk.crash(point * 3 + 1);
        let points = OpenPoints { recovery_point, ..OpenPoints::default() };
        let mut log = open(&disk, points);
        assert_eq!(newest(&content(&log).0), before, "point {point}, {done:?}");
        assert_eq!(log.log_end_offset(), end);
        log.set_high_watermark(end);
        round(&mut log, 0, 100).unwrap();
        assert_eq!(newest(&content(&log).0), before, "point {point}, again");
        assert!(content(&log).0.len() <= 12);
    }
}
