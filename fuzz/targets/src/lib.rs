//! Fuzz targets: one function for each decoder that reads bytes it did not write.
//!
//! A target takes any bytes and must return: no panic, no memory for a length that was not
//! received, no endless loop. What decodes must also encode to something that decodes the same.
//! They run under libFuzzer (`fuzz/fuzz_targets`) and, for a few seconds each, under the seeded
//! mutator of this crate's program, which needs no special compiler.
//!
//! Deliberately absent: sockets and the network; the targets start where the bytes have arrived.

mod cluster;
mod config;
mod import;
mod log;
mod storage;
mod tree;
mod zookeeper;

pub use cluster::cluster_frame;
pub use config::config_file;
pub use import::{import_log, import_snapshot, tidy_up};
pub use log::{log_batch, log_segment};
pub use storage::{storage_snapshot, storage_wal};
pub use tree::{tree_batch, tree_restore, tree_snapshot};
pub use zookeeper::{zk_connect, zk_reply, zk_request};

/// A decoder under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder under `fuzz/corpus`.
    pub name: &'static str,
    /// Feeds it some bytes.
    pub run: fn(&[u8]),
    /// Well-formed inputs to begin from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "zk_request", run: zk_request, seeds: zookeeper::requests },
    Target { name: "zk_connect", run: zk_connect, seeds: zookeeper::connects },
    Target { name: "zk_reply", run: zk_reply, seeds: zookeeper::replies },
    Target { name: "tree_batch", run: tree_batch, seeds: tree::batches },
    Target { name: "tree_snapshot", run: tree_snapshot, seeds: tree::snapshots },
    Target { name: "tree_restore", run: tree_restore, seeds: tree::snapshots },
    Target { name: "cluster_frame", run: cluster_frame, seeds: cluster::frames },
    Target { name: "storage_wal", run: storage_wal, seeds: storage::journals },
    Target { name: "storage_snapshot", run: storage_snapshot, seeds: storage::snapshots },
    Target { name: "log_batch", run: log_batch, seeds: log::batches },
    Target { name: "log_segment", run: log_segment, seeds: log::segments },
    Target { name: "config_file", run: config_file, seeds: config::files },
    Target { name: "import_snapshot", run: import_snapshot, seeds: import::snapshots },
    Target { name: "import_log", run: import_log, seeds: import::transactions },
];
