//! What producers are promised.

use super::*;
use crate::batch::{Attributes, BatchBuilder};

fn header(offset: i64, epoch: i16, sequence: i32, count: i32, transactional: bool) -> Header {
    let attributes = Attributes::default().with_transactional(transactional);
    let mut builder = BatchBuilder::new(offset).attributes(attributes).producer(7, epoch, sequence);
    for _ in 0..count {
        builder.push(1000 + offset, None, None);
    }
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    Header::parse(&bytes).unwrap()
}

fn marker(offset: i64, epoch: i16) -> Header {
    let mut header = header(offset, epoch, -1, 1, true);
    header.attributes = header.attributes.with_control(true);
    header
}

const COMMIT: EndMarker = EndMarker { commit: true, coordinator_epoch: 3 };
const ABORT: EndMarker = EndMarker { commit: false, coordinator_epoch: 3 };

#[test]
fn the_last_five_batches_are_recognised_again() {
    let mut state = ProducerState::default();
    let batches: Vec<_> = (0..6).map(|n| header(n * 10, 0, n as i32 * 10, 10, false)).collect();
    for batch in &batches {
        state.check(batch, Origin::Client).unwrap();
        assert_eq!(state.duplicate(batch), None);
        state.append(batch);
    }
    assert_eq!(state.duplicate(&batches[0]), None, "forgotten");
    state.check(&batches[0], Origin::Client).unwrap_err();
    for batch in &batches[1..] {
        let found = state.duplicate(batch).unwrap();
        assert_eq!(found.first_offset(), batch.base_offset);
        assert_eq!(found.last_offset, batch.last_offset());
    }
    let newer = Header { producer_epoch: 1, ..batches[5] };
    assert_eq!(state.duplicate(&newer), None, "another epoch");
}

#[test]
fn gaps_and_old_epochs_are_refused() {
    let mut state = ProducerState::default();
    state.append(&header(0, 2, 0, 3, false));
    let check =
        |epoch, sequence| state.check(&header(9, epoch, sequence, 1, false), Origin::Client);
    check(2, 3).unwrap();
    assert!(matches!(check(2, 4), Err(ProducerError::OutOfOrder { last: 2, .. })));
    assert!(matches!(check(2, 2), Err(ProducerError::OutOfOrder { .. })));
    assert!(matches!(check(1, 3), Err(ProducerError::Fenced { current: 2, .. })));
    check(3, 0).unwrap();
    assert!(matches!(check(3, 3), Err(ProducerError::OutOfOrder { last: -1, .. })));
    state.check(&header(9, 2, 77, 1, false), Origin::Coordinator).unwrap();
    state.check(&header(9, 0, 77, 1, false), Origin::Replication).unwrap();
}

#[test]
fn a_producer_that_is_not_known_may_begin_anywhere() {
    ProducerState::default().check(&header(0, 4, 99, 1, false), Origin::Client).unwrap();
}

#[test]
fn sequences_wrap_to_zero() {
    let mut state = ProducerState::default();
    let first = header(0, 0, i32::MAX - 1, 4, false);
    assert_eq!(first.last_sequence(), 1);
    state.append(&first);
    assert_eq!(state.duplicate(&first).unwrap().first_sequence(), i32::MAX - 1);
    state.check(&header(4, 0, 2, 1, false), Origin::Client).unwrap();
    let mut state = ProducerState::default();
    state.append(&header(0, 0, i32::MAX, 1, false));
    state.check(&header(1, 0, 0, 1, false), Origin::Client).unwrap();
}

#[test]
fn transactions_hold_the_stable_offset_until_their_marker_is_replicated() {
    let mut state = ProducerState::default();
    state.append(&header(5, 0, 0, 2, true));
    assert_eq!(state.first_unstable_offset(), Some(5));
    let plain = state.check(&header(7, 0, 2, 1, false), Origin::Client);
    assert_eq!(plain, Err(ProducerError::NotTransactional { producer_id: 7 }));
    state.append(&header(7, 0, 2, 1, true));
    state.check_marker(&marker(8, 0), ABORT).unwrap();
    let done = state.append_marker(&marker(8, 0), ABORT).unwrap();
    assert_eq!((done.first_offset, done.last_offset, done.aborted), (5, 8, true));
    assert_eq!(state.complete(&done), 9);
    assert_eq!(state.first_unstable_offset(), Some(5));
    state.on_high_watermark(8);
    assert_eq!(state.first_unstable_offset(), Some(5), "the marker is at 8");
    state.on_high_watermark(9);
    assert_eq!(state.first_unstable_offset(), None);
}

#[test]
fn markers_of_old_coordinators_and_epochs_are_refused() {
    let mut state = ProducerState::default();
    state.append(&header(0, 4, 0, 1, true));
    assert!(matches!(state.check_marker(&marker(1, 3), COMMIT), Err(ProducerError::Fenced { .. })));
    let done = state.append_marker(&marker(1, 5), COMMIT).unwrap();
    state.complete(&done);
    let old = EndMarker { coordinator_epoch: 2, ..COMMIT };
    assert_eq!(
        state.check_marker(&marker(2, 5), old),
        Err(ProducerError::CoordinatorFenced { epoch: 2, current: 3 })
    );
    assert_eq!(state.append_marker(&marker(2, 5), COMMIT), None, "no transaction is open");
    let late = state.check(&header(3, 4, 1, 1, true), Origin::Client);
    assert!(matches!(late, Err(ProducerError::Fenced { current: 5, .. })), "{late:?}");
}

#[test]
fn a_snapshot_brings_back_what_it_holds() {
    let mut state = ProducerState::default();
    state.append(&header(0, 4, 0, 3, false));
    state.append(&Header { producer_id: 3, ..header(3, 1, 0, 2, true) });
    let only_marker = Header { producer_id: 9, ..marker(5, 2) };
    assert_eq!(state.append_marker(&only_marker, COMMIT), None);
    let bytes = snapshot::encode(&state);
    assert_eq!(bytes.len(), 10 + 3 * 46);
    let back = ProducerState::from_entries(snapshot::decode(&bytes).unwrap(), 6);
    assert!(back.entries().eq(state.entries()));
    assert_eq!(back.first_unstable_offset(), Some(3));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        snapshot::decode(&bad).unwrap_err();
    }
    snapshot::decode(&bytes[..bytes.len() - 1]).unwrap_err();
}

#[test]
fn silent_producers_are_forgotten_unless_in_a_transaction() {
    let mut state = ProducerState::default();
    state.append(&header(0, 0, 0, 1, false));
    state.append(&Header { producer_id: 8, ..header(1, 0, 0, 1, true) });
    state.expire(5000);
    assert!(state.entry(7).is_none() && state.entry(8).is_some());
}
