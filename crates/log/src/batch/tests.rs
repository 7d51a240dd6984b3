//! What the batch codec promises.

use proptest::prelude::*;

use super::*;

type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..60)
}

fn records() -> impl Strategy<Value = Vec<Plain>> {
    let header = (bytes(), prop::option::of(bytes()));
    let record = (
        0..1_000_000_i64,
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::collection::vec(header, 0..3),
    );
    prop::collection::vec(record, 1..40)
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(vec![Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd])
}

fn build(base: i64, codec: Codec, records: &[Plain]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base).attributes(Attributes::default().with_codec(codec));
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(k, v)| (k.as_slice(), v.as_deref())).collect();
        builder.push_with_headers(*timestamp, key.as_deref(), value.as_deref(), &headers);
    }
    let mut batch = Vec::new();
    builder.build(None, &mut batch).unwrap();
    batch
}

proptest! {
    #[test]
    fn what_was_built_is_read_back_in_every_codec(
        records in records(), codec in codec(), base in 0..i64::MAX / 2,
    ) {
        let bytes = build(base, codec, &records);
        let (batch, rest) = Batch::split_first(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        batch.check_crc().unwrap();
        check_client_header(batch.header()).unwrap();
        let facts = check_records(&batch, &RecordRules::default()).unwrap();
        prop_assert!(facts.in_sequence && facts.rejected.is_empty());
        prop_assert_eq!(facts.max_timestamp, batch.header().max_timestamp);
        let mut scratch = Vec::new();
        let read: Vec<_> =
            batch.records(&mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), records.len());
        for (index, (read, (timestamp, key, value, headers))) in
            read.iter().zip(&records).enumerate()
        {
            prop_assert_eq!(read.offset, base + index as i64);
            prop_assert_eq!(read.timestamp, *timestamp);
            prop_assert_eq!(read.key, key.as_deref());
            prop_assert_eq!(read.value, value.as_deref());
            let all: Vec<_> =
                read.headers.iter().map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&all, headers);
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(records in records(), codec in codec(), at in any::<prop::sample::Index>()) {
        let mut bytes = build(0, codec, &records);
        // Base offset and leader epoch are the broker's and not under the checksum.
        let at = 16 + at.index(bytes.len() - 16);
        bytes[at] ^= 0x40;
        let noticed = match Batch::split_first(&bytes) {
            Ok((batch, _)) => batch.check_crc().is_err(),
            Err(_) => true,
        };
        prop_assert!(noticed);
    }

    #[test]
    fn arbitrary_records_never_panic_and_both_readers_agree(
        payload in bytes(), count in 1..5_i32, codec in codec(),
    ) {
        let mut bytes = build(0, codec, &[(1, None, None, vec![])]);
        bytes.truncate(HEADER_BYTES);
        bytes.extend_from_slice(&payload);
        let mut header = Header::parse(&bytes).unwrap();
        header.count = count;
        header.size_bytes = bytes.len();
        header.write(&mut bytes);
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let checked = check_records(&batch, &RecordRules::default());
        let mut scratch = Vec::new();
        let read = batch
            .records(&mut scratch, 1 << 20)
            .and_then(|records| records.collect::<Result<Vec<_>, _>>());
        prop_assert_eq!(checked.is_ok(), read.is_ok(), "{:?} {:?}", checked, read);
    }
}

#[test]
fn varints_have_the_length_they_are_said_to() {
    for value in [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::MAX, i64::MIN] {
        let mut bytes = Vec::new();
        varint::push(&mut bytes, value);
        assert_eq!(bytes.len(), varint::len(value), "{value}");
    }
}

#[test]
fn a_batch_of_one_record_has_the_bytes_of_kafkas_format() {
    let mut builder = BatchBuilder::new(5).leader_epoch(3).producer(7, 1, 9);
    builder.push(1000, Some(b"k"), Some(b"v"));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    assert_eq!(&bytes[..8], &5_i64.to_be_bytes());
    assert_eq!(&bytes[8..12], &(bytes.len() as i32 - 12).to_be_bytes());
    assert_eq!(&bytes[12..17], &[0, 0, 0, 3, 2]);
    assert_eq!(&bytes[21..27], &[0; 6]);
    assert_eq!(&bytes[61..], &[16, 0, 0, 0, 2, b'k', 2, b'v', 0]);
    assert_eq!(u32::from_be_bytes(bytes[17..21].try_into().unwrap()), header::checksum(&bytes));
}

#[test]
fn only_place_and_append_time_are_rewritten() {
    let mut bytes = build(0, Codec::None, &[(5, None, Some(vec![1]), vec![])]);
    let before = bytes.clone();
    header::set_place(&mut bytes, 77, 4);
    assert_eq!(bytes[16..], before[16..]);
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!((batch.header().base_offset, batch.header().leader_epoch), (77, 4));
    header::set_timestamp(&mut bytes, false, 5);
    assert_eq!(bytes[16..], before[16..], "nothing changed, nothing rewritten");
    header::set_timestamp(&mut bytes, true, 999);
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    batch.check_crc().unwrap();
    let mut scratch = Vec::new();
    let record = batch.records(&mut scratch, 100).unwrap().next().unwrap().unwrap();
    assert_eq!(record.timestamp, 999);
}

#[test]
fn headers_that_a_client_may_not_send_are_refused() {
    let bytes = build(0, Codec::None, &[(5, None, None, vec![]), (6, None, None, vec![])]);
    let good = Header::parse(&bytes).unwrap();
    check_client_header(&good).unwrap();
    let control = good.attributes.with_control(true);
    let transactional = good.attributes.with_transactional(true);
    for bad in [
        Header { count: 0, ..good },
        Header { count: 3, ..good },
        Header { last_offset_delta: -1, ..good },
        Header { attributes: control, ..good },
        Header { attributes: transactional, ..good },
        Header { attributes: Attributes(7), ..good },
        Header { producer_id: 4, producer_epoch: 0, ..good },
    ] {
        check_client_header(&bad).unwrap_err();
    }
}

#[test]
fn records_that_break_a_rule_are_named() {
    let some = Some(vec![1]);
    let records =
        [(50, some.clone(), None, vec![]), (60, None, None, vec![]), (99, some, None, vec![])];
    for codec in [Codec::None, Codec::Zstd] {
        let bytes = build(0, codec, &records);
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let rules = RecordRules { key_required: true, timestamps: Some((50, 70)) };
        let facts = check_records(&batch, &rules).unwrap();
        assert_eq!(
            facts.rejected,
            [
                RejectedRecord { index: 1, fault: RecordFault::NoKey },
                RejectedRecord { index: 2, fault: RecordFault::Timestamp(99) },
            ]
        );
    }
}

#[test]
fn a_small_batch_that_decompresses_to_much_takes_no_more_than_allowed() {
    let big = (1, None, Some(vec![0; 5 << 20]), vec![]);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bytes = build(0, codec, std::slice::from_ref(&big));
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let mut scratch = Vec::new();
        let error = batch.records(&mut scratch, 1 << 20).unwrap_err();
        assert_eq!(error, BatchError::DecompressedTooLarge { limit_bytes: 1 << 20 });
        assert!(scratch.capacity() <= 4 << 20, "{codec:?}: {}", scratch.capacity());
        assert_eq!(check_records(&batch, &RecordRules::default()).unwrap().max_timestamp, 1);
    }
}

#[test]
fn raw_snappy_without_framing_is_read() {
    let plain = build(0, Codec::None, &[(1, None, Some(vec![7; 500]), vec![])]);
    let mut bytes = plain[..HEADER_BYTES].to_vec();
    bytes.extend(snap::raw::Encoder::new().compress_vec(&plain[HEADER_BYTES..]).unwrap());
    let mut header = Header::parse(&bytes).unwrap();
    header.size_bytes = bytes.len();
    header.attributes = header.attributes.with_codec(Codec::Snappy);
    header.write(&mut bytes);
    let (batch, _) = Batch::split_first(&bytes).unwrap();
    let mut scratch = Vec::new();
    let records: Vec<_> = batch.records(&mut scratch, 1000).unwrap().collect();
    assert_eq!(records[0].as_ref().unwrap().value, Some([7; 500].as_slice()));
}

#[test]
fn markers_come_back() {
    for commit in [true, false] {
        let marker = EndMarker { commit, coordinator_epoch: 12 };
        let bytes = marker.build(99, 3, 1234);
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        batch.check_crc().unwrap();
        assert!(batch.header().attributes.is_control());
        assert_eq!(EndMarker::read(&batch).unwrap(), Some(marker));
    }
}
