//! Syncing in the background: for `flush.messages` and `flush.ms`, of segments that get no more
//! records, and so that a start after a crash has not too much to read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use polyport_base::Millis;
use polyport_storage::Disk;

use crate::partition::Partition;

/// The partitions of one directory that are to be synced.
#[derive(Debug)]
pub(crate) struct FlushQueue<D: Disk> {
    state: Mutex<Queued<D>>,
    bell: Condvar,
}

#[derive(Debug)]
struct Queued<D: Disk> {
    ready: Vec<Arc<Partition<D>>>,
    /// By time, then by number, as several may have the same.
    due: BTreeMap<(Millis, u64), Arc<Partition<D>>>,
    next: u64,
    excess: bool,
    rung: bool,
}

/// What a flusher is to do now.
#[derive(Debug)]
pub(crate) struct FlushWork<D: Disk> {
    pub partitions: Vec<Arc<Partition<D>>>,
    /// More is not durable in the directory than should be.
    pub excess: bool,
    /// When there may be more to do.
    pub next: Option<Millis>,
}

impl<D: Disk> Default for FlushQueue<D> {
    fn default() -> Self {
        let state =
            Queued { ready: Vec::new(), due: BTreeMap::new(), next: 0, excess: false, rung: false };
        FlushQueue { state: Mutex::new(state), bell: Condvar::new() }
    }
}

impl<D: Disk> FlushQueue<D> {
    pub fn push_ready(&self, partition: Arc<Partition<D>>) {
        self.change(|state| state.ready.push(partition));
    }

    pub fn push_due(&self, at: Millis, partition: Arc<Partition<D>>) {
        self.change(|state| {
            state.next += 1;
            state.due.insert((at, state.next), partition);
        });
    }

    pub fn push_excess(&self) {
        self.change(|state| state.excess = true);
    }

    /// Wakes who waits: the process stops, or the disk failed.
    pub fn ring(&self) {
        self.change(|_| {});
    }

    fn change(&self, change: impl FnOnce(&mut Queued<D>)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.rung = true;
        drop(state);
        self.bell.notify_one();
    }

    /// Waits until somebody has rung since the last [`FlushQueue::take`], or until it is time.
    pub fn wait(&self, most: Duration) {
        let mut state = self.state.lock();
        if !state.rung {
            self.bell.wait_for(&mut state, most);
        }
    }

    pub fn take(&self, now: Millis) -> FlushWork<D> {
        let mut state = self.state.lock();
        state.rung = false;
        let mut partitions = std::mem::take(&mut state.ready);
        while let Some(first) = state.due.first_entry().filter(|first| first.key().0 <= now) {
            let partition = first.remove();
            partition.no_longer_due();
            partitions.push(partition);
        }
        let next = state.due.first_key_value().map(|((at, _), _)| *at);
        FlushWork { partitions, excess: std::mem::take(&mut state.excess), next }
    }
}
