//! The bytes of a segment's files, which others read.

use polyport_storage::SimDisk;

use super::*;
use crate::batch::BatchBuilder;

const DIR: &str = "/t-0";

fn segment(disk: &SimDisk) -> Segment<SimDisk> {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let options = SegmentOptions { index_interval_bytes: 100, max_index_bytes: 1000 };
    Segment::create(disk, Path::new(DIR), 1000, "", options, 0).unwrap()
}

/// A batch of two records and 89 bytes.
fn append(segment: &mut Segment<SimDisk>, offset: i64, timestamp: i64) -> usize {
    let mut builder = BatchBuilder::new(offset);
    builder.push(timestamp, None, Some(b"12345"));
    builder.push(timestamp, None, Some(b"1234567"));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    let last_offset = offset + 1;
    let max_timestamp = TimestampOffset { timestamp, offset: last_offset };
    segment.append(&bytes, AppendFacts { last_offset, max_timestamp }).unwrap();
    bytes.len()
}

fn bytes(disk: &SimDisk, kind: &str) -> Vec<u8> {
    disk.read(&name::file(Path::new(DIR), 1000, kind), 10_000).unwrap()
}

#[test]
fn indexes_have_kafkas_bytes() {
    let disk = SimDisk::new();
    let mut segment = segment(&disk);
    let mut size = 0;
    for (number, timestamp) in [5, 9, 7, 6, 12].into_iter().enumerate() {
        size = append(&mut segment, 1000 + 2 * number as i64, timestamp);
    }
    let names = disk.list(Path::new(DIR)).unwrap();
    assert_eq!(names[0], "00000000000000001000.index");
    assert_eq!(names[1], "00000000000000001000.log");
    segment.seal().unwrap();
    // The third append and the fifth come more than 100 bytes after the entry before.
    let position = |appends: usize| ((appends * size) as u32).to_be_bytes();
    let entry = |relative: u8, appends| [[0, 0, 0, relative], position(appends)].concat();
    assert_eq!(bytes(&disk, name::OFFSET_INDEX), [entry(5, 2), entry(9, 4)].concat());
    let time = |timestamp: u8, relative: u8| {
        [[0, 0, 0, 0, 0, 0, 0, timestamp].as_slice(), &[0, 0, 0, relative]].concat()
    };
    assert_eq!(bytes(&disk, name::TIME_INDEX), [time(9, 3), time(12, 9)].concat());
    let txn = AbortedTxn { producer_id: 1, first_offset: 2, last_offset: 3, last_stable_offset: 4 };
    assert!(segment.txns.push(txn).unwrap());
    assert!(!segment.txns.push(txn).unwrap());
    let mut expected = vec![0; 34];
    (expected[9], expected[17], expected[25], expected[33]) = (1, 2, 3, 4);
    assert_eq!(bytes(&disk, name::TXN_INDEX), expected);
}

#[test]
fn recovery_makes_the_indexes_that_appending_made() {
    let disk = SimDisk::new();
    let mut first = segment(&disk);
    for number in 0..40 {
        append(&mut first, 1000 + 2 * number, 100 + number * 37 % 11);
    }
    first.seal().unwrap();
    first.sync().unwrap();
    let before = (bytes(&disk, name::OFFSET_INDEX), bytes(&disk, name::TIME_INDEX));
    let options = first.options;
    for trusted in [1000, 1001, 1033, 1079, 1080] {
        let (mut again, broken) = Segment::open(&disk, Path::new(DIR), 1000, options, 0).unwrap();
        assert!(!broken);
        let scanned = again.recover(Some(trusted)).unwrap();
        assert!(scanned.cut.is_none() && scanned.bytes <= again.size);
        assert_eq!(scanned.bytes < again.size / 2, trusted > 1070, "{trusted}");
        again.write_indexes().unwrap();
        let after = (bytes(&disk, name::OFFSET_INDEX), bytes(&disk, name::TIME_INDEX));
        assert_eq!(after, before, "{trusted}");
        assert_eq!(again.max_timestamp.timestamp, first.max_timestamp.timestamp);
    }
}
