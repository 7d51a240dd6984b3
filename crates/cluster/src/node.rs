//! One node of the cluster.

mod amnesia;
mod bootstrap;
mod channels;
mod purging;
mod reconfigure;
mod sending;
mod status;

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use openraft::{Config, SnapshotPolicy};
use polyport_base::{Clock, NodeId};
use polyport_storage::disk::{Disk, OsDisk};
use polyport_storage::snapshot::SnapshotStore;
use polyport_storage::wal::{Wal, WalOptions};
use tokio::sync::watch;

pub(crate) use amnesia::Amnesia;
pub(crate) use bootstrap::{decode_standing, standing_of};
pub(crate) use channels::Channels;
pub use reconfigure::ClusterError;
pub(crate) use reconfigure::{Change, reconfigure};
pub(crate) use status::{Heard, Shared};
pub use status::{Standing, Status};

use crate::content::Content;
use crate::observed::{self, Observed, Peer};
use crate::raft::{
    self, Dialer, Inbound, LogStore, MachineStore, Raft, WalWorker, keep_up, serve, take_backup,
};
use crate::transport::{Connection, Secret, Tcp, TcpListener, Transport};
use crate::{Members, Proposals, StateMachine};

/// How a node takes part.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its number.
    pub node: NodeId,
    /// The members a new cluster begins with. Must hold this node unless `join` is set.
    pub members: Members,
    /// Address of a member of a running cluster to join.
    pub join: Option<String>,
    /// Where the log is.
    pub log_dir: PathBuf,
    /// Where snapshots are.
    pub snapshot_dir: PathBuf,
    /// Snapshots that stay on disk.
    pub snapshots_kept: usize,
    /// How often those beyond are removed, the first time at the start; without it, whenever there
    /// is a new one.
    pub purge_every: Option<Duration>,
    /// Entries of the log that stay after a snapshot, so that a node a little behind needs none.
    pub log_kept: u64,
    /// The journal's files.
    pub wal: WalOptions,
    /// Whether to sync the log before a proposal counts (`forceSync`).
    pub durable: bool,
    /// A sync of the log that takes longer is warned of and counted.
    pub slow_sync: Duration,
    /// Interval of the leader's heartbeats.
    pub heartbeat: Duration,
    /// Shortest and longest silence of the leader before an election.
    pub election: (Duration, Duration),
    /// Certificates of the node port; without them it is not encrypted.
    pub tls: Option<polyport_net::tls::Mutual>,
    /// Whether the system probes silent nodes.
    pub tcp_keep_alive: bool,
    /// Simulations: the log's writer runs as a task and takes this long for a sync; snapshots are
    /// written in place. No other thread is used.
    pub simulated_sync: Option<fn() -> Duration>,
}

impl Options {
    /// The defaults, in a data directory.
    pub fn new(node: NodeId, members: Members, data_dir: &std::path::Path) -> Self {
        Self {
            node,
            members,
            join: None,
            log_dir: data_dir.join("log"),
            snapshot_dir: data_dir.join("snapshot"),
            snapshots_kept: 3,
            purge_every: None,
            log_kept: 1000,
            wal: WalOptions::default(),
            durable: true,
            slow_sync: Duration::from_secs(1),
            heartbeat: Duration::from_millis(50),
            election: (Duration::from_millis(150), Duration::from_millis(300)),
            tls: None,
            tcp_keep_alive: true,
            simulated_sync: None,
        }
    }
}

/// A machine that is called through a pointer, so that openraft is compiled for one type only.
pub(crate) struct AnyMachine(Box<dyn StateMachine>);

