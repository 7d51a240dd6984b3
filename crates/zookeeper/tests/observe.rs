//! A running node is asked every four-letter word, every admin command and its metrics.

#![allow(clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_telemetry::{http, metric};
use polyport_tree::replica::{self, Unstarted};
use polyport_zookeeper::admin::Admin;
use polyport_zookeeper::observe::metrics;
use polyport_zookeeper::server::{Server, Settings, Shown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    server: Server,
    cluster: Cluster,
    zookeeper: SocketAddr,
    admin: SocketAddr,
    metrics: SocketAddr,
    dir: std::path::PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

async fn start(name: &str, words: &[&str], members: &[u64]) -> Node {
    let dir = std::env::temp_dir().join(format!("polyport-observe-{name}-{}", std::process::id()));
    let clock = Arc::new(SystemClock);
    let proposals = Proposals::new();
    let tree = Unstarted::new(
        replica::Settings::new(NodeId(1)),
        clock.clone(),
        proposals.clone(),
        u64::from(std::process::id()),
    );
    let member = |id: &u64| (NodeId(*id), Member::voter(format!("127.0.0.1:{id}")));
    let members: Members = members.iter().map(member).collect();
    let mut options = Options::new(NodeId(1), members, &dir);
    // So that each sync counts as slow.
    options.slow_sync = Duration::ZERO;
    let cluster = Cluster::start_tcp(
        options,
        "127.0.0.1:0",
        Secret::new("of a test"),
        tree.state_machine(),
        proposals,
        clock,
        tree.on_note(),
    );
    let cluster = cluster.await.unwrap();
    let replica = tree.start(cluster.clone());
    let shown = dir.display().to_string();
    let settings = Settings {
        four_letter_words: words.iter().map(|word| (*word).to_owned()).collect(),
        shown: Shown { data_dir: shown.clone(), log_dir: shown, ..Shown::default() },
        ..Settings::default()
    };
    let server = Server::new(settings, replica);
    let zookeeper = server.listen("127.0.0.1:0").await.unwrap();
    let admin = Admin::new(server.clone(), "/commands", "tickTime=2000\n".to_owned());
    let handler = admin.handler();
    let admin = http::listen("admin", "127.0.0.1:0", PATIENCE, handler).await.unwrap();
    let counted = server.clone();
    let handler = http::handler(move |_| {
        http::Response::ok(metric::CONTENT_TYPE, metric::page(&metrics::metrics(&counted)))
    });
    let metrics = http::listen("metrics", "127.0.0.1:0", PATIENCE, handler).await.unwrap();
    Node { server, cluster, zookeeper, admin, metrics, dir }
}

async fn started(name: &str, words: &[&str]) -> Node {
    let node = start(name, words, &[1]).await;
    let mut status = node.cluster.status();
    let ready = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.in_quorum));
    ready.await.unwrap().unwrap();
    node
}

