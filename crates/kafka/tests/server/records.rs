//! Records in and out.

use bytes::BytesMut;
use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_topics_request::CreatableTopic;
use polyport_kafka_codec::messages::fetch_request::{FetchPartition, FetchTopic};
use polyport_kafka_codec::messages::produce_request::{PartitionProduceData, TopicProduceData};
use polyport_kafka_codec::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse,
};
use polyport_log::batch::{Batch, BatchBuilder};
use tokio::io::AsyncWriteExt;

use super::node::{Connection, Node, in_time};

/// A batch of one record with this value.
pub fn batch(value: &[u8]) -> BytesMut {
    let mut builder = BatchBuilder::new(0);
    builder.push(1_700_000_000_000, None, Some(value));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

pub fn produce(topic: &str, acks: i16, records: Option<BytesMut>) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index: 0, records }];
    let topic_data = vec![TopicProduceData { name: topic.to_owned(), partition_data }];
    ProduceRequest { transactional_id: None, acks, timeout_ms: 10_000, topic_data }
}

pub fn fetch(topic: &str, offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 20_000,
        min_bytes: 1,
        max_bytes: 10 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

pub async fn create(connection: &mut Connection, topic: &str) {
    let topic = CreatableTopic {
        name: topic.to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 20_000, ..Default::default() };
    let response = connection.ask(&request, 5).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

pub fn outcome(response: &ProduceResponse) -> (i16, i64) {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

/// Values of a partition's records.
pub fn values(response: &FetchResponse) -> Vec<Vec<u8>> {
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let records = partition.records.as_ref().unwrap().bytes().unwrap().clone();
    let mut rest = &records[..];
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (batch, after) = Batch::split_first(rest).unwrap();
        batch.check_crc().unwrap();
        let mut room = Vec::new();
        let mut records = batch.records(&mut room, 1 << 20).unwrap();
        while let Some(record) = records.next().transpose().unwrap() {
            values.push(record.value.unwrap().to_vec());
        }
        rest = after;
    }
    values
}

#[tokio::test]
async fn what_was_produced_is_fetched() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    // Large enough to be sent from the file.
    let large = vec![7; 200_000];
    for (at, value) in [&b"a"[..], b"b", &large].into_iter().enumerate() {
        let response = connection.ask(&produce("t", -1, Some(batch(value))), 9).await;
        assert_eq!(outcome(&response), (0, at as i64));
    }
    let response = connection.ask(&fetch("t", 0), 11).await;
    assert_eq!(values(&response), [b"a".to_vec(), b"b".to_vec(), large]);
    let response = connection.ask(&fetch("t", 9), 11).await;
    let code = response.responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::OffsetOutOfRange.code());
    node.stop().await;
}

#[tokio::test]
async fn no_fetch_is_answered_with_more_than_the_broker_allows() {
    let node = Node::start_with(&[("fetch.max.bytes", "1500")]).await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    for number in 0..2 {
        connection.ask(&produce("t", 1, Some(batch(&[number; 1000]))), 9).await;
    }
    let response = connection.ask(&fetch("t", 0), 11).await;
    assert_eq!(values(&response), [[0; 1000]]);
    node.stop().await;
}

#[tokio::test]
async fn a_fetch_waits_until_there_is_something() {
    let node = Node::start().await;
    let (mut consumer, mut producer) = (node.connect().await, node.connect().await);
    create(&mut producer, "t").await;
    consumer.send(&fetch("t", 0), 11).await;
    producer.ask(&produce("t", 1, Some(batch(b"late"))), 9).await;
    let (_, response) = consumer.receive::<FetchRequest>(11).await.unwrap();
    assert_eq!(values(&response), [b"late".to_vec()]);
    node.stop().await;
}

#[tokio::test]
async fn requests_that_are_sent_at_once_are_answered_in_order() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    let mut sent = Vec::new();
    for number in 0..20u8 {
        let acks = if number % 2 == 0 { 1 } else { -1 };
        sent.push(connection.send(&produce("t", acks, Some(batch(&[number]))), 9).await);
        // Nothing answers this one.
        connection.send(&produce("t", 0, Some(batch(b"unacknowledged"))), 9).await;
    }
    for (at, id) in sent.into_iter().enumerate() {
        let (answered, response) = connection.receive::<ProduceRequest>(9).await.unwrap();
        assert_eq!((answered, outcome(&response)), (id, (0, 2 * at as i64)));
    }
    node.stop().await;
}

#[tokio::test]
async fn records_that_cannot_be_are_refused_with_kafkas_code() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    let mut torn = batch(b"x");
    let last = torn.len() - 1;
    torn[last] ^= 1;
    let code = |response: &ProduceResponse| ErrorCode::from_code(outcome(response).0).unwrap();
    let mut ask = async |topic: &str, acks, records| {
        code(&connection.ask(&produce(topic, acks, records), 9).await)
    };
    assert_eq!(ask("t", 1, Some(torn)).await, ErrorCode::CorruptMessage);
    assert_eq!(ask("t", 1, None).await, ErrorCode::InvalidRecord);
    assert_eq!(ask("t", 1, Some(batch(&vec![0; 2 << 20]))).await, ErrorCode::MessageTooLarge);
    assert_eq!(ask("t", 2, Some(batch(b"x"))).await, ErrorCode::InvalidRequiredAcks);
    assert_eq!(ask("u", 1, Some(batch(b"x"))).await, ErrorCode::UnknownTopicOrPartition);
    let two = [batch(b"x"), batch(b"y")].concat();
    let two = BytesMut::from(&two[..]);
    assert_eq!(ask("t", 1, Some(two)).await, ErrorCode::InvalidRecord);
    assert_eq!(ask("t", 1, Some(batch(b"x"))).await, ErrorCode::None);
    // Without acknowledgements a failure closes the connection.
    connection.send(&produce("u", 0, Some(batch(b"x"))), 9).await;
    assert!(connection.receive::<ProduceRequest>(9).await.is_none());
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_request_closes_that_connection_and_nothing_else() {
    let node = Node::start().await;
    let mut other = node.connect().await;
    create(&mut other, "t").await;
    let bad: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 2, 0, 1],
        // An API that does not exist, and a version that does not.
        &[0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        &[0, 0, 0, 10, 0, 3, 0x7f, 0, 0, 0, 0, 1, 0, 0],
    ];
    for bytes in bad {
        let mut connection = node.connect().await;
        in_time(connection.stream.write_all(bytes)).await.unwrap();
        assert!(connection.receive::<FetchRequest>(4).await.is_none(), "{bytes:?}");
    }
    let response = other.ask(&produce("t", 1, Some(batch(b"x"))), 9).await;
    assert_eq!(outcome(&response), (0, 0));
    node.stop().await;
}
