//! A node whose disk is empty: is the cluster new, or is only the disk?

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use openraft::async_runtime::WatchReceiver;
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use polyport_wire::{Cursor, DecodeError};

use super::amnesia::{Amnesia, Mark};
use super::{AnyMachine, Options, status};
use crate::raft::{Dialer, Raft, decode_members, encode_members, question};
use crate::transport::Transport;
use crate::{Member, Members, Role, StateMachine};

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// What a node answers who is asked whether it is part of a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// It holds entries beyond the first membership.
    pub(super) established: bool,
    /// It does not remember all that it may have promised.
    pub(super) forgetful: bool,
    /// The newest term it knows of.
    pub(super) term: u64,
    /// Index of the entry that made the members the members.
    pub(super) version: u64,
    pub(super) members: Members,
}

/// How a node stands at this moment.
pub(crate) fn standing_of<D: Disk, S: StateMachine>(
    raft: &Raft<D, S>,
    amnesia: &Amnesia,
) -> Standing {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    Standing {
        // Knowing the first members is no sign: a new cluster's do before they have a leader. Having
        // applied something is, even without a log: a node that was filled has.
        established: metrics.last_log_index.is_some_and(|index| index > 0)
            || metrics.last_applied.is_some(),
        forgetful: amnesia.is_set(),
        term: metrics.current_term,
        version: metrics.membership_config.log_id().map_or(0, |id| id.index),
        members: status::members(&metrics),
    }
}

/// Whether another node's answer decodes, for the fuzz targets.
pub(crate) fn decode_standing(bytes: &[u8]) -> bool {
    Standing::decode(bytes).is_ok()
}

impl Standing {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(self.established) | u8::from(self.forgetful) << 1);
        out.put_u64(self.term);
        out.put_u64(self.version);
        out.put_slice(&encode_members(&self.members));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.u8("standing")?;
        Ok(Self {
            established: flags & 1 != 0,
            forgetful: flags & 2 != 0,
            term: cursor.u64("standing")?,
            version: cursor.u64("standing")?,
            members: decode_members(&mut cursor)?,
        })
    }
}

/// What the consensus of a node with an empty disk may have lost.
pub(super) struct Memory<D: Disk> {
    pub(super) raft: Raft<D, AnyMachine>,
    pub(super) amnesia: Arc<Amnesia>,
    pub(super) mark: Mark<D>,
}

impl<D: Disk> Memory<D> {
    /// Nothing is forgotten (any more).
    fn is_whole(&self) {
        if let Err(error) = self.mark.remove() {
            // Harmless: the next start will ask the others once more.
            tracing::warn!(%error, "the mark of an empty disk cannot be removed");
        }
        self.amnesia.end();
        self.raft.runtime_config().elect(true);
    }
}

/// Whether this node is the only voter.
pub(super) fn is_alone<D: Disk>(raft: &Raft<D, AnyMachine>) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let me = *raft.node_id();
    metrics.membership_config.voter_ids().eq([me])
}

/// Whether an empty disk may have been a full one: a voter's of several.
pub(super) fn has_something_to_forget(options: &Options) -> bool {
    let is_voter = options.members.get(&options.node).is_some_and(|me| me.role == Role::Voter);
    options.join.is_none() && is_voter && voters(&options.members).count() > 1
}

fn voters(members: &Members) -> impl Iterator<Item = (NodeId, &Member)> {
    let voters = members.iter().filter(|(_, member)| member.role == Role::Voter);
    voters.map(|(id, member)| (*id, member))
}

/// Whether this node is added to a cluster that others began.
pub(super) fn joins(options: &Options) -> bool {
    let me = options.members.get(&options.node);
    options.join.is_some() || me.is_some_and(|me| me.role == Role::Observer)
}

/// Asks the other members first. If any is part of a cluster already, this node's disk was lost: it
/// is filled, and takes part again when it is safe (see [`super::amnesia`]). If a majority is as new
/// as itself, the cluster is new.
pub(super) fn bootstrap<T: Transport, D: Disk>(
    options: &Options,
    memory: Memory<D>,
    dialer: Dialer<T, D>,
) {
    let node = options.node;
    let members = options.members.clone();
    tokio::spawn(async move {
        if is_new_cluster(node, &members, &dialer).await {
            memory.is_whole();
            return initialize(node, &members, &memory.raft).await;
        }
        tracing::warn!("the disk is empty but the cluster is not: waiting to be filled");
        let floor = floor(node, &members, &dialer).await;
        memory.amnesia.set_floor(floor);
        caught_up(&memory).await;
        memory.is_whole();
        tracing::info!("caught up with the cluster: voting again");
    });
}

/// Asks to be added until that is certain. `mark` lasts until then.
pub(super) fn join<T: Transport, D: Disk>(
    options: &Options,
    raft: Raft<D, AnyMachine>,
    mark: Mark<D>,
    dialer: Dialer<T, D>,
) {
    let node = options.node;
    let me = options.members.get(&node).cloned().unwrap_or_default();
    let seeds = match &options.join {
        Some(seed) => vec![seed.clone()],
        None => voters(&options.members).map(|(_, member)| member.address.clone()).collect(),
    };
    tokio::spawn(async move {
        join_cluster(node, me, seeds, &raft, &dialer).await;
        if let Err(error) = mark.remove() {
            // Harmless: the next start will ask once more.
            tracing::warn!(%error, "the mark of a node that joins cannot be removed");
        }
    });
}

