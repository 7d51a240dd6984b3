//! Nodes on free ports: one alone, or several that are an ensemble.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_telemetry::Value;
use polyport_tree::replica::{self, Unstarted};
use polyport_zookeeper::observe::metrics;
use polyport_zookeeper::server::{Server, Settings, Stats};

use crate::client::{Client, PATIENCE};

pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) server: Server,
    /// The plain client port.
    pub(crate) port: SocketAddr,
    dir: Dir,
}

/// A directory that goes when this does.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("polyport-security-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Node {
    /// Alone.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_with(replica::Settings::new(NodeId(1)), settings).await
    }

    /// Alone, with a tree of these settings.
    pub(crate) async fn start_with(tree: replica::Settings, settings: Settings) -> Self {
        let members = Members::from([(NodeId(1), Member::voter("127.0.0.1:1".to_owned()))]);
        let node = Self::member(tree, settings, members, "127.0.0.1:0").await;
        node.cluster.status().wait_for(|status| status.in_quorum).await.unwrap();
        node
    }

    /// Three that know each other.
    pub(crate) async fn ensemble(settings: &Settings) -> Vec<Self> {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [free(), free(), free()];
        let addresses = listeners.map(|free| free.local_addr().unwrap().to_string());
        let members: Members = (1..)
            .map(NodeId)
            .zip(addresses.iter().map(|address| Member::voter(address.clone())))
            .collect();
        let mut nodes = Vec::new();
        for (id, address) in (1..).zip(&addresses) {
            let tree = replica::Settings::new(NodeId(id));
            nodes.push(Self::member(tree, settings.clone(), members.clone(), address).await);
        }
        nodes
    }

    async fn member(
        tree: replica::Settings,
        settings: Settings,
        members: Members,
        address: &str,
    ) -> Self {
        let dir = Dir::new();
        let mut options = Options::new(tree.node, members, &dir.0);
        options.durable = false;
        options.wal.prealloc_bytes = 4096;
        // On a busy machine, leadership is to change when a test says so.
        options.heartbeat = Duration::from_millis(100);
        options.election = (PATIENCE / 4, PATIENCE / 2);
        let proposals = Proposals::new();
        let clock = Arc::new(SystemClock);
        let tree = Unstarted::new(tree, clock.clone(), proposals.clone(), 7);
        let cluster = Cluster::start_tcp(
            options,
            address,
            Secret::new("secret"),
            tree.state_machine(),
            proposals,
            clock,
            tree.on_note(),
        );
        let cluster = cluster.await.unwrap();
        let server = Server::new(settings, tree.start(cluster.clone()));
        let port = server.listen("127.0.0.1:0").await.unwrap();
        Self { cluster, server, port, dir }
    }

    /// Opens the secure port.
    pub(crate) async fn secure(&self) -> SocketAddr {
        self.server.listen_secure("127.0.0.1:0").await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.port).await
    }

    /// A metric's number; of a distribution, how many were recorded.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = metrics::metrics(&self.server);
        let found = metrics.into_iter().find(|metric| metric.name == name);
        match found.unwrap_or_else(|| panic!("no metric {name}")).value {
            Value::Counter(value) => value as f64,
            Value::Gauge(value) => value as f64,
            Value::Ratio(value) | Value::Total(value) => value,
            Value::Summary(all, _) => all.count as f64,
            Value::Labelled(..) => panic!("{name} is many numbers"),
        }
    }

    /// Returns when a metric has come to a number.
    pub(crate) async fn metric_is(&self, name: &str, expected: f64) {
        let come = async {
            while self.metric(name) != expected {
                tokio::task::yield_now().await;
            }
        };
        let come = tokio::time::timeout(PATIENCE, come).await;
        assert!(come.is_ok(), "{name} is {}", self.metric(name));
    }

    pub(crate) fn stats(&self) -> Arc<Stats> {
        self.server.stats().clone()
    }

    /// Shows that the node still serves others, and stops it.
    pub(crate) async fn still_works(self) {
        let mut client = self.client().await;
        client.create("/still-works", b"yes").await;
        assert_eq!(client.get("/still-works").await, b"yes");
        self.server.drain().await;
        self.cluster.shutdown().await;
        drop(self.dir);
    }
}
