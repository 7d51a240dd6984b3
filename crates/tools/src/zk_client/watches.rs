use std::collections::BTreeSet;

use polyport_tree::{EventKind, path};
use polyport_zookeeper::codec::ErrorCode;

use super::ops::WatcherType;

/// What a request registers if its reply allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    Data,
    Exists,
    Child,
    Persistent,
    PersistentRecursive,
}

/// The watches that the server holds for this session, by the path it knows them by. One watcher
/// receives all events, so paths are enough.
#[derive(Debug, Default)]
pub(super) struct Watches {
    pub data: BTreeSet<String>,
    pub exist: BTreeSet<String>,
    pub child: BTreeSet<String>,
    pub persistent: BTreeSet<String>,
    pub persistent_recursive: BTreeSet<String>,
}

impl Watches {
    /// Notes a watch once the reply to the request that set it is known.
    pub fn register(&mut self, registration: Registration, path: &str, err: ErrorCode) {
        let set = match (registration, err) {
            (Registration::Exists, ErrorCode::NO_NODE) => &mut self.exist,
            (_, err) if err != ErrorCode::OK => return,
            (Registration::Data | Registration::Exists, _) => &mut self.data,
            (Registration::Child, _) => &mut self.child,
            (Registration::Persistent, _) => &mut self.persistent,
            (Registration::PersistentRecursive, _) => &mut self.persistent_recursive,
        };
        set.insert(path.to_owned());
    }

    /// Takes the one-shot watches that an event uses up. Whether anybody waits for the event: a
    /// watch may have been removed while it was under way, and a child event of a descendant is
    /// not for a recursive watch.
    pub fn fire(&mut self, kind: EventKind, path: &str) -> bool {
        let one_shot = match kind {
            EventKind::NodeDataChanged | EventKind::NodeCreated => {
                self.data.remove(path) | self.exist.remove(path)
            }
            EventKind::NodeChildrenChanged => self.child.remove(path),
            EventKind::NodeDeleted => {
                self.data.remove(path) | self.exist.remove(path) | self.child.remove(path)
            }
            _ => return true,
        };
        one_shot
            || self.persistent.contains(path)
            || (kind != EventKind::NodeChildrenChanged && self.is_below_recursive(path))
    }

    fn is_below_recursive(&self, path: &str) -> bool {
        let mut at = Some(path);
        while let Some(path) = at {
            if self.persistent_recursive.contains(path) {
                return true;
            }
            at = path::parent(path);
        }
        false
    }

    /// Whether a watch of the type is held on the path.
    pub fn contains(&self, kind: WatcherType, path: &str) -> bool {
        let data = || self.data.contains(path) || self.exist.contains(path);
        match kind {
            WatcherType::Children => self.child.contains(path),
            WatcherType::Data => data(),
            WatcherType::Persistent => self.persistent.contains(path),
            WatcherType::PersistentRecursive => self.persistent_recursive.contains(path),
            WatcherType::Any => {
                data()
                    || self.child.contains(path)
                    || self.persistent.contains(path)
                    || self.persistent_recursive.contains(path)
            }
        }
    }

    /// Forgets the watches of the type on the path; gives the events that tell of it.
    pub fn remove(&mut self, kind: WatcherType, path: &str) -> Vec<EventKind> {
        let any = kind == WatcherType::Any;
        let mut events = Vec::new();
        if (any || kind == WatcherType::Data) && (self.data.remove(path) | self.exist.remove(path))
        {
            events.push(EventKind::DataWatchRemoved);
        }
        if (any || kind == WatcherType::Children) && self.child.remove(path) {
            events.push(EventKind::ChildWatchRemoved);
        }
        let persistent = (any || kind == WatcherType::Persistent) && self.persistent.remove(path);
        let recursive = (any || kind == WatcherType::PersistentRecursive)
            && self.persistent_recursive.remove(path);
        if persistent || recursive {
            events.push(EventKind::PersistentWatchRemoved);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shot_watches_fire_once_and_persistent_ones_stay() {
        let mut watches = Watches::default();
        watches.register(Registration::Data, "/a", ErrorCode::OK);
        watches.register(Registration::Data, "/gone", ErrorCode::NO_NODE);
        watches.register(Registration::Exists, "/later", ErrorCode::NO_NODE);
        watches.register(Registration::PersistentRecursive, "/r", ErrorCode::OK);
        assert!(watches.fire(EventKind::NodeDataChanged, "/a"));
        assert!(!watches.fire(EventKind::NodeDataChanged, "/a"));
        assert!(!watches.fire(EventKind::NodeDataChanged, "/gone"));
        assert!(watches.fire(EventKind::NodeCreated, "/later"));
        assert!(watches.fire(EventKind::NodeCreated, "/r/x/y"));
        assert!(watches.fire(EventKind::NodeCreated, "/r/x/y"));
        assert!(!watches.fire(EventKind::NodeChildrenChanged, "/r/x"));
        assert!(!watches.fire(EventKind::NodeCreated, "/rr"));
    }

    #[test]
    fn removal_tells_what_was_removed() {
        let mut watches = Watches::default();
        watches.register(Registration::Data, "/a", ErrorCode::OK);
        watches.register(Registration::Child, "/a", ErrorCode::OK);
        watches.register(Registration::Persistent, "/a", ErrorCode::OK);
        assert!(watches.contains(WatcherType::Children, "/a"));
        assert_eq!(watches.remove(WatcherType::Children, "/a"), [EventKind::ChildWatchRemoved]);
        assert!(!watches.contains(WatcherType::Children, "/a"));
        assert_eq!(
            watches.remove(WatcherType::Any, "/a"),
            [EventKind::DataWatchRemoved, EventKind::PersistentWatchRemoved]
        );
        assert!(watches.remove(WatcherType::Any, "/a").is_empty());
    }
}
