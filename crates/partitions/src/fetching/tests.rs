//! What a follower asks and does, step by step.

use super::*;

const NOW: Millis = Millis(1000);
const BACKOFF_MS: i64 = 100;

fn ends(end: i64, last_epoch: i32) -> Ends {
    Ends { start: 0, end, last_epoch: (last_epoch >= 0).then_some(last_epoch) }
}

fn following(partitions: &[(u32, i32)]) -> Fetching<u32> {
    let mut fetching = Fetching::new(BACKOFF_MS);
    partitions.iter().for_each(|(of, epoch)| fetching.follow(*of, *epoch));
    fetching
}

/// The answer to what is asked of one partition whose log knows these epochs and where they end.
fn answer(fetching: &mut Fetching<u32>, answer: Answer, ends: Ends, epochs: &[(i32, i64)]) -> Act {
    let end_of_epoch = |asked: i32| epochs.iter().rev().find(|(epoch, _)| *epoch <= asked).copied();
    let own = Own { ends, end_of_epoch: &end_of_epoch };
    fetching.answered(&1, answer, &own, NOW)
}

#[test]
fn a_session_names_only_what_differs() {
    let mut fetching = following(&[(1, 0), (2, 5)]);
    let first = fetching.request(NOW, |of| Some(ends(i64::from(*of) * 10, 0))).unwrap();
    let ask =
        |leader_epoch, offset| Ask { leader_epoch, offset, log_start: 0, last_epoch: Some(0) };
    assert_eq!(first.session, (0, 0));
    assert_eq!(first.wanted, [(1, ask(0, 10)), (2, ask(5, 20))]);
    fetching.succeeded(77);
    let second = fetching.request(NOW, |of| Some(ends(if *of == 1 { 11 } else { 20 }, 0)));
    let expected = Request { session: (77, 1), wanted: vec![(1, ask(0, 11))], forgotten: vec![] };
    assert_eq!(second, Some(expected));
    fetching.succeeded(77);
    fetching.forget(&2);
    let third = fetching.request(NOW, |_| Some(ends(11, 0))).unwrap();
    assert_eq!((third.session, third.wanted, third.forgotten), ((77, 2), vec![], vec![2]));
    // Another epoch of the leader is another question.
    fetching.succeeded(77);
    fetching.follow(1, 3);
    fetching.follow(1, 2);
    let fourth = fetching.request(NOW, |_| Some(ends(11, 0))).unwrap();
    assert_eq!(fourth.wanted, [(1, ask(3, 11))]);
    // A leader that knows no session is asked for everything.
    fetching.session_lost();
    fetching.follow(2, 6);
    let fifth = fetching.request(NOW, |_| Some(ends(11, 0))).unwrap();
    assert_eq!((fifth.session, fifth.wanted.len()), ((0, 0), 2));
}

#[test]
fn what_comes_and_goes_between_two_requests_stays_in_the_session() {
    let mut fetching = following(&[(1, 0), (2, 0)]);
    fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    fetching.succeeded(7);
    fetching.forget(&1);
    fetching.follow(1, 0);
    let request = fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    assert_eq!((request.wanted.len(), request.forgotten), (1, vec![]));
    // One that cannot be appended to is not asked for.
    let request = fetching.request(NOW, |of| (*of == 1).then(|| ends(0, -1))).unwrap();
    assert_eq!(request.forgotten, [2]);
}

#[test]
fn records_are_appended_only_in_the_epoch_that_they_were_asked_in() {
    let mut fetching = following(&[(1, 4)]);
    assert_eq!(answer(&mut fetching, Answer::Records, ends(0, -1), &[]), Act::Nothing);
    fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    assert_eq!(answer(&mut fetching, Answer::Records, ends(0, -1), &[]), Act::Append(4));
    fetching.follow(1, 5);
    assert_eq!(answer(&mut fetching, Answer::Records, ends(0, -1), &[]), Act::Nothing);
    fetching.forget(&1);
    assert_eq!(answer(&mut fetching, Answer::Records, ends(0, -1), &[]), Act::Nothing);
}

