use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use crate::import::Imported;
use crate::layers::Layers;
use crate::types::{ClientAuth, Config, NodeRole};

use super::keys::{self, Effect};

/// A folder of its own, removed at the end, with `myid` and whatever a test writes.
struct Folder(PathBuf);

impl Folder {
    fn new(my_id: Option<&str>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("zoo-cfg-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let folder = Self(dir);
        if let Some(id) = my_id {
            folder.write("myid", id);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Imports a text with this folder as dataDir, which is line 1.
    fn import(&self, text: &str) -> Imported {
        let text = format!("dataDir={}\n{text}", self.0.display());
        super::import(Path::new("zoo.cfg"), text.as_bytes())
    }

    fn config(&self, text: &str) -> Config {
        Layers::new().imported(self.import(text)).finish().unwrap().config
    }

    fn problems(&self, text: &str) -> Vec<String> {
        let problems = Layers::new().imported(self.import(text)).finish().unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    fn warnings(&self, text: &str) -> Vec<String> {
        self.import(text).warnings.iter().map(ToString::to_string).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const THREE: &str = "server.1=10.0.0.131:2888:3888\nserver.2=10.0.0.132:2888:3888:participant\n\
                     server.3=10.0.0.133:2889:3889:observer\n";

#[test]
fn a_standalone_file_stays_on_loopback() {
    let folder = Folder::new(None);
    let text = "tickTime=3000\ninitLimit=7\nsyncLimit=4\nclientPort=2182\nmaxClientCnxns=128\n\
                autopurge.snapRetainCount=4\nautopurge.purgeInterval=24\ndataLogDir=/log\n";
    let config = folder.config(text);
    assert_eq!(config.data_dir, folder.0);
    assert_eq!(config.log_dir.as_deref(), Some(Path::new("/log")));
    assert_eq!(config.zookeeper.tick_time_ms, 3000);
    assert_eq!((config.cluster.initial_limit_ticks, config.cluster.sync_limit_ticks), (7, 4));
    assert_eq!(config.zookeeper.listen.0.clone().unwrap().to_string(), "127.0.0.1:2182");
    assert_eq!(config.zookeeper.max_client_connections, 128);
    assert_eq!(config.zookeeper.autopurge_snap_retain_count, 4);
    assert_eq!(config.zookeeper.autopurge_purge_interval_hours, 24);
    assert!(config.cluster.nodes.is_empty());
    assert_eq!(config.validate(), Ok(()));
    assert!(folder.warnings(text)[0].contains("clientPortAddress=0.0.0.0 opens it on all"));
}

#[test]
fn an_ensemble_becomes_the_cluster() {
    let folder = Folder::new(Some("2\n"));
    let config = folder.config(&format!("clientPort=2181\n{THREE}"));
    assert_eq!(config.node.id, 2);
    assert_eq!(config.node.listen.to_string(), "10.0.0.132:2888");
    assert_eq!(config.node.advertise.unwrap().to_string(), "10.0.0.132:2888");
    assert_eq!(config.zookeeper.listen.0.unwrap().to_string(), "0.0.0.0:2181");
    let nodes: Vec<_> =
        config.cluster.nodes.iter().map(|n| (n.id, n.address.to_string(), n.role)).collect();
    assert_eq!(
        nodes,
        [
            (1, "10.0.0.131:2888".to_owned(), NodeRole::Voter),
            (2, "10.0.0.132:2888".to_owned(), NodeRole::Voter),
            (3, "10.0.0.133:2889".to_owned(), NodeRole::Observer),
        ]
    );
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn an_ensemble_of_several_machines_asks_for_a_secret() {
    let config = Folder::new(Some("1")).config(&format!("clientPort=2181\n{THREE}"));
    let found = config.validate().unwrap_err();
    let told: Vec<_> = found.iter().map(|invalid| invalid.key.as_str()).collect();
    assert_eq!(told, ["node.listen", "zookeeper.listen", "cluster.secret"]);
}

#[test]
fn server_lines_with_client_ports_groups_and_weights() {
    let folder = Folder::new(Some("1"));
    let config = folder.config(
        "server.1=[::1]:2888:3888;2181\nserver.2=localhost:2889:3889:participant;127.0.0.1:2182\n\
         server.3=zoo3:2890:3890|zoo3b:2891:3891\nserver.4=zoo4:2888:3888:OBSERVER\n\
         group.1=1:2\ngroup.2=3\nweight.3=5\nquorumListenOnAllIPs=true\n",
    );
    let nodes = &config.cluster.nodes;
    assert_eq!(nodes[0].zookeeper.as_ref().unwrap().to_string(), "[::1]:2181");
    assert_eq!(config.zookeeper.listen.0.unwrap().to_string(), "[::1]:2181");
    assert_eq!(config.node.listen.to_string(), "0.0.0.0:2888");
    assert_eq!(nodes[1].zookeeper.as_ref().unwrap().to_string(), "127.0.0.1:2182");
    assert_eq!(nodes[2].address.to_string(), "zoo3:2890");
    assert_eq!(nodes[3].role, NodeRole::Observer);
    let groups: Vec<_> = nodes.iter().map(|n| (n.group, n.weight)).collect();
    assert_eq!(groups, [(Some(1), 1), (Some(1), 1), (Some(2), 5), (None, 1)]);
}

#[test]
fn a_lone_server_line_is_standalone_as_in_zookeeper() {
    let folder = Folder::new(Some("1"));
    let text = "server.1=127.0.0.1:2888:3888\nclientPort=2181\n";
    assert!(folder.config(text).cluster.nodes.is_empty());
    assert!(folder.warnings(text).iter().any(|w| w.contains("only server")));
    let alone = folder.config(&format!("{text}standaloneEnabled=false\n"));
    assert_eq!(alone.cluster.nodes.len(), 1);
}

#[test]
fn the_dynamic_file_is_read() {
    let folder = Folder::new(Some("3"));
    let path = folder.write("zoo.cfg.dynamic", &format!("{THREE}version=100000000\n"));
    let config = folder.config(&format!("dynamicConfigFile={}\n", path.display()));
    assert_eq!((config.node.id, config.cluster.nodes.len()), (3, 3));
    let missing = folder.problems("dynamicConfigFile=/nonexistent/dynamic\n");
    assert!(missing[0].starts_with("zoo.cfg:2: dynamicConfigFile: cannot be read"), "{missing:?}");
}

#[test]
fn impossible_values_name_file_line_key_and_reason() {
    let folder = Folder::new(Some("1"));
    for (text, expected) in [
        ("tickTime=0", "zoo.cfg:2: tickTime: 0 is not in 1 to 2147483647"),
        ("tickTime=2000  # two seconds", "a comment needs a line of its own"),
        ("#\n\nsnapCount=1", "zoo.cfg:4: snapCount: 1 is not in 2"),
        ("clientPort=65536", "zoo.cfg:2: clientPort: 65536 is not in 0 to 65535"),
        ("clientPort=21 81", "`21 81` is not a whole number"),
        ("clientPortAddress=1.2.3.4", "clientPortAddress: is set but clientPort is not set"),
        (
            "clientPort=1\nclientPortAddress=a b",
            "zoo.cfg:3: clientPortAddress: `a b` is not a host",
        ),
        ("reconfigEnabled=yes", "`yes` is not true or false"),
        ("leaderServes=maybe", "`maybe` is not yes, no, true or false"),
        ("connectionDropIncrease=2", "`2` is not a number from 0 to 1"),
        ("electionAlg=1", "electionAlg: only 3 is allowed"),
        ("DigestAuthenticationProvider.digestAlg=MD5", "digestAlg: unknown variant `MD5`"),
        ("authProvider.1=com.example.Own", "authProvider.1: Own is not known here"),
        ("ssl.authProvider=own", "only x509"),
        ("server.1=h", "server.1: `h` has no host"),
        ("server.1=h:x:3888", "quorum port: `x` is not a whole number"),
        ("server.1=h:1:99999", "election port: 99999"),
        ("server.1=h:1:2:boss", "`boss` is not participant or observer"),
        ("server.1=h:1:2:observer:3", "too many parts"),
        ("server.1=h:1:2;x", "client port: `x`"),
        ("server.0=h:1:2", "server.0: the number of the key: 0 is not in 1 to 254"),
        ("server.1=h:1:2:observer", "observers only"),
        ("server.2=h:1:2", "this server is 1, but there is no server.1"),
        ("server.1=h:1:2;2181\nclientPort=2182", "clientPort: is 2182, but server.1"),
        ("server.1=h:1:2\npeerType=boss", "peerType: `boss`"),
        ("group.1=1:x", "group.1: `x`"),
        ("group.1=1\ngroup.2=1", "group.2: server 1 is in another group"),
        ("weight.1=-1", "weight.1: -1 is not in 0"),
        ("secureClientPort=1\nssl.keyStore.location=/k.jks", "store of type JKS"),
        (
            "ssl.keyStore.location=/k.pem\nssl.clientAuth=perhaps",
            "`perhaps` is not none, want or need",
        ),
        ("java.security.auth.login.config=/nonexistent", "cannot be read"),
    ] {
        let problems = folder.problems(text);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}: {problems:?}");
    }
}

#[test]
fn my_id_is_needed_by_an_ensemble_only() {
    let none = Folder::new(None);
    assert!(none.problems(THREE)[0].contains("myid cannot be read"));
    assert_eq!(none.config("").node.id, 1);
    let wrong = Folder::new(Some("zoo1"));
    let problem = wrong.problems("").remove(0);
    assert!(problem.contains("myid:1: myid: `zoo1` is not a whole number"), "{problem}");
}

#[test]
fn data_dir_is_needed() {
    let found = super::import(Path::new("zoo.cfg"), b"clientPort=1\n").problems;
    assert_eq!(found[0].to_string(), "zoo.cfg:1: dataDir: is not set");
}

#[test]
fn unknown_keys_are_named_with_file_and_line() {
    let warnings = Folder::new(None).warnings("tickTime=1\ndatalogDir=/x\nnonsense=1\n");
    assert_eq!(
        warnings,
        [
            "zoo.cfg:3: datalogDir: is not a key of ZooKeeper's; did you mean dataLogDir?",
            "zoo.cfg:4: nonsense: is not a key of ZooKeeper's",
        ]
    );
}

#[test]
fn keys_without_effect_say_why() {
    let folder = Folder::new(None);
    let warnings =
        folder.warnings("zookeeper.nio.numWorkerThreads=8\nssl.crl=true\nsnapCount=9\nsnapCount=8");
    assert!(warnings[0].contains("zoo.cfg:5: snapCount: replaces the value given at zoo.cfg:4"));
    assert!(warnings[1].contains("zookeeper.nio.numWorkerThreads: has no meaning here: it tunes"));
    assert!(warnings[2].contains("ssl.crl: is not supported and is left out: certificates"));
}

#[test]
fn system_properties_are_keys_too() {
    let config = Folder::new(None).config(
        "zookeeper.snapCount=77\nzookeeper.preAllocSize=64\njute.maxbuffer=0x1fffff\n\
         zookeeper.forceSync=no\nzookeeper.request_throttle_max_requests=5\nmaxSessionTimeout=-1\n\
         readonlymode.enabled=true\nautopurge.snapRetainCount=1\nzookeeper.skipACL=yes\n",
    );
    let zookeeper = config.zookeeper;
    assert_eq!((zookeeper.snap_count, zookeeper.prealloc_bytes), (77, 65_536));
    assert_eq!((zookeeper.max_frame_bytes, zookeeper.request_throttle_limit), (0x1f_ffff, 5));
    assert!(!zookeeper.force_sync && zookeeper.read_only_mode && zookeeper.skip_acl);
    assert_eq!((zookeeper.max_session_timeout_ms, zookeeper.autopurge_snap_retain_count), (0, 3));
}

#[test]
fn commands_admin_and_metrics() {
    let config = Folder::new(None).config(
        "4lw.commands.whitelist=conf, stat,ruok\nadmin.serverPort=8081\nadmin.serverAddress=::1\n\
         admin.enableServer=true\nmetricsProvider.httpHost=0.0.0.0\nmetricsProvider.httpPort=7001\n\
         metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
         metricsProvider.exportJvmInfo=true\n",
    );
    assert_eq!(config.zookeeper.four_letter_words, ["conf", "stat", "ruok"]);
    assert_eq!(config.admin.listen.to_string(), "[::1]:8081");
    assert_eq!(config.metrics.listen.to_string(), "0.0.0.0:7001");
    assert!(config.metrics.enabled);
}

#[test]
fn pem_stores_become_certificates() {
    let folder = Folder::new(None);
    let config = folder.config(
        "secureClientPort=2281\nssl.keyStore.location=/tls/server.pem\nssl.trustStore.location=/tls/ca\n\
         ssl.trustStore.type=PEM\nssl.clientAuth=want\nsslQuorum=true\n\
         ssl.quorum.keyStore.location=/tls/q.pem\nssl.quorum.trustStore.location=/tls/qca.pem\n",
    );
    let tls = config.zookeeper.tls.unwrap();
    assert_eq!(
        (tls.cert.to_str(), tls.key.to_str()),
        (Some("/tls/server.pem"), Some("/tls/server.pem"))
    );
    assert_eq!(tls.ca.unwrap().to_str(), Some("/tls/ca"));
    assert_eq!(tls.client_auth, ClientAuth::Want);
    assert_eq!(config.node.tls.unwrap().ca.to_str(), Some("/tls/qca.pem"));
    assert_eq!(config.zookeeper.listen.0, None);
    assert_eq!(config.zookeeper.secure_listen.0.unwrap().to_string(), "127.0.0.1:2281");
    // Without a door that needs it, a store of Java's is only remarked.
    assert!(folder.warnings("ssl.keyStore.location=/k.p12")[0].contains("PKCS12"));
}

#[test]
fn users_of_the_jaas_file() {
    let folder = Folder::new(None);
    let path = folder.write(
        "jaas.conf",
        "Client { x required user_no=\"no\"; };\nServer {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n\
         user_super=\"adminsecret\"\n   user_bob = \"bob;secret\";\n};\n",
    );
    let config = folder.config(&format!(
        "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         java.security.auth.login.config={}\n",
        path.display()
    ));
    let users: Vec<_> = config.zookeeper.sasl_users.into_iter().collect();
    let expected = [("bob", "bob;secret"), ("super", "adminsecret")];
    assert_eq!(users, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[test]
fn each_key_is_there_once_and_sets_a_key_that_exists() {
    let mut names: Vec<_> = keys::KEYS.iter().flat_map(|(names, _)| *names).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for (names, effect) in keys::KEYS {
        if let Effect::Set(key, _) = effect {
            let mut at = Some(&defaults);
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            for part in section.split('.').filter(|part| !part.is_empty()) {
                at = at.and_then(|table| table.get(part)?.as_table());
            }
            let known = at.is_some_and(|table| table.contains_key(name)) || *key == "log_dir";
            assert!(known, "{names:?}: {key}");
        }
    }
}

/// The parameters of the administrator's guide of 3.9, by the names it gives them.
const GUIDE: &str = "clientPort secureClientPort observerMasterPort dataDir tickTime dataLogDir \
 globalOutstandingLimit preAllocSize snapCount commitLogCount snapSizeLimitInKb txnLogSizeLimitInKb \
 maxCnxns maxClientCnxns clientPortAddress minSessionTimeout maxSessionTimeout \
 fsync.warningthresholdms maxResponseCacheSize maxGetChildrenResponseCacheSize \
 autopurge.snapRetainCount autopurge.purgeInterval syncEnabled extendedTypesEnabled \
 emulate353TTLNodes watchManagerName watcherCleanThreadsNum watcherCleanThreshold \
 watcherCleanIntervalInSeconds maxInProcessingDeadWatchers bitHashCacheSize \
 fastleader.minNotificationInterval fastleader.maxNotificationInterval connectionMaxTokens \
 connectionTokenFillTime connectionTokenFillCount connectionFreezeTime connectionDropIncrease \
 connectionDropDecrease connectionDecreaseRatio zookeeper.connection_throttle_weight_enabled \
 zookeeper.connection_throttle_global_session_weight \
 zookeeper.connection_throttle_local_session_weight \
 zookeeper.connection_throttle_renew_session_weight clientPortListenBacklog serverCnxnFactory \
 flushDelay maxWriteQueuePollTime maxBatchSize enforceQuota requestThrottleLimit \
 requestThrottleStallTime requestThrottleDropStale requestStaleLatencyCheck \
 requestStaleConnectionCheck zookeeper.request_throttler.shutdownTimeout \
 advancedFlowControlEnabled enableEagerACLCheck maxConcurrentSnapSyncs maxConcurrentDiffSyncs \
 digest.enabled snapshot.compression.method snapshot.trust.empty audit.enable audit.impl.class \
 largeRequestMaxBytes largeRequestThreshold outstandingHandshake.limit \
 netty.server.earlyDropSecureConnectionHandshakes throttledOpWaitTime learner.closeSocketAsync \
 leader.closeSocketAsync learner.asyncSending \
 forward_learner_requests_to_commit_processor_disabled serializeLastProcessedZxid.enabled \
 electionAlg maxTimeToWaitForEpoch initLimit connectToLearnerMasterLimit leaderServes server.1 \
 syncLimit group.1 weight.1 cnxTimeout quorumCnxnTimeoutMs standaloneEnabled reconfigEnabled \
 4lw.commands.whitelist tcpKeepAlive clientTcpKeepAlive electionPortBindRetry \
 observer.reconnectDelayMs observer.election.DelayMs localSessionsEnabled \
 localSessionsUpgradingEnabled DigestAuthenticationProvider.enabled \
 DigestAuthenticationProvider.superDigest DigestAuthenticationProvider.digestAlg \
 IPAuthenticationProvider.usexforwardedfor X509AuthenticationProvider.superUser \
 zookeeper.superUser ssl.authProvider zookeeper.ensembleAuthName sessionRequireClientSASLAuth \
 enforce.auth.enabled enforce.auth.schemes sslQuorum ssl.keyStore.location ssl.keyStore.password \
 ssl.quorum.keyStore.location ssl.quorum.keyStore.password ssl.keyStore.passwordPath \
 ssl.keyStore.type ssl.trustStore.location ssl.trustStore.password ssl.trustStore.passwordPath \
 ssl.trustStore.type ssl.protocol ssl.enabledProtocols ssl.ciphersuites ssl.context.supplier.class \
 ssl.hostnameVerification ssl.crl ssl.ocsp ssl.clientAuth ssl.handshakeDetectionTimeoutMillis \
 ssl.sslProvider sslQuorumReloadCertFiles client.certReload client.portUnification authProvider.1 \
 kerberos.removeHostFromPrincipal kerberos.removeRealmFromPrincipal \
 kerberos.canonicalizeHostNames multiAddress.enabled multiAddress.reachabilityCheckTimeoutMs \
 fips-mode readonlymode.enabled zookeeper.follower.skipLearnerRequestToNextProcessor forceSync \
 jute.maxbuffer jute.maxbuffer.extrasize skipACL quorumListenOnAllIPs \
 multiAddress.reachabilityCheckEnabled zookeeper.nio.numSelectorThreads \
 zookeeper.nio.numWorkerThreads zookeeper.commitProcessor.numWorkerThreads \
 zookeeper.commitProcessor.maxReadBatchSize zookeeper.commitProcessor.maxCommitBatchSize \
 znode.container.checkIntervalMs znode.container.maxPerMinute \
 znode.container.maxNeverUsedIntervalMs zookeeper.messageTracker.BufferSize \
 zookeeper.messageTracker.Enabled admin.rateLimiterIntervalInMS admin.snapshot.enabled \
 admin.restore.enabled admin.needClientAuth admin.forceHttps admin.portUnification \
 admin.enableServer admin.serverAddress admin.serverPort admin.idleTimeout admin.commandURL \
 metricsProvider.className metricsProvider.httpHost metricsProvider.httpPort \
 metricsProvider.exportJvmInfo metricsProvider.numWorkerThreads metricsProvider.maxQueueSize \
 metricsProvider.workerShutdownTimeoutMs datadir.autocreate db.autocreate";

#[test]
fn every_parameter_of_the_guide_is_classified() {
    let missing: Vec<_> = GUIDE
        .split_whitespace()
        .filter(|name| keys::effect(name.strip_prefix("zookeeper.").unwrap_or(name)).is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(GUIDE.split_whitespace().count() >= 166);
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        super::import(Path::new("zoo.cfg"), &bytes);
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(
        key in 0..keys::KEYS.len(),
        value in "[-a-z0-9:;|.\\[\\]\u{4e2d} ,#]{0,30}",
        server in "[-a-z0-9:;|.\\[\\]\u{4e2d}]{0,30}",
    ) {
        let text = format!("{}={value}\nserver.1={server}\nserver.2=h{server}\n", keys::KEYS[key].0[0]);
        // Files are only read, and a name made here is no file.
        let imported = super::import(Path::new("zoo.cfg"), text.as_bytes());
        for setting in &imported.settings {
            prop_assert!(!setting.key.is_empty());
        }
        let _ = Layers::new().imported(imported).finish();
    }
}

#[test]
fn local_sessions_are_named_and_left_out() {
    let folder = Folder::new(None);
    let told = folder.warnings("localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n");
    let found = |key: &str, what: &str| {
        told.iter().any(|warning| warning.contains(&format!(" {key}: {what}")))
    };
    assert!(found("localSessionsEnabled", "is not supported"), "{told:?}");
    assert!(found("localSessionsUpgradingEnabled", "has no meaning here"), "{told:?}");
}

#[test]
fn limits_that_are_not_positive_are_none() {
    let config = Folder::new(None).config(
        "clientPort=2181\nflushDelay=-1\nmaxBatchSize=0\nsnapSizeLimitInKb=-1\n\
         txnLogSizeLimitInKb=-5\nautopurge.purgeInterval=-1\n",
    );
    let zookeeper = &config.zookeeper;
    assert_eq!((zookeeper.flush_delay_ms, zookeeper.max_batch_size), (0, 0));
    assert_eq!((zookeeper.snap_size_limit_kib, zookeeper.log_size_limit_kib), (0, 0));
    assert_eq!(zookeeper.autopurge_purge_interval_hours, 0);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn a_lone_participant_has_observers_only_if_it_is_not_standalone() {
    let folder = Folder::new(Some("1"));
    let text = "clientPort=2181\nserver.1=127.0.0.1:2888:3888\n\
                server.2=127.0.0.1:2889:3889:observer\n";
    let found = folder.config(text).validate().unwrap_err();
    let told: Vec<_> = found.iter().map(|invalid| invalid.key.as_str()).collect();
    assert_eq!(told, ["zookeeper.standalone_enabled"]);
    let ensemble = folder.config(&format!("{text}standaloneEnabled=false\n"));
    assert_eq!(ensemble.validate(), Ok(()));
    assert_eq!(ensemble.cluster.nodes.len(), 2);
}
