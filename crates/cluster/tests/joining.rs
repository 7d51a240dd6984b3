//! Changes of the membership whose leader dies on the way, and what nodes do when nothing happens, in
//! memory and in simulated time.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::node::{Options, Standing};
use polyport_cluster::transport::{Connection, Transport};
use polyport_cluster::{
    Cluster, ClusterError, Committed, Member, Members, Proposals, Role, SnapshotWrite, StateMachine,
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
struct Memory(Arc<Mutex<BTreeMap<String, Cluster>>>, Arc<AtomicUsize>);

impl Transport for Memory {
    async fn connect(&self, address: &str) -> io::Result<Connection> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let peer = self.0.lock().get(address).cloned();
        let peer = peer.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (sender, theirs) = mpsc::channel(64);
        let (back, receiver) = mpsc::channel(64);
        peer.accept(Connection { sender: back, receiver: theirs });
        Ok(Connection { sender, receiver })
    }
}

const FAST: Duration = Duration::from_millis(1);
const NEVER: Duration = Duration::from_secs(3600);

thread_local! {
    /// How long the disks of nodes 1 and 2 take for a sync. Each test is a thread.
    static SYNCS: Cell<[Duration; 2]> = const { Cell::new([FAST; 2]) };
}

fn address(node: u64) -> String {
    format!("node-{node}:7700")
}

/// Node 1 votes, node 2 as well or not.
fn members(second: Role) -> Members {
    let second = Member { role: second, ..Member::voter(address(2)) };
    [(NodeId(1), Member::voter(address(1))), (NodeId(2), second)].into()
}

