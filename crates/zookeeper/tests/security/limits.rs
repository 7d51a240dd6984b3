//! How many, how much, how fast.

use std::net::SocketAddr;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_net::admission::Admission;
use polyport_tree::Acl;
use polyport_tree::replica;
use polyport_zookeeper::codec::{ErrorCode, Request};
use polyport_zookeeper::server::{ConnectThrottle, Limits, Settings};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Client, PATIENCE, create};
use crate::node::Node;

async fn admitted(node: &Node) -> Option<Client> {
    Client::over(TcpStream::connect(node.port).await.unwrap()).await
}

#[tokio::test]
async fn connections_are_counted_before_they_say_a_word() {
    for (max_client_connections, max_connections) in [(2, 0), (0, 2)] {
        let settings = Settings { max_client_connections, max_connections, ..Settings::default() };
        let node = Node::start(settings).await;
        let silent = TcpStream::connect(node.port).await.unwrap();
        let client = admitted(&node).await.unwrap();
        assert!(admitted(&node).await.is_none());
        drop(silent);
        drop(client);
        // The places come back when the server has noticed.
        let stats = node.stats();
        let free = async {
            while admitted(&node).await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
        while stats.connections() > 0 {
            tokio::task::yield_now().await;
        }
        node.still_works().await;
    }
}

#[tokio::test]
async fn all_ports_together_leave_some_descriptors() {
    let node =
        Node::start(Settings { descriptors: Admission::new(3, 0), ..Settings::default() }).await;
    let other = node.server.listen("127.0.0.1:0").await.unwrap();
    let mut clients = Vec::new();
    for port in [node.port, other, node.port] {
        clients.push(Client::over(TcpStream::connect(port).await.unwrap()).await.unwrap());
    }
    for port in [node.port, other] {
        assert!(Client::over(TcpStream::connect(port).await.unwrap()).await.is_none());
    }
    // Whoever is in stays in, and leaves the place to the next.
    clients[0].create("/inside", b"").await;
    drop(clients);
    let stats = node.stats();
    while stats.connections() > 0 {
        tokio::task::yield_now().await;
    }
    let free = async {
        while admitted(&node).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    while stats.connections() > 0 {
        tokio::task::yield_now().await;
    }
    node.still_works().await;
}

#[tokio::test]
async fn handshakes_cost_tokens() {
    let connect_throttle = ConnectThrottle {
        max_tokens: 2,
        fill_every: Duration::from_secs(3600),
        ..ConnectThrottle::default()
    };
    let node = Node::start(Settings { connect_throttle, ..Settings::default() }).await;
    let mut first = admitted(&node).await.unwrap();
    let _second = admitted(&node).await.unwrap();
    assert!(admitted(&node).await.is_none());
    first.create("/n", b"").await;
    // Of those that came in.
    assert_eq!(node.metric("connection_token_deficit"), 2.0);
    assert_eq!(node.metric("connection_drop_probability"), 0.0);
}

#[tokio::test]
async fn running_out_of_tokens_makes_refusals_likelier() {
    let connect_throttle = ConnectThrottle {
        max_tokens: 1,
        fill_every: Duration::from_secs(3600),
        freeze: Some(Duration::ZERO),
        drop_increase: 0.25,
        ..ConnectThrottle::default()
    };
    let node = Node::start(Settings { connect_throttle, ..Settings::default() }).await;
    let _first = admitted(&node).await.unwrap();
    assert_eq!(node.metric("connection_drop_probability"), 0.0);
    assert!(admitted(&node).await.is_none());
    assert_eq!(node.metric("connection_drop_probability"), 0.25);
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_its_connection() {
    let node = Node::start(Settings { max_frame: 2000, ..Settings::default() }).await;
    let mut witness = node.client().await;
    witness.create("/small", &[0; 1900]).await;
    let mut client = node.client().await;
    client.send(&create("/large", &[0; 2000], Acl::open())).await;
    assert_eq!(client.frame().await, None);
    assert_eq!(witness.get("/small").await.len(), 1900);
    node.still_works().await;
}

#[tokio::test]
async fn a_large_request_over_the_budget_ends_its_connection() {
    let limits = Limits {
        large_request_threshold: Some(1000),
        large_request_max: 5000,
        ..Limits::default()
    };
    let node = Node::start(Settings { limits, ..Settings::default() }).await;
    let mut client = node.client().await;
    // The budget is free again after each.
    for path in ["/a", "/b", "/c"] {
        client.create(path, &[0; 4000]).await;
    }
    assert_eq!(node.metric("large_requests_rejected"), 0.0);
    client.send(&create("/d", &[0; 6000], Acl::open())).await;
    assert_eq!(client.frame().await, None);
    assert_eq!(node.metric("large_requests_rejected"), 1.0);
    node.still_works().await;
}

/// One client asks for 500 things at once and gets its answers in order.
async fn burst(port: SocketAddr, number: usize) {
    let mut client = Client::connect(port).await;
    let parent = format!("/{number}");
    client.create(&parent, b"").await;
    let mut frames = Vec::new();
    for xid in 100..600 {
        let path = format!("{parent}/{xid}");
        match xid % 5 {
            0 => Request::GetData { path: &parent, watch: false }.encode_frame(xid, &mut frames),
            _ => create(&path, b"", Acl::open()).encode_frame(xid, &mut frames),
        }
    }
    client.send_bytes(&frames).await;
    for xid in 100..600 {
        assert_eq!(client.reply(xid).await.unwrap().0, ErrorCode::OK);
    }
}

#[tokio::test]
async fn limits_on_work_under_way_slow_down_but_never_stop() {
    let throttle_stall = Duration::from_millis(20);
    for limits in [
        Limits { global_outstanding: 1, ..Limits::default() },
        Limits { throttle: 1, throttle_stall, ..Limits::default() },
        Limits { global_outstanding: 3, throttle: 2, throttle_stall, ..Limits::default() },
        Limits { queued_bytes: 100, ..Limits::default() },
    ] {
        let node = Node::start(Settings { limits, ..Settings::default() }).await;
        let mut all = JoinSet::new();
        for number in 0..4 {
            all.spawn(burst(node.port, number));
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        node.still_works().await;
    }
}

#[tokio::test]
async fn a_client_whose_requests_wait_for_their_turn_is_heard_all_the_same() {
    let limits = Limits { throttle: 1, ..Limits::default() };
    let timeout = Duration::from_millis(500);
    let settings = Settings {
        limits,
        min_session_timeout: timeout,
        max_session_timeout: timeout,
        ..Settings::default()
    };
    let tree = replica::Settings {
        tick: Duration::from_millis(100),
        // So long after the one before it, a write is under way.
        flush_delay: timeout * 2,
        ..replica::Settings::new(NodeId(1))
    };
    let node = Node::start_with(tree, settings).await;
    let mut ping = Vec::new();
    Request::Ping.encode_frame(-2, &mut ping);
    let mut beat = tokio::time::interval(timeout / 10);
    let mut first = node.client().await;
    // Making a session is such a write.
    let second = tokio::spawn(Client::connect(node.port));
    while !second.is_finished() {
        beat.tick().await;
        first.send_bytes(&ping).await;
        assert_eq!(first.reply(-2).await.expect("the session lives").0, ErrorCode::OK);
    }
    let mut second = second.await.unwrap();
    let waiting = [
        first.send(&create("/first", b"", Acl::open())).await,
        second.send(&create("/second", b"", Acl::open())).await,
    ];
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < timeout * 5 {
        beat.tick().await;
        first.send_bytes(&ping).await;
        second.send_bytes(&ping).await;
    }
    for (client, xid) in [first, second].iter_mut().zip(waiting) {
        assert_eq!(client.reply(xid).await.expect("the session lives").0, ErrorCode::OK);
    }
}

#[tokio::test]
async fn who_waited_too_long_hears_so() {
    let limits = Limits {
        throttle: 1,
        throttle_stall: Duration::from_millis(5),
        throttled_op_after: Duration::from_nanos(1),
        ..Limits::default()
    };
    let node = Node::start(Settings { limits, ..Settings::default() }).await;
    let mut client = node.client().await;
    let mut frames = Vec::new();
    for xid in 100..120 {
        create(&format!("/{xid}"), b"", Acl::open()).encode_frame(xid, &mut frames);
    }
    client.send_bytes(&frames).await;
    assert_eq!(client.reply(100).await.unwrap().0, ErrorCode::OK);
    for xid in 101..120 {
        assert_eq!(client.reply(xid).await.unwrap().0, ErrorCode::THROTTLED_OP);
    }
    assert_eq!(node.metric("throttled_ops"), 19.0);
    assert!(node.metric("request_throttle_wait_count") >= 1.0);
    assert_eq!(node.metric("request_throttle_queue_time_ms"), 20.0);
    // Calm again, nobody waits.
    client.create("/after", b"").await;
    assert_eq!(node.metric("throttled_ops"), 19.0);
    node.still_works().await;
}

fn many_creates() -> Vec<u8> {
    let mut frames = Vec::new();
    for xid in 100..2100 {
        create(&format!("/{xid}"), b"", Acl::open()).encode_frame(xid, &mut frames);
    }
    frames
}

#[tokio::test]
async fn requests_older_than_their_session_lives_are_stale() {
    for drop_stale in [true, false] {
        let limits = Limits { throttle: 1, stale_by_age: true, drop_stale, ..Limits::default() };
        let shortest = Duration::from_millis(1);
        let node = Node::start(Settings {
            limits,
            min_session_timeout: shortest,
            max_session_timeout: shortest,
            ..Settings::default()
        });
        let node = node.await;
        let mut client = node.client().await;
        client.send_bytes(&many_creates()).await;
        if drop_stale {
            client.ends().await;
            assert_eq!(node.metric("stale_requests_dropped"), 1.0);
            assert_eq!(node.metric("stale_requests"), 0.0);
        } else {
            while node.metric("stale_requests") == 0.0 {
                client.frame().await.expect("it goes on");
            }
            assert_eq!(node.metric("stale_requests_dropped"), 0.0);
        }
    }
}

#[tokio::test]
async fn requests_of_a_client_that_hung_up_are_stale() {
    for drop_stale in [true, false] {
        let limits = Limits { throttle: 1, drop_stale, ..Limits::default() };
        let node = Node::start(Settings { limits, ..Settings::default() }).await;
        let mut client = node.client().await;
        client.send_bytes(&many_creates()).await;
        client.hang_up().await;
        client.ends().await;
        let gone = async {
            while node.stats().connections() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        let counted = (node.metric("stale_requests_dropped"), node.metric("stale_requests") > 0.0);
        assert_eq!(counted, if drop_stale { (1.0, false) } else { (0.0, true) });
        node.still_works().await;
    }
}
