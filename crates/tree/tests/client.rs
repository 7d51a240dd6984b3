//! The client within the process, on one node and on three.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_tree::client::{self, Client, ClientError, Done, MAX_BYTES, WatchEvent, writes};
use polyport_tree::replica::{Settings, Unstarted};
use polyport_tree::watch::WatchKind;
use polyport_tree::{CreateMode, EventKind, TreeError};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

struct Node {
    cluster: Cluster,
    client: Client,
}

async fn start(id: u64, ports: &[u16], dir: &Path, nonce: u64) -> Node {
    let member = |(at, port): (usize, &u16)| {
        (NodeId(at as u64 + 1), Member::voter(format!("127.0.0.1:{port}")))
    };
    let members: Members = ports.iter().enumerate().map(member).collect();
    let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
    let settings = Settings { tick: Duration::from_millis(100), ..Settings::new(NodeId(id)) };
    let tree = Unstarted::new(settings, clock.clone(), proposals.clone(), nonce);
    let listen = format!("127.0.0.1:{}", ports[id as usize - 1]);
    let cluster = Cluster::start_tcp(
        Options::new(NodeId(id), members, &dir.join(id.to_string())),
        &listen,
        Secret::new("of a test"),
        tree.state_machine(),
        proposals,
        clock,
        tree.on_note(),
    );
    let cluster = cluster.await.unwrap();
    let replica = tree.start(cluster.clone());
    let options =
        client::Options { session_timeout: Duration::from_millis(1000), max_outstanding: 8 };
    let client = in_time(Client::open(replica, options)).await.unwrap();
    Node { cluster, client }
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn refused(at: usize, error: TreeError) -> ClientError {
    ClientError::Refused { at, error }
}

#[tokio::test]
async fn writes_answer_what_became_of_them() {
    let dir = Directory::new("client-writes");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = &node.client;
    let made = client.write(writes::create("/a", b"1")).await.unwrap();
    assert_eq!(made.stat().map(|stat| (stat.version, stat.czxid)), Some((0, made.zxid)));
    assert_eq!(client.write(writes::set("/a", b"2", 0)).await.unwrap().stat().unwrap().version, 1);
    let stale = client.write(writes::set("/a", b"3", 0)).await;
    assert_eq!(stale, Err(refused(0, TreeError::BadVersion)));
    assert_eq!(stale.unwrap_err().refusal(), Some(TreeError::BadVersion));

    let sequential = writes::create_as("/a/s-", b"", CreateMode::PersistentSequential);
    let all = vec![writes::check("/a", 1), sequential, writes::create_bare("/a/b")];
    let done = client.multi(all).await.unwrap().done;
    assert!(matches!(&done[..], [Done::Done, Done::Created(path, _), Done::Created(..)]
        if path == "/a/s-0000000000"));
    let all =
        vec![writes::create_bare("/a/c"), writes::delete("/nothing", -1), writes::delete("/a", -1)];
    assert_eq!(client.multi(all).await, Err(refused(1, TreeError::NoNode)));
    assert_eq!(client.get("/a/c"), None);

    let mut names: Vec<_> = client.read(|tree| tree.children("/a").map(str::to_owned).collect());
    names.sort();
    assert_eq!(names, ["b", "s-0000000000"]);
    client.sync().await.unwrap();
    assert_eq!(client.get("/a").unwrap().0, b"2");
}

#[tokio::test]
async fn what_is_on_its_way_is_limited() {
    let dir = Directory::new("client-limits");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = node.client.clone();
    let long = vec![0; MAX_BYTES];
    let write = client.write(writes::create("/long", &long)).await;
    assert!(matches!(write, Err(ClientError::TooLong(len)) if len > MAX_BYTES), "{write:?}");
    // Many more than may be on their way at once, and all of them get there.
    let mut all = tokio::task::JoinSet::new();
    for number in 0..200 {
        let client = client.clone();
        all.spawn(async move {
            client.write(writes::create(&format!("/n{number}"), b"")).await.unwrap();
        });
    }
    in_time(all.join_all()).await;
    assert_eq!(client.read(|tree| tree.children("/").count()), 201);
    in_time(client.clone().close()).await.unwrap();
    let closed = client.write(writes::create("/late", b"")).await;
    assert_eq!(closed, Err(ClientError::Closed));
}

#[tokio::test]
async fn watches_tell_everything_in_order() {
    let dir = Directory::new("client-watches");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = &node.client;
    client.write(writes::create("/w", b"")).await.unwrap();
    let mut watch = client.watch(WatchKind::PersistentRecursive, &["/w", "/v"]);
    assert_eq!(in_time(watch.next()).await, WatchEvent::Lost);
    let mut zxids = vec![];
    for write in [
        writes::create("/w/a", b"1"),
        writes::set("/w/a", b"2", -1),
        writes::create("/elsewhere", b""),
        writes::create("/v", b""),
        writes::delete("/w/a", -1),
    ] {
        zxids.push(client.write(write).await.unwrap().zxid);
    }
    let mut told = vec![];
    for _ in 0..4 {
        let WatchEvent::Changed(changed) = in_time(watch.next()).await else { panic!("lost") };
        told.push((changed.kind, changed.path.into_string(), changed.zxid));
    }
    let expected = [
        (EventKind::NodeCreated, "/w/a", zxids[0]),
        (EventKind::NodeDataChanged, "/w/a", zxids[1]),
        (EventKind::NodeCreated, "/v", zxids[3]),
        (EventKind::NodeDeleted, "/w/a", zxids[4]),
    ];
    assert!(told.iter().map(|(k, p, z)| (*k, p.as_str(), *z)).eq(expected), "{told:?}");
    client.write(writes::set("/v", b"3", -1)).await.unwrap();
    watch.ready().await;
    let (data, events) = watch.collect(|tree, changes| {
        (tree.get("/v").unwrap().0.to_vec(), (changes.lost, changes.events.len()))
    });
    assert_eq!((data, events), (b"3".to_vec(), (false, 1)));
    let watches = || client.replica().view(|view| view.watches.len());
    assert_eq!(watches(), 2);
    drop(watch);
    assert_eq!(watches(), 0);
}

#[tokio::test]
async fn who_does_not_listen_is_told_to_read_again() {
    let dir = Directory::new("client-overflow");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = &node.client;
    let mut watch = client.watch(WatchKind::PersistentRecursive, &["/"]);
    watch.collect(|_, changes| assert!(changes.lost));
    client.write(writes::create("/n", b"")).await.unwrap();
    for _ in 0..70 {
        let all = vec![writes::set("/n", b"", -1); 1000];
        client.multi(all).await.unwrap();
    }
    watch.collect(|_, changes| assert!(changes.lost && changes.events.is_empty()));
    client.write(writes::set("/n", b"", -1)).await.unwrap();
    assert!(matches!(in_time(watch.next()).await, WatchEvent::Changed(_)));
}

#[tokio::test]
async fn the_session_lives_beyond_its_timeout_and_ends_when_closed() {
    let dir = Directory::new("client-session");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = node.client.clone();
    let other = Client::open(client.replica().clone(), client::Options::default()).await.unwrap();
    let mut watch = other.watch(WatchKind::PersistentRecursive, &["/e"]);
    assert_eq!(watch.next().await, WatchEvent::Lost);
    client.write(writes::create_as("/e", b"", CreateMode::Ephemeral)).await.unwrap();
    assert!(matches!(in_time(watch.next()).await, WatchEvent::Changed(_)));
    // Nothing but the passing of time can show that it does not expire.
    assert!(tokio::time::timeout(Duration::from_millis(2500), watch.next()).await.is_err());
    let owner = other.get("/e").unwrap().1.ephemeral_owner;
    assert_eq!(owner, *client.session().borrow());
    assert!(!other.is_left_behind(owner));
    in_time(client.close()).await.unwrap();
    let WatchEvent::Changed(gone) = in_time(watch.next()).await else { panic!("lost") };
    assert_eq!(gone.kind, EventKind::NodeDeleted);
}

#[tokio::test]
async fn a_lost_session_is_replaced_and_its_owner_told() {
    let dir = Directory::new("client-lost");
    let node = start(1, &free_ports(1), &dir.0, 1).await;
    let client = &node.client;
    let mut session = client.session();
    let first = *session.borrow_and_update();
    client.write(writes::create_as("/e", b"", CreateMode::Ephemeral)).await.unwrap();
    // A restore ends every session.
    let backup = node.cluster.backup().await.unwrap();
    let (frames, received) = tokio::sync::mpsc::channel(64);
    let restored = client.replica().restore(received);
    let send = async move {
        let mut sent = 0;
        while sent < backup.len {
            let piece = backup.piece(sent).unwrap();
            sent += piece.len() as u64;
            frames.send(piece).await.unwrap();
        }
        frames.send(bytes::Bytes::new()).await.unwrap();
    };
    let (restored, ()) = in_time(async { tokio::join!(restored, send) }).await;
    restored.unwrap();
    let new = in_time(session.wait_for(|now| *now != 0 && *now != first));
    let new = *new.await.unwrap();
    assert_ne!(new, first);
    let made = client.write(writes::create_as("/e2", b"", CreateMode::Ephemeral)).await.unwrap();
    assert_eq!(made.stat().unwrap().ephemeral_owner, new);
}

#[tokio::test]
async fn what_an_earlier_process_left_behind_is_known_as_such() {
    let dir = Directory::new("client-behind");
    let first = start(1, &free_ports(1), &dir.0, 1).await;
    let write = writes::create_as("/e", b"", CreateMode::Ephemeral);
    first.client.write(write).await.unwrap();
    first.cluster.shutdown().await;
    let second = start(1, &free_ports(1), &dir.0, 2).await;
    let (_, stat) = second.client.get("/e").expect("its session has not expired yet");
    assert!(second.client.is_left_behind(stat.ephemeral_owner));
    assert!(!second.client.is_left_behind(*second.client.session().borrow()));
    let mut watch = second.client.watch(WatchKind::PersistentRecursive, &["/e"]);
    while second.client.get("/e").is_some() {
        in_time(watch.next()).await;
    }
}

#[tokio::test]
async fn three_nodes_see_each_others_writes_and_the_end_of_one() {
    let dir = Directory::new("client-three");
    let ports = free_ports(3);
    let (one, two, three) = tokio::join!(
        start(1, &ports, &dir.0, 1),
        start(2, &ports, &dir.0, 2),
        start(3, &ports, &dir.0, 3),
    );
    for (node, path) in [(&one, "/1"), (&two, "/2"), (&three, "/3")] {
        let write = writes::create_as(path, b"", CreateMode::Ephemeral);
        in_time(node.client.write(write)).await.unwrap();
    }
    in_time(one.client.sync()).await.unwrap();
    assert!(one.client.get("/3").is_some());
    let owner = one.client.get("/3").unwrap().1.ephemeral_owner;
    assert!(!one.client.is_left_behind(owner));
    let mut watch = one.client.watch(WatchKind::PersistentRecursive, &["/3"]);
    assert_eq!(watch.next().await, WatchEvent::Lost);
    three.cluster.shutdown().await;
    let WatchEvent::Changed(gone) = in_time(watch.next()).await else { panic!("lost") };
    assert_eq!(gone.kind, EventKind::NodeDeleted);
    in_time(two.client.write(writes::set("/2", b"still", 0))).await.unwrap();
}