impl StateMachine for AnyMachine {
    fn apply(&mut self, committed: &[crate::Committed<'_>]) -> io::Result<()> {
        self.0.apply(committed)
    }

    fn members_changed(&mut self, index: u64, members: &Members) {
        self.0.members_changed(index, members);
    }

    fn snapshot(&mut self) -> Box<dyn crate::SnapshotWrite> {
        self.0.snapshot()
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        self.0.restore(from)
    }
}

/// Told of other nodes' notes.
pub type OnNote = Arc<dyn Fn(NodeId, &[u8]) + Send + Sync>;

/// A running node. Clones are handles on the same node.
#[derive(Clone)]
pub struct Cluster {
    control: Arc<dyn Control>,
    status: watch::Receiver<Status>,
    observed: Arc<Observed>,
}

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Bytes of [`Backup::head`], at most.
const HEAD_BYTES: u64 = 64;

/// What a handle can do, whatever the disk and the transport are.
trait Control: Send + Sync {
    fn accept(&self, connection: Connection);
    fn snapshot(&self) -> BoxFuture<'_, io::Result<()>>;
    fn reconfigure(
        &self,
        members: Members,
        version: Option<u64>,
    ) -> BoxFuture<'_, Result<u64, ClusterError>>;
    fn peers(&self) -> Vec<Peer>;
    fn transfer(&self) -> BoxFuture<'_, ()>;
    fn channels(&self) -> &Channels;
    fn open_channel<'a>(
        &'a self,
        node: NodeId,
        service: &'a str,
    ) -> BoxFuture<'a, io::Result<Connection>>;
    fn content(&self) -> &OnceLock<Content>;
    fn backup(&self) -> BoxFuture<'_, io::Result<Backup>>;
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// A backup of this node: everything it had applied when it was asked.
pub struct Backup {
    /// Bytes of the file.
    pub len: u64,
    /// The first bytes of the state machine's content in it.
    pub head: Vec<u8>,
    piece: Box<dyn Fn(u64) -> io::Result<Bytes> + Send + Sync>,
}

impl Backup {
    /// Some of the file's bytes, those from `offset` on.
    ///
    /// # Errors
    /// The disk's; also if there are none.
    pub fn piece(&self, offset: u64) -> io::Result<Bytes> {
        (self.piece)(offset)
    }
}

struct Core<T: Transport, D: Disk> {
    raft: Raft<D, AnyMachine>,
    dialer: Dialer<T, D>,
    inbound: Inbound<D, AnyMachine>,
    change: Change,
    status: watch::Receiver<Status>,
}

impl Cluster {
    /// Starts a node on this machine's disk and TCP, listening at `listen`.
    ///
    /// # Errors
    /// If the log or a snapshot is damaged, or the address cannot be used.
    pub async fn start_tcp(
        options: Options,
        listen: &str,
        secret: Secret,
        machine: Box<dyn StateMachine>,
        proposals: Proposals,
        clock: Arc<dyn Clock>,
        on_note: impl Fn(NodeId, &[u8]) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let tcp = Tcp::new(secret).with_tls(options.tls.clone());
        let tcp = tcp.with_keep_alive(options.tcp_keep_alive);
        let listener = TcpListener::bind(listen, tcp.clone()).await.map_err(|error| {
            io::Error::new(error.kind(), format!("node port {listen}: {error}"))
        })?;
        let cluster =
            Self::start(options, OsDisk, tcp, machine, proposals, clock, Arc::new(on_note)).await?;
        let handle = cluster.clone();
        tokio::spawn(listener.run(move |connection| handle.accept(connection)));
        Ok(cluster)
    }

