use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polyport_base::clock::SystemClock;
use polyport_kafka::metadata::broker::Registration;
use polyport_kafka::metadata::image::{Image, Partition};
use polyport_kafka::metadata::leaders::{Election, LeaderError, Leaders, Rebalancing};
use polyport_kafka::metadata::topics::Layout;
use polyport_kafka::metadata::znode::BrokerZnode;
use polyport_tree::client::writes;

use crate::node::{Directory, Node, broker, free_ports, in_time, topic};

/// A tree on which brokers are registered that do nothing.
async fn registered(
    name: &str,
    brokers: &[(u64, Option<&str>)],
) -> (Directory, Node, Vec<Registration>) {
    let dir = Directory::new(name);
    let node = Node::tree(1, &free_ports(1), &dir.0, 1).await;
    let mut registrations = Vec::new();
    for (id, rack) in brokers {
        let znode = BrokerZnode { rack: rack.map(str::to_owned), ..broker(*id) };
        let registered =
            Registration::start(node.client.clone(), *id as i32, znode, Arc::new(SystemClock));
        registrations.push(in_time(registered).await.unwrap());
    }
    let ids: Vec<i32> = brokers.iter().map(|(id, _)| *id as i32).collect();
    node.until("all registrations", |image| ids.iter().all(|id| image.is_alive(*id))).await;
    (dir, node, registrations)
}

/// Makes a topic of one partition, with these replicas and these of them in sync.
async fn made(node: &Node, name: &str, replicas: &[i32], isr: &[i32]) -> Arc<Image> {
    let mut new = topic(name, 1, 1);
    new.layout = Layout::Assigned([(0, replicas.to_vec())].into());
    let made = in_time(node.topics.create(&new, false)).await.unwrap();
    in_time(node.images.at(made.zxid)).await;
    let leaders = Leaders::new(node.client.clone(), node.images.clone());
    let leader = (replicas[0], 0);
    in_time(leaders.set_isr(name, 0, leader, 0, isr.to_vec())).await.unwrap();
    node.images.fresh().await
}

fn state(image: &Image, topic: &str) -> (Option<i32>, Vec<i32>, i32) {
    let partition = image.partition(topic, 0).unwrap();
    (partition.leader(), partition.isr().to_vec(), partition.leader_epoch())
}

#[tokio::test]
async fn two_thousand_partitions_have_new_leaders_in_a_few_transactions() {
    let dir = Directory::new("kafka-many");
    let ports = free_ports(3);
    let (one, two, three) = tokio::join!(
        Node::start(1, &ports, &dir.0, 1),
        Node::start(2, &ports, &dir.0, 1),
        Node::start(3, &ports, &dir.0, 1),
    );
    let nodes = [&one, &two, &three];
    let all = |image: &Image| image.controller.is_some() && (1..=3).all(|id| image.is_alive(id));
    one.until("three brokers and a controller", all).await;
    for number in 0..20 {
        let new = topic(&format!("t{number}"), 100, 3);
        in_time(one.topics.create(&new, false)).await.unwrap();
    }
    let controller = one.images.fresh().await.controller.unwrap();
    let dead = nodes[controller as usize - 1];
    let living = nodes.into_iter().find(|node| !std::ptr::eq(*node, dead)).unwrap();
    dead.cluster.shutdown().await;
    living.until("its session's end", |image| !image.is_alive(controller)).await;
    let gone = Instant::now();
    let image = living
        .until("leaders that live", |image| {
            let led = |partition: &Partition| {
                partition.leader().is_some_and(|leader| leader != controller)
                    && !partition.isr().contains(&controller)
            };
            image.topics().all(|topic| topic.partitions.iter().all(led))
        })
        .await;
    println!("elected {:?} after the session's end", gone.elapsed());
    let written = |partition: &Partition| partition.state.as_ref().unwrap().zxid;
    let topics = image.topics().flat_map(|topic| topic.partitions.iter());
    let transactions: BTreeSet<i64> = topics.map(written).collect();
    // 500 states in each.
    assert_eq!((image.topic_count(), transactions.len()), (20, 4));
}

