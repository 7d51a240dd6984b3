use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::{World, commit, consumer, offset, simple, topic_id};
use crate::group::consumer::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, LEAVE_EPOCH, LEAVE_STATIC_EPOCH,
};
use crate::group::error::{AppendError, GroupError};
use crate::group::offsets::FetchOffsets;
use crate::group::record::{Partitions, Record};
use crate::group::shard::GroupKind;

/// Partitions of topic `t`.
fn t(partitions: &[i32]) -> Partitions {
    match partitions {
        [] => Partitions::new(),
        _ => [(topic_id("t"), partitions.iter().copied().collect())].into(),
    }
}

fn world() -> World {
    let mut world = World::new();
    world.topics.set("t", 4);
    world
}

fn first(member: &str) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        member_id: member.into(),
        rebalance_timeout_ms: Some(60_000),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        topics: Some(vec!["t".into()]),
        owned: Some(Partitions::new()),
        ..ConsumerHeartbeat::default()
    }
}

fn next(member: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        member_id: member.into(),
        member_epoch: epoch,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        ..ConsumerHeartbeat::default()
    }
}

fn has(member: &str, epoch: i32, partitions: &[i32]) -> ConsumerHeartbeat {
    ConsumerHeartbeat { owned: Some(t(partitions)), ..next(member, epoch) }
}

fn as_static(instance: &str, request: ConsumerHeartbeat) -> ConsumerHeartbeat {
    ConsumerHeartbeat { instance_id: Some(instance.into()), ..request }
}

impl World {
    fn beat(&mut self, request: &ConsumerHeartbeat) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        self.run(|shard, cx| shard.consumer_heartbeat("g", request, "fresh", cx))
    }

    /// The epoch, and the assignment if it is news.
    #[track_caller]
    fn beats(&mut self, request: &ConsumerHeartbeat) -> (i32, Option<Partitions>) {
        let answer = self.beat(request).unwrap();
        (answer.member_epoch, answer.assignment)
    }

    fn state(&self) -> &'static str {
        self.shard.describe_consumer("g").unwrap().state
    }
}

/// `a` has partitions 0 and 1, `b` 2 and 3, both in epoch 2.
fn two_members() -> World {
    let mut world = world();
    assert_eq!(world.beats(&first("a")), (1, Some(t(&[0, 1, 2, 3]))));
    assert_eq!(world.beats(&first("b")), (2, Some(t(&[]))));
    assert_eq!(world.beats(&has("a", 1, &[0, 1, 2, 3])), (1, Some(t(&[0, 1]))));
    assert_eq!(world.beats(&has("b", 2, &[])), (2, None));
    assert_eq!(world.beats(&has("a", 1, &[0, 1])), (2, None));
    assert_eq!(world.beats(&has("b", 2, &[])), (2, Some(t(&[2, 3]))));
    assert_eq!(world.state(), "Stable");
    world
}

#[test]
fn a_partition_goes_to_its_new_owner_when_the_old_one_has_let_it_go() {
    let mut world = two_members();
    assert_eq!(world.beats(&next("a", 2)), (2, None));
    let written = world.log.appends.len();
    world.beats(&next("b", 2));
    assert_eq!(world.log.appends.len(), written, "a heartbeat without news writes nothing");
    let described = world.shard.describe_consumer("g").unwrap();
    assert_eq!(
        (described.epoch, described.assignment_epoch, described.assignor),
        (2, 2, "uniform")
    );
    assert_eq!(described.members[1].assigned, described.members[1].target);
    assert_eq!(described.members[1].assigned[0].partitions, [2, 3]);
    assert_eq!(world.reloaded().shard.describe_consumer("g").unwrap(), described);
    let group = world.shard.list().next().unwrap();
    assert_eq!((&*group.protocol_type, group.kind), ("consumer", GroupKind::Consumer));
}

#[test]
fn a_new_member_without_an_id_is_given_one() {
    let mut world = world();
    assert_eq!(&*world.beat(&first("")).unwrap().member_id, "fresh");
    let names_itself = ConsumerHeartbeat { require_member_id: true, ..first("") };
    assert_eq!(world.beat(&names_itself), Err(GroupError::InvalidRequest));
}

