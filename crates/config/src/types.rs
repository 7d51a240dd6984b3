//! The keys of `polyport.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address::{Address, Listen};
use crate::kafka::{KafkaListener, Properties};
use crate::section::section;

/// Part a node has in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Votes and can lead: ZooKeeper's participant.
    #[default]
    Voter,
    /// Follows without a vote: ZooKeeper's observer.
    Observer,
}

/// Whether a TLS client must show a certificate: ZooKeeper's `ssl.clientAuth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It is not asked for one.
    None,
    /// It is asked; a connection without one is accepted.
    Want,
    /// A connection without one is refused.
    #[default]
    Need,
}

/// Hash of the digest scheme: ZooKeeper's `DigestAuthenticationProvider.digestAlg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// ZooKeeper's default.
    #[default]
    #[serde(rename = "SHA1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "SHA-512")]
    Sha512,
    /// SHA3-256.
    #[serde(rename = "SHA3-256")]
    Sha3_256,
}

/// Certificates of the node-to-node port, PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTls {
    /// This node's certificate chain.
    pub cert: PathBuf,
    /// Its private key; may be the same file as `cert`.
    pub key: PathBuf,
    /// The authority that signs all nodes' certificates.
    pub ca: PathBuf,
}

/// Certificates of ZooKeeper's secure port, PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZookeeperTls {
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its private key; may be the same file as `cert`.
    pub key: PathBuf,
    /// The authority that signs clients' certificates; needed unless `client_auth` is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Whether clients must show a certificate.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

/// A node of the cluster as all nodes know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its `node.id`, 1 to 254.
    pub id: u64,
    /// Where its node-to-node port is reached.
    pub address: Address,
    /// Whether it votes.
    #[serde(default)]
    pub role: NodeRole,
    /// Where ZooKeeper's clients reach it, as `/zookeeper/config` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zookeeper: Option<Address>,
    /// `host:port:port` as `/zookeeper/config` shows it (ZooKeeper's `server.N`, with its election
    /// port); made of `address` if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub quorum: String,
    /// Its group in a hierarchical quorum (ZooKeeper's `group.N`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u64>,
    /// The weight of its vote (ZooKeeper's `weight.N`).
    #[serde(default = "one")]
    pub weight: u64,
}

fn one() -> u64 {
    1
}

fn local(port: u16) -> Address {
    Address { host: "127.0.0.1".to_owned(), port }
}

section! {
    /// All of a node's configuration.
    Config {
        /// Directory of everything the node keeps. ZooKeeper: dataDir.
        data_dir: PathBuf = PathBuf::from("./data");
        /// Directory of the transaction log, if it is to be on another disk than data_dir.
        /// ZooKeeper: dataLogDir.
        log_dir: Option<PathBuf> = None, example "\"/ssd/polyport-log\"";
        /// Allow listening beyond loopback while a default or empty secret is in force.
        insecure_defaults: bool = false;
        /// This node.
        node: Node = Node::default();
        /// The cluster it belongs to.
        cluster: Cluster = Cluster::default();
        /// ZooKeeper's protocol.
        zookeeper: Zookeeper = Zookeeper::default();
        /// Kafka's protocol.
        kafka: Kafka = Kafka::default();
        /// The HTTP admin server.
        admin: Admin = Admin::default();
        /// The Prometheus page.
        metrics: Metrics = Metrics::default();
    }
}

section! {
    /// This node, as the other nodes see it.
    Node {
        /// Identity in the cluster, 1 to 254, never reused for another node. ZooKeeper: the file myid.
        id: u64 = 1;
        /// Where the node-to-node port listens. ZooKeeper: the first port of server.N.
        listen: Address = local(7700);
        /// Where other nodes reach this one, if not at node.listen.
        advertise: Option<Address> = None, example "\"node1.example.com:7700\"";
        /// Certificates of the node-to-node port (PEM); without them it is not encrypted.
        /// ZooKeeper: sslQuorum, ssl.quorum.*.
        tls: Option<NodeTls> = None, example "{ cert = \"node.crt\", key = \"node.key\", ca = \"ca.crt\" }";
        /// TCP keep-alive on node-to-node connections. ZooKeeper: tcpKeepAlive (off there unless set).
        tcp_keep_alive: bool = true;
    }
}

