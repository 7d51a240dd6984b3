//! One node's copy of the tree, at work: reads are answered here and now, writes go through the log
//! and come back.
//!
//! Lock order: machine, then outbox, then local. All are held for short computations only.

mod batching;
mod expiry;
mod observed;
mod restoring;
mod state_machine;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use polyport_base::{Clock, NodeId};
use polyport_cluster::{Cluster, Proposals, Status};
use tokio::sync::{Notify, watch};

pub use batching::Place;
pub use expiry::Touch;
pub use observed::Observed;
pub use restoring::NotRestored;
pub use state_machine::{config_text, may_hear};

use crate::TreeError;
use crate::machine::{Event, Machine, Outcome};
use crate::session::SessionId;
use crate::watch::{WatchTable, Watcher};
use batching::Outbox;
use expiry::Expiry;

/// Someone on this node who writes and watches: a client's connection.
///
/// All calls come from the task that applies the log, in the order of the log, while the machine is
/// locked: they may only write down what happened and wake somebody.
pub trait Subscriber: Send + Sync {
    /// The answer to what was submitted with `token`. `view` is the tree just after it: reads that
    /// waited for this write are answered from it.
    fn completed(
        &self,
        view: &mut View<'_>,
        token: u64,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    );
    /// A watch has fired.
    fn notified(&self, event: &Event<'_>);
    /// The session ended or is attached elsewhere now; `moved` tells which.
    fn detached(&self, moved: bool);
    /// Answers may have been lost: the connection must be closed.
    fn interrupted(&self);
}

/// The tree at one moment, and who watches it.
pub struct View<'a> {
    /// The tree.
    pub machine: &'a Machine,
    /// This node's watches.
    pub watches: &'a mut WatchTable,
}

/// What is known of this node's connections.
#[derive(Default)]
struct Local {
    watches: WatchTable,
    subscribers: HashMap<Watcher, Arc<dyn Subscriber>>,
    attached: HashMap<SessionId, Watcher>,
}

/// Settings of a replica.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// The basic unit of time: sessions are checked and reported twice a tick.
    pub tick: Duration,
    /// A snapshot is made after a random number of transactions between half of this and this.
    pub snapshot_every: u64,
    /// Or after a random number of bytes of log between half of this and this, if that is sooner;
    /// 0 for any number.
    pub snapshot_bytes: u64,
    /// How often containers and times to live are checked.
    pub reap_every: Duration,
    /// Most znodes reaped in a minute.
    pub reap_per_minute: usize,
    /// How long a container may wait for its first child before it is reaped; zero for ever.
    pub container_unused: Duration,
    /// Batches on their way at once, unless they are full.
    pub window: usize,
    /// While others were sent more lately than this, commands wait to share a batch.
    pub flush_delay: Duration,
    /// Most commands of a batch; 0 for any number.
    pub max_batch: usize,
}

impl Settings {
    /// ZooKeeper's defaults.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            tick: Duration::from_secs(2),
            snapshot_every: 100_000,
            snapshot_bytes: 4 << 30,
            reap_every: Duration::from_secs(60),
            reap_per_minute: 10_000,
            container_unused: Duration::ZERO,
            window: 2,
            flush_delay: Duration::ZERO,
            max_batch: 1000,
        }
    }
}

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    machine: RwLock<Machine>,
    outbox: Mutex<Outbox>,
    local: Mutex<Local>,
    expiry: Mutex<Expiry>,
    next_watcher: AtomicU64,
    /// A copy of the machine's, for those who need no more.
    last_zxid: AtomicI64,
    snapshot_due: Notify,
    transactions: AtomicU64,
    observed: Observed,
    ephemeral_deleted: std::sync::OnceLock<EphemeralDeleted>,
}

/// Told of each znode that went because its session ended.
type EphemeralDeleted = Box<dyn Fn(SessionId, &str) + Send + Sync>;

/// A node's copy of the tree. Clones are handles on the same.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
    cluster: Cluster,
}

/// A replica that is not part of a cluster yet.
pub struct Unstarted(Arc<Shared>);