#[test]
fn who_leaves_lets_everything_go() {
    let mut world = two_members();
    let answer = world.beat(&next("a", LEAVE_EPOCH)).unwrap();
    assert_eq!((answer.member_epoch, answer.assignment), (LEAVE_EPOCH, None));
    assert_eq!(world.state(), "Assigning");
    assert_eq!(world.beats(&next("b", 2)), (3, Some(t(&[0, 1, 2, 3]))));
    assert_eq!(world.beat(&next("a", 2)), Err(GroupError::UnknownMemberId));
    assert_eq!(world.beat(&next("a", LEAVE_EPOCH)), Err(GroupError::UnknownMemberId));
    world.beat(&next("b", LEAVE_EPOCH)).unwrap();
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.reloaded().state(), "Empty");
    // What is left of it goes with the next check.
    world.pass(600_001);
    for world in [world.reloaded(), world] {
        assert_eq!(world.shard.list().count(), 0);
    }
}

#[test]
fn silence_is_a_farewell() {
    let mut world = two_members();
    world.pass(44_000);
    world.beats(&next("b", 2));
    world.pass(1_000);
    assert_eq!(world.beat(&next("a", 2)), Err(GroupError::UnknownMemberId));
    assert_eq!(world.beats(&next("b", 2)), (3, Some(t(&[0, 1, 2, 3]))));
}

#[test]
fn who_does_not_let_go_in_time_is_fenced() {
    let mut world = two_members();
    world.beats(&first("c"));
    assert_eq!(world.beats(&next("b", 2)), (2, Some(t(&[2]))));
    world.beats(&next("a", 2));
    for _ in 0..6 {
        for member in ["a", "b", "c"] {
            let epoch = if member == "b" { 2 } else { 3 };
            world.beats(&next(member, epoch));
        }
        world.pass(10_000);
    }
    assert_eq!(world.beat(&next("b", 2)), Err(GroupError::UnknownMemberId));
}

#[test]
fn members_are_there_after_a_reload_with_a_sessions_time() {
    let mut world = two_members().reloaded();
    world.pass(44_999);
    assert_eq!(world.beats(&next("a", 2)), (2, None));
    world.pass(1);
    assert_eq!(world.beat(&next("b", 2)), Err(GroupError::UnknownMemberId));
}

#[test]
fn epochs_that_cannot_be_are_fenced() {
    let mut world = two_members();
    assert_eq!(world.beat(&next("a", 3)), Err(GroupError::FencedMemberEpoch));
    assert_eq!(world.beat(&next("a", 1)), Err(GroupError::FencedMemberEpoch));
    assert_eq!(world.beat(&has("a", 1, &[0, 1, 2])), Err(GroupError::FencedMemberEpoch));
    // It missed the answer that told it of the new epoch.
    assert_eq!(world.beats(&has("a", 1, &[0, 1])), (2, None));
    assert_eq!(world.beat(&next("x", 1)), Err(GroupError::UnknownMemberId));
    let nowhere = world.run(|shard, cx| shard.consumer_heartbeat("h", &next("a", 1), "", cx));
    assert_eq!(nowhere, Err(GroupError::GroupIdNotFound));
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let mut world = world();
    let invalid = [
        ConsumerHeartbeat { topics: None, ..first("a") },
        ConsumerHeartbeat { topics: Some(Vec::new()), ..first("a") },
        ConsumerHeartbeat { owned: Some(t(&[1])), ..first("a") },
        ConsumerHeartbeat { owned: None, ..first("a") },
        ConsumerHeartbeat { rebalance_timeout_ms: None, ..first("a") },
        ConsumerHeartbeat { topic_regex: Some("t.*".into()), ..first("a") },
        as_static("", first("a")),
        ConsumerHeartbeat { rack_id: Some(String::new()), ..first("a") },
        next("", 1),
        next("a", LEAVE_STATIC_EPOCH),
        next("a", -3),
    ];
    for request in invalid {
        assert_eq!(world.beat(&request), Err(GroupError::InvalidRequest), "{request:?}");
    }
    let odd = ConsumerHeartbeat { assignor: Some("odd".into()), ..first("a") };
    assert_eq!(world.beat(&odd), Err(GroupError::UnsupportedAssignor));
    // Clients of version 1 say like this that they use none.
    world.beats(&ConsumerHeartbeat { topic_regex: Some(String::new()), ..first("a") });
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut world = two_members();
    world.config.consumer_max_size = 2;
    assert_eq!(world.beat(&first("c")), Err(GroupError::GroupMaxSizeReached));
    world.beats(&next("a", 2));
}

