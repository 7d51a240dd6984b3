//! The shell around the machines: which group is in which partition of `__consumer_offsets`, reading
//! partitions when this node becomes their leader, time, and holding answers back until what they are
//! based on is replicated.
//!
//! One lock a partition, held for a command and its append to the page cache. Nothing is locked while
//! an answer waits.

mod leadership;
mod load;
mod log;
mod member_id;
mod slot;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::RwLock;
use polyport_base::Clock;
use tokio::time::Instant;

use super::classic::{
    GroupDescription, JoinGroup, JoinOutcome, JoinRefused, LeavingMember, SyncGroup, SyncOutcome,
};
use super::config::GroupConfig;
use super::consumer::{
    ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, TopicView,
};
use super::error::GroupError;
use super::machine::{Answer, Context, EndTransaction, InTransaction, Moment};
use super::offsets::{CommitOffsets, CommittedOffset, FetchOffsets, FetchedOffset};
use super::record::TopicId;
use super::shard::{CommitOutcome, GroupKind, GroupOverview, Shard};
use crate::internal::partition_of;
use slot::Slot;

/// The group coordinator of a node. Clones are the same one.
#[derive(Clone)]
pub struct Coordinator {
    inner: Arc<Inner>,
}

struct Inner {
    config: GroupConfig,
    clock: Arc<dyn Clock>,
    started: Instant,
    /// How many partitions `__consumer_offsets` has, or will have when it is made.
    partitions: AtomicI32,
    slots: RwLock<BTreeMap<i32, Arc<Slot>>>,
    topics: RwLock<Arc<dyn TopicView>>,
}

impl Inner {
    fn now(&self) -> Moment {
        Moment { wall: self.clock.now(), uptime: self.started.elapsed() }
    }
}

impl Coordinator {
    /// A coordinator that leads nothing yet. `partitions`: how many `__consumer_offsets` has, or is to
    /// have (`offsets.topic.num.partitions`).
    pub fn new(config: GroupConfig, clock: Arc<dyn Clock>, partitions: i32) -> Self {
        let inner = Inner {
            config,
            clock,
            started: Instant::now(),
            partitions: AtomicI32::new(partitions),
            slots: RwLock::new(BTreeMap::new()),
            topics: RwLock::new(Arc::new(NoTopics)),
        };
        Coordinator { inner: Arc::new(inner) }
    }

    /// The limits in force.
    pub fn config(&self) -> &GroupConfig {
        &self.inner.config
    }

    /// Says how many partitions `__consumer_offsets` really has.
    pub fn set_partitions(&self, partitions: i32) {
        self.inner.partitions.store(partitions, Ordering::Relaxed);
    }

    /// Says which topics there are: whenever that changes, another view of another version. Consumer
    /// groups take note with their members' next heartbeats.
    pub fn set_topics(&self, topics: Arc<dyn TopicView>) {
        *self.inner.topics.write() = topics;
    }

    /// The partition of `__consumer_offsets` that a group is in: its leader is the coordinator.
    pub fn partition_of(&self, group: &str) -> i32 {
        partition_of(group, self.inner.partitions.load(Ordering::Relaxed))
    }

    fn slot(&self, partition: i32) -> Arc<Slot> {
        if let Some(slot) = self.inner.slots.read().get(&partition) {
            return slot.clone();
        }
        let mut slots = self.inner.slots.write();
        slots.entry(partition).or_insert_with(|| Arc::new(Slot::new())).clone()
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.inner.slots.read().values().cloned().collect()
    }

