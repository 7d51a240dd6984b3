use super::world::{World, consumer, protocol, share, sync};
use crate::group::classic::{JoinGroup, JoinRefused, LeavingMember};
use crate::group::error::{AppendError, GroupError};

fn two_members() -> (World, String, String) {
    let mut world = World::new();
    let ids = world.stable("g", &[consumer(""), consumer("")]);
    (world, ids[0].clone(), ids[1].clone())
}

#[test]
fn a_group_comes_to_be_stable_and_everybody_has_a_share() {
    let mut world = World::new();
    let a = world.join("g", consumer(""));
    let b = world.join("g", consumer(""));
    assert!(world.answers.is_empty(), "the first rebalance is delayed");
    world.pass(3000);
    assert!(world.answers.is_empty(), "a member came meanwhile: it is delayed once more");
    world.pass(3000);
    let (a, b) = (world.joined(a).unwrap(), world.joined(b).unwrap());
    assert_eq!((a.generation, b.generation), (1, 1));
    assert_eq!((&*a.leader, &*b.leader), ("m1", "m1"));
    assert_eq!(a.protocol.as_deref(), Some("range"));
    let members: Vec<_> = a.members.iter().map(|member| member.member_id.as_str()).collect();
    assert_eq!(members, ["m1", "m2"]);
    assert_eq!(a.members[0].metadata, protocol("range", &["t"]).metadata);
    assert_eq!(b.members, [], "only the leader is told of the others");

    let b = world.sync("g", sync("m2", 1, Default::default()));
    assert!(world.answers.is_empty(), "the leader has not assigned yet");
    assert_eq!(world.shard.describe("g").state, "CompletingRebalance");
    let a = world.sync("g", sync("m1", 1, share(&["m1".into(), "m2".into()])));
    assert_eq!(world.synced(a).unwrap().assignment, "m1");
    assert_eq!(world.synced(b).unwrap().assignment, "m2");
    let described = world.shard.describe("g");
    assert_eq!((&*described.state, &*described.protocol), ("Stable", "range"));
    assert_eq!(described.members[1].assignment, "m2");
    assert_eq!(world.log.appends.len(), 1, "a generation is one record");
}

#[test]
fn without_a_delay_the_first_member_is_answered_at_once() {
    let mut world = World::new();
    world.config.initial_rebalance_delay = std::time::Duration::ZERO;
    let a = world.join("g", consumer(""));
    assert_eq!(world.joined(a).unwrap().generation, 1);
}

#[test]
fn a_new_member_must_come_again_with_its_id() {
    let mut world = World::new();
    let request = JoinGroup { require_member_id: true, ..consumer("") };
    let first = world.join("g", request.clone());
    let required = JoinRefused { error: GroupError::MemberIdRequired, member_id: "m1".to_owned() };
    assert_eq!(world.joined(first), Err(required));
    let second = world.join("g", JoinGroup { member_id: "m1".into(), ..request.clone() });
    world.pass(3000);
    assert_eq!(world.joined(second).unwrap().member_id, "m1");
    let synced = world.sync("g", sync("m1", 1, share(&["m1".into()])));
    world.synced(synced).unwrap();

    // An id that was not used in time is forgotten, and holds the rebalance up until then.
    let third = world.join("g", request.clone());
    world.joined(third).unwrap_err();
    let again = world.join("g", consumer("m1"));
    assert!(world.answers.is_empty());
    world.pass(10_000);
    assert_eq!(world.joined(again).unwrap().generation, 2);
    let late = world.join("g", JoinGroup { member_id: "m3".into(), ..request });
    assert_eq!(world.joined(late).unwrap_err().error, GroupError::UnknownMemberId);
}

#[test]
fn a_third_member_has_the_others_join_anew() {
    let (mut world, a, b) = two_members();
    let third = world.join("g", consumer(""));
    assert_eq!(world.heartbeat("g", &a, 1), Err(GroupError::RebalanceInProgress));
    let a_again = world.join("g", consumer(&a));
    assert!(world.answers.is_empty());
    let b_again = world.join("g", consumer(&b));
    for waiter in [third, a_again, b_again] {
        assert_eq!(world.joined(waiter).unwrap().generation, 2);
    }
}

