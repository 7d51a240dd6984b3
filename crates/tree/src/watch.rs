//! Watches of this node's connections. Not replicated: a watch is a promise of the server that the
//! client is connected to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{EventKind, path};

/// A connection of this node.
pub type Watcher = u64;

/// What a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WatchKind {
    /// Creation, deletion and data of the znode; fires once.
    Data,
    /// Deletion of the znode, creation and deletion of its children; fires once.
    Child,
    /// Both of these, until removed.
    Persistent,
    /// Creation, deletion and data of the znode and everything below, until removed.
    PersistentRecursive,
}

const KINDS: [WatchKind; 4] =
    [WatchKind::Data, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];

#[derive(Debug, Default)]
struct ByPath(HashMap<Arc<str>, HashSet<Watcher>>);

impl ByPath {
    /// The path as it is kept, if the watch is new.
    fn add(&mut self, path: &str, watcher: Watcher) -> Option<Arc<str>> {
        let Some((kept, _)) = self.0.get_key_value(path) else {
            let kept: Arc<str> = path.into();
            self.0.insert(kept.clone(), HashSet::from([watcher]));
            return Some(kept);
        };
        let kept = kept.clone();
        let watchers = self.0.get_mut(path)?;
        watchers.insert(watcher).then_some(kept)
    }

    fn remove(&mut self, path: &str, watcher: Watcher) -> bool {
        let Some(watchers) = self.0.get_mut(path) else {
            return false;
        };
        let was = watchers.remove(&watcher);
        if watchers.is_empty() {
            self.0.remove(path);
        }
        was
    }
}

/// The watches of one connection.
pub(crate) type Watches = HashSet<(WatchKind, Arc<str>)>;

/// All watches of one node.
#[derive(Debug, Default)]
pub struct WatchTable {
    by_path: [ByPath; 4],
    by_watcher: HashMap<Watcher, Watches>,
    count: usize,
}

impl WatchTable {
    /// Sets a watch. Setting it twice is setting it once.
    pub fn add(&mut self, kind: WatchKind, path: &str, watcher: Watcher) {
        if let Some(path) = self.by_path[kind as usize].add(path, watcher) {
            self.by_watcher.entry(watcher).or_default().insert((kind, path));
            self.count += 1;
        }
    }

    /// Removes a watch; whether there was one.
    pub fn remove(&mut self, kind: WatchKind, path: &str, watcher: Watcher) -> bool {
        if !self.by_path[kind as usize].remove(path, watcher) {
            return false;
        }
        if let Some(own) = self.by_watcher.get_mut(&watcher) {
            own.remove(&(kind, Arc::from(path)));
            if own.is_empty() {
                self.by_watcher.remove(&watcher);
            }
        }
        self.count -= 1;
        true
    }

    /// Whether there is such a watch.
    pub fn contains(&self, kind: WatchKind, path: &str, watcher: Watcher) -> bool {
        let watchers = self.by_path[kind as usize].0.get(path);
        watchers.is_some_and(|watchers| watchers.contains(&watcher))
    }

    /// Takes the watches of a connection that is gone, to be forgotten piece by piece: there may be
    /// a million of them, and everybody waits meanwhile.
    pub(crate) fn take(&mut self, watcher: Watcher) -> Watches {
        self.by_watcher.remove(&watcher).unwrap_or_default()
    }

    /// Forgets watches that were taken.
    pub(crate) fn forget(&mut self, watcher: Watcher, watches: &[(WatchKind, Arc<str>)]) {
        for (kind, path) in watches {
            // Some may have fired in between.
            if self.by_path[*kind as usize].remove(path, watcher) {
                self.count -= 1;
            }
        }
    }