#[test]
fn a_log_that_went_another_way_is_cut_where_both_agree() {
    // Epochs with their ends: 1 to 10, 3 to 20.
    let epochs = [(1, 10), (3, 20)];
    let cut = |epoch, end| {
        let mut fetching = following(&[(1, 6)]);
        fetching.request(NOW, |_| Some(ends(20, 3))).unwrap();
        let told = Answer::Diverging { epoch, end };
        match answer(&mut fetching, told, ends(20, 3), &epochs) {
            Act::Truncate { offset, leader_epoch: 6 } => offset,
            other => panic!("{other:?}"),
        }
    };
    // The leader has less of epoch 3, has only some of epoch 1, has more of epoch 1.
    assert_eq!([cut(3, 15), cut(1, 7), cut(1, 12)], [15, 7, 10]);
    // Epoch 2 is known to the leader only: what is above epoch 1 goes, and it asks again.
    assert_eq!(cut(2, 14), 10);
    // Nothing in common is known.
    assert_eq!(cut(0, 5), 5);
}

#[test]
fn an_epoch_without_records_is_given_up_without_haste() {
    let mut fetching = following(&[(1, 6)]);
    fetching.request(NOW, |_| Some(ends(20, 5))).unwrap();
    let told = Answer::Diverging { epoch: 3, end: 25 };
    let act = answer(&mut fetching, told, ends(20, 5), &[(3, 20), (5, 20)]);
    assert_eq!(act, Act::Truncate { offset: 20, leader_epoch: 6 });
    assert_eq!(fetching.request(NOW, |_| Some(ends(20, 3))), None);
    let due = fetching.due(NOW).unwrap();
    assert!(fetching.request(due, |_| Some(ends(20, 3))).is_some());
}

#[test]
fn a_log_out_of_range_begins_where_the_leaders_does() {
    let mut fetching = following(&[(1, 6)]);
    fetching.request(NOW, |_| Some(ends(20, 5))).unwrap();
    let mut range = |start, end| {
        let out = answer(&mut fetching, Answer::OutOfRange, ends(20, 5), &[]);
        assert_eq!(out, Act::AskRange(6));
        answer(&mut fetching, Answer::Range { start, end }, ends(20, 5), &[])
    };
    assert_eq!(range(30, 40), Act::Restart { offset: 30, leader_epoch: 6 });
    assert_eq!(range(0, 15), Act::Truncate { offset: 15, leader_epoch: 6 });
    assert_eq!(range(0, 25), Act::Nothing);
    assert!(fetching.due(NOW).is_some());
}

#[test]
fn refusals_make_pauses_that_grow_and_end_with_records() {
    let mut fetching = following(&[(1, 6), (2, 6)]);
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let request = fetching.request(now, |_| Some(ends(0, -1))).unwrap();
        assert!(request.wanted.iter().any(|(of, _)| *of == 1));
        let own = Own { ends: ends(0, -1), end_of_epoch: &|_| None };
        assert_eq!(fetching.answered(&1, Answer::Refused, &own, now), Act::Nothing);
        // The other goes on.
        let request = fetching.request(now, |_| Some(ends(0, -1))).unwrap();
        assert_eq!(request.wanted.len(), 1);
        let due = fetching.due(now).unwrap();
        pauses.push(due.0 - now.0);
        now = due;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 100, 100]);
    fetching.request(now, |_| Some(ends(0, -1))).unwrap();
    let own = Own { ends: ends(0, -1), end_of_epoch: &|_| None };
    assert_eq!(fetching.answered(&1, Answer::Records, &own, now), Act::Append(6));
    fetching.refused(&1, now);
    assert_eq!(fetching.due(now).map(|due| due.0 - now.0), Some(5));
}

#[test]
fn a_fenced_follower_waits_for_the_metadata() {
    let mut fetching = following(&[(1, 6)]);
    fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    assert_eq!(answer(&mut fetching, Answer::Fenced, ends(0, -1), &[]), Act::Nothing);
    assert_eq!(fetching.request(Millis(i64::MAX), |_| Some(ends(0, -1))), None);
    assert_eq!(fetching.due(NOW), None);
    fetching.follow(1, 7);
    assert!(fetching.request(NOW, |_| Some(ends(0, -1))).is_some());
}

#[test]
fn a_broken_connection_makes_a_pause_and_another_session() {
    let mut fetching = following(&[(1, 6)]);
    fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    fetching.succeeded(7);
    fetching.request(NOW, |_| Some(ends(0, -1))).unwrap();
    fetching.failed(NOW);
    assert_eq!(fetching.request(NOW, |_| Some(ends(0, -1))), None);
    let due = fetching.due(NOW).unwrap();
    let request = fetching.request(due, |_| Some(ends(0, -1))).unwrap();
    assert_eq!((request.session, request.wanted.len()), ((0, 0), 1));
}
