//! One node's copy of the tree, and the cluster it is in, while a backup is put back into them.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_tree::access::Identities;
use polyport_tree::command::{Command, Write};
use polyport_tree::machine::Outcome;
use polyport_tree::replica::{NotRestored, Place, Replica, Settings, Subscriber, Unstarted, View};
use polyport_tree::watch::WatchKind;
use polyport_tree::{Acl, CreateMode, Event, TreeError};
use tokio::sync::mpsc;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a client's connection was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Attached(i64),
    Answered(bool),
    Event(String),
    Detached { moved: bool },
    Interrupted,
}

struct Connection(Mutex<mpsc::UnboundedSender<Told>>);

impl Connection {
    fn say(&self, told: Told) {
        self.0.lock().send(told).unwrap();
    }
}

impl Subscriber for Connection {
    fn completed(&self, _: &mut View<'_>, _: u64, _: i64, result: Result<Outcome<'_>, TreeError>) {
        self.say(match result {
            Ok(Outcome::Attached(session, ..)) => Told::Attached(session),
            result => Told::Answered(result.is_ok()),
        });
    }

    fn notified(&self, event: &Event<'_>) {
        self.say(Told::Event(event.path.to_owned()));
    }

    fn detached(&self, moved: bool) {
        self.say(Told::Detached { moved });
    }

    fn interrupted(&self) {
        self.say(Told::Interrupted);
    }
}

struct Node {
    replica: Replica,
    cluster: Cluster,
    dir: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

async fn node(name: &str) -> Node {
    let dir = std::env::temp_dir().join(format!("polyport-restore-{name}-{}", std::process::id()));
    let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
    let tree = Unstarted::new(Settings::new(NodeId(1)), clock.clone(), proposals.clone(), 77);
    let members = Members::from([(NodeId(1), Member::voter("127.0.0.1:1"))]);
    let cluster = Cluster::start_tcp(
        Options::new(NodeId(1), members, &dir),
        "127.0.0.1:0",
        Secret::new("of a test"),
        tree.state_machine(),
        proposals,
        clock,
        tree.on_note(),
    );
    let cluster = cluster.await.unwrap();
    let replica = tree.start(cluster.clone());
    let mut status = cluster.status();
    let ready = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.in_quorum));
    ready.await.unwrap().unwrap();
    Node { replica, cluster, dir }
}

struct Client<'a> {
    node: &'a Node,
    connection: Arc<Connection>,
    watcher: u64,
    session: i64,
    told: mpsc::UnboundedReceiver<Told>,
}

impl<'a> Client<'a> {
    async fn new(node: &'a Node) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let connection = Arc::new(Connection(Mutex::new(sender)));
        let watcher = node.replica.subscribe(connection.clone());
        let mut client = Self { node, connection, watcher, session: 1, told };
        client.submit(&Command::CreateSession { timeout_ms: 30_000, password: [1; 16] });
        let Told::Attached(session) = client.next().await else { panic!("no session") };
        client.session = session;
        assert!(node.replica.attach(session, watcher));
        client
    }

    fn submit(&self, command: &Command<'_>) {
        let who = Identities::default();
        let replica = &self.node.replica;
        let from = replica.submitter(self.session, self.watcher, who, false);
        replica.submit(&mut Place::default(), &from, command, self.connection.clone(), 0);
        replica.flush();
    }

    async fn next(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap()
    }

    async fn create(&mut self, path: &str) -> bool {
        let (acl, mode) = (Acl::open(), CreateMode::Persistent);
        let write = Write::Create { path, data: None, acl, mode, ttl_ms: 0 };
        self.submit(&Command::Write(write));
        self.next().await == Told::Answered(true)
    }
}

impl Node {
    async fn backup(&self) -> Vec<u8> {
        let backup = self.cluster.backup().await.unwrap();
        assert!(polyport_tree::snapshot::last_zxid(&backup.head).is_some());
        let mut file = Vec::new();
        while (file.len() as u64) < backup.len {
            file.extend(backup.piece(file.len() as u64).unwrap());
        }
        file
    }

    async fn restore(&self, frames: &[&[u8]]) -> Result<(), NotRestored> {
        let (sender, received) = mpsc::channel(frames.len().max(1));
        for frame in frames {
            sender.send(Bytes::copy_from_slice(frame)).await.unwrap();
        }
        drop(sender);
        let restored = tokio::time::timeout(PATIENCE, self.replica.restore(received));
        restored.await.unwrap().map(|_| ())
    }

    fn has(&self, path: &str) -> bool {
        self.replica.read().store().lookup(path).is_some()
    }
}

#[tokio::test]
async fn connections_end_and_watches_with_them() {
    let node = node("ends").await;
    let mut client = Client::new(&node).await;
    assert!(client.create("/then").await);
    let file = node.backup().await;
    assert!(client.create("/now").await);
    // In the middle of its handshake.
    let (sender, mut idle) = mpsc::unbounded_channel();
    node.replica.subscribe(Arc::new(Connection(Mutex::new(sender))));
    let watched = |view: &mut View<'_>| view.watches.len();
    node.replica.view(|view| view.watches.add(WatchKind::Data, "/then", client.watcher));
    assert_eq!(node.replica.view(watched), 1);

    let (one, other) = file.split_at(file.len() / 3);
    node.restore(&[one, other, b""]).await.unwrap();
    assert!(node.has("/then") && !node.has("/now"));
    assert_eq!(client.next().await, Told::Detached { moved: false });
    assert_eq!(client.next().await, Told::Interrupted);
    assert_eq!(idle.recv().await, Some(Told::Interrupted));
    assert_eq!(node.replica.view(watched), 0);
    assert_eq!(node.replica.attached(), 0);
    assert!(!client.create("/by-the-old-session").await);

    let mut next = Client::new(&node).await;
    assert_ne!(next.session, client.session);
    assert!(next.create("/after").await);
    assert_eq!(node.replica.last_zxid(), node.replica.read().last_zxid());
}

#[tokio::test]
async fn what_is_no_backup_or_breaks_off_leaves_all_as_it_was() {
    let node = node("broken").await;
    let mut client = Client::new(&node).await;
    assert!(client.create("/then").await);
    let file = node.backup().await;
    assert!(client.create("/now").await);
    let half = &file[..file.len() / 2];
    let damaged = {
        let mut file = file.clone();
        let middle = file.len() / 2;
        file[middle] ^= 1;
        file
    };
    for frames in [&[][..], &[half], &[half, b""], &[&file], &[b"text", b""], &[&damaged, b""]] {
        let refused = node.restore(frames).await;
        assert!(matches!(refused, Err(NotRestored::Backup(_))), "{refused:?}");
        assert!(node.has("/now"));
    }
    // The connection lives, its session too; nothing that was collected stays.
    assert!(client.create("/still").await);
    assert_eq!(node.replica.read().restoring_bytes(), 0);
    node.restore(&[&file, b""]).await.unwrap();
    assert!(node.has("/then") && !node.has("/now"));
}