#[test]
fn new_partitions_and_topics_are_shared_out() {
    let mut world = two_members();
    world.topics.set("t", 5);
    let (epoch, news) = world.beats(&next("a", 2));
    assert_eq!((epoch, news), (3, Some(t(&[0, 1, 4]))));
    let both = ConsumerHeartbeat {
        topics: Some(vec!["t".into(), "u".into(), "u".into()]),
        ..next("b", 2)
    };
    assert_eq!(world.beats(&both).0, 4, "the topic does not exist yet");
    world.topics.set("u", 1);
    let (epoch, news) = world.beats(&next("b", 4));
    assert_eq!((epoch, news.unwrap()[&topic_id("u")].len()), (5, 1));
    world.topics.0.remove("t");
    world.topics.1 += 1;
    let (epoch, news) = world.beats(&has("a", 3, &[]));
    assert_eq!((epoch, news), (6, Some(t(&[]))));
    assert_eq!(world.reloaded().shard.describe_consumer("g"), world.shard.describe_consumer("g"));
}

#[test]
fn most_members_decide_which_assignor_is_used() {
    let mut world = world();
    let range = |request| ConsumerHeartbeat { assignor: Some("range".into()), ..request };
    world.beats(&range(first("a")));
    world.beats(&ConsumerHeartbeat { assignor: Some("uniform".into()), ..first("b") });
    assert_eq!(world.shard.describe_consumer("g").unwrap().assignor, "uniform");
    world.beats(&range(first("c")));
    let described = world.shard.describe_consumer("g").unwrap();
    assert_eq!(described.assignor, "range");
    assert_eq!(described.members[0].target[0].partitions, [0, 1]);
}

#[test]
fn a_static_member_that_said_it_would_be_back_finds_what_it_had() {
    let mut world = world();
    world.beats(&as_static("i", first("a")));
    assert_eq!(world.beat(&as_static("i", first("b"))), Err(GroupError::UnreleasedInstanceId));
    assert_eq!(world.beat(&as_static("j", next("a", 1))), Err(GroupError::UnknownMemberId));
    assert_eq!(world.beat(&as_static("i", next("b", 1))), Err(GroupError::FencedInstanceId));
    let absent = world.beats(&as_static("i", next("a", LEAVE_STATIC_EPOCH)));
    assert_eq!(absent, (LEAVE_STATIC_EPOCH, None));
    assert_eq!(world.beats(&first("c")), (2, Some(t(&[]))), "its partitions stay its own");
    let mut reloaded = world.reloaded();
    for world in [&mut world, &mut reloaded] {
        let (epoch, back) = world.beats(&as_static("i", first("b")));
        assert_eq!((epoch, back), (2, Some(t(&[0, 1]))));
        let unknown = world.beat(&as_static("i", next("a", 2)));
        assert_eq!(unknown, Err(GroupError::FencedInstanceId));
        assert_eq!(world.beats(&next("c", 2)), (2, Some(t(&[2, 3]))));
    }
    // One that stays away is not waited for for ever.
    world.beats(&as_static("i", next("b", LEAVE_STATIC_EPOCH)));
    for _ in 0..5 {
        world.pass(10_000);
        let _ = world.beat(&next("c", 2));
    }
    assert_eq!(world.shard.describe_consumer("g").unwrap().members.len(), 1);
}

