//! A member of a classic group.

use std::time::Duration;

use bytes::Bytes;

use super::super::machine::Waiter;
use super::super::record::MemberValue;

/// A protocol that a member can follow, and what the member has to say in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// `range`, `cooperative-sticky`, …
    pub name: String,
    /// For the group's leader.
    pub metadata: Bytes,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    /// Best first.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// Whom to answer when the group has been joined.
    pub(super) join: Option<Waiter>,
    /// Whom to answer when the assignment is there.
    pub(super) sync: Option<Waiter>,
    /// It has not been in a generation yet.
    pub(super) is_new: bool,
    /// When its silence ends its membership; none while it waits for an answer.
    pub(super) deadline: Option<Duration>,
}

impl Member {
    /// What the member says in a protocol; nothing in one that it does not know.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    /// A member that waits for an answer cannot send heartbeats. A new one may have gone away while
    /// it waited, which nobody sees: its wait is bounded.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    pub(super) fn value(&self, id: &str, protocol: &str, assignment: Bytes) -> MemberValue {
        MemberValue {
            member_id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }
}

/// Milliseconds of a request. Negative ones count as none.
pub(super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs().into())
}
