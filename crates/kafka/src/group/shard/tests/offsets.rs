use std::sync::Arc;

use super::world::{World, commit, consumer, offset, simple};
use crate::group::error::{AppendError, GroupError};
use crate::group::machine::{EndTransaction, TransactionalProducer};
use crate::group::offsets::{CommitOffset, FetchOffsets};
use crate::group::shard::CommitOutcome;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const PRODUCER: TransactionalProducer = TransactionalProducer { id: 7, epoch: 0 };

fn in_transaction(world: &mut World, group: &str, offsets: Vec<CommitOffset>) -> CommitOutcome {
    let id = group.into();
    world.run(|shard, cx| shard.commit_in_transaction(&id, &simple(offsets), PRODUCER, cx))
}

fn end(world: &mut World, commit: bool) {
    let end = EndTransaction { producer: PRODUCER, commit, coordinator_epoch: 0 };
    world.run(|shard, cx| shard.end_transaction(end, cx)).unwrap();
}

#[test]
fn a_client_without_a_group_commits_and_finds_its_offsets() {
    let mut world = World::new();
    let outcome = world.commit("g", simple(vec![offset("t", 0, 5), offset("t", 1, 6)]));
    assert_eq!(outcome, Ok(vec![Ok(()), Ok(())]));
    world.commit("g", simple(vec![offset("t", 0, 9)])).unwrap();
    assert_eq!(world.offset("g", "t", 0), Some(9));
    assert_eq!(world.offset("g", "t", 1), Some(6));
    assert_eq!(world.offset("other", "t", 1), None);
    let group = world.shard.list().next().unwrap();
    assert_eq!((&*group.group, &*group.protocol_type, group.state), ("g", "", "Empty"));
    let asked = FetchOffsets {
        partitions: Some(vec![("t".into(), vec![1, 2])]),
        ..FetchOffsets::default()
    };
    let fetched = world.shard.fetch("g", &asked).unwrap();
    assert_eq!(fetched[0].offset.as_ref().unwrap().as_ref().unwrap().offset, 6);
    assert_eq!(fetched[1].offset, Ok(None));
    assert_eq!(world.shard.fetch("other", &asked).unwrap()[0].offset, Ok(None));
}

#[test]
fn members_commit_in_their_generation_and_others_do_not() {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer("")]);
    let offsets = || vec![offset("t", 0, 5)];
    assert_eq!(world.commit("g", commit(&ids[0], 1, offsets())), Ok(vec![Ok(())]));
    let refused = |error| Err(error);
    assert_eq!(
        world.commit("g", commit(&ids[0], 0, offsets())),
        refused(GroupError::IllegalGeneration)
    );
    assert_eq!(world.commit("g", commit("x", 1, offsets())), refused(GroupError::UnknownMemberId));
    assert_eq!(world.commit("g", simple(offsets())), refused(GroupError::UnknownMemberId));
    assert_eq!(
        world.commit("h", commit("x", 1, offsets())),
        refused(GroupError::IllegalGeneration)
    );
    assert_eq!(world.shard.list().count(), 1, "a refused commit leaves no group behind");

    // While members join, those of the old generation may; while the leader assigns, nobody.
    let other = world.join("g", consumer(""));
    assert_eq!(world.commit("g", commit(&ids[0], 1, offsets())), Ok(vec![Ok(())]));
    world.join("g", consumer(&ids[0]));
    world.joined(other).unwrap();
    assert_eq!(
        world.commit("g", commit(&ids[0], 2, offsets())),
        refused(GroupError::RebalanceInProgress)
    );
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer("")]);
    for _ in 0..3 {
        world.pass(9_000);
        world.commit("g", commit(&ids[0], 1, vec![offset("t", 0, 1)])).unwrap();
    }
    world.heartbeat("g", &ids[0], 1).unwrap();
}

#[test]
fn metadata_that_are_too_large_refuse_their_offset_only() {
    let mut world = World::new();
    let with =
        |metadata: String| CommitOffset { metadata: Some(metadata.into()), ..offset("t", 0, 5) };
    let longest = CommitOffset { partition: 1, ..with("ü".repeat(4096)) };
    let outcome = world.commit("g", simple(vec![with("x".repeat(4097)), longest]));
    assert_eq!(outcome, Ok(vec![Err(GroupError::OffsetMetadataTooLarge), Ok(())]));
    assert_eq!(world.offset("g", "t", 0), None);
    assert_eq!(world.offset("g", "t", 1), Some(5));
}

