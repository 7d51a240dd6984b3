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
mod kafka;
mod log;
mod net;
mod storage;
mod text;
mod tree;
mod zookeeper;

pub use cluster::{cluster_answer, cluster_frame, cluster_handshake, cluster_stream};
pub use config::config_file;
pub use import::{import_log, import_snapshot, tidy_up};
pub use kafka::{kafka_records, kafka_request, kafka_response};
pub use log::{log_batch, log_segment};
pub use net::{http_request, x509_subject};
pub use storage::{storage_snapshot, storage_wal};
pub use text::{zk_identity, zk_quota, zk_reconfig, zk_sasl, zk_word};
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
    Target { name: "cluster_answer", run: cluster_answer, seeds: cluster::answers },
    Target { name: "cluster_handshake", run: cluster_handshake, seeds: cluster::handshakes },
    Target { name: "cluster_stream", run: cluster_stream, seeds: cluster::streams },
    Target { name: "zk_sasl", run: zk_sasl, seeds: text::tokens },
    Target { name: "zk_reconfig", run: zk_reconfig, seeds: text::reconfigs },
    Target { name: "zk_quota", run: zk_quota, seeds: text::quotas },
    Target { name: "zk_identity", run: zk_identity, seeds: text::identities },
    Target { name: "zk_word", run: zk_word, seeds: text::words },
    Target { name: "http_request", run: http_request, seeds: net::requests },
    Target { name: "x509_subject", run: x509_subject, seeds: net::certificates },
    Target { name: "storage_wal", run: storage_wal, seeds: storage::journals },
    Target { name: "storage_snapshot", run: storage_snapshot, seeds: storage::snapshots },
    Target { name: "kafka_request", run: kafka_request, seeds: kafka::requests },
    Target { name: "kafka_response", run: kafka_response, seeds: kafka::responses },
    Target { name: "kafka_records", run: kafka_records, seeds: kafka::records },
    Target { name: "log_batch", run: log_batch, seeds: log::batches },
    Target { name: "log_segment", run: log_segment, seeds: log::segments },
    Target { name: "config_file", run: config_file, seeds: config::files },
    Target { name: "import_snapshot", run: import_snapshot, seeds: import::snapshots },
    Target { name: "import_log", run: import_log, seeds: import::transactions },
];
