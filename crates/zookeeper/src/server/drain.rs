//! Stopping: what was begun is brought to its end, nothing new is taken.

use super::Server;
use super::outbound::{Ending, session_of};

impl Server {
    /// Stops accepting, answers the requests in progress and closes all connections; sessions live
    /// on. What takes longer than [`Settings::shutdown_timeout`](super::Settings) is cut off.
    pub async fn drain(&self) {
        let shared = &self.shared;
        shared.draining.send_replace(true);
        for (_, connected) in self.connections() {
            connected.outbound.drain();
        }
        let drained = async {
            loop {
                // Heard from before it is looked whether there is still something to wait for.
                let gone = shared.gone.notified();
                if self.in_session() == 0 {
                    return;
                }
                gone.await;
            }
        };
        let timeout = self.settings().shutdown_timeout;
        if tokio::time::timeout(timeout, drained).await.is_err() {
            tracing::warn!(
                connections = self.in_session(),
                "connections with requests in progress are cut off (request_throttler.shutdownTimeout)"
            );
            for (_, connected) in self.connections() {
                connected.outbound.end(Ending::Interrupted);
            }
        }
    }

    /// Number of connections that have a session.
    fn in_session(&self) -> usize {
        let connections = self.shared.connections.lock();
        connections.values().filter(|connected| session_of(&connected.outbound) != 0).count()
    }
}
