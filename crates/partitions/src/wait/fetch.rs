//! Fetches that wait for records in one of many partitions.
//!
//! A fetch that finds too little registers its [`FetchWaiter`] with each of its partitions and waits.
//! A partition that gets records tells its waiters how many bytes, and the one that makes it enough
//! wakes the fetch, which reads again. Nothing is ever deregistered: a registration is for one
//! [`Round`] of its waiter, and those whose round is over are swept out when the list has doubled. So
//! a poll that ends by its timeout costs one lock and one push a partition, and no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use polyport_log::Isolation;
use tokio::sync::Notify;

/// Entries that a list may have before it is swept.
const SWEEP_AT_LEAST: usize = 16;

/// One fetch that waits at a time; kept and used again by its connection.
#[derive(Debug, Default)]
pub struct FetchWaiter(Arc<Waiting>);

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The round in the upper half, the bytes that are still missing in the lower.
    state: AtomicU64,
    notify: Notify,
}

/// One time of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(u32);

fn pack(round: u32, missing: u32) -> u64 {
    u64::from(round) << 32 | u64::from(missing)
}

fn unpack(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

/// Lists forget the fetch of a connection that is gone.
impl Drop for FetchWaiter {
    fn drop(&mut self) {
        self.end();
    }
}

impl FetchWaiter {
    /// One that waits for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to wait until `missing_bytes` have come, at least one. What was registered before
    /// counts no more.
    pub fn begin(&self, missing_bytes: u32) -> Round {
        let (round, _) = unpack(self.0.state.load(Ordering::Relaxed));
        let round = round.wrapping_add(1);
        self.0.state.store(pack(round, missing_bytes.max(1)), Ordering::Release);
        Round(round)
    }

    /// Ends the round: what comes now counts for nothing.
    pub fn end(&self) {
        let (round, _) = unpack(self.0.state.load(Ordering::Relaxed));
        self.0.state.store(pack(round.wrapping_add(1), 0), Ordering::Release);
    }

    /// Whether the bytes have come.
    pub fn is_ready(&self) -> bool {
        unpack(self.0.state.load(Ordering::Acquire)).1 == 0
    }

    /// Waits until the bytes have come, or there is another reason to read again. Only one task may
    /// wait. May be dropped at any time.
    pub async fn ready(&self) {
        while !self.is_ready() {
            self.0.notify.notified().await;
        }
    }
}

impl Waiting {
    /// Counts bytes for a round. Says whether the round still waits.
    fn note(&self, round: Round, bytes: u32) -> bool {
        let count = |state| {
            let (current, missing) = unpack(state);
            (current == round.0 && missing > 0)
                .then(|| pack(current, missing.saturating_sub(bytes)))
        };
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, count) {
            Err(_) => false,
            Ok(before) => {
                let waits = unpack(before).1 > bytes;
                if !waits {
                    self.notify.notify_one();
                }
                waits
            }
        }
    }

    fn waits(&self, round: Round) -> bool {
        let (current, missing) = unpack(self.state.load(Ordering::Acquire));
        current == round.0 && missing > 0
    }
}

/// How far a partition has come since its waiters were told last, in bytes for those who see up to
/// the log's end, the high watermark and the last stable offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub log_end: u32,
    pub high_watermark: u32,
    pub last_stable: u32,
}

impl Progress {
    /// Everybody is to look again.
    pub const ALL: Progress =
        Progress { log_end: u32::MAX, high_watermark: u32::MAX, last_stable: u32::MAX };

    fn of(&self, isolation: Isolation) -> u32 {
        match isolation {
            Isolation::LogEnd => self.log_end,
            Isolation::HighWatermark => self.high_watermark,
            Isolation::LastStable => self.last_stable,
        }
    }
}

#[derive(Debug)]
struct Entry {
    waiter: Arc<Waiting>,
    round: Round,
    isolation: Isolation,
}

/// The fetches that wait for one partition.
#[derive(Debug, Default)]
pub(crate) struct FetchWaiters {
    /// Entries of the list, so that an append to a partition that nobody reads takes no lock.
    count: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    entries: Vec<Entry>,
    /// How many there may be before those are removed whose round is over.
    sweep_at: usize,
}

