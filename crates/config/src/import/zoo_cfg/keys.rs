//! What each key of `zoo.cfg` means here. The names are those of ZooKeeper 3.9's administrator's
//! guide and of the Java system properties behind them, without their prefix `zookeeper.`, which
//! may be written or not.

/// How a value is written and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// `true` or `false`.
    Flag,
    /// `yes` or `no`, or a flag.
    YesNo,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// As `Number`, but every number below the first stands for 0.
    OrNone(i64, i64),
    /// As `Number`, multiplied by the last.
    Scaled(i64, i64, i64),
    /// A number from 0 to 1.
    Share,
    /// Any text.
    Text,
    /// Texts separated by commas.
    List,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Effect {
    /// Sets this key of `polyport.toml`.
    Set(&'static str, Form),
    /// Takes effect together with other keys.
    Together,
    /// There is nothing here that it could change, for this reason.
    NoMeaning(&'static str),
    /// What it asks for is not done here.
    Unsupported(&'static str),
}

use Effect::{NoMeaning, Set, Together, Unsupported};
use Form::{Flag, List, Number, OrNone, Scaled, Share, Text, YesNo};

const INT: i64 = i32::MAX as i64;
const ANY: Form = Number(0, INT);
const POSITIVE: Form = Number(1, INT);

const JAVA: &str = "it tunes threads, buffers or caches of the Java server";
const ELECTION: &str = "elections are Raft's; cluster.election_timeout_ms sets their time";
const QUORUM: &str = "it tunes ZooKeeper's own server-to-server protocol, which is replaced here";
const WATCHES: &str = "there is one kind of watch table here, and it needs no tuning";
const ONE_PORT: &str = "nodes speak through one port, node.listen";
const TLS: &str = "TLS 1.2 and 1.3 are offered, with the ciphers of the TLS library";
const REVOCATION: &str = "certificates are not checked for revocation";
const PASSWORD: &str = "private keys are read from PEM files without a password";
const KERBEROS: &str = "Kerberos (GSSAPI) is not offered; SASL DIGEST-MD5 is";
const SASL_QUORUM: &str = "nodes prove themselves to each other by cluster.secret";
const FORMAT: &str = "it is about the format of ZooKeeper's own files";
const TTL_353: &str = "TTL znodes of 3.5.3 are not read";
const ADMIN_TLS: &str = "the admin server speaks plain HTTP";
const PATH_STATS: &str = "statistics of paths are not kept";

/// Keys that are told apart by a number or name after a prefix.
pub(super) const FAMILIES: &[(&str, Effect)] = &[
    ("server.", Together),
    ("group.", Together),
    ("weight.", Together),
    ("authProvider.", Together),
    ("metricsProvider.", NoMeaning("it is not a key of the Prometheus provider")),
    ("quorum.auth.", NoMeaning(SASL_QUORUM)),
    ("pathStats.", Unsupported(PATH_STATS)),
    ("jvm.pause.", NoMeaning("there is no JVM here")),
];

/// All other keys; the names of a line are the same key.
pub(super) const KEYS: &[(&[&str], Effect)] = &[
    // Minimum configuration.
    (&["clientPort"], Together),
    (&["secureClientPort"], Together),
    (&["observerMasterPort"], NoMeaning(ONE_PORT)),
    (&["dataDir"], Set("data_dir", Text)),
    (&["tickTime"], Set("zookeeper.tick_time_ms", POSITIVE)),
    // Advanced configuration.
    (&["dataLogDir"], Set("log_dir", Text)),
    (&["globalOutstandingLimit"], Set("zookeeper.global_outstanding_limit", POSITIVE)),
    (&["preAllocSize"], Set("zookeeper.prealloc_bytes", Scaled(0, INT, 1024))),
    (&["snapCount"], Set("zookeeper.snap_count", Number(2, INT))),
    (&["commitLogCount"], NoMeaning("followers catch up from the log on disk")),
    (&["snapSizeLimitInKb"], Set("zookeeper.snap_size_limit_kib", OrNone(0, i64::MAX))),
    (&["txnLogSizeLimitInKb"], Set("zookeeper.log_size_limit_kib", OrNone(0, i64::MAX))),
    (&["maxCnxns"], Set("zookeeper.max_connections", ANY)),
    (&["maxClientCnxns"], Set("zookeeper.max_client_connections", ANY)),
    (&["clientPortAddress"], Together),
    (&["secureClientPortAddress"], Together),
    (&["minSessionTimeout"], Set("zookeeper.min_session_timeout_ms", OrNone(0, INT))),
    (&["maxSessionTimeout"], Set("zookeeper.max_session_timeout_ms", OrNone(0, INT))),
    (&["fsync.warningthresholdms"], Set("zookeeper.fsync_warning_threshold_ms", ANY)),
    (&["maxResponseCacheSize"], NoMeaning(JAVA)),
    (&["maxGetChildrenResponseCacheSize"], NoMeaning(JAVA)),
    (&["autopurge.snapRetainCount"], Together),
    (&["autopurge.purgeInterval"], Set("zookeeper.autopurge_purge_interval_hours", OrNone(0, INT))),
    (
        &["syncEnabled", "observer.syncEnabled"],
        NoMeaning("observers always keep what they receive on disk"),
    ),
    (&["extendedTypesEnabled"], Set("zookeeper.ttl_enabled", Flag)),
    (&["emulate353TTLNodes"], Unsupported(TTL_353)),
    (&["watchManagerName"], NoMeaning(WATCHES)),
    (&["watcherCleanThreadsNum"], NoMeaning(WATCHES)),
    (&["watcherCleanThreshold"], NoMeaning(WATCHES)),
    (&["watcherCleanIntervalInSeconds"], NoMeaning(WATCHES)),
    (&["maxInProcessingDeadWatchers"], NoMeaning(WATCHES)),
    (&["bitHashCacheSize"], NoMeaning(WATCHES)),
    (&["fastleader.minNotificationInterval"], NoMeaning(ELECTION)),
    (&["fastleader.maxNotificationInterval"], NoMeaning(ELECTION)),
    (
        &["connectionMaxTokens", "connection_throttle_tokens"],
        Set("zookeeper.connection_max_tokens", ANY),
    ),
    (
        &["connectionTokenFillTime", "connection_throttle_fill_time"],
        Set("zookeeper.connection_token_fill_time_ms", POSITIVE),
    ),
    (
        &["connectionTokenFillCount", "connection_throttle_fill_count"],
        Set("zookeeper.connection_token_fill_count", POSITIVE),
    ),
    (
        &["connectionFreezeTime", "connection_throttle_freeze_time"],
        Set("zookeeper.connection_freeze_time_ms", Number(-1, INT)),
    ),
    (
        &["connectionDropIncrease", "connection_throttle_drop_increase"],
        Set("zookeeper.connection_drop_increase", Share),
    ),
    (
        &["connectionDropDecrease", "connection_throttle_drop_decrease"],
        Set("zookeeper.connection_drop_decrease", Share),
    ),
    (
        &["connectionDecreaseRatio", "connection_throttle_decrease_ratio"],
        Set("zookeeper.connection_decrease_ratio", Share),
    ),
    (&["connection_throttle_weight_enabled"], Unsupported("each new connection costs one token")),
    (
        &["connection_throttle_global_session_weight"],
        Unsupported("each new connection costs one token"),
    ),
    (
        &["connection_throttle_local_session_weight"],
        Unsupported("each new connection costs one token"),
    ),
    (
        &["connection_throttle_renew_session_weight"],
        Unsupported("each new connection costs one token"),
    ),
    (&["clientPortListenBacklog"], Set("zookeeper.listen_backlog", OrNone(0, INT))),
    (&["serverCnxnFactory"], NoMeaning("one kind of server serves plain and TLS connections")),
    (&["flushDelay"], Set("zookeeper.flush_delay_ms", OrNone(0, INT))),
    (
        &["maxWriteQueuePollTime"],
        NoMeaning("the write queue is not polled; flushDelay takes effect"),
    ),
    (&["maxBatchSize"], Set("zookeeper.max_batch_size", OrNone(0, INT))),
    (&["enforceQuota"], Set("zookeeper.enforce_quota", Flag)),
    (
        &["requestThrottleLimit", "request_throttle_max_requests"],
        Set("zookeeper.request_throttle_limit", ANY),
    ),
    (
        &["requestThrottleStallTime", "request_throttle_stall_time"],
        Set("zookeeper.request_throttle_stall_ms", ANY),
    ),
    (
        &["requestThrottleDropStale", "request_throttle_drop_stale"],
        Set("zookeeper.request_throttle_drop_stale", Flag),
    ),
    (
        &["requestStaleLatencyCheck", "request_stale_latency_check"],
        Set("zookeeper.request_stale_latency_check", Flag),
    ),
    (
        &["requestStaleConnectionCheck", "request_stale_connection_check"],
        Set("zookeeper.request_stale_connection_check", Flag),
    ),
    (&["request_throttler.shutdownTimeout"], Set("zookeeper.shutdown_timeout_ms", ANY)),
    (
        &["advancedFlowControlEnabled", "netty.advancedFlowControl.enabled"],
        NoMeaning("flow control is always on"),
    ),
    (&["enableEagerACLCheck"], Set("zookeeper.eager_acl_check", Flag)),
    (&["maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"], NoMeaning(QUORUM)),
    (&["maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"], NoMeaning(QUORUM)),
    (&["digest.enabled"], Set("zookeeper.tree_digest_enabled", Flag)),
    (&["snapshot.compression.method"], NoMeaning(FORMAT)),
    (&["snapshot.trust.empty"], NoMeaning(FORMAT)),
    (&["audit.enable"], Set("zookeeper.audit_enable", Flag)),
    (&["audit.impl.class"], Unsupported("the audit log is written in one way")),
    (&["largeRequestMaxBytes"], Set("zookeeper.large_request_max_bytes", POSITIVE)),
    (&["largeRequestThreshold"], Set("zookeeper.large_request_threshold_bytes", Number(-1, INT))),
    (
        &["outstandingHandshake.limit", "netty.server.outstandingHandshake.limit"],
        Set("zookeeper.outstanding_handshake_limit", Number(-1, INT)),
    ),
    (
        &["netty.server.earlyDropSecureConnectionHandshakes"],
        NoMeaning("the port opens when the server is ready"),
    ),
    (
        &["throttledOpWaitTime", "throttled_op_wait_time"],
        Set("zookeeper.throttled_op_wait_ms", ANY),
    ),
    (&["learner.closeSocketAsync"], NoMeaning(QUORUM)),
    (&["leader.closeSocketAsync"], NoMeaning(QUORUM)),
    (&["learner.asyncSending"], NoMeaning(QUORUM)),
    (&["forward_learner_requests_to_commit_processor_disabled"], NoMeaning(QUORUM)),
    (&["serializeLastProcessedZxid.enabled"], NoMeaning(FORMAT)),
    // Cluster options.
    (&["electionAlg"], Together),
    (&["maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"], NoMeaning(ELECTION)),
    (&["initLimit"], Set("cluster.initial_limit_ticks", POSITIVE)),
    (&["connectToLearnerMasterLimit"], NoMeaning("connecting counts within initLimit")),
    (&["leaderServes"], Set("zookeeper.leader_serves", YesNo)),
    (&["syncLimit"], Set("cluster.sync_limit_ticks", POSITIVE)),
    (&["cnxTimeout"], NoMeaning(ELECTION)),
    (&["quorumCnxnTimeoutMs"], NoMeaning(ELECTION)),
    (&["standaloneEnabled"], Set("zookeeper.standalone_enabled", Flag)),
    (&["reconfigEnabled"], Set("zookeeper.reconfig_enabled", Flag)),
    (&["4lw.commands.whitelist"], Set("zookeeper.four_letter_words", List)),
    (&["tcpKeepAlive"], Set("node.tcp_keep_alive", Flag)),
    (&["clientTcpKeepAlive"], Set("zookeeper.client_tcp_keep_alive", Flag)),
    (&["electionPortBindRetry"], NoMeaning(ONE_PORT)),
    (&["observer.reconnectDelayMs"], NoMeaning(QUORUM)),
    (&["observer.election.DelayMs"], NoMeaning(ELECTION)),
    (&["localSessionsEnabled"], Unsupported("every session is known to all nodes")),
    (
        &["localSessionsUpgradingEnabled"],
        NoMeaning("every session is known to all nodes, so none needs upgrading"),
    ),
    (&["peerType"], Together),
    (&["dynamicConfigFile"], Together),
    (&["version"], NoMeaning("the version of the membership is the cluster's own")),
    (&["quorum.cnxn.threads.size"], NoMeaning(JAVA)),
    (&["oraclePath"], Unsupported("a quorum of two with an oracle is not offered")),
    // Encryption, authentication, authorization.
    (&["DigestAuthenticationProvider.enabled"], Set("zookeeper.digest_enabled", Flag)),
    (&["DigestAuthenticationProvider.superDigest"], Set("zookeeper.super_digest", Text)),
    (&["DigestAuthenticationProvider.digestAlg"], Set("zookeeper.digest_algorithm", Text)),
    (
        &["IPAuthenticationProvider.usexforwardedfor"],
        Unsupported("clients' addresses are those of their connections"),
    ),
    (&["X509AuthenticationProvider.superUser"], Set("zookeeper.x509_super_user", Text)),
    (&["superUser"], Set("zookeeper.super_user", Text)),
    (&["ssl.authProvider"], Together),
    (&["ensembleAuthName"], Set("zookeeper.ensemble_auth_names", List)),
    (&["sessionRequireClientSASLAuth"], Set("zookeeper.session_require_client_sasl_auth", Flag)),
    (&["allowSaslFailedClients"], Set("zookeeper.allow_sasl_failed_clients", Flag)),
    (&["enforce.auth.enabled"], Set("zookeeper.enforce_auth_enabled", Flag)),
    (&["enforce.auth.schemes"], Set("zookeeper.enforce_auth_schemes", List)),
    (
        &["requireClientAuthScheme"],
        NoMeaning("ZooKeeper reads it no longer: use sessionRequireClientSASLAuth"),
    ),
    (&["java.security.auth.login.config"], Together),
    (&["sasl.serverconfig", "jaasLoginRenew"], NoMeaning(KERBEROS)),
    (&["sslQuorum"], Together),
    (&["portUnification"], NoMeaning(ONE_PORT)),
    (&["ssl.keyStore.location"], Together),
    (&["ssl.keyStore.password"], Unsupported(PASSWORD)),
    (&["ssl.keyStore.passwordPath"], Unsupported(PASSWORD)),
    (&["ssl.keyStore.type"], Together),
    (&["ssl.trustStore.location"], Together),
    (&["ssl.trustStore.password"], Unsupported(PASSWORD)),
    (&["ssl.trustStore.passwordPath"], Unsupported(PASSWORD)),
    (&["ssl.trustStore.type"], Together),
    (&["ssl.clientAuth"], Together),
    (&["ssl.protocol"], Unsupported(TLS)),
    (&["ssl.enabledProtocols"], Unsupported(TLS)),
    (&["ssl.ciphersuites"], Unsupported(TLS)),
    (&["ssl.context.supplier.class"], NoMeaning(JAVA)),
    (&["ssl.hostnameVerification"], NoMeaning("clients' host names are not looked up")),
    (&["ssl.crl"], Unsupported(REVOCATION)),
    (&["ssl.ocsp"], Unsupported(REVOCATION)),
    (
        &["ssl.handshakeDetectionTimeoutMillis"],
        Unsupported("unauthenticated connections have one time limit"),
    ),
    (&["ssl.sslProvider"], NoMeaning(JAVA)),
    (&["ssl.quorum.keyStore.location"], Together),
    (&["ssl.quorum.keyStore.password"], Unsupported(PASSWORD)),
    (&["ssl.quorum.keyStore.passwordPath"], Unsupported(PASSWORD)),
    (&["ssl.quorum.keyStore.type"], Together),
    (&["ssl.quorum.trustStore.location"], Together),
    (&["ssl.quorum.trustStore.password"], Unsupported(PASSWORD)),
    (&["ssl.quorum.trustStore.passwordPath"], Unsupported(PASSWORD)),
    (&["ssl.quorum.trustStore.type"], Together),
    (&["ssl.quorum.clientAuth"], NoMeaning("nodes always check each other's certificates")),
    (&["ssl.quorum.protocol"], Unsupported(TLS)),
    (&["ssl.quorum.enabledProtocols"], Unsupported(TLS)),
    (&["ssl.quorum.ciphersuites"], Unsupported(TLS)),
    (&["ssl.quorum.context.supplier.class"], NoMeaning(JAVA)),
    (
        &["ssl.quorum.hostnameVerification"],
        NoMeaning("nodes always check each other's certificates"),
    ),
    (&["ssl.quorum.crl"], Unsupported(REVOCATION)),
    (&["ssl.quorum.ocsp"], Unsupported(REVOCATION)),
    (&["ssl.quorum.handshakeDetectionTimeoutMillis"], NoMeaning(ONE_PORT)),
    (&["sslQuorumReloadCertFiles"], Unsupported("certificates are read at the start")),
    (&["client.certReload"], Unsupported("certificates are read at the start")),
    (&["client.portUnification"], Set("zookeeper.port_unification", Flag)),
    (&["authProvider"], Together),
    (&["kerberos.removeHostFromPrincipal"], Unsupported(KERBEROS)),
    (&["kerberos.removeRealmFromPrincipal"], Unsupported(KERBEROS)),
    (&["kerberos.canonicalizeHostNames"], Unsupported(KERBEROS)),
    (&["multiAddress.enabled"], Unsupported("a node has one address; the first one is taken")),
    (
        &["multiAddress.reachabilityCheckTimeoutMs"],
        Unsupported("a node has one address; the first one is taken"),
    ),
    (
        &["multiAddress.reachabilityCheckEnabled"],
        Unsupported("a node has one address; the first one is taken"),
    ),
    (&["fips-mode"], NoMeaning(JAVA)),
    // Experimental and unsafe options.
    (&["readonlymode.enabled"], Set("zookeeper.read_only_mode", Flag)),
    (&["follower.skipLearnerRequestToNextProcessor"], NoMeaning(QUORUM)),
    (&["forceSync"], Set("zookeeper.force_sync", YesNo)),
    (&["jute.maxbuffer"], Set("zookeeper.max_frame_bytes", Number(1024, INT))),
    (&["jute.maxbuffer.extrasize"], NoMeaning(QUORUM)),
    (&["skipACL"], Set("zookeeper.skip_acl", YesNo)),
    (&["quorumListenOnAllIPs"], Together),
    (&["datadir.autocreate"], Unsupported("the data directory is made if it is missing")),
    (&["db.autocreate"], NoMeaning("a node with an empty directory catches up before it votes")),
    // Performance tuning.
    (&["nio.numSelectorThreads"], NoMeaning(JAVA)),
    (&["nio.numWorkerThreads"], NoMeaning(JAVA)),
    (&["nio.directBufferBytes"], NoMeaning(JAVA)),
    (&["nio.sessionlessCnxnTimeout"], NoMeaning(JAVA)),
    (&["nio.shutdownTimeout"], NoMeaning(JAVA)),
    (&["commitProcessor.numWorkerThreads"], NoMeaning(JAVA)),
    (&["commitProcessor.maxReadBatchSize"], NoMeaning(JAVA)),
    (&["commitProcessor.maxCommitBatchSize"], NoMeaning(JAVA)),
    (&["commitProcessor.shutdownTimeout"], NoMeaning(JAVA)),
    (&["znode.container.checkIntervalMs"], Set("zookeeper.container_check_interval_ms", POSITIVE)),
    (&["znode.container.maxPerMinute"], Set("zookeeper.container_max_per_minute", POSITIVE)),
    (
        &["znode.container.maxNeverUsedIntervalMs"],
        Set("zookeeper.container_max_never_used_ms", Number(0, i64::MAX)),
    ),
    (&["messageTracker.BufferSize"], NoMeaning(QUORUM)),
    (&["messageTracker.Enabled"], NoMeaning(QUORUM)),
    (&["closeSessionTxn.enabled"], NoMeaning(FORMAT)),
    (&["intBufferStartingSizeBytes"], NoMeaning(JAVA)),
    // Admin server and metrics.
    (&["admin.rateLimiterIntervalInMS"], Set("admin.rate_limiter_interval_ms", ANY)),
    (&["admin.snapshot.enabled"], Set("admin.snapshot_enabled", Flag)),
    (&["admin.restore.enabled"], Set("admin.restore_enabled", Flag)),
    (&["admin.needClientAuth"], Unsupported(ADMIN_TLS)),
    (&["admin.forceHttps"], Unsupported(ADMIN_TLS)),
    (&["admin.portUnification"], Unsupported(ADMIN_TLS)),
    (&["admin.httpVersion"], NoMeaning(JAVA)),
    (&["admin.enableServer"], Set("admin.enabled", Flag)),
    (&["admin.serverAddress"], Together),
    (&["admin.serverPort"], Together),
    (&["admin.idleTimeout"], Set("admin.idle_timeout_ms", ANY)),
    (&["admin.commandURL"], Set("admin.command_url", Text)),
    (&["metricsProvider.className"], Together),
    (&["metricsProvider.httpHost"], Together),
    (&["metricsProvider.httpPort"], Together),
    (&["metricsProvider.exportJvmInfo"], NoMeaning("there is no JVM here")),
    (&["metricsProvider.numWorkerThreads"], NoMeaning(JAVA)),
    (&["metricsProvider.maxQueueSize"], NoMeaning(JAVA)),
    (&["metricsProvider.workerShutdownTimeoutMs"], NoMeaning(JAVA)),
];

/// What a key does, if it is one of ZooKeeper's.
pub(super) fn effect(key: &str) -> Option<Effect> {
    let exact = KEYS.iter().find(|(names, _)| names.contains(&key)).map(|(_, effect)| *effect);
    exact.or_else(|| FAMILIES.iter().find(|(p, _)| key.starts_with(p)).map(|(_, effect)| *effect))
}

/// The key that was probably meant: ZooKeeper's keys are case-sensitive, operators' memory is not.
pub(super) fn similar(key: &str) -> Option<&'static str> {
    KEYS.iter().flat_map(|(names, _)| *names).find(|n| n.eq_ignore_ascii_case(key)).copied()
}
