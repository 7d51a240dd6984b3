//! Changing who is in the cluster, and who leads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
    /// The leader is not part of the new membership and has handed over; its successor goes on.
    #[error("the leader changes")]
    Moved,
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
            Self::Moved => 6,
        }
    }

    pub(crate) fn from_answer(answer: &[u8]) -> Result<u64, Self> {
        let text = String::from_utf8_lossy(answer.get(1..).unwrap_or_default()).into_owned();
        Err(match answer.first() {
            Some(0) => {
                let index = answer.get(1..9).and_then(|bytes| bytes.try_into().ok());
                return Ok(index.map_or(0, u64::from_be_bytes));
            }
            Some(2) => {
                let digits = text.chars().filter(char::is_ascii_digit).collect::<String>();
                Self::VersionMismatch(digits.parse().unwrap_or_default())
            }
            Some(3) => Self::InProgress,
            Some(4) => Self::NotInSync(text),
            Some(5) => Self::Invalid(text),
            Some(6) => Self::Moved,
            _ => Self::NoLeader(text),
        })
    }
}

/// How long a new member may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);

/// How often a change goes on with another leader.
const ATTEMPTS: usize = 50;
/// Between attempts: an election takes a few of them.
const PAUSE: Duration = Duration::from_millis(100);
/// A member that has not answered the leader for this long is not in sync.
const IN_SYNC: Duration = Duration::from_secs(2);

/// Whether a node answers at an address.
type Reaches = Arc<dyn Fn(String) -> super::BoxFuture<'static, bool> + Send + Sync>;

/// What a change of the membership needs besides the consensus.
#[derive(Clone)]
pub(crate) struct Change {
    one: Arc<tokio::sync::Mutex<()>>,
    reaches: Reaches,
}

impl Change {
    pub(super) fn new<T: Transport, D: Disk>(dialer: Dialer<T, D>) -> Self {
        let reaches = move |address: String| -> super::BoxFuture<'static, bool> {
            let dialer = dialer.clone();
            Box::pin(async move {
                dialer.ask(&address, vec![question::STATUS], Duration::from_secs(1)).await.is_ok()
            })
        };
        Self { one: Arc::default(), reaches: Arc::new(reaches) }
    }
}