async fn start(node: u64, disk: &SimDisk, network: &Memory) -> Cluster {
    let members = members(Role::Observer);
    let mut options = Options::new(NodeId(node), members, Path::new("/data"));
    options.wal.prealloc_bytes = 16 << 10;
    options.wal.segment_bytes = 32 << 10;
    options.simulated_sync = Some(match node {
        1 => || SYNCS.get()[0],
        _ => || SYNCS.get()[1],
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
        SYNCS.set([FAST; 2]);
        let voter = start(1, &voters_disk, &network).await;
        let mut led = voter.status();
        led.wait_for(|s| s.standing == Standing::Leading && s.in_quorum).await.unwrap();

        // The addition takes effect, and entries go to the observer, before it is on disk.
        SYNCS.set([NEVER, FAST]);
        let mut observer = start(2, &observers_disk, &network).await;
        let mut told = observer.status();
        told.wait_for(|s| !s.members.is_empty()).await.unwrap();
        kill(1, voter, &voters_disk, &network).await;
        if restarts {
            kill(2, observer, &observers_disk, &network).await;
            observer = start(2, &observers_disk, &network).await;
        }

        SYNCS.set([FAST; 2]);
        let voter = start(1, &voters_disk, &network).await;
        assert!(!voter.status().borrow().members.contains_key(&NodeId(2)), "{restarts}");
        let mut adds = voter.status();
        let added =
            adds.wait_for(|s| s.members.contains_key(&NodeId(2)) && s.in_sync.contains(&NodeId(2)));
        let in_time = tokio::time::timeout(Duration::from_secs(30), added).await.is_ok();
        assert!(in_time, "restarts: {restarts}; {:?}", voter.status().borrow());
        voter.shutdown().await;
        observer.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_was_taken_out_stays_out_when_it_restarts() {
    let (voters_disk, observers_disk) = (SimDisk::new(), SimDisk::new());
    let network = Memory::default();
    let voter = start(1, &voters_disk, &network).await;
    let observer = start(2, &observers_disk, &network).await;
    observer
        .status()
        .wait_for(|s| s.members.contains_key(&NodeId(2)) && s.in_quorum)
        .await
        .unwrap();
    // Simulated time: until it has noticed itself, and forgotten that it was to join.
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

#[tokio::test(start_paused = true)]
async fn a_change_that_its_leader_left_half_done_is_finished_by_the_next() {
    let (first_disk, second_disk) = (SimDisk::new(), SimDisk::new());
    let network = Memory::default();
    let first = start(1, &first_disk, &network).await;
    let second = start(2, &second_disk, &network).await;
    second.status().wait_for(|s| s.standing == Standing::Observing && s.in_quorum).await.unwrap();

    // The leader may still be waiting for the first word of what it added.
    let as_it_is = members(Role::Observer);
    while first.reconfigure(as_it_is.clone(), None).await == Err(ClusterError::InProgress) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // The second's vote is needed for the change, and its disk takes for ever.
    SYNCS.set([FAST, NEVER]);
    let before = first.status().borrow().members_index;
    let changing = first.clone();
    let change = async move { changing.reconfigure(members(Role::Voter), None).await };
    let change = tokio::spawn(change);
    first.status().wait_for(|s| s.members_index > before).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    change.abort();
    kill(1, first, &first_disk, &network).await;
    kill(2, second, &second_disk, &network).await;

    SYNCS.set([FAST; 2]);
    let first = start(1, &first_disk, &network).await;
    let second = start(2, &second_disk, &network).await;
    let mut leads = first.status();
    leads.wait_for(|s| s.standing == Standing::Leading && s.in_quorum).await.unwrap();
    // With both majorities in force, both nodes count as voters already.
    assert_eq!(first.status().borrow().voters().count(), 2);
    first.reconfigure(members(Role::Voter), None).await.unwrap();
    first.reconfigure(members(Role::Observer), None).await.unwrap();
    assert_eq!(first.status().borrow().voters().count(), 1);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn services_have_channels_between_nodes() {
    let (first_disk, second_disk) = (SimDisk::new(), SimDisk::new());
    let network = Memory::default();
    let first = start(1, &first_disk, &network).await;
    let second = start(2, &second_disk, &network).await;
    second.status().wait_for(|s| s.members.len() == 2 && s.in_quorum).await.unwrap();
    first.serve_channel("echo", |from, mut channel: Connection| {
        tokio::spawn(async move {
            while let Some(frame) = channel.receiver.recv().await {
                let answer = [from.to_string().as_bytes(), b" ", &frame].concat();
                channel.sender.send(answer.into()).await.unwrap();
            }
        });
    });
    let mut channel = second.open_channel(NodeId(1), "echo").await.unwrap();
    for word in ["one", ""] {
        channel.sender.send(word.into()).await.unwrap();
        assert_eq!(channel.receiver.recv().await.unwrap(), format!("2 {word}"));
    }
    // What is not there closes the connection; so does what has ended.
    let mut none = second.open_channel(NodeId(1), "other").await.unwrap();
    assert_eq!(none.receiver.recv().await, None);
    first.end_channel("echo");
    let mut ended = second.open_channel(NodeId(1), "echo").await.unwrap();
    assert_eq!(ended.receiver.recv().await, None);
    let unknown = second.open_channel(NodeId(9), "echo").await.unwrap_err();
    assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_take_no_new_connections() {
    let (first_disk, second_disk) = (SimDisk::new(), SimDisk::new());
    let network = Memory::default();
    let first = start(1, &first_disk, &network).await;
    let second = start(2, &second_disk, &network).await;
    second.status().wait_for(|s| s.standing == Standing::Observing && s.in_quorum).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = network.1.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(first.status().borrow().in_sync.contains(&NodeId(2)));
    assert_eq!(network.1.load(Ordering::Relaxed), before);
    // One that broke is replaced.
    kill(2, second, &second_disk, &network).await;
    let second = start(2, &second_disk, &network).await;
    second.status().wait_for(|s| s.in_quorum).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(first.status().borrow().in_sync.contains(&NodeId(2)));
    first.shutdown().await;
    second.shutdown().await;
}
