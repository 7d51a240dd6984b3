//! What goes on in a partition without requests: time passes.

use std::sync::Arc;

use super::Inner;
use super::slot::Slot;

/// One partition's task. Ends when another node leads the partition.
pub(super) async fn work(inner: Arc<Inner>, slot: Arc<Slot>) {
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
        }
    }
}
