//! A broker of a test, and a client that speaks the protocol.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
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
use polyport_kafka_codec::header::decode_response;
use polyport_kafka_codec::{Message, Reader, Request, frame};
use polyport_net::admission::Admission;
use polyport_tree::replica::{self, Unstarted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// Returns when something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} did not come"));
}

/// A node alone.
pub struct Node {
    pub broker: Arc<Broker>,
    cluster: Cluster,
    port: SocketAddr,
    dir: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    /// Starts one whose topics have two partitions.
    pub async fn start(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
        let listen = format!("127.0.0.1:{}", free_port());
        let id = NodeId(1);
        let members: Members = [(id, Member::voter(listen.clone()))].into_iter().collect();
        let tick = Duration::from_millis(100);
        let settings = replica::Settings { tick, ..replica::Settings::new(id) };
        let tree = Unstarted::new(settings, clock.clone(), proposals.clone(), 7);
        let cluster = Cluster::start_tcp(
            Options::new(id, members, &dir.join("tree")),
            &listen,
            Secret::new("of a test"),
            tree.state_machine(),
            proposals,
            clock.clone(),
            tree.on_note(),
        );
        let cluster = cluster.await.unwrap();
        let replica = tree.start(cluster.clone());
        let properties = [("num.partitions", "2"), ("offsets.topic.num.partitions", "1")];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings {
            broker_id: 1,
            log_dirs: vec![dir.join("logs")],
            advertised: vec![Endpoint::plaintext("127.0.0.1", 9092)],
            configs: Configs::new(1, properties.into_iter().collect()).unwrap(),
            descriptors: Admission::new(0, 0),
            drain_timeout: Duration::from_secs(5),
        };
        let broker = Broker::start(settings, replica, clock);
        let broker = tokio::time::timeout(PATIENCE, broker).await.unwrap().unwrap();
        let port = broker.listen("PLAINTEXT", "127.0.0.1:0").await.unwrap();
        Self { broker, cluster, port, dir }
    }

    pub async fn client(&self) -> Client {
        Client(TcpStream::connect(self.port).await.unwrap())
    }

    pub fn page(&self) -> Page {
        Page(polyport_telemetry::page(&self.broker.metrics()))
    }

    pub async fn stop(self) {
        self.broker.clone().stop().await;
        self.cluster.shutdown().await;
    }
}

/// The page, as Prometheus gets it.
pub struct Page(String);

impl Page {
    /// The number after a name with its labels, as they are written.
    pub fn number(&self, name: &str) -> f64 {
        let found = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let found = found.unwrap_or_else(|| panic!("no {name} in\n{}", self.0));
        found.parse().unwrap()
    }

    pub fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }
}

/// A connection.
pub struct Client(TcpStream);

impl Client {
    /// Asks, and waits for the answer.
    pub async fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        tokio::time::timeout(PATIENCE, self.exchange(request, version)).await.unwrap()
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let mut bytes = Vec::new();
        frame::encode_request(&mut bytes, request, version, 1, Some("test")).unwrap();
        self.0.write_all(&bytes).await.unwrap();
        let mut answer = BytesMut::zeroed(self.0.read_u32().await.unwrap() as usize);
        self.0.read_exact(&mut answer).await.unwrap();
        let mut reader = Reader::new(answer);
        assert_eq!(decode_response(&mut reader, R::API, version).unwrap(), 1);
        R::Response::decode(&mut reader, version).unwrap()
    }
}
