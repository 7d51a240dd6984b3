//! Many topics of one request.

use polyport_kafka_codec::messages::create_topics_request::CreatableTopic;
use polyport_kafka_codec::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use polyport_kafka_codec::messages::{CreateTopicsRequest, ListOffsetsRequest};

use crate::node::Node;

const TOPICS: i32 = 10;
const PARTITIONS: i32 = 40;

/// Topics and partitions of each; another number to look how long it takes.
fn sizes() -> (i32, i32) {
    let text = std::env::var("POLYPORT_TEST_TOPICS").ok();
    let pair = text.as_deref().and_then(|text| text.split_once('x'));
    let read = pair
        .and_then(|(topics, partitions)| Some((topics.parse().ok()?, partitions.parse().ok()?)));
    read.unwrap_or((TOPICS, PARTITIONS))
}

#[tokio::test]
async fn topics_of_one_request_answer_when_their_creator_is_told() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    let (topics, partitions) = sizes();
    let topic = |name: String, replication_factor| CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor,
        ..Default::default()
    };
    let mut wanted: Vec<_> = (0..topics).map(|number| topic(format!("t{number}"), 1)).collect();
    // Some that cannot be do not hold the others up.
    wanted.insert(1, topic("too-many".to_owned(), 30));
    wanted.extend([topic("twice".to_owned(), 1), topic("twice".to_owned(), 1)]);
    let request = CreateTopicsRequest { topics: wanted, timeout_ms: 60_000, validate_only: false };
    let began = std::time::Instant::now();
    let created = connection.ask(&request, 7).await;
    println!("{topics} topics of {partitions} partitions: {:?}", began.elapsed());
    let outcomes = created.topics.iter().map(|it| (it.name.as_str(), it.error_code));
    let mut outcomes: Vec<_> = outcomes.collect();
    assert_eq!(outcomes.pop(), Some(("twice", 42)));
    assert_eq!(outcomes.remove(1), ("too-many", 38));
    assert!(outcomes.iter().all(|(_, code)| *code == 0), "{outcomes:?}");
    assert_eq!(outcomes.len(), topics as usize);
    let end = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    };
    let topics = (0..topics).map(|number| ListOffsetsTopic {
        name: format!("t{number}"),
        partitions: (0..partitions).map(end).collect(),
    });
    let request =
        ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() };
    let ends = connection.ask(&request, 7).await;
    for topic in ends.topics {
        assert!(topic.partitions.iter().all(|it| (it.error_code, it.offset) == (0, 0)));
    }
    node.stop().await;
}
