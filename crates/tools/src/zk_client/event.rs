use std::fmt;

use polyport_tree::EventKind;

/// The session's state as an event reports it: `Watcher.Event.KeeperState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeeperState {
    Disconnected,
    SyncConnected,
    AuthFailed,
    ConnectedReadOnly,
    SaslAuthenticated,
    Expired,
    Closed,
}

impl KeeperState {
    /// The state of a number on the wire; unknown numbers read as connected, since only a connected
    /// server can send one.
    pub fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Disconnected,
            4 => Self::AuthFailed,
            5 => Self::ConnectedReadOnly,
            6 => Self::SaslAuthenticated,
            -112 => Self::Expired,
            7 => Self::Closed,
            _ => Self::SyncConnected,
        }
    }
}

/// A watch that fired, or a change of the session's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedEvent {
    /// The session's state.
    pub state: KeeperState,
    /// What happened to the znode; `None` for a change of the session's state.
    pub kind: EventKind,
    /// The znode as the client names it; `None` for a change of the session's state.
    pub path: Option<String>,
    /// The transaction that fired the watch, -1 if there is none.
    pub zxid: i64,
}

impl WatchedEvent {
    /// A change of the session's state.
    pub fn session(state: KeeperState) -> Self {
        Self { state, kind: EventKind::None, path: None, zxid: -1 }
    }
}

/// The name of a kind in `Watcher.Event.EventType`.
pub fn event_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::None => "None",
        EventKind::NodeCreated => "NodeCreated",
        EventKind::NodeDeleted => "NodeDeleted",
        EventKind::NodeDataChanged => "NodeDataChanged",
        EventKind::NodeChildrenChanged => "NodeChildrenChanged",
        EventKind::DataWatchRemoved => "DataWatchRemoved",
        EventKind::ChildWatchRemoved => "ChildWatchRemoved",
        EventKind::PersistentWatchRemoved => "PersistentWatchRemoved",
    }
}

impl fmt::Display for WatchedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "WatchedEvent state:{:?} type:{} path:{} zxid: {}",
            self.state,
            event_name(self.kind),
            self.path.as_deref().unwrap_or("null"),
            self.zxid
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_print_as_javas() {
        assert_eq!(
            WatchedEvent::session(KeeperState::SyncConnected).to_string(),
            "WatchedEvent state:SyncConnected type:None path:null zxid: -1"
        );
        let event = WatchedEvent {
            state: KeeperState::SyncConnected,
            kind: EventKind::NodeDataChanged,
            path: Some("/a".into()),
            zxid: 17,
        };
        assert_eq!(
            event.to_string(),
            "WatchedEvent state:SyncConnected type:NodeDataChanged path:/a zxid: 17"
        );
    }
}
