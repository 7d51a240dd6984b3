//! From the configuration's words to the crates'.

use std::time::Duration;

use anyhow::Context;
use polyport_base::NodeId;
use polyport_cluster::node::Options;
use polyport_cluster::{Member, Members, Role};
use polyport_config::{Config, NodeRole, Zookeeper};
use polyport_net::tls;
use polyport_storage::WalOptions;
use polyport_tree::replica;
use polyport_zookeeper::audit::Audit;
use polyport_zookeeper::auth::DigestAlgorithm;
use polyport_zookeeper::server;

/// The members a new cluster begins with.
pub(crate) fn members(config: &Config) -> Members {
    let client = |address: Option<String>| address.unwrap_or_default();
    if config.cluster.nodes.is_empty() {
        let node = &config.node;
        let address = node.advertise.as_ref().unwrap_or(&node.listen).to_string();
        let listen = config.zookeeper.listen.0.as_ref().map(ToString::to_string);
        let member = Member { client: client(listen), ..Member::voter(address) };
        return Members::from([(NodeId(node.id), member)]);
    }
    let member = |peer: &polyport_config::Peer| {
        let role = match peer.role {
            NodeRole::Voter => Role::Voter,
            NodeRole::Observer => Role::Observer,
        };
        let member = Member {
            address: peer.address.to_string(),
            quorum: peer.quorum.clone(),
            client: client(peer.zookeeper.as_ref().map(ToString::to_string)),
            role,
        };
        (NodeId(peer.id), member)
    };
    config.cluster.nodes.iter().map(member).collect()
}

/// How the node takes part in consensus.
///
/// # Errors
/// If the certificates cannot be used.
pub(crate) fn cluster(config: &Config) -> anyhow::Result<Options> {
    let mut options = Options::new(NodeId(config.node.id), members(config), &config.data_dir);
    options.join = config.cluster.join.as_ref().map(ToString::to_string);
    if let Some(log_dir) = &config.log_dir {
        options.log_dir = log_dir.join("log");
    }
    let zookeeper = &config.zookeeper;
    options.snapshots_kept = zookeeper.autopurge_snap_retain_count as usize;
    let hours = u64::from(zookeeper.autopurge_purge_interval_hours);
    options.purge_every = (hours > 0).then(|| Duration::from_secs(hours * 3600));
    options.wal = journal(zookeeper);
    options.durable = zookeeper.force_sync;
    options.slow_sync = Duration::from_millis(zookeeper.fsync_warning_threshold_ms);
    options.heartbeat = Duration::from_millis(config.cluster.heartbeat_ms);
    let [shortest, longest] = config.cluster.election_timeout_ms;
    options.election = (Duration::from_millis(shortest), Duration::from_millis(longest));
    options.tcp_keep_alive = config.node.tcp_keep_alive;
    options.tls = node_tls(config)?;
    Ok(options)
}

/// The log's files.
fn journal(zookeeper: &Zookeeper) -> WalOptions {
    let clamp = |bytes: u64| bytes.clamp(4096, 1 << 30) as u32;
    let default = WalOptions::default();
    WalOptions {
        prealloc_bytes: clamp(zookeeper.prealloc_bytes),
        segment_bytes: match zookeeper.log_size_limit_kib {
            0 => default.segment_bytes,
            kib => clamp(kib.saturating_mul(1024)),
        },
        ..default
    }
}

/// The certificates of the node port, if it is encrypted.
///
/// # Errors
/// If they cannot be used.
pub(crate) fn node_tls(config: &Config) -> anyhow::Result<Option<tls::Mutual>> {
    let Some(tls) = &config.node.tls else { return Ok(None) };
    let files =
        tls::Files { cert: tls.cert.clone(), key: tls.key.clone(), ca: Some(tls.ca.clone()) };
    Ok(Some(tls::Mutual::new(&files).context("node.tls")?))
}

/// How the node keeps its copy of the tree.
pub(crate) fn replica(config: &Config) -> replica::Settings {
    let zookeeper = &config.zookeeper;
    replica::Settings {
        tick: Duration::from_millis(zookeeper.tick_time_ms),
        snapshot_every: zookeeper.snap_count,
        snapshot_bytes: zookeeper.snap_size_limit_kib.saturating_mul(1024),
        flush_delay: Duration::from_millis(zookeeper.flush_delay_ms),
        max_batch: zookeeper.max_batch_size as usize,
        reap_every: Duration::from_millis(zookeeper.container_check_interval_ms),
        reap_per_minute: zookeeper.container_max_per_minute as usize,
        container_unused: Duration::from_millis(zookeeper.container_max_never_used_ms),
        ..replica::Settings::new(NodeId(config.node.id))
    }
}