section! {
    /// The cluster. Without nodes and join, this node is a cluster of one.
    Cluster {
        /// What nodes prove to each other that they belong together; the same text on all of them.
        /// May be empty only while every door is on loopback.
        secret: String = String::new();
        /// All nodes at the first start, this one included; afterwards membership is kept in the
        /// cluster. zookeeper is the address that /zookeeper/config shows. ZooKeeper: server.N,
        /// group.N, weight.N. Each: { id = 1, address = "10.0.0.1:7700", role = "voter" or
        /// "observer", zookeeper = "10.0.0.1:2181", group = 1, weight = 1 }.
        nodes: Vec<Peer> = Vec::new();
        /// Join the cluster that this node belongs to, instead of forming one.
        join: Option<Address> = None, example "\"10.0.0.1:7700\"";
        /// Ticks (zookeeper.tick_time_ms) that a node may take to connect and catch up.
        /// ZooKeeper: initLimit.
        initial_limit_ticks: u32 = 10;
        /// Ticks (zookeeper.tick_time_ms) that a node may lag behind before it is dropped.
        /// ZooKeeper: syncLimit.
        sync_limit_ticks: u32 = 5;
        /// Milliseconds after which an election starts once the leader counts as gone: drawn from
        /// this range. It counts as gone after the second of them.
        election_timeout_ms: [u64; 2] = [150, 300];
        /// Milliseconds between a leader's heartbeats; below half the shortest election timeout.
        heartbeat_ms: u64 = 50;
    }
}

