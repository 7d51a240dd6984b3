//! What a node's consensus and disk were seen to do, counted where it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use polyport_base::clock::SystemClock;
use polyport_base::{Clock, NodeId};
use polyport_telemetry::Summary;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::node::{Standing, Status};

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Observed {
    /// Time of each write of the log to disk, with its sync.
    pub sync: Summary,
    /// Those of them that took longer than they should (`fsync.warningthresholdms`).
    pub slow_syncs: AtomicU64,
    /// Jobs that shared one of these.
    pub sync_batch: Summary,
    /// Time of writing each snapshot.
    pub snapshot: Summary,
    /// Snapshots that could not be written.
    pub snapshot_errors: AtomicU64,
    /// Time to read the newest snapshot at the start.
    pub snapshot_load: Summary,
    /// Time to open the log and read the newest snapshot at the start.
    pub load: Summary,
    /// Time from losing sight of a leader to knowing one.
    pub election: Summary,
    /// How often no leader was known.
    pub looking: AtomicU64,
    /// Time without a majority.
    pub unavailable: Summary,
    /// The newest snapshot: index of its last entry plus one (0 for none), seconds since 1970.
    newest_snapshot: (AtomicU64, AtomicU64),
    /// When this node became the leader.
    leading_since: parking_lot::Mutex<Option<Instant>>,
}

impl Observed {
    /// A snapshot was written or found, at this moment.
    pub(crate) fn has_snapshot(&self, index: u64) {
        self.newest_snapshot.0.store(index + 1, Relaxed);
        self.newest_snapshot.1.store(SystemClock.now().0.max(0) as u64 / 1000, Relaxed);
    }

    /// Index of the newest snapshot's last entry and when this process saw it, seconds since 1970.
    pub fn newest_snapshot(&self) -> Option<(u64, u64)> {
        let index = self.newest_snapshot.0.load(Relaxed).checked_sub(1)?;
        Some((index, self.newest_snapshot.1.load(Relaxed)))
    }

    /// For how long this node has led.
    pub fn leading_for(&self) -> Option<Duration> {
        self.leading_since.lock().map(|since| since.elapsed())
    }
}

/// How far the leader knows another node to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeId,
    /// Index of the newest entry it is known to have.
    pub matched: Option<u64>,
    /// Whether it has all that the leader has committed, and was heard of lately.
    pub synced: bool,
}

/// Measures elections and outages from the changes of the status.
pub(crate) async fn follow(mut status: watch::Receiver<Status>, observed: Arc<Observed>) {
    let mut looking: Option<Instant> = None;
    let mut outage: Option<Instant> = None;
    let mut told = None;
    loop {
        let (standing, in_quorum, leader, term) = {
            let status = status.borrow_and_update();
            (status.standing, status.in_quorum, status.leader, status.term)
        };
        if told.replace((standing, leader)) != Some((standing, leader)) {
            tell(standing, leader, term);
        }
        match (standing, looking) {
            (Standing::Looking, None) => {
                looking = Some(Instant::now());
                observed.looking.fetch_add(1, Relaxed);
            }
            (Standing::Looking, Some(_)) | (_, None) => {}
            (_, Some(since)) => {
                observed.election.record_time(since.elapsed());
                looking = None;
            }
        }
        match (in_quorum, outage) {
            (false, None) => outage = Some(Instant::now()),
            (true, Some(since)) => {
                observed.unavailable.record_time(since.elapsed());
                outage = None;
            }
            _ => {}
        }
        {
            let mut leading = observed.leading_since.lock();
            match standing {
                Standing::Leading => drop(leading.get_or_insert_with(Instant::now)),
                _ => *leading = None,
            }
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Who leads is what an operator looks for first.
fn tell(standing: Standing, leader: Option<NodeId>, term: u64) {
    let leader = leader.unwrap_or_default();
    match standing {
        Standing::Looking => tracing::info!(term, "no leader is known"),
        Standing::Leading => tracing::info!(term, "this node leads"),
        Standing::Following => tracing::info!(term, %leader, "following"),
        Standing::Observing => tracing::info!(term, %leader, "observing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_election_is_measured_from_losing_the_leader_to_the_next() {
        let at = |standing, in_quorum| Status { standing, in_quorum, ..Status::default() };
        let (sender, receiver) = watch::channel(at(Standing::Looking, false));
        let observed = Arc::new(Observed::default());
        let task = tokio::spawn(follow(receiver, observed.clone()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        sender.send_replace(at(Standing::Leading, true));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(observed.leading_for(), Some(Duration::from_millis(50)));
        sender.send_replace(at(Standing::Following, true));
        drop(sender);
        assert!(task.await.is_ok());
        assert_eq!(observed.looking.load(Relaxed), 1);
        let (election, outage) = (observed.election.millis(), observed.unavailable.millis());
        assert_eq!((election.count, election.sum), (1, 300.0));
        assert_eq!((outage.count, outage.sum), (1, 300.0));
        assert_eq!(observed.leading_for(), None);
    }
}
