use super::world::{World, consumer, protocol, static_consumer};
use crate::group::classic::{JoinGroup, LeavingMember};
use crate::group::error::{AppendError, GroupError};
use crate::group::shard::Shard;

fn two_statics() -> (World, String, String) {
    let mut world = World::new();
    let ids = world.stable("g", &[static_consumer("", "i"), static_consumer("", "j")]);
    (world, ids[0].clone(), ids[1].clone())
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let (mut world, a, b) = two_statics();
    let back = world.join("g", static_consumer("", "j"));
    let joined = world.joined(back).unwrap();
    assert_eq!((joined.generation, &joined.leader, joined.members.len()), (1, &a, 0));
    assert!(!joined.skip_assignment);
    world.heartbeat("g", &a, 1).unwrap();
    assert_eq!(world.heartbeat("g", &b, 1), Err(GroupError::UnknownMemberId));
    let fenced = world.run(|shard, cx| shard.heartbeat("g", &b, Some("j"), 1, cx));
    assert_eq!(fenced, Err(GroupError::FencedInstanceId));
    let assignment = &world.shard.describe("g").members[1].assignment;
    assert_eq!(assignment, &b, "the share stays what the old id was given");
    assert_eq!(world.reloaded().shard.describe("g"), world.shard.describe("g"));
}

#[test]
fn a_static_leader_is_told_to_leave_the_assignment_as_it_is() {
    let (mut world, _, _) = two_statics();
    let back = world.join("g", static_consumer("", "i"));
    let joined = world.joined(back).unwrap();
    assert_eq!((joined.skip_assignment, joined.members.len()), (true, 2));
    assert_eq!(joined.leader, joined.member_id);

    // Before version 9 it is told that its former self leads.
    let old = JoinGroup { can_skip_assignment: false, ..static_consumer("", "i") };
    let back = world.join("g", old);
    let again = world.joined(back).unwrap();
    assert_eq!(again.leader, joined.member_id);
    assert_eq!((again.skip_assignment, again.members.len()), (false, 0));
}

#[test]
fn a_static_member_that_changes_the_protocol_has_all_join_anew() {
    let (mut world, a, _) = two_statics();
    let protocols = vec![protocol("sticky", &["t"])];
    let back = world.join("g", JoinGroup { protocols, ..static_consumer("", "j") });
    assert!(world.take(back).is_none());
    let beat = world.run(|shard, cx| shard.heartbeat("g", &a, Some("i"), 1, cx));
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
}

#[test]
fn two_with_the_same_instance_id_fence_each_other() {
    let mut world = World::new();
    let first = world.join("g", static_consumer("", "i"));
    let second = world.join("g", static_consumer("", "i"));
    let fenced = world.joined(first).unwrap_err();
    assert_eq!((fenced.error, &*fenced.member_id), (GroupError::FencedInstanceId, "m1"));
    world.pass(6000);
    assert_eq!(world.joined(second).unwrap().members.len(), 1);
    let old = world.join("g", static_consumer("m1", "i"));
    assert_eq!(world.joined(old).unwrap_err().error, GroupError::FencedInstanceId);
}

#[test]
fn a_silent_static_member_keeps_its_place_in_a_rebalance_until_its_session_ends() {
    let mut world = World::new();
    let long = JoinGroup { session_timeout_ms: 100_000, ..static_consumer("", "j") };
    let ids = world.stable("g", &[consumer(""), long]);
    let third = world.join("g", consumer(""));
    let again = world.join("g", consumer(&ids[0]));
    world.pass(60_000);
    assert_eq!(world.joined(again).unwrap().members.len(), 3);
    assert_eq!(world.joined(third).unwrap().generation, 2);
}

#[test]
fn silent_static_members_that_need_no_time_are_not_asked_all_the_time() {
    let mut world = World::new();
    let hasty = |instance| JoinGroup { rebalance_timeout_ms: 0, ..static_consumer("", instance) };
    world.stable("g", &["i", "j", "k"].map(|instance| static_consumer("", instance)));
    let ids = ["i", "j", "k"].map(|instance| {
        let back = world.join("g", hasty(instance));
        world.joined(back).unwrap().member_id
    });
    world.leave("g", &ids[0]).unwrap();
    assert_eq!(world.shard.describe("g").state, "PreparingRebalance");
    for _ in 0..3 {
        world.run(Shard::tick);
        assert!(world.shard.next_deadline() > world.now.uptime);
        world.pass(1000);
    }
    world.pass(10_000);
    assert_eq!(world.shard.describe("g").state, "Empty");
}

#[test]
fn a_tool_removes_static_members_by_their_instance_id() {
    let (mut world, a, _) = two_statics();
    let by_instance = LeavingMember { member_id: String::new(), instance_id: Some("j".into()) };
    let wrong = LeavingMember { member_id: "x".into(), instance_id: Some("i".into()) };
    let outcomes = world.run(|shard, cx| shard.leave("g", &[by_instance, wrong], cx));
    assert_eq!(outcomes, [Ok(()), Err(GroupError::FencedInstanceId)]);
    assert_eq!(world.shard.describe("g").members[0].member_id, a);
}

#[test]
fn a_return_that_cannot_be_written_did_not_happen() {
    let (mut world, a, b) = two_statics();
    world.log.fails = Some(AppendError::NotLeader);
    let back = world.join("g", static_consumer("", "j"));
    assert_eq!(world.joined(back).unwrap_err().error, GroupError::NotCoordinator);
    world.heartbeat("g", &a, 1).unwrap();
    world.heartbeat("g", &b, 1).unwrap();
}
