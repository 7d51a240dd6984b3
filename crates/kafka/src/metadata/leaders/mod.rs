//! Changes of who leads and who is in sync, asked for by clients, leaders and brokers that stop.
//! Each is a write that is conditional on the state it was decided on, so any node may do it.

mod elect;
mod hand_over;
mod rebalance;
#[cfg(test)]
mod tests;

pub use elect::{Elected, Election, Place};
pub use rebalance::Rebalancing;

use std::collections::{BTreeSet, VecDeque};

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, writes};

use super::controller::decide::SetState;
use super::image::{Image, Images, Partition, PartitionState};
use super::znode::{PartitionStateZnode, path};

/// Why a partition's state was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaderError {
    /// There is no such partition.
    #[error("The partition does not exist.")]
    Unknown,
    /// Its topic is being deleted.
    #[error("The topic is being deleted")]
    Deleting,
    /// It is led as it should be.
    #[error("Leader election not needed for topic partition.")]
    NotNeeded,
    /// The preferred leader is dead or not in sync.
    #[error("The preferred leader was not available.")]
    PreferredNotAvailable,
    /// No replica is alive.
    #[error("Eligible topic partition leaders are not available.")]
    NoneAvailable,
    /// The state has changed since the caller saw it.
    #[error("the partition's state is another by now")]
    Stale,
    /// A broker that is to be in sync is no replica or not alive.
    #[error("broker {0} cannot be in sync: it is no replica or not alive")]
    Ineligible(i32),
    /// The tree did not do it, or not surely. Trying again is right.
    #[error(transparent)]
    Tree(#[from] ClientError),
}

/// Changes partitions' states. Clones are handles on the same.
#[derive(Clone)]
pub struct Leaders {
    client: Client,
    images: Images,
}

/// Tries where another's change came in between.
const TRIES: usize = 10;

/// Most states changed in one transaction.
const MAX_STATES: usize = 500;

const NONE: &BTreeSet<i32> = &BTreeSet::new();

/// What came of changing many states.
#[derive(Default)]
struct Written {
    /// The newest transaction.
    zxid: i64,
    /// Those that were not changed: they were others by then.
    stale: Vec<SetState>,
}

impl Leaders {
    /// On a node's tree.
    pub fn new(client: Client, images: Images) -> Self {
        Self { client, images }
    }

    /// The leader has found out who is in sync. `version`: of the state it knows. The answer is the
    /// new state's version.
    ///
    /// # Errors
    /// [`LeaderError::Stale`] if the state is another by now, or the caller does not lead in that
    /// epoch; see [`LeaderError`] for others.
    pub async fn set_isr(
        &self,
        topic: &str,
        number: i32,
        leader: (i32, i32),
        version: i32,
        isr: Vec<i32>,
    ) -> Result<i32, LeaderError> {
        let after = isr_change(&self.images.current(), (topic, number), leader, version, isr)?;
        let (path, json) = (path::state(topic, number), after.to_json());
        match self.client.write(writes::set(&path, &json, version)).await {
            Ok(written) => {
                self.images.at(written.zxid).await;
                Ok(version.wrapping_add(1))
            }
            Err(ClientError::Refused {
                error: TreeError::BadVersion | TreeError::NoNode, ..
            }) => Err(LeaderError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes states, each if it still is what it was.
    async fn set_all(&self, changes: Vec<SetState>) -> Result<Written, ClientError> {
        let mut written = Written::default();
        let mut pieces = VecDeque::new();
        let mut rest = changes;
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(MAX_STATES));
            pieces.push_back(std::mem::replace(&mut rest, after));
        }
        while let Some(mut piece) = pieces.pop_front() {
            match self.set_at_once(&piece).await {
                Ok(zxid) => written.zxid = written.zxid.max(zxid),
                Err(ClientError::Refused { .. }) if piece.len() > 1 => {
                    // One of them does not fit any more: the others shall not wait for it.
                    let second = piece.split_off(piece.len() / 2);
                    pieces.push_front(second);
                    pieces.push_front(piece);
                }
                Err(ClientError::Refused { .. }) => written.stale.append(&mut piece),
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    async fn set_at_once(&self, changes: &[SetState]) -> Result<i64, ClientError> {
        let owned = |change: &SetState| {
            let path = path::state(&change.topic, change.partition);
            (path, change.state.to_json(), change.version)
        };
        let owned: Vec<_> = changes.iter().map(owned).collect();
        let all = owned.iter().map(|(path, json, version)| writes::set(path, json, *version));
        Ok(self.client.multi(all.collect()).await?.zxid)
    }
}

/// The state in which a leader has the in-sync replicas that it found out. Pure; `leader` is its id and
/// its epoch, `version` that of the state it knows, which the write is to be conditional on.
///
/// # Errors
/// [`LeaderError::Stale`] if the image knows another state; [`LeaderError::Ineligible`];
/// [`LeaderError::Unknown`]. The change is certainly not made.
pub fn isr_change(
    image: &Image,
    (topic, number): (&str, i32),
    (id, epoch): (i32, i32),
    version: i32,
    isr: Vec<i32>,
) -> Result<PartitionStateZnode, LeaderError> {
    let partition = image.partition(topic, number).ok_or(LeaderError::Unknown)?;
    let before = partition.state.as_ref().ok_or(LeaderError::Unknown)?;
    if before.version != version || before.leader != id || before.leader_epoch != epoch {
        return Err(LeaderError::Stale);
    }
    if let Some(wrong) = ineligible(image, partition, before, &isr) {
        return Err(LeaderError::Ineligible(wrong));
    }
    Ok(PartitionStateZnode::new(before.controller_epoch, id, epoch, isr))
}

/// Who may not be in a leader's new ISR: a broker that is no replica or does not live, one that
/// stays in but was away since (it must leave before it can come back), and nobody but the leader
/// may leave the leader out.
fn ineligible(
    image: &Image,
    partition: &Partition,
    before: &PartitionState,
    isr: &[i32],
) -> Option<i32> {
    let may = |id: &i32| {
        let broker = image.brokers().get(id);
        let stays = before.isr.contains(id);
        partition.replicas.contains(id)
            && broker.is_some_and(|broker| !stays || broker.epoch <= before.zxid)
    };
    let wrong = isr.iter().find(|id| !may(id)).copied();
    wrong.or_else(|| (!isr.contains(&before.leader)).then_some(before.leader))
}
