//! A node whose disk is empty: is the cluster new, or is only the disk?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BufMut;
use openraft::async_runtime::WatchReceiver;
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use polyport_wire::Cursor;

use super::{AnyMachine, Options};
use crate::raft::{Dialer, Raft, decode_members, encode_members, question};
use crate::transport::Transport;
use crate::{Member, Members, Role};

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks the other members first. If any is part of a cluster already, this node's disk was lost: it
/// waits to be filled and grants no vote until it holds all that was committed when it came back,
/// because it may have promised things it has forgotten. If a majority is as new as itself, the
/// cluster is new.
pub(super) fn bootstrap<T: Transport, D: Disk>(
    options: &Options,
    raft: Raft<D, AnyMachine>,
    dialer: Dialer<T, D>,
    amnesiac: Arc<AtomicBool>,
) {
    let node = options.node;
    let members = options.members.clone();
    amnesiac.store(options.join.is_some() || members.len() > 1, Ordering::Release);
    let join = options.join.clone();
    tokio::spawn(async move {
        if let Some(seed) = join {
            let me = members.get(&node).cloned().unwrap_or_default();
            join_cluster(node, me, seed, &dialer).await;
            // A node that never was a member has promised nothing.
            amnesiac.store(false, Ordering::Release);
            return;
        }
        if is_new_cluster(node, &members, &dialer).await {
            amnesiac.store(false, Ordering::Release);
            initialize(node, &members, &raft).await;
        } else {
            tracing::warn!("the disk is empty but the cluster is not: waiting to be filled");
            caught_up(&raft).await;
            amnesiac.store(false, Ordering::Release);
            tracing::info!("caught up with the cluster: voting again");
        }
    });
}

async fn initialize<D: Disk>(node: NodeId, members: &Members, raft: &Raft<D, AnyMachine>) {
    let voters: std::collections::BTreeMap<u64, Member> = members
        .iter()
        .filter(|(_, member)| member.role == Role::Voter)
        .map(|(id, member)| (id.0, member.clone()))
        .collect();
    if !voters.contains_key(&node.0) {
        return;
    }
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
    add_observers(node, members, raft).await;
}

/// Observers are added by whichever voter leads first.
async fn add_observers<D: Disk>(node: NodeId, members: &Members, raft: &Raft<D, AnyMachine>) {
    let observers: Vec<_> =
        members.iter().filter(|(_, member)| member.role == Role::Observer).collect();
    if observers.is_empty() {
        return;
    }
    let mut metrics = raft.metrics();
    loop {
        let leader = metrics.borrow_and_update().current_leader;
        match leader {
            Some(leader) if leader == node.0 => break,
            Some(_) => return,
            None => {}
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
    for (id, member) in observers {
        if let Err(error) = raft.add_learner(id.0, member.clone(), false).await {
            tracing::warn!(observer = %id, %error, "the observer could not be added");
        }
    }
}

enum Found {
    Cluster,
    New,
    Silent,
}

async fn look<T: Transport, D: Disk>(dialer: &Dialer<T, D>, address: &str) -> Found {
    match dialer.ask(address, vec![question::STATUS], PATIENCE).await {
        Ok(answer) if answer.first() == Some(&1) => Found::Cluster,
        Ok(_) => Found::New,
        Err(_) => Found::Silent,
    }
}

async fn is_new_cluster<T: Transport, D: Disk>(
    node: NodeId,
    members: &Members,
    dialer: &Dialer<T, D>,
) -> bool {
    let voters: Vec<_> = members.iter().filter(|(_, member)| member.role == Role::Voter).collect();
    let me = usize::from(members.get(&node).is_some_and(|member| member.role == Role::Voter));
    let mut told = false;
    loop {
        let others = voters.iter().filter(|(id, _)| **id != node);
        let answers = others.map(|(_, member)| look(dialer, &member.address));
        let answers = futures_util::future::join_all(answers).await;
        if answers.iter().any(|found| matches!(found, Found::Cluster)) {
            return false;
        }
        let new = me + answers.iter().filter(|found| matches!(found, Found::New)).count();
        if new > voters.len() / 2 {
            return true;
        }
        if !told {
            tracing::info!("waiting for a majority of the other members");
            told = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until everything has been applied that a leader called committed when it was first heard.
async fn caught_up<D: Disk>(raft: &Raft<D, AnyMachine>) {
    let mut metrics = raft.metrics();
    let mut goal = None;
    loop {
        {
            let now = metrics.borrow_and_update();
            goal = goal.or_else(|| now.cluster_committed.map(|id| id.index));
            if goal.is_some() && now.last_applied.map(|id| id.index) >= goal {
                return;
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

async fn join_cluster<T: Transport, D: Disk>(
    node: NodeId,
    me: Member,
    seed: String,
    dialer: &Dialer<T, D>,
) {
    let mut known = vec![seed];
    loop {
        for address in known.clone() {
            let Ok(answer) = dialer.ask(&address, vec![question::STATUS], PATIENCE).await else {
                continue;
            };
            let mut cursor = Cursor::new(answer.get(1..).unwrap_or_default());
            let Ok(mut members) = decode_members(&mut cursor) else { continue };
            for member in members.values() {
                if !known.contains(&member.address) {
                    known.push(member.address.clone());
                }
            }
            if members.contains_key(&node) {
                return;
            }
            members.insert(node, me.clone());
            let mut ask = vec![question::RECONFIGURE];
            ask.put_u64(u64::MAX);
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
        tokio::time::sleep(PAUSE).await;
    }
}
