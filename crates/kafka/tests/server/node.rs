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
use polyport_kafka::metadata::image::Image;
use polyport_kafka::metadata::znode::Endpoint;
use polyport_kafka_codec::{Message, Reader, Request, Uuid, frame, header};
use polyport_net::admission::Admission;
use polyport_tree::replica::{self, Replica, Unstarted};
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

/// A node with a broker on it.
pub struct Node {
    pub broker: Arc<Broker>,
    pub port: u16,
    pub replica: Replica,
    cluster: Cluster,
    _dir: Arc<Directory>,
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Another number for each node of this process.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn directory() -> Arc<Directory> {
    let name = format!("polyport-kafka-server-{}-{}", std::process::id(), number());
    let dir = Directory(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&dir.0).unwrap();
    Arc::new(dir)
}

impl Node {
    /// One alone.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One alone, with such a file.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_one(1, &free_ports(1), directory(), settings).await
    }

    /// Three that are a cluster.
    pub async fn start_three(settings: &[(&str, &str)]) -> [Self; 3] {
        let (ports, dir) = (free_ports(3), directory());
        let start = |id| Self::start_one(id, &ports, dir.clone(), settings);
        let (one, two, three) = tokio::join!(start(1), start(2), start(3));
        let nodes = [one, two, three];
        for node in &nodes {
            node.until(|image| image.brokers().len() == 3).await;
        }
        nodes
    }

    async fn start_one(
        id: u64,
        ports: &[u16],
        dir: Arc<Directory>,
        settings: &[(&str, &str)],
    ) -> Self {
        let home = dir.0.join(id.to_string());
        let member = |(at, port): (usize, &u16)| {
            (NodeId(at as u64 + 1), Member::voter(format!("127.0.0.1:{port}")))
        };
        let members: Members = ports.iter().enumerate().map(member).collect();
        let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
        let tree = Unstarted::new(
            replica::Settings::new(NodeId(id)),
            clock.clone(),
            proposals.clone(),
            number(),
        );
        let listen = format!("127.0.0.1:{}", ports[id as usize - 1]);
        let cluster = Cluster::start_tcp(
            Options::new(NodeId(id), members, &home.join("tree")),
            &listen,
            Secret::new("of a test"),
            tree.state_machine(),
            proposals,
            clock.clone(),
            tree.on_note(),
        );
        let cluster = in_time(cluster).await.unwrap();
        let replica = tree.start(cluster.clone());
        let mut file: std::collections::BTreeMap<_, _> =
            [("offsets.topic.num.partitions", "2"), ("group.initial.rebalance.delay.ms", "0")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
        file.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        // Not the node's number: nobody may take one for the other.
        let broker_id = 10 + id as i32;
        let settings = Settings {
            broker_id,
            log_dirs: vec![home.join("kafka")],
            advertised: vec![Endpoint::plaintext("127.0.0.1", 9092)],
            configs: Configs::new(broker_id, file).unwrap(),
            descriptors: Admission::new(0, 0),
            drain_timeout: Duration::from_secs(5),
        };
        let broker = in_time(Broker::start(settings, replica.clone(), clock)).await.unwrap();
        let port = broker.listen("PLAINTEXT", "127.0.0.1:0").await.unwrap().port();
        Self { broker, port, replica, cluster, _dir: dir }
    }

    /// The first image of which something holds.
    pub async fn until(&self, holds: impl Fn(&Image) -> bool) -> Arc<Image> {
        in_time(async {
            loop {
                let image = self.broker.image();
                if holds(&image) {
                    return image;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Takes the node away from the others without a word.
    pub async fn vanish(&self) {
        in_time(self.cluster.shutdown()).await;
    }

    pub async fn connect(&self) -> Connection {
        self.connect_to(self.port).await
    }

    /// Opens another listener; its port.
    pub async fn listen(&self, listener: &str) -> u16 {
        self.broker.listen(listener, "127.0.0.1:0").await.unwrap().port()
    }

    pub async fn connect_to(&self, port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
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
