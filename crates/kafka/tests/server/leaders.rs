//! Elections, moves of partitions, and a stop that hands over.

use polyport_kafka::metadata::znode::{BrokerZnode, Endpoint};
use polyport_kafka_codec::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use polyport_kafka_codec::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic,
};
use polyport_kafka_codec::messages::elect_leaders_request::TopicPartitions;
use polyport_kafka_codec::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use polyport_kafka_codec::messages::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
};
use polyport_tree::CreateMode;
use polyport_tree::client::{Client, Options, writes};

use crate::node::{Connection, Node, in_time};
use crate::records::{batch, fetch, outcome, produce, values};

const STATE: &str = "/brokers/topics/t/partitions/0/state";

/// A topic of one partition on this broker, beside another broker that is only registered.
async fn two_brokers() -> (Node, Connection, Client) {
    let node = Node::start().await;
    let client = in_time(Client::open(node.replica.clone(), Options::default())).await.unwrap();
    let other = BrokerZnode {
        endpoints: vec![Endpoint::plaintext("127.0.0.1", 1)],
        jmx_port: -1,
        ..BrokerZnode::default()
    };
    let json = other.to_json();
    let register = writes::create_as("/brokers/ids/12", &json, CreateMode::Ephemeral);
    in_time(client.write(register)).await.unwrap();
    let mut connection = node.connect().await;
    create(&mut connection, &[11]).await;
    (node, connection, client)
}

/// A topic of one partition on these brokers.
async fn create(connection: &mut Connection, brokers: &[i32]) {
    let assignment =
        CreatableReplicaAssignment { partition_index: 0, broker_ids: brokers.to_vec() };
    let topic = CreatableTopic {
        name: "t".to_owned(),
        assignments: vec![assignment],
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let created = connection.ask(&request, 7).await;
    assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
}

async fn elect(
    connection: &mut Connection,
    version: i16,
    kind: i8,
    named: Option<&[(&str, i32)]>,
) -> (i16, Vec<(String, i32, i16, Option<String>)>) {
    let topics = named.map(|named| {
        let one = |(topic, partition): &(&str, i32)| TopicPartitions {
            topic: (*topic).to_owned(),
            partitions: vec![*partition],
        };
        named.iter().map(one).collect()
    });
    let request =
        ElectLeadersRequest { election_type: kind, topic_partitions: topics, timeout_ms: 30_000 };
    let response = connection.ask(&request, version).await;
    let results = response.replica_election_results.into_iter().flat_map(|topic| {
        let name = topic.topic;
        topic
            .partition_result
            .into_iter()
            .map(move |it| (name.clone(), it.partition_id, it.error_code, it.error_message))
    });
    (response.error_code, results.collect())
}

#[tokio::test]
async fn elections_are_answered_as_by_kafka() {
    let (node, mut connection, client) = two_brokers().await;
    let named: &[(&str, i32)] = &[("none", 0), ("t", 0), ("t", 7)];
    let no_such = || Some("The partition does not exist.".to_owned());
    let needless = Some("Leader election not needed for topic partition.".to_owned());
    for version in 0..=2 {
        let expected = vec![
            ("none".to_owned(), 0, 3, no_such()),
            ("t".to_owned(), 0, 84, needless.clone()),
            ("t".to_owned(), 7, 3, no_such()),
        ];
        assert_eq!(elect(&mut connection, version, 0, Some(named)).await, (0, expected));
        assert_eq!(elect(&mut connection, version, 0, None).await, (0, vec![]));
    }
    let (code, results) = elect(&mut connection, 2, 1, Some(&[("t", 0)])).await;
    assert_eq!((code, results[0].2), (0, 84));
    let (code, results) = elect(&mut connection, 2, 7, Some(&[("t", 0)])).await;
    assert_eq!((code, results[0].2), (42, 42));
    // Another leads, as after this broker was away; it leads again when it is asked for.
    let home = client.get("/brokers/topics/t").unwrap().0;
    let home = String::from_utf8(home).unwrap().replace("[11]", "[11,12]");
    let state = br#"{"controller_epoch":1,"leader":12,"version":1,"leader_epoch":1,"isr":[11,12]}"#;
    let both = vec![
        writes::set("/brokers/topics/t", home.as_bytes(), writes::ANY),
        writes::set(STATE, state, writes::ANY),
    ];
    in_time(client.multi(both)).await.unwrap();
    let elected = elect(&mut connection, 2, 0, None).await;
    assert_eq!(elected, (0, vec![("t".to_owned(), 0, 0, None)]));
    let leader = node.broker.image().partition("t", 0).unwrap().leader();
    assert_eq!(leader, Some(11));
    drop(client);
    node.stop().await;
}

async fn reassign(
    connection: &mut Connection,
    topic: &str,
    replicas: Option<&[i32]>,
) -> (i16, Option<String>) {
    let replicas = replicas.map(<[i32]>::to_vec);
    let partitions = vec![ReassignablePartition { partition_index: 0, replicas }];
    let topics = vec![ReassignableTopic { name: topic.to_owned(), partitions }];
    let request = AlterPartitionReassignmentsRequest { timeout_ms: 30_000, topics };
    let response = connection.ask(&request, 0).await;
    assert_eq!((response.error_code, response.error_message), (0, None));
    let result = &response.responses[0].partitions[0];
    (result.error_code, result.error_message.clone())
}

async fn listed(connection: &mut Connection, topics: Option<&[&str]>) -> Vec<String> {
    let named = |topics: &[&str]| {
        let one = |name: &&str| ListPartitionReassignmentsTopics {
            name: (*name).to_owned(),
            partition_indexes: vec![0, 1],
        };
        topics.iter().map(one).collect()
    };
    let topics = topics.map(named);
    let request = ListPartitionReassignmentsRequest { timeout_ms: 30_000, topics };
    let response = connection.ask(&request, 0).await;
    let shown = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| {
            let (all, adding, removing) =
                (&it.replicas, &it.adding_replicas, &it.removing_replicas);
            format!("{}-{} {all:?} +{adding:?} -{removing:?}", topic.name, it.partition_index)
        })
    });
    shown.collect()
}

