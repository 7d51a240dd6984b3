//! What the log and the snapshots of the tree hold.

use polyport_tree::access::Identities;
use polyport_tree::command::{BatchBuilder, Command, Restore, Submitter, Write};
use polyport_tree::machine::Sink;
use polyport_tree::{Acl, CreateMode, Event, Machine, Outcome, Stamp, TreeError};
use polyport_wire::Cursor;

struct Nobody;

impl Sink for Nobody {
    fn event(&mut self, _: Event<'_>) {}
    fn outcome(&mut self, _: &Machine, _: usize, _: i64, _: Result<Outcome<'_>, TreeError>) {}
    fn session_closed(&mut self, _: i64) {}
}

/// A batch applied to a tree that has something in it, and the tree written out and read back.
pub fn tree_batch(bytes: &[u8]) {
    let mut machine = Machine::new();
    let stamp = Stamp { term: 1, time_ms: 1 };
    let applied = machine.apply(stamp, &furniture(), &mut Nobody);
    assert!(applied.is_ok(), "the furniture is well-formed");
    // An error is right for malformed bytes; the node stops then, so nothing is asked of the rest.
    if machine.apply(stamp, bytes, &mut Nobody).is_ok() {
        let written = written(&mut machine);
        let read = Machine::read_snapshot(&mut &written[..]);
        let mut read = read.unwrap_or_else(|error| panic!("own snapshot: {error}"));
        assert_eq!(read.last_zxid(), machine.last_zxid());
        assert_eq!(read.store().len(), machine.store().len());
        assert!(self::written(&mut read).len() == written.len(), "it writes out the same");
    }
}

/// A snapshot of the tree. What is read takes writes and is written out again.
pub fn tree_snapshot(bytes: &[u8]) {
    if !slots_are_small(bytes) {
        return;
    }
    if let Ok(mut machine) = Machine::read_snapshot(&mut &bytes[..]) {
        let stamp = Stamp { term: 1, time_ms: 1 };
        let applied = machine.apply(stamp, &furniture(), &mut Nobody);
        assert!(applied.is_ok(), "the furniture is well-formed");
        written(&mut machine);
    }
}

/// An operator's snapshot on its way through the log. Whatever it is, two nodes make the same of it
/// and go on; it may claim any slots.
pub fn tree_restore(bytes: &[u8]) {
    let replaced = || {
        let mut machine = Machine::new();
        let stamp = Stamp { term: 1, time_ms: 1 };
        for batch in [furniture(), restoring(bytes), furniture()] {
            let applied = machine.apply(stamp, &batch, &mut Nobody);
            assert!(applied.is_ok(), "the batches are well-formed");
        }
        assert_eq!(machine.restoring_bytes(), 0);
        let written = written(&mut machine);
        assert!(Machine::read_snapshot(&mut &written[..]).is_ok(), "own snapshot");
        (machine.last_zxid(), machine.store().len(), written.len())
    };
    assert_eq!(replaced(), replaced());
}

fn restoring(bytes: &[u8]) -> Vec<u8> {
    let middle = bytes.len() / 2;
    batch(&[
        Command::Restore(Restore::Begin { id: 7 }),
        Command::Restore(Restore::Piece { id: 7, number: 0, bytes: &bytes[..middle] }),
        Command::Restore(Restore::Piece { id: 7, number: 1, bytes: &bytes[middle..] }),
        Command::Restore(Restore::End { id: 7, len: bytes.len() as u64 }),
    ])
}

/// A slot's number takes memory by itself, as it must where most znodes were deleted. The checksums
/// of the file it came in vouch for it; here there are none.
fn slots_are_small(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let mut small = true;
    let mut record = |first: bool| {
        let len = cursor.u32("length")? as usize;
        let mut record = Cursor::new(cursor.take(len, "record")?);
        // Pieces of a restore are records as well, some of them shorter than a number.
        small &= first || record.u32("slot").is_ok_and(|slot| slot < 1 << 16);
        Ok::<_, polyport_wire::DecodeError>(())
    };
    let mut first = true;
    while record(std::mem::take(&mut first)).is_ok() {}
    small
}

fn written(machine: &mut Machine) -> Vec<u8> {
    let (ticket, mut out) = machine.begin_snapshot();
    loop {
        match machine.snapshot_piece(ticket, &mut out) {
            Ok(true) => {}
            Ok(false) => return out,
            Err(error) => panic!("nobody overtook this snapshot: {error}"),
        }
    }
}

fn server() -> Submitter<'static> {
    let who = Identities { ids: vec![("digest", "u:x")], bypass: true };
    Submitter { session: 0, connection: 0, who, enforce_quota: true }
}

fn batch(commands: &[Command<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    let number = builder.submitter(&server());
    commands.iter().for_each(|command| builder.push(number, command));
    builder.finish(0, 0)
}

fn create(path: &'static str, mode: CreateMode) -> Command<'static> {
    Command::Write(Write::Create { path, data: Some(b"x"), acl: Acl::open(), mode, ttl_ms: 1000 })
}

fn furniture() -> Vec<u8> {
    batch(&[
        create("/a", CreateMode::Persistent),
        create("/a/b", CreateMode::Persistent),
        create("/c", CreateMode::Container),
        Command::CreateSession { timeout_ms: 1000, password: [1; 16] },
    ])
}

pub(crate) fn batches() -> Vec<Vec<u8>> {
    let delete = || Write::Delete { path: "/a/b", version: -1 };
    let set = || Write::SetData { path: "/a", data: None, version: -1 };
    vec![
        batch(&[
            create("/d", CreateMode::PersistentSequential),
            create("/c/e", CreateMode::PersistentWithTtl),
            Command::Write(set()),
            Command::Write(Write::SetAcl { path: "/a", acl: Vec::new(), version: 0 }),
        ]),
        batch(&[Command::Multi(vec![
            delete(),
            set(),
            Write::Check { path: "/a", version: 0 },
            Write::Create {
                path: "/a/b",
                data: None,
                acl: Acl::open(),
                mode: CreateMode::Ephemeral,
                ttl_ms: 0,
            },
        ])]),
        batch(&[
            create("/zookeeper/quota/a", CreateMode::Persistent),
            create("/zookeeper/quota/a/zookeeper_limits", CreateMode::Persistent),
            Command::Write(Write::SetData {
                path: "/zookeeper/quota/a/zookeeper_limits",
                data: Some(b"count=3,bytes=100,countHardLimit=4,byteHardLimit=200"),
                version: -1,
            }),
            create("/a/f", CreateMode::Persistent),
            Command::Write(delete()),
        ]),
        batch(&[
            Command::Attach { session: 4, password: &[1; 16], timeout_ms: 5 },
            Command::Sync,
            Command::Expire { term: 1, sessions: vec![4, 5] },
            Command::Reap { path: "/c" },
            Command::OpenOrigin { node: 1, nonce: 9 },
            Command::CloseSession,
        ]),
        restoring(&written(&mut Machine::new())),
        batch(&[
            Command::Restore(Restore::Begin { id: 7 }),
            Command::Restore(Restore::Piece { id: 7, number: 0, bytes: b"\0\0\0\x09" }),
            Command::Restore(Restore::Cancel { id: 8 }),
        ]),
    ]
}

pub(crate) fn snapshots() -> Vec<Vec<u8>> {
    let mut machine = Machine::new();
    let stamp = Stamp { term: 1, time_ms: 1 };
    let mut seeds = vec![written(&mut machine)];
    let unfinished = batches().pop().unwrap_or_default();
    for bytes in [furniture(), batches().swap_remove(2), unfinished] {
        if machine.apply(stamp, &bytes, &mut Nobody).is_ok() {
            seeds.push(written(&mut machine));
        }
    }
    seeds
}
