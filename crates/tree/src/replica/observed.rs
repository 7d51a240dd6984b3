//! What the tree was seen to do on this node, counted where it happens.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use polyport_telemetry::Summary;

use crate::EventKind;

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Observed {
    /// Watches that a creation fired, of those that fired any.
    pub created_watches: Summary,
    /// Watches that a deletion fired.
    pub deleted_watches: Summary,
    /// Watches that a change of data fired.
    pub changed_watches: Summary,
    /// Watches that a change of children fired.
    pub children_watches: Summary,
    /// Time from the leader's stamp on a log entry to its application here, by both clocks.
    pub propagation: Summary,
    /// Time from sending a batch to its application here.
    pub proposal: Summary,
    /// Sessions that this node, leading, expired.
    pub sessions_expired: AtomicU64,
    sizes: Sizes,
    /// The newest snapshot's zxid; -1 for none.
    snapshot_zxid: ZxidCell,
}

#[derive(Debug)]
struct Sizes {
    last: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { last: AtomicU64::new(0), min: AtomicU64::new(u64::MAX), max: AtomicU64::new(0) }
    }
}

#[derive(Debug)]
struct ZxidCell(AtomicI64);

impl Default for ZxidCell {
    fn default() -> Self {
        Self(AtomicI64::new(-1))
    }
}

impl Observed {
    pub(super) fn fired(&self, kind: EventKind, watchers: usize) {
        if watchers > 0 {
            let summary = match kind {
                EventKind::NodeCreated => &self.created_watches,
                EventKind::NodeDeleted => &self.deleted_watches,
                EventKind::NodeDataChanged => &self.changed_watches,
                EventKind::NodeChildrenChanged => &self.children_watches,
                _ => return,
            };
            summary.record(watchers as u64);
        }
    }

    /// Only the task that applies the log calls this.
    pub(super) fn entry(&self, bytes: usize, propagation_ms: i64) {
        let bytes = bytes as u64;
        self.sizes.last.store(bytes, Relaxed);
        self.sizes.min.fetch_min(bytes, Relaxed);
        self.sizes.max.fetch_max(bytes, Relaxed);
        // Clocks of two nodes may disagree about what came first.
        let micros = propagation_ms.max(0) as u64 * 1000;
        self.propagation.record(micros);
    }

    /// Bytes of the last, smallest and largest log entry; none before the first.
    pub fn entry_bytes(&self) -> Option<(u64, u64, u64)> {
        let min = self.sizes.min.load(Relaxed);
        let (last, max) = (self.sizes.last.load(Relaxed), self.sizes.max.load(Relaxed));
        (min != u64::MAX).then_some((last, min, max))
    }

    /// Forgets the sizes of entries.
    pub fn reset_entry_bytes(&self) {
        self.sizes.last.store(0, Relaxed);
        self.sizes.min.store(u64::MAX, Relaxed);
        self.sizes.max.store(0, Relaxed);
    }

    pub(super) fn snapshot_at(&self, zxid: i64) {
        self.snapshot_zxid.0.store(zxid, Relaxed);
    }

    /// The newest transaction that the newest snapshot holds.
    pub fn snapshot_zxid(&self) -> Option<i64> {
        Some(self.snapshot_zxid.0.load(Relaxed)).filter(|zxid| *zxid >= 0)
    }
}
