//! What a replica does by itself: report and expire sessions, reap, make snapshots.

use std::sync::Arc;
use std::time::Duration;

use polyport_cluster::node::Standing;
use polyport_cluster::{Cluster, Proposals, Status};

use super::Shared;
use super::expiry::{self, Findings};
use crate::command::Command;
use crate::session::SessionId;

pub(super) fn spawn(shared: Arc<Shared>, cluster: Cluster) {
    let proposals = shared.outbox.lock().proposals();
    tokio::spawn(expire(shared.clone(), cluster.clone(), proposals));
    tokio::spawn(reap(shared.clone(), cluster.clone()));
    tokio::spawn(snapshot(shared, cluster));
}

/// The longest time between two looks at the sessions.
const LOOK: Duration = Duration::from_millis(250);

/// Whether this node leads a majority and has everything that was acknowledged before.
fn leads(status: &Status) -> bool {
    status.standing == Standing::Leading && status.in_quorum && status.established
}

impl super::Replica {
    /// Ends a session whose client is certainly gone, without waiting for its timeout. Says whether
    /// this node may: only the leader of the tree does that.
    pub fn expire(&self, session: SessionId) -> bool {
        let status = self.status.borrow().clone();
        let leads = leads(&status);
        if leads {
            let expire = Command::Expire { term: status.term, sessions: vec![session] };
            self.shared.submit_own(&expire);
        }
        leads
    }
}

async fn expire(shared: Arc<Shared>, cluster: Cluster, proposals: Proposals) {
    // This node's own services have sessions that are shorter than a tick.
    let half_tick = (shared.settings.tick / 2).clamp(Duration::from_millis(10), LOOK);
    loop {
        tokio::time::sleep(half_tick).await;
        let began = proposals.began();
        let status = cluster.status().borrow().clone();
        let term = status.term;
        let Findings { note, expired } = {
            let machine = shared.machine.read();
            let standing = expiry::Standing {
                leader: status.leader.filter(|_| status.in_quorum),
                term,
                leads: leads(&status),
                began,
                origin: shared.outbox.lock().origin(),
            };
            shared.expiry.lock().look(standing, &machine, half_tick * 2)
        };
        if !note.is_empty() {
            proposals.note(&note);
        }
        if !expired.is_empty() {
            for session in &expired {
                tracing::info!(session = format!("0x{session:x}"), "session expired");
            }
            shared.submit_own(&Command::Expire { term, sessions: expired });
        }
    }
}

async fn reap(shared: Arc<Shared>, cluster: Cluster) {
    let settings = &shared.settings;
    let every = settings.reap_every.max(Duration::from_millis(100));
    let unused_ms = settings.container_unused.as_millis() as i64;
    loop {
        tokio::time::sleep(every).await;
        if !leads(&cluster.status().borrow()) {
            continue;
        }
        let now = shared.clock.now().0;
        let limit = settings.reap_per_minute;
        let due = shared.machine.read().due_for_reaping(now, unused_ms, limit);
        for path in due {
            shared.submit_own(&Command::Reap { path: &path });
        }
    }
}

async fn snapshot(shared: Arc<Shared>, cluster: Cluster) {
    loop {
        shared.snapshot_due.notified().await;
        if let Err(error) = cluster.snapshot().await {
            tracing::error!(%error, "no snapshot could be made");
        }
    }
}
