//! Our side of `compare/run.sh`, which says what the files are.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::ops::RangeInclusive;

use polyport_kafka_codec::messages::{Visitor, visit_all};
use polyport_kafka_codec::{ErrorCode, Message, Reader};

/// Made-up messages of each version.
const VARIANTS: u32 = 40;

type Encoded = Result<Vec<u8>, Box<dyn Error>>;

struct Kind {
    versions: RangeInclusive<i16>,
    /// Encodes a message in which nothing was set.
    encode_new: fn(version: i16) -> Encoded,
    /// Decodes bytes (or makes up a message out of them) and encodes it.
    encode_read: fn(reader: Reader, version: i16) -> Encoded,
}

#[derive(Default)]
struct All(BTreeMap<String, Kind>);

impl Visitor for All {
    fn visit<M: Message>(&mut self) {
        let versions = M::FIRST_VERSION..=M::LAST_VERSION;
        let encode_new = |version| encode(&M::default(), version);
        let encode_read =
            |mut reader: Reader, version| encode(&M::decode(&mut reader, version)?, version);
        self.0.insert(M::NAME.to_owned(), Kind { versions, encode_new, encode_read });
    }
}

fn encode<M: Message>(message: &M, version: i16) -> Encoded {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version)?;
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut all = All::default();
    visit_all(&mut all);
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["names"] => names(&all),
        ["write", names, file] => fs::write(file, write(&all, &fs::read_to_string(names)?)?)?,
        ["check", file] => check(&all, &fs::read(file)?)?,
        ["errors"] => errors(),
        _ => return Err("names | write NAMES FILE | check FILE | errors".into()),
    }
    Ok(())
}

fn names(all: &All) {
    for (name, kind) in &all.0 {
        println!("{name} {} {}", kind.versions.start(), kind.versions.end());
    }
}

fn errors() {
    for error in ErrorCode::ALL {
        println!("{} {} {} {}", error.code(), error.name(), error.is_retriable(), error.message());
    }
}

fn write(all: &All, names: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::new();
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        let kind = all.0.get(name).ok_or("no such message")?;
        for version in kind.versions.clone() {
            for variant in 0..VARIANTS {
                let bytes = (kind.encode_read)(Reader::filling(&bytes(variant)), version)?;
                out.extend_from_slice(&(name.len() as u16).to_be_bytes());
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(&version.to_be_bytes());
                out.push(0);
                out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                out.extend_from_slice(&bytes);
            }
        }
    }
    Ok(out)
}

/// Bytes that are always the same for the same variant.
fn bytes(variant: u32) -> Vec<u8> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let numbers = std::iter::successors(Some(variant), next);
    numbers.skip(1).take(50 * variant as usize).map(|number| (number >> 24) as u8).collect()
}

fn check(all: &All, file: &[u8]) -> Result<(), Box<dyn Error>> {
    let (mut count, mut wrong, mut rest) = (0, 0, file);
    while !rest.is_empty() {
        let name_length = usize::from(u16::from_be_bytes(*take(&mut rest)?));
        let name = std::str::from_utf8(take_slice(&mut rest, name_length)?)?;
        let version = i16::from_be_bytes(*take(&mut rest)?);
        let [is_new] = *take(&mut rest)?;
        let length = u32::from_be_bytes(*take(&mut rest)?) as usize;
        let bytes = take_slice(&mut rest, length)?;
        let kind = all.0.get(name).ok_or("no such message")?;
        let mut ours = vec![(kind.encode_read)(Reader::copied(bytes), version)];
        if is_new == 1 {
            ours.push((kind.encode_new)(version));
        }
        count += 1;
        for again in ours.iter().filter(|again| !matches!(again, Ok(again) if again == bytes)) {
            wrong += 1;
            eprintln!("{name} version {version}: {again:02x?} for {bytes:02x?}");
        }
    }
    println!("{count} messages of Kafka's read; {wrong} are written otherwise");
    if wrong == 0 { Ok(()) } else { Err("other bytes than Kafka's".into()) }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], &'static str> {
    let (taken, left) = rest.split_first_chunk().ok_or("the file ends early")?;
    *rest = left;
    Ok(taken)
}

fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (taken, left) = rest.split_at_checked(length).ok_or("the file ends early")?;
    *rest = left;
    Ok(taken)
}
