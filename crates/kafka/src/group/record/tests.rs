use super::{
    ClassicProtocols, ConsumerMember, CurrentAssignment, GroupValue, MemberState, MemberValue,
    OffsetValue, Partitions, Record, TopicId, TopicPartitionCount,
};

fn bytes(record: &Record) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    record.encode_key(&mut key).unwrap();
    let is_there = record.encode_value(&mut value).unwrap();
    (key, is_there.then_some(value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn check(record: Record, key: &str, value: Option<&str>) {
    let (encoded_key, encoded_value) = bytes(&record);
    assert_eq!(hex(&encoded_key), key);
    assert_eq!(encoded_value.as_deref().map(hex).as_deref(), value);
    let decoded = Record::decode(&encoded_key, encoded_value.as_deref()).unwrap();
    assert_eq!(decoded, Some(record));
}

fn offset_value() -> OffsetValue {
    OffsetValue {
        offset: 5,
        leader_epoch: Some(2),
        metadata: "m".into(),
        commit_timestamp: 9,
        expire_timestamp: None,
    }
}

fn offset_record(value: Option<OffsetValue>) -> Record {
    Record::Offset { group: "g".into(), topic: "t".into(), partition: 3, value }
}

const OFFSET_KEY: &str = "0001000167000174\
                          00000003";

#[test]
fn offsets_are_written_as_kafka_writes_them() {
    let value = "0003000000000000000500000002\
                 00016d0000000000000009";
    check(offset_record(Some(offset_value())), OFFSET_KEY, Some(value));
    let without = OffsetValue { leader_epoch: None, ..offset_value() };
    let value = "00030000000000000005ffffffff\
                 00016d0000000000000009";
    check(offset_record(Some(without.clone())), OFFSET_KEY, Some(value));
    let expiring = OffsetValue { expire_timestamp: Some(10), ..without };
    let value = "0001000000000000000500016d\
                 0000000000000009000000000000000a";
    check(offset_record(Some(expiring)), OFFSET_KEY, Some(value));
    check(offset_record(None), OFFSET_KEY, None);
}

#[test]
fn older_and_newer_offsets_are_read() {
    let (key, _) = bytes(&offset_record(None));
    let read = |value: &[u8]| match Record::decode(&key, Some(value)).unwrap() {
        Some(Record::Offset { value: Some(value), .. }) => value,
        other => panic!("{other:?}"),
    };
    let plain = OffsetValue { leader_epoch: None, ..offset_value() };
    let mut value = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 9];
    assert_eq!(read(&value), plain);
    value[1] = 2;
    assert_eq!(read(&value), plain);
    let flexible = [0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 2, b'm', 0, 0, 0, 0, 0, 0, 0, 9, 0];
    assert_eq!(read(&flexible), offset_value());
    value[1] = 5;
    Record::decode(&key, Some(&value)).unwrap_err();
    // A key of before version 1 differs in the number only.
    let mut old = key.clone();
    old[1] = 0;
    assert_eq!(Record::decode(&old, None).unwrap(), Some(offset_record(None)));
}

#[test]
fn generations_are_written_as_kafka_writes_them() {
    let member = MemberValue {
        member_id: "m".into(),
        instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms: 7,
        session_timeout_ms: 8,
        subscription: bytes::Bytes::from_static(&[1]),
        assignment: bytes::Bytes::from_static(&[2, 3]),
    };
    let value = GroupValue {
        protocol_type: "consumer".into(),
        generation: 4,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        state_timestamp: Some(6),
        members: vec![member],
    };
    let text = "00030008636f6e73756d6572\
                00000004000572616e676500016d\
                0000000000000006\
                0000000100016d00016900016300022f68\
                0000000700000008\
                00000001010000000202\
                03";
    let record = Record::Group { group: "g".into(), value: Some(value) };
    check(record, "0002000167", Some(text));
    let empty = GroupValue {
        protocol_type: String::new(),
        generation: 0,
        protocol: None,
        leader: None,
        state_timestamp: None,
        members: Vec::new(),
    };
    let text = "0003000000000000ffffffff\
                ffffffffffffffff00000000";
    let record = Record::Group { group: "g".into(), value: Some(empty) };
    check(record, "0002000167", Some(text));
    check(Record::Group { group: "g".into(), value: None }, "0002000167", None);
}

#[test]
fn records_of_consumer_groups_are_written_as_kafka_writes_them() {
    let id = "0000000000000000000000000000002a";
    let topic_id = TopicId(42u128.to_be_bytes());
    let partitions: Partitions = [(topic_id, [1, 2].into())].into();
    let (group, member) = (|| "g".into(), || "m".into());
    let epoch = Record::ConsumerGroup { group: group(), epoch: Some(3) };
    check(epoch, "0003000167", Some("00000000000300"));
    let topics = vec![TopicPartitionCount { topic_id, topic: "t".into(), partitions: 2 }];
    let topics = Record::ConsumerTopics { group: group(), topics: Some(topics) };
    check(
        topics,
        "0004000167",
        Some(&format!(
            "000002{id}0274000000020100\
                                                00"
        )),
    );
    let value = ConsumerMember {
        client_id: "c".into(),
        client_host: "/h".into(),
        topics: vec!["t".into()],
        rebalance_timeout_ms: 5,
        ..ConsumerMember::default()
    };
    let text = "0000000002\
                63032f68020274000000000500";
    let record =
        Record::ConsumerMember { group: group(), member: member(), value: Some(value.clone()) };
    check(record, "000500016700016d", Some(&format!("{text}01000100")));
    let protocols = vec![("r".to_owned(), bytes::Bytes::from_static(&[9]))];
    let classic = Some(ClassicProtocols { session_timeout_ms: 6, protocols });
    let value = ConsumerMember { classic, ..value };
    let record = Record::ConsumerMember { group: group(), member: member(), value: Some(value) };
    check(
        record,
        "000500016700016d",
        Some(&format!(
            "{text}01000c0100000006020272020900\
                                                     00"
        )),
    );
    let epoch = Record::ConsumerTargetEpoch { group: group(), epoch: Some(3) };
    check(epoch, "0006000167", Some("00000000000300"));
    let target = Record::ConsumerTarget {
        group: group(),
        member: member(),
        partitions: Some(partitions.clone()),
    };
    let text = format!("02{id}03000000010000000200");
    check(target, "000700016700016d", Some(&format!("0000{text}00")));
    let value = CurrentAssignment {
        epoch: 3,
        previous_epoch: 2,
        state: MemberState::UnrevokedPartitions,
        assigned: partitions,
        pending_revocation: Partitions::new(),
    };
    let current = Record::ConsumerCurrent { group: group(), member: member(), value: Some(value) };
    check(current, "000800016700016d", Some(&format!("0000000000030000000201{text}0100")));
}

#[test]
fn records_that_are_none_are_errors_and_unknown_kinds_are_passed_over() {
    assert_eq!(Record::decode(&[0, 9, 1], Some(&[1])).unwrap(), None);
    Record::decode(&[], None).unwrap_err();
    Record::decode(&[0], None).unwrap_err();
    Record::decode(&[0, 2, 0, 9, 1], None).unwrap_err();
    let (key, value) = bytes(&offset_record(Some(offset_value())));
    let value = value.unwrap();
    for cut in 0..value.len() {
        Record::decode(&key, Some(&value[..cut])).unwrap_err();
    }
}

#[test]
fn a_name_that_the_format_cannot_say_is_an_error() {
    let group: std::sync::Arc<str> = "x".repeat(40_000).into();
    Record::Group { group, value: None }.encode_key(&mut Vec::new()).unwrap_err();
}
