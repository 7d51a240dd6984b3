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

fn all_live(image: &polyport_kafka::metadata::image::Image, ids: &[i32]) -> bool {
    image.controller.is_some() && ids.iter().all(|id| image.is_alive(*id))
}
