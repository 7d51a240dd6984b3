//! The client against a broker that says what a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use polyport_kafka_codec::header::RequestHeader;
use polyport_kafka_codec::messages::*;
use polyport_kafka_codec::{ApiKey, Message, Reader, Records, Response, frame};
use polyport_log::batch::{Batch, BatchBuilder};

use super::admin::{Admin, NewTopic};
use super::consumer::{Consumer, ConsumerConfig, Subscription};
use super::producer::{self, Outcome, ProducerConfig, Record};
use super::{ClientError, Properties};
use crate::zk_cli::Console;

const UNSUPPORTED_VERSION: i16 = 35;
const NOT_CONTROLLER: i16 = 41;
const NOT_LEADER: i16 = 6;
const MEMBER_ID_REQUIRED: i16 = 79;

/// Answers a request with a frame.
type Answer = dyn FnMut(&RequestHeader, &mut Reader) -> Vec<u8> + Send;

fn console() -> Console {
    Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()))
}

/// A broker on a port of its own that answers all its connections through one function; it ends
/// with the test's process.
fn broker(answer: impl FnMut(&RequestHeader, &mut Reader) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream.unwrap(), &answer));
        }
    });
    port
}

/// Serves a connection until the client closes it.
fn serve(mut stream: TcpStream, answer: &Mutex<Answer>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let mut reader = Reader::new(BytesMut::from(request.as_slice()));
        let header = RequestHeader::decode(&mut reader).unwrap();
        let frame = (answer.lock())(&header, &mut reader);
        stream.write_all(&frame).unwrap();
    }
}

fn with<R: Response>(header: &RequestHeader, response: &R) -> Vec<u8> {
    let mut frame = Vec::new();
    let (version, correlation) = (header.api_version, header.correlation_id);
    frame::encode_response(&mut frame, response, version, correlation).unwrap();
    frame
}

fn versions(header: &RequestHeader) -> Vec<u8> {
    let api = |api: &ApiKey| api_versions_response::ApiVersion {
        api_key: api.code(),
        min_version: api.info().first_version,
        max_version: api.info().last_version,
    };
    let api_keys = ApiKey::ALL.iter().map(api).collect();
    with(header, &ApiVersionsResponse { api_keys, ..Default::default() })
}

/// One broker, which is the controller and leads the only partition of the topic `t`.
fn metadata(header: &RequestHeader, port: u16) -> Vec<u8> {
    let broker = metadata_response::MetadataResponseBroker {
        node_id: 1,
        host: "127.0.0.1".to_owned(),
        port: i32::from(port),
        rack: None,
    };
    let partition = metadata_response::MetadataResponsePartition {
        leader_id: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    let topic = metadata_response::MetadataResponseTopic {
        name: Some("t".to_owned()),
        partitions: vec![partition],
        ..Default::default()
    };
    let response = MetadataResponse {
        brokers: vec![broker],
        controller_id: 1,
        topics: vec![topic],
        ..Default::default()
    };
    with(header, &response)
}

fn properties(port: u16, more: &[&str]) -> Properties {
    let mut properties = Properties::from_pairs(more);
    properties.set("bootstrap.servers", format!("127.0.0.1:{port}"));
    properties.set("retry.backoff.ms", "1");
    properties
}

/// The port of a broker that is not known before it is there.
fn cell() -> (Arc<Mutex<u16>>, Arc<Mutex<u16>>) {
    let port = Arc::new(Mutex::new(0));
    (Arc::clone(&port), port)
}

#[test]
fn a_controller_that_moved_is_looked_for_and_asked_again() {
    let (known, shared) = cell();
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let port = broker(move |header, reader| match header.api_key {
        ApiKey::ApiVersions => versions(header),
        ApiKey::Metadata => metadata(header, *shared.lock()),
        _ => {
            let request = CreateTopicsRequest::decode(reader, header.api_version).unwrap();
            assert_eq!(request.topics[0].num_partitions, 3);
            *count.lock() += 1;
            let error_code = if *count.lock() == 1 { NOT_CONTROLLER } else { 0 };
            let name = request.topics[0].name.clone();
            let topic = create_topics_response::CreatableTopicResult {
                name,
                error_code,
                ..Default::default()
            };
            with(header, &CreateTopicsResponse { topics: vec![topic], ..Default::default() })
        }
    });
    *known.lock() = port;
    let console = console();
    let mut admin = Admin::new(properties(port, &[]), &console).unwrap();
    let topic = NewTopic { name: "t".to_owned(), partitions: Some(3), ..NewTopic::default() };
    assert_eq!(admin.create_topic(&topic), Ok(()));
    assert_eq!(*asked.lock(), 2);
}

#[test]
fn a_broker_that_does_not_know_the_version_says_which_it_knows() {
    let port = broker(move |header, _| match (header.api_key, header.api_version) {
        (ApiKey::ApiVersions, 0) => {
            let api = |api_key, max_version| api_versions_response::ApiVersion {
                api_key,
                min_version: 0,
                max_version,
            };
            let api_keys = vec![api(ApiKey::ApiVersions.code(), 0)];
            with(header, &ApiVersionsResponse { api_keys, ..Default::default() })
        }
        _ => {
            // As brokers do: the refusal has the oldest version, whatever was asked.
            let refusal =
                ApiVersionsResponse { error_code: UNSUPPORTED_VERSION, ..Default::default() };
            with(&RequestHeader { api_version: 0, ..header.clone() }, &refusal)
        }
    });
    let console = console();
    let mut admin = Admin::new(properties(port, &[]), &console).unwrap();
    // Connected, but of all it needs the broker has nothing.
    let error = admin.list_topics().unwrap_err();
    assert_eq!(error, ClientError::UnsupportedVersion("The node does not support METADATA".into()));
}

#[test]
fn nobody_there_is_a_timeout_with_the_calls_name() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let console = console();
    let short = ["default.api.timeout.ms=20"];
    let mut admin = Admin::new(properties(port, &short), &console).unwrap();
    let message = "Timed out waiting for a node assignment. Call: listTopics";
    assert_eq!(admin.list_topics().unwrap_err(), ClientError::Timeout(message.to_owned()));
}

