//! Consensus, and the only place that knows it is openraft's.
//!
//! A [`Cluster`] replicates opaque proposals in one log and hands them, once committed, to a
//! [`StateMachine`]. Above it nobody sees terms, votes or openraft types; [`Proposals`] carries what
//! a node wants in the log to whoever leads, again and again until it is applied.
//!
//! Rooms: [`transport`] (authenticated frames between nodes, TCP or simulated), `raft` (openraft's
//! traits on our storage and transport), [`node`] (the handle), [`proposals`] (getting things into
//! the log), [`member`] (who is in the cluster).
//!
//! Deliberately absent: any knowledge of what a proposal says, many groups, and openraft's own
//! serialisation (entries on disk and messages between nodes have our encoding).

pub mod content;
#[doc(hidden)]
pub mod fuzz;
pub mod machine;
pub mod member;
pub mod node;
pub mod observed;
pub mod operator;
pub mod proposals;
mod raft;
pub mod seed;
pub mod simulation {
    //! What a simulation needs to be repeatable.

    /// Fixes what election timeouts of this thread are drawn from.
    pub fn seed_elections(seed: u64) {
        crate::raft::seed_thread_rng(seed);
    }
}
pub mod transport;

pub use machine::{Committed, SnapshotWrite, StateMachine};
pub use member::{Member, Members, Role};
pub use node::{Cluster, ClusterError, Options, Status};
pub use observed::{Observed, Peer};
pub use proposals::Proposals;
