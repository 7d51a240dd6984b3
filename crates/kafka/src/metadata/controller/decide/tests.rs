use proptest::prelude::*;

use super::*;
use crate::metadata::image::tests::{ID, image};
use crate::metadata::image::{List, Reassigning};

const NONE: &BTreeSet<i32> = &BTreeSet::new();

fn clean(_: &str) -> bool {
    false
}

fn rules<'a>(bounced: &'a BTreeSet<i32>, unclean: &'a dyn Fn(&str) -> bool) -> Rules<'a> {
    Rules { bounced, unclean }
}

fn all(image: &Image) -> Vec<Step> {
    decide(image, &Scope::Everything, &rules(NONE, &clean))
}

/// Leader, epoch and ISR of the only step, which changes a state.
fn changed(steps: &[Step]) -> (i32, i32, Vec<i32>) {
    let [Step::SetState(set)] = steps else { panic!("{steps:?}") };
    assert_eq!((&*set.topic, set.partition, set.version), ("t", 0, 6));
    assert_eq!(set.state.controller_epoch, 3);
    (set.state.leader, set.state.leader_epoch, set.state.isr.clone())
}

#[test]
fn a_healthy_cluster_is_left_alone() {
    assert_eq!(all(&image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2]))), (&[2], Some((2, &[2])))])), []);
}

#[test]
fn a_new_partition_is_led_by_its_first_living_replica() {
    let steps = all(&image(&[2, 3], &[(&[1, 2, 3], None), (&[1], None)]));
    let [Step::CreateState { partition: 0, state, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((state.leader, state.leader_epoch, &state.isr[..]), (2, 0, &[2, 3][..]));
}

#[test]
fn the_next_in_sync_leads_when_the_leader_dies() {
    let steps = all(&image(&[2, 3], &[(&[1, 2, 3], Some((1, &[1, 3])))]));
    assert_eq!(changed(&steps), (3, 5, vec![3]));
}

#[test]
fn a_dead_follower_leaves_the_isr_and_the_leader_stays() {
    let steps = all(&image(&[1, 3], &[(&[1, 2, 3], Some((1, &[1, 2, 3])))]));
    assert_eq!(changed(&steps), (1, 4, vec![1, 3]));
}

#[test]
fn without_anybody_in_sync_there_is_no_leader_unless_uncleanly() {
    let dead = image(&[3], &[(&[1, 2, 3], Some((1, &[1, 2])))]);
    assert_eq!(changed(&all(&dead)), (NO_LEADER, 5, vec![1, 2]));
    let steps = decide(&dead, &Scope::Everything, &rules(NONE, &|topic| topic == "t"));
    assert_eq!(changed(&steps), (3, 5, vec![3]));
    // Once that is written, there is nothing to do until one of them is back.
    let waiting = image(&[3], &[(&[1, 2, 3], Some((NO_LEADER, &[1, 2])))]);
    assert_eq!(all(&waiting), []);
    let back = image(&[2, 3], &[(&[1, 2, 3], Some((NO_LEADER, &[1, 2])))]);
    assert_eq!(changed(&all(&back)), (2, 5, vec![2]));
}

#[test]
fn a_broker_that_came_anew_counts_as_one_that_died() {
    let now = image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2])))]);
    let bounced = BTreeSet::from([1]);
    let steps = decide(&now, &Scope::Everything, &rules(&bounced, &clean));
    assert_eq!(changed(&steps), (2, 5, vec![2]));
    // Nobody saw it go, but it registered after the state was written.
    let mut later = image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2])))]);
    let brokers = Arc::make_mut(&mut later.brokers);
    Arc::make_mut(brokers.get_mut(&1).unwrap()).epoch = 11;
    assert_eq!(changed(&all(&later)), (2, 5, vec![2]));
    // Alone, it leads again, in another epoch.
    let alone = image(&[1], &[(&[1], Some((1, &[1])))]);
    let steps = decide(&alone, &Scope::Everything, &rules(&bounced, &clean));
    assert_eq!(changed(&steps), (1, 5, vec![1]));
}