    /// Starts a node on any disk and transport. Connections from peers come in through
    /// [`Cluster::accept`].
    ///
    /// # Errors
    /// If the log or a snapshot is damaged.
    pub async fn start<T: Transport, D: Disk>(
        options: Options,
        disk: D,
        transport: T,
        machine: Box<dyn StateMachine>,
        proposals: Proposals,
        clock: Arc<dyn Clock>,
        on_note: OnNote,
    ) -> io::Result<Self> {
        let observed = Arc::new(Observed::default());
        let since = std::time::Instant::now();
        let (wal, recovered) =
            Wal::open(disk.clone(), &options.log_dir, options.wal).map_err(io::Error::other)?;
        if let Some(cut) = &recovered.cut {
            tracing::warn!(
                file = %cut.file.display(),
                offset = cut.offset,
                bytes = cut.bytes,
                reason = %cut.reason,
                "the log's end was torn and has been cut off: it was never acknowledged"
            );
        }
        let (log, jobs) = LogStore::new(&wal, &recovered)?;
        let snapshots = SnapshotStore::open_dir(disk.clone(), &options.snapshot_dir)?;
        let machine = AnyMachine(machine);
        let machine = MachineStore::open(
            machine,
            snapshots.clone(),
            raft::Keeping {
                snapshots: options.snapshots_kept,
                purges: options.purge_every.is_none(),
            },
            observed.clone(),
            options.simulated_sync.is_some(),
        )?;
        observed.load.record_time(since.elapsed());
        if log.is_pristine() && machine.applied_index().is_some_and(|index| index > 0) {
            return Err(log_is_gone(&options));
        }
        let pristine = log.is_pristine() && machine.applied_index().is_none();
        let mark = amnesia::Mark::of_amnesia(disk.clone(), &options.snapshot_dir);
        let joining = amnesia::Mark::of_joining(disk, &options.snapshot_dir);
        let joins = bootstrap::joins(&options);
        if pristine && joins {
            joining.make()?;
        }
        let unadmitted = joins && joining.is_there()?;
        let amnesia = Arc::new(Amnesia::default());
        let pristine = pristine || mark.is_there()?;
        if pristine && bootstrap::has_something_to_forget(&options) {
            mark.make()?;
            amnesia.begin();
        }
        let upkeep = wal.upkeep();
        let durability = raft::Durability { sync: options.durable, slow: options.slow_sync };
        let worker = WalWorker::new(wal, jobs, durability, observed.clone());
        match options.simulated_sync {
            Some(delay) => drop(tokio::spawn(worker.run_simulated(delay))),
            None => {
                let thread = std::thread::Builder::new().name("log-writer".to_owned());
                thread.spawn(move || worker.run())?;
                let thread = std::thread::Builder::new().name("log-upkeep".to_owned());
                thread.spawn(move || keep_up(&upkeep))?;
            }
        }
        let shared = Shared::default();
        let dialer = Dialer::new(transport, options.node.0, snapshots.clone(), shared.clone());
        let config = raft_config(&options)?;
        let raft = Raft::new(options.node.0, config, dialer.clone(), log, machine.clone());
        let raft = raft.await.map_err(io::Error::other)?;
        let heard = Heard::default();
        let status = status::follow(&options, &raft, heard.clone(), shared, amnesia.clone());
        if let Some(every) = options.purge_every {
            let purge =
                purging::Purge { snapshots: snapshots.clone(), keep: options.snapshots_kept };
            tokio::spawn(purge.run(every, status.clone(), options.simulated_sync.is_some()));
        }
        let change = Change::new(dialer.clone());
        let inbound = Inbound {
            raft: raft.clone(),
            snapshots,
            clock: clock.clone(),
            heard: heard.clone(),
            amnesia: amnesia.clone(),
            on_note: on_note.clone(),
            change: change.clone(),
            status: status.clone(),
            content: Arc::default(),
            channels: Channels::default(),
        };
        tokio::spawn(observed::follow(status.clone(), observed.clone()));
        if !pristine && bootstrap::is_alone(&raft) {
            // Nobody else can win: no need to wait for a timeout.
            drop(raft.trigger().elect(false).await);
        }
        let core = Arc::new(Core {
            raft: raft.clone(),
            dialer: dialer.clone(),
            inbound,
            change,
            status: status.clone(),
        });
        if unadmitted {
            bootstrap::join(&options, raft.clone(), joining, dialer.clone());
        } else if pristine {
            if amnesia.is_set() {
                // A candidate votes for itself.
                raft.runtime_config().elect(false);
            }
            let memory = bootstrap::Memory { raft: raft.clone(), amnesia, mark };
            bootstrap::bootstrap(&options, memory, dialer.clone());
        }
        let sending = sending::Sending {
            node: options.node,
            raft,
            dialer,
            proposals,
            clock,
            status: status.clone(),
            on_note,
        };
        tokio::spawn(sending.run());
        Ok(Self { control: core, status, observed })
    }

    /// A peer connected.
    pub fn accept(&self, connection: Connection) {
        self.control.accept(connection);
    }

    /// How this node stands in the cluster, followed.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What was counted and measured since the start.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// The other nodes, as far as this one knows as their leader; empty if it does not lead.
    pub fn peers(&self) -> Vec<Peer> {
        self.control.peers()
    }

    /// Makes a snapshot soon and lets go of the log before it.
    ///
    /// # Errors
    /// If the node has stopped.
    pub async fn snapshot(&self) -> io::Result<()> {
        self.control.snapshot().await
    }

    /// Makes `members` the membership: adds, removes, and changes roles. `version`: the
    /// configuration that must be the current one. The answer is the new one: the index of the
    /// entry that made it.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn reconfigure(
        &self,
        members: Members,
        version: Option<u64>,
    ) -> Result<u64, ClusterError> {
        self.control.reconfigure(members, version).await
    }

    /// Lets operators at the state machine's content, over the node port. Only the first call counts.
    pub fn serve_content(&self, content: Content) {
        drop(self.control.content().set(content));
    }

    /// Makes a snapshot and opens its file.
    ///
    /// # Errors
    /// If the snapshot cannot be made in ten minutes, or not be read.
    pub async fn backup(&self) -> io::Result<Backup> {
        self.control.backup().await
    }

    /// Hands leadership to the most up-to-date other voter, if this node leads and there is one.
    /// Returns when another leads, or after two seconds.
    pub async fn transfer(&self) {
        self.control.transfer().await;
    }

