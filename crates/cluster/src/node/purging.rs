//! Removing old snapshots by the clock (`autopurge.purgeInterval`).

use std::io;
use std::time::Duration;

use polyport_storage::disk::Disk;
use polyport_storage::snapshot::{SnapshotError, SnapshotStore};
use tokio::sync::watch;

use super::Status;

pub(super) struct Purge<D: Disk> {
    pub(super) snapshots: SnapshotStore<D>,
    pub(super) keep: usize,
}

impl<D: Disk> Purge<D> {
    /// Removes all but the newest now and whenever `every` has passed, until the node stops.
    /// `in_place`: for simulations, which have one thread only.
    pub(super) async fn run(
        self,
        every: Duration,
        mut status: watch::Receiver<Status>,
        in_place: bool,
    ) {
        let mut times = tokio::time::interval(every);
        loop {
            tokio::select! {
                _ = times.tick() => {}
                // Never true: it ends when there is no status any more.
                _ = status.wait_for(|_| false) => return,
            }
            match self.purge(in_place).await {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!(snapshots = removed.len(), "old snapshots removed"),
                Err(error) => tracing::warn!(%error, "old snapshots could not be removed"),
            }
        }
    }

    async fn purge(&self, in_place: bool) -> io::Result<Vec<u64>> {
        let (snapshots, keep) = (self.snapshots.clone(), self.keep.max(1));
        let purge = move || snapshots.purge_keeping(keep);
        let purged: Result<_, SnapshotError> = match in_place {
            true => purge(),
            false => tokio::task::spawn_blocking(purge).await.map_err(io::Error::other)?,
        };
        purged.map_err(io::Error::other)
    }
}
