//! One partition of `__transaction_state` as this node has it: not at all, being read, or at work.

use std::sync::Arc;

use parking_lot::Mutex;
use polyport_base::Millis;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::super::error::TransactionError;
use super::super::machine::{Context, Markers};
use super::super::shard::Shard;
use super::log::Appender;
use super::{Inner, markers};
use crate::internal::log::InternalLog;
use crate::internal::replication::{Gate, Replication};

/// A partition whose transactions are coordinated here.
pub(super) struct Active {
    pub(super) machine: Shard,
    pub(super) epoch: i32,
    pub(super) log: Arc<dyn InternalLog>,
    pub(super) replication: Replication,
    pub(super) buffer: Vec<u8>,
    /// Watches the time; ends with the partition's work here.
    pub(super) task: AbortHandle,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Active {
    fn run<T>(
        &mut self,
        inner: &Inner,
        now: Millis,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> (T, Vec<Markers>) {
        let mut markers = Vec::new();
        let mut appender = Appender {
            log: &*self.log,
            replication: &mut self.replication,
            buffer: &mut self.buffer,
        };
        let config = &inner.config;
        let mut cx = Context { now, config, log: &mut appender, markers: &mut markers };
        let result = work(&mut self.machine, &mut cx);
        (result, markers)
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
    /// With the newest leader epoch that has been heard of.
    state: Mutex<(State, i32)>,
    /// Told when the next deadline has come nearer.
    pub(super) sooner: Notify,
}

impl Slot {
    pub(super) fn new() -> Self {
        Slot { state: Mutex::new((State::Absent, -1)), sooner: Notify::new() }
    }

    /// Begins to load the partition for the leader of an epoch that has not been heard of; false if
    /// it has.
    pub(super) fn load(&self, epoch: i32) -> bool {
        let mut slot = self.state.lock();
        let is_news = slot.1 < epoch;
        if is_news {
            *slot = (State::Loading, epoch);
        }
        is_news
    }

    /// Ends the work, unless this node has begun to lead in a newer epoch.
    pub(super) fn leave(&self, epoch: i32) {
        let mut slot = self.state.lock();
        if slot.1 <= epoch {
            *slot = (State::Absent, epoch);
        }
    }

    /// Nothing has been heard of the partition.
    pub(super) fn forget(&self) {
        *self.state.lock() = (State::Absent, -1);
    }

    /// Replaces the state of the leader of this epoch, if it is still that.
    pub(super) fn loaded(&self, epoch: i32, make: impl FnOnce() -> State) {
        let mut slot = self.state.lock();
        if slot.1 == epoch && matches!(slot.0, State::Loading) {
            slot.0 = make();
        }
    }

    /// Looks at the partition, or works on it, if it is coordinated here.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Active) -> T,
    ) -> Result<T, TransactionError> {
        match &mut self.state.lock().0 {
            State::Absent => Err(TransactionError::NotCoordinator),
            State::Loading => Err(TransactionError::CoordinatorLoadInProgress),
            State::Failed => Err(TransactionError::CoordinatorNotAvailable),
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

    /// Has the machine do something. What comes of it may be told when the gate has opened; markers
    /// are on their way.
    pub(super) fn run<T>(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> Result<(T, Gate), TransactionError> {
        let now = inner.now();
        let (result, markers, epoch, gate) = self.with(|active| {
            let (result, markers) = active.run(inner, now, work);
            (result, markers, active.epoch, active.replication.gate())
        })?;
        for markers in markers {
            markers::start(inner, self, epoch, gate.clone(), markers);
        }
        Ok((result, gate))
    }

    /// As `run`, if it is still the leader of this epoch that works on the partition.
    pub(super) fn run_as<T>(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        epoch: i32,
        work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let work = |active: &mut Active| {
            let is_current = active.epoch == epoch;
            is_current.then(|| (active.run(inner, inner.now(), work), active.replication.gate()))
        };
        let ((result, markers), gate) = self.with(work).ok()??;
        for markers in markers {
            markers::start(inner, self, epoch, gate.clone(), markers);
        }
        Some(result)
    }
}
