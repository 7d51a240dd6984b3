//! What Kafka's clients and brokers send, and what coordinators keep in records.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::{Buf, BytesMut};
use polyport_kafka_codec::header::{self, RequestHeader};
use polyport_kafka_codec::messages::{Visitor, visit_all};
use polyport_kafka_codec::{ApiKey, DecodeError, Message, Reader, frame, record};

/// A message's type.
struct Kind {
    last_version: i16,
    /// Decodes one in a version; if that succeeds, it must encode to the same.
    check: fn(&mut Reader, i16),
    /// One with something in every field, in a version.
    sample: fn(i16) -> Vec<u8>,
}

#[derive(Default)]
struct Kinds(BTreeMap<&'static str, Kind>);

impl Visitor for Kinds {
    fn visit<M: Message>(&mut self) {
        let kind = Kind { last_version: M::LAST_VERSION, check: check::<M>, sample: sample::<M> };
        self.0.insert(M::NAME, kind);
    }
}

fn kinds() -> &'static BTreeMap<&'static str, Kind> {
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    let all = || {
        let mut kinds = Kinds::default();
        visit_all(&mut kinds);
        kinds
    };
    &KINDS.get_or_init(all).0
}

fn check<M: Message>(reader: &mut Reader, version: i16) {
    let Ok(message) = M::decode(reader, version) else { return };
    let mut bytes = Vec::new();
    if let Err(error) = message.encode(&mut bytes, version) {
        // Replacing what is no UTF-8 makes texts longer.
        assert_eq!(error.what, "is too long");
        return;
    }
    let again = M::decode(&mut Reader::copied(&bytes), version);
    assert_eq!(text(&again), text(&Ok(message)), "what was decoded encodes to the same");
}

/// Compared instead of the message, because NaN is not itself.
fn text<M: Message>(decoded: &Result<M, DecodeError>) -> String {
    format!("{decoded:?}")
}

fn sample<M: Message>(version: i16) -> Vec<u8> {
    let any: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(37)).collect();
    let mut bytes = Vec::new();
    if let Ok(message) = M::decode(&mut Reader::filling(&any), version) {
        let _ = message.encode(&mut bytes, version);
    }
    bytes
}

/// What arrives at a broker: frames of a header and a request.
pub fn kafka_request(bytes: &[u8]) {
    let mut arrived = BytesMut::from(bytes);
    while let Ok(Some(whole)) = frame::split(&mut arrived, 1 << 20) {
        let mut reader = Reader::new(whole);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return };
        let mut again = Vec::new();
        if header.encode(&mut again).is_ok() {
            let decoded = RequestHeader::decode(&mut Reader::copied(&again));
            assert_eq!(decoded.as_ref(), Ok(&header));
        }
        let kind = kinds().get(format!("{}Request", header.api_key.name()).as_str());
        let Some(kind) = kind else { panic!("{:?} has no request", header.api_key) };
        (kind.check)(&mut reader, header.api_version);
    }
}

/// What arrives at a client: frames of a header and a response, each after four bytes of the request's
/// API and version.
pub fn kafka_response(bytes: &[u8]) {
    let mut arrived = BytesMut::from(bytes);
    while arrived.len() > 4 {
        let (code, version) = (arrived.get_i16(), arrived.get_i16());
        let Some(api) = ApiKey::from_code(code) else { return };
        let Ok(Some(whole)) = frame::split(&mut arrived, 1 << 20) else { return };
        let mut reader = Reader::new(whole);
        if header::decode_response(&mut reader, api, version).is_err() {
            return;
        }
        let kind = kinds().get(format!("{}Response", api.name()).as_str());
        let Some(kind) = kind else { panic!("{api:?} has no response") };
        (kind.check)(&mut reader, version);
    }
}

/// Messages that are in records.
fn in_records() -> impl Iterator<Item = (&'static str, &'static Kind)> {
    let other = |name: &str| name.ends_with("Request") || name.ends_with("Response");
    kinds().iter().map(|(name, kind)| (*name, kind)).filter(move |(name, _)| !other(name))
}

/// A coordinator's key or value, or what members of a group tell each other. The first byte chooses
/// what it is.
pub fn kafka_records(bytes: &[u8]) {
    let Some((chosen, record)) = bytes.split_first() else { return };
    let Ok(version) = record::version(record) else { return };
    let count = in_records().count();
    let chosen = in_records().nth(usize::from(*chosen) % count);
    let Some((_, kind)) = chosen else { panic!("there are {count}") };
    (kind.check)(&mut Reader::copied(&record[2..]), version);
}

/// First, last and a middle version: other layouts.
fn versions(last: i16) -> impl Iterator<Item = i16> {
    let mut versions = vec![0, last / 2, last];
    versions.dedup();
    versions.into_iter()
}

/// All that was written by `write`, after its length.
fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    write(&mut body);
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for api_key in ApiKey::ALL.iter().copied() {
        let Some(kind) = kinds().get(format!("{}Request", api_key.name()).as_str()) else {
            continue;
        };
        let frames = versions(kind.last_version).map(|api_version| {
            let client_id = Some("client".to_owned());
            let header = RequestHeader { api_key, api_version, correlation_id: 7, client_id };
            framed(|body| {
                let _ = header.encode(body);
                body.extend_from_slice(&(kind.sample)(api_version));
            })
        });
        seeds.push(frames.collect::<Vec<_>>().concat());
    }
    seeds
}

pub(crate) fn responses() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for api in ApiKey::ALL.iter().copied() {
        let Some(kind) = kinds().get(format!("{}Response", api.name()).as_str()) else { continue };
        let frames = versions(kind.last_version).map(|version| {
            let frame = framed(|body| {
                header::encode_response(body, api, version, 7);
                body.extend_from_slice(&(kind.sample)(version));
            });
            [&api.code().to_be_bytes()[..], &version.to_be_bytes(), &frame].concat()
        });
        seeds.push(frames.collect::<Vec<_>>().concat());
    }
    seeds
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, (_, kind)) in in_records().enumerate() {
        for version in versions(kind.last_version) {
            let body = (kind.sample)(version);
            if !body.is_empty() {
                seeds.push([&[at as u8][..], &version.to_be_bytes(), &body].concat());
            }
        }
    }
    seeds
}
