//! Transactions as brokers and operators see them: what is verified, and markers from outside.

use bytes::BytesMut;
use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use polyport_kafka_codec::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic,
};
use polyport_kafka_codec::messages::fetch_request::FetchPartition;
use polyport_kafka_codec::messages::produce_request::{PartitionProduceData, TopicProduceData};
use polyport_kafka_codec::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use polyport_kafka_codec::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use polyport_kafka_codec::messages::{
    AddPartitionsToTxnRequest, CreateTopicsRequest, EndTxnRequest, FetchRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest, TxnOffsetCommitRequest,
    WriteTxnMarkersRequest,
};
use polyport_log::batch::{Attributes, BatchBuilder};

use super::node::{Connection, Node, in_time};
use super::records::{create, fetch};

/// A transactional id's producer.
#[derive(Clone, Copy)]
struct Producer {
    id: i64,
    epoch: i16,
}

/// Its next batch of one record.
fn batch(producer: Producer, sequence: i32) -> BytesMut {
    let attributes = Attributes::default().with_transactional(true);
    let builder = BatchBuilder::new(0).attributes(attributes);
    let mut builder = builder.producer(producer.id, producer.epoch, sequence);
    builder.push(1_700_000_000_000, None, Some(b"x"));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

fn topics() -> Vec<AddPartitionsToTxnTopic> {
    vec![AddPartitionsToTxnTopic { name: "t".to_owned(), partitions: vec![0] }]
}

impl Connection {
    async fn find_coordinator(&mut self, id: &str) {
        let find = FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec![id.to_owned()],
            ..Default::default()
        };
        self.ask(&find, 4).await;
    }

    async fn begin(&mut self, id: &str) -> Producer {
        let init = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        loop {
            self.find_coordinator(id).await;
            let made = self.ask(&init, 4).await;
            match ErrorCode::from_code(made.error_code).unwrap() {
                ErrorCode::None => {
                    return Producer { id: made.producer_id, epoch: made.producer_epoch };
                }
                ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::ConcurrentTransactions => tokio::task::yield_now().await,
                code => panic!("{code:?}"),
            }
        }
    }

    async fn add(&mut self, id: &str, producer: Producer) -> i16 {
        self.add_all(id, producer, vec![0]).await[0]
    }

    async fn add_all(&mut self, id: &str, producer: Producer, partitions: Vec<i32>) -> Vec<i16> {
        let topic = AddPartitionsToTxnTopic { name: "t".to_owned(), partitions };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.to_owned(),
            v3_and_below_producer_id: producer.id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let answer = self.ask(&request, 3).await;
        let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
        results.iter().map(|found| found.partition_error_code).collect()
    }

    async fn send_batch(&mut self, id: Option<&str>, records: BytesMut, version: i16) -> ErrorCode {
        self.send_to(0, id, records, version).await
    }

    async fn send_to(
        &mut self,
        index: i32,
        id: Option<&str>,
        records: BytesMut,
        version: i16,
    ) -> ErrorCode {
        let partition_data = vec![PartitionProduceData { index, records: Some(records) }];
        let topic_data = vec![TopicProduceData { name: "t".to_owned(), partition_data }];
        let transactional_id = id.map(str::to_owned);
        let request = ProduceRequest { transactional_id, acks: -1, timeout_ms: 10_000, topic_data };
        let answer = self.ask(&request, version).await;
        ErrorCode::from_code(answer.responses[0].partition_responses[0].error_code).unwrap()
    }

    async fn mark(&mut self, producer: Producer, commit: bool, topic: &str) -> ErrorCode {
        let marker = WritableTxnMarker {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            transaction_result: commit,
            topics: vec![WritableTxnMarkerTopic {
                name: topic.to_owned(),
                partition_indexes: vec![0],
            }],
            coordinator_epoch: 0,
        };
        let answer = self.ask(&WriteTxnMarkersRequest { markers: vec![marker] }, 1).await;
        assert_eq!(answer.markers[0].producer_id, producer.id);
        ErrorCode::from_code(answer.markers[0].topics[0].partitions[0].error_code).unwrap()
    }

    async fn end(&mut self, id: &str, producer: Producer, committed: bool) -> ErrorCode {
        let request = EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed,
        };
        ErrorCode::from_code(self.ask(&request, 3).await.error_code).unwrap()
    }

    /// The last stable offset of the topic.
    async fn last_stable(&mut self) -> i64 {
        self.last_stable_of(0).await
    }

    async fn last_stable_of(&mut self, partition: i32) -> i64 {
        let mut request = fetch("t", 0);
        request.max_wait_ms = 0;
        request.topics[0].partitions = vec![FetchPartition {
            partition,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        }];
        let answer = self.ask::<FetchRequest>(&request, 11).await;
        answer.responses[0].partitions[0].last_stable_offset
    }
}

