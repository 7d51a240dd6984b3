//! Idempotence and transactions, over restarts.

use super::*;

fn from(id: i64, epoch: i16, sequence: i32, transactional: bool) -> Vec<u8> {
    let attributes = Attributes::default().with_transactional(transactional);
    let mut builder = BatchBuilder::new(0).attributes(attributes).producer(id, epoch, sequence);
    builder.push(1000, Some(b"k"), Some(&[1; 120]));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    bytes
}

fn end(log: &mut Log<SimDisk>, id: i64, commit: bool) -> Result<Appended, AppendError> {
    let mut marker = EndMarker { commit, coordinator_epoch: 1 }.build(id, 0, 2000);
    log.append_as_leader(&mut marker, 1, Origin::Coordinator, Millis(5000))
}

#[test]
fn a_repeated_batch_is_written_once_also_after_a_restart() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for sequence in 0..30 {
        let done = append(&mut log, &from(7, 0, sequence, false)).unwrap();
        assert_eq!((done.first_offset, done.duplicate), (i64::from(sequence), false));
        let again = append(&mut log, &from(7, 0, sequence, false)).unwrap();
        assert_eq!((again.first_offset, again.duplicate), (i64::from(sequence), true));
    }
    let gap = append(&mut log, &from(7, 0, 31, false));
    assert!(matches!(gap, Err(AppendError::Producer(ProducerError::OutOfOrder { last: 29, .. }))));
    drop(log);
    disk.kill();
    let mut log = open(&disk);
    assert!(append(&mut log, &from(7, 0, 29, false)).unwrap().duplicate);
    let end = log.close().unwrap();
    let points = OpenPoints { recovery_point: end, clean: true, ..OpenPoints::default() };
    let mut log = open_with(&disk, small(), points).0;
    assert!(append(&mut log, &from(7, 0, 29, false)).unwrap().duplicate);
    assert_eq!(append(&mut log, &from(7, 0, 30, false)).unwrap().first_offset, 30);
    log.truncate_to(20, Millis(1)).unwrap();
    assert_eq!(append(&mut log, &from(7, 0, 20, false)).unwrap().first_offset, 20);
}

#[test]
fn committed_readers_stop_at_open_transactions_and_learn_of_aborted_ones() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    append(&mut log, &from(1, 0, 0, true)).unwrap();
    append(&mut log, &from(2, 0, 0, true)).unwrap();
    append(&mut log, &batch(1, 1, Codec::None)).unwrap();
    end(&mut log, 1, false).unwrap();
    log.set_high_watermark(4);
    assert_eq!(log.last_stable_offset(), 1);
    for sequence in 1..20 {
        append(&mut log, &from(2, 0, sequence, true)).unwrap();
    }
    end(&mut log, 2, false).unwrap();
    assert_eq!(log.last_stable_offset(), 1, "the marker is not replicated");
    let after = log.log_end_offset();
    log.set_high_watermark(after);
    assert_eq!(log.last_stable_offset(), after);
    let check = |log: &Log<SimDisk>| {
        let read = log.read(0, 1 << 20, true, Isolation::LastStable).unwrap();
        let found: Vec<_> =
            read.aborted.iter().map(|t| (t.producer_id, t.first_offset, t.last_offset)).collect();
        assert_eq!(found, [(1, 0, 3), (2, 1, after - 1)]);
        let later = log.read(5, 1, true, Isolation::LastStable).unwrap();
        assert_eq!(later.aborted.len(), 1);
        assert!(log.read(0, 1, true, Isolation::HighWatermark).unwrap().aborted.is_empty());
    };
    check(&log);
    drop(log);
    disk.kill();
    let points = OpenPoints { high_watermark: after, ..OpenPoints::default() };
    let (log, _) = open_with(&disk, small(), points);
    check(&log);
    assert_eq!(log.last_stable_offset(), after);
    let end = log.close().unwrap();
    let points =
        OpenPoints { recovery_point: end, clean: true, high_watermark: after, log_start: 0 };
    check(&open_with(&disk, small(), points).0);
}

