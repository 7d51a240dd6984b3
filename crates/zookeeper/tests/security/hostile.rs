//! Clients that mean no good, or know no better.

use std::time::Duration;

use polyport_tree::{Acl, Id, Perms};
use polyport_zookeeper::codec::multi::{MultiOp, MultiReadOp};
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request, RequestHeader};
use polyport_zookeeper::server::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{PATIENCE, create};
use crate::node::Node;

/// Waits until the server has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let read = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {} };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
}

#[tokio::test]
async fn who_says_nothing_or_too_little_is_sent_away() {
    let handshake_timeout = Duration::from_millis(200);
    let node = Node::start(Settings { handshake_timeout, ..Settings::default() }).await;
    // Silence; half a length; a length and nothing; half a handshake.
    for said in [&b""[..], &[0, 0], &[0, 0, 0, 45], &[0, 0, 0, 45, 0, 0, 0, 0, 1]] {
        let mut stream = TcpStream::connect(node.port).await.unwrap();
        stream.write_all(said).await.unwrap();
        closed(&mut stream).await;
    }
    // One byte at a time does not buy time.
    let mut stream = TcpStream::connect(node.port).await.unwrap();
    let (mut read, mut write) = stream.split();
    let drip = async {
        for byte in [0, 0, 0, 45].into_iter().chain([0; 44]) {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let end = async { while read.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {} };
    tokio::select! {
        () = end => {}
        () = drip => {}
        () = tokio::time::sleep(Duration::from_secs(2)) => panic!("still open"),
    }
    node.still_works().await;
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let node = Node::start(Settings::default()).await;
    for said in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 0, 0, 0, 0],
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
    ] {
        let mut stream = TcpStream::connect(node.port).await.unwrap();
        stream.write_all(said).await.unwrap();
        closed(&mut stream).await;
    }
    node.still_works().await;
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let node = Node::start(Settings::default()).await;
    let whole = |request: &Request<'_>| {
        let mut frame = Vec::new();
        request.encode_frame(1, &mut frame);
        frame
    };
    let mut frames = vec![
        // No header, a length that is none, one that is too large.
        vec![0, 0, 0, 4, 0, 0, 0, 1],
        vec![0x80, 0, 0, 0],
        vec![0, 0x20, 0, 0],
    ];
    for request in [
        create("/n", b"data", Acl::open()),
        Request::GetData { path: "/n", watch: false },
        Request::SetData { path: "/n", data: Some(b"x"), version: 1 },
        Request::Auth { scheme: "digest", auth: Some(b"a:b") },
        Request::Sasl { token: b"token" },
    ] {
        // Cut short inside, with a length that says so.
        let mut frame = whole(&request);
        frame.truncate(frame.len() - 2);
        let len = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        frames.push(frame);
        // A string that claims two gigabytes.
        let mut frame = whole(&request);
        frame[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
        if !matches!(request, Request::Auth { .. }) {
            frames.push(frame);
        }
    }
    let mut witness = node.client().await;
    for frame in frames {
        let mut client = node.client().await;
        client.send_bytes(&frame).await;
        assert_eq!(client.frame().await, None, "{frame:?}");
        witness.error(&Request::Ping).await;
    }
    // An operation that does not exist has an answer, as ZooKeeper's.
    let mut client = node.client().await;
    let mut frame = vec![0, 0, 0, 8];
    RequestHeader { xid: 5, op: 999 }.encode(&mut frame);
    client.send_bytes(&frame).await;
    assert_eq!(client.reply(5).await.unwrap().0, ErrorCode::UNIMPLEMENTED);
    assert_eq!(client.frame().await, None);
    assert_eq!(OpCode::from_i32(999), None);
    node.still_works().await;
}

#[tokio::test]
async fn who_watches_and_never_reads_is_cut_off() {
    let max_unread = 256 << 10;
    let node = Node::start(Settings { max_unread, ..Settings::default() }).await;
    let mut deaf = node.client().await;
    let watch = Request::AddWatch { path: "/", mode: 1 };
    assert_eq!(deaf.error(&watch).await, ErrorCode::OK);
    let mut writer = node.client().await;
    let stats = node.stats();
    assert_eq!(stats.connections(), 2);
    // Every name is told to the deaf one; what the system does not take must be kept.
    let name = "n".repeat(8000);
    let cut = async {
        let mut number = 0;
        while stats.connections() == 2 {
            writer.create(&format!("/{number}{name}"), b"").await;
            number += 1;
        }
    };
    tokio::time::timeout(PATIENCE, cut).await.expect("the deaf one is cut off");
    // Well before its session would have ended for lack of a ping.
    deaf.ends().await;
    node.still_works().await;
}

