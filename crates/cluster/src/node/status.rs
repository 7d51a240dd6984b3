//! How this node stands in the cluster.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};
use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{AnyMachine, Options};
use crate::raft::{Raft, Types};
use crate::{Members, Role};

/// What part a node plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No leader is known: an election is due or going on.
    #[default]
    Looking,
    /// It leads.
    Leading,
    /// It votes and follows.
    Following,
    /// It only learns.
    Observing,
}

/// How this node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// Its part.
    pub standing: Standing,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// The newest term it knows of.
    pub term: u64,
    /// The members.
    pub members: Members,
    /// Index of the entry that made them the members.
    pub members_index: u64,
    /// Whether a majority was heard of lately: writes can succeed and reads are fresh enough.
    pub in_quorum: bool,
    /// Whether the node has stopped because of an error.
    pub failed: bool,
}

impl Status {
    /// Whether this node is the only voter.
    pub fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// Members that vote.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().filter(|(_, member)| member.role == Role::Voter).map(|(id, _)| *id)
    }
}

/// When the leader was last heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard(Arc<Mutex<Instant>>);

impl Default for Heard {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Heard {
    pub(crate) fn now(&self) {
        *self.0.lock() = Instant::now();
    }

    fn ago(&self) -> Duration {
        self.0.lock().elapsed()
    }
}

/// The members as of the newest entry, committed or not.
pub(super) fn members(metrics: &RaftMetrics<Types>) -> Members {
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let member = |(id, member): (&u64, &crate::Member)| {
        let role = if voters.contains(id) { Role::Voter } else { Role::Observer };
        (NodeId(*id), crate::Member { role, ..member.clone() })
    };
    membership.nodes().map(member).collect()
}

/// Follows the consensus' metrics, and time: silence is news too.
pub(super) fn follow<D: Disk>(
    options: &Options,
    raft: &Raft<D, AnyMachine>,
    heard: Heard,
) -> watch::Receiver<Status> {
    let node = options.node;
    // Longer than an election, so that clients stay connected over a failover.
    let patience = (options.election.1 * 5).max(Duration::from_secs(2));
    let mut metrics = raft.metrics();
    let (sender, receiver) = watch::channel(Status { node, ..Status::default() });
    tokio::spawn(async move {
        loop {
            let status = read(node, &metrics.borrow_and_update(), &heard, patience);
            sender.send_if_modified(|current| {
                let changed = *current != status;
                *current = status;
                changed
            });
            let changed = tokio::time::timeout(Duration::from_millis(200), metrics.changed());
            if sender.is_closed() || matches!(changed.await, Ok(Err(_))) {
                return;
            }
        }
    });
    receiver
}

fn read(node: NodeId, metrics: &RaftMetrics<Types>, heard: &Heard, patience: Duration) -> Status {
    let members = members(metrics);
    let leader = metrics.current_leader.map(NodeId);
    let (standing, in_quorum) = match metrics.state {
        ServerState::Leader => {
            let acked = metrics.last_quorum_acked.map(|at| at.elapsed());
            let alone = members.values().filter(|m| m.role == Role::Voter).count() == 1;
            (Standing::Leading, alone || acked.is_some_and(|ago| ago < patience))
        }
        _ if leader.is_none() || heard.ago() > patience => (Standing::Looking, false),
        ServerState::Learner => (Standing::Observing, true),
        _ => (Standing::Following, true),
    };
    Status {
        node,
        standing,
        leader,
        term: metrics.current_term,
        members_index: metrics.membership_config.log_id().map_or(0, |id| id.index),
        members,
        in_quorum,
        failed: metrics.running_state.is_err(),
    }
}