#[test]
fn a_heartbeat_that_cannot_be_written_did_not_happen() {
    let mut world = two_members();
    let before = world.shard.describe_consumer("g");
    world.log.fails = Some(AppendError::NotEnoughReplicas);
    assert_eq!(world.beat(&first("c")), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.beat(&next("a", LEAVE_EPOCH)), Err(GroupError::CoordinatorNotAvailable));
    world.pass(60_000);
    assert_eq!(world.shard.describe_consumer("g"), before, "nor did a silence");
    world.log.fails = None;
    world.pass(1_000);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn members_commit_and_ask_for_offsets_in_their_epoch() {
    let mut world = two_members();
    let offsets = || vec![offset("t", 0, 7)];
    assert_eq!(world.commit("g", commit("a", 2, offsets())), Ok(vec![Ok(())]));
    let stale = Err(GroupError::StaleMemberEpoch);
    assert_eq!(world.commit("g", commit("a", 1, offsets())), stale);
    let unknown = GroupError::UnknownMemberId;
    assert_eq!(world.commit("g", commit("x", 1, offsets())), Err(unknown));
    assert_eq!(world.commit("g", simple(offsets())), Err(unknown));
    let producer = crate::group::machine::TransactionalProducer { id: 1, epoch: 0 };
    let (id, old) = (Arc::from("g"), commit("a", 1, offsets()));
    let old = world.run(|shard, cx| shard.commit_in_transaction(&id, &old, producer, cx));
    assert_eq!(old, Err(GroupError::IllegalGeneration));

    let ask = |world: &World, member: Option<&str>, member_epoch| {
        let member_id = member.map(str::to_owned);
        let request = FetchOffsets { member_id, member_epoch, ..FetchOffsets::default() };
        world.shard.fetch("g", &request).map(|found| found.len())
    };
    assert_eq!(ask(&world, None, -1), Ok(1));
    assert_eq!(ask(&world, Some("a"), 2), Ok(1));
    assert_eq!(ask(&world, Some("a"), 1), Err(GroupError::StaleMemberEpoch));
    assert_eq!(ask(&world, Some("x"), 1), Err(unknown));
    let subscribed = world.run(|shard, cx| shard.delete_offsets("g", &[("t".into(), 0)], cx));
    assert_eq!(subscribed, Ok(vec![Err(GroupError::GroupSubscribedToTopic)]));
    assert_eq!(world.run(|shard, cx| shard.delete("g", cx)), Err(GroupError::NonEmptyGroup));
}

#[test]
fn an_empty_group_may_come_to_speak_the_other_protocol_and_keeps_its_offsets() {
    let mut world = world();
    world.stable("g", &[consumer("")]);
    assert_eq!(world.beat(&first("a")), Err(GroupError::GroupIdNotFound));
    world.commit("g", commit("m1", 1, vec![offset("t", 0, 7)])).unwrap();
    world.leave("g", "m1").unwrap();
    world.beats(&first("a"));
    for mut world in [world.reloaded(), world.clone()] {
        assert_eq!(world.offset("g", "t", 0), Some(7));
        assert_eq!(world.shard.describe("g").state, "Dead", "it is no classic group");
    }
    let refused = world.join("g", consumer(""));
    assert_eq!(world.joined(refused).unwrap_err().error, GroupError::InconsistentGroupProtocol);
    assert_eq!(world.heartbeat("g", "a", 1), Err(GroupError::UnknownMemberId));
    world.beat(&next("a", LEAVE_EPOCH)).unwrap();
    world.stable("g", &[consumer("")]);
    for mut world in [world.reloaded(), world] {
        assert_eq!(world.offset("g", "t", 0), Some(7));
        assert_eq!(world.shard.describe("g").state, "Stable");
        assert_eq!(world.shard.describe_consumer("g"), Err(GroupError::GroupIdNotFound));
    }
}

#[test]
fn records_are_written_in_the_order_that_a_reader_needs() {
    let mut world = world();
    world.beats(&first("a"));
    let kinds = |world: &World| {
        let super::world::Appended::Batch(records, None) = &world.log.appends.last().unwrap().1
        else {
            panic!("no batch of records");
        };
        let name = |record: &Record| match record {
            Record::ConsumerMember { value: Some(_), .. } => "member",
            Record::ConsumerMember { .. } => "no member",
            Record::ConsumerTopics { .. } => "topics",
            Record::ConsumerGroup { .. } => "epoch",
            Record::ConsumerTarget { partitions: Some(_), .. } => "target",
            Record::ConsumerTarget { .. } => "no target",
            Record::ConsumerTargetEpoch { .. } => "target epoch",
            Record::ConsumerCurrent { value: Some(_), .. } => "current",
            Record::ConsumerCurrent { .. } => "no current",
            Record::Offset { .. } | Record::Group { .. } => "other",
        };
        records.iter().map(name).collect::<Vec<_>>()
    };
    let join = ["member", "topics", "epoch", "target", "target epoch", "current"];
    assert_eq!(kinds(&world), join);
    world.beat(&next("a", LEAVE_EPOCH)).unwrap();
    let leave = ["no current", "no target", "no member", "topics", "epoch"];
    assert_eq!(kinds(&world), leave);
}

/// Members that behave as clients do: they let go what they are told to a while later, miss answers,
/// vanish and come back, while topics grow.
#[test]
fn no_two_members_have_a_partition_and_in_the_end_everybody_has_a_share() {
    for seed in 0..60 {
        Crowd::new(seed).live();
    }
}

struct Crowd {
    world: World,
    random: polyport_base::rng::SplitMix64,
    seed: u64,
    /// Epoch and what it reads, of those who believe to be members.
    members: BTreeMap<String, (i32, Partitions)>,
    missed: BTreeSet<String>,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let random = polyport_base::rng::SplitMix64::new(seed);
        Crowd { world: world(), random, seed, members: BTreeMap::new(), missed: BTreeSet::new() }
    }

    fn live(mut self) {
        for _ in 0..120 {
            match self.random.below(20) {
                0..3 => self.come(),
                3 => self.go(),
                4 => self.vanish(),
                5 => {
                    let partitions = 4 + self.random.below(5) as i32;
                    let more = partitions.max(self.world.topics.0["t"].1);
                    self.world.topics.set("t", more);
                }
                6 => {
                    self.world.pass(self.random.below(30_000));
                }
                7 => self.world = self.world.reloaded(),
                _ => self.someone_beats(),
            }
            self.check();
        }
        for _ in 0..40 {
            if self.members.is_empty() {
                self.come();
            }
            self.world.pass(3_000);
            for member in self.members.keys().cloned().collect::<Vec<_>>() {
                self.beat(&member, false);
            }
            self.check();
        }
        assert_eq!(self.world.state(), "Stable", "seed {}", self.seed);
        let read: usize =
            self.members.values().flat_map(|(_, of)| of.values()).map(|of| of.len()).sum();
        assert_eq!(read as i32, self.world.topics.0["t"].1, "seed {}", self.seed);
        let loads =
            || self.members.values().map(|(_, of)| of.values().map(|of| of.len()).sum::<usize>());
        assert!(loads().max() <= loads().min().map(|least| least + 1), "seed {}", self.seed);
    }

    fn come(&mut self) {
        let name = format!("m{}", self.random.below(6));
        if !self.members.contains_key(&name) && self.world.beat(&first(&name)).is_ok() {
            self.members.insert(name.clone(), (0, Partitions::new()));
            // The answer may have been missed: then it begins anew, and is refused, or is behind.
            self.beat(&name, false);
        }
    }

    fn pick(&mut self) -> Option<String> {
        let count = self.members.len() as u64;
        (count > 0).then(|| {
            let at = self.random.below(count) as usize;
            self.members.keys().nth(at).unwrap().clone()
        })
    }

    fn go(&mut self) {
        if let Some(name) = self.pick() {
            self.members.remove(&name);
            let _ = self.world.beat(&next(&name, LEAVE_EPOCH));
        }
    }

    /// It stops reading without a word.
    fn vanish(&mut self) {
        if let Some(name) = self.pick() {
            self.members.remove(&name);
        }
    }

    fn someone_beats(&mut self) {
        if let Some(name) = self.pick() {
            let misses = self.random.chance(10);
            self.beat(&name, misses);
        }
    }

    fn beat(&mut self, name: &str, misses_answer: bool) {
        let (epoch, owned) = self.members[name].clone();
        let request = match epoch {
            0 => first(name),
            _ => ConsumerHeartbeat { owned: Some(owned), ..next(name, epoch) },
        };
        // Who missed an answer says everything again, to be told everything again.
        let request = match self.missed.remove(name) {
            true => ConsumerHeartbeat {
                rebalance_timeout_ms: Some(60_000),
                topics: Some(vec!["t".into()]),
                ..request
            },
            false => request,
        };
        match self.world.beat(&request) {
            Ok(_) if misses_answer => {
                self.missed.insert(name.to_owned());
            }
            Ok(answer) => {
                let member = self.members.get_mut(name).unwrap();
                member.0 = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    member.1 = assignment;
                }
            }
            // It drops everything, and begins anew.
            Err(_) => {
                self.members.remove(name);
            }
        }
    }

    fn check(&mut self) {
        let mut readers: BTreeMap<(crate::group::record::TopicId, i32), &String> = BTreeMap::new();
        let Ok(described) = self.world.shard.describe_consumer("g") else { return };
        for (name, (_, reads)) in &self.members {
            // Those that were fenced do not know yet; their session is over.
            if !described.members.iter().any(|member| member.member_id == *name) {
                continue;
            }
            for (topic, partitions) in reads {
                for partition in partitions {
                    let other = readers.insert((*topic, *partition), name);
                    assert_eq!(other, None, "seed {}: {partition} is read twice", self.seed);
                }
            }
        }
        // Reading the log takes longer the more has happened.
        if !self.random.chance(10) {
            return;
        }
        let again = self.world.reloaded().shard.describe_consumer("g");
        assert_eq!(again, Ok(described), "seed {}", self.seed);
    }
}
