//! A broker of a test, and a connection to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_kafka::broker::{Broker, Settings};
use polyport_kafka::metadata::config::Configs;
use polyport_kafka::metadata::znode::Endpoint;
use polyport_kafka_codec::{Message, Reader, Request, Uuid, frame, header};
use polyport_net::admission::Admission;
use polyport_tree::replica::{self, Unstarted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A node alone with a broker on it.
pub struct Node {
    pub broker: Arc<Broker>,
    pub port: u16,
    cluster: Cluster,
    _dir: Directory,
}

impl Node {
    pub async fn start() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("polyport-kafka-server-{}-{number}", std::process::id());
        let dir = Directory(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&dir.0).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let node_port = listener.local_addr().unwrap().port();
        drop(listener);
        let address = format!("127.0.0.1:{node_port}");
        let members = Members::from([(NodeId(1), Member::voter(address.clone()))]);
        let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
        let tree = Unstarted::new(
            replica::Settings::new(NodeId(1)),
            clock.clone(),
            proposals.clone(),
            number,
        );
        let cluster = Cluster::start_tcp(
            Options::new(NodeId(1), members, &dir.0.join("tree")),
            &address,
            Secret::new("of a test"),
            tree.state_machine(),
            proposals,
            clock.clone(),
            tree.on_note(),
        );
        let cluster = in_time(cluster).await.unwrap();
        let replica = tree.start(cluster.clone());
        let file =
            [("offsets.topic.num.partitions", "2"), ("group.initial.rebalance.delay.ms", "0")];
        let file = file.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let settings = Settings {
            broker_id: 1,
            log_dirs: vec![dir.0.join("kafka")],
            advertised: vec![Endpoint::plaintext("127.0.0.1", 9092)],
            configs: Configs::new(1, file).unwrap(),
            descriptors: Admission::new(0, 0),
            drain_timeout: Duration::from_secs(5),
        };
        let broker = in_time(Broker::start(settings, replica, clock)).await.unwrap();
        let port = broker.listen("PLAINTEXT", "127.0.0.1:0").await.unwrap().port();
        Self { broker, port, cluster, _dir: dir }
    }

    pub async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        Connection { stream, arrived: BytesMut::new(), next: 0 }
    }

    /// The id of a topic that is there.
    pub fn topic_id(&self, topic: &str) -> Uuid {
        Uuid(self.broker.image().topic(topic).unwrap().id.0)
    }

    pub async fn stop(self) {
        in_time(self.broker.stop()).await;
        in_time(self.cluster.shutdown()).await;
    }
}

/// A client's connection.
pub struct Connection {
    pub stream: TcpStream,
    arrived: BytesMut,
    next: i32,
}

impl Connection {
    /// Sends a request; its correlation id.
    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.next += 1;
        let mut out = Vec::new();
        frame::encode_request(&mut out, request, version, self.next, Some("a test")).unwrap();
        in_time(self.stream.write_all(&out)).await.unwrap();
        self.next
    }

    /// The next answer: its correlation id and its content, or nothing if the connection was closed.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Option<(i32, R::Response)> {
        loop {
            if let Some(whole) = frame::split(&mut self.arrived, 100 << 20).unwrap() {
                let mut reader = Reader::new(whole);
                let id = header::decode_response(&mut reader, R::API, version).unwrap();
                let response = R::Response::decode(&mut reader, version).unwrap();
                assert_eq!(reader.remaining(), 0, "bytes after {}", R::Response::NAME);
                return Some((id, response));
            }
            if in_time(self.stream.read_buf(&mut self.arrived)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Asks and waits for the answer.
    pub async fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let id = self.send(request, version).await;
        let answer = self.receive::<R>(version).await;
        let (answered, response) = answer
            .unwrap_or_else(|| panic!("{} in version {version} closed the connection", R::NAME));
        assert_eq!(answered, id);
        response
    }
}
