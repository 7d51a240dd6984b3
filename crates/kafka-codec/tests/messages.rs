//! Promises that every message keeps, in every version.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

use bytes::BytesMut;
use polyport_kafka_codec::messages::{Visitor, visit_all};
use polyport_kafka_codec::{Message, Reader};
use proptest::prelude::*;

/// Does something to a message's type in one version, with bytes that are different each time.
type Check = fn(version: i16, bytes: &[u8]);

struct AnyMessage {
    name: &'static str,
    versions: std::ops::RangeInclusive<i16>,
    round_trip: Check,
    cut_short: Check,
    any_bytes: Check,
}

struct Collect(Vec<AnyMessage>);

impl Visitor for Collect {
    fn visit<M: Message>(&mut self) {
        self.0.push(AnyMessage {
            name: M::NAME,
            versions: M::FIRST_VERSION..=M::LAST_VERSION,
            round_trip: round_trip::<M>,
            cut_short: cut_short::<M>,
            any_bytes: any_bytes::<M>,
        });
    }
}

fn for_each(bytes: &[u8], check: fn(&AnyMessage) -> Check) {
    let mut all = Collect(Vec::new());
    visit_all(&mut all);
    assert!(all.0.len() > 140);
    for message in &all.0 {
        for version in message.versions.clone() {
            let done = std::panic::catch_unwind(|| check(message)(version, bytes));
            assert!(done.is_ok(), "{} version {version} of {bytes:?}", message.name);
        }
    }
}

/// A message made up of any bytes, and its encoding.
fn filled<M: Message>(version: i16, bytes: &[u8]) -> (M, Vec<u8>) {
    let message = M::decode(&mut Reader::filling(bytes), version).unwrap();
    let mut encoded = Vec::new();
    message.encode(&mut encoded, version).unwrap();
    (message, encoded)
}

fn round_trip<M: Message>(version: i16, bytes: &[u8]) {
    let (message, encoded) = filled::<M>(version, bytes);
    let mut reader = Reader::new(BytesMut::from(&encoded[..]));
    let decoded = M::decode(&mut reader, version).unwrap();
    assert_eq!(reader.remaining(), 0);
    // Compared as text, because NaN is not itself.
    assert_eq!(format!("{decoded:?}"), format!("{message:?}"));
    let mut again = Vec::new();
    decoded.encode(&mut again, version).unwrap();
    assert_eq!(again, encoded);
}

fn cut_short<M: Message>(version: i16, bytes: &[u8]) {
    let (_, encoded) = filled::<M>(version, bytes);
    for length in (0..encoded.len()).step_by(encoded.len() / 16 + 1) {
        let decoded = M::decode(&mut Reader::copied(&encoded[..length]), version);
        assert!(decoded.is_err(), "{length} of {} bytes", encoded.len());
    }
}

fn any_bytes<M: Message>(version: i16, bytes: &[u8]) {
    if let Ok(message) = M::decode(&mut Reader::copied(bytes), version) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded, version).unwrap();
        let decoded = M::decode(&mut Reader::copied(&encoded), version).unwrap();
        assert_eq!(format!("{decoded:?}"), format!("{message:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_decodes_to_the_same(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for_each(&bytes, |message| message.round_trip);
    }

    #[test]
    fn a_message_cut_short_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for_each(&bytes, |message| message.cut_short);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(0..6_u8, 0..300)) {
        for_each(&bytes, |message| message.any_bytes);
    }
}

#[test]
fn made_up_messages_are_not_empty() {
    let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
    let mut all = Collect(Vec::new());
    visit_all(&mut all);
    struct Longest(usize);
    impl Visitor for Longest {
        fn visit<M: Message>(&mut self) {
            let bytes: Vec<u8> = (1..=255).cycle().take(600).collect();
            let (_, encoded) = filled::<M>(M::LAST_VERSION, &bytes);
            self.0 += encoded.len();
        }
    }
    let mut longest = Longest(0);
    visit_all(&mut longest);
    assert!(longest.0 > 20 * all.0.len(), "{} bytes of {}", longest.0, bytes.len());
}
