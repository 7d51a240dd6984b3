use std::collections::BTreeMap;

use polyport_tree::Stat;
use proptest::prelude::*;

use super::load::{Content, Key, apply};
use super::*;
use crate::metadata::znode::{BrokerZnode, PartitionStateZnode, TopicZnode};

/// A znode's stat, for tests.
pub(in crate::metadata) fn stat(version: i32, zxid: i64) -> Stat {
    Stat { version, czxid: zxid, mzxid: zxid, ..Stat::default() }
}

pub(in crate::metadata) const ID: TopicId = TopicId([7; 16]);

/// An image in which these brokers live and one topic has these partitions: replicas, and leader
/// and ISR if there is a state.
pub(in crate::metadata) fn image(
    brokers: &[i32],
    partitions: &[(&[i32], Option<(i32, &[i32])>)],
) -> Image {
    let mut image = Image { controller_epoch: (3, 3), ..Image::default() };
    let mut read: Vec<(Key, Content)> = Vec::new();
    for id in brokers {
        let json = BrokerZnode { jmx_port: -1, ..BrokerZnode::default() }.to_json();
        read.push((Key::Broker(*id), Some((json, stat(0, 5)))));
    }
    let assignments = partitions.iter().map(|(replicas, _)| Assignment::settled(replicas.to_vec()));
    read.push(topic("t", ID, assignments.collect()));
    for (number, (_, leader)) in (0..).zip(partitions) {
        if let Some((leader, isr)) = leader {
            read.push(state("t", number, *leader, isr, 10));
        }
    }
    apply(&mut image, read);
    image
}

fn topic(name: &str, id: TopicId, partitions: Vec<Assignment>) -> (Key, Content) {
    let partitions = (0..).zip(partitions).collect();
    let json = TopicZnode { id: Some(id), partitions }.to_json();
    (Key::Topic(name.into()), Some((json, stat(2, 9))))
}

fn state(topic: &str, number: i32, leader: i32, isr: &[i32], zxid: i64) -> (Key, Content) {
    let json = PartitionStateZnode::new(3, leader, 4, isr.to_vec()).to_json();
    (Key::State(topic.into(), number), Some((json, stat(6, zxid))))
}

fn assigned(replicas: &[&[i32]]) -> Vec<Assignment> {
    replicas.iter().map(|replicas| Assignment::settled(replicas.to_vec())).collect()
}

#[test]
fn paths_are_known_by_what_they_name() {
    for key in [
        Key::ClusterId,
        Key::Controller,
        Key::ControllerEpoch,
        Key::Broker(3),
        Key::Topic("a.b".into()),
        Key::State("t".into(), 9),
        Key::Overrides("users/alice/clients/app".into()),
        Key::Deleting("t".into()),
    ] {
        assert_eq!(Key::of(&key.path()), Some(key));
    }
    for other in ["/config", "/config/topics", "/config/changes/config_change_1", "/brokers/ids/x"]
    {
        assert_eq!(Key::of(other), None, "{other}");
    }
}

#[test]
fn znodes_are_taken_in_whatever_order_they_come() {
    let parts = [state("t", 0, 2, &[2, 1], 9), topic("t", ID, assigned(&[&[1, 2]]))];
    let known = parts.into_iter().map(|(key, content)| (key.path(), content));
    let znodes = known.chain([("/elsewhere".to_owned(), None)]);
    let mut image = Image::default();
    let changes = image.take(9, znodes);
    assert_eq!((image.zxid, image.partition("t", 0).unwrap().leader()), (9, Some(2)));
    assert_eq!(changes.partitions.len(), 1);
    let gone = image.take(10, [("/brokers/topics/t".to_owned(), None)]);
    assert!(image.topic("t").is_none() && gone.topics.contains("t"));
}

