//! Whole clusters in one thread, under faults, with a checker for each promise.
//!
//! Nodes are what production runs: [`polyport_cluster::Cluster`] on the simulated disk of the storage
//! crate, [`polyport_tree::replica`] above it. Time is tokio's, paused: it passes only when nobody has
//! anything to do. A seed decides everything, so a failing one can be replayed.
//!
//! Rooms: [`randomness`], [`clock`], [`disk`] and [`network`] (the world, faults included);
//! [`node`] (a process on it); [`client`] (sessions, and what clients do); [`faults`] (what goes
//! wrong when); [`history`] (what everybody saw); [`model`] and [`check`] (what they should have
//! seen); [`run`] (one seed from beginning to end); [`succession`] (another kind of run: sessions under
//! leaders that do not last).
//!
//! Deliberately absent: sockets and protocols (real clients test those), and the threads of
//! production (one writer thread a node becomes a task).

pub mod check;
pub mod client;
pub mod clock;
pub mod disk;
pub mod faults;
pub mod history;
pub mod kafka;
pub mod model;
pub mod network;
pub mod node;
pub mod randomness;
pub mod run;
pub mod succession;

pub use run::{Failure, Report, Scenario, run_seed};
