//! The numbers of the metrics page and of `mntr`, under ZooKeeper's names.
//!
//! Every number is counted or measured here. Names of ZooKeeper 3.9.3 that are absent, and why, are
//! in [`absent`]; a test compares both with its list of names. Times are in milliseconds, as there,
//! but not cut to whole ones. Two have a meaning of their own: a proposal is an entry of the log,
//! which holds many clients' requests, and the log's batches are what shared one sync.

use std::sync::atomic::Ordering::Relaxed;

use polyport_cluster::Role;
use polyport_cluster::node::Standing;
use polyport_telemetry::{Metric, Summary, Value, process};

use super::quotas;
use crate::server::{Happened, Server};

/// Quantiles of the summaries that ZooKeeper tells in full, and of the others.
const FULL: &[f64] = &[0.5, 0.9, 0.99];
const MEDIAN: &[f64] = &[0.5];

struct Page(Vec<Metric>);

impl Page {
    fn add(&mut self, name: &'static str, value: Value) {
        self.0.push(Metric { name, help: name.into(), value });
    }

    fn gauge(&mut self, name: &'static str, value: impl TryInto<i64>) {
        self.add(name, Value::Gauge(value.try_into().unwrap_or(i64::MAX)));
    }

    fn counter(&mut self, name: &'static str, value: u64) {
        self.add(name, Value::Counter(value));
    }

    fn times(&mut self, name: &'static str, summary: &Summary, quantiles: &'static [f64]) {
        self.add(name, Value::Summary(summary.millis(), quantiles));
    }

    fn numbers(&mut self, name: &'static str, summary: &Summary) {
        self.add(name, Value::Summary(summary.numbers(), MEDIAN));
    }
}

/// All of them, as of now.
pub fn metrics(server: &Server) -> Vec<Metric> {
    let mut page = Page(Vec::with_capacity(96));
    tree(server, &mut page);
    clients(server, &mut page);
    ensemble(server, &mut page);
    disk(server, &mut page);
    this_process(&mut page);
    page.0
}

fn tree(server: &Server, page: &mut Page) {
    let replica = server.replica();
    let watches = replica.view(|view| view.watches.len());
    let machine = replica.read();
    page.gauge("znode_count", super::node_count(&machine));
    page.gauge("approximate_data_size", machine.store().data_bytes());
    let ephemerals = machine.sessions().values().map(|session| session.ephemerals.len());
    page.gauge("ephemerals_count", ephemerals.sum::<usize>());
    page.gauge("global_sessions", machine.sessions().len());
    // All sessions are known to all nodes.
    page.gauge("local_sessions", 0usize);
    let quotas = quotas::by_namespace(&machine);
    drop(machine);
    page.gauge("watch_count", watches);
    let observed = replica.observed();
    page.numbers("node_created_watch_count", &observed.created_watches);
    page.numbers("node_deleted_watch_count", &observed.deleted_watches);
    page.numbers("node_changed_watch_count", &observed.changed_watches);
    page.numbers("node_children_watch_count", &observed.children_watches);
    page.times("propagation_latency", &observed.propagation, FULL);
    page.times("proposal_latency", &observed.proposal, FULL);
    page.counter("stale_sessions_expired", observed.sessions_expired.load(Relaxed));
    let labelled = |of: fn(&quotas::Quota) -> i64| {
        let one = |(key, quota): (&String, &quotas::Quota)| {
            (vec![("key", key.clone())], Value::Gauge(of(quota)))
        };
        Value::Labelled("gauge", quotas.iter().map(one).collect())
    };
    page.add("quota_count_limit_per_namespace", labelled(|quota| quota.count_limit));
    page.add("quota_bytes_limit_per_namespace", labelled(|quota| quota.bytes_limit));
    page.add("quota_count_usage_per_namespace", labelled(|quota| quota.count));
    page.add("quota_bytes_usage_per_namespace", labelled(|quota| quota.bytes));
}