#[test]
fn what_changed_is_told_and_nothing_else() {
    let mut image = image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2]))), (&[2, 1], None)]);
    assert_eq!(image.topic_by_id(ID).unwrap().partitions.len(), 2);
    let before = image.clone();
    let changes = apply(&mut image, vec![state("t", 1, 2, &[2], 11)]);
    let partition = ("t".into(), 1);
    assert_eq!(changes, Changes { partitions: [partition].into(), ..Changes::default() });
    assert_eq!(image.partition("t", 1).unwrap().leader(), Some(2));
    assert_eq!(before.partition("t", 1).unwrap().leader(), None);
    // The same again is no change.
    assert!(apply(&mut image, vec![state("t", 1, 2, &[2], 11)]).is_empty());
    assert!(apply(&mut image, vec![topic("t", ID, assigned(&[&[1, 2], &[2, 1]]))]).is_empty());

    let grown = topic("t", ID, assigned(&[&[1, 2], &[2, 1], &[1, 2]]));
    let changes = apply(&mut image, vec![grown]);
    assert!(changes.topics.contains("t") && changes.partitions.contains(&("t".into(), 2)));
    assert_eq!(changes.partitions.len(), 1);
    assert_eq!(image.partition("t", 1).unwrap().leader(), Some(2));

    let changes = apply(&mut image, vec![(Key::Broker(1), None)]);
    assert_eq!(changes, Changes { brokers: [1].into(), ..Changes::default() });
    let offline = image.offline_replicas(image.partition("t", 0).unwrap());
    assert_eq!(offline, [1]);
}

#[test]
fn a_topic_made_anew_has_none_of_the_states_of_the_one_before() {
    let mut image = image(&[1], &[(&[1], Some((1, &[1])))]);
    let other = TopicId([8; 16]);
    let changes = apply(&mut image, vec![topic("t", other, assigned(&[&[1], &[1]]))]);
    assert!(image.topic_by_id(ID).is_none());
    assert_eq!(&*image.topic_by_id(other).unwrap().name, "t");
    assert!(image.topic("t").unwrap().partitions.iter().all(|p| p.state.is_none()));
    assert_eq!(changes.partitions.len(), 2);
    let changes = apply(&mut image, vec![(Key::Topic("t".into()), None)]);
    assert_eq!((changes.topics.len(), changes.partitions.len()), (1, 2));
    assert_eq!((image.topic_count(), image.topic_by_id(other).is_none()), (0, true));
}

