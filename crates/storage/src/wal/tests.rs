//! What the journal promises.

use std::path::Path;

use super::*;
use crate::disk::{DiskFile as _, Fault, SimDisk};

mod decay;
mod model;
mod purge;
mod spare;

const DIR: &str = "/wal";

fn small() -> WalOptions {
    WalOptions {
        prealloc_bytes: 4096,
        segment_bytes: 2048,
        max_record_bytes: 1 << 16,
        salt: Some(0x5eed),
    }
}

fn open(disk: &SimDisk) -> (Wal<SimDisk>, Recovered) {
    Wal::open(disk.clone(), DIR, small()).unwrap()
}

/// An entry's payload that tells its index and round.
fn payload(index: u64, round: u64) -> Vec<u8> {
    let mut bytes = format!("{index}/{round}:").into_bytes();
    bytes.resize(bytes.len() + (index * 37 % 300) as usize, round as u8);
    bytes
}

fn append(wal: &mut Wal<SimDisk>, range: std::ops::Range<u64>, round: u64) {
    for index in range {
        wal.append(index, &[payload(index, round)]).unwrap();
    }
}

fn all(wal: &Wal<SimDisk>) -> Vec<(u64, Vec<u8>)> {
    wal.reader().read_vec(0..u64::MAX, usize::MAX).unwrap()
}

/// The path of the newest segment and the offset after its last byte that is not zero.
fn tail(disk: &SimDisk) -> (std::path::PathBuf, u64) {
    let names = disk.list(Path::new(DIR)).unwrap();
    let newest = names.iter().filter_map(|n| segment::Name::parse(n)).max_by_key(|n| n.ordinal);
    let path = Path::new(DIR).join(newest.unwrap().to_string());
    let bytes = disk.read(&path, u64::MAX).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap() as u64 + 1;
    (path, end)
}

#[test]
fn entries_and_values_come_back_over_many_segments() {
    let disk = SimDisk::new();
    let (mut wal, recovered) = open(&disk);
    assert_eq!(recovered, Recovered { segments: 1, ..Recovered::default() });
    for index in 0..100 {
        wal.append(index, &[b"head ".as_slice(), &payload(index, 1)]).unwrap();
        wal.set_mark(&index.to_le_bytes()).unwrap();
        wal.flush(index % 3 == 0).unwrap();
    }
    wal.set_vote(b"vote").unwrap();
    wal.flush(true).unwrap();
    let before = all(&wal);
    assert_eq!(before.len(), 100);
    assert_eq!(before[7].1, [b"head ".as_slice(), &payload(7, 1)].concat());
    drop(wal);
    disk.crash(1);
    let (wal, recovered) = open(&disk);
    assert_eq!(all(&wal), before);
    assert_eq!((recovered.first_index, recovered.last_index), (Some(0), Some(99)));
    assert_eq!(recovered.vote.as_deref(), Some(b"vote".as_slice()));
    assert_eq!(recovered.mark, Some(99u64.to_le_bytes().to_vec()));
    assert_eq!(recovered.cut, None);
    assert!(recovered.segments > 5, "{recovered:?}");
}

#[test]
fn a_truncation_across_segments_holds_after_reopening() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    append(&mut wal, 1..60, 1);
    wal.flush(true).unwrap();
    append(&mut wal, 60..80, 1);
    wal.truncate_after(Some(20)).unwrap();
    assert_eq!((wal.first_index(), wal.last_index()), (Some(1), Some(20)));
    append(&mut wal, 21..70, 2);
    wal.flush(true).unwrap();
    let before = all(&wal);
    assert_eq!(before[20], (21, payload(21, 2)));
    assert_eq!(before.len(), 69);
    let (mut wal, _) = open(&disk);
    assert_eq!(all(&wal), before);
    wal.truncate_after(None).unwrap();
    assert_eq!((wal.first_index(), wal.last_index()), (None, None));
    append(&mut wal, 0..3, 3);
    wal.flush(true).unwrap();
    let (wal, recovered) = open(&disk);
    assert_eq!((recovered.first_index, recovered.last_index), (Some(0), Some(2)));
    assert_eq!(all(&wal).len(), 3);
}

