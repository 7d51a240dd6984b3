//! A broker's start and stop.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyport_base::Clock;
use polyport_partitions::{OpenError, Opened, Store};
use polyport_storage::OsDisk;
use polyport_tree::client::{Client, Options};
use polyport_tree::replica::Replica;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::duties::Duties;
use super::remote_markers::Markers;
use super::{Broker, Fetchers, Gone, Peers, Settings, Stats, deaths, follow, isr};
use crate::group::Coordinator;
use crate::metadata::broker::{self, RegisterError, Registration};
use crate::metadata::config::Alterations;
use crate::metadata::image::{Image, Images, Partition};
use crate::metadata::leaders::Leaders;
use crate::metadata::topics::{CONSUMER_OFFSETS, TRANSACTION_STATE, Topics};
use crate::quota::Quotas;
use crate::security::{Access, SecurityError};
use crate::server::FetchSessions;
use crate::transaction::TransactionCoordinator;
use crate::transaction::coordinator::{LocalMarkers, leadership};
use crate::transaction::producer_id::{ProducerIds, TreeBlocks};

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log directories.
    #[error("the log directories cannot be opened")]
    Store(#[from] OpenError),
    /// The metadata.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// What the broker's file says of access.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// An address, or the operating system's randomness.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Tasks that end with the broker.
pub(super) struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Broker {
    /// Opens the logs, registers the broker, and begins to follow the metadata. It answers nobody
    /// before [`Broker::listen`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        settings: Settings,
        replica: Replica,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StartError> {
        let began = Instant::now();
        let session_timeout = settings.session_timeout();
        let policy = settings.configs.policy()?;
        let options = Options { session_timeout, ..Options::default() };
        let client = Client::open(replica, options).await?;
        let cluster_id = broker::prepare(&client).await?;
        let images = Images::follow(&client);
        let store = open(&settings, &images, cluster_id, clock.clone()).await?;
        let znode = settings.znode();
        let id = settings.broker_id;
        let registration = Registration::start(client.clone(), id, znode, clock.clone()).await?;
        let configs = settings.configs.clone();
        let topics = Topics::new(client.clone(), images.clone(), configs.clone());
        let alterations = Alterations::new(client.clone(), images.clone(), configs.clone());
        let image = images.fresh().await;
        let known = image.topic(CONSUMER_OFFSETS).map(|topic| topic.partitions.len());
        let count = known.and_then(|count| i32::try_from(count).ok());
        let count = count.unwrap_or(settings.size("offsets.topic.num.partitions") as i32);
        let groups = Coordinator::new(settings.groups(), clock.clone(), count);
        let patience = settings.millis("request.timeout.ms");
        let peers = Peers::new(client.clone(), id, patience);
        let markers = markers(&settings, &images, &store, &groups, &clock);
        let everywhere = Markers {
            broker: id,
            images: images.clone(),
            local: markers.clone(),
            peers: peers.clone(),
        };
        let transactions = transactions(&settings, &client, everywhere, &image);
        let leaders = Leaders::new(client.clone(), images.clone());
        let duties = Duties::start(id, configs, &client, &images, &topics, clock.clone());
        let changes = images.subscribe();
        let fetchers =
            Fetchers::new(settings.fetchers(), store.clone(), peers.clone(), clock.clone());
        let access = policy.map(|policy| Access::new(policy, &client));
        let broker = Arc::new(Self {
            peers,
            fetchers,
            gone: Gone::default(),
            began,
            fetch_sessions: FetchSessions::new(
                settings.size("max.incremental.fetch.session.cache.slots"),
            ),
            fetch_max_bytes: settings.size("fetch.max.bytes") as u64,
            quotas: Quotas::new(settings.quota_window()),
            settings,
            clock,
            store,
            client,
            images,
            topics,
            leaders,
            alterations,
            groups,
            transactions,
            markers,
            stats: Stats::default(),
            access,
            threads: tokio::runtime::Handle::current(),
            draining: watch::channel(false).0,
            followed: watch::channel(()).0,
            running: Mutex::new(None),
        });
        broker.tell_strays(&image);
        broker.serve_peers();
        let tasks = Tasks(vec![
            tokio::spawn(follow::follow(broker.clone(), changes)).abort_handle(),
            tokio::spawn(isr::keep(broker.clone())).abort_handle(),
            tokio::spawn(deaths::watch(broker.clone())).abort_handle(),
        ]);
        *broker.running.lock() = Some((registration, duties, tasks));
        broker.led().await;
        Ok(broker)
    }

    /// Waits until this node leads what it can lead, but not for long: clients ask again.
    async fn led(&self) {
        const AT_MOST: Duration = Duration::from_secs(1);
        let mut changes = self.images.subscribe();
        let done = async {
            loop {
                let image = changes.next().await.after;
                let mut partitions = image.topics().flat_map(|topic| topic.partitions.iter());
                let lives = |id: &i32| image.is_alive(*id);
                let waits = |partition: &Partition| {
                    image.acting_leader(partition).is_none() && partition.isr().iter().any(lives)
                };
                if !partitions.any(waits) {
                    return;
                }
            }
        };
        // Whoever is not led by then is led later.
        let _ = tokio::time::timeout(AT_MOST, done).await;
    }

    /// Stops: others lead, no new connections, what is owed is answered, the registration goes, logs
    /// are flushed. Blocks for the disk at its end.
    pub async fn stop(self: Arc<Self>) {
        self.hand_over().await;
        self.draining.send_replace(true);
        let finished = tokio::time::timeout(self.settings.drain_timeout, self.stats.all_closed());
        if finished.await.is_err() {
            tracing::warn!("Kafka's connections with requests in progress are cut off");
        }
        self.refuse_peers();
        self.fetchers.stop();
        self.running.lock().take();
        if let Err(error) = self.client.clone().close().await {
            tracing::warn!(%error, "the broker's session could not be closed: it expires");
        }
        let store = self.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        if !matches!(closed, Ok(0)) {
            tracing::warn!("not all log directories were closed: the next start reads them");
        }
    }
}

/// What writes the ends of transactions to this node's partitions.
fn markers(
    settings: &Settings,
    images: &Images,
    store: &Store<OsDisk>,
    groups: &Coordinator,
    clock: &Arc<dyn Clock>,
) -> Arc<LocalMarkers<OsDisk>> {
    let (images, broker) = (images.clone(), settings.broker_id);
    Arc::new(LocalMarkers {
        store: store.clone(),
        clock: clock.clone(),
        leader_of: Box::new(move |of| leadership(&images.current(), broker, of)),
        groups: groups.clone(),
        timeout: settings.millis("request.timeout.ms"),
    })
}

/// The transaction coordinator, which leads nothing yet.
fn transactions(
    settings: &Settings,
    client: &Client,
    markers: Markers,
    image: &Image,
) -> TransactionCoordinator {
    let known = image.topic(TRANSACTION_STATE).map(|topic| topic.partitions.len());
    let count = known.unwrap_or_else(|| settings.size("transaction.state.log.num.partitions"));
    let ids = ProducerIds::new(TreeBlocks::new(client.clone(), settings.broker_id));
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let (config, clock) = (settings.transactions(), markers.local.clock.clone());
    TransactionCoordinator::new(config, clock, count, ids, Arc::new(markers))
}

async fn open(
    settings: &Settings,
    images: &Images,
    cluster_id: String,
    clock: Arc<dyn Clock>,
) -> Result<Store<OsDisk>, StartError> {
    let store = settings.store(cluster_id);
    let config = {
        let (configs, image) = (settings.configs.clone(), images.current());
        move |topic: &str| Arc::new(configs.partitions(&image, topic))
    };
    let opening = move || -> Result<_, OpenError> {
        let (store, opened) = Store::open(OsDisk, store, clock, &config)?;
        store.start()?;
        Ok((store, opened))
    };
    let opened = tokio::task::spawn_blocking(opening).await;
    let (store, opened) = opened.map_err(|_| io::Error::other("opening the logs panicked"))??;
    tell(&opened);
    Ok(store)
}

fn tell(opened: &Opened) {
    for (dir, error) in &opened.failed_dirs {
        tracing::error!(dir = %dir.display(), %error, "a log directory is offline");
    }
    for (of, error) in &opened.failed_partitions {
        let (topic, partition) = (&of.topic, of.partition);
        tracing::error!(topic, partition, %error, "a partition cannot be used");
    }
    for (of, dir) in &opened.twice {
        let name = of.dir_name();
        tracing::error!(dir = %dir.display(), "{name} is there twice: this one is not used");
    }
    for (of, bytes, reason) in &opened.cut {
        let (topic, partition) = (&of.topic, of.partition);
        tracing::warn!(topic, partition, bytes, reason, "a torn end was cut off");
    }
    for dir in &opened.unclean_dirs {
        let scanned = opened.scanned_bytes;
        tracing::info!(dir = %dir.display(), scanned, "the logs were not closed: checked");
    }
}