#[test]
fn only_what_changed_is_looked_at() {
    let now = image(&[2], &[(&[1, 2], Some((1, &[1, 2]))), (&[1, 2], Some((1, &[1, 2])))]);
    let decide = |changes: Changes| decide(&now, &Scope::Changes(&changes), &rules(NONE, &clean));
    assert_eq!(decide(Changes { controller: true, ..Changes::default() }), []);
    let one = Changes { partitions: [("t".into(), 0)].into(), ..Changes::default() };
    assert_eq!(decide(one).len(), 1);
    let broker = Changes { brokers: [1].into(), ..Changes::default() };
    assert_eq!(decide(broker).len(), 2);
}

#[test]
fn topics_that_are_marked_are_deleted_and_not_led() {
    let mut marked = image(&[2], &[(&[1, 2], Some((1, &[1, 2]))), (&[2], None)]);
    marked.deleting = Arc::new(["t".into(), "unknown".into()].into());
    let delete = |topic: &str| Step::Delete { topic: topic.into() };
    assert_eq!(all(&marked), [delete("t"), delete("unknown")]);
}

fn reassigned(brokers: &[i32], leader: i32, isr: &[i32], reassigning: Reassigning) -> Image {
    let mut now = image(brokers, &[(&[3, 4, 1, 2], Some((leader, isr))), (&[1], Some((1, &[1])))]);
    let topic = now.topics.get_mut("t").unwrap();
    let partition = Arc::make_mut(topic).partitions.get_mut(0).unwrap();
    partition.reassigning = Some(Arc::new(reassigning));
    now
}

#[test]
fn a_reassignment_is_settled_when_all_new_replicas_are_in_sync() {
    let moving = || Reassigning { adding: vec![3, 4], removing: vec![1, 2] };
    let all_live = [1, 2, 3, 4];
    assert_eq!(all(&reassigned(&all_live, 1, &[1, 2, 3], moving())), []);
    let steps = all(&reassigned(&all_live, 1, &[1, 2, 3, 4], moving()));
    let [Step::Settle { topic, version, znode, states }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((&**topic, *version, znode.id), ("t", 2, Some(ID)));
    assert_eq!(znode.partitions[&0], Assignment::settled(vec![3, 4]));
    assert_eq!(znode.partitions[&1], Assignment::settled(vec![1]));
    let state = &states[0].state;
    assert_eq!((state.leader, state.leader_epoch, &state.isr[..]), (3, 5, &[3, 4][..]));
    // A leader that stays goes on.
    let keeping = Reassigning { adding: vec![3, 4], removing: vec![2] };
    let steps = all(&reassigned(&all_live, 1, &[1, 2, 3, 4], keeping));
    let [Step::Settle { states, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((states[0].state.leader, &states[0].state.isr[..]), (1, &[1, 3, 4][..]));
}

#[test]
fn who_is_no_replica_any_more_leaves() {
    let steps = all(&image(&[1, 2, 3], &[(&[1, 2], Some((1, &[1, 2, 3])))]));
    assert_eq!(changed(&steps), (1, 4, vec![1, 2]));
    let steps = all(&image(&[1, 2, 3], &[(&[1, 2], Some((3, &[3, 2])))]));
    assert_eq!(changed(&steps), (2, 5, vec![2]));
}

#[test]
fn a_preferred_leader_leads_where_it_can() {
    let prefer = |image: &Image| {
        let partition = image.partition("t", 0).unwrap();
        super::prefer(image, partition, &rules(NONE, &clean)).map(|state| state.leader)
    };
    assert_eq!(prefer(&image(&[1, 2], &[(&[1, 2], Some((2, &[1, 2])))])), Some(1));
    assert_eq!(prefer(&image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2])))])), None);
    assert_eq!(prefer(&image(&[1, 2], &[(&[1, 2], Some((2, &[2])))])), None);
    assert_eq!(prefer(&image(&[2], &[(&[1, 2], Some((2, &[1, 2])))])), None);
}

/// The image after a step.
fn after(image: &Image, step: &Step) -> Image {
    let mut image = image.clone();
    let (topic, partition, written, version) = match step {
        Step::CreateState { topic, partition, state } => (topic, partition, state, 0),
        Step::SetState(set) => (&set.topic, &set.partition, &set.state, set.version + 1),
        _ => panic!("{step:?}"),
    };
    let topic = Arc::make_mut(image.topics.get_mut(&**topic).unwrap());
    topic.partitions.get_mut(*partition as usize).unwrap().state = Some(PartitionState {
        leader: written.leader,
        leader_epoch: written.leader_epoch,
        isr: written.isr.clone().into(),
        controller_epoch: written.controller_epoch,
        version,
        zxid: 20,
    });
    image
}

