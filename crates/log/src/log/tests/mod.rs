//! What a log promises.

use std::path::Path;

use polyport_storage::{Disk, DiskFile, Fault, SimDisk};

use super::*;
use crate::batch::{Attributes, Batch, BatchBuilder, Codec, EndMarker};
use crate::config::{Compression, Inspect};
use crate::producer::{Origin, ProducerError, Verification};

mod crash;
mod follower;
mod producers;

pub(super) const DIR: &str = "/data/t-0";

pub(super) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        retention_ms: None,
        ..LogConfig::default()
    }
}

pub(super) fn open_with(
    disk: &SimDisk,
    config: LogConfig,
    points: OpenPoints,
) -> (Log<SimDisk>, Recovered) {
    Log::open(disk.clone(), Path::new(DIR), config, points, Millis(5000)).unwrap()
}

pub(super) fn open(disk: &SimDisk) -> Log<SimDisk> {
    open_with(disk, small(), OpenPoints::default()).0
}

/// A batch of records that tell their number.
pub(super) fn batch(number: u64, records: usize, codec: Codec) -> Vec<u8> {
    let attributes = Attributes::default().with_codec(codec);
    let mut builder = BatchBuilder::new(0).attributes(attributes);
    for index in 0..records {
        let value = format!("{number}/{index}:{}", "x".repeat((number * 37 % 150) as usize));
        builder.push(1000 + number as i64, Some(b"key"), Some(value.as_bytes()));
    }
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    bytes
}

pub(super) fn append(log: &mut Log<SimDisk>, bytes: &[u8]) -> Result<Appended, AppendError> {
    log.append_as_leader(&mut bytes.to_vec(), 1, Origin::Client, Millis(5000))
}

/// All values from an offset on, read through as many fetches as it takes.
pub(super) fn values(log: &Log<SimDisk>, from: i64, max_bytes: u64) -> Vec<(i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut offset = from;
    loop {
        let fetched = log.read(offset, max_bytes, true, Isolation::LogEnd).unwrap();
        let planned = match log.plan_read(offset, max_bytes, true, Isolation::LogEnd).unwrap() {
            PlannedRead::Done(fetched) => Some(fetched),
            PlannedRead::Later(later) => later.find(),
        };
        // None but after compaction.
        if let Some(planned) = planned {
            let place = |fetched: &Fetched<polyport_storage::disk::SimFile>| {
                let range = fetched.range.as_ref().map(|range| (range.position, range.len));
                (fetched.base_offset, fetched.high_watermark, range)
            };
            assert_eq!(place(&planned), place(&fetched));
        }
        let Some(range) = fetched.range else { return found };
        let bytes = range.read().unwrap();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (batch, after) = Batch::split_first(rest).unwrap();
            rest = after;
            batch.check_crc().unwrap();
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    found.push((record.offset, record.value.unwrap_or_default().to_vec()));
                }
            }
            offset = batch.header().next_offset();
        }
    }
}

#[test]
fn offsets_count_records_over_segments_and_reads_begin_anywhere() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let mut expected = 0;
    for number in 0..60 {
        let records = 1 + number as usize % 4;
        let done = append(&mut log, &batch(number, records, Codec::None)).unwrap();
        assert_eq!(done.first_offset, expected);
        expected += records as i64;
        assert_eq!(done.last_offset, expected - 1);
    }
    assert!(log.segment_count() > 5);
    assert_eq!(log.log_end_offset(), expected);
    let all = values(&log, 0, 1 << 20);
    assert_eq!(all.len() as i64, expected);
    for from in 0..expected {
        for max_bytes in [1, 300, 900] {
            assert_eq!(values(&log, from, max_bytes), all[from as usize..], "{from} {max_bytes}");
        }
    }
    assert!(values(&log, expected, 100).is_empty());
    log.read(expected + 1, 1, true, Isolation::LogEnd).unwrap_err();
    log.read(-1, 1, true, Isolation::LogEnd).unwrap_err();
}

