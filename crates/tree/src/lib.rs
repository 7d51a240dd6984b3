//! The tree: a replicated hierarchical store with sessions, ephemerals and watches.
//!
//! Its data model and its words are ZooKeeper 3.9's, because ZooKeeper's clients are its first
//! users and every other protocol keeps its metadata here.
//!
//! Deliberately absent: sockets, clocks (time comes with each command), consensus (commands arrive
//! in their final order), and any protocol's wire format.

pub mod error;
pub mod model;
pub mod path;

pub use error::TreeError;
pub use model::{Acl, CreateMode, EventKind, Id, Perms, Stat};
