//! Identifiers shared by all crates.

use std::fmt;

/// A node of the cluster: ZooKeeper's `myid`, Kafka's `broker.id`. Valid range 1 to 254, because
/// ZooKeeper puts it in the top byte of every session id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The highest id a node may have.
    pub const MAX: NodeId = NodeId(254);

    /// Whether the id is in the range a node may have.
    pub fn is_valid(self) -> bool {
        self.0 >= 1 && self <= Self::MAX
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
