//! What a version can and cannot say.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

use bytes::{Bytes, BytesMut};
use polyport_kafka_codec::frame::{self, FrameError, Piece};
use polyport_kafka_codec::header::{self, RequestHeader};
use polyport_kafka_codec::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use polyport_kafka_codec::messages::produce_request::{PartitionProduceData, TopicProduceData};
use polyport_kafka_codec::messages::{
    ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupMemberMetadataValue, DescribeGroupsRequest, DescribeTopicPartitionsRequest,
    FetchRequest, FetchResponse, GroupMetadataKey, MetadataRequest, OffsetCommitKey,
    OffsetCommitValue, ProduceRequest,
};
use polyport_kafka_codec::{ApiKey, EncodeError, ErrorCode, Gap, Message, Reader, Records, record};

fn decoded<M: Message>(bytes: &[u8], version: i16) -> Result<M, polyport_kafka_codec::DecodeError> {
    M::decode(&mut Reader::copied(bytes), version)
}

#[test]
fn headers_and_an_api_versions_request_have_kafkas_bytes() {
    let mut bytes = Vec::new();
    let request = ApiVersionsRequest {
        client_software_name: "lib".into(),
        client_software_version: "1.2".into(),
    };
    frame::encode_request(&mut bytes, &request, 3, 5, Some("me")).unwrap();
    let expected = [&[0, 0, 0, 22, 0, 18, 0, 3, 0, 0, 0, 5, 0, 2][..], b"me\0\x04lib\x041.2\0"];
    assert_eq!(bytes, expected.concat());
    // A version that nobody knows yet has a flexible header, too.
    let newer = [&[0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 1, 9, 2, 1, 1][..], b"rest"].concat();
    let mut reader = Reader::copied(&newer);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.api_version, header.client_id), (99, None));
    assert_eq!(reader.remaining(), 4);
    // Its answer's header is the same in all versions.
    let mut bytes = Vec::new();
    frame::encode_response(&mut bytes, &ApiVersionsResponse::default(), 3, 5).unwrap();
    assert_eq!(bytes, [0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0]);
    let mut bytes = Vec::new();
    header::encode_response(&mut bytes, ApiKey::Fetch, 12, 5);
    assert_eq!(bytes, [0, 0, 0, 5, 0]);
    assert_eq!(header::decode_response(&mut Reader::copied(&bytes), ApiKey::Fetch, 12), Ok(5));
}

#[test]
fn fields_that_a_version_does_not_have_are_refused_unless_readers_do_without() {
    let mut out = vec![1];
    let set = FetchResponse { session_id: 3, ..FetchResponse::default() };
    let error = set.encode(&mut out, 6).unwrap_err();
    assert_eq!(error.to_string(), "FetchResponse version 6: SessionId is not in this version");
    assert_eq!(out, [1], "nothing of it was written");
    let ignorable = FetchResponse { throttle_time_ms: 3, ..FetchResponse::default() };
    ignorable.encode(&mut out, 0).unwrap();
    assert_eq!(decoded::<FetchResponse>(&out[1..], 0), Ok(FetchResponse::default()));
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    all.encode(&mut Vec::new(), 1).unwrap();
    let error = all.encode(&mut Vec::new(), 0).unwrap_err();
    assert_eq!(error.field, "Topics");
    // A tagged field of a version without it.
    let mut tagged = FetchRequest::default();
    tagged.replica_state.replica_id = 1;
    assert_eq!(tagged.encode(&mut Vec::new(), 14).unwrap_err().field, "ReplicaState");
    tagged.encode(&mut Vec::new(), 15).unwrap();
}

#[test]
fn versions_that_do_not_exist_are_errors() {
    let what = "does not exist";
    let error = EncodeError { message: "FetchResponse", version: 18, field: "it", what };
    assert_eq!(FetchResponse::default().encode(&mut Vec::new(), 18), Err(error));
    assert!(decoded::<FetchResponse>(&[0; 99], -1).is_err());
    assert!(ApiKey::ConsumerGroupHeartbeat.has_version(1));
    ConsumerGroupHeartbeatRequest::default().encode(&mut Vec::new(), 1).unwrap();
    for api in ApiKey::ALL {
        assert_eq!(ApiKey::from_code(api.code()), Some(*api));
        assert!(api.has_version(api.info().first_version) && !api.has_version(-1), "{api:?}");
        assert_eq!(format!("{api:?}"), api.name());
    }
    assert_eq!(ApiKey::from_code(4), None);
    assert!(RequestHeader::decode(&mut Reader::copied(&[0, 4, 0, 0, 0, 0, 0, 1, 0, 0])).is_err());
}

