//! The machine's promises, shown by batches as the log would bring them.

#![allow(clippy::unwrap_used)]

use polyport_tree::access::Identities;
use polyport_tree::command::{BatchBuilder, Command, Submitter, Write};
use polyport_tree::machine::{Event, Fate, Machine, Outcome, Sink, Stamp};
use polyport_tree::session::SessionId;
use polyport_tree::{Acl, CreateMode, EventKind, Id, Perms, TreeError};

#[derive(Default)]
struct Told {
    events: Vec<(EventKind, String)>,
    results: Vec<Result<String, TreeError>>,
    closed: Vec<SessionId>,
    attached: Vec<SessionId>,
}

impl Sink for Told {
    fn event(&mut self, event: Event<'_>) {
        self.events.push((event.kind, event.path.to_owned()));
    }

    fn outcome(&mut self, _: &Machine, _: usize, _: i64, result: Result<Outcome<'_>, TreeError>) {
        self.results.push(match result {
            Ok(Outcome::Created(path, _)) => Ok(path.into_owned()),
            Ok(Outcome::Attached(id, ..)) => {
                self.attached.push(id);
                Ok("attached".to_owned())
            }
            Ok(Outcome::Multi(all)) => {
                let all: Vec<_> = all.into_iter().map(|one| one.map(|_| ())).collect();
                Ok(format!("{all:?}"))
            }
            Ok(_) => Ok("done".to_owned()),
            Err(error) => Err(error),
        });
    }

    fn session_closed(&mut self, session: SessionId) {
        self.closed.push(session);
    }
}

/// A machine with one node's open origin and one session.
struct Fixture {
    machine: Machine,
    origin: u64,
    sequence: u64,
    session: SessionId,
}

fn batch(origin: u64, sequence: u64, from: &Submitter<'_>, commands: &[Command<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    let number = builder.submitter(from);
    commands.iter().for_each(|command| builder.push(number, command));
    builder.finish(origin, sequence)
}

fn from(session: SessionId, ids: &[(&'static str, &'static str)]) -> Submitter<'static> {
    let who = Identities { ids: ids.to_vec(), bypass: false };
    Submitter { session, connection: 1, who, enforce_quota: true }
}

impl Fixture {
    fn new() -> Self {
        let mut machine = Machine::new();
        let mut told = Told::default();
        let open = [Command::OpenOrigin { node: 1, nonce: 9 }];
        let stamp = Stamp { term: 1, time_ms: 1000 };
        machine.apply(stamp, &batch(0, 0, &from(0, &[]), &open), &mut told).unwrap();
        let origin = machine.origin(1).unwrap().id;
        let mut fixture = Self { machine, origin, sequence: 0, session: 1 };
        let told = fixture.run(&[Command::CreateSession { timeout_ms: 9, password: [7; 16] }]);
        fixture.session = told.attached[0];
        fixture
    }

