//! Watches: what changed, in order, in a queue of limited length.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Tree;
use crate::machine::Outcome;
use crate::replica::{Replica, Subscriber, View};
use crate::watch::{WatchKind, Watcher};
use crate::{Event, EventKind, TreeError};

/// Events that wait for their reader; beyond that they are forgotten and the reader is told so.
const MAX_EVENTS: usize = 1 << 16;

/// Something happened at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What.
    pub kind: EventKind,
    /// Where.
    pub path: Box<str>,
    /// The transaction that did it.
    pub zxid: i64,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The next change.
    Changed(Changed),
    /// Changes were missed: everything is to be read again. The first event of every watch.
    Lost,
}

/// All that a watch has to tell at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changes were missed: everything is to be read again. There are no events then.
    pub lost: bool,
    /// Oldest first.
    pub events: VecDeque<Changed>,
}

#[derive(Default)]
struct Queue {
    changes: Mutex<Changes>,
    wake: Notify,
}

impl Queue {
    fn lose(&self) {
        let mut changes = self.changes.lock();
        changes.events.clear();
        changes.lost = true;
        drop(changes);
        self.wake.notify_one();
    }

    fn is_empty(&self) -> bool {
        let changes = self.changes.lock();
        !changes.lost && changes.events.is_empty()
    }
}

impl Subscriber for Queue {
    fn completed(&self, _: &mut View<'_>, _: u64, _: i64, _: Result<Outcome<'_>, TreeError>) {}

    fn notified(&self, event: &Event<'_>) {
        let mut changes = self.changes.lock();
        if changes.lost {
            return;
        }
        if changes.events.len() >= MAX_EVENTS {
            drop(changes);
            return self.lose();
        }
        let (kind, path, zxid) = (event.kind, event.path.into(), event.zxid);
        changes.events.push_back(Changed { kind, path, zxid });
        drop(changes);
        self.wake.notify_one();
    }

    fn detached(&self, _: bool) {}

    fn interrupted(&self) {
        self.lose();
    }
}

/// A watch that stays until it is dropped.
pub struct Watch {
    replica: Replica,
    queue: Arc<Queue>,
    watcher: Watcher,
    kind: WatchKind,
    paths: Box<[Box<str>]>,
}

impl Watch {
    pub(super) fn new(replica: Replica, kind: WatchKind, paths: &[&str]) -> Self {
        let queue = Arc::<Queue>::default();
        let watcher = replica.subscribe(queue.clone());
        // Set by the first `collect`, because of this.
        queue.lose();
        let paths = paths.iter().map(|path| Box::from(*path)).collect();
        Self { replica, queue, watcher, kind, paths }
    }

    /// Waits until there is something to [`collect`](Self::collect).
    pub async fn ready(&mut self) {
        loop {
            let wake = self.queue.wake.notified();
            if !self.queue.is_empty() {
                return;
            }
            wake.await;
        }
    }

    /// Takes what has happened so far and looks at the tree that came of it: no change is in the
    /// tree and not among these, nor the other way round. The tree stands still meanwhile: keep it
    /// short.
    pub fn collect<R>(&mut self, look: impl FnOnce(Tree<'_>, Changes) -> R) -> R {
        self.replica.view(|view| {
            let changes = std::mem::take(&mut *self.queue.changes.lock());
            if changes.lost {
                self.set(view);
            }
            look(Tree::new(view.machine), changes)
        })
    }

    /// After a loss: the watch may have been forgotten with everybody else's.
    fn set(&self, view: &mut View<'_>) {
        for path in &self.paths {
            view.watches.add(self.kind, path, self.watcher);
        }
    }

    /// The next change.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            self.ready().await;
            let next = self.replica.view(|view| {
                let mut changes = self.queue.changes.lock();
                if std::mem::take(&mut changes.lost) {
                    self.set(view);
                    return Some(WatchEvent::Lost);
                }
                changes.events.pop_front().map(WatchEvent::Changed)
            });
            if let Some(next) = next {
                return next;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.replica.unsubscribe(self.watcher);
    }
}