#[tokio::test]
async fn who_asks_and_never_reads_is_not_read_on() {
    let node = Node::start(Settings::default()).await;
    let mut client = node.client().await;
    client.create("/large", &vec![1; 500_000]).await;
    // Many times what may be owed, asked for in a moment: all is answered, in order, as it is read.
    let mut frames = Vec::new();
    for xid in 100..400 {
        Request::GetData { path: "/large", watch: false }.encode_frame(xid, &mut frames);
    }
    client.send_bytes(&frames).await;
    let mut witness = node.client().await;
    assert_eq!(witness.get("/large").await.len(), 500_000);
    for xid in 100..400 {
        let (error, body) = client.reply(xid).await.expect("an answer");
        assert_eq!((error, body.len()), (ErrorCode::OK, 4 + 500_000 + 68));
    }
    node.still_works().await;
}

#[tokio::test]
async fn small_requests_behind_a_write_do_not_buy_unbounded_answers() {
    let max_unread = 4 << 20;
    let node = Node::start(Settings { max_unread, ..Settings::default() }).await;
    let mut client = node.client().await;
    client.create("/large", &vec![1; 500_000]).await;
    let mut frames = Vec::new();
    create("/n", b"", Acl::open()).encode_frame(100, &mut frames);
    for xid in 101..400 {
        Request::GetData { path: "/large", watch: false }.encode_frame(xid, &mut frames);
    }
    client.send_bytes(&frames).await;
    client.ends().await;
    node.still_works().await;
}

#[tokio::test]
async fn a_request_in_drops_does_not_keep_a_session_alive() {
    let settings = Settings {
        min_session_timeout: Duration::from_millis(1000),
        max_session_timeout: Duration::from_millis(1000),
        ..Settings::default()
    };
    let node = Node::start(settings).await;
    let mut client = node.client().await;
    let drip = async {
        client.send_bytes(&[0, 0, 0x10, 0]).await;
        while client.try_send_bytes(&[0]).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, drip).await.expect("the session ends");
    node.still_works().await;
}

#[tokio::test]
async fn many_small_reads_in_one_request_do_not_buy_an_endless_answer() {
    let max_unread = 4 << 20;
    let node = Node::start(Settings { max_unread, ..Settings::default() }).await;
    let mut client = node.client().await;
    client.create("/large", &vec![1; 500_000]).await;
    let reads = |count| Request::MultiRead(vec![MultiReadOp::GetData { path: "/large" }; count]);
    let (error, body) = client.ask(&reads(4)).await.unwrap();
    assert_eq!((error, body.len() > 2_000_000), (ErrorCode::OK, true));
    // Twenty gigabytes, if they were put together first.
    client.send(&reads(40_000)).await;
    assert_eq!(client.frame().await, None);
    node.still_works().await;
}

/// What one connection has proved goes to the log with its writes; the journal's writer stops the
/// node where a record is too long for it.
#[tokio::test]
async fn who_proves_ever_more_is_sent_away_and_the_node_lives() {
    let node = Node::start(Settings::default()).await;
    let mut client = node.client().await;
    let mut proved = 0;
    let refused = loop {
        let credentials = format!("{proved}{}:x", "u".repeat(10_000));
        let auth = Request::Auth { scheme: "digest", auth: Some(credentials.as_bytes()) };
        match client.error(&auth).await {
            ErrorCode::OK => proved += 1,
            refused => break refused,
        }
    };
    assert_eq!((refused, proved), (ErrorCode::AUTH_FAILED, 6));
    assert_eq!(client.frame().await, None);
    // Nor does a multi multiply what is allowed.
    let mut client = node.client().await;
    for number in 0..6 {
        let credentials = format!("{number}{}:x", "u".repeat(10_000));
        let auth = Request::Auth { scheme: "digest", auth: Some(credentials.as_bytes()) };
        assert_eq!(client.error(&auth).await, ErrorCode::OK);
    }
    let acl = vec![Acl { perms: Perms::ALL, id: Id::new("auth", "") }];
    let creation = |count| {
        let create = Create {
            op: OpCode::Create,
            path: "/never",
            data: None,
            acl: acl.clone(),
            flags: 0,
            ttl_ms: 0,
        };
        Request::Multi(vec![MultiOp::Create(create); count])
    };
    assert_eq!(client.error(&creation(2000)).await, ErrorCode::BAD_ARGUMENTS);
    node.still_works().await;
}