/// What a Produce request has: producer, first sequence and number of records.
fn batch_of(reader: &mut Reader, version: i16) -> (i64, i32, i32) {
    let request = ProduceRequest::decode(reader, version).unwrap();
    let bytes = request.topic_data[0].partition_data[0].records.clone().unwrap();
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    batch.check_crc().unwrap();
    let header = batch.header();
    (header.producer_id, header.base_sequence, header.count)
}

#[test]
fn a_batch_that_is_sent_again_keeps_its_sequence() {
    let (known, shared) = cell();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let batches = Arc::clone(&seen);
    let port = broker(move |header, reader| match header.api_key {
        ApiKey::ApiVersions => versions(header),
        ApiKey::Metadata => metadata(header, *shared.lock()),
        ApiKey::InitProducerId => {
            with(header, &InitProducerIdResponse { producer_id: 5, ..Default::default() })
        }
        _ => {
            batches.lock().push(batch_of(reader, header.api_version));
            let error_code = if batches.lock().len() == 1 { NOT_LEADER } else { 0 };
            let partition =
                produce_response::PartitionProduceResponse { error_code, ..Default::default() };
            let topic = produce_response::TopicProduceResponse {
                name: "t".to_owned(),
                partition_responses: vec![partition],
            };
            with(header, &ProduceResponse { responses: vec![topic], ..Default::default() })
        }
    });
    *known.lock() = port;
    let console = console();
    let config = ProducerConfig::new(properties(port, &["linger.ms=60000"])).unwrap();
    let done = Mutex::new(Vec::new());
    let on_done = |tokens: Vec<u32>, outcome: &Outcome| done.lock().push((tokens, outcome.is_ok()));
    producer::with(&config, &console, &on_done, |producer| {
        let record = |value| Record { value: Some(value), ..Record::default() };
        producer.send("t", &record(b"a"), 1).unwrap();
        producer.send("t", &record(b"b"), 2).unwrap();
        producer.flush();
        producer.send("t", &record(b"c"), 3).unwrap();
    });
    assert_eq!(*seen.lock(), [(5, 0, 2), (5, 0, 2), (5, 2, 1)]);
    assert_eq!(*done.lock(), [(vec![1, 2], true), (vec![3], true)]);
}

#[test]
fn a_record_that_is_too_large_comes_back() {
    let config = ProducerConfig::new(properties(1, &["max.request.size=100"])).unwrap();
    let console = console();
    let error = producer::with(&config, &console, &|_: Vec<u32>, _: &Outcome| {}, |producer| {
        let record = Record { value: Some(&[0; 50]), ..Record::default() };
        producer.send("t", &record, 7).unwrap_err()
    });
    assert_eq!(error.1, 7);
    assert_eq!(
        error.0.to_string(),
        "The message is 138 bytes when serialized which is larger than 100, which is the value of \
         the max.request.size configuration."
    );
}