impl Unstarted {
    /// An empty tree. `nonce`: a random number that tells this process' start from any other.
    pub fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        proposals: Proposals,
        nonce: u64,
    ) -> Self {
        let outbox = Outbox::new(&settings, nonce, proposals);
        Self(Arc::new(Shared {
            settings,
            clock,
            machine: RwLock::new(Machine::new()),
            outbox: Mutex::new(outbox),
            local: Mutex::new(Local::default()),
            expiry: Mutex::new(Expiry::default()),
            next_watcher: AtomicU64::new(1),
            last_zxid: AtomicI64::new(0),
            snapshot_due: Notify::new(),
            transactions: AtomicU64::new(0),
            observed: Observed::default(),
            ephemeral_deleted: std::sync::OnceLock::new(),
        }))
    }

    /// What the cluster applies its log to.
    pub fn state_machine(&self) -> Box<dyn polyport_cluster::StateMachine> {
        Box::new(state_machine::Applier::new(self.0.clone()))
    }

    /// What the cluster gives other nodes' notes to.
    pub fn on_note(&self) -> impl Fn(NodeId, &[u8]) + Send + Sync + 'static {
        let shared = self.0.clone();
        move |_, note| shared.expiry.lock().note(note)
    }

    /// Begins to work: opens this node's origin, expires sessions, makes snapshots.
    pub fn start(self, cluster: Cluster) -> Replica {
        let status = cluster.status();
        self.0.outbox.lock().open();
        if !self.0.settings.flush_delay.is_zero() {
            tokio::spawn(batching::send_held(self.0.clone()));
        }
        tasks::spawn(self.0.clone(), cluster.clone());
        let replica = Replica { shared: self.0, status, cluster };
        replica.serve_operators();
        replica
    }
}

/// Watches of a connection that is gone which are forgotten while everybody waits.
const WATCHES_AT_ONCE: usize = 4096;

impl Replica {
    /// A subscriber's number, for watches and submissions.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Watcher {
        let watcher = self.shared.next_watcher.fetch_add(1, Ordering::Relaxed);
        self.shared.local.lock().subscribers.insert(watcher, subscriber);
        watcher
    }

    /// A session is attached to a subscriber, which hears when it ends or moves. Call it from
    /// [`Subscriber::completed`] only through the caller's own task: nothing may be missed in
    /// between, so the answer tells whether the session still is where it was.
    pub fn attach(&self, session: SessionId, watcher: Watcher) -> bool {
        let machine = self.shared.machine.read();
        let origin = self.shared.outbox.lock().origin().unwrap_or_default();
        let attachment = crate::session::Attachment { origin, connection: watcher };
        let still = machine.sessions().get(&session).is_some_and(|s| s.attachment == attachment);
        if still {
            self.shared.local.lock().attached.insert(session, watcher);
        }
        still
    }

    /// Has each znode told that goes because its session ends, on whichever node its client was.
    /// Only the first call has an effect. `told` is called while the machine is locked.
    pub fn on_ephemeral_deleted(&self, told: impl Fn(SessionId, &str) + Send + Sync + 'static) {
        let _ = self.shared.ephemeral_deleted.set(Box::new(told));
    }

    /// Forgets a subscriber and its watches. Its session stays.
    pub fn unsubscribe(&self, watcher: Watcher) {
        let watches: Vec<_> = {
            let mut local = self.shared.local.lock();
            local.subscribers.remove(&watcher);
            local.attached.retain(|_, attached| *attached != watcher);
            local.watches.take(watcher)
        }
        .into_iter()
        .collect();
        for piece in watches.chunks(WATCHES_AT_ONCE) {
            self.shared.local.lock().watches.forget(watcher, piece);
        }
    }

    /// Reads. What the guard shows does not change while it is held; keep it short.
    pub fn read(&self) -> RwLockReadGuard<'_, Machine> {
        self.shared.machine.read()
    }

    /// Looks at the tree and its watches as of one moment.
    pub fn view<R>(&self, look: impl FnOnce(&mut View<'_>) -> R) -> R {
        let machine = self.shared.machine.read();
        let mut local = self.shared.local.lock();
        look(&mut View { machine: &machine, watches: &mut local.watches })
    }

    /// The newest transaction applied here.
    pub fn last_zxid(&self) -> i64 {
        self.shared.last_zxid.load(Ordering::Acquire)
    }

    /// How this node stands, followed.
    pub fn status(&self) -> &watch::Receiver<Status> {
        &self.status
    }

    /// The cluster it is a copy in.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Number of sessions attached to this node.
    pub fn attached(&self) -> usize {
        self.shared.local.lock().attached.len()
    }

    /// Writes that are waiting for their answer.
    pub fn outstanding(&self) -> usize {
        self.shared.outbox.lock().outstanding()
    }

    /// What was counted and measured since the start.
    pub fn observed(&self) -> &Observed {
        &self.shared.observed
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The clock it was made with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }
}
