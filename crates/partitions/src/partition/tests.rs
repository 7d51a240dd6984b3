//! What a partition promises.

use polyport_base::Millis;
use polyport_log::producer::ProducerError;
use polyport_log::{AppendError, Isolation, OffsetOutOfRange};
use polyport_storage::{Fault, SimDisk};

use crate::fetching::Ends;
use crate::testing::{
    ID, NOW, alone, append, batch, config, consume, end_transaction, led, of, store, transactional,
    values_in, with_log,
};
use crate::{
    AckError, Acks, AppendOptions, DeleteRecordsError, FetchError, FetchWaiter, FollowedLeader,
    FollowerFetch, IsrProposal, ListOffset, ListOffsetError, OffsetAt, PartitionState,
    ProduceError, Read, Refused, Role, TopicConfig,
};

fn two(isr: &[i32], partition_epoch: i32) -> PartitionState {
    PartitionState {
        leader: Some(1),
        leader_epoch: 3,
        partition_epoch,
        replicas: vec![1, 2],
        isr: isr.to_vec(),
    }
}

fn fetch(offset: i64, leader_end: i64) -> FollowerFetch {
    FollowerFetch { follower: 2, offset, log_start: 0, leader_end }
}

fn at(at: OffsetAt) -> ListOffset {
    ListOffset { at, isolation: Isolation::HighWatermark, leader_epoch: None, only_leader: true }
}

#[test]
fn alone_a_leader_acknowledges_and_shows_records_at_once() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    for (first, values) in [(0, &["a", "b"][..]), (2, &["c"])] {
        let answer = append(&partition, values).unwrap();
        assert_eq!(answer.appended.first_offset, first);
        assert!(answer.wait.is_none());
    }
    assert_eq!(consume(&partition, 0), ["a", "b", "c"]);
    assert_eq!(consume(&partition, 2), ["c"]);
    let status = partition.status().unwrap();
    assert_eq!((status.high_watermark, status.log_end_offset), (3, 3));
    assert_eq!((status.role, status.isr), (Role::Leader, vec![1]));
}

#[test]
fn who_does_not_lead_refuses() {
    let store = store(&SimDisk::new());
    let partition = store.create(&of(0), ID, &config(), true).unwrap();
    let refused = |result: Result<_, ProduceError>| {
        matches!(
            result.map(|_: crate::AppendAnswer| ()),
            Err(ProduceError::Refused(Refused::NotLeader))
        )
    };
    assert!(refused(append(&partition, &["a"])));
    partition.set_state(&PartitionState { leader: Some(2), ..alone(4) }, NOW).unwrap();
    assert!(refused(append(&partition, &["a"])));
    let read = Read::consumer(0, 100, Isolation::HighWatermark);
    assert_eq!(partition.read(&read).unwrap_err(), Refused::NotLeader.into());
    // A consumer may ask a follower that is near.
    partition.read(&Read { only_leader: false, ..read }).unwrap();
    let epochs = [(3, Refused::FencedEpoch), (5, Refused::UnknownEpoch), (4, Refused::NotLeader)];
    for (epoch, why) in epochs {
        let read = Read { leader_epoch: Some(epoch), ..read };
        assert_eq!(partition.read(&read).unwrap_err(), FetchError::Refused(why));
    }
    assert!(!partition.set_state(&alone(3), NOW).unwrap(), "an older state changes nothing");
    assert_eq!(partition.status().unwrap().role, Role::Follower);
}

