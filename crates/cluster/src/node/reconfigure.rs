//! Changing who is in the cluster, and who leads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::BufMut;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use tokio::sync::watch;

use super::status::Status;
use crate::raft::{Dialer, Raft, encode_members, question};
use crate::transport::Transport;
use crate::{Member, Members, Role, StateMachine};

/// Why the membership was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No leader, or it did not answer.
    #[error("no leader can be reached: {0}")]
    NoLeader(String),
    /// The current configuration is another.
    #[error("the current configuration is {0}, not the one named")]
    VersionMismatch(u64),
    /// Another change is going on.
    #[error("another change of the membership is going on")]
    InProgress,
    /// New members did not catch up in time.
    #[error("new members did not catch up: {0}")]
    NotInSync(String),
    /// The membership asked for cannot work.
    #[error("{0}")]
    Invalid(String),
}

impl ClusterError {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::NoLeader(_) => 1,
            Self::VersionMismatch(_) => 2,
            Self::InProgress => 3,
            Self::NotInSync(_) => 4,
            Self::Invalid(_) => 5,
        }
    }

    fn from_answer(answer: &[u8]) -> Result<(), Self> {
        let text = String::from_utf8_lossy(answer.get(1..).unwrap_or_default()).into_owned();
        Err(match answer.first() {
            Some(0) => return Ok(()),
            Some(2) => {
                let digits = text.chars().filter(char::is_ascii_digit).collect::<String>();
                Self::VersionMismatch(digits.parse().unwrap_or_default())
            }
            Some(3) => Self::InProgress,
            Some(4) => Self::NotInSync(text),
            Some(5) => Self::Invalid(text),
            _ => Self::NoLeader(text),
        })
    }
}

/// How long a new member may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Asks the leader, which may be this node.
pub(super) async fn anywhere<T: Transport, D: Disk, S: StateMachine>(
    status: watch::Receiver<Status>,
    raft: &Raft<D, S>,
    dialer: &Dialer<T, D>,
    members: Members,
    version: Option<u64>,
) -> Result<(), ClusterError> {
    if raft.is_leader() {
        return reconfigure(raft, members, version).await;
    }
    let address = {
        let status = status.borrow();
        let leader = status.leader.and_then(|leader| status.members.get(&leader));
        leader.map(|leader| leader.address.clone())
    };
    let address = address.ok_or_else(|| ClusterError::NoLeader("none is known".to_owned()))?;
    let mut ask = vec![question::RECONFIGURE];
    ask.put_u64(version.unwrap_or(u64::MAX));
    ask.put_slice(&encode_members(&members));
    let answer = dialer.ask(&address, ask, CATCH_UP * 2).await;
    let answer = answer.map_err(|error| ClusterError::NoLeader(error.to_string()))?;
    ClusterError::from_answer(&answer)
}

/// The leader's part. Existing members keep their place until the new ones have caught up.
pub(crate) async fn reconfigure<D: Disk, S: StateMachine>(
    raft: &Raft<D, S>,
    wanted: Members,
    version: Option<u64>,
) -> Result<(), ClusterError> {
    if !raft.is_leader() {
        return Err(ClusterError::NoLeader("this node does not lead".to_owned()));
    }
    let (current, index, joint) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let nodes: BTreeMap<u64, Member> =
            membership.nodes().map(|(id, member)| (*id, member.clone())).collect();
        let index = metrics.membership_config.log_id().map_or(0, |id| id.index);
        (nodes, index, membership.get_joint_config().len() > 1)
    };
    if version.is_some_and(|version| version != index) {
        return Err(ClusterError::VersionMismatch(index));
    }
    if joint {
        return Err(ClusterError::InProgress);
    }
    let voters: BTreeSet<u64> = wanted
        .iter()
        .filter(|(_, member)| member.role == Role::Voter)
        .map(|(id, _)| id.0)
        .collect();
    if voters.is_empty() {
        return Err(ClusterError::Invalid("a cluster needs at least one voter".to_owned()));
    }
    let failed = |error: &dyn std::fmt::Display| ClusterError::NoLeader(error.to_string());
    for (id, member) in &wanted {
        match current.get(&id.0) {
            None => {
                let add = raft.add_learner(id.0, member.clone(), true);
                let added = tokio::time::timeout(CATCH_UP, add).await;
                let added = added.map_err(|_| ClusterError::NotInSync(format!("node {id}")))?;
                added.map_err(|error| failed(&error))?;
            }
            Some(known) if known != member => {
                let set = ChangeMembers::SetNodes(BTreeMap::from([(id.0, member.clone())]));
                raft.change_membership(set, true).await.map_err(|error| failed(&error))?;
            }
            Some(_) => {}
        }
    }
    let replace = ChangeMembers::ReplaceAllVoters(voters);
    raft.change_membership(replace, true).await.map_err(|error| failed(&error))?;
    let removed: BTreeSet<u64> =
        current.keys().copied().filter(|id| !wanted.contains_key(&NodeId(*id))).collect();
    if !removed.is_empty() {
        let leaving = removed.contains(raft.node_id());
        let remove = ChangeMembers::RemoveNodes(removed);
        raft.change_membership(remove, false).await.map_err(|error| failed(&error))?;
        if leaving {
            transfer(raft).await;
        }
    }
    Ok(())
}

/// Hands leadership over and waits for it, two seconds at most.
pub(super) async fn transfer<D: Disk, S: StateMachine>(raft: &Raft<D, S>) {
    let me = *raft.node_id();
    let target = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters: BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
        let replication = metrics.replication.as_ref();
        let others = replication.into_iter().flatten();
        let voting = others.filter(|(id, _)| voters.contains(id) && **id != me);
        voting.max_by_key(|(_, matched)| matched.map(|id| id.index)).map(|(id, _)| *id)
    };
    let Some(target) = target.filter(|_| raft.is_leader()) else { return };
    if raft.trigger().transfer_leader(target).await.is_err() {
        return;
    }
    let mut metrics = raft.metrics();
    let changed = async {
        while metrics.borrow_and_update().current_leader.is_none_or(|leader| leader == me) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    };
    // If nobody takes over, the election timeout will settle it.
    drop(tokio::time::timeout(Duration::from_secs(2), changed).await);
}
