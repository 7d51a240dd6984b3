//! Whom a node serves and for how long: beside its own leading, while it stops, and before it asks
//! the leader.

use std::time::Duration;

use polyport_base::NodeId;
use polyport_cluster::Status;
use polyport_cluster::node::Standing;
use polyport_tree::replica;
use polyport_tree::{Acl, Id, Perms};
use polyport_zookeeper::auth::{DigestAlgorithm, digest_id};
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request};
use polyport_zookeeper::server::{Authentication, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE, create};
use crate::node::Node;

async fn word(node: &Node, word: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(node.port).await.unwrap();
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap()
}

async fn stands(node: &Node, standing: Standing) -> usize {
    let mut status = node.cluster.status();
    let stands = status.wait_for(|status| status.standing == standing && status.in_quorum);
    stands.await.unwrap().node.0 as usize - 1
}

/// The number of the one that leads of these, from 0.
async fn leader(nodes: &[&Node]) -> usize {
    let leads = nodes.iter().map(|node| Box::pin(stands(node, Standing::Leading)));
    let led = futures_util::future::select_all(leads);
    tokio::time::timeout(PATIENCE, led).await.unwrap().0
}

/// The number of the one that leads, from 0, once all follow it: before, another may still stand for
/// election.
async fn settled(nodes: &[Node]) -> usize {
    let mut all: Vec<_> = nodes.iter().map(|node| node.cluster.status()).collect();
    let agreed = async {
        loop {
            let now: Vec<_> = all.iter_mut().map(|one| one.borrow_and_update().clone()).collect();
            let same = |one: &Status| (one.leader, one.term) == (now[0].leader, now[0].term);
            if let Some(leader) = now[0].leader
                && now.iter().all(|one| one.in_quorum && same(one))
            {
                return leader.0 as usize - 1;
            }
            let changes = all.iter_mut().map(|one| Box::pin(one.changed()));
            futures_util::future::select_all(changes).await.0.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, agreed).await.unwrap()
}

fn everything() -> Settings {
    Settings { four_letter_words: vec!["*".to_owned()], ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_does_not_serve_leaves_its_clients_to_the_others() {
    let nodes = Node::ensemble(&Settings { leader_serves: false, ..everything() }).await;
    let old = settled(&nodes).await;
    let others: Vec<&Node> = (0..3).filter(|at| *at != old).map(|at| &nodes[at]).collect();
    let refused = TcpStream::connect(nodes[old].port).await.unwrap();
    assert!(Client::over(refused).await.is_none());
    let not_serving = "This ZooKeeper instance is not currently serving requests\n";
    assert_eq!(word(&nodes[old], "srvr").await, not_serving);
    assert_eq!(word(&nodes[old], "isro").await, "null");
    assert_eq!(word(&nodes[old], "ruok").await, "imok");
    let mut clients = Vec::new();
    for node in &others {
        stands(node, Standing::Following).await;
        assert!(word(node, "srvr").await.contains("Mode: follower"));
        clients.push(node.client().await);
    }
    clients[0].create("/before", b"").await;
    nodes[old].cluster.transfer().await;
    let new = leader(&others).await;
    let at = others.iter().position(|node| std::ptr::eq(*node, &nodes[new])).unwrap();
    clients[at].ends().await;
    // The other's client notices nothing.
    clients[1 - at].create("/after", b"").await;
    tokio::time::timeout(PATIENCE, stands(&nodes[old], Standing::Following)).await.unwrap();
    nodes[old].client().await.create("/at-the-old-leader", b"").await;
}

#[tokio::test]
async fn a_node_alone_serves_whatever_is_said_of_leaders() {
    let node = Node::start(Settings { leader_serves: false, ..everything() }).await;
    assert!(word(&node, "srvr").await.contains("Mode: standalone"));
    node.still_works().await;
}

/// A tree that sends its first command at once and others only after this time.
fn slow(flush_delay: Duration) -> replica::Settings {
    replica::Settings { flush_delay, ..replica::Settings::new(NodeId(1)) }
}

/// A client whose requests are on their way, and their xids.
async fn waiting(node: &Node) -> (Client, Vec<i32>) {
    let mut client = node.client().await;
    let mut xids = Vec::new();
    for path in ["/a", "/b", "/c"] {
        xids.push(client.send(&create(path, b"", Acl::open())).await);
    }
    let all = async {
        while node.server.replica().outstanding() < xids.len() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    (client, xids)
}

#[tokio::test]
async fn a_node_that_stops_answers_what_it_was_asked_before() {
    let settings = Settings { shutdown_timeout: PATIENCE, ..Settings::default() };
    let node = Node::start_with(slow(Duration::from_millis(300)), settings).await;
    let (mut client, xids) = waiting(&node).await;
    tokio::time::timeout(PATIENCE / 2, node.server.drain()).await.unwrap();
    for xid in xids {
        assert_eq!(client.reply(xid).await.expect("an answer").0, ErrorCode::OK);
    }
    assert_eq!(client.frame().await, None);
    node.cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_stops_cuts_off_what_takes_too_long() {
    let settings = Settings { shutdown_timeout: Duration::from_millis(50), ..Settings::default() };
    let node = Node::start_with(slow(Duration::from_secs(3600)), settings).await;
    let (mut client, _) = waiting(&node).await;
    tokio::time::timeout(PATIENCE / 2, node.server.drain()).await.unwrap();
    assert_eq!(client.frame().await, None);
    node.cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_stops_waits_for_nobody_who_asks_nothing() {
    let settings = Settings { shutdown_timeout: Duration::from_secs(3600), ..Settings::default() };
    let node = Node::start(settings).await;
    let (mut idle, mut silent) =
        (node.client().await, TcpStream::connect(node.port).await.unwrap());
    tokio::time::timeout(PATIENCE, node.server.drain()).await.unwrap();
    assert_eq!(idle.frame().await, None);
    node.cluster.shutdown().await;
    // It never had a session: nobody waits for it, and it is of no consequence when it ends.
    silent.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_eager_check_keeps_forbidden_writes_out_of_the_log() {
    let read = vec![Acl { perms: Perms::READ, id: Id::new("world", "anyone") }];
    let lazily = 5 + 2;
    for (eager_acl_check, transactions) in [(true, 2), (false, lazily)] {
        let node = Node::start(Settings { eager_acl_check, ..Settings::default() }).await;
        let mut client = node.client().await;
        client.create("/r", b"1").await;
        client.create("/r/x", b"").await;
        let read = Request::SetAcl { path: "/r", acl: read.clone(), version: -1 };
        assert_eq!(client.error(&read).await, ErrorCode::OK);
        let before = node.server.replica().last_zxid();
        let container = Create {
            op: OpCode::CreateContainer,
            path: "/r/c",
            data: None,
            acl: Acl::open(),
            flags: 4,
            ttl_ms: 0,
        };
        let create2 = Create { op: OpCode::Create2, path: "/r/d", flags: 0, ..container.clone() };
        for (request, error) in [
            (create("/r/y", b"", Acl::open()), ErrorCode::NO_AUTH),
            (Request::Create(create2), ErrorCode::NO_AUTH),
            (Request::SetData { path: "/r", data: None, version: -1 }, ErrorCode::NO_AUTH),
            (Request::Delete { path: "/r/x", version: -1 }, ErrorCode::NO_AUTH),
            (Request::SetAcl { path: "/r", acl: Acl::open(), version: -1 }, ErrorCode::NO_AUTH),
            // These go the long way: a container, and what is not there.
            (Request::Create(container), ErrorCode::NO_AUTH),
            (create("/none/x", b"", Acl::open()), ErrorCode::NO_NODE),
        ] {
            assert_eq!(client.error(&request).await, error, "{request:?}");
        }
        let after = node.server.replica().last_zxid();
        assert_eq!(after - before, transactions, "eager: {eager_acl_check}");
        assert_eq!(client.get("/r").await, b"1");
        node.still_works().await;
    }
}

#[tokio::test]
async fn an_eager_check_lets_the_super_user_pass() {
    let super_digest = Some(digest_id(DigestAlgorithm::Sha1, b"super:admin"));
    let authentication = Authentication { super_digest, ..Default::default() };
    let settings = Settings { eager_acl_check: true, authentication, ..Settings::default() };
    let node = Node::start(settings).await;
    let mut client = node.client().await;
    let read = vec![Acl { perms: Perms::READ, id: Id::new("world", "anyone") }];
    assert_eq!(client.error(&create("/r", b"1", read)).await, ErrorCode::OK);
    let auth = Request::Auth { scheme: "digest", auth: Some(b"super:admin") };
    assert_eq!(client.error(&auth).await, ErrorCode::OK);
    client.create("/r/x", b"").await;
    node.still_works().await;
}

#[tokio::test]
async fn a_standalone_server_is_not_what_a_reconfiguration_may_leave() {
    let super_digest = Some(digest_id(DigestAlgorithm::Sha1, b"super:admin"));
    for (standalone_enabled, expected) in [(true, ErrorCode::BAD_ARGUMENTS), (false, ErrorCode::OK)]
    {
        let node = Node::start(Settings {
            reconfig_enabled: true,
            standalone_enabled,
            authentication: Authentication {
                super_digest: super_digest.clone(),
                ..Default::default()
            },
            ..Settings::default()
        });
        let node = node.await;
        let mut client = node.client().await;
        let auth = Request::Auth { scheme: "digest", auth: Some(b"super:admin") };
        assert_eq!(client.error(&auth).await, ErrorCode::OK);
        let alone = format!("server.1=127.0.0.1:1:1:participant;{}", node.port);
        let observed = format!("{alone},server.2=127.0.0.1:3:4:observer;5");
        for (members, expected) in [(&alone, ErrorCode::OK), (&observed, expected)] {
            let change = Request::Reconfig {
                joining: None,
                leaving: None,
                new_members: Some(members),
                version: -1,
            };
            assert_eq!(client.error(&change).await, expected, "{members}");
        }
        node.still_works().await;
    }
}