/// What the broker of a group was asked, and what it answers.
fn coordinator(
    header: &RequestHeader,
    reader: &mut Reader,
    port: u16,
    log: &mut Vec<String>,
) -> Vec<u8> {
    let version = header.api_version;
    match header.api_key {
        ApiKey::ApiVersions => versions(header),
        ApiKey::Metadata => metadata(header, port),
        ApiKey::FindCoordinator => {
            let coordinator = find_coordinator_response::Coordinator {
                key: "g".to_owned(),
                node_id: 1,
                host: "127.0.0.1".to_owned(),
                port: i32::from(port),
                ..Default::default()
            };
            let coordinators = vec![coordinator];
            with(header, &FindCoordinatorResponse { coordinators, ..Default::default() })
        }
        ApiKey::JoinGroup => {
            let request = JoinGroupRequest::decode(reader, version).unwrap();
            log.push(format!("join {:?}", request.member_id));
            let mut response = JoinGroupResponse {
                member_id: "m".to_owned(),
                leader: "m".to_owned(),
                generation_id: 4,
                protocol_type: Some("consumer".to_owned()),
                protocol_name: Some("range".to_owned()),
                ..Default::default()
            };
            if request.member_id.is_empty() {
                response.error_code = MEMBER_ID_REQUIRED;
            } else {
                response.members = vec![join_group_response::JoinGroupResponseMember {
                    member_id: "m".to_owned(),
                    group_instance_id: None,
                    metadata: request.protocols[0].metadata.clone(),
                }];
            }
            with(header, &response)
        }
        ApiKey::SyncGroup => {
            let request = SyncGroupRequest::decode(reader, version).unwrap();
            let assignment = request.assignments[0].assignment.clone();
            with(header, &SyncGroupResponse { assignment, ..Default::default() })
        }
        ApiKey::OffsetFetch => {
            let partition = offset_fetch_response::OffsetFetchResponsePartition {
                committed_offset: -1,
                ..Default::default()
            };
            let topic = offset_fetch_response::OffsetFetchResponseTopic {
                name: "t".to_owned(),
                partitions: vec![partition],
            };
            with(header, &OffsetFetchResponse { topics: vec![topic], ..Default::default() })
        }
        ApiKey::ListOffsets => {
            let request = ListOffsetsRequest::decode(reader, version).unwrap();
            log.push(format!("list {}", request.topics[0].partitions[0].timestamp));
            let partition = list_offsets_response::ListOffsetsPartitionResponse {
                offset: 3,
                ..Default::default()
            };
            let topic = list_offsets_response::ListOffsetsTopicResponse {
                name: "t".to_owned(),
                partitions: vec![partition],
            };
            with(header, &ListOffsetsResponse { topics: vec![topic], ..Default::default() })
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(reader, version).unwrap();
            log.push(format!("fetch {}", request.topics[0].partitions[0].fetch_offset));
            let mut builder = BatchBuilder::new(2);
            (2..6).for_each(|number: u8| builder.push(1, None, Some(&[b'0' + number])));
            let mut bytes = Vec::new();
            builder.build(None, &mut bytes).unwrap();
            let partition = fetch_response::PartitionData {
                records: Some(Records::Here(Bytes::from(bytes))),
                ..Default::default()
            };
            let topic = fetch_response::FetchableTopicResponse {
                topic: "t".to_owned(),
                partitions: vec![partition],
                ..Default::default()
            };
            with(header, &FetchResponse { responses: vec![topic], ..Default::default() })
        }
        ApiKey::OffsetCommit => {
            let request = OffsetCommitRequest::decode(reader, version).unwrap();
            log.push(format!(
                "commit {} as {} in {}",
                request.topics[0].partitions[0].committed_offset,
                request.member_id,
                request.generation_id_or_member_epoch
            ));
            with(header, &OffsetCommitResponse::default())
        }
        ApiKey::LeaveGroup => {
            let request = LeaveGroupRequest::decode(reader, version).unwrap();
            log.push(format!("leave {}", request.members[0].member_id));
            with(header, &LeaveGroupResponse::default())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_consumer_joins_reads_commits_and_leaves() {
    let (known, shared) = cell();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let port =
        broker(move |header, reader| coordinator(header, reader, *shared.lock(), &mut log.lock()));
    *known.lock() = port;
    let console = console();
    let settings = properties(port, &["group.id=g", "auto.offset.reset=earliest"]);
    let config = ConsumerConfig::new(settings).unwrap();
    let subscription = Subscription::Topics(vec!["t".to_owned()]);
    let mut consumer = Consumer::new(config, subscription, &console);
    let mut read = Vec::new();
    let count = consumer.poll(Duration::from_secs(30), &mut |fetched| {
        read.push((fetched.record.offset, fetched.record.value.map(<[u8]>::to_vec)));
        if read.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(count, Ok(2), "what was read before the position is left out");
    assert_eq!(read, [(3, Some(b"3".to_vec())), (4, Some(b"4".to_vec()))]);
    consumer.close().unwrap();
    assert_eq!(
        *asked.lock(),
        ["join \"\"", "join \"m\"", "list -2", "fetch 3", "commit 5 as m in 4", "leave m"]
    );
}
