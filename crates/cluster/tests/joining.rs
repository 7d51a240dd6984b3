//! Nodes that join while the leader that adds them dies, in memory and in simulated time.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::{Options, Standing};
use polyport_cluster::transport::{Connection, Transport};
use polyport_cluster::{
    Cluster, Committed, Member, Members, Proposals, Role, SnapshotWrite, StateMachine,
};
use polyport_storage::disk::SimDisk;
use tokio::sync::mpsc;

/// A machine without content.
struct Empty;

impl SnapshotWrite for Empty {
    fn write_to(self: Box<Self>, _: &mut dyn io::Write) -> io::Result<()> {
        Ok(())
    }
}

impl StateMachine for Empty {
    fn apply(&mut self, _: &[Committed<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn members_changed(&mut self, _: u64, _: &Members) {}

    fn snapshot(&mut self) -> Box<dyn SnapshotWrite> {
        Box::new(Empty)
    }

    fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever runs can be reached.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Cluster>>>);

impl Transport for Memory {
    async fn connect(&self, address: &str) -> io::Result<Connection> {
        let peer = self.0.lock().get(address).cloned();
        let peer = peer.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (sender, theirs) = mpsc::channel(64);
        let (back, receiver) = mpsc::channel(64);
        peer.accept(Connection { sender: back, receiver: theirs });
        Ok(Connection { sender, receiver })
    }
}

/// How long the only voter's disk takes for a sync, in milliseconds.
static VOTER_SYNC_MS: AtomicU64 = AtomicU64::new(1);

fn address(node: u64) -> String {
    format!("node-{node}:7700")
}

async fn start(node: u64, disk: &SimDisk, network: &Memory) -> Cluster {
    let observer = Member { role: Role::Observer, ..Member::voter(address(2)) };
    let members = [(NodeId(1), Member::voter(address(1))), (NodeId(2), observer)];
    let mut options = Options::new(NodeId(node), members.into(), Path::new("/data"));
    options.simulated_sync = Some(match node {
        1 => || Duration::from_millis(VOTER_SYNC_MS.load(Ordering::Relaxed)),
        _ => || Duration::from_millis(1),
    });
    let cluster = Cluster::start(
        options,
        disk.clone(),
        network.clone(),
        Box::new(Empty),
        Proposals::new(),
        Arc::new(SystemClock),
        Arc::new(|_, _| {}),
    );
    let cluster = cluster.await.unwrap();
    network.0.lock().insert(address(node), cluster.clone());
    cluster
}

async fn kill(node: u64, cluster: Cluster, disk: &SimDisk, network: &Memory) {
    network.0.lock().remove(&address(node));
    disk.kill();
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_whose_addition_was_lost_asks_again() {
    for restarts in [false, true] {
        let (voters_disk, observers_disk) = (SimDisk::new(), SimDisk::new());
        let network = Memory::default();
        VOTER_SYNC_MS.store(1, Ordering::Relaxed);
        let voter = start(1, &voters_disk, &network).await;
        let mut led = voter.status();
        led.wait_for(|s| s.standing == Standing::Leading && s.in_quorum).await.unwrap();

        // The addition takes effect, and entries go to the observer, before it is on disk.
        VOTER_SYNC_MS.store(3_600_000, Ordering::Relaxed);
        let mut observer = start(2, &observers_disk, &network).await;
        let mut told = observer.status();
        told.wait_for(|s| !s.members.is_empty()).await.unwrap();
        kill(1, voter, &voters_disk, &network).await;
        if restarts {
            kill(2, observer, &observers_disk, &network).await;
            observer = start(2, &observers_disk, &network).await;
        }

        VOTER_SYNC_MS.store(1, Ordering::Relaxed);
        let voter = start(1, &voters_disk, &network).await;
        assert!(!voter.status().borrow().members.contains_key(&NodeId(2)), "{restarts}");
        let mut observes = observer.status();
        let observing = observes.wait_for(|s| s.standing == Standing::Observing && s.in_quorum);
        let in_time = tokio::time::timeout(Duration::from_secs(30), observing).await;
        assert!(in_time.is_ok(), "restarts: {restarts}; {:?}", observer.status().borrow());
        assert!(voter.status().borrow().members.contains_key(&NodeId(2)));
        voter.shutdown().await;
        observer.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_was_taken_out_stays_out_when_it_restarts() {
    VOTER_SYNC_MS.store(1, Ordering::Relaxed);
    let (voters_disk, observers_disk) = (SimDisk::new(), SimDisk::new());
    let network = Memory::default();
    let voter = start(1, &voters_disk, &network).await;
    let observer = start(2, &observers_disk, &network).await;
    let joined = |cluster: &Cluster| cluster.status();
    joined(&observer).wait_for(|s| s.members.contains_key(&NodeId(2))).await.unwrap();
    joined(&voter).wait_for(|s| s.in_sync.contains(&NodeId(2))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    let only_voter = [(NodeId(1), Member::voter(address(1)))];
    voter.reconfigure(only_voter.into(), None).await.unwrap();
    kill(2, observer, &observers_disk, &network).await;
    let observer = start(2, &observers_disk, &network).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!voter.status().borrow().members.contains_key(&NodeId(2)));
    voter.shutdown().await;
    observer.shutdown().await;
}
