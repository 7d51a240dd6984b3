//! When snapshots are due.

use std::pin::pin;
use std::task::{Context, Waker};

use polyport_base::NodeId;
use polyport_base::clock::SystemClock;
use polyport_cluster::Proposals;

use super::*;
use crate::replica::{Settings, Unstarted};

fn applier(every: u64, bytes: u64) -> Applier {
    let settings =
        Settings { snapshot_every: every, snapshot_bytes: bytes, ..Settings::new(NodeId(1)) };
    Applier::new(Unstarted::new(settings, Arc::new(SystemClock), Proposals::new(), 1).0)
}

impl Applier {
    fn is_due_after(&mut self, transactions: u64, bytes: u64) -> bool {
        self.count(transactions, bytes);
        let mut context = Context::from_waker(Waker::noop());
        pin!(self.shared.snapshot_due.notified()).poll(&mut context).is_ready()
    }
}

#[test]
fn snapshots_come_at_random_sizes_of_the_log_from_half_the_limit_to_it() {
    let mut applier = applier(u64::MAX, 1000);
    let mut sizes = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let mut size = 1;
        while !applier.is_due_after(1, 1) {
            size += 1;
        }
        assert!((501..=1000).contains(&size), "{size}");
        sizes.insert(size);
    }
    assert!(sizes.len() > 50, "{sizes:?}");
}

#[test]
fn whichever_limit_is_reached_first_makes_a_snapshot_and_begins_both_anew() {
    let mut applier = applier(100, 1000);
    assert!(!applier.is_due_after(50, 500));
    assert!(applier.is_due_after(1, 500));
    assert!(!applier.is_due_after(50, 500));
    assert!(applier.is_due_after(50, 1));
    assert!(!applier.is_due_after(50, 500));
}

#[test]
fn without_a_limit_no_size_makes_a_snapshot() {
    let mut applier = applier(100, 0);
    for _ in 0..5 {
        assert!(!applier.is_due_after(10, 1 << 60));
    }
    assert!(applier.is_due_after(50, 0));
}