fn clients(server: &Server, page: &mut Page) {
    let stats = server.stats();
    let (min, average, max) = stats.latency_ms();
    page.add("avg_latency", Value::Ratio((average * 10_000.0).round() / 10_000.0));
    page.gauge("min_latency", min);
    page.gauge("max_latency", max);
    let (received, sent) = stats.packets();
    page.gauge("packets_received", received);
    page.gauge("packets_sent", sent);
    page.gauge("num_alive_connections", stats.connections());
    page.gauge("outstanding_requests", server.replica().outstanding());
    let (last, min, max) = stats.response_bytes();
    page.gauge("last_client_response_size", last);
    page.gauge("min_client_response_size", min);
    page.gauge("max_client_response_size", max);
    let (received, sent) = stats.bytes();
    page.counter("bytes_received_count", received);
    page.counter("response_bytes", sent);
    page.times("readlatency", stats.reads(), FULL);
    page.times("updatelatency", stats.updates(), FULL);
    page.gauge("auth_failed_count", stats.counted(Happened::AuthFailed));
    let happened = [
        ("connection_request_count", Happened::ConnectionRequest),
        ("connection_revalidate_count", Happened::Revalidation),
        ("connection_rejected", Happened::ConnectionRejected),
        ("connection_drop_count", Happened::ConnectionDropped),
        ("sessionless_connections_expired", Happened::SessionlessExpired),
        ("cnxn_closed_without_zk_server_running", Happened::NotServing),
        ("throttled_ops", Happened::Throttled),
        ("request_throttle_wait_count", Happened::ThrottleWait),
        ("stale_requests_dropped", Happened::StaleDropped),
        ("stale_requests", Happened::Stale),
        ("large_requests_rejected", Happened::LargeRejected),
        ("tls_handshake_exceeded", Happened::HandshakeExceeded),
        ("unsuccessful_handshake", Happened::HandshakeFailed),
        ("ensemble_auth_success", Happened::EnsembleNamed),
        ("ensemble_auth_fail", Happened::EnsembleMistaken),
        ("ensemble_auth_skip", Happened::EnsembleSkipped),
    ];
    for (name, what) in happened {
        page.counter(name, stats.counted(what));
    }
    page.gauge("non_mtls_local_conn_count", stats.counted(Happened::PlainLocal));
    page.gauge("non_mtls_remote_conn_count", stats.counted(Happened::PlainRemote));
    page.gauge("outstanding_tls_handshake", stats.handshakes());
    page.times("request_throttle_queue_time_ms", stats.throttle_queue(), FULL);
    page.numbers("connection_token_deficit", stats.token_deficit());
    page.add("connection_drop_probability", Value::Ratio(server.connection_drop_probability()));
    page.counter("watch_bytes", stats.watch_bytes());
    page.gauge("uptime", stats.uptime_ms());
}

fn ensemble(server: &Server, page: &mut Page) {
    let status = super::status(server);
    let cluster = server.replica().cluster();
    let observed = cluster.observed();
    page.times("election_time", &observed.election, MEDIAN);
    page.times("unavailable_time", &observed.unavailable, MEDIAN);
    page.counter("looking_count", observed.looking.load(Relaxed));
    if status.is_alone() {
        return;
    }
    page.gauge("quorum_size", status.voters().count());
    if status.standing != Standing::Leading {
        return;
    }
    let peers = cluster.peers();
    let synced = |role| {
        let has_role = |peer: &&polyport_cluster::Peer| {
            status.members.get(&peer.node).is_some_and(|member| member.role == role)
        };
        peers.iter().filter(|peer| peer.synced).filter(has_role).count()
    };
    page.gauge("learners", peers.len());
    page.gauge("synced_followers", synced(Role::Voter));
    page.gauge("synced_observers", synced(Role::Observer));
    let led = observed.leading_for().unwrap_or_default();
    page.gauge("leader_uptime", led.as_millis());
    let bytes = server.replica().observed().entry_bytes();
    let bytes = bytes.map_or([-1; 3], |(last, min, max)| [last as i64, min as i64, max as i64]);
    page.gauge("last_proposal_size", bytes[0]);
    page.gauge("min_proposal_size", bytes[1]);
    page.gauge("max_proposal_size", bytes[2]);
}

fn disk(server: &Server, page: &mut Page) {
    let observed = server.replica().cluster().observed();
    page.times("fsynctime", &observed.sync, MEDIAN);
    page.numbers("sync_processor_batch_size", &observed.sync_batch);
    page.times("snapshottime", &observed.snapshot, MEDIAN);
    page.counter("snapshot_error_count", observed.snapshot_errors.load(Relaxed));
    page.times("dbinittime", &observed.load, MEDIAN);
    page.times("startup_snap_load_time", &observed.snapshot_load, MEDIAN);
    let stats = server.stats();
    page.times("restore_time", &stats.restores, MEDIAN);
    page.counter("restore_error_count", stats.counted(Happened::RestoreFailed));
    page.counter("restore_rate_limited_count", stats.counted(Happened::RestoreRateLimited));
    page.counter("snapshot_rate_limited_count", stats.counted(Happened::SnapshotRateLimited));
}

fn this_process(page: &mut Page) {
    let process = process::read();
    page.gauge("open_file_descriptor_count", process.open_fds);
    page.gauge("max_file_descriptor_count", process.max_fds);
    page.add("process_cpu_seconds_total", Value::Total(process.cpu_seconds));
    page.add("process_start_time_seconds", Value::Ratio(process.start_time_seconds));
    page.gauge("process_open_fds", process.open_fds);
    page.gauge("process_max_fds", process.max_fds);
    page.gauge("process_virtual_memory_bytes", process.virtual_bytes);
    page.gauge("process_resident_memory_bytes", process.resident_bytes);
}

