//! Brokers whose process has ended, noticed at once: nobody need wait for their sessions' timeouts.
//!
//! Silence is noticed late, and a broken connection says little. But a node port at which nobody
//! listens, again and again, is that of a process that has ended. Whoever leads the tree then ends
//! that process' session, so that leaders are elected in its place; and clients are not sent to it any
//! more, so that they ask again instead of knocking where nobody is. A node that is paused, cut off or
//! without power is not noticed here: its session runs out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::task::AbortHandle;

use super::{Broker, PeerError};
use crate::metadata::znode::path;

/// So often in a row a connection must be refused.
const REFUSALS: u32 = 3;
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(40);

/// Brokers that are registered still, though their processes seem to have ended.
#[derive(Debug, Default)]
pub(crate) struct Gone(RwLock<BTreeSet<i32>>);

impl Gone {
    /// Whether a broker is one of them.
    pub(crate) fn contains(&self, broker: i32) -> bool {
        self.0.read().contains(&broker)
    }

    fn set(&self, broker: i32, gone: bool) {
        match gone {
            true => self.0.write().insert(broker),
            false => self.contains(broker) && self.0.write().remove(&broker),
        };
    }
}

struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Watches all other brokers until the broker ends.
pub(super) async fn watch(broker: Arc<Broker>) {
    let mut changes = broker.images.subscribe();
    // By the broker's life: another registration is another process, or session.
    let mut watched: BTreeMap<(i32, i64), Watching> = BTreeMap::new();
    loop {
        let update = changes.next().await;
        if update.changes.brokers.is_empty() {
            continue;
        }
        let living = update.after.brokers();
        watched.retain(|(id, life), _| living.get(id).is_some_and(|found| found.epoch == *life));
        // What was found out is about the life before.
        update.changes.brokers.iter().for_each(|id| broker.gone.set(*id, false));
        for found in living.values().filter(|found| found.id != broker.settings.broker_id) {
            watched.entry((found.id, found.epoch)).or_insert_with(|| {
                Watching(tokio::spawn(until_gone(broker.clone(), found.id)).abort_handle())
            });
        }
    }
}

async fn until_gone(broker: Arc<Broker>, id: i32) {
    let registered = broker.client.read(|tree| tree.stat(&path::broker(id)));
    let Some(session) = registered.map(|stat| stat.ephemeral_owner) else { return };
    let mut refusals = 0;
    loop {
        match broker.peers.line(id).await {
            Ok(mut line) => {
                refusals = 0;
                broker.gone.set(id, false);
                line.closed().await;
            }
            Err(PeerError::Io { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                refusals += 1;
            }
            // It is not registered any more, or its node has another process.
            Err(PeerError::Dead(_)) => return,
            Err(_) => refusals = 0,
        }
        // Until it is gone: who leads the tree may be found only now.
        broker.gone.set(id, refusals >= REFUSALS);
        if refusals >= REFUSALS && broker.client.replica().expire(session) {
            tracing::info!(broker = id, "a broker's process has ended");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