fn partitions() -> impl Strategy<Value = Vec<(Vec<i32>, Option<(i32, Vec<i32>)>)>> {
    let replicas = prop::sample::subsequence(vec![0, 1, 2, 3, 4], 1..5).prop_shuffle();
    let partition = replicas.prop_flat_map(|replicas| {
        let len = replicas.len();
        let isr = prop::sample::subsequence(replicas.clone(), 1..=len);
        let state = isr.prop_flat_map(|isr| {
            let mut leaders = isr.clone();
            leaders.push(NO_LEADER);
            (prop::sample::select(leaders), Just(isr))
        });
        (Just(replicas), prop::option::of(state))
    });
    prop::collection::vec(partition, 1..6)
}

proptest! {
    #[test]
    fn decisions_are_safe_and_settle_at_once(
        brokers in prop::sample::subsequence(vec![0, 1, 2, 3, 4], 0..5),
        young in prop::sample::subsequence(vec![0, 1, 2, 3, 4], 0..5),
        partitions in partitions(),
        unclean: bool,
    ) {
        let of = |(replicas, state): &'_ (Vec<i32>, Option<(i32, Vec<i32>)>)| {
            (replicas.clone(), state.clone())
        };
        let owned: Vec<_> = partitions.iter().map(of).collect();
        let borrowed: Vec<(&[i32], Option<(i32, &[i32])>)> = owned
            .iter()
            .map(|(r, s)| (r.as_slice(), s.as_ref().map(|(l, isr)| (*l, isr.as_slice()))))
            .collect();
        let mut before = image(&brokers, &borrowed);
        let lives = Arc::make_mut(&mut before.brokers);
        for id in &young {
            if let Some(broker) = lives.get_mut(id) {
                // After the states were written.
                Arc::make_mut(broker).epoch = 11;
            }
        }
        let unclean = |_: &str| unclean;
        let rules = rules(NONE, &unclean);
        let steps = decide(&before, &Scope::Everything, &rules);
        let mut now = before.clone();
        for step in &steps {
            now = after(&now, step);
            let number = match step {
                Step::CreateState { partition, .. } => *partition,
                Step::SetState(set) => set.partition,
                _ => unreachable!(),
            };
            let was = before.partition("t", number).unwrap();
            let is = now.partition("t", number).unwrap();
            let state = is.state.as_ref().unwrap();
            prop_assert!(!state.isr.is_empty());
            prop_assert!(state.isr.iter().all(|id| is.replicas.contains(id)));
            prop_assert!(state.leader_epoch >= was.leader_epoch());
            if is.leader() != was.leader() {
                prop_assert!(state.leader_epoch > was.leader_epoch());
            }
            if let Some(leader) = is.leader() {
                prop_assert!(before.is_alive(leader) && state.isr.contains(&leader));
                let in_sync = was.state.is_none() || was.isr().contains(&leader);
                prop_assert!(in_sync || unclean("t"));
                let young_leader = young.contains(&leader);
                prop_assert!(!young_leader || was.leader_epoch() < state.leader_epoch);
            }
        }
        // What was done needs no second look, and nobody who could lead is left waiting.
        prop_assert_eq!(decide(&now, &Scope::Everything, &rules), vec![]);
        for partition in now.topic("t").unwrap().partitions.iter() {
            let could = |id: &&i32| {
                let in_sync = partition.state.is_none() || partition.isr().contains(id);
                now.is_alive(**id) && (in_sync || unclean("t"))
            };
            let any = partition.replicas.iter().find(could).is_some();
            prop_assert_eq!(partition.leader().is_some(), any);
        }
    }
}

#[test]
fn a_topic_of_two_thousand_partitions_shares_all_but_one_chunk() {
    let now = image(&[1], &[(&[1], None)]);
    let mut wide = now.clone();
    let one = now.partition("t", 0).unwrap().clone();
    let topic = Arc::make_mut(wide.topics.get_mut("t").unwrap());
    topic.partitions = std::iter::repeat_n(one, 2000).collect::<List<_>>();
    let steps = decide(&wide, &Scope::Everything, &rules(NONE, &clean));
    assert_eq!(steps.len(), 2000);
    let changes = Changes { partitions: [("t".into(), 1999)].into(), ..Changes::default() };
    assert_eq!(decide(&wide, &Scope::Changes(&changes), &rules(NONE, &clean)).len(), 1);
}
