//! Clients beyond their quotas wait, and lose nothing.

use std::time::{Duration, Instant};

use polyport_kafka_codec::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use polyport_kafka_codec::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest, FetchRequest,
};

use super::node::{Connection, Node, in_time};
use super::records::{batch, create, fetch, outcome, produce, values};

/// Sets a quota of all clients without one of their own, and waits until it is in force.
async fn limit(connection: &mut Connection, key: &str, value: f64) {
    let entity = EntityData { entity_type: "client-id".to_owned(), entity_name: None };
    let op = OpData { key: key.to_owned(), value, remove: false };
    let entry = EntryData { entity: vec![entity], ops: vec![op] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    let answer = connection.ask(&request, 1).await;
    assert_eq!(answer.entries[0].error_code, 0, "{answer:?}");
    let is_set = async {
        loop {
            let answer = connection.ask(&DescribeClientQuotasRequest::default(), 1).await;
            let entries = answer.entries.unwrap_or_default();
            let of = |entry: &polyport_kafka_codec::messages::describe_client_quotas_response::EntryData| {
                entry.values.iter().any(|it| it.key == key && it.value == value)
            };
            if entries.iter().any(of) {
                return;
            }
        }
    };
    in_time(is_set).await;
}

#[tokio::test]
async fn a_producer_beyond_its_rate_is_answered_at_once_and_then_not_listened_to() {
    let node = Node::start().await;
    let (mut producer, mut other) = (node.connect().await, node.connect().await);
    create(&mut producer, "t").await;
    limit(&mut producer, "producer_byte_rate", 10_000.0).await;
    // Ten seconds' worth are free, and what comes before the quota has reached the broker's other half.
    for number in 0..1000 {
        let from = Instant::now();
        let answer = producer.ask(&produce("t", 1, Some(batch(&[7; 60_000]))), 9).await;
        assert_eq!(outcome(&answer), (0, number), "nothing is lost");
        if answer.throttle_time_ms > 0 {
            let throttle = Duration::from_millis(answer.throttle_time_ms as u64);
            assert!(from.elapsed() < throttle, "it is answered at once");
            other.ask(&ApiVersionsRequest::default(), 0).await;
            assert!(from.elapsed() < throttle, "others are listened to");
            producer.ask(&ApiVersionsRequest::default(), 0).await;
            assert!(from.elapsed() >= throttle, "it is not");
            node.stop().await;
            return;
        }
    }
    panic!("no request was throttled");
}

#[tokio::test]
async fn a_consumer_beyond_its_rate_is_sent_nothing_and_then_everything() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    for _ in 0..3 {
        connection.ask(&produce("t", 1, Some(batch(&[7; 40_000]))), 9).await;
    }
    limit(&mut connection, "consumer_byte_rate", 10_000.0).await;
    let mut next = 0;
    let mut throttled = 0;
    in_time(async {
        while next < 3 {
            let request = FetchRequest { max_bytes: 40_000, ..fetch("t", next) };
            let answer = connection.ask(&request, 11).await;
            if answer.throttle_time_ms > 0 {
                assert!(answer.responses.is_empty(), "what is throttled is not sent");
                throttled += 1;
                continue;
            }
            next += values(&answer).len() as i64;
        }
    })
    .await;
    assert!(throttled > 0, "120 kB at 10 kB a second");
    node.stop().await;
}
