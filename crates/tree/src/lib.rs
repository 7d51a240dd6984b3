//! The tree: a replicated hierarchical store with sessions, ephemerals and watches.
//!
//! Its data model and its words are ZooKeeper 3.9's, because ZooKeeper's clients are its first
//! users and every other protocol keeps its metadata here.
//!
//! Rooms, in the order a write passes them: [`command`] (what a batch of the log holds) →
//! [`machine`] (applies it, deterministically) → [`store`] (znodes in memory) → [`watch`] (who on
//! this node wants to know). [`snapshot`] writes the machine out while it goes on working;
//! [`replica`] is the shell around it all: one node's copy, fed by the cluster's log. [`client`] is for
//! the services of the same process that keep their metadata here.
//!
//! Deliberately absent: sockets, consensus (commands arrive in their final order, from the cluster
//! crate), clocks below [`replica`] (time comes with each command), and any protocol's wire format.

pub mod access;
pub mod client;
pub mod command;
pub mod error;
pub mod import;
pub mod machine;
pub mod model;
pub mod path;
pub mod replica;
pub mod session;
pub mod snapshot;
pub mod store;
pub mod watch;

pub use error::TreeError;
pub use machine::{Event, Machine, Outcome, Stamp};
pub use model::{Acl, CreateMode, EventKind, Id, Perms, Stat};
