//! Partitions of `__transaction_state` come and go.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Millis;

use super::super::record::Record;
use super::super::shard::Shard;
use super::slot::{Active, Slot, State};
use super::{Inner, TransactionCoordinator};
use crate::internal::load::{DECOMPRESSED_LIMIT_BYTES, each_batch};
use crate::internal::log::{InternalLog, ReadFailed};
use crate::internal::replication::Replication;

impl TransactionCoordinator {
    /// This node leads the partition from this leader epoch on. Its transactional ids are answered for
    /// as soon as its records have been read, which goes on in the background; until then with
    /// `CoordinatorLoadInProgress`. Called again with the same epoch, it does nothing.
    pub fn lead(&self, partition: i32, leader_epoch: i32, log: Arc<dyn InternalLog>) {
        let slot = self.slot(partition);
        if !slot.load(leader_epoch) {
            return;
        }
        let coordinator = self.clone();
        // Reading waits for the disk.
        let load = tokio::task::spawn_blocking(move || {
            let outcome = coordinator.read(&*log, leader_epoch);
            (coordinator, slot, outcome, log)
        });
        tokio::spawn(async move {
            let Ok((coordinator, slot, outcome, log)) = load.await else { return };
            match outcome {
                Ok(shard) => coordinator.activate(&slot, leader_epoch, shard, log),
                Err(error) => {
                    let reason = error.source.to_string();
                    tracing::error!(partition, %error, reason, "transactions cannot be loaded");
                    slot.loaded(leader_epoch, || State::Failed);
                }
            }
        });
    }

    /// Another node, or none, leads the partition from this leader epoch on, or its log is not here.
    /// Those who wait are sent there.
    pub fn resign(&self, partition: i32, leader_epoch: i32) {
        self.slot(partition).leave(leader_epoch);
    }

    /// The partition's topic is gone. One of the same name that is made later begins anew, with leader
    /// epochs too.
    pub fn forget(&self, partition: i32) {
        self.slot(partition).forget();
    }

    /// # Errors
    /// If the partition cannot be read, or has a record that no coordinator wrote: what was decided
    /// in it nobody knows.
    fn read(&self, log: &dyn InternalLog, leader_epoch: i32) -> Result<Shard, ReadFailed> {
        let mut shard = Shard::new(leader_epoch, self.inner.now(), &self.inner.config);
        let mut scratch = Vec::new();
        each_batch(log, |batch| {
            if batch.header().attributes.is_control() {
                return Ok(());
            }
            for record in batch.records(&mut scratch, DECOMPRESSED_LIMIT_BYTES)? {
                let record = record?;
                let (key, value) = (record.key.unwrap_or_default(), record.value);
                match Record::decode(key, value)? {
                    Some(decoded) => shard.load(decoded),
                    None => tracing::warn!(record.offset, "a record of a kind unknown here"),
                }
            }
            Ok(())
        })?;
        Ok(shard)
    }

    fn activate(&self, slot: &Arc<Slot>, epoch: i32, machine: Shard, log: Arc<dyn InternalLog>) {
        let inner = &self.inner;
        slot.loaded(epoch, || {
            let task = tokio::spawn(watch_time(inner.clone(), slot.clone(), epoch)).abort_handle();
            let (replication, buffer) = (Replication::start(), Vec::new());
            State::Active(Box::new(Active { machine, epoch, log, replication, buffer, task }))
        });
        slot.run_as(inner, epoch, |shard, cx| shard.on_loaded(cx));
    }
}

/// Lets the machine do what is due, for as long as it is led in this epoch.
async fn watch_time(inner: Arc<Inner>, slot: Arc<Slot>, epoch: i32) {
    while let Ok(Millis(deadline)) = slot.with(|active| active.machine.next_deadline()) {
        let left_ms = deadline.saturating_sub(inner.now().0);
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        tokio::select! {
            // Somebody may set the clock meanwhile, so it is looked at from time to time.
            () = tokio::time::sleep(left.min(inner.config.abort_interval)) => {
                if slot.run_as(&inner, epoch, |shard, cx| shard.tick(cx)).is_none() {
                    return;
                }
            }
            () = slot.sooner.notified() => {}
        }
    }
}
