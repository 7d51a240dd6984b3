use std::collections::BTreeSet;
use std::sync::Arc;

use polyport_kafka::transaction::coordinator::{Leadership, leadership};
use polyport_kafka::transaction::producer_id::{ClaimError, ProducerIds, TreeBlocks};
use polyport_log::TopicPartition;
use polyport_tree::client::writes;

use crate::node::{Directory, Node, free_ports, in_time, topic};

const PATH: &str = "/latest_producer_id_block";

#[tokio::test]
async fn brokers_never_give_the_same_producer_id() {
    let dir = Directory::new("kafka-producer-ids");
    let ports = free_ports(3);
    let (one, two, three) = tokio::join!(
        Node::tree(1, &ports, &dir.0, 1),
        Node::tree(2, &ports, &dir.0, 1),
        Node::tree(3, &ports, &dir.0, 1),
    );
    let nodes = [one, two, three];
    let mut asking = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let ids = Arc::new(ProducerIds::new(TreeBlocks::new(node.client.clone(), at as i32 + 1)));
        for _ in 0..2 {
            let ids = ids.clone();
            asking.push(tokio::spawn(async move {
                let mut got = Vec::new();
                for _ in 0..1_500 {
                    got.push(in_time(ids.next()).await.unwrap());
                }
                got
            }));
        }
    }
    let mut all = BTreeSet::new();
    for asked in asking {
        for id in asked.await.unwrap() {
            assert!(all.insert(id), "{id} was given twice");
        }
    }
    // Each took three blocks.
    assert_eq!((all.len(), all.last()), (9_000, Some(&8_999)));
    in_time(nodes[0].client.sync()).await.unwrap();
    let stored = nodes[0].text(PATH);
    assert!(stored.ends_with(r#","block_start":"8000","block_end":"8999"}"#), "{stored}");
}

#[tokio::test]
async fn what_an_operator_broke_is_not_written_over() {
    let dir = Directory::new("kafka-producer-ids-broken");
    let node = Node::tree(1, &free_ports(1), &dir.0, 1).await;
    in_time(node.client.write(writes::set(PATH, b"{}", writes::ANY))).await.unwrap();
    let ids = ProducerIds::new(TreeBlocks::new(node.client.clone(), 1));
    assert!(matches!(in_time(ids.next()).await, Err(ClaimError::Malformed(_))));
    in_time(node.client.write(writes::delete(PATH, writes::ANY))).await.unwrap();
    assert!(matches!(in_time(ids.next()).await, Err(ClaimError::Unavailable(_))));
}

#[tokio::test]
async fn markers_go_to_the_leaders_of_partitions_that_are_to_stay() {
    let dir = Directory::new("kafka-marker-leaders");
    let node = Node::start(1, &free_ports(1), &dir.0, 1).await;
    let made = in_time(node.topics.create(&topic("t", 2, 1), false)).await.unwrap();
    let image = in_time(node.images.at(made.zxid)).await;
    let of = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    assert_eq!(leadership(&image, 1, &of("t", 1)), Leadership::Here);
    assert_eq!(leadership(&image, 2, &of("t", 1)), Leadership::Elsewhere);
    assert_eq!(leadership(&image, 1, &of("t", 2)), Leadership::Gone);
    assert_eq!(leadership(&image, 1, &of("u", 0)), Leadership::Gone);
    in_time(node.topics.delete("t")).await.unwrap();
    // Whether it is being deleted or was.
    let image = node.images.fresh().await;
    assert_eq!(leadership(&image, 1, &of("t", 1)), Leadership::Gone);
}
