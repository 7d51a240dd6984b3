use std::collections::VecDeque;

use polyport_base::rng::SplitMix64;
use polyport_tree::Acl;
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{OpCode, Request};

use crate::args::Op;

/// Children of each directory of keys.
pub const KEYS_PER_DIRECTORY: usize = 100;

/// Where a frame's xid is: behind its length.
const XID: std::ops::Range<usize> = 4..8;

/// Digits that number a created znode.
const DIGITS: usize = 10;

/// Yields request frames, encoded beforehand except for what must differ.
pub enum Frames {
    /// One of a fixed set, at random.
    Random { reads: Vec<Vec<u8>>, writes: Vec<Vec<u8>>, read_percent: u64, rng: SplitMix64 },
    /// A create whose path ends in a counter: `at` is where the digits are, one frame and counter
    /// for each connection.
    Counted { templates: Vec<Counter> },
    /// Each once, in order.
    Once(VecDeque<Vec<u8>>),
    /// `/preload-R/dNNNNNN/nNNNNNNNNNN`, numbered from `next` up to `end`.
    Preload { next: usize, end: usize, root: String, data: Vec<u8> },
}

/// A create frame whose path ends in digits.
pub struct Counter {
    frame: Vec<u8>,
    at: usize,
    next: u64,
}

impl Frames {
    /// Requests of `op` on keys that [`setup`] has made.
    pub fn on_keys(op: Op, keys: usize, data: &[u8], seed: u64) -> Self {
        let keys_of = |request: &dyn Fn(&str) -> Vec<u8>| -> Vec<Vec<u8>> {
            (0..keys).map(|key| request(&key_path(key))).collect()
        };
        let get = |path: &str| frame(&Request::GetData { path, watch: false });
        let set = |path: &str| frame(&Request::SetData { path, data: Some(data), version: -1 });
        let (reads, writes, read_percent) = match op {
            Op::Get => (keys_of(&get), vec![], 100),
            Op::Set => (vec![], keys_of(&set), 0),
            Op::Mix70 => (keys_of(&get), keys_of(&set), 70),
            Op::Children => {
                let list = |directory: usize| {
                    let path = directory_path(directory * KEYS_PER_DIRECTORY);
                    frame(&Request::GetChildren { path: &path, watch: false })
                };
                ((0..keys.div_ceil(KEYS_PER_DIRECTORY)).map(list).collect(), vec![], 100)
            }
            Op::Create => (vec![], vec![], 0),
        };
        Self::Random { reads, writes, read_percent, rng: SplitMix64::new(seed) }
    }

    /// Creates below `/create-R/cN`, one directory a connection, which must exist.
    pub fn creates(root: &str, connections: usize, data: &[u8]) -> Self {
        let template = |connection: usize| {
            let path = format!("{root}/c{connection}/n{:0DIGITS$}", 0);
            let frame = create(&path, data);
            // Length, xid, opcode, the path's own length.
            let at = 16 + path.len() - DIGITS;
            Counter { frame, at, next: 0 }
        };
        Self::Counted { templates: (0..connections).map(template).collect() }
    }

    /// Appends the next frame for a connection; false if there is none left.
    pub fn push(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        match self {
            Self::Random { reads, writes, read_percent, rng } => {
                let from = if rng.chance(*read_percent) { reads } else { writes };
                out.extend_from_slice(&from[rng.below(from.len() as u64) as usize]);
            }
            Self::Counted { templates } => {
                let counter = &mut templates[connection];
                put_digits(&mut counter.frame[counter.at..counter.at + DIGITS], counter.next);
                counter.next += 1;
                out.extend_from_slice(&counter.frame);
            }
            Self::Once(frames) => match frames.pop_front() {
                Some(frame) => out.extend_from_slice(&frame),
                None => return false,
            },
            Self::Preload { next, end, root, data } => {
                if next == end {
                    return false;
                }
                let path = format!("{root}/d{:06}/n{next:0DIGITS$}", *next / PRELOAD_DIRECTORY);
                out.extend_from_slice(&create(&path, data));
                *next += 1;
            }
        }
        out[start..][XID].copy_from_slice(&xid.to_be_bytes());
        true
    }
}

/// Znodes that [`Frames::Preload`] puts in a directory.
const PRELOAD_DIRECTORY: usize = 1000;

/// The directories that [`Frames::Preload`] needs, the root first.
pub fn preload_directories(root: &str, count: usize) -> Vec<Vec<u8>> {
    let directories = count.div_ceil(PRELOAD_DIRECTORY);
    std::iter::once(create(root, b""))
        .chain((0..directories).map(|d| create(&format!("{root}/d{d:06}"), b"")))
        .collect()
}

/// What makes the keys: a list of frames to be sent in turn; each must be answered before any of
/// the next.
pub fn setup(keys: usize, data: &[u8]) -> [Vec<Vec<u8>>; 3] {
    let directories = (0..keys).step_by(KEYS_PER_DIRECTORY);
    [
        vec![create(KEYS_ROOT, b"")],
        directories.map(|key| create(&directory_path(key), b"")).collect(),
        (0..keys).map(|key| create(&key_path(key), data)).collect(),
    ]
}

const KEYS_ROOT: &str = "/bench-keys";

fn directory_path(key: usize) -> String {
    format!("{KEYS_ROOT}/d{:05}", key / KEYS_PER_DIRECTORY)
}

fn key_path(key: usize) -> String {
    format!("{}/n{key:07}", directory_path(key))
}

/// A create of a persistent znode that all may use.
pub fn create(path: &str, data: &[u8]) -> Vec<u8> {
    frame(&Request::Create(Create {
        op: OpCode::Create,
        path,
        data: Some(data),
        acl: Acl::open(),
        flags: 0,
        ttl_ms: 0,
    }))
}

/// A request as it goes on the wire, its xid 0.
pub fn frame(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode_frame(0, &mut out);
    out
}

fn put_digits(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyport_wire::Cursor;
    use polyport_zookeeper::codec::RequestHeader;

    fn path_of(bytes: &[u8]) -> (i32, String) {
        let mut cursor = Cursor::new(&bytes[4..]);
        let header = RequestHeader::decode(&mut cursor).unwrap();
        let op = OpCode::from_i32(header.op).unwrap();
        match Request::decode(op, &mut cursor).unwrap() {
            Request::Create(create) => (header.xid, create.path.to_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn created_paths_count_up_on_each_connection() {
        let mut frames = Frames::creates("/create-7", 2, b"x");
        let mut next = |connection, xid| {
            let mut out = Vec::new();
            assert!(frames.push(connection, xid, &mut out));
            path_of(&out)
        };
        assert_eq!(next(1, 5), (5, "/create-7/c1/n0000000000".to_owned()));
        assert_eq!(next(1, 6), (6, "/create-7/c1/n0000000001".to_owned()));
        assert_eq!(next(0, 9), (9, "/create-7/c0/n0000000000".to_owned()));
    }

    #[test]
    fn preload_ends_after_its_last_znode() {
        let mut frames =
            Frames::Preload { next: 999, end: 1001, root: "/p".to_owned(), data: vec![] };
        let mut out = Vec::new();
        assert!(frames.push(0, 1, &mut out));
        assert_eq!(path_of(&out), (1, "/p/d000000/n0000000999".to_owned()));
        out.clear();
        assert!(frames.push(0, 2, &mut out));
        assert_eq!(path_of(&out), (2, "/p/d000001/n0000001000".to_owned()));
        assert!(!frames.push(0, 3, &mut out));
        assert_eq!(preload_directories("/p", 1001).len(), 3);
    }
}
