//! A broker: everything that one node's Kafka consists of, from its start to its stop.

mod deaths;
mod duties;
mod fetchers;
mod follow;
mod isr;
pub mod peers;
mod remote_markers;
mod settings;
mod start;
mod stats;
mod topic_view;
pub(crate) mod verification;

use std::sync::Arc;
use std::time::{Duration, Instant};

use polyport_base::Clock;
use polyport_kafka_codec::ErrorCode;
use polyport_partitions::{Role, Store};
use polyport_storage::OsDisk;
use polyport_tree::client::Client;
use tokio::sync::watch;

pub(crate) use deaths::Gone;
use fetchers::Fetchers;
pub(crate) use peers::SERVICE;
pub use peers::{PeerError, Peers};
pub use settings::Settings;
pub use start::StartError;
pub use stats::{Level, RequestStats, Requests, Stats, TopicStats};

use crate::group::Coordinator;
use crate::metadata::broker::Registration;
use crate::metadata::config::Alterations;
use crate::metadata::image::Images;
use crate::metadata::leaders::Leaders;
use crate::metadata::topics::{TopicError, Topics};
use crate::quota::Quotas;
use crate::security::Access;
use crate::server::FetchSessions;
use crate::transaction::TransactionCoordinator;
use crate::transaction::coordinator::LocalMarkers;

/// A random number for what need not be secret: ids of fetch sessions.
pub(crate) fn draw() -> i32 {
    let mut bytes = [0; 4];
    // Without randomness the same number comes again, and is found to be taken.
    let _ = getrandom::fill(&mut bytes);
    i32::from_le_bytes(bytes)
}

/// For so long after its start a broker takes members of the cluster without a broker for nodes that
/// are starting too: an internal topic that is made gets a replica on each of them.
const OTHERS_START: Duration = Duration::from_secs(20);

/// One node's Kafka.
pub struct Broker {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store<OsDisk>,
    pub(crate) client: Client,
    pub(crate) images: Images,
    pub(crate) topics: Topics,
    pub(crate) alterations: Alterations,
    pub(crate) leaders: Leaders,
    peers: Peers,
    fetchers: Fetchers,
    /// Where clients are not sent.
    pub(crate) gone: Gone,
    began: Instant,
    pub(crate) groups: Coordinator,
    pub(crate) transactions: TransactionCoordinator,
    /// Writes the ends of transactions to this node's partitions.
    pub(crate) markers: Arc<LocalMarkers<OsDisk>>,
    pub(crate) fetch_sessions: FetchSessions,
    /// `fetch.max.bytes`. Every fetch asks, and looking a setting up takes longer than a small fetch.
    pub(crate) fetch_max_bytes: u64,
    pub(crate) quotas: Quotas,
    pub(crate) stats: Stats,
    /// Judges what callers may do; without it everybody may do everything.
    pub(crate) access: Option<Access>,
    /// The threads that all of this runs on.
    pub(crate) threads: tokio::runtime::Handle,
    pub(crate) draining: watch::Sender<bool>,
    /// Told whenever this node's partitions have followed a change of the metadata.
    followed: watch::Sender<()>,
    /// In the order in which they end.
    running: parking_lot::Mutex<Option<(Registration, duties::Duties, start::Tasks)>>,
}

impl Broker {
    /// Why there is no such partition among this node's: nobody has it, another node has it, or its
    /// disk failed.
    pub(crate) fn why_missing(&self, topic: &str, partition: i32) -> ErrorCode {
        let image = self.images.current();
        let known = image.partition(topic, partition).filter(|_| !image.is_deleting(topic));
        match known {
            None => ErrorCode::UnknownTopicOrPartition,
            Some(found) if found.replicas.contains(&self.settings.broker_id) => {
                match self.store.why_missing() {
                    polyport_partitions::Refused::Storage => ErrorCode::KafkaStorageError,
                    // It is about to be made.
                    _ => ErrorCode::NotLeaderOrFollower,
                }
            }
            Some(_) => ErrorCode::NotLeaderOrFollower,
        }
    }

    /// Who leads a partition, -1 for nobody, and in which epoch; `None` if there is no such partition.
    pub(crate) fn leader_and_epoch(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let image = self.images.current();
        let found = image.partition(topic, partition)?;
        Some((found.leader().unwrap_or(-1), found.leader_epoch()))
    }

    /// Returns when the broker is being stopped.
    pub(crate) async fn drained(&self) {
        // The sender is this one.
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Returns when every partition of a topic has a leader and answers, as far as this node leads it;
    /// at once if the topic is gone. There is no limit of time: wrap it in one.
    pub(crate) async fn served(&self, topic: &str) {
        self.topics.led(topic).await;
        let mut followed = self.followed.subscribe();
        while !self.serves(topic) {
            // The sender is this one.
            let _ = followed.changed().await;
        }
    }

    fn serves(&self, topic: &str) -> bool {
        let image = self.images.current();
        let Some(found) = image.topic(topic) else { return true };
        let ours = self.settings.broker_id;
        let mut led = found.numbered().filter(|(_, partition)| partition.leader() == Some(ours));
        led.all(|(number, _)| {
            let here = self.store.partition(topic, number);
            here.is_some_and(|here| here.status().is_ok_and(|status| status.role == Role::Leader))
        })
    }

    /// Makes a topic with the broker's defaults, unless it is there.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub(crate) async fn ensure(&self, topic: &str) -> Result<(), TopicError> {
        self.topics.ensure(topic, self.nodes()).await
    }

    /// How many nodes there are for replicas of what the broker makes by itself.
    fn nodes(&self) -> usize {
        let living = self.images.current().brokers().len();
        if self.began.elapsed() > OTHERS_START {
            return living;
        }
        let members = self.client.replica().cluster().status().borrow().members.len();
        living.max(members)
    }

    fn flag(&self, name: &str) -> bool {
        self.settings.configs.broker_flag(&self.images.current(), name)
    }

    /// `auto.create.topics.enable`.
    pub(crate) fn auto_creates(&self) -> bool {
        self.flag("auto.create.topics.enable")
    }

    /// `delete.topic.enable`.
    pub(crate) fn deletes_topics(&self) -> bool {
        self.flag("delete.topic.enable")
    }

    /// What this node knows of the cluster.
    pub fn image(&self) -> Arc<crate::metadata::image::Image> {
        self.images.current()
    }

    /// The other brokers.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// What is counted; [`Broker::metrics`] has it with names.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
