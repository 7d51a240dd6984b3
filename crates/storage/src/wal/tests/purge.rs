//! Purging, and what an interrupted purge leaves.

use super::*;

#[test]
fn purging_removes_whole_segments_and_keeps_the_values() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    wal.set_vote(b"vote").unwrap();
    wal.set_mark(b"mark").unwrap();
    for index in 1..100 {
        append(&mut wal, index..index + 1, 1);
        wal.flush(false).unwrap();
    }
    let old_reader = wal.reader();
    wal.purge_to(90, b"ninety").unwrap();
    wal.upkeep().settle().unwrap();
    assert_eq!(wal.first_index(), Some(91));
    assert_eq!(old_reader.entries(), 91..100);
    disk.crash(0);
    let (mut wal, recovered) = open(&disk);
    assert_eq!((recovered.first_index, recovered.last_index), (Some(91), Some(99)));
    assert_eq!(recovered.purged, Some((90, b"ninety".to_vec())));
    assert_eq!(recovered.vote.as_deref(), Some(b"vote".as_slice()));
    assert_eq!(recovered.mark.as_deref(), Some(b"mark".as_slice()));
    assert!(recovered.segments < 5, "{recovered:?}");
    wal.truncate_after(Some(89)).unwrap_err();
    wal.truncate_after(Some(90)).unwrap();
    append(&mut wal, 91..93, 2);
    wal.flush(true).unwrap();
    assert_eq!(all(&open(&disk).0), [(91, payload(91, 2)), (92, payload(92, 2))]);
}

#[test]
fn a_purge_beyond_the_end_restarts_the_log_there() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    append(&mut wal, 0..30, 1);
    wal.purge_to(1000, b"snapshot").unwrap();
    assert_eq!((wal.first_index(), wal.last_index()), (None, None));
    wal.append(30, &[b"x"]).unwrap_err();
    append(&mut wal, 1001..1003, 1);
    wal.flush(true).unwrap();
    let (_, recovered) = open(&disk);
    assert_eq!((recovered.first_index, recovered.last_index), (Some(1001), Some(1002)));
}

#[test]
fn any_subset_of_purged_segments_may_come_back() {
    for seed in 0..64 {
        let disk = SimDisk::new();
        let (mut wal, _) = open(&disk);
        for index in 0..80 {
            append(&mut wal, index..index + 1, 1);
            wal.flush(true).unwrap();
        }
        // The removals happen, the directory's sync does not.
        disk.set_fault(Some(Fault::FailAfterSyncs(1)));
        wal.purge_to(70, b"seventy").unwrap();
        wal.upkeep().settle().unwrap_err();
        wal.upkeep().settle().unwrap();
        disk.crash(seed);
        let (mut wal, recovered) = open(&disk);
        assert_eq!((recovered.first_index, recovered.last_index), (Some(71), Some(79)));
        wal.purge_to(75, b"").unwrap();
        assert_eq!(open(&disk).1.first_index, Some(76));
    }
}

#[test]
fn a_missing_segment_that_was_not_purged_is_corruption() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    for index in 0..80 {
        append(&mut wal, index..index + 1, 1);
        wal.flush(true).unwrap();
    }
    drop(wal);
    let mut names: Vec<_> =
        disk.list(Path::new(DIR)).unwrap().iter().filter_map(|n| segment::Name::parse(n)).collect();
    names.sort();
    for name in &names[..names.len() - 1] {
        let path = Path::new(DIR).join(name.to_string());
        let bytes = disk.read(&path, u64::MAX).unwrap();
        disk.remove(&path).unwrap();
        let error = Wal::open(disk.clone(), DIR, small()).unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("polyport restore"), "{error}");
        disk.create(&path).unwrap().write_at(&bytes, 0).unwrap();
    }
    open(&disk);
}

#[test]
fn segments_that_a_purge_gave_up_are_given_up_again_after_a_restart() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    for index in 0..80 {
        append(&mut wal, index..index + 1, 1);
        wal.flush(true).unwrap();
    }
    wal.purge_to(75, b"").unwrap();
    drop(wal);
    let before = disk.list(Path::new(DIR)).unwrap().len();
    let (wal, _) = open(&disk);
    wal.upkeep().settle().unwrap();
    let after = disk.list(Path::new(DIR)).unwrap().len();
    assert!(before >= 8 && after < 5, "{before} files, then {after}");
}
