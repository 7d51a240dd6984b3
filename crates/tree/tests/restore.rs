//! Replacing everything through the log: what every node must agree on, whatever the bytes are.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use polyport_tree::access::Identities;
use polyport_tree::command::{BatchBuilder, Command, Restore, Submitter, Write};
use polyport_tree::machine::{
    ABANDONED_AFTER_MS, Event, Fate, Machine, Outcome, RestoreError, Restored, Sink, Stamp,
};
use polyport_tree::session::SessionId;
use polyport_tree::{Acl, CreateMode, Stat, TreeError};

#[derive(Default)]
struct Told {
    events: usize,
    closed: Vec<SessionId>,
    attached: Vec<SessionId>,
    failed: Vec<TreeError>,
    zxids: Vec<i64>,
    restores: Vec<Result<Restored, RestoreError>>,
}

impl Sink for Told {
    fn event(&mut self, _: Event<'_>) {
        self.events += 1;
    }

    fn outcome(
        &mut self,
        _: &Machine,
        _: usize,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    ) {
        self.zxids.push(zxid);
        match result {
            Ok(Outcome::Attached(id, ..)) => self.attached.push(id),
            Ok(Outcome::Restored(restored)) => self.restores.push(Ok(restored)),
            Ok(Outcome::NotRestored(error)) => self.restores.push(Err(error)),
            Ok(_) => {}
            Err(error) => self.failed.push(error),
        }
    }

    fn session_closed(&mut self, session: SessionId) {
        self.closed.push(session);
    }
}

/// A machine of which node 1 is told everything.
struct Cluster {
    machine: Machine,
    origin: u64,
    sequence: u64,
    stamp: Stamp,
}

impl Cluster {
    fn new(term: u64) -> Self {
        let stamp = Stamp { term, time_ms: 1000 };
        let mut cluster = Self { machine: Machine::new(), origin: 0, sequence: 0, stamp };
        cluster.run(0, &[Command::OpenOrigin { node: 1, nonce: 9 }]);
        cluster.origin = cluster.machine.origin(1).unwrap().id;
        cluster.sequence = 0;
        cluster
    }

