//! The numbers of the metrics page, of a broker that clients have used; and that the documentation and
//! the alert rules speak of numbers that there are.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

mod names;
mod node;

use std::time::Duration;

use bytes::BytesMut;
use polyport_kafka_codec::messages::fetch_request::{FetchPartition, FetchTopic};
use polyport_kafka_codec::messages::metadata_request::MetadataRequestTopic;
use polyport_kafka_codec::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use polyport_kafka_codec::messages::produce_request::{PartitionProduceData, TopicProduceData};
use polyport_kafka_codec::messages::{
    FetchRequest, FindCoordinatorRequest, MetadataRequest, OffsetCommitRequest, ProduceRequest,
};
use polyport_log::batch::BatchBuilder;

use node::{Client, Node, until};

const TOPIC: &str = "orders";

/// Makes the topic, and returns when it can be written.
async fn make_topic(client: &mut Client) {
    let name = Some(TOPIC.to_owned());
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name, ..Default::default() }]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    until("the topic", async || {
        let answer = client.ask(&request, 9).await;
        let topic = &answer.topics[0];
        topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.leader_id == 1)
    })
    .await;
}

fn batch(records: usize) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0);
    for _ in 0..records {
        batch.push(1_700_000_000_000, None, Some(b"value"));
    }
    let mut bytes = Vec::new();
    batch.build(None, &mut bytes).unwrap();
    bytes
}

/// The error's code.
async fn produce(client: &mut Client, topic: &str, records: &[u8], acks: i16) -> i16 {
    let data = PartitionProduceData { index: 0, records: Some(BytesMut::from(records)) };
    let request = ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData { name: topic.to_owned(), partition_data: vec![data] }],
        ..Default::default()
    };
    client.ask(&request, 9).await.responses[0].partition_responses[0].error_code
}

fn fetch(offset: i64, max_wait_ms: i32, session_epoch: i32) -> FetchRequest {
    let partition =
        FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic =
        FetchTopic { topic: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        session_epoch,
        topics: vec![topic],
        ..Default::default()
    }
}

