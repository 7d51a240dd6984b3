//! Changes of who leads and who is in sync, asked for by clients, leaders and brokers that stop.
//! Each is a write that is conditional on the state it was decided on, so any node may do it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, writes};

use super::config::Configs;
use super::controller::decide::{self, Rules};
use super::image::{Image, Images, Partition, PartitionState};
use super::znode::{PartitionStateZnode, path};

/// Who is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica.
    Preferred,
    /// Anybody, if there is no leader: records may be lost.
    Unclean,
}

/// Why a partition's state was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaderError {
    /// There is no such partition.
    #[error("There is no such partition.")]
    Unknown,
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

impl Leaders {
    /// On a node's tree.
    pub fn new(client: Client, images: Images) -> Self {
        Self { client, images }
    }

    /// Holds an election; the answer is the transaction.
    ///
    /// # Errors
    /// See [`LeaderError`].
    pub async fn elect(
        &self,
        topic: &str,
        number: i32,
        election: Election,
    ) -> Result<i64, LeaderError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let partition = image.partition(topic, number).filter(|_| !image.is_deleting(topic));
            let partition = partition.ok_or(LeaderError::Unknown)?;
            let before = partition.state.as_ref().ok_or(LeaderError::NoneAvailable)?;
            let after = outcome(&image, partition, before, election)?;
            match self.set(topic, number, before.version, &after).await {
                Err(LeaderError::Stale) => {}
                written => return written,
            }
        }
        Err(LeaderError::Stale)
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
        let image = self.images.current();
        let partition = image.partition(topic, number).ok_or(LeaderError::Unknown)?;
        let before = partition.state.as_ref().ok_or(LeaderError::Unknown)?;
        let (id, epoch) = leader;
        if before.version != version || before.leader != id || before.leader_epoch != epoch {
            return Err(LeaderError::Stale);
        }
        if let Some(wrong) = ineligible(&image, partition, before, &isr) {
            return Err(LeaderError::Ineligible(wrong));
        }
        let after = PartitionStateZnode::new(before.controller_epoch, id, epoch, isr);
        let zxid = self.set(topic, number, version, &after).await?;
        self.images.at(zxid).await;
        Ok(version.wrapping_add(1))
    }

    async fn set(
        &self,
        topic: &str,
        number: i32,
        version: i32,
        state: &PartitionStateZnode,
    ) -> Result<i64, LeaderError> {
        let (path, json) = (path::state(topic, number), state.to_json());
        match self.client.write(writes::set(&path, &json, version)).await {
            Ok(written) => Ok(written.zxid),
            Err(ClientError::Refused {
                error: TreeError::BadVersion | TreeError::NoNode, ..
            }) => Err(LeaderError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    /// A broker is about to stop: hands its leaderships to others that are in sync. The answer is
    /// the number of partitions that nobody else can lead.
    ///
    /// # Errors
    /// [`LeaderError::Tree`].
    pub async fn hand_over(&self, broker: i32) -> Result<usize, LeaderError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let (moves, remaining) = handed_over(&image, broker);
            if moves.is_empty() {
                return Ok(remaining);
            }
            self.set_all(moves).await?;
        }
        let (moves, remaining) = handed_over(&*self.images.fresh().await, broker);
        Ok(moves.len() + remaining)
    }

    /// Gives preferred leaders their partitions back, where of a broker's partitions more than
    /// `percentage` in a hundred are led by others.
    ///
    /// # Errors
    /// [`LeaderError::Tree`].
    pub async fn rebalance(&self, percentage: i64) -> Result<usize, LeaderError> {
        let image = self.images.fresh().await;
        let moves = preferred(&image, percentage);
        let count = moves.len();
        self.set_all(moves).await?;
        Ok(count)
    }

    /// Changes states, each if it still is what it was.
    async fn set_all(&self, mut moves: Vec<Move>) -> Result<(), LeaderError> {
        while !moves.is_empty() {
            let piece = moves.split_off(moves.len().saturating_sub(MAX_STATES));
            let all = piece.iter().map(|m| writes::set(&m.path, &m.json, m.version)).collect();
            match self.client.multi(all).await {
                Ok(_) => {}
                Err(ClientError::Refused { .. }) if piece.len() > 1 => {
                    // One of them does not fit any more: the others shall not wait for it.
                    for m in piece {
                        let one = self.client.write(writes::set(&m.path, &m.json, m.version)).await;
                        match one {
                            Ok(_) | Err(ClientError::Refused { .. }) => {}
                            Err(error) => return Err(error.into()),
                        }
                    }
                }
                Err(ClientError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A conditional change of one state.
struct Move {
    path: String,
    json: Vec<u8>,
    version: i32,
}

impl Move {
    fn new(topic: &str, number: i32, before: &PartitionState, after: &PartitionStateZnode) -> Self {
        Self { path: path::state(topic, number), json: after.to_json(), version: before.version }
    }
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

/// What an election comes to.
fn outcome(
    image: &Image,
    partition: &Partition,
    state: &PartitionState,
    election: Election,
) -> Result<PartitionStateZnode, LeaderError> {
    match election {
        Election::Preferred => {
            let rules = Rules { bounced: NONE, unclean: &|_| false };
            if partition.replicas.first() == Some(&state.leader) {
                return Err(LeaderError::NotNeeded);
            }
            decide::prefer(image, partition, &rules).ok_or(LeaderError::PreferredNotAvailable)
        }
        Election::Unclean => {
            if partition.leader().is_some_and(|leader| image.is_alive(leader)) {
                return Err(LeaderError::NotNeeded);
            }
            let rules = Rules { bounced: NONE, unclean: &|_| true };
            decide::elect(image, partition, state, &rules, "").ok_or(LeaderError::NoneAvailable)
        }
    }
}

/// The states in which others lead what a broker leads, and how many nobody else can lead.
fn handed_over(image: &Image, broker: i32) -> (Vec<Move>, usize) {
    let (mut moves, mut remaining) = (Vec::new(), 0);
    for topic in image.topics() {
        for (number, partition) in topic.numbered() {
            let Some(state) = partition.state.as_ref().filter(|s| s.leader == broker) else {
                continue;
            };
            let isr: Vec<_> = state.isr.iter().copied().filter(|id| *id != broker).collect();
            let may = |id: &&i32| isr.contains(id) && image.is_alive(**id);
            match partition.replicas.iter().find(may) {
                Some(leader) => {
                    let after = decide::next(image, state, *leader, isr.clone());
                    moves.push(Move::new(&topic.name, number, state, &after));
                }
                None => remaining += 1,
            }
        }
    }
    (moves, remaining)
}

fn preferred(image: &Image, percentage: i64) -> Vec<Move> {
    let rules = Rules { bounced: NONE, unclean: &|_| false };
    // By preferred leader: how many it should lead, and those that it could but does not.
    let mut by_broker: BTreeMap<i32, (usize, usize, Vec<Move>)> = BTreeMap::new();
    for topic in image.topics().filter(|topic| !image.is_deleting(&topic.name)) {
        for (number, partition) in topic.numbered() {
            let (Some(first), Some(state)) = (partition.replicas.first(), &partition.state) else {
                continue;
            };
            let (all, others, moves) = by_broker.entry(*first).or_default();
            *all += 1;
            *others += usize::from(state.leader != *first);
            // What is being moved is led elsewhere soon anyway.
            if partition.reassigning.is_none()
                && let Some(after) = decide::prefer(image, partition, &rules)
            {
                moves.push(Move::new(&topic.name, number, state, &after));
            }
        }
    }
    let out_of_balance = |(all, others, moves): (usize, usize, Vec<Move>)| {
        (others as i64 * 100 > percentage * all as i64).then_some(moves)
    };
    by_broker.into_values().filter_map(out_of_balance).flatten().collect()
}

/// Gives preferred leaders their partitions back from time to time, while this node is the
/// controller, until it is dropped.
pub struct Rebalancing {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Rebalancing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rebalancing {
    /// Begins. `broker`: this one.
    pub fn start(leaders: Leaders, configs: Configs, broker: i32) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let image = leaders.images.current();
                let every =
                    configs.broker_number(&image, "leader.imbalance.check.interval.seconds");
                tokio::time::sleep(Duration::from_secs(every.max(1) as u64)).await;
                let image = leaders.images.current();
                let wanted = configs.broker_flag(&image, "auto.leader.rebalance.enable");
                if !wanted || image.controller != Some(broker) {
                    continue;
                }
                let percentage =
                    configs.broker_number(&image, "leader.imbalance.per.broker.percentage");
                match leaders.rebalance(percentage).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "preferred leaders elected"),
                    Err(error) => tracing::warn!(%error, "no preferred leaders were elected"),
                }
            }
        });
        Self { task }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::image::tests::image;

    #[test]
    fn elections_come_to_what_kafka_says() {
        let outcome = |image: &Image, election| {
            let partition = image.partition("t", 0).unwrap();
            let state = partition.state.as_ref().unwrap();
            super::outcome(image, partition, state, election).map(|state| state.leader)
        };
        let led_by_second = image(&[1, 2], &[(&[1, 2], Some((2, &[1, 2])))]);
        assert_eq!(outcome(&led_by_second, Election::Preferred), Ok(1));
        assert_eq!(outcome(&led_by_second, Election::Unclean), Err(LeaderError::NotNeeded));
        let led_by_first = image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2])))]);
        assert_eq!(outcome(&led_by_first, Election::Preferred), Err(LeaderError::NotNeeded));
        let first_lags = image(&[1, 2], &[(&[1, 2], Some((2, &[2])))]);
        let error = Err(LeaderError::PreferredNotAvailable);
        assert_eq!(outcome(&first_lags, Election::Preferred), error);
        let leaderless = image(&[2], &[(&[1, 2], Some((-1, &[1])))]);
        assert_eq!(outcome(&leaderless, Election::Unclean), Ok(2));
        let all_dead = image(&[], &[(&[1, 2], Some((-1, &[1])))]);
        assert_eq!(outcome(&all_dead, Election::Unclean), Err(LeaderError::NoneAvailable));
    }

    #[test]
    fn a_broker_that_stops_hands_over_what_others_can_lead() {
        let now = image(
            &[1, 2],
            &[(&[1, 2], Some((1, &[1, 2]))), (&[1, 2], Some((1, &[1]))), (&[2], Some((2, &[2])))],
        );
        let (moves, remaining) = handed_over(&now, 1);
        assert_eq!((moves.len(), remaining), (1, 1));
        let state = PartitionStateZnode::parse(&moves[0].json).unwrap();
        assert_eq!((state.leader, state.leader_epoch, state.isr), (2, 5, vec![2]));
        assert_eq!((&*moves[0].path, moves[0].version), (&*path::state("t", 0), 6));
    }

    #[test]
    fn a_leader_takes_into_the_isr_who_lives_and_has_not_been_away() {
        let mut now = image(&[1, 2, 3], &[(&[1, 2, 3], Some((1, &[1, 2])))]);
        let refused = |image: &Image, isr: &[i32]| {
            let partition = image.partition("t", 0).unwrap();
            ineligible(image, partition, partition.state.as_ref().unwrap(), isr)
        };
        assert_eq!(refused(&now, &[1, 2, 3]), None);
        assert_eq!(refused(&now, &[1]), None);
        assert_eq!(refused(&now, &[2, 3]), Some(1));
        assert_eq!(refused(&now, &[1, 4]), Some(4));
        let brokers = std::sync::Arc::make_mut(&mut now.brokers);
        std::sync::Arc::make_mut(brokers.get_mut(&2).unwrap()).epoch = 11;
        assert_eq!(refused(&now, &[1, 2]), Some(2));
        assert_eq!(refused(&now, &[1, 3]), None);
        assert_eq!(now.acting_leader(now.partition("t", 0).unwrap()), Some(1));
        let away = image(&[1, 2], &[(&[2, 1], Some((3, &[3])))]);
        assert_eq!(away.acting_leader(away.partition("t", 0).unwrap()), None);
    }

    #[test]
    fn balance_is_restored_beyond_the_percentage() {
        let led: (&[i32], Option<(i32, &[i32])>) = (&[1, 2], Some((1, &[1, 2])));
        let elsewhere: (&[i32], Option<(i32, &[i32])>) = (&[1, 2], Some((2, &[1, 2])));
        let mut partitions = vec![led; 9];
        partitions.push(elsewhere);
        assert_eq!(preferred(&image(&[1, 2], &partitions), 10).len(), 0);
        partitions.push(elsewhere);
        assert_eq!(preferred(&image(&[1, 2], &partitions), 10).len(), 2);
        assert_eq!(preferred(&image(&[2], &partitions), 10).len(), 0);
    }
}