async fn exchange(at: SocketAddr, bytes: &[u8]) -> io::Result<String> {
    let work = async {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(bytes).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap()
}

impl Node {
    async fn word(&self, word: &str) -> String {
        exchange(self.zookeeper, word.as_bytes()).await.unwrap()
    }

    async fn http(&self, at: SocketAddr, line: &str, headers: &str) -> (u16, String, String) {
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        let answer = exchange(at, request.as_bytes()).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    async fn command(&self, name: &str) -> String {
        let (status, head, body) =
            self.http(self.admin, &format!("GET /commands/{name}"), "").await;
        assert_eq!(status, 200, "{name}");
        assert!(head.contains("content-type: application/json"), "{name}");
        body
    }

    /// A client with a session, a znode, an ephemeral and watches; keep it.
    async fn client(&self) -> (TcpStream, i64) {
        let mut stream = TcpStream::connect(self.zookeeper).await.unwrap();
        let mut connect = Vec::new();
        connect.extend(0_i32.to_be_bytes());
        connect.extend(0_i64.to_be_bytes());
        connect.extend(10_000_i32.to_be_bytes());
        connect.extend(0_i64.to_be_bytes());
        connect.extend(16_i32.to_be_bytes());
        connect.extend([0; 16]);
        connect.push(0);
        let answer = request(&mut stream, &connect).await;
        let session = i64::from_be_bytes(answer[8..16].try_into().unwrap());
        assert_ne!(session, 0);
        let mut xid = 0_i32;
        let mut ask = |op: i32, body: Vec<u8>| {
            xid += 1;
            [xid.to_be_bytes().to_vec(), op.to_be_bytes().to_vec(), body].concat()
        };
        let text = |text: &str| [&(text.len() as i32).to_be_bytes(), text.as_bytes()].concat();
        let create = |path: &str, flags: i32| {
            let acl = [1_i32.to_be_bytes(), 31_i32.to_be_bytes()].concat();
            let acl = [acl, text("world"), text("anyone")].concat();
            [text(path), text("data"), acl, flags.to_be_bytes().to_vec()].concat()
        };
        let requests = [
            ask(1, create("/a", 0)),
            ask(1, create("/a/e", 1)),
            ask(4, [text("/a"), vec![1]].concat()),
            ask(8, [text("/a"), vec![1]].concat()),
            ask(3, [text("/nope"), vec![1]].concat()),
        ];
        for (number, bytes) in requests.iter().enumerate() {
            let answer = request(&mut stream, bytes).await;
            let error = i32::from_be_bytes(answer[12..16].try_into().unwrap());
            assert_eq!(error, if number == 4 { -101 } else { 0 }, "request {number}");
        }
        (stream, session)
    }
}

async fn request(stream: &mut TcpStream, body: &[u8]) -> Vec<u8> {
    let frame = [&(body.len() as i32).to_be_bytes(), body].concat();
    stream.write_all(&frame).await.unwrap();
    let len = tokio::time::timeout(PATIENCE, stream.read_i32()).await.unwrap().unwrap();
    let mut answer = vec![0; len as usize];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

/// Lines with their numbers taken out, to compare forms.
fn form(text: &str) -> Vec<String> {
    let line = |line: &str| {
        line.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<String>()
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn only_srvr_is_answered_unless_the_operator_says_so() {
    let node = started("whitelist", &["srvr"]).await;
    assert!(node.word("srvr").await.starts_with("Zookeeper version: 3.9.3-"));
    for word in ["ruok", "mntr", "stmk\0\0\0\0\0\0\0\u{1}", "isro", "wchp"] {
        let expected =
            format!("{} is not executed because it is not in the whitelist.\n", &word[..4]);
        assert_eq!(node.word(word).await, expected);
    }
    assert_eq!(node.server.stats().trace_mask(), 306);
}

#[tokio::test]
async fn every_word_is_answered_as_zookeeper_answers_it() {
    let node = started("words", &["*"]).await;
    let (_client, session) = node.client().await;
    assert_eq!(node.word("ruok").await, "imok");
    assert_eq!(node.word("isro").await, "rw");
    assert_eq!(node.word("hash").await, "");
    assert_eq!(node.word("reqs").await, "");
    assert_eq!(node.word("gtmk").await, "306");
    assert_eq!(node.word("stmk\0\0\0\0\0\0\u{3}\u{7e}").await, "894");
    assert_eq!(node.word("gtmk").await, "894");
    assert_eq!(node.word("wchs").await, "1 connections watching 2 paths\nTotal watches:2\n");
    assert_eq!(node.word("wchc").await, format!("0x{session:x}\n\t/a\n\t/nope\n\n"));
    let expected = format!("/a\n\t0x{session:x}\n/nope\n\t0x{session:x}\n\n");
    assert_eq!(node.word("wchp").await, expected);

    let srvr = node.word("srvr").await;
    let names: Vec<&str> = srvr.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let expected = [
        "Zookeeper version",
        "Latency min/avg/max",
        "Received",
        "Sent",
        "Connections",
        "Outstanding",
        "Zxid",
        "Mode",
        "Node count",
    ];
    assert_eq!(names, expected);
    for line in ["Connections: 2", "Outstanding: 0", "Mode: standalone", "Node count: 7"] {
        assert!(srvr.lines().any(|found| found == line), "{line} in {srvr}");
    }

    let stat = node.word("stat").await;
    assert_eq!(stat.lines().nth(1), Some("Clients:"));
    assert!(stat.contains("[1](queued=0,recved=6,sent=6)\n"), "{stat}");
    assert!(stat.contains("[0](queued=0,recved=1,sent=0)\n\nLatency"), "{stat}");

    let cons = node.word("cons").await;
    let expected = format!("[1](queued=0,recved=6,sent=6,sid=0x{session:x},lop=EXIS,est=");
    assert!(cons.contains(&expected), "{cons}");
    assert!(cons.contains(",to=10000,lcxid=0x5,lzxid=0x"), "{cons}");

    let dump = node.word("dump").await;
    let expected = "SessionTracker dump:\nSession Sets ()/():\n expire at ";
    assert!(form(&dump).join("\n").starts_with(expected), "{dump}");
    let expected = format!(
        "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x{session:x}:\n\t/a/e\n\
         Connections dump:\nConnections Sets (1)/(2):\n2 expire at "
    );
    assert!(dump.contains(&expected), "{dump}");
    let at = dump.lines().find_map(|line| line.strip_prefix("1 expire at ")).unwrap();
    assert!(at.ends_with(':') && at.contains(" UTC 20"), "{at}");

    let conf = node.word("conf").await;
    assert!(conf.starts_with(&format!("clientPort={}\n", node.zookeeper.port())), "{conf}");
    assert!(conf.contains("\nsecureClientPort=-1\n"), "{conf}");
    assert!(conf.contains("\ntickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\n"));
    // As a standalone ZooKeeper's, which reads no myid.
    assert!(conf.ends_with("\nclientPortListenBacklog=-1\nserverId=0\n"), "{conf}");
    assert_eq!(form(&node.word("dirs").await), ["datadir_size: ", "logdir_size: "]);
    assert!(node.word("envi").await.starts_with("Environment:\nzookeeper.version=3.9.3-"));

    assert_eq!(node.word("crst").await, "Connection stats reset.\n");
    assert!(node.word("cons").await.contains("[1](queued=0,recved=0,sent=0,"));
    assert_eq!(node.word("srst").await, "Server stats reset.\n");
    let stat = node.word("srvr").await;
    assert!(stat.contains("Received: 1\nSent: 1\n"), "{stat}");
}

#[tokio::test]
async fn mntr_counts_what_happened() {
    let node = started("mntr", &["*"]).await;
    let (_client, _) = node.client().await;
    let mntr = node.word("mntr").await;
    let value = |name: &str| {
        let found = mntr.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        found.unwrap_or_else(|| panic!("{name} in {mntr}")).to_owned()
    };
    let exact = [
        ("zk_server_state", "standalone"),
        ("zk_num_alive_connections", "2"),
        ("zk_outstanding_requests", "0"),
        ("zk_znode_count", "7"),
        ("zk_watch_count", "3"),
        ("zk_ephemerals_count", "1"),
        ("zk_global_sessions", "1"),
        ("zk_cnt_updatelatency", "3"),
        ("zk_cnt_readlatency", "3"),
        ("zk_connection_request_count", "1"),
        ("zk_connection_revalidate_count", "0"),
        ("zk_packets_sent", "6"),
        ("zk_packets_received", "7"),
        ("zk_cnt_dbinittime", "1"),
    ];
    for (name, expected) in exact {
        assert_eq!(value(name), expected, "{name}");
    }
    let at_least = [
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
        "zk_max_file_descriptor_count",
        "zk_cnt_fsynctime",
        "zk_fsync_threshold_exceed_count",
        "zk_cnt_propagation_latency",
        "zk_bytes_received_count",
        "zk_response_bytes",
        "zk_min_client_response_size",
    ];
    for name in at_least {
        assert!(value(name).parse::<i64>().unwrap() > 0, "{name} {}", value(name));
    }
    assert!(mntr.starts_with("zk_version\t3.9.3-"));
    assert!(!mntr.contains("zk_learners"), "a node alone has none");
}

#[tokio::test]
async fn bytes_of_events_are_counted_without_the_length_of_their_frame() {
    let node = started("watch-bytes", &["mntr"]).await;
    let (mut client, _) = node.client().await;
    let set = [7, 5, 2].map(i32::to_be_bytes).concat();
    let data_and_version = [-1, -1].map(i32::to_be_bytes).concat();
    let event = request(&mut client, &[set, b"/a".to_vec(), data_and_version].concat()).await;
    assert_eq!(event[..4], (-1_i32).to_be_bytes(), "the event comes first");
    let mntr = node.word("mntr").await;
    assert!(mntr.contains(&format!("\nzk_watch_bytes\t{}\n", event.len())), "{mntr}");
}

#[tokio::test]
async fn every_admin_command_is_answered_with_zookeepers_keys() {
    let node = started("admin", &[]).await;
    let (_client, session) = node.client().await;
    let (status, _, list) = node.http(node.admin, "GET /commands", "").await;
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split(['>', '<']).nth(2))
        .filter(|n| !n.is_empty())
        .collect();
    assert_eq!((status, names.len()), (200, 28), "{list}");
    for name in names.iter().filter(|name| !["snapshot", "restore"].contains(name)) {
        let body = node.command(name).await;
        assert!(body.contains(&format!("\"command\" : \"{name}\"")), "{body}");
        let own = ["leader", "set_trace_mask"].contains(name);
        assert_eq!(body.contains("\"error\" : null"), !own, "{body}");
    }
    let keys = [
        ("configuration", &["client_port", "tick_time", "server_id"][..]),
        ("connections", &["remote_socket_address", "last_zxid", "secure_connections"]),
        ("monitor", &["server_state", "znode_count", "p99_updatelatency"]),
        ("stats", &["server_stats", "num_alive_client_connections", "node_count"]),
        ("environment", &["zookeeper.version", "os.name"]),
        ("last_snapshot", &["zxid", "timestamp"]),
    ];
    for (name, keys) in keys {
        let body = node.command(name).await;
        for key in keys {
            assert!(body.contains(&format!("\"{key}\" : ")), "{key} in {body}");
        }
    }
    let expected = format!(
        "{{\n  \"session_id_to_watched_paths\" : {{\n    \"{session}\" : [ \"/a\", \"/nope\" ]\n  \
         }},\n  \"command\" : \"watches\",\n  \"error\" : null\n}}"
    );
    assert_eq!(node.command("wchc").await, expected);
    assert!(node.command("dump").await.contains(&format!("\"{session}\" : [ \"/a/e\" ]")));
    let mask = node.command("stmk?traceMask=1022").await;
    assert!(mask.starts_with("{\n  \"tracemask\" : 1022,\n"), "{mask}");
    let expected =
        "{\n  \"command\" : \"nonsense\",\n  \"error\" : \"Unknown command: nonsense\"\n}";
    assert_eq!(node.command("nonsense").await, expected);
    let icfg = node.command("icfg").await;
    assert!(icfg.contains("\"initial_configuration\" : \"tickTime=2000\\n\""), "{icfg}");

    let (status, _, body) = node.http(node.admin, "GET /commands/snapshot", "").await;
    assert_eq!(status, 401);
    assert!(body.contains("\"error\" : \"Auth info is missing for the command\""), "{body}");
    let auth = "Authorization: digest a:b\r\n";
    let line = "GET /commands/snapshot?streaming=false";
    let (status, head, body) = node.http(node.admin, line, auth).await;
    assert_eq!(status, 200);
    assert!(head.contains("last_zxid: 0x") && head.contains("snapshot_size: "), "{head}");
    assert_eq!(body, "{\n  \"command\" : \"snapshot\",\n  \"error\" : null\n}");
    let (status, _, body) = node.http(node.admin, line, auth).await;
    assert_eq!(status, 429, "one in five minutes: {body}");
    // Nothing is a broken backup.
    let line = "POST /commands/restore";
    assert_eq!(node.http(node.admin, line, auth).await.0, 500);
    assert_eq!(node.http(node.admin, line, auth).await.0, 429);
    let (_, _, page) = node.http(node.metrics, "GET /metrics", "").await;
    for line in [
        "restore_error_count 1.0",
        "restore_rate_limited_count 1.0",
        "snapshot_rate_limited_count 1.0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}");
    }
    for (line, expected) in [
        ("GET /", 404),
        ("GET /commandsx", 404),
        ("PUT /commands/ruok", 405),
        ("POST /commands/ruok", 405),
        ("POST /commands/restore", 401),
    ] {
        assert_eq!(node.http(node.admin, line, "").await.0, expected, "{line}");
    }
}

#[tokio::test]
async fn the_metrics_page_has_zookeepers_names_and_types() {
    let node = started("metrics", &[]).await;
    let (_client, _) = node.client().await;
    let (status, head, page) = node.http(node.metrics, "GET /metrics", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    let real: Vec<&str> = include_str!("data/zookeeper-3.9.3-metrics.txt").lines().collect();
    let types: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(types.len() >= 55, "{}", types.len());
    for line in types {
        assert!(real.contains(&line), "{line} is not as ZooKeeper's");
    }
    for line in ["znode_count 7.0", "ephemerals_count 1.0", "watch_count 3.0"] {
        assert!(page.lines().any(|found| found == line), "{line}");
    }
    let summary = ["fsynctime{quantile=\"0.5\"} ", "updatelatency{quantile=\"0.99\"} "];
    for start in summary {
        let value = page.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        assert!(value.parse::<f64>().unwrap() > 0.0, "{start}{value}");
    }
}

#[tokio::test]
async fn a_node_without_a_majority_says_that_it_does_not_serve() {
    let node = start("minority", &["*"], &[1, 2, 3]).await;
    for word in ["srvr", "stat", "mntr", "cons", "dump", "conf", "wchs", "crst"] {
        let expected = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(node.word(word).await, expected, "{word}");
    }
    assert_eq!(node.word("isro").await, "null");
    assert_eq!(node.word("ruok").await, "imok");
    let expected = "{\n  \"command\" : \"stats\",\n  \"error\" : \
        \"This ZooKeeper instance is not currently serving requests\"\n}";
    assert_eq!(node.command("stats").await, expected);
    assert!(node.command("environment").await.contains("\"error\" : null"));
}
