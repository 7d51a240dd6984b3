//! What goes on in a partition without requests: time passes, and replicas catch up.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Inner;
use super::slot::{Replication, Slot, Unreplicated};

/// One partition's task. Ends when another node leads the partition.
pub(super) async fn work(
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    mut appends: mpsc::UnboundedReceiver<Unreplicated>,
    replication: watch::Sender<Replication>,
) {
    // Appends are replicated in order, so that it is enough to wait for the first.
    let mut waiting: Option<Unreplicated> = None;
    while let Ok(deadline) = slot.with(|active| active.machine.next_deadline()) {
        tokio::select! {
            () = tokio::time::sleep_until(inner.started + deadline) => {
                let tick = slot.with(|active| {
                    active.run(&inner, |shard, cx| shard.tick(cx));
                });
                if tick.is_err() {
                    return;
                }
            }
            () = slot.sooner.notified() => {}
            Some(append) = appends.recv(), if waiting.is_none() => waiting = Some(append),
            (end, outcome) = replicated(&mut waiting), if waiting.is_some() => {
                waiting = None;
                replication.send_modify(|state| match outcome {
                    Ok(()) => state.below = state.below.max(end),
                    Err(error) => state.failed = Some((end, error)),
                });
            }
        }
    }
}

async fn replicated(
    waiting: &mut Option<Unreplicated>,
) -> (i64, Result<(), super::super::error::AppendError>) {
    match waiting {
        Some((end, replicated)) => (*end, replicated.as_mut().await),
        None => std::future::pending().await,
    }
}