#[test]
fn a_commit_that_is_not_written_did_not_happen() {
    let mut world = World::new();
    world.commit("g", simple(vec![offset("t", 0, 1)])).unwrap();
    for (fails, error) in [
        (AppendError::NotLeader, GroupError::NotCoordinator),
        (AppendError::NotEnoughReplicas, GroupError::CoordinatorNotAvailable),
        (AppendError::TooLarge, GroupError::InvalidCommitOffsetSize),
    ] {
        world.log.fails = Some(fails);
        let outcome = world.commit("g", simple(vec![offset("t", 0, 2)]));
        assert_eq!(outcome, Ok(vec![Err(error)]));
        world.commit("new", simple(vec![offset("t", 0, 2)])).unwrap();
    }
    assert_eq!(world.offset("g", "t", 0), Some(1));
    assert_eq!(world.shard.list().count(), 1);
}

#[test]
fn commits_of_several_groups_are_one_append() {
    let mut world = World::new();
    let requests: Vec<_> = (0..10)
        .map(|number| {
            let generation = if number == 3 { 1 } else { -1 };
            let request = commit("", generation, vec![offset("t", 0, number)]);
            (Arc::from(format!("g{number}")), request)
        })
        .collect();
    let outcomes = world.run(|shard, cx| shard.commit(&requests, cx));
    assert_eq!(outcomes[3], Err(GroupError::IllegalGeneration));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(vec![Ok(())])).count(), 9);
    assert_eq!(world.log.appends.len(), 1);
    assert_eq!(world.offset("g9", "t", 0), Some(9));
    assert_eq!(world.reloaded().offset("g9", "t", 0), Some(9));
}

#[test]
fn offsets_of_a_transaction_count_when_it_is_committed() {
    let mut world = World::new();
    world.commit("g", simple(vec![offset("t", 0, 1), offset("t", 1, 1)])).unwrap();
    in_transaction(&mut world, "g", vec![offset("t", 0, 5)]).unwrap();
    assert_eq!(world.offset("g", "t", 0), Some(1));
    let stable = FetchOffsets { require_stable: true, ..FetchOffsets::default() };
    let fetched = world.shard.fetch("g", &stable).unwrap();
    assert_eq!(fetched[0].offset, Err(GroupError::UnstableOffsetCommit));
    fetched[1].offset.as_ref().unwrap();
    let mut reloaded = world.reloaded();
    for world in [&mut world, &mut reloaded] {
        end(world, true);
        assert_eq!(world.offset("g", "t", 0), Some(5));
        world.shard.fetch("g", &stable).unwrap()[0].offset.as_ref().unwrap();
    }
    assert_eq!(world.reloaded().offset("g", "t", 0), Some(5));
}

#[test]
fn offsets_of_an_aborted_transaction_are_nothing() {
    let mut world = World::new();
    in_transaction(&mut world, "g", vec![offset("t", 0, 5)]).unwrap();
    assert_eq!(world.shard.list().count(), 1);
    end(&mut world, false);
    assert_eq!(world.offset("g", "t", 0), None);
    assert_eq!(world.shard.list().count(), 0);
    assert_eq!(world.reloaded().shard.list().count(), 0);
    end(&mut world, true);
}

#[test]
fn an_offset_committed_after_the_transactions_stays() {
    let mut world = World::new();
    in_transaction(&mut world, "g", vec![offset("t", 0, 5)]).unwrap();
    world.commit("g", simple(vec![offset("t", 0, 9)])).unwrap();
    end(&mut world, true);
    assert_eq!(world.offset("g", "t", 0), Some(9));
    assert_eq!(world.reloaded().offset("g", "t", 0), Some(9));
}

#[test]
fn a_producer_says_who_consumes_or_nothing_at_all() {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer("")]);
    let id = Arc::from("g");
    let mut send =
        |request| world.run(|shard, cx| shard.commit_in_transaction(&id, &request, PRODUCER, cx));
    let offsets = || vec![offset("t", 0, 5)];
    send(simple(offsets())).unwrap();
    send(commit(&ids[0], 1, offsets())).unwrap();
    assert_eq!(send(commit(&ids[0], 0, offsets())), Err(GroupError::IllegalGeneration));
    assert_eq!(send(commit("x", 1, offsets())), Err(GroupError::UnknownMemberId));
}

#[test]
fn offsets_go_with_their_topic() {
    let mut world = World::new();
    world.commit("g", simple(vec![offset("t", 0, 1), offset("u", 3, 2)])).unwrap();
    world.commit("h", simple(vec![offset("t", 0, 1)])).unwrap();
    in_transaction(&mut world, "g", vec![offset("t", 5, 5)]).unwrap();
    world.run(|shard, cx| shard.topics_deleted(&["t".into()], cx));
    end(&mut world, true);
    for mut world in [world.reloaded(), world] {
        assert_eq!(world.fetch("g").len(), 1);
        assert_eq!(world.offset("g", "u", 3), Some(2));
        let groups: Vec<_> = world.shard.list().map(|group| group.group).collect();
        assert_eq!(groups, ["g".into()], "nothing is left of the other");
    }
}

