//! How this node stands in the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};
use parking_lot::{Mutex, RwLock};
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Amnesia, AnyMachine, Options};
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
    /// Whether this node's disk was empty and it does not know yet what it had promised: it follows, and
    /// its vote does not count. A majority of such voters is the end of a cluster, so no other disk may
    /// be replaced until this has passed.
    pub forgetful: bool,
    /// On the leader: whether it has applied something of its own term, and so everything that its
    /// predecessors acknowledged.
    pub established: bool,
    /// On the leader: the other members that answered lately, voters and observers.
    pub in_sync: BTreeSet<NodeId>,
    /// Whether the node has stopped because of an error.
    pub failed: bool,
}

impl Status {
    /// Whether this node is the only voter.
    pub fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// On the leader: followers that answered lately, and observers that did.
    pub fn in_sync_counts(&self) -> (usize, usize) {
        let observes = |id: &&NodeId| {
            self.members.get(*id).is_some_and(|member| member.role == Role::Observer)
        };
        let observers = self.in_sync.iter().filter(observes).count();
        (self.in_sync.len() - observers, observers)
    }

    /// Members that vote.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().filter(|(_, member)| member.role == Role::Voter).map(|(id, _)| *id)
    }
}

/// Silence after which the leader counts a node as lost.
const LOST: Duration = Duration::from_secs(2);

/// When a leader that has a majority was last heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    pub(crate) fn now(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    fn ago(&self) -> Duration {
        self.0.lock().map_or(Duration::MAX, |at| at.elapsed())
    }
}

/// What the connections to other nodes go by, kept up to date by the task that follows the
/// consensus.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// Where each member is now: a member may move while connections to it exist.
    pub(crate) addresses: Arc<RwLock<BTreeMap<u64, String>>>,
    /// Whether this node leads without a majority: its followers must not take its word for life.
    pub(crate) stranded: Arc<AtomicBool>,
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

/// How far this node, if it leads, knows the others to be.
pub(super) fn peers<D: Disk>(raft: &Raft<D, AnyMachine>) -> Vec<crate::Peer> {
    let metrics = raft.metrics().borrow_watched().clone();
    let Some(replication) = &metrics.replication else { return Vec::new() };
    let committed = metrics.last_applied.map_or(0, |id| id.index);
    let heard = |node: &u64| {
        let heard = metrics.heartbeat.as_ref().and_then(|heard| heard.get(node).copied().flatten());
        heard.is_some_and(|at| at.elapsed() < LOST)
    };
    let peer = |(node, matched): (&u64, &Option<_>)| {
        let matched: Option<u64> =
            matched.map(|id: openraft::type_config::alias::LogIdOf<Types>| id.index);
        let synced = matched.is_some_and(|matched| matched >= committed) && heard(node);
        crate::Peer { node: NodeId(*node), matched, synced }
    };
    replication.iter().filter(|(node, _)| **node != metrics.id).map(peer).collect()
}

/// Follows the consensus' metrics, and time: silence is news too.
pub(super) fn follow<D: Disk>(
    options: &Options,
    raft: &Raft<D, AnyMachine>,
    heard: Heard,
    shared: Shared,
    amnesia: Arc<Amnesia>,
) -> watch::Receiver<Status> {
    let node = options.node;
    // Longer than an election, so that clients stay connected over a failover.
    let patience = (options.election.1 * 5).max(Duration::from_secs(2));
    let mut metrics = raft.metrics();
    let (sender, receiver) = watch::channel(Status { node, ..Status::default() });
    tokio::spawn(async move {
        let mut catching_up = CatchingUp::default();
        loop {
            let status = {
                let metrics = metrics.borrow_and_update();
                let status = read(node, &metrics, &heard, patience);
                let in_quorum = catching_up.is_done(&metrics, status.in_quorum);
                Status { in_quorum, forgetful: amnesia.is_set(), ..status }
            };
            let stranded = status.standing == Standing::Leading && !status.in_quorum;
            shared.stranded.store(stranded, Ordering::Release);
            sender.send_if_modified(|current| {
                let changed = *current != status;
                if current.members != status.members {
                    let addresses = status.members.iter();
                    *shared.addresses.write() =
                        addresses.map(|(id, member)| (id.0, member.address.clone())).collect();
                }
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

/// A node that comes back (or comes up) holds less than what was acknowledged: it may serve once it
/// has applied all that was committed when it found the quorum.
#[derive(Default)]
struct CatchingUp {
    goal: Option<u64>,
    done: bool,
}

impl CatchingUp {
    fn is_done(&mut self, metrics: &RaftMetrics<Types>, in_quorum: bool) -> bool {
        if !in_quorum {
            *self = Self::default();
            return false;
        }
        if !self.done {
            // A leader's word counts once it has committed something of its own term.
            let leads = metrics.state == ServerState::Leader;
            let own = |term: u64| !leads || term == metrics.current_term;
            let committed = metrics.cluster_committed.filter(|id| own(id.leader_id.term));
            self.goal = self.goal.or(committed.map(|id| id.index));
            let applied = metrics.last_applied.map(|id| id.index);
            self.done = self.goal.is_some() && applied >= self.goal;
        }
        self.done
    }
}

fn read(node: NodeId, metrics: &RaftMetrics<Types>, heard: &Heard, patience: Duration) -> Status {
    let members = members(metrics);
    let leader = metrics.current_leader.map(NodeId);
    let (standing, in_quorum) = match metrics.state {
        ServerState::Leader => {
            let acked = metrics.last_quorum_acked.map(|at| at.elapsed());
            let alone = members.values().filter(|m| m.role == Role::Voter).count() == 1;
            let acked = alone || acked.is_some_and(|ago| ago < patience / 2);
            if acked {
                // Should it hand over, its clients stay while its successor takes its place.
                heard.now();
            }
            // A new leader was heard by nobody yet, but heard its predecessor.
            (Standing::Leading, acked || heard.ago() < patience)
        }
        // An election that ends soon is no loss of the quorum: clients stay.
        state => {
            let lately = heard.ago() < patience;
            match state {
                _ if leader.is_none() || !lately => (Standing::Looking, lately),
                ServerState::Learner => (Standing::Observing, lately),
                _ => (Standing::Following, lately),
            }
        }
    };
    Status {
        node,
        standing,
        leader,
        term: metrics.current_term,
        members_index: metrics.membership_config.log_id().map_or(0, |id| id.index),
        members,
        in_quorum,
        forgetful: false,
        established: metrics.state == ServerState::Leader
            && metrics.last_applied.map(|id| id.leader_id.term) == Some(metrics.current_term),
        in_sync: in_sync(metrics, patience),
        failed: metrics.running_state.is_err(),
    }
}

/// The other members that answered the leader within `patience`; empty on other nodes.
pub(crate) fn in_sync(metrics: &RaftMetrics<Types>, patience: Duration) -> BTreeSet<NodeId> {
    let heard = metrics.heartbeat.iter().flatten();
    let lately = heard.filter(|(id, at)| {
        **id != metrics.id && at.as_ref().is_some_and(|at| at.elapsed() < patience)
    });
    lately.map(|(id, _)| NodeId(*id)).collect()
}