#[test]
fn a_gap_in_the_indexes_is_refused() {
    let (mut wal, _) = open(&SimDisk::new());
    append(&mut wal, 5..7, 1);
    let error = wal.append(8, &[b"x"]).unwrap_err();
    assert!(matches!(error, WalError::OutOfOrder { index: 8, expected: 7 }), "{error}");
    let error = wal.append(7, &[vec![0; (1 << 16) + 1]]).unwrap_err();
    assert!(matches!(error, WalError::TooLarge { .. }), "{error}");
    append(&mut wal, 7..8, 1);
}

#[test]
fn one_durable_flush_is_one_sync() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    let before = disk.syncs();
    append(&mut wal, 0..5, 1);
    wal.flush(true).unwrap();
    wal.flush(true).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn readers_stop_at_the_byte_limit_but_give_one_entry() {
    let (mut wal, _) = open(&SimDisk::new());
    append(&mut wal, 0..50, 1);
    let reader = wal.reader();
    assert_eq!(reader.read(0..50, 9999, |_, _| panic!("not flushed yet")).unwrap(), 0);
    wal.flush(false).unwrap();
    assert_eq!(reader.read_vec(10..50, 1).unwrap(), [(10, payload(10, 1))]);
    let some = reader.read_vec(10..50, 1000).unwrap();
    assert!(some.len() > 1 && some.len() < 40);
    assert_eq!(reader.read(40..900, usize::MAX, |_, _| {}).unwrap(), 50);
    assert!(reader.read_vec(50..60, 1000).unwrap().is_empty());
}

#[test]
fn a_failed_sync_stops_the_journal() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    append(&mut wal, 0..3, 1);
    disk.set_fault(Some(Fault::FailAfterSyncs(0)));
    wal.flush(true).unwrap_err();
    disk.set_fault(None);
    assert!(wal.is_poisoned());
    for result in
        [wal.append(3, &[b"x"]), wal.flush(true), wal.set_vote(b"v"), wal.purge_to(1, b"")]
    {
        assert!(matches!(result, Err(WalError::Poisoned { .. })), "{result:?}");
    }
}

#[test]
fn a_full_disk_fails_the_flush_and_a_later_flush_succeeds() {
    for free in (0..12_000).step_by(97) {
        let disk = SimDisk::new();
        let (mut wal, _) = open(&disk);
        append(&mut wal, 0..5, 1);
        wal.flush(true).unwrap();
        disk.set_fault(Some(Fault::FullAfterBytes(free)));
        let mut acknowledged = 5;
        for index in 5..40 {
            append(&mut wal, index..index + 1, 1);
            if wal.flush(true).is_err() {
                break;
            }
            acknowledged = index + 1;
        }
        assert!(acknowledged < 40 && !wal.is_poisoned(), "{free}");
        let appended = wal.last_index().unwrap() + 1;
        if free % 2 == 0 {
            disk.set_fault(None);
            wal.flush(true).unwrap();
            acknowledged = appended;
        }
        disk.crash(free);
        let (wal, recovered) = open(&disk);
        let last = recovered.last_index.unwrap() + 1;
        assert!((acknowledged..=appended).contains(&last), "{free}: {recovered:?}");
        assert!(all(&wal).iter().all(|(index, bytes)| *bytes == payload(*index, 1)));
    }
}

#[test]
fn the_last_space_of_a_disk_is_used_when_a_step_of_reservation_does_not_fit() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    disk.set_fault(Some(Fault::FullAfterBytes(1500)));
    append(&mut wal, 0..3, 1);
    wal.flush(true).unwrap();
    assert!(wal.is_tight());
    append(&mut wal, 3..30, 1);
    let full = wal.flush(true).unwrap_err();
    assert!(full.is_full() && wal.is_tight(), "{full:?}");
    // Space was freed.
    disk.set_fault(None);
    wal.flush(true).unwrap();
    assert!(!wal.is_tight());
    disk.crash(1);
    let (wal, _) = open(&disk);
    assert_eq!(all(&wal).len(), 30);
}

#[test]
fn closing_gives_reserved_space_back() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    append(&mut wal, 0..2, 1);
    wal.flush(true).unwrap();
    let (path, end) = tail(&disk);
    assert_eq!(disk.open(&path).unwrap().len().unwrap(), 4096);
    wal.close().unwrap();
    assert!(disk.open(&path).unwrap().len().unwrap() <= end + 1);
    let (mut wal, _) = open(&disk);
    append(&mut wal, 2..4, 1);
    wal.flush(true).unwrap();
    assert_eq!(all(&open(&disk).0).len(), 4);
}