    /// Has the machine of a group's partition do something, and waits until that is replicated.
    async fn run<T>(
        &self,
        group: &str,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> Result<T, GroupError> {
        let slot = self.slot(self.partition_of(group));
        let (result, gate) = slot.with(|active| {
            let result = active.run(&self.inner, work);
            (result, active.gate())
        })?;
        gate.pass(self.inner.config.commit_timeout).await?;
        Ok(result)
    }

    /// JoinGroup. Waits until the group has been joined; dropped, the request is forgotten, the member
    /// is not.
    ///
    /// # Errors
    /// See [`JoinRefused`].
    pub async fn join(&self, group: &str, request: JoinGroup) -> JoinOutcome {
        let member_id = request.member_id.clone();
        let refused = |error| JoinRefused { error, member_id };
        match self.join_or_fail(group, request).await {
            Ok(outcome) => outcome,
            Err(error) => Err(refused(error)),
        }
    }

    async fn join_or_fail(
        &self,
        group: &str,
        request: JoinGroup,
    ) -> Result<JoinOutcome, GroupError> {
        let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
        let fresh = member_id::fresh(name).map_err(|_| GroupError::UnknownServerError)?;
        let slot = self.slot(self.partition_of(group));
        let answered = slot.with(|active| {
            let (waiter, answered) = active.hold();
            active.run(&self.inner, |shard, cx| {
                shard.join(group, request, &fresh, waiter, cx);
            });
            answered
        })?;
        let (answer, gate) = answered.await.map_err(|_| GroupError::NotCoordinator)?;
        gate.pass(self.inner.config.commit_timeout).await?;
        match answer {
            Answer::Join(outcome) => Ok(outcome),
            Answer::Sync(_) => Err(GroupError::UnknownServerError),
        }
    }

    /// SyncGroup. Waits until the leader has brought the assignment.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn sync(&self, group: &str, request: SyncGroup) -> SyncOutcome {
        not_empty(group)?;
        let slot = self.slot(self.partition_of(group));
        let held = slot.with(|active| {
            let (waiter, answered) = active.hold();
            active.run(&self.inner, |shard, cx| {
                shard.sync(group, request, waiter, cx);
            });
            answered
        });
        let answered = held.map_err(|error| match error {
            // Whatever was being rebalanced is forgotten; old clients do not expect the error itself.
            GroupError::CoordinatorLoadInProgress => GroupError::RebalanceInProgress,
            error => error,
        })?;
        let (answer, gate) = answered.await.map_err(|_| GroupError::NotCoordinator)?;
        gate.pass(self.inner.config.commit_timeout).await?;
        match answer {
            Answer::Sync(outcome) => outcome,
            Answer::Join(_) => Err(GroupError::UnknownServerError),
        }
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// `RebalanceInProgress` if the member is to join again; why it is no member.
    pub async fn heartbeat(
        &self,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        not_empty(group)?;
        let beat = self
            .run(group, |shard, cx| shard.heartbeat(group, member_id, instance_id, generation, cx));
        match beat.await {
            // Nothing is known yet that would speak against it.
            Err(GroupError::CoordinatorLoadInProgress) => Ok(()),
            outcome => outcome?,
        }
    }

    /// ConsumerGroupHeartbeat.
    ///
    /// # Errors
    /// `InvalidRequest`, `UnsupportedAssignor`, `GroupIdNotFound`, `GroupMaxSizeReached`,
    /// `UnknownMemberId`, `FencedMemberEpoch`, `UnreleasedInstanceId`, `FencedInstanceId`, or why the
    /// group cannot be asked.
    pub async fn consumer_heartbeat(
        &self,
        group: &str,
        request: &ConsumerHeartbeat,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let fresh = match request.member_id.is_empty() {
            true => member_id::fresh("").map_err(|_| GroupError::UnknownServerError)?,
            false => String::new(),
        };
        self.run(group, |shard, cx| shard.consumer_heartbeat(group, request, &fresh, cx)).await?
    }

    /// ConsumerGroupDescribe, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, or why the group cannot be asked.
    pub async fn describe_consumer(
        &self,
        group: &str,
    ) -> Result<ConsumerGroupDescription, GroupError> {
        self.run(group, |shard, _| shard.describe_consumer(group)).await?
    }

    /// LeaveGroup: one outcome a member, in their order.
    ///
    /// # Errors
    /// Why the group cannot be asked.
    pub async fn leave(
        &self,
        group: &str,
        members: &[LeavingMember],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        not_empty(group)?;
        self.run(group, |shard, cx| shard.leave(group, members, cx)).await
    }

    /// OffsetCommit. Whether the partitions exist is for the caller to check.
    ///
    /// # Errors
    /// Why all of it was refused.
    pub async fn commit_offsets(&self, group: &str, request: CommitOffsets) -> CommitOutcome {
        let slot = self.slot(self.partition_of(group));
        let (outcome, gate) = slot.commit(&self.inner, group.into(), request).await?;
        gate.pass(self.inner.config.commit_timeout).await?;
        outcome
    }

    /// TxnOffsetCommit.
    ///
    /// # Errors
    /// Why all of it was refused.
    pub async fn commit_offsets_in_transaction(
        &self,
        group: &str,
        request: CommitOffsets,
        transaction: impl Into<InTransaction>,
    ) -> CommitOutcome {
        not_empty(group)?;
        let (id, transaction) = (group.into(), transaction.into());
        self.run(group, |shard, cx| shard.commit_in_transaction(&id, &request, transaction, cx))
            .await?
    }

    /// WriteTxnMarkers, of one marker for one partition of `__consumer_offsets`: writes it there, and
    /// carries it out. Markers for these partitions must come this way.
    ///
    /// # Errors
    /// `NotCoordinator`, `CoordinatorLoadInProgress`, `InvalidProducerEpoch`,
    /// `TransactionCoordinatorFenced`, or why it could not be written.
    pub async fn end_transaction(
        &self,
        partition: i32,
        end: EndTransaction,
    ) -> Result<(), GroupError> {
        let (outcome, gate) = self.slot(partition).with(|active| {
            let work = |shard: &mut Shard, cx: &mut Context<'_>| shard.end_transaction(end, cx);
            (active.run(&self.inner, work), active.gate())
        })?;
        outcome?;
        Ok(gate.pass(self.inner.config.commit_timeout).await?)
    }

    /// OffsetFetch, of one group. A group that is not there has no offsets.
    ///
    /// # Errors
    /// Why the group cannot be asked.
    pub async fn fetch_offsets(
        &self,
        group: &str,
        request: &FetchOffsets,
    ) -> Result<Vec<FetchedOffset>, GroupError> {
        self.run(group, |shard, _| shard.fetch(group, request)).await?
    }

    /// DescribeGroups, of one group. One that is not there is `Dead`.
    ///
    /// # Errors
    /// Why the group cannot be asked.
    pub async fn describe(&self, group: &str) -> Result<GroupDescription, GroupError> {
        self.run(group, |shard, _| shard.describe(group)).await
    }

    /// ListGroups: those that this node coordinates, in these states and of these kinds, all if none
    /// are named. States are compared without regard to case. If a partition is being read, what there
    /// is comes with `CoordinatorLoadInProgress`.
    pub fn list(
        &self,
        states: &[String],
        kinds: &[GroupKind],
    ) -> (Result<(), GroupError>, Vec<GroupOverview>) {
        let is_wanted = |group: &GroupOverview| {
            (states.is_empty()
                || states.iter().any(|state| state.eq_ignore_ascii_case(group.state)))
                && (kinds.is_empty() || kinds.contains(&group.kind))
        };
        let mut outcome = Ok(());
        let mut groups = Vec::new();
        for slot in self.slots() {
            if slot.is_loading() {
                outcome = Err(GroupError::CoordinatorLoadInProgress);
            }
            // Those that other nodes lead have nothing here.
            let _ = slot.with(|active| groups.extend(active.machine.list().filter(is_wanted)));
        }
        (outcome, groups)
    }

    /// DeleteGroups, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, `NonEmptyGroup`, or why the group cannot be asked.
    pub async fn delete(&self, group: &str) -> Result<(), GroupError> {
        self.run(group, |shard, cx| shard.delete(group, cx)).await?
    }

    /// OffsetDelete: one outcome a partition, in their order.
    ///
    /// # Errors
    /// `GroupIdNotFound`, `NonEmptyGroup`, or why the group cannot be asked.
    pub async fn delete_offsets(
        &self,
        group: &str,
        partitions: &[(Arc<str>, i32)],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        not_empty(group)?;
        self.run(group, |shard, cx| shard.delete_offsets(group, partitions, cx)).await?
    }

    /// The topics are gone: so is what was committed for them.
    pub fn topics_deleted(&self, topics: &[Arc<str>]) {
        for slot in self.slots() {
            // Other nodes do the same for theirs.
            let _ = slot.with(|active| {
                active.run(&self.inner, |shard, cx| shard.topics_deleted(topics, cx));
            });
        }
    }

    /// What every group that this node coordinates has committed, for measuring how far behind they
    /// are.
    pub fn committed_offsets(&self) -> Vec<CommittedOffset> {
        let mut offsets = Vec::new();
        for slot in self.slots() {
            let _ = slot.with(|active| {
                active.machine.each_offset(|group, topic, partition, offset| {
                    let (group, topic) = (group.clone(), topic.clone());
                    offsets.push(CommittedOffset { group, topic, partition, offset });
                });
            });
        }
        offsets
    }
}

/// What is known of topics before anything is.
struct NoTopics;

impl TopicView for NoTopics {
    fn version(&self) -> u64 {
        0
    }

    fn topic(&self, _: &str) -> Option<(TopicId, i32)> {
        None
    }
}

/// Offsets may be kept under an empty name, as old clients do; membership needs one.
fn not_empty(group: &str) -> Result<(), GroupError> {
    match group.is_empty() {
        true => Err(GroupError::InvalidGroupId),
        false => Ok(()),
    }
}