/// How ZooKeeper's clients are served.
///
/// # Errors
/// If the certificates cannot be used.
pub(crate) fn zookeeper(config: &Config) -> anyhow::Result<server::Settings> {
    let zookeeper = &config.zookeeper;
    let ms = Duration::from_millis;
    // Whoever asks a server for its directory need not know where it was started.
    let path = |path: &std::path::Path| {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
    };
    Ok(server::Settings {
        tick: ms(zookeeper.tick_time_ms),
        min_session_timeout: ms(zookeeper.effective_min_session_timeout_ms()),
        max_session_timeout: ms(zookeeper.effective_max_session_timeout_ms()),
        max_client_connections: zookeeper.max_client_connections as usize,
        max_connections: zookeeper.max_connections as usize,
        max_frame: zookeeper.max_frame_bytes as usize,
        four_letter_words: zookeeper.four_letter_words.clone(),
        enforce_quota: zookeeper.enforce_quota,
        skip_acl: zookeeper.skip_acl,
        eager_acl_check: zookeeper.eager_acl_check,
        ttl: zookeeper.ttl_enabled,
        authentication: authentication(zookeeper),
        limits: limits(zookeeper),
        connect_throttle: connect_throttle(zookeeper),
        tls: zookeeper.tls.as_ref().map(acceptor).transpose()?,
        port_unification: zookeeper.port_unification,
        max_tls_handshakes: usize::try_from(zookeeper.outstanding_handshake_limit).ok(),
        listen_backlog: zookeeper.listen_backlog,
        tcp_keep_alive: zookeeper.client_tcp_keep_alive,
        read_only: zookeeper.read_only_mode,
        leader_serves: zookeeper.leader_serves,
        reconfig_enabled: zookeeper.reconfig_enabled,
        standalone_enabled: zookeeper.standalone_enabled,
        shutdown_timeout: ms(zookeeper.shutdown_timeout_ms),
        audit: zookeeper.audit_enable.then(|| audit(config)).transpose()?,
        shown: server::Shown {
            data_dir: path(&config.data_dir),
            log_dir: path(config.log_dir.as_ref().unwrap_or(&config.data_dir)),
            initial_limit_ticks: config.cluster.initial_limit_ticks,
            sync_limit_ticks: config.cluster.sync_limit_ticks,
        },
        ..server::Settings::default()
    })
}

fn audit(config: &Config) -> anyhow::Result<Audit> {
    let file = config.data_dir.join(&config.zookeeper.audit_file);
    Audit::open(&file).with_context(|| format!("zookeeper.audit_file: {}", file.display()))
}

fn acceptor(tls: &polyport_config::ZookeeperTls) -> anyhow::Result<tls::Acceptor> {
    use polyport_config::ClientAuth;
    let client_auth = match tls.client_auth {
        ClientAuth::None => tls::ClientAuth::None,
        ClientAuth::Want => tls::ClientAuth::Want,
        ClientAuth::Need => tls::ClientAuth::Need,
    };
    let files = tls::Files { cert: tls.cert.clone(), key: tls.key.clone(), ca: tls.ca.clone() };
    tls::Acceptor::new(&files, client_auth).context("zookeeper.tls")
}

fn authentication(zookeeper: &Zookeeper) -> server::Authentication {
    use polyport_config::DigestAlgorithm as Named;
    let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    server::Authentication {
        no_digest: !zookeeper.digest_enabled,
        digest_algorithm: match zookeeper.digest_algorithm {
            Named::Sha1 => DigestAlgorithm::Sha1,
            Named::Sha256 => DigestAlgorithm::Sha256,
            Named::Sha512 => DigestAlgorithm::Sha512,
            Named::Sha3_256 => DigestAlgorithm::Sha3_256,
        },
        super_digest: set(&zookeeper.super_digest),
        super_user: set(&zookeeper.super_user),
        x509_super_user: set(&zookeeper.x509_super_user),
        ensemble_names: zookeeper.ensemble_auth_names.clone(),
        // As in ZooKeeper, the one overrides the other.
        required_schemes: if zookeeper.session_require_client_sasl_auth {
            vec!["sasl".to_owned()]
        } else if zookeeper.enforce_auth_enabled {
            zookeeper.enforce_auth_schemes.clone()
        } else {
            Vec::new()
        },
        allow_sasl_failed: zookeeper.allow_sasl_failed_clients,
        sasl_users: zookeeper.sasl_users.clone(),
    }
}