section! {
    /// ZooKeeper's client protocol and what it keeps.
    Zookeeper {
        /// Where clients connect; empty for no plain port. ZooKeeper: clientPort, clientPortAddress.
        listen: Listen = local(2181).into();
        /// Where TLS clients connect; empty for none. ZooKeeper: secureClientPort,
        /// secureClientPortAddress.
        secure_listen: Listen = Listen(None);
        /// Certificates of the secure port (PEM). client_auth is none, want or need.
        /// ZooKeeper: ssl.keyStore.location, ssl.trustStore.location, ssl.clientAuth.
        tls: Option<ZookeeperTls> = None, example "{ cert = \"server.crt\", key = \"server.key\", ca = \"ca.crt\", client_auth = \"need\" }";
        /// Accept TLS on the plain port too. ZooKeeper: client.portUnification.
        port_unification: bool = false;
        /// TCP keep-alive on clients' connections. ZooKeeper: clientTcpKeepAlive.
        client_tcp_keep_alive: bool = false;
        /// Connections the system queues before they are accepted; 0 for the system's default.
        /// ZooKeeper: clientPortListenBacklog.
        listen_backlog: u32 = 0;
        /// Milliseconds of a tick, the unit of timeouts. ZooKeeper: tickTime.
        tick_time_ms: u64 = 2000;
        /// Shortest session timeout a client can get, milliseconds; 0 for 2 ticks.
        /// ZooKeeper: minSessionTimeout.
        min_session_timeout_ms: u64 = 0;
        /// Longest session timeout a client can get, milliseconds; 0 for 20 ticks.
        /// ZooKeeper: maxSessionTimeout.
        max_session_timeout_ms: u64 = 0;
        /// Connections from one address; 0 for no limit. ZooKeeper: maxClientCnxns.
        max_client_connections: u32 = 60;
        /// Connections in all, for each port; 0 for no limit. ZooKeeper: maxCnxns.
        max_connections: u32 = 0;
        /// Largest request, bytes. ZooKeeper: jute.maxbuffer.
        max_frame_bytes: u64 = 0xf_ffff;
        /// Bytes of all large requests in flight; a request over it closes its connection.
        /// ZooKeeper: largeRequestMaxBytes.
        large_request_max_bytes: u64 = 100 << 20;
        /// Bytes from which a request is large; -1 for never. ZooKeeper: largeRequestThreshold.
        large_request_threshold_bytes: i64 = -1;
        /// Writes in progress on this node before clients that have some of them are not read on.
        /// ZooKeeper: globalOutstandingLimit.
        global_outstanding_limit: u32 = 1000;
        /// Writes in progress on this node before new requests wait; 0 for no limit.
        /// ZooKeeper: requestThrottleLimit.
        request_throttle_limit: u32 = 0;
        /// Longest single wait of such a request, milliseconds. ZooKeeper: requestThrottleStallTime.
        request_throttle_stall_ms: u64 = 100;
        /// Drop requests whose connection is gone or whose wait is over. ZooKeeper:
        /// requestThrottleDropStale.
        request_throttle_drop_stale: bool = true;
        /// Count a request as stale once it is older than its session's timeout. ZooKeeper:
        /// requestStaleLatencyCheck.
        request_stale_latency_check: bool = false;
        /// Count a request as stale once its connection is closed. ZooKeeper:
        /// requestStaleConnectionCheck.
        request_stale_connection_check: bool = true;
        /// Milliseconds of waiting after which a request is answered ThrottledOp; 0 for never.
        /// ZooKeeper: throttledOpWaitTime.
        throttled_op_wait_ms: u64 = 0;
        /// Tokens for new connections; 0 for no throttle. ZooKeeper: connectionMaxTokens.
        connection_max_tokens: u32 = 0;
        /// Milliseconds between two fillings of tokens. ZooKeeper: connectionTokenFillTime.
        connection_token_fill_time_ms: u64 = 1;
        /// Tokens of one filling. ZooKeeper: connectionTokenFillCount.
        connection_token_fill_count: u32 = 1;
        /// Milliseconds between two changes of the dropping probability; -1 for no dropping.
        /// ZooKeeper: connectionFreezeTime.
        connection_freeze_time_ms: i64 = -1;
        /// Step by which the dropping probability grows. ZooKeeper: connectionDropIncrease.
        connection_drop_increase: f64 = 0.02;
        /// Step by which it shrinks. ZooKeeper: connectionDropDecrease.
        connection_drop_decrease: f64 = 0.002;
        /// Share of tokens under which it does not shrink. ZooKeeper: connectionDecreaseRatio.
        connection_decrease_ratio: f64 = 0.0;
        /// TLS handshakes in progress at once; -1 for no limit. ZooKeeper:
        /// netty.server.outstandingHandshake.limit.
        outstanding_handshake_limit: i64 = -1;
        /// Four-letter commands that are answered; "*" for all. ZooKeeper: 4lw.commands.whitelist.
        four_letter_words: Vec<String> = vec!["srvr".to_owned()];
        /// Transactions between two snapshots; each is taken at a random point from half of it.
        /// ZooKeeper: snapCount.
        snap_count: u64 = 100_000;
        /// Log bytes between two snapshots, KiB; each is taken at a random point from half of it. 0
        /// for no limit. ZooKeeper: snapSizeLimitInKb.
        snap_size_limit_kib: u64 = 4 << 20;
        /// Largest log file, KiB, unless one batch of writes is larger; 0 for 64 MiB, and at most
        /// 1 GiB. ZooKeeper: txnLogSizeLimitInKb.
        log_size_limit_kib: u64 = 0;
        /// Bytes a log file grows by at once. ZooKeeper: preAllocSize (there in KiB).
        prealloc_bytes: u64 = 64 << 20;
        /// Snapshots that purging keeps, at least 3. ZooKeeper: autopurge.snapRetainCount.
        autopurge_snap_retain_count: u32 = 3;
        /// Hours between purgings, the first at the start; 0 to purge with each new snapshot.
        /// ZooKeeper: autopurge.purgeInterval (0 for never there).
        autopurge_purge_interval_hours: u32 = 0;
        /// Milliseconds after a batch of writes before the next is sent to the leader, so that more
        /// share one fsync; 0 for no wait. ZooKeeper: flushDelay.
        flush_delay_ms: u64 = 0;
        /// Writes of a batch at most: it is sent when it has so many, however early; 0 for no limit.
        /// ZooKeeper: maxBatchSize.
        max_batch_size: u32 = 1000;
        /// Fsync before a write is answered. Without it a power cut loses answered writes.
        /// ZooKeeper: forceSync.
        force_sync: bool = true;
        /// Milliseconds of an fsync of the log beyond which it is logged and counted as slow.
        /// ZooKeeper: fsync.warningthresholdms.
        fsync_warning_threshold_ms: u64 = 1000;
        /// Let clients that ask for it read while there is no quorum. ZooKeeper:
        /// readonlymode.enabled.
        read_only_mode: bool = false;
        /// Whether a node accepts clients while it leads others. ZooKeeper: leaderServes.
        leader_serves: bool = true;
        /// Refuse writes over a hard quota; without it they are logged. ZooKeeper: enforceQuota.
        enforce_quota: bool = false;
        /// Do not check access control lists. ZooKeeper: skipACL.
        skip_acl: bool = false;
        /// Check access also on the client's own node, before a write is sent to the leader.
        /// ZooKeeper: enableEagerACLCheck.
        eager_acl_check: bool = false;
        /// The super user, as name:base64(digest(name:password)); empty for none. ZooKeeper:
        /// DigestAuthenticationProvider.superDigest.
        super_digest: String = String::new();
        /// SASL or Kerberos name that has super rights; empty for none. ZooKeeper: superUser.
        super_user: String = String::new();
        /// X.509 subject that has super rights; empty for none. ZooKeeper:
        /// X509AuthenticationProvider.superUser.
        x509_super_user: String = String::new();
        /// Whether the digest scheme is accepted. ZooKeeper: DigestAuthenticationProvider.enabled.
        digest_enabled: bool = true;
        /// Hash of the digest scheme: SHA1, SHA-256, SHA-512 or SHA3-256. ZooKeeper:
        /// DigestAuthenticationProvider.digestAlg.
        digest_algorithm: DigestAlgorithm = DigestAlgorithm::Sha1;
        /// Names a client may give this ensemble in the scheme "ensemble"; empty for no check.
        /// ZooKeeper: ensembleAuthName.
        ensemble_auth_names: Vec<String> = Vec::new();
        /// Accept sessions only from clients that authenticated by SASL. ZooKeeper:
        /// sessionRequireClientSASLAuth.
        session_require_client_sasl_auth: bool = false;
        /// Let clients go on whose SASL authentication failed. ZooKeeper: allowSaslFailedClients.
        allow_sasl_failed_clients: bool = false;
        /// Accept requests only from clients that authenticated by one of enforce_auth_schemes.
        /// ZooKeeper: enforce.auth.enabled.
        enforce_auth_enabled: bool = false;
        /// Those schemes. ZooKeeper: enforce.auth.schemes.
        enforce_auth_schemes: Vec<String> = Vec::new();
        /// Users of SASL DIGEST-MD5, name = "password". ZooKeeper: the Server section of the JAAS
        /// file.
        sasl_users: BTreeMap<String, String> = BTreeMap::new();
        /// Allow changes of membership by clients. ZooKeeper: reconfigEnabled.
        reconfig_enabled: bool = false;
        /// Treat a lone voter as a standalone server: it has no observers, and clients may not
        /// reconfigure an ensemble down to it. ZooKeeper: standaloneEnabled.
        standalone_enabled: bool = true;
        /// Milliseconds between two sweeps of container and TTL znodes. ZooKeeper:
        /// znode.container.checkIntervalMs.
        container_check_interval_ms: u64 = 60_000;
        /// Container and TTL znodes deleted a minute at most. ZooKeeper:
        /// znode.container.maxPerMinute.
        container_max_per_minute: u32 = 10_000;
        /// Milliseconds after which a container that never had a child is deleted; 0 for never.
        /// ZooKeeper: znode.container.maxNeverUsedIntervalMs.
        container_max_never_used_ms: u64 = 0;
        /// Allow znodes with a time to live. ZooKeeper: extendedTypesEnabled (off there unless set).
        ttl_enabled: bool = true;
        /// Write a line to the audit log for each write. ZooKeeper: audit.enable.
        audit_enable: bool = false;
        /// File of the audit log, in data_dir unless its path is absolute. At 10 MiB it is put aside
        /// as .1, what was .1 as .2, and so on to .10. ZooKeeper: the logger of Slf4jAuditLogger.
        audit_file: PathBuf = PathBuf::from("zookeeper_audit.log");
        /// Keep a digest of the tree, for the command hash. ZooKeeper: digest.enabled.
        tree_digest_enabled: bool = true;
        /// Milliseconds that requests in progress may take when the node stops. ZooKeeper:
        /// request_throttler.shutdownTimeout.
        shutdown_timeout_ms: u64 = 10_000;
    }
}