#[tokio::test]
async fn a_transactions_records_are_refused_unless_the_partition_was_added() {
    let node = Node::start().await;
    let mut c = node.connect().await;
    create(&mut c, "t").await;
    let producer = c.begin("x").await;
    let first = || batch(producer, 0);
    assert_eq!(c.send_batch(Some("x"), first(), 10).await, ErrorCode::InvalidTxnState);
    assert_eq!(c.send_batch(Some("x"), first(), 11).await, ErrorCode::TransactionAbortable);
    let nobodys = c.send_batch(None, first(), 11).await;
    assert_eq!(nobodys, ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(
        c.send_batch(Some("y"), first(), 11).await,
        ErrorCode::InvalidProducerIdMapping,
        "another's id"
    );
    let fenced = Producer { epoch: producer.epoch - 1, ..producer };
    assert_eq!(
        c.send_batch(Some("x"), batch(fenced, 0), 11).await,
        ErrorCode::InvalidProducerEpoch
    );
    assert_eq!(c.add("x", producer).await, 0);
    assert_eq!(c.send_batch(Some("x"), first(), 11).await, ErrorCode::None);
    // The transaction has begun here: nobody is asked, as the wrong id shows.
    assert_eq!(c.send_batch(Some("y"), batch(producer, 1), 11).await, ErrorCode::None);
    assert_eq!(c.end("x", producer, true).await, ErrorCode::None);
    // And this is the next one.
    assert_eq!(
        c.send_batch(Some("x"), batch(producer, 2), 11).await,
        ErrorCode::TransactionAbortable
    );
    node.stop().await;
}

#[tokio::test]
async fn two_producers_in_one_request_are_none() {
    let node = Node::start().await;
    let mut c = node.connect().await;
    create(&mut c, "t").await;
    let (one, other) = (c.begin("x").await, c.begin("y").await);
    let data = |index, producer| PartitionProduceData { index, records: Some(batch(producer, 0)) };
    let topic = TopicProduceData {
        name: "t".to_owned(),
        partition_data: vec![data(0, one), data(0, other)],
    };
    let request = ProduceRequest {
        transactional_id: Some("x".to_owned()),
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![topic],
    };
    let answer = c.ask(&request, 11).await;
    for partition in &answer.responses[0].partition_responses {
        assert_eq!(partition.error_code, ErrorCode::InvalidProducerIdMapping.code());
    }
    node.stop().await;
}

#[tokio::test]
async fn offsets_are_refused_unless_they_were_added_to_the_transaction() {
    let node = Node::start().await;
    let mut c = node.connect().await;
    create(&mut c, "t").await;
    let producer = c.begin("x").await;
    let find = FindCoordinatorRequest {
        key_type: 0,
        coordinator_keys: vec!["g".to_owned()],
        ..Default::default()
    };
    c.ask(&find, 4).await;
    let partition = TxnOffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
    let request = TxnOffsetCommitRequest {
        transactional_id: "x".to_owned(),
        group_id: "g".to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition],
        }],
        ..Default::default()
    };
    let code = |answer: polyport_kafka_codec::messages::TxnOffsetCommitResponse| {
        ErrorCode::from_code(answer.topics[0].partitions[0].error_code).unwrap()
    };
    let mut refused = code(c.ask(&request, 3).await);
    while refused == ErrorCode::NotCoordinator || refused == ErrorCode::CoordinatorLoadInProgress {
        c.ask(&find, 4).await;
        refused = code(c.ask(&request, 3).await);
    }
    assert_eq!(refused, ErrorCode::InvalidTxnState);
    assert_eq!(code(c.ask(&request, 4).await), ErrorCode::TransactionAbortable);
    let add = polyport_kafka_codec::messages::AddOffsetsToTxnRequest {
        transactional_id: "x".to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: "g".to_owned(),
    };
    assert_eq!(c.ask(&add, 3).await.error_code, 0);
    assert_eq!(code(c.ask(&request, 4).await), ErrorCode::None);
    assert_eq!(c.end("x", producer, true).await, ErrorCode::None);
    node.stop().await;
}

