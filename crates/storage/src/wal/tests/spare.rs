//! The file that is made ready to be the next segment.

use std::time::Duration;

use super::*;

const SEGMENT: u64 = 2048;

/// Files and their lengths.
fn files(disk: &SimDisk) -> Vec<(String, u64)> {
    let names = disk.list(Path::new(DIR)).unwrap();
    let length = |name: &String| disk.open(&Path::new(DIR).join(name)).unwrap().len().unwrap();
    names.into_iter().map(|name| (name.clone(), length(&name))).collect()
}

/// Fills segments with upkeep between the flushes, from entry `from` until the live segment is number
/// `ordinal`; gives the next entry.
fn fill(wal: &mut Wal<SimDisk>, from: u64, ordinal: u32) -> u64 {
    let mut next = from;
    while wal.live.ordinal < ordinal {
        append(wal, next..next + 1, 1);
        wal.flush(true).unwrap();
        wal.upkeep().settle().unwrap();
        next += 1;
    }
    next
}

#[test]
fn the_next_segment_is_zeroed_before_it_is_needed() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    let next = fill(&mut wal, 0, 2);
    assert!(wal.zeroed, "the first segment was left for the spare");
    let next = fill(&mut wal, next, 6);
    let lengths: Vec<u64> = files(&disk).iter().map(|(_, bytes)| *bytes).collect();
    // The first was reserved in the old way and cut; from then on all are of one length.
    assert_eq!(lengths[1..6], [SEGMENT; 5], "{lengths:?}");
    let before = all(&wal);
    assert_eq!(before.len() as u64, next);
    disk.crash(3);
    let (wal, recovered) = open(&disk);
    assert_eq!((recovered.cut, recovered.last_index), (None, Some(next - 1)));
    assert_eq!(all(&wal), before);
}

#[test]
fn a_purged_segment_becomes_the_next_one() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let (mut wal, _) = open(&disk);
        let next = fill(&mut wal, 0, 5);
        wal.purge_to(next - 2, b"name").unwrap();
        wal.upkeep().settle().unwrap();
        let there: Vec<String> = files(&disk).into_iter().map(|(name, _)| name).collect();
        assert!(there.contains(&upkeep::SPARE.to_owned()) && there.len() <= 3, "{there:?}");
        let next = fill(&mut wal, next, 6 + (seed % 4) as u32) + seed;
        append(&mut wal, next - seed..next, 1);
        wal.flush(true).unwrap();
        // What the file held before is gone wherever the new records end.
        disk.crash(seed);
        let (wal, recovered) = open(&disk);
        assert_eq!((recovered.cut, recovered.last_index), (None, Some(next - 1)));
        assert!(all(&wal).iter().all(|(index, bytes)| *bytes == payload(*index, 1)));
    }
}

#[test]
fn a_file_that_is_being_read_is_not_used_again() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    let next = fill(&mut wal, 0, 4);
    let readers: Vec<_> = wal.shared.read().segments.values().cloned().collect();
    let read = |segment: &Segment<crate::disk::SimFile>| {
        let mut bytes = vec![0; SEGMENT as usize];
        segment.file.read_full_at(&mut bytes, 0).unwrap();
        bytes
    };
    let before: Vec<_> = readers.iter().map(read).collect();
    wal.purge_to(next - 1, b"name").unwrap();
    fill(&mut wal, next, 6);
    assert_eq!(readers[..3].iter().map(read).collect::<Vec<_>>(), before[..3]);
}

#[test]
fn a_spare_that_cannot_be_made_costs_nothing_but_speed() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    append(&mut wal, 0..8, 1);
    wal.flush(true).unwrap();
    disk.set_fault(Some(Fault::FullAfterBytes(SEGMENT - 1)));
    let error = wal.upkeep().settle().unwrap_err().to_string();
    assert!(error.starts_with("prepare /wal/log.spare"), "{error}");
    wal.upkeep().settle().unwrap();
    disk.set_fault(None);
    assert!(files(&disk).iter().all(|(name, _)| name != upkeep::SPARE));
    append(&mut wal, 8..60, 1);
    wal.flush(true).unwrap();
    assert_eq!(all(&wal).len(), 60);
}

#[test]
fn upkeep_ends_with_its_journal() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    let upkeep = wal.upkeep();
    let thread = std::thread::spawn(move || upkeep.run(|error| panic!("{error}")));
    append(&mut wal, 0..20, 1);
    wal.flush(true).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !wal.upkeep().ready() {
        assert!(std::time::Instant::now() < deadline, "no spare was made");
        std::thread::yield_now();
    }
    drop(wal);
    thread.join().unwrap();
}