section! {
    /// Kafka's protocol. What is not a key of its own here is set under properties, by the names of
    /// Kafka's server.properties.
    Kafka {
        /// Where clients connect, as NAME://host:port; an empty list closes Kafka's door.
        /// Kafka: listeners.
        listeners: Vec<KafkaListener> =
            vec![KafkaListener { name: "PLAINTEXT".to_owned(), address: local(9092) }];
        /// What clients are told to connect to, if it is not the listener of the same name.
        /// Kafka: advertised.listeners.
        advertised_listeners: Vec<KafkaListener> = Vec::new();
        /// Identity among the brokers, 0 or greater; node.id if it is left out. Kafka: broker.id.
        broker_id: Option<u32> = None, example "0";
        /// Directories of the logs; data_dir/kafka if there is none. Kafka: log.dirs.
        log_dirs: Vec<PathBuf> = Vec::new();
        /// Broker settings by Kafka's own names, such as "num.partitions" = 3.
        properties: Properties = Properties::default();
    }
}

section! {
    /// The HTTP admin server (ZooKeeper's AdminServer).
    Admin {
        /// Whether it runs. ZooKeeper: admin.enableServer.
        enabled: bool = true;
        /// Where it listens. ZooKeeper: admin.serverAddress, admin.serverPort.
        listen: Address = local(8080);
        /// Path of the list of commands. ZooKeeper: admin.commandURL.
        command_url: String = "/commands".to_owned();
        /// Milliseconds after which an idle connection is closed. ZooKeeper: admin.idleTimeout.
        idle_timeout_ms: u64 = 30_000;
        /// Milliseconds between two snapshot or restore commands. ZooKeeper:
        /// admin.rateLimiterIntervalInMS.
        rate_limiter_interval_ms: u64 = 300_000;
        /// Whether the snapshot command is answered. ZooKeeper: admin.snapshot.enabled.
        snapshot_enabled: bool = true;
        /// Whether the restore command is answered. ZooKeeper: admin.restore.enabled.
        restore_enabled: bool = true;
    }
}

section! {
    /// The Prometheus page.
    Metrics {
        /// Whether it is served. ZooKeeper: metricsProvider.className.
        enabled: bool = true;
        /// Where it listens. ZooKeeper: metricsProvider.httpHost, metricsProvider.httpPort.
        listen: Address = local(7000);
    }
}

impl Zookeeper {
    /// The shortest session timeout, milliseconds.
    pub fn effective_min_session_timeout_ms(&self) -> u64 {
        or_ticks(self.min_session_timeout_ms, self.tick_time_ms, 2)
    }

    /// The longest session timeout, milliseconds.
    pub fn effective_max_session_timeout_ms(&self) -> u64 {
        or_ticks(self.max_session_timeout_ms, self.tick_time_ms, 20)
    }
}

fn or_ticks(set: u64, tick_time_ms: u64, ticks: u64) -> u64 {
    if set == 0 { tick_time_ms.saturating_mul(ticks) } else { set }
}
