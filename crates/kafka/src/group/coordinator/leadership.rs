//! Partitions of `__consumer_offsets` come and go.

use std::sync::Arc;

use super::super::machine::Context;
use super::super::shard::Shard;
use super::log::{Appender, Buffers};
use super::slot::{Active, Slot, State, Task};
use super::{Coordinator, load, task};
use crate::internal::log::{InternalLog, ReadFailed};

impl Coordinator {
    /// This node leads the partition from this leader epoch on. Its groups are answered for as soon as
    /// its records have been read, which goes on in the background; until then with
    /// `CoordinatorLoadInProgress`. Called again with the same epoch, it does nothing.
    pub fn lead(&self, partition: i32, leader_epoch: i32, log: Arc<dyn InternalLog>) {
        let slot = self.slot(partition);
        if !slot.is_newer(leader_epoch) || !self.enter(&slot, leader_epoch, State::Loading) {
            return;
        }
        let coordinator = self.clone();
        // Reading waits for the disk.
        let load = tokio::task::spawn_blocking(move || {
            let outcome = coordinator.read(&*log);
            (coordinator, slot, outcome, log)
        });
        tokio::spawn(async move {
            let Ok((coordinator, slot, outcome, log)) = load.await else { return };
            match outcome {
                Ok(shard) => coordinator.activate(&slot, leader_epoch, shard, log),
                Err(error) => {
                    let reason = error.source.to_string();
                    tracing::error!(partition, %error, reason, "the groups cannot be loaded");
                    slot.advance(leader_epoch, || State::Failed);
                }
            }
        });
    }

    /// Another node, or none, leads the partition from this leader epoch on.
    pub fn resign(&self, partition: i32, leader_epoch: i32) {
        self.enter(&self.slot(partition), leader_epoch, State::Absent);
    }

    /// The partition's topic is gone. One of the same name that is made later begins anew, with leader
    /// epochs too.
    pub fn forget(&self, partition: i32) {
        self.slot(partition).forget(|before| self.end(before));
    }

    /// Ends what was there before: those who wait are sent to the new leader.
    fn enter(&self, slot: &Slot, leader_epoch: i32, state: State) -> bool {
        slot.enter(leader_epoch, state, |before| self.end(before))
    }

    fn end(&self, before: State) {
        if let State::Active(mut active) = before {
            active.run(&self.inner, Shard::on_unloaded);
        }
    }

    fn read(&self, log: &dyn InternalLog) -> Result<Shard, ReadFailed> {
        let mut shard = Shard::default();
        let mut buffers = Buffers::default();
        let mut appender = Appender { log, written: Vec::new(), buffers: &mut buffers };
        let mut answers = Vec::new();
        let topics = self.inner.topics.read().clone();
        let cx = Context {
            now: self.inner.now(),
            config: &self.inner.config,
            topics: &*topics,
            log: &mut appender,
            answers: &mut answers,
        };
        load::load(log, &mut shard, &cx)?;
        Ok(shard)
    }

    fn activate(
        &self,
        slot: &Arc<Slot>,
        leader_epoch: i32,
        shard: Shard,
        log: Arc<dyn InternalLog>,
    ) {
        slot.advance(leader_epoch, || {
            let work = task::work(self.inner.clone(), slot.clone());
            let task = Task(tokio::spawn(work).abort_handle());
            let mut active = Active::new(shard, log, task);
            active.run(&self.inner, Shard::on_loaded);
            State::Active(Box::new(active))
        });
    }
}