    /// Hands other nodes' connections for a service above the cluster to `handler`, with the number
    /// of the node that each comes from; until [`Cluster::end_channel`]. Whoever is not served finds
    /// its connection closed.
    pub fn serve_channel(
        &self,
        service: &str,
        handler: impl Fn(NodeId, Connection) + Send + Sync + 'static,
    ) {
        self.control.channels().serve(service, Arc::new(handler));
    }

    /// Takes no more connections for a service.
    pub fn end_channel(&self, service: &str) {
        self.control.channels().end(service);
    }

    /// A connection to a service of another node, or of this one. It is over the node port, so both
    /// sides know the cluster's secret. That the service is there shows in its first answer.
    ///
    /// # Errors
    /// `NotFound` if there is no such member; see [`Transport::connect`] for others.
    pub async fn open_channel(&self, node: NodeId, service: &str) -> io::Result<Connection> {
        self.control.open_channel(node, service).await
    }

    /// Stops taking part. What was acknowledged is on disk already.
    pub async fn shutdown(&self) {
        self.control.shutdown().await;
    }
}

/// A vote is written before the first entry, and whoever forgot its votes may vote twice in a term.
fn log_is_gone(options: &Options) -> io::Error {
    let (log, snapshots) = (options.log_dir.display(), options.snapshot_dir.display());
    let what = format!(
        "{log}: the transaction log is gone, though {snapshots} holds snapshots made of it. Put the \
         log back if you have it. In an ensemble with a majority of healthy nodes: move this node's \
         data directory away and start the node again, it rejoins from the others. Otherwise: \
         restore a backup with `polyport restore`"
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn raft_config(options: &Options) -> io::Result<Arc<Config>> {
    let millis = |duration: Duration| duration.as_millis() as u64;
    let config = Config {
        cluster_name: "polyport".to_owned(),
        heartbeat_interval: millis(options.heartbeat),
        election_timeout_min: millis(options.election.0),
        election_timeout_max: millis(options.election.1),
        enable_pre_vote: Some(true),
        // A member whose disk was lost comes back with less than it had acknowledged; it grants no
        // vote until it has caught up.
        allow_log_reversion: Some(true),
        // The state machine counts transactions; the log only knows batches.
        snapshot_policy: SnapshotPolicy::Never,
        // A leader sends entries while it writes them itself. If it died in between and led on in
        // the same term, other entries would get the names of those its followers have.
        enable_leader_restore: Some(false),
        // A node whose disk was lost comes back with less than it once had; see `bootstrap`.
        max_in_snapshot_log_to_keep: options.log_kept,
        replication_lag_threshold: 5000,
        ..Config::default()
    };
    Ok(Arc::new(config.validate().map_err(io::Error::other)?))
}

impl<T: Transport, D: Disk> Control for Core<T, D> {
    fn accept(&self, connection: Connection) {
        let inbound = self.inbound.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(inbound, connection).await {
                tracing::debug!(%error, "node connection ended");
            }
        });
    }

    fn snapshot(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { self.raft.trigger().snapshot().await.map_err(io::Error::other) })
    }

    fn reconfigure(
        &self,
        members: Members,
        version: Option<u64>,
    ) -> BoxFuture<'_, Result<u64, ClusterError>> {
        Box::pin(reconfigure::anywhere(
            self.status.clone(),
            &self.raft,
            &self.dialer,
            &self.change,
            members,
            version,
        ))
    }

    fn peers(&self) -> Vec<Peer> {
        status::peers(&self.raft)
    }

    fn channels(&self) -> &Channels {
        &self.inbound.channels
    }

    fn open_channel<'a>(
        &'a self,
        node: NodeId,
        service: &'a str,
    ) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(self.dialer.open(node.0, service))
    }

    fn content(&self) -> &OnceLock<Content> {
        &self.inbound.content
    }

    fn backup(&self) -> BoxFuture<'_, io::Result<Backup>> {
        Box::pin(async {
            let mut backup = take_backup(&self.inbound).await?;
            let mut head = Vec::new();
            io::Read::take(backup.content(), HEAD_BYTES).read_to_end(&mut head)?;
            let len = backup.len();
            Ok(Backup { len, head, piece: Box::new(move |offset| backup.piece(offset)) })
        })
    }

    fn transfer(&self) -> BoxFuture<'_, ()> {
        Box::pin(reconfigure::transfer(&self.raft))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.raft.shutdown().await {
                tracing::warn!(%error, "consensus did not stop cleanly");
            }
        })
    }
}