#[test]
fn offsets_outlive_the_groups_last_member_by_their_retention() {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer("")]);
    world.commit("g", commit(&ids[0], 1, vec![offset("t", 0, 1)])).unwrap();
    for _ in 0..(10 * DAY_MS / 9_000) {
        world.pass(9_000);
        world.heartbeat("g", &ids[0], 1).unwrap();
    }
    assert_eq!(world.offset("g", "t", 0), Some(1), "its topic is subscribed to");
    world.leave("g", &ids[0]).unwrap();
    world.pass(7 * DAY_MS - 1);
    assert_eq!(world.offset("g", "t", 0), Some(1));
    assert_eq!(world.reloaded().offset("g", "t", 0), Some(1));
    world.pass(600_001);
    assert_eq!(world.offset("g", "t", 0), None);
    assert_eq!(world.shard.list().count(), 0);
    assert_eq!(world.reloaded().shard.list().count(), 0);
}

#[test]
fn offsets_of_topics_that_nobody_reads_any_more_expire_while_the_group_lives() {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer("")]);
    let offsets = vec![offset("t", 0, 1), offset("other", 0, 1)];
    world.commit("g", commit(&ids[0], 1, offsets)).unwrap();
    for _ in 0..(8 * DAY_MS / 9_000) {
        world.pass(9_000);
        world.heartbeat("g", &ids[0], 1).unwrap();
    }
    assert_eq!(world.offset("g", "t", 0), Some(1));
    assert_eq!(world.offset("g", "other", 0), None);
}

#[test]
fn offsets_without_a_group_expire_after_their_commit_or_when_the_client_said() {
    let mut world = World::new();
    let short = CommitOffset { retention_ms: Some(DAY_MS as i64), ..offset("t", 1, 1) };
    world.commit("g", simple(vec![offset("t", 0, 1), short, offset("t", 2, 1)])).unwrap();
    world.pass(2 * DAY_MS);
    assert_eq!(world.offset("g", "t", 1), None);
    world.commit("g", simple(vec![offset("t", 2, 1)])).unwrap();
    in_transaction(&mut world, "g", vec![offset("t", 0, 5)]).unwrap();
    world.pass(6 * DAY_MS);
    assert_eq!(world.offset("g", "t", 0), Some(1), "an open transaction has written it");
    assert_eq!(world.offset("g", "t", 2), Some(1));
    end(&mut world, false);
    world.pass(2 * DAY_MS);
    assert_eq!(world.shard.list().count(), 0);
}

#[test]
fn groups_are_deleted_when_nobody_is_in_them() {
    let mut world = World::new();
    let delete = |world: &mut World, group: &str| world.run(|shard, cx| shard.delete(group, cx));
    assert_eq!(delete(&mut world, "g"), Err(GroupError::GroupIdNotFound));
    let ids = world.stable("g", &[consumer("")]);
    world.commit("g", commit(&ids[0], 1, vec![offset("t", 0, 1)])).unwrap();
    assert_eq!(delete(&mut world, "g"), Err(GroupError::NonEmptyGroup));
    world.leave("g", &ids[0]).unwrap();
    world.log.fails = Some(AppendError::NotEnoughReplicas);
    assert_eq!(delete(&mut world, "g"), Err(GroupError::CoordinatorNotAvailable));
    world.log.fails = None;
    assert_eq!(delete(&mut world, "g"), Ok(()));
    for mut world in [world.reloaded(), world] {
        assert_eq!(world.shard.describe("g").state, "Dead");
        assert_eq!(world.offset("g", "t", 0), None);
    }
}

#[test]
fn single_offsets_are_deleted_unless_a_member_reads_the_topic() {
    let mut world = World::new();
    let partitions = [("t".into(), 0), ("u".into(), 0), ("u".into(), 1)];
    let delete =
        |world: &mut World| world.run(|shard, cx| shard.delete_offsets("g", &partitions, cx));
    assert_eq!(delete(&mut world), Err(GroupError::GroupIdNotFound));
    let ids = world.stable("g", &[consumer("")]);
    let offsets = vec![offset("t", 0, 1), offset("u", 0, 1)];
    world.commit("g", commit(&ids[0], 1, offsets)).unwrap();
    let subscribed = Err(GroupError::GroupSubscribedToTopic);
    assert_eq!(delete(&mut world), Ok(vec![subscribed, Ok(()), Ok(())]));
    assert_eq!((world.offset("g", "t", 0), world.offset("g", "u", 0)), (Some(1), None));
    world.leave("g", &ids[0]).unwrap();
    assert_eq!(delete(&mut world), Ok(vec![Ok(()); 3]));
    assert_eq!(world.shard.list().count(), 0);

    let mut connect = consumer("");
    connect.protocol_type = "connect".into();
    world.stable("g", &[connect]);
    assert_eq!(delete(&mut world), Err(GroupError::NonEmptyGroup));
}