#[tokio::test]
async fn brokers_verify_many_transactions_at_once() {
    let node = Node::start().await;
    let mut c = node.connect().await;
    create(&mut c, "t").await;
    let (one, other) = (c.begin("x").await, c.begin("y").await);
    assert_eq!(c.add("x", one).await, 0);
    let transaction = |id: &str, producer: Producer, topics| AddPartitionsToTxnTransaction {
        transactional_id: id.to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        verify_only: true,
        topics,
    };
    let gone = vec![AddPartitionsToTxnTopic { name: "not.there".to_owned(), partitions: vec![0] }];
    let both = [topics(), gone].concat();
    let transactions = vec![
        transaction("x", one, topics()),
        transaction("y", other, topics()),
        transaction("x", other, topics()),
        transaction("x", one, both),
    ];
    let request = AddPartitionsToTxnRequest { transactions, ..Default::default() };
    let answer = c.ask(&request, 4).await;
    let codes: Vec<Vec<_>> = answer
        .results_by_transaction
        .iter()
        .map(|transaction| {
            let topics = transaction.topic_results.iter();
            let partitions = topics.flat_map(|topic| &topic.results_by_partition);
            partitions
                .map(|found| ErrorCode::from_code(found.partition_error_code).unwrap())
                .collect()
        })
        .collect();
    assert_eq!(
        codes,
        [
            vec![ErrorCode::None],
            vec![ErrorCode::TransactionAbortable],
            vec![ErrorCode::InvalidProducerIdMapping],
            vec![ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition],
        ]
    );
    node.stop().await;
}

#[tokio::test]
async fn a_marker_from_outside_ends_a_transaction() {
    let node = Node::start().await;
    let mut c = node.connect().await;
    create(&mut c, "t").await;
    let producer = c.begin("x").await;
    assert_eq!(c.add("x", producer).await, 0);
    assert_eq!(c.send_batch(Some("x"), batch(producer, 0), 11).await, ErrorCode::None);
    assert_eq!(c.last_stable().await, 0);
    let old = Producer { epoch: producer.epoch - 1, ..producer };
    assert_eq!(c.mark(old, false, "t").await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(c.mark(producer, false, "not.there").await, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(c.last_stable().await, 0);
    assert_eq!(c.mark(producer, false, "t").await, ErrorCode::None);
    assert_eq!(c.last_stable().await, 2);
    node.stop().await;
}

/// A topic of three partitions, each led by another broker.
async fn spread(c: &mut Connection) {
    let assignments = [[11, 12, 13], [12, 13, 11], [13, 11, 12]].into_iter().enumerate();
    let assignments = assignments.map(|(at, brokers)| CreatableReplicaAssignment {
        partition_index: at as i32,
        broker_ids: brokers.to_vec(),
    });
    let topic = CreatableTopic {
        name: "t".to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.collect(),
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 20_000, ..Default::default() };
    let answer = c.ask(&request, 5).await;
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_over_three_brokers_is_verified_and_ends_on_all() {
    let nodes = Node::start_three(&[("transaction.state.log.num.partitions", "1")]).await;
    let mut lines = Vec::new();
    for node in &nodes {
        lines.push(node.connect().await);
    }
    spread(&mut lines[0]).await;
    let led = |image: &polyport_kafka::metadata::image::Image| {
        (0..3).all(|number| {
            let found = image.partition("t", number);
            found.is_some_and(|found| found.leader() == Some(11 + number))
        })
    };
    for node in &nodes {
        node.until(led).await;
    }
    // Whoever coordinates, two of the three partitions are led elsewhere.
    lines[0].find_coordinator("x").await;
    let state = |image: &polyport_kafka::metadata::image::Image| {
        image.partition("__transaction_state", 0).is_some_and(|found| found.leader().is_some())
    };
    let coordinator = nodes[0].until(state).await;
    let coordinator = coordinator.partition("__transaction_state", 0).unwrap().leader().unwrap();
    let coordinator = (coordinator - 11) as usize;
    let producer = lines[coordinator].begin("x").await;
    for (number, line) in lines.iter_mut().enumerate() {
        let number = number as i32;
        let refused = line.send_to(number, Some("x"), batch(producer, 0), 11).await;
        assert_eq!(refused, ErrorCode::TransactionAbortable, "{number}");
    }
    assert_eq!(lines[coordinator].add_all("x", producer, vec![0, 1, 2]).await, [0, 0, 0]);
    for (number, line) in lines.iter_mut().enumerate() {
        let number = number as i32;
        let sent = line.send_to(number, Some("x"), batch(producer, 0), 11).await;
        assert_eq!(sent, ErrorCode::None, "{number}");
        assert_eq!(line.last_stable_of(number).await, 0, "{number}");
    }
    assert_eq!(lines[coordinator].end("x", producer, true).await, ErrorCode::None);
    in_time(async {
        for (number, line) in lines.iter_mut().enumerate() {
            while line.last_stable_of(number as i32).await < 2 {}
        }
    })
    .await;
}