#[test]
fn a_read_may_be_ended_while_the_log_changes() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let plan = |log: &Log<SimDisk>, offset| match log
        .plan_read(offset, 300, true, Isolation::LogEnd)
        .unwrap()
    {
        PlannedRead::Later(later) => Some(later),
        PlannedRead::Done(_) => None,
    };
    for number in 0..60 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    log.flush().unwrap();
    let (stays, goes) = (plan(&log, 20).unwrap(), plan(&log, 0).unwrap());
    assert!(plan(&log, 59).is_none(), "what was appended last is found at once");
    log.set_high_watermark(60);
    log.advance_log_start(20).unwrap();
    log.apply_retention(Millis(5000)).unwrap().unlink().unwrap();
    append(&mut log, &batch(60, 1, Codec::None)).unwrap();
    for (later, base) in [(stays, 20), (goes, 0)] {
        let fetched = later.find().unwrap();
        assert_eq!(fetched.base_offset, base);
        let bytes = fetched.range.unwrap().read().unwrap();
        Batch::split_first(&bytes).unwrap().0.check_crc().unwrap();
    }
    let gone = log.plan_read(0, 300, true, Isolation::LogEnd).unwrap_err();
    assert!(matches!(gone, ReadError::OutOfRange(_)));
}

#[test]
fn reads_have_whole_batches_within_the_limit() {
    let disk = SimDisk::new();
    let mut log = open_with(&disk, LogConfig::default(), OpenPoints::default()).0;
    let one = batch(0, 1, Codec::None);
    for _ in 0..200 {
        append(&mut log, &one).unwrap();
    }
    let size = one.len() as u64;
    for batches in [1, 7, 80] {
        let read = log.read(3, size * batches + size - 1, false, Isolation::LogEnd).unwrap();
        let range = read.range.unwrap();
        assert_eq!((range.position, range.len), (3 * size, batches * size));
        assert_eq!(read.base_offset, 3);
    }
    let none = log.read(3, size - 1, false, Isolation::LogEnd).unwrap();
    assert!(none.range.is_none());
    let one = log.read(3, size - 1, true, Isolation::LogEnd).unwrap();
    assert_eq!(one.range.unwrap().len, size);
}

#[test]
fn consumers_see_up_to_the_high_watermark() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for number in 0..40 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    let seen = |log: &Log<SimDisk>, from: i64| {
        let read = log.read(from, 1 << 20, true, Isolation::HighWatermark).unwrap();
        read.range.map(|range| {
            let bytes = range.read().unwrap();
            let mut last = 0;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (batch, after) = Batch::split_first(rest).unwrap();
                (last, rest) = (batch.header().last_offset(), after);
            }
            last
        })
    };
    assert_eq!(seen(&log, 0), None);
    for high_watermark in 1..=40 {
        assert_eq!(log.set_high_watermark(high_watermark), high_watermark);
        assert_eq!(seen(&log, high_watermark - 1), Some(high_watermark - 1));
        assert_eq!(seen(&log, high_watermark), None);
    }
    assert_eq!(log.set_high_watermark(99), 40);
}

#[test]
fn timestamps_find_the_first_record_not_older() {
    for codec in [Codec::None, Codec::Lz4] {
        let disk = SimDisk::new();
        let mut log = open(&disk);
        for number in 0..50 {
            append(&mut log, &batch(number * 2, 2, codec)).unwrap();
        }
        for timestamp in 990..1098 {
            let found = log.find_timestamp(timestamp).unwrap().unwrap();
            let expected = ((timestamp - 1000).max(0) + 1) / 2 * 2;
            assert_eq!(found.offset, expected, "{timestamp}");
            assert_eq!((found.timestamp, found.leader_epoch), (1000 + expected, 1));
        }
        assert_eq!(log.find_timestamp(1099).unwrap(), None);
        let greatest = log.find_max_timestamp().unwrap().unwrap();
        assert_eq!((greatest.offset, greatest.timestamp), (98, 1098));
    }
}

#[test]
fn what_was_sent_is_stored_but_for_offset_and_epoch() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let sent = batch(3, 5, codec);
        let at = append(&mut log, &sent).unwrap().first_offset;
        let read = log.read(at, 1, true, Isolation::LogEnd).unwrap().range.unwrap();
        let stored = read.read().unwrap();
        assert_eq!(stored[..8], at.to_be_bytes());
        assert_eq!(stored[12..16], [0, 0, 0, 1]);
        assert_eq!((&stored[8..12], &stored[16..]), (&sent[8..12], &sent[16..]), "{codec:?}");
    }
}

