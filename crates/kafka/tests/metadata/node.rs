//! A node of a test: a tree and the metadata of a broker on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::Options;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Member, Members, Proposals};
use polyport_kafka::metadata::broker::{Registration, prepare};
use polyport_kafka::metadata::config::{Alterations, Configs};
use polyport_kafka::metadata::controller::{self, Controller};
use polyport_kafka::metadata::image::{Image, Images};
use polyport_kafka::metadata::topics::{Layout, NewTopic, Topics};
use polyport_kafka::metadata::znode::{BrokerZnode, Endpoint};
use polyport_tree::client::{self, Client};
use polyport_tree::replica::{Settings, Unstarted};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
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

pub fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

pub struct Node {
    pub cluster: Cluster,
    pub client: Client,
    pub images: Images,
    pub topics: Topics,
    pub configs: Configs,
    pub alterations: Alterations,
    pub cluster_id: String,
    pub registration: Option<Registration>,
    pub controller: Option<Controller>,
}

pub fn broker(id: u64) -> BrokerZnode {
    let endpoints = vec![Endpoint::plaintext("127.0.0.1", 9092 + id as u16)];
    BrokerZnode { endpoints, jmx_port: -1, ..BrokerZnode::default() }
}

impl Node {
    /// Starts a broker. `life`: another number for each process of a node.
    pub async fn start(id: u64, ports: &[u16], dir: &Path, life: u64) -> Self {
        let mut node = Self::tree(id, ports, dir, life).await;
        let clock = Arc::new(SystemClock);
        let broker = broker(id);
        let registration =
            Registration::start(node.client.clone(), id as i32, broker, clock.clone());
        node.registration = Some(in_time(registration).await.unwrap());
        node.controller = Some(node.control(id as i32));
        node
    }

    /// Stands for controller, in a broker's name.
    pub fn control(&self, broker: i32) -> Controller {
        let configs = self.configs.clone();
        let unclean = Arc::new(move |image: &Image, topic: &str| configs.unclean(image, topic));
        let settings = controller::Settings { broker, unclean };
        let (client, images) = (self.client.clone(), self.images.clone());
        Controller::start(client, images, settings, Arc::new(SystemClock))
    }

    /// Only the tree and the image.
    pub async fn tree(id: u64, ports: &[u16], dir: &Path, life: u64) -> Self {
        let member = |(at, port): (usize, &u16)| {
            (NodeId(at as u64 + 1), Member::voter(format!("127.0.0.1:{port}")))
        };
        let members: Members = ports.iter().enumerate().map(member).collect();
        let (clock, proposals) = (Arc::new(SystemClock), Proposals::new());
        let settings = Settings { tick: Duration::from_millis(100), ..Settings::new(NodeId(id)) };
        let tree = Unstarted::new(settings, clock.clone(), proposals.clone(), id << 8 | life);
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
            client::Options { session_timeout: Duration::from_secs(2), max_outstanding: 64 };
        let client = in_time(Client::open(replica, options)).await.unwrap();
        let cluster_id = in_time(prepare(&client)).await.unwrap();
        let images = Images::follow(&client);
        let configs = Configs::new(id as i32, Default::default()).unwrap();
        let topics = Topics::new(client.clone(), images.clone(), configs.clone());
        let alterations = Alterations::new(client.clone(), images.clone(), configs.clone());
        Self {
            cluster,
            client,
            images,
            topics,
            configs,
            alterations,
            cluster_id,
            registration: None,
            controller: None,
        }
    }

    /// The first image of which something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Image) -> bool) -> Arc<Image> {
        let mut changes = self.images.subscribe();
        let wait = async {
            loop {
                let image = changes.next().await.after;
                if holds(&image) {
                    return image;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(image) => image,
            Err(_) => panic!("{what} did not come about: {:?}", self.images.current()),
        }
    }

    pub fn text(&self, path: &str) -> String {
        let (data, _) = self.client.get(path).unwrap_or_else(|| panic!("{path} is not there"));
        String::from_utf8(data).unwrap()
    }
}

/// A topic of so many partitions and replicas.
pub fn topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    let layout = Layout::Counted {
        partitions: Some(partitions),
        replication_factor: Some(replication_factor),
    };
    NewTopic { name: name.to_owned(), layout, configs: Default::default() }
}
