//! Three brokers that have the same records.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use polyport_kafka_codec::messages::{CreateTopicsRequest, FetchRequest};

use super::node::{Node, in_time};
use super::records::{batch, fetch, outcome, produce, values};

/// A topic of one partition with its replicas on all three brokers, led by the first.
async fn create(nodes: &[Node; 3], topic: &str, configs: &[(&str, &str)]) {
    let assignment =
        CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![11, 12, 13] };
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    });
    let new = CreatableTopic {
        name: topic.to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        configs: configs.collect(),
    };
    let request =
        CreateTopicsRequest { topics: vec![new], timeout_ms: 20_000, ..Default::default() };
    let response = nodes[0].connect().await.ask(&request, 5).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_its_leader() {
    let nodes = Node::start_three(&[]).await;
    create(&nodes, "t", &[("min.insync.replicas", "2")]).await;
    create(&nodes, "strict", &[("min.insync.replicas", "3")]).await;
    let mut producer = nodes[0].connect().await;
    let mut expected = Vec::new();
    for number in 0..50_i64 {
        let value = format!("value {number}").into_bytes();
        let response = producer.ask(&produce("t", -1, Some(batch(&value))), 9).await;
        assert_eq!(outcome(&response), (0, number));
        expected.push(value);
    }
    let response = producer.ask(&produce("strict", -1, Some(batch(b"x"))), 9).await;
    assert_eq!(outcome(&response), (0, 0));

    nodes[0].vanish().await;
    let led_by_another = |topic| {
        move |image: &polyport_kafka::metadata::image::Image| {
            let partition = image.partition(topic, 0).unwrap();
            partition.leader() == Some(12) && !partition.isr().contains(&11)
        }
    };
    nodes[1].until(led_by_another("t")).await;
    nodes[1].until(led_by_another("strict")).await;
    let mut client = nodes[1].connect().await;
    // The image is there before the partition has followed it.
    let response = in_time(async {
        loop {
            let response = client.ask(&fetch("t", 0), 11).await;
            if response.responses[0].partitions[0].error_code == 0 {
                return response;
            }
        }
    })
    .await;
    assert_eq!(values(&response), expected);
    let response = client.ask(&produce("t", -1, Some(batch(b"after"))), 9).await;
    assert_eq!(outcome(&response), (0, 50));
    let refused = client.ask(&produce("strict", -1, Some(batch(b"y"))), 9).await;
    assert_eq!(outcome(&refused).0, ErrorCode::NotEnoughReplicas.code());
    // Whoever wants no more than the leader is served.
    let response = client.ask(&produce("strict", 1, Some(batch(b"y"))), 9).await;
    assert_eq!(outcome(&response), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_follows_by_the_clients_door() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    super::records::create(&mut connection, "t").await;
    let request = FetchRequest { replica_id: 12, ..fetch("t", 0) };
    let response = connection.ask(&request, 11).await;
    assert_eq!(response.error_code, ErrorCode::ClusterAuthorizationFailed.code());
    node.stop().await;
}
