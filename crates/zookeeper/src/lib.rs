//! ZooKeeper's client protocol, level 3.9: codec, sessions and server, on the tree.
//!
//! Reference: `zookeeper.jute` and the behaviour of Apache ZooKeeper 3.9. Deliberately absent:
//! ZooKeeper's server-to-server protocols (quorum and election); the cluster crate replaces them.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod codec;
pub mod import;
pub mod observe;
pub mod reconfig;
pub mod sasl;
pub mod server;
