//! How much work clients may have under way, and who has to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Limits on work under way. A write is under way from its arrival to its answer; reads are
/// answered at once, so they are only if they wait behind a write of their own connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Writes under way on this node from which a connection that has some of its own waits for
    /// them before it is read on (`globalOutstandingLimit`).
    pub global_outstanding: usize,
    /// Writes under way on this node from which every new request waits; 0 for no limit
    /// (`requestThrottleLimit`).
    pub throttle: usize,
    /// After this long it is looked again whether a request still has to wait.
    pub throttle_stall: Duration,
    /// Whether a stale request ends its connection unanswered.
    pub drop_stale: bool,
    /// A request is stale when it waited longer than its session's timeout.
    pub stale_by_age: bool,
    /// A request is stale when its connection is gone.
    pub stale_by_connection: bool,
    /// A request that waited longer is answered `ThrottledOp`; zero for never.
    pub throttled_op_after: Duration,
    /// Bytes from which a request is large; none are by default.
    pub large_request_threshold: Option<usize>,
    /// Most bytes of all large requests under way.
    pub large_request_max: usize,
    /// Most bytes of one connection's requests that wait for their answer.
    pub queued_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            global_outstanding: 1000,
            throttle: 0,
            throttle_stall: Duration::from_millis(100),
            drop_stale: true,
            stale_by_age: false,
            stale_by_connection: true,
            throttled_op_after: Duration::ZERO,
            large_request_threshold: None,
            large_request_max: 100 << 20,
            queued_bytes: 4 << 20,
        }
    }
}

/// Whether a connection's next request may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Yes.
    Go,
    /// After an answer to this connection, which will come: it has writes under way.
    AfterOwn,
    /// When the node has less to do.
    WhenCalm,
}

/// The work under way on a node.
#[derive(Debug, Default)]
pub(super) struct Load {
    limits: Limits,
    writes: AtomicUsize,
    large: AtomicUsize,
    /// Told when the writes have fallen below the limit of all requests.
    pub(super) calm: Notify,
}

/// A request's share of the load, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    load: Arc<Load>,
    write: bool,
    large: usize,
}

impl Load {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// `own`: whether the connection has writes under way.
    pub(super) fn turn(&self, own: bool) -> Turn {
        let writes = self.writes.load(Ordering::Relaxed);
        let limits = &self.limits;
        if own && writes >= limits.global_outstanding {
            Turn::AfterOwn
        } else if limits.throttle > 0 && writes >= limits.throttle {
            Turn::WhenCalm
        } else {
            Turn::Go
        }
    }

    fn large_bytes(&self, len: usize) -> usize {
        match self.limits.large_request_threshold {
            Some(threshold) if len > threshold => len,
            _ => 0,
        }
    }

    /// Whether a request of this length may come in now.
    pub(super) fn takes(&self, len: usize) -> bool {
        let large = self.large_bytes(len);
        large == 0 || self.large.load(Ordering::Relaxed) + large <= self.limits.large_request_max
    }

    /// Counts a request of this length.
    pub(super) fn share(self: &Arc<Self>, write: bool, len: usize) -> Share {
        let large = self.large_bytes(len);
        if write {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        if large > 0 {
            self.large.fetch_add(large, Ordering::Relaxed);
        }
        Share { load: self.clone(), write, large }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let load = &self.load;
        if self.large > 0 {
            load.large.fetch_sub(self.large, Ordering::Relaxed);
        }
        if self.write {
            let before = load.writes.fetch_sub(1, Ordering::Relaxed);
            if before == load.limits.throttle {
                load.calm.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_under_way_is_never_kept_waiting_by_the_global_limit() {
        let load = Arc::new(Load::new(Limits { global_outstanding: 2, ..Limits::default() }));
        let first = load.share(true, 10);
        assert_eq!(load.turn(true), Turn::Go);
        let _second = load.share(true, 10);
        assert_eq!((load.turn(true), load.turn(false)), (Turn::AfterOwn, Turn::Go));
        drop(first);
        assert_eq!(load.turn(true), Turn::Go);
    }

    #[tokio::test]
    async fn the_throttle_holds_everybody_until_there_is_room() {
        let load = Arc::new(Load::new(Limits { throttle: 1, ..Limits::default() }));
        let share = load.share(true, 10);
        assert_eq!(load.turn(false), Turn::WhenCalm);
        let calm = load.calm.notified();
        drop(share);
        calm.await;
        assert_eq!(load.turn(false), Turn::Go);
    }

    #[test]
    fn large_requests_have_a_budget_of_their_own() {
        let limits = Limits {
            large_request_threshold: Some(100),
            large_request_max: 250,
            ..Limits::default()
        };
        let load = Arc::new(Load::new(limits));
        let share = load.share(false, 200);
        assert!(load.takes(100) && !load.takes(101));
        drop(share);
        assert!(load.takes(101));
    }
}
