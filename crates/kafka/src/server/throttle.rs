//! Holding what a request used against its client's quotas.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Call;
use crate::quota::Kind;
use crate::security::Caller;

impl Call {
    /// The client as quotas know it: its user and its id; nothing for brokers, which have none.
    fn consumer(&self) -> Option<(&str, &str)> {
        match &self.client.caller {
            Caller::Client(principal) => {
                Some((principal.name(), self.header.client_id.as_deref().unwrap_or_default()))
            }
            Caller::Broker => None,
        }
    }

    /// Counts bytes, and says for how many milliseconds to throttle the client.
    pub(super) fn used_bytes(&self, kind: Kind, bytes: u64) -> i32 {
        let Some((user, client)) = self.consumer() else { return 0 };
        self.broker.quotas.used(kind, user, client, bytes as f64, self.broker.clock.now())
    }

    /// Takes back what was counted.
    pub(super) fn unused_bytes(&self, kind: Kind, bytes: u64) {
        let Some((user, client)) = self.consumer() else { return };
        self.broker.quotas.unused(kind, user, client, bytes as f64, self.broker.clock.now());
    }

    /// The most bytes that can be used at once without being throttled.
    pub(super) fn most_bytes(&self, kind: Kind) -> u64 {
        let most = self
            .consumer()
            .and_then(|(user, client)| self.broker.quotas.most_at_once(kind, user, client));
        // A cast of a float ends at the greatest number there is.
        most.map_or(u64::MAX, |most| most as u64)
    }

    /// Counts the time of a thread, and says for how many milliseconds to throttle the client.
    pub(super) fn used_time(&self, worked: Duration) -> i32 {
        let Some((user, client)) = self.consumer() else { return 0 };
        let percent = worked.as_secs_f64() * 100.0;
        self.broker.quotas.used(Kind::Request, user, client, percent, self.broker.clock.now())
    }
}

/// Runs a future, and says for how long a thread was at work on it: waiting is not work.
pub(super) async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = std::pin::pin!(future);
    let mut worked = Duration::ZERO;
    let output = std::future::poll_fn(|cx| {
        let from = Instant::now();
        let polled = future.as_mut().poll(cx);
        worked += from.elapsed();
        polled
    });
    (output.await, worked)
}