#[test]
fn one_unreadable_znode_leaves_the_others() {
    let mut image = image(&[1], &[(&[1], Some((1, &[1])))]);
    let gaps = br#"{"partitions":{"0":[1],"2":[1]}}"#;
    let read = vec![
        (Key::Broker(1), Some((b"nonsense".to_vec(), stat(0, 1)))),
        (Key::Topic("gap".into()), Some((gaps.to_vec(), stat(0, 1)))),
        (Key::Topic("s".into()), Some((br#"{"partitions":{"0":[1]}}"#.to_vec(), stat(0, 1)))),
    ];
    apply(&mut image, read);
    assert!(image.is_alive(1) && image.topic("gap").is_none());
    // Of a Kafka that gave no ids.
    assert_eq!(image.topic("s").unwrap().id, TopicId::ZERO);
    assert!(image.topic_by_id(TopicId::ZERO).is_none());
}

#[test]
fn configurations_and_deletions_are_followed() {
    let mut image = Image::default();
    let config = |text: &str| Some((text.as_bytes().to_vec(), stat(4, 1)));
    let key = || Key::Overrides("topics/t".into());
    let set = config(r#"{"version":1,"config":{"retention.ms":"7"}}"#);
    let changes = apply(&mut image, vec![(key(), set), (Key::Deleting("t".into()), config(""))]);
    assert_eq!((changes.overrides.len(), changes.deleting.len()), (1, 1));
    let overrides = image.overrides("topics/t").unwrap();
    assert_eq!(overrides.values, BTreeMap::from([("retention.ms".to_owned(), "7".to_owned())]));
    assert_eq!((overrides.version, image.is_deleting("t")), (4, true));
    apply(&mut image, vec![(key(), None), (Key::Deleting("t".into()), None)]);
    assert!(image.overrides("topics/t").is_none() && !image.is_deleting("t"));
}

#[test]
fn a_subscriber_that_sleeps_hears_of_all_steps_as_one() {
    let first = Arc::new(image(&[1], &[(&[1], None)]));
    let subscribers = change::Subscribers::default();
    let mut subscription = subscribers.add(first.clone());
    let update = subscription.try_next().unwrap();
    assert_eq!((update.before.topic_count(), update.after.topic_count()), (0, 1));
    assert!(update.changes.partitions.contains(&("t".into(), 0)));
    assert!(subscription.try_next().is_none());
    let mut images = vec![first];
    for broker in [2, 3] {
        let mut next = (**images.last().unwrap()).clone();
        let json = BrokerZnode::default().to_json();
        let changes = apply(&mut next, vec![(Key::Broker(broker), Some((json, stat(0, 8))))]);
        let next = Arc::new(next);
        subscribers.tell(images.last().unwrap(), &next, &changes);
        images.push(next);
    }
    let update = subscription.try_next().unwrap();
    assert!(Arc::ptr_eq(&update.before, &images[0]) && Arc::ptr_eq(&update.after, &images[2]));
    assert_eq!(update.changes.brokers, [2, 3].into());
}

proptest! {
    /// Whatever was told, in whatever pieces: the image is that of the znodes as they are.
    #[test]
    fn an_image_kept_up_is_the_image_read_anew(
        steps in prop::collection::vec((0..4_i32, 0..3_i32, any::<bool>(), 0..3_i32), 0..40),
    ) {
        let mut kept = Image::default();
        let mut znodes: BTreeMap<Key, Content> = BTreeMap::new();
        for (zxid, (what, number, there, leader)) in (1..).zip(steps) {
            let name = format!("t{number}");
            let (key, content) = match what {
                0 => {
                    let json = BrokerZnode::default().to_json();
                    (Key::Broker(number), Some((json, stat(0, zxid))))
                }
                1 => {
                    // A topic has an id of its own each time it is made.
                    let known = znodes.get(&Key::Topic(name.as_str().into())).cloned().flatten();
                    let (key, new) = topic(&name, TopicId([zxid as u8; 16]), assigned(&[&[0], &[1]]));
                    (key, known.or(new))
                }
                2 => state(&name, leader % 2, leader, &[leader], zxid),
                _ => (Key::Deleting(name.as_str().into()), Some((Vec::new(), stat(0, zxid)))),
            };
            if let Key::Topic(topic) = &key && !there {
                // Its states go with it.
                znodes.retain(|key, _| !matches!(key, Key::State(of, _) if of == topic));
            }
            let content = content.filter(|_| there);
            let orphan = matches!(&key, Key::State(of, _)
                if !matches!(znodes.get(&Key::Topic(of.clone())), Some(Some(_))));
            if orphan {
                continue;
            }
            znodes.insert(key.clone(), content.clone());
            apply(&mut kept, vec![(key, content)]);
        }
        let mut anew = Image::default();
        apply(&mut anew, znodes.into_iter().collect());
        prop_assert_eq!(kept.brokers(), anew.brokers());
        prop_assert_eq!(kept.deleting(), anew.deleting());
        prop_assert_eq!(kept.topic_count(), anew.topic_count());
        for topic in anew.topics() {
            let same = kept.topic(&topic.name).unwrap();
            prop_assert_eq!(same.id, topic.id);
            prop_assert!(same.partitions.iter().eq(topic.partitions.iter()));
            prop_assert_eq!(kept.topic_by_id(topic.id).map(|t| &t.name), Some(&topic.name));
        }
    }
}
