//! One partition of `__consumer_offsets` as this node has it: not at all, being read, or at work.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::super::error::GroupError;
use super::super::machine::{Answer, Context, GroupId, Waiter};
use super::super::offsets::CommitOffsets;
use super::super::shard::{CommitOutcome, Shard};
use super::Inner;
use super::log::{Appender, Buffers};
use crate::internal::log::InternalLog;
use crate::internal::replication::{Gate, Replication};

/// A held answer with what it must wait for.
pub(super) type Held = (Answer, Gate);

/// A commit that waits to be taken along.
struct QueuedCommit {
    group: GroupId,
    request: CommitOffsets,
    answer: oneshot::Sender<(CommitOutcome, Gate)>,
}

/// A partition whose groups are coordinated here.
pub(super) struct Active {
    pub(super) machine: Shard,
    log: Arc<dyn InternalLog>,
    buffers: Buffers,
    waiters: BTreeMap<Waiter, oneshot::Sender<Held>>,
    next_waiter: u64,
    replication: Replication,
    _task: Task,
}

/// The task that a partition at work has; it ends with that.
pub(super) struct Task(pub(super) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) enum State {
    /// Another node leads the partition.
    Absent,
    /// Its records are being read.
    Loading,
    /// Its records cannot be read.
    Failed,
    /// At work.
    Active(Box<Active>),
}

pub(super) struct Slot {
    state: Mutex<(State, i32)>,
    commits: Mutex<Vec<QueuedCommit>>,
    /// Told when the next deadline has come nearer.
    pub(super) sooner: tokio::sync::Notify,
}

impl Active {
    pub(super) fn new(machine: Shard, log: Arc<dyn InternalLog>, task: Task) -> Self {
        Active {
            machine,
            log,
            buffers: Buffers::default(),
            waiters: BTreeMap::new(),
            next_waiter: 0,
            replication: Replication::start(),
            _task: task,
        }
    }

    /// Names a request whose answer is held.
    pub(super) fn hold(&mut self) -> (Waiter, oneshot::Receiver<Held>) {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.waiters.insert(waiter, sender);
        (waiter, receiver)
    }

    pub(super) fn gate(&self) -> Gate {
        self.replication.gate()
    }

    /// Lets the machine do something, and sends the answers that are ready.
    pub(super) fn run<T>(
        &mut self,
        inner: &Inner,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> T {
        let mut answers = Vec::new();
        let mut appender =
            Appender { log: &*self.log, written: Vec::new(), buffers: &mut self.buffers };
        let topics = inner.topics.read().clone();
        let mut cx = Context {
            now: inner.now(),
            config: &inner.config,
            topics: &*topics,
            log: &mut appender,
            answers: &mut answers,
        };
        let result = work(&mut self.machine, &mut cx);
        for written in appender.written {
            self.replication.appended(written);
        }
        for (waiter, answer) in answers {
            if let Some(sender) = self.waiters.remove(&waiter) {
                let gate = self.gate();
                // Nobody listens if the connection was closed.
                let _ = sender.send((answer, gate));
            }
        }
        result
    }
}

impl Slot {
    pub(super) fn new() -> Self {
        Slot {
            state: Mutex::new((State::Absent, -1)),
            commits: Mutex::new(Vec::new()),
            sooner: tokio::sync::Notify::new(),
        }
    }

    /// Whether this node has not heard of the epoch yet.
    pub(super) fn is_newer(&self, epoch: i32) -> bool {
        self.state.lock().1 < epoch
    }

    /// Takes a state that the leader of this epoch brings; false if a newer one has been here. The
    /// state before is handed to `end`.
    pub(super) fn enter(&self, epoch: i32, state: State, end: impl FnOnce(State)) -> bool {
        let mut slot = self.state.lock();
        if epoch < slot.1 {
            return false;
        }
        let before = std::mem::replace(&mut *slot, (state, epoch));
        end(before.0);
        true
    }

    /// Nothing has been heard of the partition. The state before is handed to `end`.
    pub(super) fn forget(&self, end: impl FnOnce(State)) {
        let before = std::mem::replace(&mut *self.state.lock(), (State::Absent, -1));
        end(before.0);
    }

    /// Replaces the state of the leader of this epoch, if it is still that.
    pub(super) fn advance(&self, epoch: i32, make: impl FnOnce() -> State) -> bool {
        let mut slot = self.state.lock();
        let is_current = slot.1 == epoch && matches!(slot.0, State::Loading);
        if is_current {
            slot.0 = make();
        }
        is_current
    }

    /// Whether the partition's records are being read.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.state.lock().0, State::Loading)
    }

    /// Works on the partition, if its groups are coordinated here.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Active) -> T) -> Result<T, GroupError> {
        let mut slot = self.state.lock();
        match &mut slot.0 {
            State::Absent => Err(GroupError::NotCoordinator),
            State::Loading => Err(GroupError::CoordinatorLoadInProgress),
            State::Failed => Err(GroupError::CoordinatorNotAvailable),
            State::Active(active) => {
                let before = active.machine.next_deadline();
                let result = work(active);
                if active.machine.next_deadline() < before {
                    self.sooner.notify_one();
                }
                Ok(result)
            }
        }
    }

    /// Commits offsets. Whoever gets at the partition takes all commits that wait for it along, in one
    /// append.
    pub(super) async fn commit(
        &self,
        inner: &Inner,
        group: GroupId,
        request: CommitOffsets,
    ) -> Result<(CommitOutcome, Gate), GroupError> {
        let (answer, answered) = oneshot::channel();
        self.commits.lock().push(QueuedCommit { group, request, answer });
        let refused = self.with(|active| {
            let queued = std::mem::take(&mut *self.commits.lock());
            if queued.is_empty() {
                return;
            }
            let mut requests = Vec::with_capacity(queued.len());
            let mut answers = Vec::with_capacity(queued.len());
            for commit in queued {
                requests.push((commit.group, commit.request));
                answers.push(commit.answer);
            }
            let outcomes = active.run(inner, |shard, cx| shard.commit(&requests, cx));
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Nobody listens if the connection was closed.
                let _ = answer.send((outcome, active.gate()));
            }
        });
        if let Err(error) = refused {
            // Theirs would be refused alike.
            self.commits.lock().clear();
            return Err(error);
        }
        // Whoever took it along found the partition gone.
        answered.await.map_err(|_| self.with(|_| ()).err().unwrap_or(GroupError::NotCoordinator))
    }
}
