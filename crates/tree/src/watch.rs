//! Watches of this node's connections. Not replicated: a watch is a promise of the server that the
//! client is connected to.

use std::collections::{HashMap, HashSet};

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
struct ByPath(HashMap<Box<str>, HashSet<Watcher>>);

impl ByPath {
    fn add(&mut self, path: &str, watcher: Watcher) -> bool {
        match self.0.get_mut(path) {
            Some(watchers) => watchers.insert(watcher),
            None => {
                self.0.insert(path.into(), HashSet::from([watcher]));
                true
            }
        }
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

/// All watches of one node.
#[derive(Debug, Default)]
pub struct WatchTable {
    by_path: [ByPath; 4],
    by_watcher: HashMap<Watcher, HashSet<(WatchKind, Box<str>)>>,
    count: usize,
}

impl WatchTable {
    /// Sets a watch. Setting it twice is setting it once.
    pub fn add(&mut self, kind: WatchKind, path: &str, watcher: Watcher) {
        if self.by_path[kind as usize].add(path, watcher) {
            self.by_watcher.entry(watcher).or_default().insert((kind, path.into()));
            self.count += 1;
        }
    }

    /// Removes a watch; whether there was one.
    pub fn remove(&mut self, kind: WatchKind, path: &str, watcher: Watcher) -> bool {
        if !self.by_path[kind as usize].remove(path, watcher) {
            return false;
        }
        if let Some(own) = self.by_watcher.get_mut(&watcher) {
            own.remove(&(kind, Box::from(path)));
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

    /// Removes all watches of a connection that is gone.
    pub fn remove_watcher(&mut self, watcher: Watcher) {
        for (kind, path) in self.by_watcher.remove(&watcher).unwrap_or_default() {
            self.by_path[kind as usize].remove(&path, watcher);
            self.count -= 1;
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
                        own.remove(&(*kind, Box::from(at)));
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

    /// Number of watched paths.
    pub fn path_count(&self) -> usize {
        let paths: HashSet<_> = self.by_path.iter().flat_map(|by_path| by_path.0.keys()).collect();
        paths.len()
    }

    /// Number of connections with watches.
    pub fn watcher_count(&self) -> usize {
        self.by_watcher.values().filter(|own| !own.is_empty()).count()
    }

    /// Every path watched for more than its children, with its watchers, by path: what `wchp`,
    /// `wchc` and `wchs` speak of.
    pub fn paths(&self) -> Vec<(&str, Vec<Watcher>)> {
        let mut paths: std::collections::BTreeMap<&str, Vec<Watcher>> = Default::default();
        let kinds = KINDS.into_iter().filter(|kind| *kind != WatchKind::Child);
        for kind in kinds {
            for (path, watchers) in &self.by_path[kind as usize].0 {
                paths.entry(path).or_default().extend(watchers);
            }
        }
        let tidy = |(path, mut watchers): (_, Vec<Watcher>)| {
            watchers.sort_unstable();
            watchers.dedup();
            (path, watchers)
        };
        paths.into_iter().map(tidy).collect()
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
        table.remove_watcher(1);
        assert_eq!(table.trigger(EventKind::NodeCreated, "/a"), []);
        assert_eq!(table.len(), 0);
    }
}