#[test]
fn bad_batches_are_refused_and_leave_no_trace() {
    let disk = SimDisk::new();
    let config = LogConfig { max_message_bytes: 500, ..small() };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    let good = batch(1, 2, Codec::None);
    let mut torn = good.clone();
    torn.pop();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut old = good.clone();
    old[16] = 1;
    let large = batch(3, 9, Codec::None);
    let marker = EndMarker { commit: true, coordinator_epoch: 0 }.build(1, 0, 5);
    let twice = [good.clone(), good.clone()].concat();
    for bad in [&[], &torn[..], &flipped, &old, &large, &marker, &twice] {
        append(&mut log, bad).unwrap_err();
    }
    assert!(matches!(append(&mut log, &large), Err(AppendError::TooLarge { .. })));
    assert!(matches!(append(&mut log, &twice), Err(AppendError::NotOneBatch)));
    assert_eq!((log.log_end_offset(), log.size_bytes()), (0, 0));
    append(&mut log, &good).unwrap();
    assert_eq!(values(&log, 0, 1000).len(), 2);
}

#[test]
fn rules_of_the_topic_hold_for_records() {
    let disk = SimDisk::new();
    let config = LogConfig {
        compact: true,
        timestamp_before_max_ms: 4000,
        timestamp_after_max_ms: 100,
        inspect: Inspect::Headers,
        ..small()
    };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    let try_one = |log: &mut Log<SimDisk>, timestamp, key: Option<&[u8]>| {
        let mut builder =
            BatchBuilder::new(0).attributes(Attributes::default().with_codec(Codec::Zstd));
        builder.push(timestamp, key, None);
        let mut bytes = Vec::new();
        builder.build(None, &mut bytes).unwrap();
        append(log, &bytes)
    };
    try_one(&mut log, 1000, Some(b"k")).unwrap();
    for (timestamp, key) in [(999, Some(b"k".as_slice())), (5101, Some(b"k")), (3000, None)] {
        let refused = try_one(&mut log, timestamp, key);
        assert!(matches!(refused, Err(AppendError::Records(_))), "{timestamp} {key:?}");
    }
}

#[test]
fn the_topics_codec_is_applied() {
    let disk = SimDisk::new();
    let config = LogConfig { compression: Compression::Codec(Codec::Zstd), ..small() };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let sent = batch(7, 4, codec);
        let at = append(&mut log, &sent).unwrap().first_offset;
        let read = log.read(at, 1, true, Isolation::LogEnd).unwrap().range.unwrap();
        let stored = read.read().unwrap();
        let (stored, _) = Batch::split_first(&stored).unwrap();
        stored.check_crc().unwrap();
        assert_eq!(stored.header().attributes.codec().unwrap(), Codec::Zstd);
        assert_eq!(stored.header().max_timestamp, 1007);
    }
    let values = values(&log, 0, 10_000);
    assert_eq!(values.len(), 12);
    assert!(values[..4].iter().zip(&values[8..]).all(|(a, b)| a.1 == b.1));
}

#[test]
fn append_time_replaces_the_producers() {
    let disk = SimDisk::new();
    let config = LogConfig { log_append_time: true, ..small() };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    let done = append(&mut log, &batch(7, 4, Codec::Lz4)).unwrap();
    assert_eq!(done.log_append_time, Some(5000));
    assert_eq!(values(&log, 0, 10_000).len(), 4);
    assert_eq!(log.find_timestamp(4000).unwrap().unwrap().timestamp, 5000);
}