#[test]
fn bad_records_are_refused_and_nothing_else() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    let mut bad = batch(&["a"]);
    *bad.last_mut().unwrap() ^= 1;
    let refused = partition.append(&mut bad, AppendOptions::client(Acks::Leader), NOW);
    assert!(matches!(refused, Err(ProduceError::Records(AppendError::Batch(_)))));
    let options = AppendOptions::client(Acks::Leader);
    partition.append(&mut transactional(5, 0, &["a"]), options, NOW).unwrap();
    let refused = partition.append(&mut transactional(5, 2, &["a"]), options, NOW);
    let order = ProducerError::OutOfOrder { producer_id: 5, sequence: 2, last: 0 };
    match refused {
        Err(ProduceError::Records(AppendError::Producer(why))) => assert_eq!(why, order),
        other => panic!("{other:?}"),
    }
    let again = partition.append(&mut transactional(5, 0, &["a"]), options, NOW).unwrap();
    assert!(again.appended.duplicate);
    assert_eq!(partition.status().unwrap().log_end_offset, 1);
}

#[tokio::test]
async fn acks_all_waits_until_the_followers_have_it() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    partition.set_state(&two(&[1, 2], 7), NOW).unwrap();
    let one = partition.append(&mut batch(&["a"]), AppendOptions::client(Acks::Leader), NOW);
    assert!(one.unwrap().wait.is_none());
    let wait = append(&partition, &["b"]).unwrap().wait.unwrap();
    assert!(consume(&partition, 0).is_empty());
    assert_eq!(partition.follower_fetched(fetch(1, 2), NOW).unwrap(), None);
    assert_eq!(consume(&partition, 0), ["a"]);
    let mut done = Box::pin(wait.done());
    tokio::select! {
        biased;
        _ = &mut done => panic!("not replicated yet"),
        () = tokio::task::yield_now() => {}
    }
    partition.follower_fetched(fetch(2, 2), NOW).unwrap();
    done.await.unwrap();
    assert_eq!(consume(&partition, 0), ["a", "b"]);
    let stranger = FollowerFetch { follower: 9, ..fetch(2, 2) };
    assert_eq!(partition.follower_fetched(stranger, NOW), Err(Refused::UnknownEpoch));
}

#[tokio::test]
async fn a_leader_that_is_deposed_acknowledges_nothing_any_more() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    partition.set_state(&two(&[1, 2], 7), NOW).unwrap();
    let wait = append(&partition, &["a"]).unwrap().wait.unwrap();
    let waiter = FetchWaiter::new();
    let round = waiter.begin(100);
    assert!(!partition.wait_beyond(0, Isolation::HighWatermark, &waiter, round));
    let deposed = PartitionState { leader: Some(2), leader_epoch: 4, ..two(&[1, 2], 8) };
    partition.set_state(&deposed, NOW).unwrap();
    assert_eq!(wait.done().await, Err(AckError::Refused(Refused::NotLeader)));
    assert!(waiter.is_ready());
}

#[tokio::test]
async fn too_few_in_sync_refuse_acks_all() {
    let config = TopicConfig { min_insync_replicas: 2, ..(*config()).clone() };
    let partition = led(&store(&SimDisk::new()), 0, &config.into());
    partition.set_state(&two(&[1, 2], 7), NOW).unwrap();
    let wait = append(&partition, &["a"]).unwrap().wait.unwrap();
    // The follower lags, and the metadata take it out.
    let later = Millis(NOW.0 + 30_001);
    let shrink = IsrProposal { isr: vec![1], leader_epoch: 3, partition_epoch: 7 };
    assert_eq!(partition.propose_isr(later), Some(shrink));
    assert_eq!(partition.propose_isr(later), None);
    partition.set_state(&two(&[1], 8), later).unwrap();
    assert!(matches!(append(&partition, &["b"]), Err(ProduceError::NotEnoughReplicas)));
    partition.append(&mut batch(&["c"]), AppendOptions::client(Acks::Leader), later).unwrap();
    assert_eq!(partition.status().unwrap().high_watermark, 0);
    assert!(partition.status().unwrap().under_min_isr);
    // It comes back.
    let expand = IsrProposal { isr: vec![1, 2], leader_epoch: 3, partition_epoch: 8 };
    assert_eq!(partition.follower_fetched(fetch(2, 2), later).unwrap(), Some(expand));
    partition.set_state(&two(&[1, 2], 9), later).unwrap();
    wait.done().await.unwrap();
    assert_eq!(consume(&partition, 0), ["a", "c"]);
}

