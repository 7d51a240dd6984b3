//! From the configuration's words to the crates'.

use std::time::Duration;

use polyport_base::NodeId;
use polyport_cluster::node::Options;
use polyport_cluster::{Member, Members, Role};
use polyport_config::{Config, NodeRole};
use polyport_storage::WalOptions;
use polyport_tree::replica;
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
pub(crate) fn cluster(config: &Config) -> Options {
    let mut options = Options::new(NodeId(config.node.id), members(config), &config.data_dir);
    options.join = config.cluster.join.as_ref().map(ToString::to_string);
    if let Some(log_dir) = &config.log_dir {
        options.log_dir = log_dir.join("log");
    }
    let zookeeper = &config.zookeeper;
    options.snapshots_kept = zookeeper.autopurge_snap_retain_count as usize;
    let clamp = |bytes: u64| bytes.clamp(4096, 1 << 30) as u32;
    options.wal =
        WalOptions { prealloc_bytes: clamp(zookeeper.prealloc_bytes), ..WalOptions::default() };
    options.durable = zookeeper.force_sync;
    options.heartbeat = Duration::from_millis(config.cluster.heartbeat_ms);
    let [shortest, longest] = config.cluster.election_timeout_ms;
    options.election = (Duration::from_millis(shortest), Duration::from_millis(longest));
    options
}

/// How the node keeps its copy of the tree.
pub(crate) fn replica(config: &Config) -> replica::Settings {
    let zookeeper = &config.zookeeper;
    replica::Settings {
        tick: Duration::from_millis(zookeeper.tick_time_ms),
        snapshot_every: zookeeper.snap_count,
        reap_every: Duration::from_millis(zookeeper.container_check_interval_ms),
        reap_per_minute: zookeeper.container_max_per_minute as usize,
        container_unused: Duration::from_millis(zookeeper.container_max_never_used_ms),
        ..replica::Settings::new(NodeId(config.node.id))
    }
}

/// How ZooKeeper's clients are served.
pub(crate) fn zookeeper(config: &Config) -> server::Settings {
    let zookeeper = &config.zookeeper;
    let ms = Duration::from_millis;
    let path = |path: &std::path::Path| path.display().to_string();
    server::Settings {
        tick: ms(zookeeper.tick_time_ms),
        min_session_timeout: ms(zookeeper.effective_min_session_timeout_ms()),
        max_session_timeout: ms(zookeeper.effective_max_session_timeout_ms()),
        max_client_connections: zookeeper.max_client_connections as usize,
        max_connections: zookeeper.max_connections as usize,
        max_frame: zookeeper.max_frame_bytes as usize,
        four_letter_words: zookeeper.four_letter_words.clone(),
        enforce_quota: zookeeper.enforce_quota,
        skip_acl: zookeeper.skip_acl,
        super_digest: Some(zookeeper.super_digest.clone()).filter(|digest| !digest.is_empty()),
        read_only: zookeeper.read_only_mode,
        reconfig_enabled: zookeeper.reconfig_enabled,
        shown: server::Shown {
            data_dir: path(&config.data_dir),
            log_dir: path(config.log_dir.as_ref().unwrap_or(&config.data_dir)),
        },
        ..server::Settings::default()
    }
}