#[tokio::test]
async fn topics_decide_whether_records_may_be_lost() {
    let (_dir, node, mut brokers) = registered("kafka-unclean", &[(1, None), (2, None)]).await;
    for name in ["careful", "careless"] {
        made(&node, name, &[2, 1], &[2]).await;
    }
    let json = br#"{"version":1,"config":{"unclean.leader.election.enable":"true"}}"#;
    let set = writes::set("/config/topics/careless", json, writes::ANY);
    in_time(node.client.write(set)).await.unwrap();
    let _controller = node.control(1);
    node.until("a controller", |image| image.controller == Some(1)).await;
    drop(brokers.remove(1));
    in_time(node.client.write(writes::delete("/brokers/ids/2", writes::ANY))).await.unwrap();
    let image = node
        .until("no leader and another", |image| {
            state(image, "careful").0.is_none() && state(image, "careless").0 == Some(1)
        })
        .await;
    assert_eq!(state(&image, "careful"), (None, vec![2], 1));
    assert_eq!(state(&image, "careless"), (Some(1), vec![1], 1));
    // An operator may decide otherwise for once.
    let leaders = Leaders::new(node.client.clone(), node.images.clone());
    let elected = in_time(leaders.elect(None, Election::Unclean)).await;
    let results: Vec<_> = elected.results.into_iter().map(|((name, _), it)| (name, it)).collect();
    let expected = [("careful".into(), Ok(())), ("careless".into(), Err(LeaderError::NotNeeded))];
    assert_eq!(results, expected);
    let image = in_time(node.images.at(elected.zxid)).await;
    assert_eq!(state(&image, "careful"), (Some(1), vec![1], 2));
}

#[tokio::test]
async fn a_broker_that_leaves_waits_for_who_gets_in_sync() {
    let (_dir, node, _brokers) = registered("kafka-leave", &[(1, None), (2, None)]).await;
    made(&node, "ready", &[1, 2], &[1, 2]).await;
    let image = made(&node, "lags", &[1, 2], &[1]).await;
    made(&node, "alone", &[1], &[1]).await;
    let leaders = Leaders::new(node.client.clone(), node.images.clone());
    assert_eq!(leaders.leave(1, Duration::ZERO).await, Ok(1));
    let image_after = node.images.fresh().await;
    assert_eq!(state(&image_after, "ready"), (Some(2), vec![2], 1));
    assert_eq!(state(&image_after, "lags"), state(&image, "lags"));
    let patient = leaders.clone();
    let leaving = tokio::spawn(async move { patient.leave(1, Duration::from_secs(60)).await });
    let version = image.partition("lags", 0).unwrap().state.as_ref().unwrap().version;
    in_time(leaders.set_isr("lags", 0, (1, 0), version, vec![1, 2])).await.unwrap();
    assert_eq!(in_time(leaving).await.unwrap(), Ok(0));
    let image = node.images.fresh().await;
    assert_eq!(state(&image, "lags"), (Some(2), vec![2], 1));
    assert_eq!(state(&image, "alone").0, Some(1));
}

#[tokio::test]
async fn preferred_leaders_get_their_partitions_back() {
    let (_dir, node, _brokers) = registered("kafka-preferred", &[(1, None), (2, None)]).await;
    made(&node, "t", &[1, 2], &[1, 2]).await;
    let leaders = Leaders::new(node.client.clone(), node.images.clone());
    assert_eq!(in_time(leaders.hand_over(1)).await, Ok(0));
    // Not before it is in sync again.
    assert_eq!(in_time(leaders.rebalance(10)).await, Ok(0));
    let version =
        node.images.fresh().await.partition("t", 0).unwrap().state.as_ref().unwrap().version;
    in_time(leaders.set_isr("t", 0, (2, 1), version, vec![2, 1])).await.unwrap();
    let values = [("leader.imbalance.check.interval.seconds", "1")];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let configs = polyport_kafka::metadata::config::Configs::new(1, values).unwrap();
    let _rebalancing = Rebalancing::start(leaders, configs, 1);
    let _controller = node.control(1);
    let image = node.until("the preferred leader", |image| state(image, "t").0 == Some(1)).await;
    assert_eq!(state(&image, "t"), (Some(1), vec![2, 1], 2));
}

#[tokio::test]
async fn replicas_are_spread_over_racks() {
    let racks = [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, Some("b"))];
    let (_dir, node, _brokers) = registered("kafka-racks", &racks).await;
    let made = in_time(node.topics.create(&topic("t", 8, 2), false)).await.unwrap();
    let image = in_time(node.images.at(made.zxid)).await;
    for partition in image.topic("t").unwrap().partitions.iter() {
        let in_a = partition.replicas.iter().filter(|id| **id <= 2).count();
        assert_eq!((partition.replicas.len(), in_a), (2, 1), "{:?}", partition.replicas);
    }
}
