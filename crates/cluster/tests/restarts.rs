//! Real nodes on loopback: what a restart, a lost or a full disk and a removed leader leave behind.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::{Options, Standing};
use polyport_cluster::operator::Operator;
use polyport_cluster::transport::{Secret, Tcp};
use polyport_cluster::{
    Cluster, Committed, Member, Members, Proposals, SnapshotWrite, StateMachine, seed,
};
use polyport_storage::disk::{Fault, SimDisk};

/// What was applied, under which indexes the members were announced, and how many proposals that was.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<(Vec<u8>, Vec<u64>, u64)>>, Proposals);

struct Copy(Vec<u8>);

impl SnapshotWrite for Copy {
    fn write_to(self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.0)
    }
}

impl StateMachine for Kept {
    fn apply(&mut self, committed: &[Committed<'_>]) -> io::Result<()> {
        for entry in committed {
            let mut kept = self.0.lock();
            kept.0.extend_from_slice(entry.bytes);
            kept.2 += 1;
            self.1.acknowledge(kept.2);
        }
        Ok(())
    }

    fn members_changed(&mut self, index: u64, _: &Members) {
        self.0.lock().1.push(index);
    }

    fn snapshot(&mut self) -> Box<dyn SnapshotWrite> {
        Box::new(Copy(self.0.lock().0.clone()))
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let mut kept = self.0.lock();
        // Where snapshots are taken, a proposal is a byte.
        kept.2 = bytes.len() as u64;
        kept.0 = bytes;
        Ok(())
    }
}

/// A directory that goes with the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

struct Node {
    cluster: Cluster,
    kept: Kept,
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn members(ports: &[u16]) -> Members {
    let member = |(at, port): (usize, &u16)| {
        (NodeId(at as u64 + 1), Member::voter(format!("127.0.0.1:{port}")))
    };
    ports.iter().enumerate().map(member).collect()
}

fn options(node: u64, ports: &[u16], dir: &Path) -> Options {
    Options::new(NodeId(node), members(ports), &dir.join(node.to_string()))
}

async fn start(node: u64, ports: &[u16], dir: &Path) -> Node {
    start_as(options(node, ports, dir), ports).await
}

async fn start_as(options: Options, ports: &[u16]) -> Node {
    let kept = Kept::default();
    let listen = format!("127.0.0.1:{}", ports[options.node.0 as usize - 1]);
    let cluster = Cluster::start_tcp(
        options,
        &listen,
        Secret::new("s"),
        Box::new(kept.clone()),
        kept.1.clone(),
        Arc::new(SystemClock),
        |_, _| {},
    );
    Node { cluster: cluster.await.unwrap(), kept }
}

/// Watched by polling, because applying has no other witness here; bounded.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about");
}

/// The number of the leader.
async fn leader(nodes: &[&Node]) -> u64 {
    let led = nodes.iter().map(|node| {
        let mut status = node.cluster.status();
        Box::pin(async move {
            status
                .wait_for(|s| s.standing == Standing::Leading && s.in_quorum)
                .await
                .unwrap()
                .node
                .0
        })
    });
    let led = futures_util::future::select_all(led);
    tokio::time::timeout(Duration::from_secs(20), led).await.unwrap().0
}

/// Waits until a node says that it may have forgotten something, or that it has not; bounded.
async fn until_forgetful(node: &Node, expected: bool) {
    let mut status = node.cluster.status();
    let said = status.wait_for(|s| s.forgetful == expected);
    tokio::time::timeout(Duration::from_secs(20), said).await.unwrap().unwrap();
}

fn content(node: &Node) -> Vec<u8> {
    node.kept.0.lock().0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_announces_the_members_under_their_own_index() {
    let dir = Directory::new("members");
    let ports = free_ports(1);
    let node = start(1, &ports, dir.path()).await;
    leader(&[&node]).await;
    for number in 1..=5u8 {
        node.kept.1.push(number.into(), &[number]);
    }
    until("all applied", || content(&node) == [1, 2, 3, 4, 5]).await;
    node.cluster.snapshot().await.unwrap();
    let snapshots = dir.path().join("1/snapshot");
    until("snapshot", || std::fs::read_dir(&snapshots).unwrap().count() > 0).await;
    let announced = node.kept.0.lock().1.clone();
    assert_eq!(announced, [0]);
    node.cluster.shutdown().await;
    // Its old listener still has the port.
    let node = start(1, &free_ports(1), dir.path()).await;
    leader(&[&node]).await;
    assert_eq!(content(&node), [1, 2, 3, 4, 5]);
    assert!(node.kept.0.lock().1.iter().all(|index| *index == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_filled_and_the_leader_lives() {
    let dir = Directory::new("lost");
    let ports = free_ports(3);
    let first = start(1, &ports, dir.path()).await;
    // Whether its disk is a new one or a lost one, only the others can tell.
    until_forgetful(&first, true).await;
    let operator = Operator::new(Secret::new("s"));
    assert!(operator.describe(&format!("127.0.0.1:{}", ports[0])).await.unwrap().forgetful);
    let second = start(2, &ports, dir.path()).await;
    let third = start(3, &ports, dir.path()).await;
    leader(&[&first, &second, &third]).await;
    for number in 1..=9u8 {
        third.kept.1.push(number.into(), &[number]);
    }
    let all: Vec<u8> = (1..=9).collect();
    for node in [&first, &second, &third] {
        until("all applied", || content(node) == all).await;
    }
    // Whoever leads must have seen the third's log before it is lost.
    third.cluster.transfer().await;
    leader(&[&first, &second]).await;
    third.cluster.shutdown().await;
    drop(third);
    std::fs::remove_dir_all(dir.path().join("3")).unwrap();
    // The port is the old node's until its listener has gone.
    let moved = free_ports(1)[0];
    let ports = [ports[0], ports[1], moved];
    first.cluster.reconfigure(members(&ports), None).await.unwrap();
    let third = start(3, &ports, dir.path()).await;
    until("filled again", || content(&third) == all).await;
    until_forgetful(&third, false).await;
    assert!(!operator.describe(&format!("127.0.0.1:{moved}")).await.unwrap().forgetful);
    for node in [&first, &second] {
        assert!(!node.cluster.status().borrow().failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_taken_away_stops_the_start() {
    let dir = Directory::new("gone");
    let ports = free_ports(1);
    let node = start(1, &ports, dir.path()).await;
    leader(&[&node]).await;
    node.kept.1.push(1, &[1]);
    until("applied", || content(&node) == [1]).await;
    // A backup makes a snapshot of what was applied.
    let operator = Operator::new(Secret::new("s"));
    let address = format!("127.0.0.1:{}", ports[0]);
    operator.backup(&address, &mut std::io::sink()).await.unwrap();
    node.cluster.shutdown().await;
    drop(node);
    let ports = free_ports(1);
    let options = options(1, &ports, dir.path());
    std::fs::remove_dir_all(&options.log_dir).unwrap();
    let (kept, address) = (Kept::default(), format!("127.0.0.1:{}", ports[0]));
    let started = Cluster::start_tcp(
        options.clone(),
        &address,
        Secret::new("s"),
        Box::new(kept.clone()),
        kept.1.clone(),
        Arc::new(SystemClock),
        |_, _| {},
    );
    let told = started.await.err().expect("the start stops").to_string();
    for part in [&options.log_dir.display().to_string(), "log is gone", "polyport restore"] {
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_can_be_taken_out() {
    let dir = Directory::new("leader");
    let ports = free_ports(3);
    let first = start(1, &ports, dir.path()).await;
    let second = start(2, &ports, dir.path()).await;
    let third = start(3, &ports, dir.path()).await;
    let old = leader(&[&first, &second, &third]).await;
    let address = |node: u64| format!("127.0.0.1:{}", ports[node as usize - 1]);
    let operator = Operator::new(Secret::new("s"));
    operator.remove(&address(old), NodeId(old)).await.unwrap();
    let (at, kept) = if old == 1 { (2, &second) } else { (1, &first) };
    let told = operator.describe(&address(at)).await.unwrap();
    assert_eq!(told.members.len(), 2);
    assert!(!told.members.contains_key(&NodeId(old)));
    kept.kept.1.push(1, &[7]);
    until("applied without it", || content(kept) == [7]).await;
    let mut backup = Vec::new();
    operator.backup(&address(at), &mut backup).await.unwrap();
    let file = dir.path().join("backup");
    std::fs::write(&file, &backup).unwrap();
    let mut read = Vec::new();
    seed::open_backup(&file).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filled_nodes_agree_and_full_ones_are_refused() {
    let dir = Directory::new("filled");
    let ports = free_ports(3);
    // The third is filled by the others.
    for node in 1..=2 {
        let options = options(node, &ports, dir.path());
        seed::fill(&options, |out| out.write_all(b"before")).unwrap();
        let again = seed::fill(&options, |_| Ok(())).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
    let mut nodes = Vec::new();
    for node in 1..=3 {
        nodes.push(start(node, &ports, dir.path()).await);
    }
    nodes[0].kept.1.push(7, b"!");
    for node in &nodes {
        until("the same everywhere", || content(node) == b"before!").await;
    }
}

fn snapshots(dir: &Directory) -> usize {
    let files = std::fs::read_dir(dir.path().join("1/snapshot")).unwrap();
    let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name();
    let names = files.map(|file| name(file).to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("snapshot.") && !name.ends_with(".tmp")).count()
}

/// Writes and makes a snapshot of it, so many times.
async fn make_snapshots(node: &Node, dir: &Directory, count: u8, kept: impl Fn(u8) -> usize) {
    for number in 1..=count {
        let before = content(node).len();
        node.kept.1.push(before as u64 + 1, &[number]);
        until("applied", || content(node).len() == before + 1).await;
        let made = node.cluster.observed().newest_snapshot();
        node.cluster.snapshot().await.unwrap();
        until("a snapshot", || node.cluster.observed().newest_snapshot() != made).await;
        assert_eq!(snapshots(dir), kept(number), "after {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_interval_old_snapshots_go_when_a_new_one_comes() {
    let dir = Directory::new("purging-at-once");
    let ports = free_ports(1);
    let node = start(1, &ports, dir.path()).await;
    leader(&[&node]).await;
    make_snapshots(&node, &dir, 5, |number| number.min(3).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_snapshots_stay_until_the_purge_task_runs_which_is_first_at_the_start() {
    let dir = Directory::new("purging-by-the-clock");
    let ports = free_ports(1);
    let by_the_hour = |ports: &[u16]| {
        let hour = Some(Duration::from_secs(3600));
        Options { purge_every: hour, ..options(1, ports, dir.path()) }
    };
    let node = start_as(by_the_hour(&ports), &ports).await;
    leader(&[&node]).await;
    make_snapshots(&node, &dir, 5, usize::from).await;
    node.cluster.shutdown().await;
    // Its old listener still has the port.
    let ports = free_ports(1);
    let node = start_as(by_the_hour(&ports), &ports).await;
    until("purged to three", || snapshots(&dir) == 3).await;
    leader(&[&node]).await;
    node.cluster.shutdown().await;
    let ports = free_ports(1);
    let often = Options { purge_every: Some(Duration::from_millis(20)), ..by_the_hour(&ports) };
    let node = start_as(often, &ports).await;
    leader(&[&node]).await;
    node.kept.1.push(content(&node).len() as u64 + 1, &[7]);
    until("applied", || content(&node).len() == 6).await;
    let made = node.cluster.observed().newest_snapshot();
    node.cluster.snapshot().await.unwrap();
    until("a snapshot", || node.cluster.observed().newest_snapshot() != made).await;
    until("purged again", || snapshots(&dir) == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_syncs_over_the_threshold_are_counted_as_slow() {
    let dir = Directory::new("slow-sync");
    for (slow, every) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let ports = free_ports(1);
        let node = start_as(Options { slow_sync: slow, ..options(1, &ports, dir.path()) }, &ports);
        let node = node.await;
        leader(&[&node]).await;
        node.cluster.shutdown().await;
        let observed = node.cluster.observed();
        let synced = || observed.sync.numbers().count;
        let slow = || observed.slow_syncs.load(std::sync::atomic::Ordering::Relaxed);
        assert!(synced() > 0);
        until("each counted or none", || slow() == if every { synced() } else { 0 }).await;
    }
}

/// A node alone, on a disk that a test can fill.
async fn start_on(disk: &SimDisk) -> Node {
    let kept = Kept::default();
    let mut options = options(1, &[1], Path::new("/node"));
    options.wal.prealloc_bytes = 1 << 16;
    let cluster = Cluster::start(
        options,
        disk.clone(),
        Tcp::new(Secret::new("s")),
        Box::new(kept.clone()),
        kept.1.clone(),
        Arc::new(SystemClock),
        Arc::new(|_, _| {}),
    );
    Node { cluster: cluster.await.unwrap(), kept }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_node_and_loses_nothing_that_was_applied() {
    for free in [0, 100, 5000, 70_000] {
        let disk = SimDisk::new();
        let node = start_on(&disk).await;
        leader(&[&node]).await;
        node.kept.1.push(1, b"before");
        until("applied", || content(&node) == b"before").await;
        disk.set_fault(Some(Fault::FullAfterBytes(free)));
        for number in 2..200 {
            node.kept.1.push(number, &[number as u8; 1000]);
        }
        let mut status = node.cluster.status();
        let failed = status.wait_for(|status| status.failed);
        tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap().unwrap();
        let applied = content(&node);
        // The process ends, space is freed.
        disk.kill();
        let again = start_on(&disk).await;
        leader(&[&again]).await;
        until("all is there again", || content(&again).starts_with(&applied)).await;
        let before = content(&again).len();
        again.kept.1.push(1, b"after");
        until("it takes writes again", || content(&again)[before..].ends_with(b"after")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_when_a_snapshot_cannot_be_written() {
    use std::sync::atomic::Ordering::Relaxed;
    let dir = Directory::new("no-snapshot");
    let node = start(1, &free_ports(1), dir.path()).await;
    leader(&[&node]).await;
    node.kept.1.push(1, &[1]);
    until("applied", || content(&node) == [1]).await;
    let snapshots = dir.path().join("1/snapshot");
    std::fs::remove_dir_all(&snapshots).unwrap();
    std::fs::write(&snapshots, b"in the way").unwrap();
    node.cluster.snapshot().await.unwrap();
    let errors = || node.cluster.observed().snapshot_errors.load(Relaxed);
    until("the snapshot failed", || errors() == 1).await;
    node.kept.1.push(2, &[2]);
    until("it still takes writes", || content(&node) == [1, 2]).await;
    std::fs::remove_file(&snapshots).unwrap();
    std::fs::create_dir(&snapshots).unwrap();
    node.cluster.snapshot().await.unwrap();
    until("the next is written", || std::fs::read_dir(&snapshots).unwrap().count() == 1).await;
    assert!(!node.cluster.status().borrow().failed);
    assert_eq!(errors(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_down_is_not_dialled_without_a_pause() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    let dir = Directory::new("down");
    // Connections to the third are closed at once, as to a process that is not there.
    let third = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [free_ports(2), vec![third.local_addr().unwrap().port()]].concat();
    let dialled = Arc::new(AtomicUsize::new(0));
    let count = dialled.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = third.accept().await {
            count.fetch_add(1, Relaxed);
            drop(connection);
        }
    });
    let first = start(1, &ports, dir.path()).await;
    let second = start(2, &ports, dir.path()).await;
    leader(&[&first, &second]).await;
    first.kept.1.push(1, &[1]);
    until("applied", || content(&first) == [1]).await;
    let before = dialled.load(Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // For entries and for heartbeats, each about every 50 ms.
    let times = dialled.load(Relaxed) - before;
    assert!((2..100).contains(&times), "dialled {times} times in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_voters_may_know_the_whole_cluster_before_they_are_part_of_it() {
    let dir = Directory::new("grown");
    let ports = free_ports(3);
    let first = start(1, &ports[..1], dir.path()).await;
    leader(&[&first]).await;
    // Their disks are empty and they are told of all three: for all they know, they were voters.
    let second = start(2, &ports, dir.path()).await;
    let third = start(3, &ports, dir.path()).await;
    // Long enough for them to have looked around once.
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.cluster.reconfigure(members(&ports), None).await.unwrap();
    first.kept.1.push(1, &[1]);
    for node in [&first, &second, &third] {
        until("written by a majority", || content(node) == [1]).await;
    }
}

/// Certificates of an authority of their own, for 127.0.0.1.
fn certificates(dir: &Path) -> Option<polyport_net::tls::Mutual> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let [ca_file, node_file] = [dir.join("ca.pem"), dir.join("node.pem")];
    std::fs::write(&ca_file, ca.pem()).unwrap();
    std::fs::write(&node_file, format!("{}{}", key.serialize_pem(), certificate.pem())).unwrap();
    let files =
        polyport_net::tls::Files { cert: node_file.clone(), key: node_file, ca: Some(ca_file) };
    Some(polyport_net::tls::Mutual::new(&files).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_with_certificates_reaches_encrypted_nodes() {
    let dir = Directory::new("operator-tls");
    let ports = free_ports(1);
    let tls = certificates(dir.path());
    let kept = Kept::default();
    let options = Options { tls: tls.clone(), ..options(1, &ports, dir.path()) };
    let listen = format!("127.0.0.1:{}", ports[0]);
    let cluster = Cluster::start_tcp(
        options,
        &listen,
        Secret::new("s"),
        Box::new(kept.clone()),
        kept.1.clone(),
        Arc::new(SystemClock),
        |_, _| {},
    );
    let node = Node { cluster: cluster.await.unwrap(), kept };
    leader(&[&node]).await;
    let operator = Operator::new(Secret::new("s"));
    assert!(operator.describe(&listen).await.is_err());
    let told = operator.with_tls(tls).describe(&listen).await.unwrap();
    assert_eq!(told.standing, Standing::Leading);
}