#[test]
fn those_who_do_not_join_in_time_are_no_members_any_longer() {
    let (mut world, a, b) = two_members();
    let third = world.join("g", consumer(""));
    let a_again = world.join("g", consumer(&a));
    for _ in 0..12 {
        world.pass(5000);
        let _ = world.heartbeat("g", &b, 1);
    }
    let joined = world.joined(a_again).unwrap();
    assert_eq!(joined.generation, 2);
    assert_eq!(joined.members.len(), 2);
    world.joined(third).unwrap();
    assert_eq!(world.heartbeat("g", &b, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn another_leads_when_the_leader_does_not_join() {
    let (mut world, _, b) = two_members();
    let waiter = world
        .join("g", JoinGroup { protocols: vec![protocol("range", &["t", "u"])], ..consumer(&b) });
    world.pass(60_000);
    let joined = world.joined(waiter).unwrap();
    assert_eq!((joined.leader, joined.members.len()), (b, 1));
}

#[test]
fn silence_ends_a_membership_and_a_heartbeat_prolongs_it() {
    let (mut world, a, b) = two_members();
    for _ in 0..3 {
        world.pass(9_000);
        world.heartbeat("g", &a, 1).unwrap();
        if world.shard.describe("g").members.len() == 2 {
            world.heartbeat("g", &b, 1).unwrap();
        }
    }
    world.pass(9_000);
    world.heartbeat("g", &a, 1).unwrap();
    world.pass(1_000);
    assert_eq!(world.heartbeat("g", &a, 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.heartbeat("g", &b, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn leaving_begins_a_rebalance_and_the_last_to_leave_empties_the_group() {
    let (mut world, a, b) = two_members();
    world.leave("g", &b).unwrap();
    assert_eq!(world.heartbeat("g", &a, 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(world.leave("g", &b), Err(GroupError::UnknownMemberId));
    world.leave("g", &a).unwrap();
    let described = world.shard.describe("g");
    assert_eq!((&*described.state, &*described.protocol_type), ("Empty", "consumer"));
    assert_eq!(world.reloaded().shard.describe("g"), described);
}

#[test]
fn leaving_members_are_answered_one_by_one() {
    let (mut world, a, _) = two_members();
    let member = |id: &str, instance: Option<&str>| LeavingMember {
        member_id: id.into(),
        instance_id: instance.map(str::to_owned),
    };
    let leaving = [member(&a, None), member("nobody", None), member("", Some("nobody"))];
    let outcomes = world.run(|shard, cx| shard.leave("g", &leaving, cx));
    let unknown = Err(GroupError::UnknownMemberId);
    assert_eq!(outcomes, [Ok(()), unknown, unknown]);
    let nowhere = world.run(|shard, cx| shard.leave("h", &leaving[..1], cx));
    assert_eq!(nowhere, [unknown]);
}

#[test]
fn a_member_that_joins_again_unchanged_disturbs_nobody_unless_it_leads() {
    let (mut world, a, b) = two_members();
    let b_again = world.join("g", consumer(&b));
    let joined = world.joined(b_again).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (1, 0));
    world.join("g", consumer(&a));
    assert!(world.answers.is_empty());
    assert_eq!(world.heartbeat("g", &b, 1), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_member_that_has_not_asked_for_its_share_in_time_is_gone() {
    let mut world = World::new();
    let waiters = [world.join("g", consumer("")), world.join("g", consumer(""))];
    world.pass(6000);
    let _ = waiters.map(|waiter| world.joined(waiter).unwrap());
    let a = world.sync("g", sync("m1", 1, share(&["m1".into(), "m2".into()])));
    world.synced(a).unwrap();
    for _ in 0..12 {
        world.pass(5000);
        let _ = (world.heartbeat("g", "m1", 1), world.heartbeat("g", "m2", 1));
    }
    assert_eq!(world.heartbeat("g", "m2", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(world.heartbeat("g", "m1", 1), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_rebalance_during_the_assignment_sends_those_who_wait_back() {
    let mut world = World::new();
    let waiters = [world.join("g", consumer("")), world.join("g", consumer(""))];
    world.pass(6000);
    let _ = waiters.map(|waiter| world.joined(waiter).unwrap());
    let b = world.sync("g", sync("m2", 1, Default::default()));
    world.join("g", consumer(""));
    assert_eq!(world.synced(b), Err(GroupError::RebalanceInProgress));
    let late = world.sync("g", sync("m1", 1, share(&["m1".into()])));
    assert_eq!(world.synced(late), Err(GroupError::RebalanceInProgress));
}

#[test]
fn an_assignment_that_is_not_written_is_not_handed_out() {
    let mut world = World::new();
    let a = world.join("g", consumer(""));
    world.pass(6000);
    world.joined(a).unwrap();
    world.log.fails = Some(AppendError::NotEnoughReplicas);
    let a = world.sync("g", sync("m1", 1, share(&["m1".into()])));
    assert_eq!(world.synced(a), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.shard.describe("g").state, "PreparingRebalance");
}

#[test]
fn requests_of_other_generations_protocols_and_members_are_refused() {
    let (mut world, a, _) = two_members();
    assert_eq!(world.heartbeat("g", &a, 2), Err(GroupError::IllegalGeneration));
    assert_eq!(world.heartbeat("g", "x", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(world.heartbeat("h", &a, 1), Err(GroupError::UnknownMemberId));
    let old = world.sync("g", sync(&a, 0, Default::default()));
    assert_eq!(world.synced(old), Err(GroupError::IllegalGeneration));
    let mut other = sync(&a, 1, Default::default());
    other.protocol = Some("sticky".into());
    let other = world.sync("g", other);
    assert_eq!(world.synced(other), Err(GroupError::InconsistentGroupProtocol));

    let mut refused = |request| {
        let waiter = world.join("g", request);
        world.joined(waiter).unwrap_err().error
    };
    let connect = JoinGroup { protocol_type: "connect".into(), ..consumer("") };
    assert_eq!(refused(connect), GroupError::InconsistentGroupProtocol);
    let alien = JoinGroup { protocols: vec![protocol("x", &[])], ..consumer("") };
    assert_eq!(refused(alien), GroupError::InconsistentGroupProtocol);
    let hasty = JoinGroup { session_timeout_ms: 5_999, ..consumer("") };
    assert_eq!(refused(hasty), GroupError::InvalidSessionTimeout);
    let backward = JoinGroup { session_timeout_ms: -1, ..consumer("") };
    assert_eq!(refused(backward), GroupError::InvalidSessionTimeout);
    assert_eq!(refused(consumer("x")), GroupError::UnknownMemberId);
    let nowhere = world.join("", consumer(""));
    assert_eq!(world.joined(nowhere).unwrap_err().error, GroupError::InvalidGroupId);
}

#[test]
fn the_protocol_with_most_votes_among_those_that_all_have_is_chosen() {
    let mut world = World::new();
    let with = |names: &[&str]| JoinGroup {
        protocols: names.iter().map(|name| protocol(name, &["t"])).collect(),
        ..consumer("")
    };
    let waiters = [
        world.join("g", with(&["a", "b", "c"])),
        world.join("g", with(&["x", "c", "b"])),
        world.join("g", with(&["c", "b"])),
    ];
    world.pass(9000);
    let joined = waiters.map(|waiter| world.joined(waiter).unwrap());
    // The first votes for b, for a is not everybody's; the others for c.
    assert_eq!(joined[0].protocol.as_deref(), Some("c"));
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut world = World::new();
    world.config.max_size = 2;
    let ids = world.stable("g", &[consumer(""), consumer("")]);
    let third = world.join("g", consumer(""));
    let refused = world.joined(third).unwrap_err();
    assert_eq!(refused.error, GroupError::GroupMaxSizeReached);
    assert_eq!(refused.member_id, "");
    // Those who are in may come again.
    let again = world.join("g", consumer(&ids[1]));
    world.joined(again).unwrap();
}

#[test]
fn members_are_there_after_a_reload_and_must_be_heard_of() {
    let (world, a, b) = two_members();
    let mut reloaded = world.reloaded();
    assert_eq!(reloaded.shard.describe("g"), world.shard.describe("g"));
    reloaded.heartbeat("g", &a, 1).unwrap();
    let b_sync = reloaded.sync("g", sync(&b, 1, Default::default()));
    assert_eq!(reloaded.synced(b_sync).unwrap().assignment, b.clone());
    reloaded.pass(10_000);
    assert_eq!(reloaded.heartbeat("g", &b, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn those_who_wait_are_sent_to_the_new_coordinator() {
    let mut world = World::new();
    let join = world.join("g", consumer(""));
    let other = world.join("h", consumer(""));
    world.pass(6000);
    world.joined(other).unwrap();
    let joining = world.join("g", consumer(""));
    world.joined(join).unwrap();
    world.run(|shard, cx| shard.on_unloaded(cx));
    assert_eq!(world.joined(joining).unwrap_err().error, GroupError::NotCoordinator);
}
