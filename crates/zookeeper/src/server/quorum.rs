//! What losing and regaining the quorum means to clients: those of a node without one would read
//! stale data and write in vain, so they are sent to look for another node; those that were
//! content with reading are sent away when there is more to be had.

use std::sync::atomic::Ordering;

use super::Server;
use super::outbound::Ending;

/// Closes the connections that do not fit, whenever the quorum comes or goes.
pub(super) async fn watch(server: Server) {
    let mut status = server.replica().status().clone();
    let mut draining = server.shared.draining.subscribe();
    let mut was = status.borrow_and_update().in_quorum;
    loop {
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            _ = draining.wait_for(|draining| *draining) => return,
        }
        let is = status.borrow_and_update().in_quorum;
        if is == was {
            continue;
        }
        was = is;
        if is {
            tracing::info!("a majority of the cluster answers");
        } else {
            tracing::warn!("no majority of the cluster answers: clients are disconnected");
        }
        for (_, connected) in server.connections() {
            if connected.outbound.read_only.load(Ordering::Acquire) == is {
                connected.outbound.end(Ending::Interrupted);
            }
        }
    }
}

impl Server {
    /// Whether only clients that asked for it are served, and only reads (`isro` says `ro`).
    pub fn is_read_only(&self) -> bool {
        self.settings().read_only && !self.replica().status().borrow().in_quorum
    }
}