#[tokio::test]
async fn a_configuration_that_asks_for_fewer_lets_records_through() {
    let strict = TopicConfig { min_insync_replicas: 2, ..(*config()).clone() };
    let partition = led(&store(&SimDisk::new()), 0, &strict.into());
    partition.set_state(&two(&[1], 7), NOW).unwrap();
    partition.append(&mut batch(&["a"]), AppendOptions::client(Acks::Leader), NOW).unwrap();
    assert!(consume(&partition, 0).is_empty());
    partition.set_config(config(), Millis(NOW.0 + 40_000));
    assert_eq!(consume(&partition, 0), ["a"]);
}

#[test]
fn waiting_fetches_hear_of_what_they_may_see() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    let waiters = [FetchWaiter::new(), FetchWaiter::new()];
    let [plain, committed] = &waiters;
    let begin = |seen| {
        let mut ready = [false; 2];
        for (at, (waiter, isolation)) in
            [(plain, Isolation::HighWatermark), (committed, Isolation::LastStable)]
                .into_iter()
                .enumerate()
        {
            ready[at] = partition.wait_beyond(seen, isolation, waiter, waiter.begin(1));
        }
        ready
    };
    let ready = || [plain.is_ready(), committed.is_ready()];
    assert_eq!(begin(0), [false, false]);
    append(&partition, &["a"]).unwrap();
    assert_eq!(ready(), [true, true]);
    // Both saw nothing of it yet.
    assert_eq!(begin(0), [true, true]);
    assert_eq!(begin(1), [false, false]);
    let options = AppendOptions::client(Acks::All);
    partition.append(&mut transactional(5, 0, &["b"]), options, NOW).unwrap();
    assert_eq!(ready(), [true, false]);
    append(&partition, &["c"]).unwrap();
    assert_eq!(ready(), [true, false]);
    end_transaction(&partition, 5, true);
    assert_eq!(ready(), [true, true]);
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_it_wants() {
    let store = store(&SimDisk::new());
    let partitions = [led(&store, 0, &config()), led(&store, 1, &config())];
    let size = batch(&["a"]).len() as u32;
    let waiter = FetchWaiter::new();
    let round = waiter.begin(size * 3);
    for partition in &partitions {
        partition.wait_beyond(0, Isolation::HighWatermark, &waiter, round);
    }
    append(&partitions[0], &["a"]).unwrap();
    append(&partitions[1], &["b"]).unwrap();
    assert!(!waiter.is_ready());
    append(&partitions[0], &["c"]).unwrap();
    assert!(waiter.is_ready());
}

#[test]
fn aborted_transactions_are_named() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    let options = AppendOptions::client(Acks::All);
    partition.append(&mut transactional(5, 0, &["a"]), options, NOW).unwrap();
    let read = Read::consumer(0, 1 << 20, Isolation::LastStable);
    assert_eq!(partition.read(&read).unwrap().bytes(), 0);
    end_transaction(&partition, 5, false);
    let answer = partition.read(&read).unwrap();
    assert_eq!(values_in(&answer.fetched.range.unwrap())[0], "a");
    let aborted: Vec<_> =
        answer.fetched.aborted.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect();
    assert_eq!(aborted, [(5, 0)]);
    assert_eq!(partition.producers().unwrap()[0].producer_id, 5);
}