#[test]
fn an_open_transaction_survives_a_restart_and_fencing_holds() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    append(&mut log, &from(1, 0, 0, true)).unwrap();
    for number in 0..30 {
        append(&mut log, &batch(number, 1, Codec::None)).unwrap();
    }
    drop(log);
    disk.kill();
    let (mut log, _) =
        open_with(&disk, small(), OpenPoints { high_watermark: 31, ..OpenPoints::default() });
    assert_eq!((log.high_watermark(), log.last_stable_offset()), (31, 0));
    end(&mut log, 1, true).unwrap();
    log.set_high_watermark(32);
    assert_eq!(log.last_stable_offset(), 32);
    append(&mut log, &from(1, 3, 0, false)).unwrap();
    let old = append(&mut log, &from(1, 0, 1, true));
    assert!(matches!(old, Err(AppendError::Producer(ProducerError::Fenced { current: 3, .. }))));
    let late = end(&mut log, 1, true);
    assert!(matches!(late, Err(AppendError::Producer(ProducerError::Fenced { .. }))));
}

fn append_verified(
    log: &mut Log<SimDisk>,
    records: &[u8],
    verification: Verification,
) -> Result<Appended, AppendError> {
    let (mut records, now) = (records.to_vec(), Millis(5000));
    let checked = check_for_leader(log.config(), &records, Origin::Client, now)?;
    log.append_checked(&mut records, checked, 1, (Origin::Client, verification), now)
}

fn is_unverified(outcome: &Result<Appended, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Producer(ProducerError::NotVerified { producer_id: 1 })))
}

#[test]
fn a_transaction_begins_only_with_what_its_coordinator_said() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let first = from(1, 0, 0, true);
    assert!(is_unverified(&append_verified(&mut log, &first, Verification::Missing)));
    let guard = log.begin_verification(1, 0, 0, Millis(1)).unwrap();
    assert!(is_unverified(&append_verified(&mut log, &first, Verification::Missing)));
    assert_eq!(log.log_end_offset(), 0);
    let verified = Verification::Verified(guard);
    assert_eq!(append_verified(&mut log, &first, verified).unwrap().first_offset, 0);
    // It has begun: what follows need not be asked about.
    assert_eq!(log.begin_verification(1, 0, 1, Millis(1)), None);
    append_verified(&mut log, &from(1, 0, 1, true), Verification::Missing).unwrap();
    // What is not of a transaction is not asked about either.
    append_verified(&mut log, &from(2, 0, 0, false), Verification::Missing).unwrap();
}

#[test]
fn what_was_said_before_a_marker_is_worth_nothing_after_it() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let guard = log.begin_verification(1, 0, 0, Millis(1)).unwrap();
    end(&mut log, 1, false).unwrap();
    let late = append_verified(&mut log, &from(1, 0, 0, true), Verification::Verified(guard));
    assert!(is_unverified(&late));
    // Nor for the next transaction, which is asked about anew.
    let next = log.begin_verification(1, 0, 0, Millis(1)).unwrap();
    assert_ne!(next, guard);
    let late = append_verified(&mut log, &from(1, 0, 0, true), Verification::Verified(guard));
    assert!(is_unverified(&late));
    append_verified(&mut log, &from(1, 0, 0, true), Verification::Verified(next)).unwrap();
}

#[test]
fn no_batch_overtakes_one_that_waits_for_the_coordinator() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let guard = log.begin_verification(1, 0, 3, Millis(1)).unwrap();
    // The first one is tried again, while the second one comes.
    assert_eq!(log.begin_verification(1, 0, 4, Millis(1)), Some(guard));
    let verified = Verification::Verified(guard);
    let overtaking = append_verified(&mut log, &from(1, 0, 4, true), verified);
    assert!(matches!(
        overtaking,
        Err(AppendError::Producer(ProducerError::OutOfOrder { sequence: 4, last: 3, .. }))
    ));
    append_verified(&mut log, &from(1, 0, 3, true), verified).unwrap();
    append_verified(&mut log, &from(1, 0, 4, true), Verification::Missing).unwrap();
}

#[test]
fn questions_that_nobody_comes_back_with_are_forgotten() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let guard = log.begin_verification(1, 0, 0, Millis(0)).unwrap();
    log.expire_producers(Millis(log.config().producer_expiration_ms));
    let late = append_verified(&mut log, &from(1, 0, 0, true), Verification::Verified(guard));
    assert!(is_unverified(&late));
}