fn limits(zookeeper: &Zookeeper) -> server::Limits {
    let ms = Duration::from_millis;
    server::Limits {
        global_outstanding: zookeeper.global_outstanding_limit as usize,
        throttle: zookeeper.request_throttle_limit as usize,
        throttle_stall: ms(zookeeper.request_throttle_stall_ms),
        drop_stale: zookeeper.request_throttle_drop_stale,
        stale_by_age: zookeeper.request_stale_latency_check,
        stale_by_connection: zookeeper.request_stale_connection_check,
        throttled_op_after: ms(zookeeper.throttled_op_wait_ms),
        large_request_threshold: usize::try_from(zookeeper.large_request_threshold_bytes).ok(),
        large_request_max: zookeeper.large_request_max_bytes as usize,
        ..server::Limits::default()
    }
}

fn connect_throttle(zookeeper: &Zookeeper) -> server::ConnectThrottle {
    let freeze = u64::try_from(zookeeper.connection_freeze_time_ms).ok();
    server::ConnectThrottle {
        max_tokens: zookeeper.connection_max_tokens,
        fill_every: Duration::from_millis(zookeeper.connection_token_fill_time_ms),
        fill_count: zookeeper.connection_token_fill_count,
        freeze: freeze.map(Duration::from_millis),
        drop_increase: zookeeper.connection_drop_increase,
        drop_decrease: zookeeper.connection_drop_decrease,
        decrease_ratio: zookeeper.connection_decrease_ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &str) -> Config {
        let layers = settings
            .split_whitespace()
            .fold(polyport_config::Layers::new(), |all, one| all.set(&format!("zookeeper.{one}")));
        layers.finish().unwrap().config
    }

    #[test]
    fn what_is_not_limited_has_a_default_or_no_limit() {
        let config = of("log_size_limit_kib=0 snap_size_limit_kib=0 max_batch_size=0");
        let options = cluster(&config).unwrap();
        assert_eq!(options.wal.segment_bytes, WalOptions::default().segment_bytes);
        assert_eq!(options.purge_every, None);
        let tree = replica(&config);
        assert_eq!((tree.snapshot_bytes, tree.max_batch), (0, 0));
        assert_eq!(tree.flush_delay, Duration::ZERO);
    }

    #[test]
    fn sizes_and_times_arrive_in_their_units() {
        let config = of("log_size_limit_kib=100 snap_size_limit_kib=200 flush_delay_ms=7 \
             max_batch_size=9 autopurge_purge_interval_hours=2 fsync_warning_threshold_ms=30 \
             shutdown_timeout_ms=40");
        let options = cluster(&config).unwrap();
        assert_eq!(options.wal.segment_bytes, 100 * 1024);
        assert_eq!(options.purge_every, Some(Duration::from_secs(7200)));
        assert_eq!(options.slow_sync, Duration::from_millis(30));
        let tree = replica(&config);
        assert_eq!((tree.snapshot_bytes, tree.max_batch), (200 * 1024, 9));
        assert_eq!(tree.flush_delay, Duration::from_millis(7));
        let server = zookeeper(&config).unwrap();
        assert_eq!(server.shutdown_timeout, Duration::from_millis(40));
    }

    #[test]
    fn a_log_file_is_never_larger_than_its_format_allows() {
        for (kib, bytes) in [(1, 4096), (i64::MAX, 1 << 30)] {
            let config = of(&format!("log_size_limit_kib={kib}"));
            assert_eq!(journal(&config.zookeeper).segment_bytes, bytes);
        }
    }

    #[test]
    fn flags_arrive() {
        let flags = |config: &Config| {
            let server = zookeeper(config).unwrap();
            [server.leader_serves, server.standalone_enabled, server.eager_acl_check]
        };
        assert_eq!(flags(&of("")), [true, true, false]);
        let turned = "leader_serves=false standalone_enabled=false eager_acl_check=true";
        assert_eq!(flags(&of(turned)), [false, false, true]);
    }

    #[test]
    fn directories_are_told_from_the_root_on() {
        let shown = zookeeper(&Config::default()).unwrap().shown;
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown.data_dir, here.join("data").display().to_string());
        assert_eq!(shown.log_dir, shown.data_dir);
    }
}