#[test]
fn offsets_are_found_by_what_is_asked() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    append(&partition, &["a", "b"]).unwrap();
    append(&partition, &["c"]).unwrap();
    let offset = |what| partition.list_offset(&at(what)).unwrap().map(|found| found.offset);
    assert_eq!(offset(OffsetAt::Earliest), Some(0));
    assert_eq!(offset(OffsetAt::Latest), Some(3));
    assert_eq!(offset(OffsetAt::MaxTimestamp), Some(0));
    assert_eq!(offset(OffsetAt::Timestamp(NOW.0)), Some(0));
    assert_eq!(offset(OffsetAt::Timestamp(NOW.0 + 1)), None);
    assert_eq!(partition.delete_records(Some(2)).unwrap(), 2);
    assert_eq!(offset(OffsetAt::EarliestLocal), Some(2));
    let read = Read::consumer(1, 100, Isolation::HighWatermark);
    let outside = OffsetOutOfRange { offset: 1, start: 2, end: 3 };
    assert_eq!(partition.read(&read).unwrap_err(), FetchError::OutOfRange(outside));
    assert_eq!(consume(&partition, 2), ["c"]);
    for beyond in [-5, 4] {
        let refused = partition.delete_records(Some(beyond));
        assert!(matches!(refused, Err(DeleteRecordsError::OutOfRange(_))), "{beyond}");
    }
    assert_eq!(partition.delete_records(None).unwrap(), 3);
    partition.set_config(with_log(|log| (log.delete, log.compact) = (false, true)), NOW);
    assert_eq!(partition.delete_records(None), Err(DeleteRecordsError::Policy));
}

#[test]
fn a_new_leader_says_nothing_of_the_latest_offset_before_it_knows() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    partition.set_state(&two(&[1, 2], 7), NOW).unwrap();
    append(&partition, &["a"]).unwrap();
    let elected = PartitionState { leader_epoch: 4, ..two(&[1, 2], 8) };
    partition.set_state(&elected, NOW).unwrap();
    for what in [OffsetAt::Latest, OffsetAt::Timestamp(0)] {
        assert_eq!(partition.list_offset(&at(what)), Err(ListOffsetError::NotAvailable));
    }
    partition.follower_fetched(fetch(1, 1), NOW).unwrap();
    let found = partition.list_offset(&at(OffsetAt::Latest)).unwrap().unwrap();
    assert_eq!((found.offset, found.leader_epoch), (1, 4));
    append(&partition, &["b"]).unwrap();
    assert_eq!(partition.end_offset_for_epoch(3, None, true).unwrap(), Some((3, 1)));
    assert_eq!(partition.end_offset_for_epoch(4, Some(4), true).unwrap(), Some((4, 2)));
}

#[test]
fn a_follower_takes_the_leaders_records_and_watermark() {
    let leader = led(&store(&SimDisk::new()), 0, &config());
    append(&leader, &["a"]).unwrap();
    append(&leader, &["b"]).unwrap();
    let all = leader.read(&Read::consumer(0, 1 << 20, Isolation::LogEnd)).unwrap();
    let bytes = all.fetched.range.unwrap().read().unwrap();
    let follower = store(&SimDisk::new()).create(&of(0), ID, &config(), true).unwrap();
    follower.set_state(&PartitionState { leader: Some(2), ..alone(0) }, NOW).unwrap();
    let said = FollowedLeader { epoch: 0, high_watermark: 1, log_start: 0 };
    let fenced = follower.append_as_follower(&bytes, FollowedLeader { epoch: 1, ..said }, NOW);
    assert!(matches!(fenced, Err(ProduceError::Refused(Refused::FencedEpoch))));
    follower.append_as_follower(&bytes, said, NOW).unwrap().unwrap();
    let status = follower.status().unwrap();
    assert_eq!((status.high_watermark, status.log_end_offset), (1, 2));
    assert_eq!(follower.truncate(1, 1, NOW), Err(Refused::FencedEpoch));
    follower.truncate(1, 0, NOW).unwrap();
    assert_eq!(follower.status().unwrap().log_end_offset, 1);
    let ends = Ends { start: 0, end: 1, last_epoch: Some(0) };
    assert_eq!((follower.followed(), leader.followed()), (Some(ends), None));
    follower.restart_at(40, 0, NOW).unwrap();
    assert_eq!(follower.status().unwrap().log_start_offset, 40);
    assert_eq!(leader.truncate(1, 0, NOW), Err(Refused::FencedEpoch));
}