/// Names of ZooKeeper 3.9.3's page that are absent, with the reason. A name that ends in `*` stands
/// for all that begin so.
pub const fn absent() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("there is no Java virtual machine", &["jvm_*"]),
        (
            "requests do not pass ZooKeeper's chain of processors with a queue before each",
            &[
                "close_session_prep_time",
                "commit_commit_proc_req_queued",
                "commit_process_time",
                "concurrent_request_processing_in_commit_processor",
                "local_write_committed_time_ms",
                "outstanding_changes_queued",
                "outstanding_changes_removed",
                "pending_session_queue_size",
                "prep_process*",
                "proposal_process_time",
                "read_commit*",
                "read_final_proc_time_ms",
                "reads_after_write_in_session_queue",
                "reads_issued_from_session_queue",
                "request_commit_queued",
                "requests_in_session_queue",
                "requests_not_forwarded_to_commit_processor",
                "server_write_committed_time_ms",
                "session_queues_drained",
                "sync_process_time",
                "sync_processor_queue*",
                "sync_processor_request_queued",
                "time_waiting_empty_pool_in_commit_processor_read_ms",
                "write_batch_time_in_commit_processor",
                "write_commit*",
                "write_final_proc_time_ms",
            ],
        ),
        (
            "consensus replicates by another protocol than ZAB",
            &[
                "ack_latency",
                "commit_count",
                "commit_propagation_latency",
                "diff_count",
                "follower_sync_time",
                "inflight_diff_count",
                "inflight_snap_count",
                "leader_unavailable_time",
                "learner_*",
                "observer_sync_time",
                "om_*",
                "pending_syncs",
                "proposal_ack_creation_latency",
                "proposal_count",
                "quit_leading_due_to_disloyal_voter",
                "quorum_ack_latency",
                "revalidate_count",
                "skip_learner_request_to_next_processor_count",
                "snap_count",
                "synced_non_voting_followers",
            ],
        ),
        (
            "the log after the snapshot is replayed by consensus while clients already wait",
            &["startup_txns_load_time", "startup_txns_loaded"],
        ),
        ("answers are not cached: they are written from the tree", &["response_packet_*"]),
        (
            "a watch goes with its connection, at once",
            &["add_dead_watcher_stall_time", "dead_watchers_*"],
        ),
        ("a connection that is gone is not answered", &["stale_replies"]),
        (
            "the library that served ZooKeeper's network is not here",
            &["netty_queued_buffer_capacity", "socket_closing_time"],
        ),
        (
            "the admin server has no TLS that a connection could do without",
            &["insecure_admin_count"],
        ),
        (
            "it would cost every request a search of its namespace",
            &["quota_exceeded_error_per_namespace", "read_per_namespace", "write_per_namespace"],
        ),
        ("the tree has no digest", &["digest_mismatches_count"]),
        ("a node that cannot go on ends its process", &["unrecoverable_error_count"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and type of each metric of 3.9.3, alone, leading, following and observing together.
    const REAL: &str = include_str!("../../tests/data/zookeeper-3.9.3-metrics.txt");

    fn is_absent(name: &str) -> usize {
        let stands_for = |pattern: &&&str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == **pattern,
        };
        absent().iter().flat_map(|(_, names)| *names).filter(stands_for).count()
    }

    /// The names in this file's own words: what a page can hold, whatever the node's part.
    fn ours() -> std::collections::BTreeSet<&'static str> {
        let source = include_str!("metrics.rs");
        let source = source.split("/// Names of ZooKeeper 3.9.3's page").next().unwrap();
        let names = source.split('"').skip(1).step_by(2);
        names.filter(|name| !["key", "gauge"].contains(name)).collect()
    }

    #[test]
    fn every_name_of_the_real_page_is_here_or_absent_for_one_reason() {
        let ours = ours();
        for line in REAL.lines() {
            let (name, _) = line.split_once(' ').unwrap();
            let here = usize::from(ours.contains(name));
            assert_eq!(
                here + is_absent(name),
                1,
                "{name}: here {here}, absent {}",
                is_absent(name)
            );
        }
    }

    #[test]
    fn nothing_is_here_or_absent_that_the_real_page_does_not_have() {
        let real: Vec<&str> = REAL.lines().map(|line| line.split_once(' ').unwrap().0).collect();
        for name in ours() {
            assert!(real.contains(&name), "{name} is not ZooKeeper's");
        }
        for pattern in absent().iter().flat_map(|(_, names)| *names) {
            let start = pattern.trim_end_matches('*');
            assert!(
                real.iter().any(|name| name.starts_with(start)),
                "{pattern} stands for nothing"
            );
        }
    }
}
