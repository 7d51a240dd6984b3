//! What a follower's log promises.

use super::*;

fn copy(from: &Log<SimDisk>, to: &mut Log<SimDisk>, max_bytes: u64) {
    loop {
        let offset = to.log_end_offset();
        let read = from.read(offset, max_bytes, true, Isolation::LogEnd).unwrap();
        let Some(range) = read.range else { return };
        to.append_as_follower(&range.read().unwrap(), Millis(5000)).unwrap().unwrap();
    }
}

#[test]
fn a_follower_has_the_leaders_bytes_and_epochs() {
    let mut leader = open(&SimDisk::new());
    for number in 0..50 {
        let mut bytes = batch(number, 1, Codec::None);
        let epoch = 1 + number as i32 / 20;
        leader.append_as_leader(&mut bytes, epoch, Origin::Client, Millis(1)).unwrap();
    }
    for max_bytes in [1, 500, 1900] {
        let mut follower = open(&SimDisk::new());
        copy(&leader, &mut follower, max_bytes);
        assert_eq!(values(&follower, 0, 1 << 20), values(&leader, 0, 1 << 20));
        assert_eq!(follower.leader_epochs(), leader.leader_epochs());
        assert_eq!(follower.end_offset_for_epoch(1), Some((1, 20)));
    }
}

#[test]
fn a_leader_that_appended_nothing_gives_up_its_epoch() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    append(&mut log, &batch(0, 1, Codec::None)).unwrap();
    let epochs = log.leader_epochs().to_vec();
    log.begin_leader_epoch(9);
    assert_eq!(log.latest_epoch(), Some(9));
    assert!(!log.truncate_to(1, Millis(1)).unwrap());
    assert_eq!(log.leader_epochs(), epochs);
}

#[test]
fn more_than_a_segment_holds_is_appended_in_parts() {
    let big = LogConfig { segment_bytes: 1 << 20, ..small() };
    let mut leader = open_with(&SimDisk::new(), big, OpenPoints::default()).0;
    for number in 0..60 {
        append(&mut leader, &batch(number, 2, Codec::None)).unwrap();
    }
    let mut follower = open(&SimDisk::new());
    copy(&leader, &mut follower, 1 << 20);
    assert!(follower.segment_count() > 5);
    assert_eq!(values(&follower, 0, 1 << 20), values(&leader, 0, 1 << 20));
}

#[test]
fn records_that_go_back_are_refused_and_a_cut_end_is_left_out() {
    let mut leader = open(&SimDisk::new());
    for number in 0..3 {
        append(&mut leader, &batch(number, 1, Codec::None)).unwrap();
    }
    let read = leader.read(0, 1900, true, Isolation::LogEnd).unwrap();
    let bytes = read.range.unwrap().read().unwrap();
    let mut follower = open(&SimDisk::new());
    let done = follower.append_as_follower(&bytes[..bytes.len() - 1], Millis(1)).unwrap().unwrap();
    assert_eq!((done.first_offset, done.last_offset), (0, 1));
    let back = follower.append_as_follower(&bytes, Millis(1));
    assert!(matches!(back, Err(AppendError::OutOfOrder { found: 0, expected: 2 })));
    assert!(follower.append_as_follower(&bytes[..50], Millis(1)).unwrap().is_none());
}

#[test]
fn a_truncated_log_takes_the_new_leaders_records() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for number in 0..40 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    log.begin_leader_epoch(2);
    for to in [39, 25, 3] {
        assert!(log.truncate_to(to, Millis(5000)).unwrap());
        assert_eq!((log.log_end_offset(), log.latest_epoch()), (to, Some(1)));
        assert_eq!(values(&log, 0, 400).len() as i64, to);
    }
    assert!(!log.truncate_to(3, Millis(5000)).unwrap());
    for number in 100..130 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    let all = values(&log, 0, 400);
    assert_eq!((all.len(), all[3].1.starts_with(b"100/")), (33, true));
    let end = log.close().unwrap();
    let points = OpenPoints { recovery_point: end, clean: true, ..OpenPoints::default() };
    assert_eq!(values(&open_with(&disk, small(), points).0, 0, 400), all);
}

#[test]
fn a_log_can_begin_anew_far_ahead() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    append(&mut log, &batch(1, 1, Codec::None)).unwrap();
    log.restart_at(1 << 40, Millis(5000)).unwrap().unlink().unwrap();
    let done = append(&mut log, &batch(2, 1, Codec::None)).unwrap();
    assert_eq!((done.first_offset, log.log_start_offset()), (1 << 40, 1 << 40));
    let mut leader = open(&SimDisk::new());
    leader.restart_at(1 << 50, Millis(5000)).unwrap().unlink().unwrap();
    append(&mut leader, &batch(3, 1, Codec::None)).unwrap();
    let read = leader.read(1 << 50, 1, true, Isolation::LogEnd).unwrap().range.unwrap();
    let far = log.append_as_follower(&read.read().unwrap(), Millis(1));
    assert!(matches!(far, Err(AppendError::OutOfOrder { .. })), "too far for one segment");
}