/// Asks the leader, which may be this node, and its successor if it must hand over. The answer is
/// the index of the entry that made the members so.
pub(super) async fn anywhere<T: Transport, D: Disk, S: StateMachine>(
    status: watch::Receiver<Status>,
    raft: &Raft<D, S>,
    dialer: &Dialer<T, D>,
    change: &Change,
    members: Members,
    mut version: Option<u64>,
) -> Result<u64, ClusterError> {
    let mut result = Err(ClusterError::NoLeader("none is known".to_owned()));
    for _ in 0..ATTEMPTS {
        if raft.is_leader() {
            result = reconfigure(raft, change, members.clone(), version).await;
        } else {
            let address = {
                let status = status.borrow();
                let leader = status.leader.and_then(|leader| status.members.get(&leader));
                leader.map(|leader| leader.address.clone())
            };
            if let Some(address) = address {
                let mut ask = vec![question::RECONFIGURE];
                ask.put_u64(version.unwrap_or(u64::MAX));
                ask.put_slice(&encode_members(&members));
                result = match dialer.ask(&address, ask, CATCH_UP * 2).await {
                    Ok(answer) => ClusterError::from_answer(&answer),
                    Err(error) => Err(ClusterError::NoLeader(error.to_string())),
                };
            }
        }
        match result {
            // The version was checked by the first leader.
            Err(ClusterError::Moved) => version = None,
            Err(ClusterError::NoLeader(_)) => {}
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
    result
}

/// The leader's part. Existing members keep their place until the new ones have caught up.
pub(crate) async fn reconfigure<D: Disk, S: StateMachine>(
    raft: &Raft<D, S>,
    change: &Change,
    wanted: Members,
    version: Option<u64>,
) -> Result<u64, ClusterError> {
    if !raft.is_leader() {
        return Err(ClusterError::NoLeader("this node does not lead".to_owned()));
    }
    let Ok(_one) = change.one.try_lock() else {
        return Err(ClusterError::InProgress);
    };
    let me = *raft.node_id();
    let (current, index, half_done) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let nodes: BTreeMap<u64, Member> =
            membership.nodes().map(|(id, member)| (*id, member.clone())).collect();
        let index = metrics.membership_config.log_id().map_or(0, |id| id.index);
        let configs = membership.get_joint_config();
        (nodes, index, configs.get(1..).and_then(|after| after.last()).cloned())
    };
    if version.is_some_and(|version| version != index) {
        return Err(ClusterError::VersionMismatch(index));
    }
    let failed = |error: &dyn std::fmt::Display| ClusterError::NoLeader(error.to_string());
    if let Some(half_done) = half_done {
        // Whoever began it is gone: a leader that died, or a caller that gave up. No other change
        // would ever be possible.
        let finish = ChangeMembers::ReplaceAllVoters(half_done);
        raft.change_membership(finish, true).await.map_err(|error| failed(&error))?;
    }
    let mut voters: BTreeSet<u64> = wanted
        .iter()
        .filter(|(_, member)| member.role == Role::Voter)
        .map(|(id, _)| id.0)
        .collect();
    if voters.is_empty() {
        return Err(ClusterError::Invalid("a cluster needs at least one voter".to_owned()));
    }
    let new = wanted.iter().filter(|(id, _)| !current.contains_key(&id.0));
    let probes = new.map(|(id, member)| {
        let probe = (change.reaches)(member.address.clone());
        async move { (id.0, probe.await) }
    });
    let probed = futures_util::future::join_all(probes).await;
    let reached: BTreeSet<u64> = probed.into_iter().filter(|(_, ok)| *ok).map(|p| p.0).collect();
    let ready = || {
        let in_sync = super::status::in_sync(&raft.metrics().borrow_watched(), IN_SYNC);
        let ready =
            |id: &&u64| **id == me || in_sync.contains(&NodeId(**id)) || reached.contains(*id);
        voters.iter().filter(ready).count()
    };
    // A new leader has not heard of everybody yet.
    let patience = tokio::time::Instant::now() + IN_SYNC / 2;
    let mut count = ready();
    while count <= voters.len() / 2 && tokio::time::Instant::now() < patience {
        tokio::time::sleep(PAUSE / 2).await;
        count = ready();
    }
    if count <= voters.len() / 2 {
        return Err(ClusterError::NotInSync(format!(
            "only {count} of the {} voters of the new configuration answer",
            voters.len()
        )));
    }
    let mut at = index;
    for (id, member) in &wanted {
        match current.get(&id.0) {
            None => {
                let blocking = reached.contains(&id.0);
                let add = async {
                    let added = raft.add_learner(id.0, member.clone(), blocking).await;
                    if blocking && added.is_ok() {
                        follows(raft, id.0).await;
                    }
                    added
                };
                match tokio::time::timeout(CATCH_UP, add).await {
                    Ok(added) => at = added.map_err(|error| failed(&error))?.log_id.index,
                    Err(_) => {
                        // Not half a change: it goes again.
                        let remove = ChangeMembers::RemoveNodes(BTreeSet::from([id.0]));
                        let removed = raft.change_membership(remove, false).await;
                        removed.map_err(|error| failed(&error))?;
                        return Err(ClusterError::NotInSync(format!("node {id}")));
                    }
                }
            }
            Some(known) if known != member => {
                let set = ChangeMembers::SetNodes(BTreeMap::from([(id.0, member.clone())]));
                let set = raft.change_membership(set, true).await;
                at = set.map_err(|error| failed(&error))?.log_id.index;
            }
            Some(_) => {}
        }
    }
    // A leader cannot finish a change that takes its own vote: its successor does.
    let leaving = voters.insert(me);
    let voting: BTreeSet<u64> = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.voter_ids().collect()
    };
    if voting != voters {
        let replace = raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), true).await;
        at = replace.map_err(|error| failed(&error))?.log_id.index;
    }
    if leaving {
        transfer(raft).await;
        return match raft.is_leader() {
            true => Err(ClusterError::NotInSync("no other voter could take over".to_owned())),
            false => Err(ClusterError::Moved),
        };
    }
    let removed: BTreeSet<u64> =
        current.keys().copied().filter(|id| !wanted.contains_key(&NodeId(*id))).collect();
    if !removed.is_empty() {
        let remove = raft.change_membership(ChangeMembers::RemoveNodes(removed), false).await;
        at = remove.map_err(|error| failed(&error))?.log_id.index;
    }
    Ok(at)
}

/// Waits until a new member has acknowledged anything, or this node does not lead any more.
///
/// With a short log, openraft takes a learner for caught up that has not answered yet. One with an
/// empty disk finds out from the present voters what it may have promised once; were it made a voter
/// before that, it would wait for a majority that waits for it.
async fn follows<D: Disk, S: StateMachine>(raft: &Raft<D, S>, node: u64) {
    let mut metrics = raft.metrics();
    loop {
        {
            let metrics = metrics.borrow_and_update();
            let Some(replication) = &metrics.replication else { return };
            if replication.get(&node).is_some_and(Option::is_some) {
                return;
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
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