async fn commit(client: &mut Client, group: &str, offset: i64) {
    let key = group.to_owned();
    client.ask(&FindCoordinatorRequest { key, ..Default::default() }, 2).await;
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: TOPIC.to_owned(), partitions: vec![partition] };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    until("the commit", async || {
        client.ask(&request, 7).await.topics[0].partitions[0].error_code == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_do_is_on_the_page() {
    let node = Node::start("observe-clients").await;
    let mut client = node.client().await;
    make_topic(&mut client).await;
    let records = batch(5);
    assert_eq!(produce(&mut client, TOPIC, &records, 1).await, 0);
    assert_eq!(produce(&mut client, TOPIC, &records, -1).await, 0);
    // Refused: an unheard-of topic is everyday life, unheard-of acks are not.
    assert_ne!(produce(&mut client, "nowhere", &records, 1).await, 0);
    assert_ne!(produce(&mut client, TOPIC, &records, 5).await, 0);
    let read = client.ask(&fetch(0, 0, 0), 11).await;
    let bytes_out = read.responses[0].partitions[0].records.as_ref().unwrap().len();
    commit(&mut client, "billing", 4).await;

    let page = node.page();
    let of_topic = |name: &str| page.number(&format!("kafka_server_brokertopicmetrics_{name}"));
    let bytes = records.len() as f64;
    for labels in ["", "{topic=\"orders\"}"] {
        assert_eq!(of_topic(&format!("messagesin_total{labels}")), 10.0);
        assert_eq!(of_topic(&format!("bytesin_total{labels}")), 2.0 * bytes);
        assert_eq!(of_topic(&format!("bytesout_total{labels}")), bytes_out as f64);
        assert_eq!(of_topic(&format!("failedproducerequests_total{labels}")), 1.0);
        assert_eq!(of_topic(&format!("failedfetchrequests_total{labels}")), 0.0);
    }
    assert_eq!(bytes_out, 2 * records.len());
    assert_eq!(of_topic("bytesrejected_total"), 2.0 * bytes);
    assert_eq!(of_topic("totalproducerequests_total{topic=\"orders\"}"), 3.0);
    assert!(!page.has("nowhere"), "a name that a client thought of");
    let requests = "kafka_network_requestmetrics_requests_total";
    assert_eq!(page.number(&format!("{requests}{{request=\"Produce\"}}")), 4.0);
    assert_eq!(page.number(&format!("{requests}{{request=\"FetchConsumer\"}}")), 1.0);
    let sessions = "kafka_server_fetchsessioncache_numincrementalfetchsessions";
    assert_eq!(page.number(sessions), 1.0);
    assert_eq!(page.number("kafka_server_socket_server_metrics_connection_count"), 1.0);

    let place = "topic=\"orders\",partition=\"0\"";
    assert_eq!(page.number(&format!("kafka_log_log_logendoffset{{{place}}}")), 10.0);
    assert_eq!(page.number(&format!("kafka_log_log_size{{{place}}}")), 2.0 * bytes);
    assert_eq!(page.number(&format!("kafka_topic_partition_current_offset{{{place}}}")), 10.0);
    let group = format!("{{consumergroup=\"billing\",{place}}}");
    assert_eq!(page.number(&format!("kafka_consumergroup_current_offset{group}")), 4.0);
    assert_eq!(page.number(&format!("kafka_consumergroup_lag{group}")), 6.0);
    let sum = "kafka_consumergroup_lag_sum{consumergroup=\"billing\",topic=\"orders\"}";
    assert_eq!(page.number(sum), 6.0);
    assert_eq!(page.number("kafka_coordinator_group_groupmetadatamanager_numgroups"), 1.0);
    assert_eq!(page.number("kafka_coordinator_group_groupmetadatamanager_numgroupsempty"), 1.0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_is_its_own_controller_and_has_all_replicas() {
    let node = Node::start("observe-controller").await;
    let mut client = node.client().await;
    make_topic(&mut client).await;
    until("two partitions that are led", async || {
        node.page().number("kafka_server_replicamanager_leadercount") == 2.0
    })
    .await;
    let page = node.page();
    for (name, number) in [
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_globalpartitioncount", 2.0),
        ("kafka_controller_kafkacontroller_globaltopiccount", 1.0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0.0),
        ("kafka_controller_kafkacontroller_activebrokercount", 1.0),
        ("kafka_topic_partitions{topic=\"orders\"}", 2.0),
        ("kafka_server_replicamanager_partitioncount", 2.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_server_replicamanager_underminisrpartitioncount", 0.0),
        ("kafka_server_replicamanager_offlinereplicacount", 0.0),
        ("kafka_log_logmanager_offlinelogdirectorycount", 0.0),
        ("kafka_server_kafkaserver_brokerstate", 3.0),
        ("kafka_brokers", 1.0),
    ] {
        assert_eq!(page.number(name), number, "{name}");
    }
    assert!(page.number("polyport_kafka_io_threads") >= 1.0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_is_not_work() {
    const WAIT_MS: i32 = 400;
    let node = Node::start("observe-times").await;
    let mut client = node.client().await;
    make_topic(&mut client).await;
    let waiting =
        "kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"Fetch\"}";
    let request = fetch(0, WAIT_MS, -1);
    let asked = client.ask(&request, 11);
    let seen = until("a fetch that waits", async || node.page().number(waiting) == 1.0);
    tokio::join!(asked, seen);
    let page = node.page();
    assert_eq!(page.number(waiting), 0.0);
    let sum = |name: &str| {
        page.number(&format!("kafka_network_requestmetrics_{name}_sum{{request=\"Fetch\"}}"))
    };
    let (total, local) = (sum("totaltimems"), sum("localtimems"));
    assert!(total >= f64::from(WAIT_MS), "{total}");
    assert!(local <= total - f64::from(WAIT_MS) * 0.9, "{local} of {total}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_that_is_spoken_of_is_there() {
    let node = Node::start("observe-names").await;
    let mut client = node.client().await;
    make_topic(&mut client).await;
    assert_eq!(produce(&mut client, TOPIC, &batch(1), 1).await, 0);
    commit(&mut client, "g", 0).await;
    names::check(&node.broker.metrics());
    node.stop().await;
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