impl FetchWaiters {
    /// Registers a fetch. The partition cannot progress meanwhile: its lock is held for reading.
    pub fn register(&self, waiter: &FetchWaiter, round: Round, isolation: Isolation) {
        let mut list = self.list.lock();
        if list.entries.len() >= list.sweep_at.max(SWEEP_AT_LEAST) {
            list.entries.retain(|entry| entry.waiter.waits(entry.round));
            list.sweep_at = list.entries.len() * 2;
        }
        list.entries.push(Entry { waiter: waiter.0.clone(), round, isolation });
        self.count.store(list.entries.len(), Ordering::Release);
    }

    /// Tells everybody. Not to be called under the partition's lock.
    pub fn tell(&self, progress: Progress) {
        if progress == Progress::default() || self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut list = self.list.lock();
        list.entries.retain(|entry| match progress.of(entry.isolation) {
            0 => true,
            bytes => entry.waiter.note(entry.round, bytes),
        });
        self.count.store(list.entries.len(), Ordering::Release);
    }

    /// Tells one that has come too late to be told.
    pub fn tell_now(waiter: &FetchWaiter, round: Round, bytes: u32) -> bool {
        waiter.0.note(round, bytes)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.list.lock().entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: Progress = Progress { log_end: 10, high_watermark: 10, last_stable: 0 };

    #[test]
    fn a_fetch_wakes_when_enough_has_come_from_all_its_partitions() {
        let waiter = FetchWaiter::new();
        let (a, b) = (FetchWaiters::default(), FetchWaiters::default());
        let round = waiter.begin(25);
        a.register(&waiter, round, Isolation::HighWatermark);
        b.register(&waiter, round, Isolation::HighWatermark);
        a.tell(BYTES);
        b.tell(BYTES);
        assert!(!waiter.is_ready());
        assert_eq!((a.len(), b.len()), (1, 1));
        a.tell(BYTES);
        assert!(waiter.is_ready());
        assert_eq!(a.len(), 0);
    }

    #[test]
    fn only_what_a_fetch_may_see_wakes_it() {
        let waiter = FetchWaiter::new();
        let list = FetchWaiters::default();
        list.register(&waiter, waiter.begin(1), Isolation::LastStable);
        list.tell(BYTES);
        assert!(!waiter.is_ready());
        list.tell(Progress { last_stable: 1, ..BYTES });
        assert!(waiter.is_ready());
    }

    #[test]
    fn an_ended_round_counts_no_more() {
        let waiter = FetchWaiter::new();
        let list = FetchWaiters::default();
        let old = waiter.begin(5);
        list.register(&waiter, old, Isolation::LogEnd);
        waiter.end();
        let new = waiter.begin(5);
        list.tell(BYTES);
        assert!(!waiter.is_ready());
        assert!(!FetchWaiters::tell_now(&waiter, old, 9));
        assert!(!FetchWaiters::tell_now(&waiter, new, 9));
        assert!(waiter.is_ready());
    }

    #[test]
    fn polls_without_records_leave_no_more_than_they_found() {
        let waiters: Vec<_> = (0..20).map(|_| FetchWaiter::new()).collect();
        let list = FetchWaiters::default();
        for _ in 0..1000 {
            for waiter in &waiters {
                list.register(waiter, waiter.begin(1), Isolation::LogEnd);
            }
        }
        assert!(list.len() <= 41, "{}", list.len());
        list.tell(BYTES);
        assert!(waiters.iter().all(FetchWaiter::is_ready));
        (0..1000).for_each(|_| {
            let gone = FetchWaiter::new();
            list.register(&gone, gone.begin(1), Isolation::LogEnd);
        });
        assert!(list.len() <= 41, "{}", list.len());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_also_if_it_came_first() {
        let waiter = FetchWaiter::new();
        let list = FetchWaiters::default();
        for _ in 0..3 {
            list.register(&waiter, waiter.begin(1), Isolation::LogEnd);
            list.tell(BYTES);
            waiter.ready().await;
            list.register(&waiter, waiter.begin(1), Isolation::LogEnd);
            let tell = async {
                tokio::task::yield_now().await;
                list.tell(BYTES);
            };
            tokio::join!(waiter.ready(), tell);
        }
    }
}
