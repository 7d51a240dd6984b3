use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use polyport_base::rng::SplitMix64;

use super::Assignor;
use super::assign::Reader;
use crate::group::record::{Partitions, TopicId};

fn id(number: u8) -> TopicId {
    TopicId([number; 16])
}

type Readers = BTreeMap<Arc<str>, Reader>;

fn readers(of: &[(&str, &[u8])]) -> Readers {
    let reader = |(name, topics): &(&str, &[u8])| {
        let topics = topics.iter().map(|topic| id(*topic)).collect();
        (Arc::from(*name), Reader { topics, ..Reader::default() })
    };
    of.iter().map(reader).collect()
}

/// The shares in short: `1:0,1 2:0` is partitions 0 and 1 of topic 1 and partition 0 of topic 2.
fn text(shares: &BTreeMap<Arc<str>, Partitions>) -> Vec<String> {
    let share = |share: &Partitions| {
        let topics = share.iter().map(|(topic, partitions)| {
            let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
            format!("{}:{}", topic.0[0], partitions.join(","))
        });
        topics.collect::<Vec<_>>().join(" ")
    };
    shares.iter().map(|(id, of)| format!("{id} {}", share(of))).collect()
}

#[test]
fn ranges_of_topics_go_together_and_the_first_members_get_more() {
    let topics = [(id(1), 3), (id(2), 3)].into();
    let shares = Assignor::Range.assign(&topics, &readers(&[("a", &[1, 2]), ("b", &[1, 2])]));
    assert_eq!(text(&shares), ["a 1:0,1 2:0,1", "b 1:2 2:2"]);
    let topics = [(id(1), 2), (id(2), 1)].into();
    let of = readers(&[("a", &[1]), ("b", &[1, 2]), ("c", &[1])]);
    assert_eq!(text(&Assignor::Range.assign(&topics, &of)), ["a 1:0", "b 1:1 2:0", "c "]);
}

#[test]
fn ranges_follow_instance_ids() {
    let topics = [(id(1), 3)].into();
    let mut of = readers(&[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    for (member, instance) in [("c", "1"), ("b", "2")] {
        of.get_mut(member).unwrap().instance_id = Some(instance.into());
    }
    assert_eq!(text(&Assignor::Range.assign(&topics, &of)), ["a 1:2", "b 1:1", "c 1:0"]);
}

#[test]
fn uniform_shares_are_alike_and_move_as_little_as_can_be() {
    let topics = [(id(1), 4), (id(2), 2)].into();
    let mut of = readers(&[("a", &[1, 2]), ("b", &[1, 2])]);
    let shares = Assignor::Uniform.assign(&topics, &of);
    assert_eq!(text(&shares), ["a 1:0,2 2:0", "b 1:1,3 2:1"]);
    for (id, share) in shares {
        of.get_mut(&id).unwrap().before = share;
    }
    of.extend(readers(&[("c", &[1, 2])]));
    let shares = Assignor::Uniform.assign(&topics, &of);
    assert_eq!(text(&shares), ["a 1:0 2:0", "b 1:1 2:1", "c 1:2,3"]);
}

/// Random groups, whose members come, go and change what they read.
#[test]
fn every_partition_has_one_reader_and_no_move_would_make_loads_more_alike() {
    for seed in 0..300 {
        let mut random = SplitMix64::new(seed);
        let same = random.chance(50);
        let topics: BTreeMap<TopicId, i32> =
            (1..=random.below(5) as u8 + 1).map(|of| (id(of), random.below(9) as i32)).collect();
        let mut of = Readers::new();
        for _ in 0..6 {
            let name: Arc<str> = format!("m{}", random.below(8)).into();
            if of.len() > 1 && random.chance(40) {
                of.remove(&name);
            } else {
                let reads = |_: &&TopicId| same || random.chance(60);
                let topics = topics.keys().filter(reads).copied().collect();
                of.entry(name).or_default().topics = topics;
            }
            for assignor in [Assignor::Range, Assignor::Uniform] {
                let shares = assignor.assign(&topics, &of);
                check(&topics, &of, &shares, seed);
                if assignor == Assignor::Uniform {
                    check_balance(&of, &shares, seed);
                    for (id, share) in shares {
                        of.get_mut(&id).unwrap().before = share;
                    }
                }
            }
        }
    }
}

fn check(
    topics: &BTreeMap<TopicId, i32>,
    of: &Readers,
    shares: &BTreeMap<Arc<str>, Partitions>,
    seed: u64,
) {
    let mut given = BTreeSet::new();
    assert_eq!(shares.keys().collect::<Vec<_>>(), of.keys().collect::<Vec<_>>());
    for (id, share) in shares {
        for (topic, partitions) in share {
            assert!(of[id].topics.contains(topic), "seed {seed}: not subscribed");
            for partition in partitions {
                assert!((0..topics[topic]).contains(partition), "seed {seed}: no such partition");
                assert!(given.insert((*topic, *partition)), "seed {seed}: given twice");
            }
        }
    }
    for (topic, count) in topics {
        if of.values().any(|reader| reader.topics.contains(topic)) {
            let here = given.range((*topic, 0)..(*topic, *count)).count();
            assert_eq!(here, *count as usize, "seed {seed}: somebody has to read it");
        }
    }
}

fn check_balance(of: &Readers, shares: &BTreeMap<Arc<str>, Partitions>, seed: u64) {
    let load = |share: &Partitions| share.values().map(BTreeSet::len).sum::<usize>();
    for share in shares.values() {
        for topic in share.keys() {
            for (other, reader) in of {
                let gains = reader.topics.contains(topic) && load(&shares[other]) + 1 < load(share);
                assert!(!gains, "seed {seed}: {other} could have more");
            }
        }
    }
}
