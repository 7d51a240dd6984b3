use polyport_kafka::metadata::leaders::{Election, LeaderError, Leaders};
use polyport_kafka::metadata::topics::{Layout, TopicError};
use polyport_tree::TreeError;
use polyport_tree::client::writes;

use crate::node::{Directory, Node, free_ports, in_time, topic};

#[tokio::test]
async fn another_leads_and_controls_when_a_broker_dies_and_takes_it_back() {
    let dir = Directory::new("kafka-three");
    let ports = free_ports(3);
    let (one, two, three) = tokio::join!(
        Node::start(1, &ports, &dir.0, 1),
        Node::start(2, &ports, &dir.0, 1),
        Node::start(3, &ports, &dir.0, 1),
    );
    let nodes = [&one, &two, &three];
    for node in nodes {
        let all_there = |image: &_| all_live(image, &[1, 2, 3]);
        node.until("three brokers and a controller", all_there).await;
        assert_eq!(node.cluster_id, one.cluster_id);
    }
    let made = in_time(one.topics.create(&topic("t", 6, 3), false)).await.unwrap();
    let zxid = made.zxid;
    for node in nodes {
        let image = in_time(node.images.at(zxid)).await;
        let leaders: std::collections::BTreeSet<_> =
            image.topic("t").unwrap().partitions.iter().map(|p| p.leader().unwrap()).collect();
        assert_eq!(leaders, [1, 2, 3].into());
    }

    let controller = one.images.current().controller.unwrap();
    let epoch = one.images.current().controller_epoch.0;
    let dead = nodes[controller as usize - 1];
    let living = nodes.into_iter().find(|node| !std::ptr::eq(*node, dead)).unwrap();
    dead.cluster.shutdown().await;
    let image = living
        .until("the dead one's leaderships elsewhere", |image| {
            let elsewhere = |partition: &polyport_kafka::metadata::image::Partition| {
                partition.leader().is_some_and(|leader| leader != controller)
                    && !partition.isr().contains(&controller)
            };
            !image.is_alive(controller)
                && image.topic("t").unwrap().partitions.iter().all(elsewhere)
        })
        .await;
    assert!(image.controller.is_some_and(|now| now != controller), "{:?}", image.controller);
    assert_eq!(image.controller_epoch.0, epoch + 1);
    for partition in image.topic("t").unwrap().partitions.iter() {
        assert_eq!(partition.isr().len(), 2);
        assert!(partition.isr().contains(&partition.leader().unwrap()));
        assert_eq!(i32::from(partition.replicas[0] == controller), partition.leader_epoch());
    }
    // What the dead one's process still believes has no effect: its writes carry an old epoch.
    let check = writes::check("/controller_epoch", image.controller_epoch.1 - 1);
    let stale = living.client.multi(vec![check, writes::create_bare("/stale")]).await;
    assert_eq!(stale.unwrap_err().refusal(), Some(TreeError::BadVersion));
}

#[tokio::test]
async fn partitions_move_and_change_hands_on_request() {
    let dir = Directory::new("kafka-moves");
    let ports = free_ports(3);
    let (one, two, three) = tokio::join!(
        Node::start(1, &ports, &dir.0, 1),
        Node::start(2, &ports, &dir.0, 1),
        Node::start(3, &ports, &dir.0, 1),
    );
    one.until("three brokers and a controller", |image| all_live(image, &[1, 2, 3])).await;
    let mut new = topic("t", 1, 1);
    new.layout = Layout::Assigned([(0, vec![1, 2])].into());
    let made = in_time(one.topics.create(&new, false)).await.unwrap();
    in_time(two.images.at(made.zxid)).await;

    let wish = |ids: Option<&[i32]>| [(0, ids.map(<[i32]>::to_vec))].into();
    let results = in_time(two.topics.reassign("t", &wish(Some(&[3, 2])))).await.unwrap();
    assert_eq!(results[&0], Ok(()));
    let image = three
        .until("the wish", |image| image.partition("t", 0).unwrap().reassigning.is_some())
        .await;
    let partition = image.partition("t", 0).unwrap();
    assert_eq!((&partition.replicas[..], partition.leader()), (&[3, 2, 1][..], Some(1)));
    // The leader finds the new replica in sync: the controller lets the old one go.
    let state = partition.state.clone().unwrap();
    let leaders = Leaders::new(one.client.clone(), one.images.clone());
    in_time(one.images.at(image.zxid)).await;
    let isr = vec![1, 2, 3];
    let leader = (1, state.leader_epoch);
    let version = leaders.set_isr("t", 0, leader, state.version, isr.clone()).await.unwrap();
    assert_eq!(version, state.version + 1);
    let stale = leaders.set_isr("t", 0, leader, state.version, isr).await;
    assert_eq!(stale, Err(LeaderError::Stale));
    let image = three
        .until("the settled assignment", |image| {
            image.partition("t", 0).unwrap().reassigning.is_none()
        })
        .await;
    let partition = image.partition("t", 0).unwrap();
    assert_eq!((&partition.replicas[..], partition.leader()), (&[3, 2][..], Some(3)));
    let mut isr = partition.isr().to_vec();
    isr.sort();
    assert_eq!(isr, [2, 3]);

    let leaders = Leaders::new(three.client.clone(), three.images.clone());
    assert_eq!(in_time(leaders.hand_over(3)).await, Ok(0));
    let image = three.images.fresh().await;
    assert_eq!(image.partition("t", 0).unwrap().leader(), Some(2));
    assert_eq!(image.partition("t", 0).unwrap().isr(), [2]);
    let places = [("t".into(), 0), ("u".into(), 0)].into();
    let elected = in_time(leaders.elect(Some(&places), Election::Preferred)).await;
    let results: Vec<_> = elected.results.into_values().collect();
    assert_eq!(results, [Err(LeaderError::PreferredNotAvailable), Err(LeaderError::Unknown)]);
    let cancelled = in_time(three.topics.reassign("t", &wish(None))).await.unwrap();
    assert!(matches!(cancelled[&0], Err(TopicError::NoReassignmentInProgress(_))));
}

fn all_live(image: &polyport_kafka::metadata::image::Image, ids: &[i32]) -> bool {
    image.controller.is_some() && ids.iter().all(|id| image.is_alive(*id))
}
