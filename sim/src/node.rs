//! A process of a node: the cluster and the replica of production on a simulated machine.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::rng::SplitMix64;
use polyport_cluster::{
    Cluster, Committed, Member, Members, Options, Proposals, Role, SnapshotWrite, StateMachine,
};
use polyport_storage::disk::{Fault, SimDisk};
use polyport_storage::wal::WalOptions;
use polyport_tree::replica::{Replica, Settings, Unstarted};

use crate::client::Conn;
use crate::clock::SimClock;
use crate::disk::{Alive, ProcessDisk};
use crate::history::{Applied, History};
use crate::network::{Network, SimTransport};

thread_local! {
    static SYNCS: RefCell<(SplitMix64, u64)> = const { RefCell::new((SplitMix64::new(0), 2)) };
}

/// How long syncs take from now on, at most, on all disks of this thread's run.
pub fn set_sync_delay(seed: u64, up_to_ms: u64) {
    SYNCS.with(|syncs| *syncs.borrow_mut() = (SplitMix64::new(seed), up_to_ms));
}

fn sync_delay() -> Duration {
    SYNCS.with(|syncs| {
        let (rng, up_to_ms) = &mut *syncs.borrow_mut();
        let bound = (*up_to_ms * 1000).max(1);
        Duration::from_micros(100 + rng.below(bound))
    })
}

/// What a run decides about its cluster.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Voters.
    pub voters: u64,
    /// Observers, numbered after the voters.
    pub observers: u64,
    /// See [`Settings::snapshot_every`].
    pub snapshot_every: u64,
    /// See [`Options::log_kept`].
    pub log_kept: u64,
}

/// Basic unit of session time in all runs.
pub const TICK: Duration = Duration::from_millis(500);

impl Shape {
    /// Where a node listens.
    pub fn address(node: u64) -> String {
        format!("node-{node}:7700")
    }

    /// All members.
    pub fn members(&self) -> Members {
        let role = |id| if id <= self.voters { Role::Voter } else { Role::Observer };
        let member = |id| {
            let member = Member { role: role(id), ..Member::voter(Self::address(id)) };
            (NodeId(id), member)
        };
        (1..=self.voters + self.observers).map(member).collect()
    }
}

/// A process.
pub struct Process {
    /// Its copy of the tree.
    pub replica: Replica,
    /// Its part in the cluster.
    pub cluster: Cluster,
    /// Whether it lives.
    pub alive: Alive,
    /// Clients' connections to it.
    pub clients: Mutex<Vec<Arc<Conn>>>,
}

/// A machine, with or without a process.
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Its disk.
    pub disk: SimDisk,
    /// Its wall clock.
    pub clock: SimClock,
    /// What runs on it.
    pub process: Option<Arc<Process>>,
    /// Whether its disk is full, or becomes so soon.
    pub full: bool,
    /// Whether its disk was full at any time since its process started.
    pub was_full: bool,
}

impl Node {
    /// A machine that was just bought.
    pub fn new(id: u64, clock: SimClock) -> Self {
        let disk = SimDisk::new();
        Self { id, disk, clock, process: None, full: false, was_full: false }
    }

    /// Its disk is full after so many more bytes.
    pub fn fill(&mut self, bytes: u64) {
        self.disk.set_fault(Some(Fault::FullAfterBytes(bytes)));
        self.full = true;
        self.was_full = true;
    }

    /// Its disk has space again.
    pub fn free(&mut self) {
        if self.full {
            self.disk.set_fault(None);
            self.full = false;
        }
    }
}

/// Why a process did not start.
pub type Refused = io::Error;

/// Starts a process on a machine.
///
/// # Errors
/// If it finds its disk damaged.
pub async fn start(
    shape: &Shape,
    id: u64,
    disk: SimDisk,
    clock: SimClock,
    network: &Network,
    history: &History,
    nonce: u64,
) -> Result<Arc<Process>, Refused> {
    let alive = Alive::default();
    let mut options = Options::new(NodeId(id), shape.members(), Path::new("/data"));
    options.wal = WalOptions {
        prealloc_bytes: 16 << 10,
        segment_bytes: 32 << 10,
        max_record_bytes: 4 << 20,
        salt: Some(nonce as u32),
    };
    options.log_kept = shape.log_kept;
    options.simulated_sync = Some(sync_delay);
    let settings =
        Settings { tick: TICK, snapshot_every: shape.snapshot_every, ..Settings::new(NodeId(id)) };
    let clock = Arc::new(clock);
    let proposals = Proposals::new();
    let replica = Unstarted::new(settings, clock.clone(), proposals.clone(), nonce);
    let machine = Box::new(Observed {
        machine: replica.state_machine(),
        node: id,
        alive: alive.clone(),
        history: history.clone(),
        running: false,
    });
    let on_note = Arc::new(replica.on_note());
    let transport = SimTransport::new(network.clone(), id, alive.clone());
    let process_disk = ProcessDisk::new(disk, alive.clone());
    let cluster =
        Cluster::start(options, process_disk, transport, machine, proposals, clock, on_note).await;
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(error) => {
            alive.kill();
            return Err(error);
        }
    };
    network.listen(&Shape::address(id), id, cluster.clone(), alive.clone());
    let replica = replica.start(cluster.clone());
    Ok(Arc::new(Process { replica, cluster, alive, clients: Mutex::default() }))
}

impl Process {
    /// The process dies.
    pub fn kill(&self) {
        self.alive.kill();
        for client in self.clients.lock().drain(..) {
            client.cut();
        }
        let cluster = self.cluster.clone();
        tokio::spawn(async move { cluster.shutdown().await });
    }
}

/// The replica's state machine, observed.
struct Observed {
    machine: Box<dyn StateMachine>,
    node: u64,
    alive: Alive,
    history: History,
    running: bool,
}

impl StateMachine for Observed {
    fn apply(&mut self, committed: &[Committed<'_>]) -> io::Result<()> {
        if !self.alive.get() {
            return Err(io::Error::other("the simulated process is dead"));
        }
        self.running = true;
        for entry in committed {
            let what = Applied::Batch(entry.term, entry.time.0, entry.bytes.to_vec());
            self.history.applied(self.node, entry.index, what);
        }
        self.machine.apply(committed)
    }

    fn members_changed(&mut self, index: u64, members: &Members) {
        if self.alive.get() {
            self.history.applied(self.node, index, Applied::Members(format!("{members:?}")));
        }
        self.machine.members_changed(index, members);
    }

    fn snapshot(&mut self) -> Box<dyn SnapshotWrite> {
        self.history.event(format_args!("node {} makes a snapshot", self.node));
        self.machine.snapshot()
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        self.history.event(format_args!("node {} restores a snapshot", self.node));
        if self.running {
            self.history.with(|state| state.restored += 1);
        }
        self.machine.restore(from)
    }
}