    /// Who hears of an event, each once, in the order of their numbers. One-shot watches among them
    /// are used up.
    pub fn trigger(&mut self, kind: EventKind, at: &str) -> Vec<Watcher> {
        if self.count == 0 {
            return Vec::new();
        }
        let mut heard = Vec::new();
        let once: &[WatchKind] = match kind {
            EventKind::NodeDeleted => &[WatchKind::Data, WatchKind::Child],
            EventKind::NodeChildrenChanged => &[WatchKind::Child],
            _ => &[WatchKind::Data],
        };
        for kind in once {
            if let Some(watchers) = self.by_path[*kind as usize].0.remove(at) {
                self.count -= watchers.len();
                for watcher in &watchers {
                    if let Some(own) = self.by_watcher.get_mut(watcher) {
                        own.remove(&(*kind, Arc::from(at)));
                    }
                }
                heard.extend(watchers);
            }
        }
        if let Some(watchers) = self.by_path[WatchKind::Persistent as usize].0.get(at) {
            heard.extend(watchers);
        }
        let recursive = &self.by_path[WatchKind::PersistentRecursive as usize].0;
        if !recursive.is_empty() && kind != EventKind::NodeChildrenChanged {
            let mut here = Some(at);
            while let Some(path) = here {
                heard.extend(recursive.get(path).into_iter().flatten());
                here = path::parent(path);
            }
        }
        heard.sort_unstable();
        heard.dedup();
        heard
    }

    /// Number of watches.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every watch of more than a znode's children, in no order: path and connection. What `wchp`,
    /// `wchc` and `wchs` speak of. The paths are shared, not copied.
    pub fn each(&self, mut visit: impl FnMut(&Arc<str>, Watcher)) {
        let kinds = KINDS.into_iter().filter(|kind| *kind != WatchKind::Child);
        for kind in kinds {
            for (path, watchers) in &self.by_path[kind as usize].0 {
                watchers.iter().for_each(|watcher| visit(path, *watcher));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shot_watches_fire_once() {
        let mut table = WatchTable::default();
        table.add(WatchKind::Data, "/a", 1);
        table.add(WatchKind::Child, "/a", 1);
        table.add(WatchKind::Child, "/a", 2);
        assert_eq!(table.len(), 3);
        assert_eq!(table.trigger(EventKind::NodeDataChanged, "/a"), [1]);
        assert_eq!(table.trigger(EventKind::NodeDataChanged, "/a"), []);
        assert_eq!(table.trigger(EventKind::NodeDeleted, "/a"), [1, 2]);
        assert_eq!(table.trigger(EventKind::NodeDeleted, "/a"), []);
        assert!(table.is_empty());
    }

    #[test]
    fn persistent_watches_stay_and_recursive_ones_see_below() {
        let mut table = WatchTable::default();
        table.add(WatchKind::Persistent, "/a", 1);
        table.add(WatchKind::PersistentRecursive, "/", 2);
        for _ in 0..2 {
            assert_eq!(table.trigger(EventKind::NodeDataChanged, "/a"), [1, 2]);
            assert_eq!(table.trigger(EventKind::NodeChildrenChanged, "/a"), [1]);
            assert_eq!(table.trigger(EventKind::NodeCreated, "/a/b"), [2]);
        }
        assert!(table.remove(WatchKind::PersistentRecursive, "/", 2));
        assert!(!table.remove(WatchKind::PersistentRecursive, "/", 2));
        let gone: Vec<_> = table.take(1).into_iter().collect();
        table.forget(1, &gone);
        assert_eq!(table.trigger(EventKind::NodeCreated, "/a"), []);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn watches_of_a_connection_that_is_gone_may_fire_before_they_are_forgotten() {
        let mut table = WatchTable::default();
        for path in ["/a", "/b"] {
            table.add(WatchKind::Data, path, 1);
            table.add(WatchKind::Data, path, 2);
        }
        let gone: Vec<_> = table.take(1).into_iter().collect();
        assert_eq!((gone.len(), table.len()), (2, 4));
        assert_eq!(table.trigger(EventKind::NodeDataChanged, "/a"), [1, 2]);
        table.forget(1, &gone);
        assert_eq!(table.len(), 1);
        assert_eq!(table.trigger(EventKind::NodeDataChanged, "/b"), [2]);
        let mut seen = 0;
        table.each(|_, _| seen += 1);
        assert_eq!((seen, table.is_empty()), (0, true));
    }
}