    fn run(&mut self, session: SessionId, commands: &[Command<'_>]) -> Told {
        let mut builder = BatchBuilder::default();
        let who = Identities { ids: Vec::new(), bypass: false };
        let from = Submitter { session, connection: 5, who, enforce_quota: true };
        let number = builder.submitter(&from);
        commands.iter().for_each(|command| builder.push(number, command));
        let batch = builder.finish(self.origin, self.sequence);
        self.sequence += 1;
        let mut told = Told::default();
        assert_eq!(self.machine.apply(self.stamp, &batch, &mut told), Ok(Fate::Applied));
        told
    }

    fn session(&mut self) -> SessionId {
        self.run(1, &[Command::CreateSession { timeout_ms: 9000, password: [7; 16] }]).attached[0]
    }

    fn create(&mut self, session: SessionId, path: &str, mode: CreateMode) {
        let data = Some(path.as_bytes());
        let write = Write::Create { path, data, acl: Acl::open(), mode, ttl_ms: 0 };
        assert_eq!(self.run(session, &[Command::Write(write)]).failed, []);
    }

    fn snapshot(&mut self) -> Vec<u8> {
        let (ticket, mut bytes) = self.machine.begin_snapshot();
        while self.machine.snapshot_piece(ticket, &mut bytes).unwrap() {}
        bytes
    }

    /// The same machine on a node that got it as a snapshot.
    fn copy(&mut self) -> Self {
        let bytes = self.snapshot();
        let machine = Machine::read_snapshot(&mut &bytes[..]).unwrap();
        Self { machine, ..*self }
    }

    fn begin(&mut self, id: u64, bytes: &[u8]) {
        self.run(0, &[Command::Restore(Restore::Begin { id })]);
        for (number, bytes) in bytes.chunks(100).enumerate() {
            let piece = Restore::Piece { id, number: number as u32, bytes };
            assert_eq!(self.run(0, &[Command::Restore(piece)]).restores, []);
        }
    }

    fn end(&mut self, id: u64, bytes: &[u8]) -> Told {
        self.run(0, &[Command::Restore(Restore::End { id, len: bytes.len() as u64 })])
    }

    fn restore(&mut self, bytes: &[u8]) -> Told {
        self.begin(3, bytes);
        self.end(3, bytes)
    }

    fn tree(&self) -> BTreeMap<String, (Option<Vec<u8>>, Stat, Vec<Acl>)> {
        let store = self.machine.store();
        let mut open = vec![store.lookup("/").unwrap()];
        let mut tree = BTreeMap::new();
        while let Some(at) = open.pop() {
            let acl = self.machine.acls().get(store.acl(at)).to_vec();
            let node = (store.data(at).map(<[u8]>::to_vec), store.stat(at), acl);
            assert!(tree.insert(store.path(at), node).is_none());
            open.extend(store.children(at));
        }
        assert_eq!(tree.len(), store.len());
        tree
    }

    fn paths(&self) -> Vec<String> {
        self.tree().into_keys().filter(|path| !path.starts_with("/zookeeper")).collect()
    }

    fn assert_same(&self, other: &Self) {
        assert_eq!(self.tree(), other.tree());
        assert_eq!(self.machine.last_zxid(), other.machine.last_zxid());
        let sessions = |of: &Self| {
            let sessions = of.machine.sessions().iter();
            let one = |(id, s): (&SessionId, &polyport_tree::session::Session)| {
                (*id, s.timeout_ms, s.password, s.attachment, of.machine.ephemerals(*id, "/").len())
            };
            sessions.map(one).collect::<Vec<_>>()
        };
        assert_eq!(sessions(self), sessions(other));
        assert_eq!(self.machine.origin(1), other.machine.origin(1));
        assert_eq!(self.machine.restoring_bytes(), other.machine.restoring_bytes());
    }
}

/// A cluster with something in it, whose backup is taken, and what it became afterwards.
fn backed_up() -> (Cluster, Vec<u8>, SessionId) {
    let mut cluster = Cluster::new(1);
    let session = cluster.session();
    cluster.create(session, "/old", CreateMode::Persistent);
    cluster.create(session, "/old/child", CreateMode::Persistent);
    cluster.create(session, "/old/mine", CreateMode::Ephemeral);
    cluster.machine.set_config(b"members of then", &mut Told::default());
    let backup = cluster.snapshot();
    cluster.machine.set_config(b"members of now", &mut Told::default());
    let delete = Write::Delete { path: "/old/child", version: -1 };
    assert_eq!(cluster.run(session, &[Command::Write(delete)]).failed, []);
    cluster.create(session, "/new", CreateMode::Persistent);
    (cluster, backup, session)
}

#[test]
fn everything_is_replaced_but_what_belongs_to_the_living_cluster() {
    let (mut cluster, backup, session) = backed_up();
    let later = cluster.session();
    let before = cluster.machine.last_zxid();
    let told = cluster.restore(&backup);
    let restored = told.restores[0].clone().unwrap();
    assert_eq!((restored.znodes, restored.sessions, restored.ended), (6, 0, 2));
    // The session is in the backup too; its client is told that it is over, and its ephemeral goes.
    assert_eq!(cluster.paths(), ["/", "/old", "/old/child"]);
    assert_eq!(told.closed, [session, later]);
    assert_eq!(told.events, 0, "nobody is there to be told");
    assert!(cluster.machine.sessions().is_empty());
    assert!(restored.zxid > before);
    assert_eq!(told.zxids, [restored.zxid]);
    assert_eq!(cluster.machine.last_zxid(), restored.zxid);
    let store = cluster.machine.store();
    let config = store.lookup("/zookeeper/config").unwrap();
    assert_eq!(store.data(config), Some(&b"members of now"[..]));
    assert_eq!(cluster.machine.origin(1).unwrap().id, cluster.origin);
    assert_eq!(cluster.machine.restoring_bytes(), 0);

    let create = Write::Create {
        path: "/x",
        data: None,
        acl: Acl::open(),
        mode: CreateMode::Persistent,
        ttl_ms: 0,
    };
    assert_eq!(cluster.run(session, &[Command::Write(create)]).failed, [TreeError::SessionExpired]);
    let attach = Command::Attach { session, password: &[7; 16], timeout_ms: 9 };
    assert_eq!(cluster.run(1, &[attach]).failed, [TreeError::SessionExpired]);
    let fresh = cluster.session();
    cluster.create(fresh, "/after", CreateMode::Ephemeral);
    assert_eq!(cluster.paths(), ["/", "/after", "/old", "/old/child"]);
    let written = cluster.snapshot();
    assert!(Machine::read_snapshot(&mut &written[..]).is_ok());
}

#[test]
fn another_clusters_backup_brings_its_sessions_and_raises_the_zxid_above_its_own() {
    let (mut old, _, session) = backed_up();
    old.stamp.term = 70;
    old.create(session, "/late", CreateMode::Persistent);
    let (backup, newest) = (old.snapshot(), old.machine.last_zxid());
    let mut young = Cluster::new(1);
    // Sessions are numbered by zxid and node: this one of the young cluster must be another.
    for _ in 0..9 {
        young.create(0, "/t", CreateMode::PersistentSequential);
    }
    let own = young.session();
    assert_ne!(own, session);
    let told = young.restore(&backup);
    assert_eq!(told.restores[0].clone().unwrap().zxid, newest + 1);
    assert_eq!(told.closed, [own]);
    assert_eq!(young.machine.ephemerals(session, "/"), ["/old/mine"]);
    // Not by the connection it had there, but its client may come back.
    let write = Write::Delete { path: "/late", version: -1 };
    assert_eq!(young.run(session, &[Command::Write(write)]).failed, [TreeError::SessionMoved]);
    let attach = Command::Attach { session, password: &[7; 16], timeout_ms: 9 };
    assert_eq!(young.run(1, &[attach]).attached, [session]);
    assert!(young.machine.last_zxid() > newest + 2);
}

#[test]
fn nodes_that_know_it_from_the_log_or_from_a_snapshot_agree() {
    let (mut cluster, backup, _) = backed_up();
    let mut early = cluster.copy();
    cluster.begin(3, &backup[..250]);
    early.begin(3, &backup[..250]);
    let mut late = cluster.copy();
    assert_eq!(late.machine.restoring_bytes(), 250);
    for node in [&mut cluster, &mut early, &mut late] {
        let piece = Restore::Piece { id: 3, number: 3, bytes: &backup[250..] };
        assert_eq!(node.run(0, &[Command::Restore(piece)]).restores, []);
        assert!(node.end(3, &backup).restores[0].is_ok());
        node.create(0, "/same", CreateMode::Persistent);
    }
    cluster.assert_same(&early);
    cluster.assert_same(&late);
}

#[test]
fn a_snapshot_in_progress_is_of_its_moment() {
    let (mut cluster, backup, session) = backed_up();
    for number in 0..3000 {
        let name = format!("/new/{number}-{}", "x".repeat(60));
        cluster.create(session, &name, CreateMode::Persistent);
    }
    let expected = cluster.copy();
    let (ticket, mut bytes) = cluster.machine.begin_snapshot();
    assert!(cluster.machine.snapshot_piece(ticket, &mut bytes).unwrap());
    let delete = Write::Delete { path: "/old/mine", version: -1 };
    assert_eq!(cluster.run(session, &[Command::Write(delete)]).failed, []);
    assert!(cluster.restore(&backup).restores[0].is_ok());
    cluster.create(0, "/after", CreateMode::Persistent);
    assert!(cluster.restore(&backup).restores[0].is_ok());
    while cluster.machine.snapshot_piece(ticket, &mut bytes).unwrap() {}
    let machine = Machine::read_snapshot(&mut &bytes[..]).unwrap();
    Cluster { machine, ..expected }.assert_same(&expected);
    // The session that the first restore ended is again one that may come back.
    assert_eq!(cluster.paths(), ["/", "/old", "/old/child", "/old/mine"]);
}

#[test]
fn broken_bytes_change_nothing() {
    let (mut cluster, backup, _) = backed_up();
    let before = cluster.tree();
    let sessions = cluster.machine.sessions().clone();
    for cut in 0..backup.len() {
        let told = cluster.restore(&backup[..cut]);
        assert!(matches!(told.restores[..], [Err(RestoreError::Unusable(_))]), "cut at {cut}");
        assert_eq!(told.closed, []);
    }
    let longer = [&backup[..], b"x"].concat();
    assert!(matches!(cluster.restore(&longer).restores[..], [Err(RestoreError::Unusable(_))]));
    assert_eq!(cluster.tree(), before);
    assert_eq!(*cluster.machine.sessions(), sessions);
    // Whatever one bit makes of it, two nodes make the same of it.
    for at in 0..backup.len() {
        let mut bytes = backup.clone();
        bytes[at] ^= 1 << (at % 8);
        let (mut one, mut other) = (cluster.copy(), cluster.copy());
        assert_eq!(one.restore(&bytes).restores, other.restore(&bytes).restores, "byte {at}");
        one.assert_same(&other);
        // Permitted or not, it is decided.
        let data = Write::SetData { path: "/", data: None, version: -1 };
        assert_eq!(one.run(0, &[Command::Write(data)]).zxids.len(), 1);
    }
}

#[test]
fn a_backup_that_leaves_no_numbers_to_count_with_is_refused() {
    let (mut cluster, backup, _) = backed_up();
    // Length of the head, version, then the last zxid.
    for (zxid, accepted) in [(i64::MAX / 2, true), (i64::MAX / 2 + 1, false)] {
        let mut bytes = backup.clone();
        bytes[5..13].copy_from_slice(&zxid.to_be_bytes());
        let told = cluster.restore(&bytes);
        assert_eq!(told.restores[0].is_ok(), accepted, "{zxid:x}: {:?}", told.restores);
        for number in 0..5 {
            cluster.create(0, &format!("/{accepted}{number}"), CreateMode::Persistent);
        }
        // What this node writes it can read.
        cluster.copy();
    }
}

#[test]
fn pieces_out_of_turn_and_overtaken_restores_are_refused() {
    let (mut cluster, backup, _) = backed_up();
    let overtaken = [Err(RestoreError::Overtaken)];
    let piece = |id, number| Command::Restore(Restore::Piece { id, number, bytes: b"x" });
    assert_eq!(cluster.end(3, &backup).restores, overtaken);
    cluster.begin(3, &backup);
    // Another operator begins: the first is over.
    cluster.begin(4, &backup);
    assert_eq!(cluster.run(0, &[piece(3, 9)]).restores, overtaken);
    assert_eq!(cluster.end(3, &backup).restores, overtaken);
    assert!(cluster.end(4, &backup).restores[0].is_ok());
    // A piece is missing.
    cluster.run(0, &[Command::Restore(Restore::Begin { id: 5 })]);
    assert_eq!(cluster.run(0, &[piece(5, 1)]).restores, [Err(RestoreError::OutOfTurn(1))]);
    assert_eq!(cluster.end(5, b"").restores, overtaken);
    cluster.begin(6, &backup);
    let short = cluster.run(0, &[Command::Restore(Restore::End { id: 6, len: 1 })]);
    assert!(matches!(short.restores[..], [Err(RestoreError::Incomplete(_, 1))]));
    cluster.begin(7, &backup);
    cluster.run(0, &[Command::Restore(Restore::Cancel { id: 6 })]);
    assert!(cluster.machine.restoring_bytes() > 0);
    cluster.run(0, &[Command::Restore(Restore::Cancel { id: 7 })]);
    assert_eq!(cluster.machine.restoring_bytes(), 0);
}

#[test]
fn an_abandoned_restore_is_forgotten_by_the_time_of_the_log() {
    let (mut cluster, backup, _) = backed_up();
    cluster.begin(3, &backup);
    cluster.stamp.time_ms += ABANDONED_AFTER_MS;
    cluster.run(0, &[Command::Sync]);
    assert_eq!(cluster.machine.restoring_bytes(), backup.len() as u64);
    let mut other = cluster.copy();
    for node in [&mut cluster, &mut other] {
        node.stamp.time_ms += 1;
        node.run(0, &[Command::Sync]);
        assert_eq!(node.machine.restoring_bytes(), 0);
        assert_eq!(node.end(3, &backup).restores, [Err(RestoreError::Overtaken)]);
    }
}

/// A snapshot of these records, after the head of a new machine's.
fn forged(records: &[(u32, u32, &str)]) -> Vec<u8> {
    let mut cluster = Cluster::new(1);
    let head = {
        let bytes = cluster.snapshot();
        let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        bytes[..4 + len].to_vec()
    };
    let mut bytes = head;
    let reserved = [(0, u32::MAX, ""), (1, 0, "zookeeper"), (2, 1, "quota"), (3, 1, "config")];
    for (slot, parent, name) in reserved.iter().chain(records) {
        let mut record = Vec::new();
        record.extend(slot.to_be_bytes());
        record.extend(parent.to_be_bytes());
        record.extend([0; 16]);
        record.extend(0_u32.to_be_bytes());
        record.extend((name.len() as u32).to_be_bytes());
        record.extend(name.as_bytes());
        record.push(0);
        bytes.extend((record.len() as u32).to_be_bytes());
        bytes.extend(record);
    }
    bytes.extend(u32::MAX.to_be_bytes());
    bytes
}

#[test]
fn a_forged_tree_is_refused_and_takes_no_memory_for_its_numbers() {
    let outcome = |records: &[(u32, u32, &str)]| {
        let mut cluster = Cluster::new(1);
        let told = cluster.restore(&forged(records));
        (told.restores[0].is_ok(), cluster)
    };
    // Slots far apart are as good as any.
    let (ok, cluster) = outcome(&[(9, 4_000_000_000, "b"), (4_000_000_000, 0, "a")]);
    assert!(ok);
    assert_eq!(cluster.paths(), ["/", "/a", "/a/b"]);
    for (why, records) in [
        ("the same twice", &[(4, 0, "a"), (5, 0, "a")][..]),
        ("its own parent", &[(4, 4, "a")]),
        ("in a circle", &[(4, 5, "a"), (5, 4, "a")]),
        ("no such parent", &[(4, 9, "a")]),
        ("a second root", &[(4, u32::MAX, "a")]),
        ("out of order", &[(5, 0, "a"), (4, 0, "b")]),
        ("the same slot", &[(4, 0, "a"), (4, 0, "b")]),
        ("the last number", &[(u32::MAX, 0, "a")]),
        ("a slash", &[(4, 0, "a/b")]),
        ("no name", &[(4, 0, "")]),
        ("two dots", &[(4, 0, "..")]),
        ("too long", &[(4, 0, &"n".repeat(0x8000)[..])]),
    ] {
        assert!(!outcome(records).0, "{why}");
    }
}