#[test]
fn unknown_tagged_fields_are_skipped_and_known_ones_are_as_long_as_they_say() {
    // ApiVersionsResponse version 3: no error, no APIs, no throttling, tagged fields.
    let body = [0, 0, 1, 0, 0, 0, 0];
    let with = |tags: &[u8]| decoded::<ApiVersionsResponse>(&[&body, tags].concat(), 3);
    assert_eq!(with(&[2, 3, 1, 1, 88, 2, 7, 7]).unwrap(), {
        ApiVersionsResponse { zk_migration_ready: true, ..ApiVersionsResponse::default() }
    });
    assert_eq!(
        with(&[1, 3, 2, 1, 1]).unwrap_err().what,
        "a tagged field longer than what it holds"
    );
    assert_eq!(with(&[1, 3, 0, 1, 1]).unwrap_err().what, "the message ends early");
    assert!(with(&[1, 88, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    assert!(with(&[1, 88, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}

#[test]
fn a_struct_that_is_null_is_0_in_a_tagged_field_and_255_elsewhere() {
    let value = ConsumerGroupMemberMetadataValue {
        classic_member_metadata: None,
        ..ConsumerGroupMemberMetadataValue::default()
    };
    let mut bytes = Vec::new();
    value.encode(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [1, 1, 1, 1, 1, 1, 255, 255, 255, 255, 1, 1, 0, 1, 0]);
    assert_eq!(decoded(&bytes, 0), Ok(value));
    let mut bytes = Vec::new();
    DescribeTopicPartitionsRequest::default().encode(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [1, 0, 0, 7, 208, 255, 0]);
    assert_eq!(decoded(&bytes, 0), Ok(DescribeTopicPartitionsRequest::default()));
}

#[test]
fn absurd_lengths_are_refused_before_memory_is_taken() {
    for claimed in [i32::MAX, 1 << 30, 100] {
        let bytes = [&claimed.to_be_bytes()[..], &[0; 64]].concat();
        let error = decoded::<MetadataRequest>(&bytes, 0).unwrap_err();
        assert_eq!((error.at, error.what), (0, "a length beyond the message's end"));
    }
    // Items that take 24 times as much memory as bytes.
    let names = |count: usize| {
        let length = count as u32 + 1;
        let mut bytes = vec![length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8];
        bytes.resize(bytes.len() + count, 1);
        bytes.extend_from_slice(&[0; 2]);
        decoded::<DescribeGroupsRequest>(&bytes, 5)
    };
    assert_eq!(names(100_000).map(|request| request.groups.len()), Ok(100_000));
    assert_eq!(names(200_000).unwrap_err().what, "more items than such a message has");
    let frame = |length: i32| {
        let mut arrived = BytesMut::from(&length.to_be_bytes()[..]);
        arrived.extend_from_slice(b"abcdef");
        frame::split(&mut arrived, 100).map(|whole| (whole, arrived))
    };
    assert_eq!(frame(101), Err(FrameError { length: 101, limit_bytes: 100 }));
    assert_eq!(frame(-1), Err(FrameError { length: -1, limit_bytes: 100 }));
    assert_eq!(frame(100).unwrap().0, None);
    let (whole, rest) = frame(4).unwrap();
    assert_eq!((&whole.unwrap()[..], &rest[..]), (&b"abcd"[..], &b"ef"[..]));
}

#[test]
fn records_of_each_partition_can_be_changed_where_they_arrived() {
    let partition = |index, records: &[u8]| PartitionProduceData {
        index,
        records: Some(BytesMut::from(records)),
    };
    let data = vec![partition(0, b"first"), partition(1, b"second")];
    let topic_data = vec![TopicProduceData { name: "t".into(), partition_data: data }];
    let request = ProduceRequest { topic_data, acks: -1, ..ProduceRequest::default() };
    for version in 0..=11 {
        let mut bytes = Vec::new();
        request.encode(&mut bytes, version).unwrap();
        let frame = BytesMut::from(&bytes[..]);
        let arrived = frame.as_ptr_range();
        let mut decoded = ProduceRequest::decode(&mut Reader::new(frame), version).unwrap();
        assert_eq!(decoded, request);
        for partition in &mut decoded.topic_data[0].partition_data {
            let records = partition.records.as_mut().unwrap();
            let place = records.as_ptr_range();
            assert!(arrived.start <= place.start && place.end <= arrived.end, "they were copied");
            records[0] = b'X';
        }
        let records = |at: usize| decoded.topic_data[0].partition_data[at].records.as_deref();
        assert_eq!((records(0), records(1)), (Some(&b"Xirst"[..]), Some(&b"Xecond"[..])));
    }
}

#[test]
fn records_of_a_response_may_be_elsewhere() {
    let partition = |records| PartitionData { records, ..PartitionData::default() };
    let of = |first: Records, second: Records| {
        let here = Records::Here(Bytes::from_static(b"here"));
        let partitions = vec![
            partition(Some(first)),
            partition(Some(here)),
            partition(None),
            partition(Some(second)),
        ];
        let topic = FetchableTopicResponse { partitions, ..FetchableTopicResponse::default() };
        FetchResponse { responses: vec![topic], ..FetchResponse::default() }
    };
    let elsewhere = |length_bytes| Records::Elsewhere { length_bytes };
    let (files, whole) = (
        of(elsewhere(5), elsewhere(300)),
        of(Records::Here(Bytes::from_static(b"12345")), Records::Here(Bytes::from(vec![7; 300]))),
    );
    assert!(files.encode(&mut Vec::new(), 0).is_err());
    for version in 0..=17 {
        let mut expected = vec![9];
        assert_eq!(frame::encode_response(&mut expected, &whole, version, 1), Ok(Vec::new()));
        let mut out = vec![9];
        let gaps = frame::encode_response(&mut out, &files, version, 1).unwrap();
        assert_eq!(gaps.iter().map(|gap| gap.length_bytes).collect::<Vec<_>>(), [5, 300]);
        let mut sent = vec![9];
        for piece in frame::pieces(1..out.len(), &gaps) {
            match piece {
                Piece::Bytes(range) => sent.extend_from_slice(&out[range]),
                Piece::Records { index: 0, length_bytes: 5 } => sent.extend_from_slice(b"12345"),
                Piece::Records { index: 1, length_bytes: 300 } => sent.extend_from_slice(&[7; 300]),
                Piece::Records { .. } => panic!("{piece:?}"),
            }
        }
        assert_eq!(sent, expected, "version {version}");
    }
    let gaps = [Gap { at: 3, length_bytes: 1 }, Gap { at: 3, length_bytes: 2 }];
    let records = |index, length_bytes| Piece::Records { index, length_bytes };
    let pieces: Vec<_> = frame::pieces(0..3, &gaps).collect();
    assert_eq!(pieces, [Piece::Bytes(0..3), records(0, 1), records(1, 2)]);
}

#[test]
fn records_of_coordinators_have_their_version_before_them() {
    let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 1 };
    let bytes = record::encode(&key, 1).unwrap();
    assert_eq!(bytes, b"\0\x01\0\x01g\0\x01t\0\0\0\x01");
    assert_eq!(record::version(&bytes), Ok(1));
    assert_eq!(record::decode(&bytes), Ok(key));
    assert!(record::decode::<GroupMetadataKey>(&bytes).is_err(), "that is version 2 only");
    let value =
        OffsetCommitValue { offset: 5, commit_timestamp: 6, ..OffsetCommitValue::default() };
    let newer = [&9_i16.to_be_bytes(), &record::encode(&value, 3).unwrap()[2..]].concat();
    assert!(record::decode::<OffsetCommitValue>(&newer).is_err());
    assert_eq!(record::decode_as(&newer, 3), Ok(value));
    assert!(record::version(&[0]).is_err());
}

#[test]
fn errors_have_kafkas_numbers_names_and_texts() {
    assert_eq!(ErrorCode::NotLeaderOrFollower.code(), 6);
    assert_eq!(ErrorCode::from_code(6), Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(ErrorCode::from_code(-1), Some(ErrorCode::UnknownServerError));
    assert_eq!((ErrorCode::from_code(-2), ErrorCode::from_code(i16::MAX)), (None, None));
    assert_eq!(ErrorCode::TopicAlreadyExists.name(), "TOPIC_ALREADY_EXISTS");
    let text = ErrorCode::TopicAlreadyExists.message();
    assert_eq!(text, "Topic with this name already exists.");
    assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
    assert!(!ErrorCode::TopicAlreadyExists.is_retriable());
    for (at, error) in ErrorCode::ALL.iter().enumerate() {
        assert_eq!(i32::from(error.code()), at as i32 - 1, "{error:?}");
        assert_eq!(ErrorCode::from_code(error.code()), Some(*error));
    }
}