#[tokio::test]
async fn moves_begin_are_listed_and_called_off() {
    let (node, mut connection, client) = two_brokers().await;
    let nothing: Vec<String> = vec![];
    assert_eq!(listed(&mut connection, None).await, nothing);
    let none_under_way = Some("No partition reassignment is in progress.".to_owned());
    assert_eq!(reassign(&mut connection, "t", None).await, (85, none_under_way));
    assert_eq!(reassign(&mut connection, "none", Some(&[11])).await.0, 3);
    let unknown =
        "The manual partition assignment includes broker 9, but no such broker is registered.";
    let refused = reassign(&mut connection, "t", Some(&[9])).await;
    assert_eq!(refused, (39, Some(unknown.to_owned())));
    // Where it is already.
    assert_eq!(reassign(&mut connection, "t", Some(&[11])).await, (0, None));
    assert_eq!(listed(&mut connection, None).await, nothing);

    assert_eq!(reassign(&mut connection, "t", Some(&[12])).await, (0, None));
    let moving = ["t-0 [12, 11] +[12] -[11]"];
    assert_eq!(listed(&mut connection, None).await, moving);
    assert_eq!(listed(&mut connection, Some(&["none", "t"])).await, moving);
    assert_eq!(listed(&mut connection, Some(&["none"])).await, nothing);
    assert_eq!(reassign(&mut connection, "t", None).await, (0, None));
    assert_eq!(listed(&mut connection, None).await, nothing);
    let image = node.broker.image();
    assert_eq!(image.partition("t", 0).unwrap().replicas[..], [11]);
    drop(client);
    node.stop().await;
}

#[tokio::test]
async fn another_leads_before_a_broker_that_stops_is_gone() {
    let (node, _connection, client) = two_brokers().await;
    let home = client.get("/brokers/topics/t").unwrap().0;
    let home = String::from_utf8(home).unwrap().replace("[11]", "[11,12]");
    let state = br#"{"controller_epoch":1,"leader":11,"version":1,"leader_epoch":0,"isr":[11,12]}"#;
    let both = vec![
        writes::set("/brokers/topics/t", home.as_bytes(), writes::ANY),
        writes::set(STATE, state, writes::ANY),
    ];
    in_time(client.multi(both)).await.unwrap();
    node.until(|image| image.partition("t", 0).unwrap().isr().len() == 2).await;
    in_time(node.broker.clone().stop()).await;
    let (json, handed_over) = client.get(STATE).unwrap();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"controller_epoch":1,"leader":12,"version":1,"leader_epoch":1,"isr":[12]}"#
    );
    // Its registration was there until then.
    assert!(client.get("/brokers/ids/11").is_none());
    let (_, ids) = client.get("/brokers/ids").unwrap();
    assert!(handed_over.mzxid < ids.pzxid, "{} {}", handed_over.mzxid, ids.pzxid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_takes_its_records_along_and_is_handed_over() {
    let nodes = Node::start_three(&[]).await;
    let mut first = nodes[0].connect().await;
    create(&mut first, &[11]).await;
    let mut expected = Vec::new();
    for number in 0..20_i64 {
        let value = format!("value {number}").into_bytes();
        let response = first.ask(&produce("t", -1, Some(batch(&value))), 9).await;
        assert_eq!(outcome(&response), (0, number));
        expected.push(value);
    }
    assert_eq!(reassign(&mut first, "t", Some(&[13, 12])).await, (0, None));
    let settled = |image: &polyport_kafka::metadata::image::Image| {
        let partition = image.partition("t", 0).unwrap();
        partition.reassigning.is_none()
            && partition.replicas[..] == [13, 12]
            && partition.leader() == Some(13)
            && partition.isr().len() == 2
    };
    for node in &nodes {
        node.until(settled).await;
    }
    let [one, two, three] = nodes;
    // The image is there before the partition has followed it.
    let mut third = three.connect().await;
    let response = in_time(async {
        loop {
            let response = third.ask(&fetch("t", 0), 11).await;
            if response.responses[0].partitions[0].error_code == 0 {
                return response;
            }
        }
    });
    assert_eq!(values(&response.await), expected);
    in_time(three.broker.clone().stop()).await;
    let mut second = two.connect().await;
    let began = std::time::Instant::now();
    let acknowledged = in_time(async {
        loop {
            let response = second.ask(&produce("t", -1, Some(batch(b"after"))), 9).await;
            if let (0, offset) = outcome(&response) {
                return offset;
            }
        }
    });
    assert_eq!(acknowledged.await, 20);
    println!("acknowledged {:?} after the stop", began.elapsed());
    let image = two.broker.image();
    let partition = image.partition("t", 0).unwrap();
    assert_eq!((partition.leader(), partition.isr()), (Some(12), &[12][..]));
    two.stop().await;
    one.stop().await;
}