    fn run_as(&mut self, ids: &[(&'static str, &'static str)], commands: &[Command<'_>]) -> Told {
        let mut told = Told::default();
        let bytes = batch(self.origin, self.sequence, &from(self.session, ids), commands);
        let stamp = Stamp { term: 1, time_ms: 2000 };
        assert_eq!(self.machine.apply(stamp, &bytes, &mut told), Ok(Fate::Applied));
        self.sequence += 1;
        told
    }

    fn run(&mut self, commands: &[Command<'_>]) -> Told {
        self.run_as(&[], commands)
    }
}

fn create(path: &str, mode: CreateMode) -> Write<'_> {
    Write::Create { path, data: Some(b"x"), acl: Acl::open(), mode, ttl_ms: 50 }
}

fn snapshot(machine: &mut Machine) -> Vec<u8> {
    let (ticket, mut bytes) = machine.begin_snapshot();
    while machine.snapshot_piece(ticket, &mut bytes).unwrap() {}
    bytes
}

#[test]
fn a_batch_that_comes_twice_or_too_early_is_skipped() {
    let mut fixture = Fixture::new();
    let write = [Command::Write(create("/a-", CreateMode::PersistentSequential))];
    let bytes = batch(fixture.origin, 1, &from(fixture.session, &[]), &write);
    let early = batch(fixture.origin, 2, &from(fixture.session, &[]), &write);
    let stamp = Stamp { term: 2, time_ms: 0 };
    let mut told = Told::default();
    let mut apply = |bytes: &[u8]| fixture.machine.apply(stamp, bytes, &mut told).unwrap();
    assert_eq!(apply(&early), Fate::Gap);
    assert_eq!(apply(&bytes), Fate::Applied);
    assert_eq!(apply(&bytes), Fate::Duplicate);
    assert_eq!(apply(&early), Fate::Applied);
    assert_eq!(told.results, [Ok("/a-0000000000".to_owned()), Ok("/a-0000000001".to_owned())]);
}

#[test]
fn a_multi_that_fails_leaves_nothing_and_tells_nobody() {
    let mut fixture = Fixture::new();
    fixture.run(&[Command::Write(create("/p", CreateMode::Persistent))]);
    let before = snapshot(&mut fixture.machine);
    let told = fixture.run(&[Command::Multi(vec![
        create("/p/a", CreateMode::Persistent),
        create("/p/e", CreateMode::Ephemeral),
        Write::SetData { path: "/p", data: Some(b"new"), version: 0 },
        Write::Delete { path: "/p/a", version: -1 },
        create("/p/s-", CreateMode::PersistentSequential),
        Write::SetAcl { path: "/p", acl: Acl::open(), version: -1 },
        Write::Check { path: "/p", version: 99 },
        Write::Delete { path: "/p", version: -1 },
    ])]);
    use TreeError::{BadVersion, RolledBack, RuntimeInconsistency};
    let mut expected: Vec<Result<(), TreeError>> = vec![Err(RolledBack); 6];
    expected.extend([Err(BadVersion), Err(RuntimeInconsistency)]);
    assert_eq!(told.results, [Ok(format!("{expected:?}"))]);
    assert_eq!(told.events, []);
    let after = snapshot(&mut fixture.machine);
    // Only the counters of transactions and batches have moved on.
    let body = |bytes: &[u8]| {
        bytes[4 + u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize..].to_vec()
    };
    assert_eq!(body(&before), body(&after));
}

#[test]
fn ephemerals_go_with_their_session_and_it_alone() {
    let mut fixture = Fixture::new();
    fixture.run(&[
        Command::Write(create("/e", CreateMode::Ephemeral)),
        Command::Write(create("/keep", CreateMode::Persistent)),
    ]);
    let told = fixture.run(&[Command::Write(create("/e/child", CreateMode::Persistent))]);
    assert_eq!(told.results, [Err(TreeError::NoChildrenForEphemerals)]);
    let session = fixture.session;
    let late = Command::Expire { term: 0, sessions: vec![session] };
    assert_eq!(fixture.run(&[late]).closed, [], "found by a leader that is none any more");
    let told = fixture.run(&[Command::Expire { term: 1, sessions: vec![session, 12345] }]);
    assert_eq!(told.closed, [session]);
    assert_eq!(
        told.events,
        [
            (EventKind::NodeDeleted, "/e".to_owned()),
            (EventKind::NodeChildrenChanged, "/".to_owned())
        ]
    );
    assert!(fixture.machine.store().lookup("/e").is_none());
    assert!(fixture.machine.store().lookup("/keep").is_some());
    let told = fixture.run(&[Command::Write(create("/late", CreateMode::Persistent))]);
    assert_eq!(told.results, [Err(TreeError::SessionExpired)]);
}

#[test]
fn a_session_that_moved_leaves_its_old_connection_powerless() {
    let mut fixture = Fixture::new();
    let session = fixture.session;
    let elsewhere = Submitter { connection: 2, ..from(1, &[]) };
    let attach = [Command::Attach { session, password: &[7; 16], timeout_ms: 5 }];
    let stamp = Stamp { term: 1, time_ms: 0 };
    let mut told = Told::default();
    fixture
        .machine
        .apply(stamp, &batch(fixture.origin, 1, &elsewhere, &attach), &mut told)
        .unwrap();
    assert_eq!(told.attached, [session]);
    fixture.sequence = 2;
    let told = fixture.run(&[Command::Write(create("/x", CreateMode::Persistent))]);
    assert_eq!(told.results, [Err(TreeError::SessionMoved)]);
    let wrong = [Command::Attach { session, password: &[0; 16], timeout_ms: 5 }];
    let told = fixture.run(&wrong);
    assert_eq!(told.results, [Err(TreeError::SessionExpired)]);
}

#[test]
fn access_is_checked_where_zookeeper_checks_it() {
    let mut fixture = Fixture::new();
    let acl = vec![
        Acl { perms: Perms::READ, id: Id::anyone() },
        Acl { perms: Perms::ALL, id: Id::new("digest", "u:h") },
    ];
    let guarded =
        Write::Create { path: "/g", data: None, acl, mode: CreateMode::Persistent, ttl_ms: 0 };
    fixture.run(&[Command::Write(guarded)]);
    let writes = [
        Command::Write(create("/g/c", CreateMode::Persistent)),
        Command::Write(Write::SetData { path: "/g", data: None, version: -1 }),
        Command::Write(Write::SetAcl { path: "/g", acl: Acl::open(), version: -1 }),
        Command::Write(Write::Check { path: "/g", version: 0 }),
    ];
    let told = fixture.run(&writes);
    let denied = || Err(TreeError::NoAuth);
    assert_eq!(told.results, [denied(), denied(), denied(), Ok("done".to_owned())]);
    let told = fixture.run_as(&[("digest", "u:h")], &writes);
    assert!(told.results[..3].iter().all(Result::is_ok), "{:?}", told.results);
}

#[test]
fn a_snapshot_is_of_its_moment_however_much_changes_while_it_is_written() {
    let mut fixture = Fixture::new();
    for i in 0..3000 {
        let path = format!("/n{i}");
        fixture.run(&[Command::Write(create(&path, CreateMode::Persistent))]);
    }
    let expected = snapshot(&mut fixture.machine);
    let (ticket, mut bytes) = fixture.machine.begin_snapshot();
    let mut more = true;
    let mut i = 0;
    while more {
        more = fixture.machine.snapshot_piece(ticket, &mut bytes).unwrap();
        for _ in 0..200 {
            let old = format!("/n{i}");
            let new = format!("/new{i}");
            let last = format!("/n{}", 2999 - i);
            fixture.run(&[
                Command::Write(Write::Delete { path: &old, version: -1 }),
                Command::Write(create(&new, CreateMode::Persistent)),
                Command::Write(Write::SetData { path: &last, data: Some(b"later"), version: -1 }),
            ]);
            i += 1;
        }
    }
    assert_eq!(bytes, expected);
    let mut restored = Machine::read_snapshot(&mut &bytes[..]).unwrap();
    assert_eq!(snapshot(&mut restored), expected);
    assert_eq!(restored.store().len(), 3004);
}

#[test]
fn a_snapshot_that_was_overtaken_is_refused() {
    let mut machine = Machine::new();
    let (old, _) = machine.begin_snapshot();
    let (new, _) = machine.begin_snapshot();
    assert!(machine.snapshot_piece(old, &mut Vec::new()).is_err());
    assert!(!machine.snapshot_piece(new, &mut Vec::new()).unwrap());
    assert!(machine.snapshot_piece(new, &mut Vec::new()).is_err());
}

#[test]
fn hard_quotas_bind_and_usage_is_kept() {
    let mut fixture = Fixture::new();
    let node = |path: &'static str, data: &'static str| {
        let (mode, acl) = (CreateMode::Persistent, Acl::open());
        Command::Write(Write::Create { path, data: Some(data.as_bytes()), acl, mode, ttl_ms: 0 })
    };
    fixture.run(&[
        node("/q", ""),
        node("/zookeeper/quota/q", ""),
        node(
            "/zookeeper/quota/q/zookeeper_limits",
            "count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=3",
        ),
        node("/zookeeper/quota/q/zookeeper_stats", ""),
    ]);
    let told = fixture.run(&[node("/q/a", "123456"), node("/q/a", "1234"), node("/q/b", "")]);
    let quota = Err(TreeError::QuotaExceeded);
    assert_eq!(told.results, [quota.clone(), Ok("/q/a".into()), Ok("/q/b".into())]);
    let told = fixture.run(&[node("/q/c", "")]);
    assert_eq!(told.results, [quota]);
    let at = fixture.machine.store().lookup("/zookeeper/quota/q/zookeeper_stats").unwrap();
    assert_eq!(fixture.machine.store().data(at), Some(&b"count=3,bytes=4"[..]));
}

#[test]
fn zxids_rise_with_terms_and_within_them() {
    let mut fixture = Fixture::new();
    let first = fixture.machine.last_zxid();
    assert_eq!(first >> 32, 1);
    let write = [Command::Write(create("/a", CreateMode::Persistent)), Command::Sync];
    let bytes = batch(fixture.origin, 1, &from(fixture.session, &[]), &write);
    let stamp = Stamp { term: 7, time_ms: 0 };
    fixture.machine.apply(stamp, &bytes, &mut Told::default()).unwrap();
    assert_eq!(fixture.machine.last_zxid(), 7 << 32 | 1);
}
