//! How much work clients may have under way, and who has to wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
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
    /// Connections that wait until the writes have fallen below the limit of all requests, in the
    /// order in which they came: whoever has just been served is not served again before them.
    line: Mutex<Line>,
    /// Told when the first of them may go ahead.
    pub(super) calm: Notify,
}

#[derive(Debug, Default)]
struct Line {
    places: BTreeSet<u64>,
    next: u64,
}

/// A connection's place in the line, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    load: Arc<Load>,
    number: u64,
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

    /// For a request that is there. `own`: whether the connection has writes under way; `place`: its
    /// place in the line, which it gets and loses here.
    pub(super) fn turn(self: &Arc<Self>, own: bool, place: &mut Option<Place>) -> Turn {
        let writes = self.writes.load(Ordering::Relaxed);
        let limits = &self.limits;
        if own && writes >= limits.global_outstanding {
            *place = None;
            return Turn::AfterOwn;
        }
        if limits.throttle == 0 {
            return Turn::Go;
        }
        let room = limits.throttle.saturating_sub(writes);
        let mut line = self.line.lock();
        let number = place.as_ref().map_or(u64::MAX, |place| place.number);
        if line.places.range(..number).take(room).count() < room {
            line.places.remove(&number);
            drop(line);
            *place = None;
            return Turn::Go;
        }
        if place.is_none() {
            let number = line.next;
            line.next += 1;
            line.places.insert(number);
            *place = Some(Place { load: self.clone(), number });
        }
        Turn::WhenCalm
    }

    /// Lets the next in line go ahead if there is room.
    pub(super) fn call(&self) {
        let (limit, writes) = (self.limits.throttle, self.writes.load(Ordering::Relaxed));
        if writes < limit && !self.line.lock().places.is_empty() {
            self.calm.notify_waiters();
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

impl Drop for Place {
    fn drop(&mut self) {
        if self.load.line.lock().places.remove(&self.number) {
            // It left without having gone ahead.
            self.load.call();
        }
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
        assert_eq!(load.turn(true, &mut None), Turn::Go);
        let _second = load.share(true, 10);
        assert_eq!(load.turn(true, &mut None), Turn::AfterOwn);
        assert_eq!(load.turn(false, &mut None), Turn::Go);
        drop(first);
        assert_eq!(load.turn(true, &mut None), Turn::Go);
    }

    #[tokio::test]
    async fn the_throttle_holds_everybody_until_there_is_room() {
        let load = Arc::new(Load::new(Limits { throttle: 1, ..Limits::default() }));
        let share = load.share(true, 10);
        let mut place = None;
        assert_eq!(load.turn(false, &mut place), Turn::WhenCalm);
        let calm = load.calm.notified();
        drop(share);
        calm.await;
        assert_eq!(load.turn(false, &mut place), Turn::Go);
        assert!(load.line.lock().places.is_empty());
    }

    #[tokio::test]
    async fn nobody_who_waits_is_overtaken() {
        let load = Arc::new(Load::new(Limits { throttle: 1, ..Limits::default() }));
        let share = load.share(true, 10);
        let (mut first, mut second) = (None, None);
        assert_eq!(load.turn(false, &mut first), Turn::WhenCalm);
        assert_eq!(load.turn(false, &mut second), Turn::WhenCalm);
        drop(share);
        // The one that was just served asks again at once.
        let mut served = None;
        assert_eq!(load.turn(false, &mut served), Turn::WhenCalm);
        assert_eq!(load.turn(false, &mut second), Turn::WhenCalm);
        assert_eq!(load.turn(false, &mut first), Turn::Go);
        let share = load.share(true, 10);
        assert_eq!(load.turn(false, &mut first), Turn::WhenCalm);
        drop(share);
        // Whoever leaves the line makes room for the next.
        let calm = load.calm.notified();
        drop(second);
        calm.await;
        assert_eq!(load.turn(false, &mut first), Turn::WhenCalm);
        assert_eq!(load.turn(false, &mut served), Turn::Go);
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