#[test]
fn a_follower_that_went_another_way_is_told_where() {
    let partition = led(&store(&SimDisk::new()), 0, &config());
    append(&partition, &["a"]).unwrap();
    partition.set_state(&alone(5), NOW).unwrap();
    append(&partition, &["b"]).unwrap();
    let read = Read::consumer(2, 100, Isolation::LogEnd);
    let ask = |epoch, offset| {
        let read = Read { last_fetched_epoch: Some(epoch), offset, ..read };
        let answer = partition.read(&read).unwrap();
        (answer.diverging, answer.bytes() > 0)
    };
    assert_eq!(ask(0, 1), (None, true));
    assert_eq!(ask(5, 2), (None, false));
    assert_eq!(ask(0, 2), (Some((0, 1)), false));
    assert_eq!(ask(3, 1), (Some((0, 1)), false));
    // Also if it has more.
    assert_eq!(ask(0, 9), (Some((0, 1)), false));
}

#[tokio::test]
async fn flush_messages_is_acknowledged_by_a_sync_that_many_share() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let partition = led(&store, 0, &with_log(|log| log.flush_messages = 2));
    let one = append(&partition, &["a"]).unwrap();
    assert!(one.wait.is_none());
    let waits: Vec<_> =
        ["b", "c"].map(|value| append(&partition, &[value]).unwrap().wait.unwrap()).into();
    let before = disk.syncs();
    store.flush_step(0, NOW);
    let syncs = disk.syncs() - before;
    for wait in waits {
        wait.done().await.unwrap();
    }
    store.flush_step(0, NOW);
    assert_eq!(disk.syncs() - before, syncs, "there was nothing left to sync");
    assert_eq!(partition.with_log(|log| log.recovery_point()).unwrap(), 3);
}

#[test]
fn flush_ms_is_kept() {
    let store = store(&SimDisk::new());
    let partition = led(&store, 0, &with_log(|log| log.flush_ms = 50));
    append(&partition, &["a"]).unwrap();
    let point = || partition.with_log(|log| log.recovery_point()).unwrap();
    assert_eq!(store.flush_step(0, NOW), Some(Millis(NOW.0 + 50)));
    assert_eq!(point(), 0);
    assert_eq!(store.flush_step(0, Millis(NOW.0 + 50)), None);
    assert_eq!(point(), 1);
    append(&partition, &["b"]).unwrap();
    assert_eq!(store.flush_step(0, NOW), Some(Millis(NOW.0 + 50)));
}

#[tokio::test]
async fn a_failed_sync_fails_who_waits_and_takes_the_directory_offline() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let partition = led(&store, 0, &config());
    let options = AppendOptions { durable: true, ..AppendOptions::client(Acks::All) };
    let wait = partition.append(&mut batch(&["a"]), options, NOW).unwrap().wait.unwrap();
    disk.set_fault(Some(Fault::FailAfterSyncs(0)));
    store.flush_step(0, NOW);
    assert_eq!(wait.done().await, Err(AckError::Refused(Refused::Storage)));
    disk.set_fault(None);
    assert!(matches!(append(&partition, &["b"]), Err(ProduceError::Refused(Refused::Storage))));
    assert_eq!(partition.failure(), Some(Refused::Storage));
    assert!(store.log_dirs()[0].failure.is_some());
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let partition = led(&store, 0, &config());
    append(&partition, &["a"]).unwrap();
    disk.set_fault(Some(Fault::FullAfterBytes(10)));
    assert!(matches!(append(&partition, &["b"]), Err(ProduceError::Refused(Refused::Storage))));
    assert_eq!(consume(&partition, 0), ["a"]);
    disk.set_fault(None);
    append(&partition, &["c"]).unwrap();
    assert_eq!(consume(&partition, 0), ["a", "c"]);
}