#[test]
fn segments_end_after_their_time() {
    let disk = SimDisk::new();
    let config = LogConfig { segment_ms: 10, segment_bytes: 1 << 20, ..small() };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    for number in [0, 5, 10, 11, 20, 22] {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    assert_eq!(log.segment_bases().collect::<Vec<_>>(), [0, 3, 5]);
}

#[test]
fn full_indexes_end_a_segment() {
    let disk = SimDisk::new();
    let config = LogConfig {
        segment_index_bytes: 48,
        segment_bytes: 1 << 20,
        index_interval_bytes: 0,
        ..small()
    };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    for number in 0..20 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    assert_eq!(log.segment_bases().collect::<Vec<_>>(), [0, 4, 8, 12, 16]);
    assert_eq!(values(&log, 0, 100_000).len(), 20);
}

#[test]
fn old_segments_go_by_size_age_and_start() {
    let fill = |config: LogConfig| {
        let disk = SimDisk::new();
        let mut log = open_with(&disk, config, OpenPoints::default()).0;
        for number in 0..60 {
            append(&mut log, &batch(number, 1, Codec::None)).unwrap();
        }
        (disk, log)
    };
    let (_, mut log) = fill(LogConfig { retention_bytes: Some(3000), ..small() });
    let _ = log.apply_retention(Millis(5000)).unwrap();
    assert_eq!(log.log_start_offset(), 0, "nothing above the high watermark goes");
    log.set_high_watermark(60);
    let removed = log.apply_retention(Millis(5000)).unwrap();
    assert!(removed.segments() > 2);
    removed.unlink().unwrap();
    assert!(log.size_bytes() >= 3000 && log.size_bytes() < 5000);
    let start = log.log_start_offset();
    assert_eq!(values(&log, start, 1 << 20).len() as i64, 60 - start);
    log.read(start - 1, 1, true, Isolation::LogEnd).unwrap_err();

    let (disk, mut log) = fill(LogConfig { retention_ms: Some(100), ..small() });
    log.set_high_watermark(60);
    assert_eq!(log.apply_retention(Millis(1100)).unwrap().segments(), 0);
    log.apply_retention(Millis(1130)).unwrap().unlink().unwrap();
    assert!(log.log_start_offset() > 0);
    log.apply_retention(Millis(9000)).unwrap().unlink().unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 60));
    append(&mut log, &batch(60, 1, Codec::None)).unwrap();
    let end = log.close().unwrap();
    let points = OpenPoints { recovery_point: end, clean: true, ..OpenPoints::default() };
    let (log, _) = open_with(&disk, small(), points);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 61));

    let (_, mut log) = fill(LogConfig { delete: false, ..small() });
    log.set_high_watermark(50);
    log.advance_log_start(51).unwrap_err();
    assert!(log.advance_log_start(30).unwrap());
    assert!(!log.advance_log_start(29).unwrap());
    assert!(log.apply_retention(Millis(5000)).unwrap().segments() > 0);
    assert_eq!(log.log_start_offset(), 30);
    assert_eq!(values(&log, 30, 1 << 20).len(), 30);
}

#[test]
fn flushes_are_asked_for_and_move_the_recovery_point() {
    let disk = SimDisk::new();
    let config = LogConfig { flush_messages: 3, flush_ms: 1000, ..small() };
    let mut log = open_with(&disk, config, OpenPoints::default()).0;
    append(&mut log, &batch(0, 2, Codec::None)).unwrap();
    assert!(!log.wants_flush(Millis(5999)) && log.wants_flush(Millis(6000)));
    append(&mut log, &batch(0, 1, Codec::None)).unwrap();
    assert!(log.wants_flush(Millis(5000)));
    let flush = log.begin_flush().unwrap().unwrap();
    append(&mut log, &batch(0, 1, Codec::None)).unwrap();
    let done = flush.run();
    log.end_flush(&flush, done).unwrap();
    assert_eq!(log.recovery_point(), 3);
    assert!(!log.wants_flush(Millis(5000)));
    let before = disk.syncs();
    log.flush().unwrap();
    log.flush().unwrap();
    assert_eq!((log.recovery_point(), disk.syncs() - before), (4, 1));
}