async fn initialize<D: Disk>(node: NodeId, members: &Members, raft: &Raft<D, AnyMachine>) {
    let voters: BTreeMap<u64, Member> =
        voters(members).map(|(id, member)| (id.0, member.clone())).collect();
    let lowest = voters.keys().next() == Some(&node.0);
    let alone = voters.len() == 1;
    if let Err(error) = raft.initialize(voters).await {
        // Another member was faster.
        tracing::debug!(%error, "not initialised");
        return;
    }
    // Nobody else can win: no need to wait for a timeout.
    if alone || lowest {
        drop(raft.trigger().elect(!alone).await);
    }
}

async fn look<T: Transport, D: Disk>(dialer: &Dialer<T, D>, address: &str) -> io::Result<Standing> {
    let answer = dialer.ask(address, vec![question::STATUS], PATIENCE).await?;
    Standing::decode(&answer).map_err(io::Error::other)
}

/// How those who answer stand.
async fn look_around<T: Transport, D: Disk>(
    node: NodeId,
    members: &Members,
    dialer: &Dialer<T, D>,
) -> BTreeMap<NodeId, Standing> {
    let others = voters(members).filter(|(id, _)| *id != node);
    let ask = |(id, member): (NodeId, &Member)| {
        let address = member.address.clone();
        async move { Some((id, look(dialer, &address).await.ok()?)) }
    };
    let answers = futures_util::future::join_all(others.map(ask)).await;
    answers.into_iter().flatten().collect()
}

async fn is_new_cluster<T: Transport, D: Disk>(
    node: NodeId,
    members: &Members,
    dialer: &Dialer<T, D>,
) -> bool {
    let mut told = false;
    loop {
        let answers = look_around(node, members, dialer).await;
        if answers.values().any(|standing| standing.established) {
            return false;
        }
        if 1 + answers.len() > voters(members).count() / 2 {
            return true;
        }
        if !told {
            tracing::info!("waiting for a majority of the other members");
            told = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The term below which this node may once have promised not to follow.
async fn floor<T: Transport, D: Disk>(
    node: NodeId,
    members: &Members,
    dialer: &Dialer<T, D>,
) -> u64 {
    let mut members = members.clone();
    let mut version = 0;
    let mut terms = BTreeMap::new();
    loop {
        for (id, standing) in look_around(node, &members, dialer).await {
            if standing.version > version && !standing.members.is_empty() {
                version = standing.version;
                members = standing.members;
            }
            if !standing.forgetful {
                terms.insert(id, standing.term);
            }
        }
        let all = voters(&members).count();
        let majority = all / 2 + 1;
        let known: Vec<u64> =
            voters(&members).filter_map(|(id, _)| terms.get(&id).copied()).collect();
        if known.len() > all - majority {
            return known.into_iter().max().unwrap_or_default();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until everything has been applied that the leader called committed when it was first heard.
async fn caught_up<D: Disk>(memory: &Memory<D>) {
    let mut metrics = memory.raft.metrics();
    loop {
        let applied = metrics.borrow_and_update().last_applied.map(|id| id.index);
        if memory.amnesia.goal().is_some_and(|goal| applied >= Some(goal)) {
            return;
        }
        if let Ok(Err(_)) = tokio::time::timeout(PAUSE, metrics.changed()).await {
            return;
        }
    }
}

/// Whether the members that this node knows to be committed include it.
fn is_admitted<D: Disk>(raft: &Raft<D, AnyMachine>) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.committed_membership_config.nodes().any(|(id, _)| id == raft.node_id())
}

/// A leader that dies while it adds this node may take that along, although it has sent entries
/// already: neither those nor what it says of its members end the asking, only that the addition is
/// committed.
async fn join_cluster<T: Transport, D: Disk>(
    node: NodeId,
    me: Member,
    mut known: Vec<String>,
    raft: &Raft<D, AnyMachine>,
    dialer: &Dialer<T, D>,
) {
    loop {
        for address in known.clone() {
            let Ok(standing) = look(dialer, &address).await else { continue };
            let Standing { established: true, version, mut members, .. } = standing else {
                continue;
            };
            for member in members.values() {
                if !known.contains(&member.address) {
                    known.push(member.address.clone());
                }
            }
            if members.contains_key(&node) {
                if is_admitted(raft) {
                    return;
                }
                continue;
            }
            members.insert(node, me.clone());
            let mut ask = vec![question::RECONFIGURE];
            // Members that join at the same time must not take each other out again.
            ask.put_u64(version);
            ask.put_slice(&encode_members(&members));
            match dialer.ask(&address, ask, Duration::from_secs(60)).await {
                Ok(answer) if answer.first() == Some(&0) => return,
                Ok(answer) => {
                    let reason = String::from_utf8_lossy(answer.get(1..).unwrap_or_default());
                    tracing::info!(%address, %reason, "not joined yet");
                }
                Err(error) => tracing::info!(%address, %error, "not joined yet"),
            }
        }
        if raft.metrics().borrow_watched().running_state.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