#[test]
fn a_failed_sync_stops_the_log_and_a_full_disk_does_not() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    append(&mut log, &batch(0, 1, Codec::None)).unwrap();
    disk.set_fault(Some(Fault::FullAfterBytes(30)));
    let full = append(&mut log, &batch(1, 1, Codec::None));
    assert!(matches!(full, Err(AppendError::Log(LogError::Io { .. }))));
    disk.set_fault(None);
    append(&mut log, &batch(2, 1, Codec::None)).unwrap();
    assert_eq!(values(&log, 0, 1000).len(), 2);
    disk.set_fault(Some(Fault::FailAfterSyncs(0)));
    log.flush().unwrap_err();
    disk.set_fault(None);
    let stopped = append(&mut log, &batch(3, 1, Codec::None));
    assert!(matches!(stopped, Err(AppendError::Log(LogError::Poisoned(_)))));
    log.flush().unwrap_err();
}

#[test]
fn a_clean_start_reads_no_records() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for number in 0..60 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    let all = values(&log, 0, 1 << 20);
    let recovery_point = log.close().unwrap();
    disk.crash(1);
    let points = OpenPoints { recovery_point, clean: true, ..OpenPoints::default() };
    let (log, recovered) = open_with(&disk, small(), points);
    assert_eq!(recovered, Recovered::default());
    assert_eq!(values(&log, 0, 1 << 20), all);
    assert_eq!(log.find_max_timestamp().unwrap().unwrap().offset, 59);
    assert_eq!(log.latest_epoch(), Some(1));
}

#[test]
fn a_killed_process_scans_only_beyond_the_recovery_point() {
    let disk = SimDisk::new();
    let config = LogConfig { segment_bytes: 1 << 20, ..small() };
    let mut log = open_with(&disk, config.clone(), OpenPoints::default()).0;
    for number in 0..100 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    log.flush().unwrap();
    let recovery_point = log.recovery_point();
    for number in 100..110 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    let all = values(&log, 0, 1 << 20);
    drop(log);
    disk.kill();
    let points = OpenPoints { recovery_point, ..OpenPoints::default() };
    let syncs = disk.syncs();
    let (mut log, recovered) = open_with(&disk, config.clone(), points);
    assert_eq!(values(&log, 0, 1 << 20), all);
    assert!(recovered.scanned_bytes > 0 && recovered.scanned_bytes < 4000, "{recovered:?}");
    // A start does not wait for what the flusher can do.
    assert_eq!(log.recovery_point(), recovery_point);
    assert!(log.unflushed_bytes() > 0 && log.flush_due().is_none());
    log.flush().unwrap();
    assert_eq!(log.recovery_point(), 110);
    drop(log);
    disk.crash(3);
    let points = OpenPoints { recovery_point: 110, ..OpenPoints::default() };
    let (log, recovered) = open_with(&disk, config, points);
    assert_eq!(values(&log, 0, 1 << 20), all);
    assert_eq!(recovered, Recovered::default(), "there was nothing to look at");
    let greatest = log.find_max_timestamp().unwrap().unwrap();
    assert_eq!((greatest.timestamp, greatest.offset), (1109, 109));
    drop(log);
    assert!(disk.syncs() - syncs < 10, "{}", disk.syncs() - syncs);
}

#[test]
fn missing_and_broken_indexes_are_made_anew() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for number in 0..60 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    let all = values(&log, 0, 1 << 20);
    let second = log.segment_bases().nth(1).unwrap();
    let (first_index, first_times) =
        (log.file(0, name::OFFSET_INDEX), log.file(0, name::TIME_INDEX));
    let second_index = log.file(second, name::OFFSET_INDEX);
    let recovery_point = log.close().unwrap();
    let before = disk.read(&first_index, 1000).unwrap();
    let times = disk.read(&first_times, 1000).unwrap();
    disk.remove(&first_index).unwrap();
    disk.open(&second_index).unwrap().write_at(&[1], 0).unwrap();
    disk.open(&second_index).unwrap().set_len(7).unwrap();
    let points = OpenPoints { recovery_point, clean: true, ..OpenPoints::default() };
    let (log, recovered) = open_with(&disk, small(), points);
    assert_eq!(recovered.rebuilt_indexes, 2);
    assert_eq!(values(&log, 0, 300), all);
    assert_eq!(disk.read(&first_index, 1000).unwrap(), before);
    assert_eq!(disk.read(&first_times, 1000).unwrap(), times);
}
