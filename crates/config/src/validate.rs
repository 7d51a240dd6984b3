//! What a configuration must fulfil as a whole.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::types::{ClientAuth, Config, NodeRole};

/// A rule that the configuration breaks: the key, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Invalid {
    /// The key in `polyport.toml`.
    pub key: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Longest request that can be asked for, in bytes.
const MAX_FRAME_BYTES: u64 = 128 << 20;

/// Secrets that anybody could guess.
const DEFAULT_SECRETS: &[&str] = &["", "polyport"];

impl Config {
    /// Checks all rules.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut found = Found::default();
        self.check_node_and_cluster(&mut found);
        self.check_zookeeper(&mut found);
        self.check_doors(&mut found);
        self.check_defaults(&mut found);
        if found.0.is_empty() { Ok(()) } else { Err(found.0) }
    }

    /// The addresses that this node listens on, with the key of each.
    pub fn doors(&self) -> Vec<(&'static str, &Address)> {
        let zookeeper = &self.zookeeper;
        let mut doors = vec![("node.listen", &self.node.listen)];
        doors.extend(zookeeper.listen.0.as_ref().map(|a| ("zookeeper.listen", a)));
        doors.extend(zookeeper.secure_listen.0.as_ref().map(|a| ("zookeeper.secure_listen", a)));
        doors.extend(self.kafka.listeners.iter().map(|l| ("kafka.listeners", &l.address)));
        doors.extend(self.admin.enabled.then_some(("admin.listen", &self.admin.listen)));
        doors.extend(self.metrics.enabled.then_some(("metrics.listen", &self.metrics.listen)));
        doors
    }

    fn check_node_and_cluster(&self, found: &mut Found) {
        let (node, cluster) = (&self.node, &self.cluster);
        found.unless((1..=254).contains(&node.id), "node.id", || {
            format!("{} is not in 1 to 254", node.id)
        });
        found.unless(!self.data_dir.as_os_str().is_empty(), "data_dir", || "is empty".to_owned());
        if let Some(advertise) = &node.advertise {
            found.unless(!advertise.is_unspecified(), "node.advertise", || {
                format!("{advertise} cannot be reached from other nodes: name one address")
            });
        }
        let [shortest, longest] = cluster.election_timeout_ms;
        found.unless(shortest > 0 && shortest < longest, "cluster.election_timeout_ms", || {
            format!("[{shortest}, {longest}] is not a range: the first must be below the second")
        });
        let fits = cluster.heartbeat_ms > 0 && cluster.heartbeat_ms.saturating_mul(2) <= shortest;
        found.unless(fits, "cluster.heartbeat_ms", || {
            format!("must be from 1 to half of the shortest election timeout ({shortest} ms)")
        });
        found.unless(cluster.initial_limit_ticks > 0, "cluster.initial_limit_ticks", zero);
        found.unless(cluster.sync_limit_ticks > 0, "cluster.sync_limit_ticks", zero);
        let alone = cluster.nodes.is_empty() || cluster.join.is_none();
        found.unless(alone, "cluster.join", || {
            "a node either joins or is one of cluster.nodes: remove one of the two".to_owned()
        });
        self.check_nodes(found);
    }

    fn check_nodes(&self, found: &mut Found) {
        const KEY: &str = "cluster.nodes";
        let nodes = &self.cluster.nodes;
        if nodes.is_empty() {
            return;
        }
        let (mut ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for node in nodes {
            found.unless((1..=254).contains(&node.id), KEY, || {
                format!("id {} is not in 1 to 254", node.id)
            });
            found.unless(ids.insert(node.id), KEY, || format!("id {} is there twice", node.id));
            found.unless(addresses.insert(&node.address), KEY, || {
                format!("address {} is there twice", node.address)
            });
            found.unless(!node.address.is_unspecified(), KEY, || {
                format!("node {} cannot be reached at {}: name one address", node.id, node.address)
            });
        }
        found.unless(ids.contains(&self.node.id), KEY, || {
            format!("node.id is {}, which is not in the list", self.node.id)
        });
        let voters = nodes.iter().filter(|node| node.role == NodeRole::Voter).count();
        found.unless(voters > 0, KEY, || "no node is a voter: at least one must be".to_owned());
        let standalone = self.zookeeper.standalone_enabled && voters == 1 && nodes.len() > 1;
        found.unless(!standalone, "zookeeper.standalone_enabled", || {
            "a lone voter would be a standalone server, which has no observers: set it to false"
                .to_owned()
        });
    }

    fn check_zookeeper(&self, found: &mut Found) {
        let zookeeper = &self.zookeeper;
        found.unless(zookeeper.tick_time_ms > 0, "zookeeper.tick_time_ms", zero);
        let (min, max) = (
            zookeeper.effective_min_session_timeout_ms(),
            zookeeper.effective_max_session_timeout_ms(),
        );
        found.unless(min <= max, "zookeeper.min_session_timeout_ms", || {
            format!("{min} ms is more than the longest session timeout, {max} ms")
        });
        let longest = i32::MAX as u64;
        found.unless(max <= longest, "zookeeper.max_session_timeout_ms", || {
            format!("{max} ms is more than the protocol can carry, {longest} ms")
        });
        // A request becomes one entry of the journal and one frame between nodes.
        let frames = 1024..=MAX_FRAME_BYTES;
        found.unless(
            frames.contains(&zookeeper.max_frame_bytes),
            "zookeeper.max_frame_bytes",
            || {
                format!(
                    "{} is not in {} to {}",
                    zookeeper.max_frame_bytes,
                    frames.start(),
                    frames.end()
                )
            },
        );
        found.unless(zookeeper.snap_count >= 2, "zookeeper.snap_count", || {
            format!("{} is below 2", zookeeper.snap_count)
        });
        let retained = zookeeper.autopurge_snap_retain_count;
        found.unless(retained >= 3, "zookeeper.autopurge_snap_retain_count", || {
            format!("{retained} is below 3")
        });
        found.unless(
            zookeeper.container_check_interval_ms > 0,
            "zookeeper.container_check_interval_ms",
            zero,
        );
        let named = zookeeper.listen.0.is_some() || zookeeper.secure_listen.0.is_some();
        found.unless(named, "zookeeper.listen", || {
            "neither listen nor secure_listen is set: no client could connect".to_owned()
        });
        let schemes = &zookeeper.enforce_auth_schemes;
        let required = zookeeper.enforce_auth_enabled && schemes.is_empty();
        found.unless(!required, "zookeeper.enforce_auth_schemes", || {
            "is empty, but enforce_auth_enabled is set: name the schemes".to_owned()
        });
        let needs_tls = zookeeper.secure_listen.0.is_some() || zookeeper.port_unification;
        found.unless(!needs_tls || zookeeper.tls.is_some(), "zookeeper.tls", || {
            "must name cert and key for secure_listen and port_unification".to_owned()
        });
        if let Some(tls) = &zookeeper.tls {
            let checks = tls.client_auth != ClientAuth::None;
            found.unless(!checks || tls.ca.is_some(), "zookeeper.tls", || {
                "must name ca to check clients' certificates, or set client_auth = \"none\""
                    .to_owned()
            });
        }
        let schemes = !zookeeper.enforce_auth_enabled || !zookeeper.enforce_auth_schemes.is_empty();
        found.unless(schemes, "zookeeper.enforce_auth_schemes", || {
            "is empty while enforce_auth_enabled is set: no client could do anything".to_owned()
        });
        found.unless(self.admin.command_url.starts_with('/'), "admin.command_url", || {
            "must start with /".to_owned()
        });
        for (key, share) in [
            ("zookeeper.connection_drop_increase", zookeeper.connection_drop_increase),
            ("zookeeper.connection_drop_decrease", zookeeper.connection_drop_decrease),
            ("zookeeper.connection_decrease_ratio", zookeeper.connection_decrease_ratio),
        ] {
            found.unless((0.0..=1.0).contains(&share), key, || format!("{share} is not in 0 to 1"));
        }
    }

    fn check_doors(&self, found: &mut Found) {
        let doors = self.doors();
        for (at, (key, address)) in doors.iter().enumerate() {
            let clash = doors[..at].iter().find(|(_, other)| {
                let same_host = other.host == address.host
                    || other.is_unspecified()
                    || address.is_unspecified();
                other.port == address.port && other.port != 0 && same_host
            });
            if let Some((other_key, other)) = clash {
                found.add(key, format!("{address} is taken by {other_key} ({other})"));
            }
        }
    }

    /// Secure by default: what others can reach needs a secret that others do not know.
    fn check_defaults(&self, found: &mut Found) {
        if self.insecure_defaults || !DEFAULT_SECRETS.contains(&self.cluster.secret.as_str()) {
            return;
        }
        const REMEDY: &str = "set cluster.secret to a long random text (the same on all nodes, for \
             example from `openssl rand -hex 32`), listen on 127.0.0.1, or allow it with \
             insecure_defaults = true (--insecure-defaults)";
        let secret = if self.cluster.secret.is_empty() { "empty" } else { "the default" };
        for (key, address) in self.doors() {
            found.unless(address.is_loopback(), key, || {
                format!("{address} can be reached from other machines while cluster.secret is {secret}: {REMEDY}")
            });
        }
        // On one machine, loopback keeps others out, as it does for the doors.
        let cluster = &self.cluster;
        let others = cluster.nodes.iter().map(|node| &node.address).chain(&cluster.join);
        let several = others.filter(|address| !address.is_loopback()).count() > 0;
        found.unless(!several, "cluster.secret", || {
            format!("is {secret}, but this cluster has several nodes, which prove themselves by it: {REMEDY}")
        });
    }
}

#[derive(Default)]
struct Found(Vec<Invalid>);

impl Found {
    fn add(&mut self, key: &str, reason: String) {
        self.0.push(Invalid { key: key.to_owned(), reason });
    }

    fn unless(&mut self, holds: bool, key: &str, reason: impl FnOnce() -> String) {
        if !holds {
            self.add(key, reason());
        }
    }
}

fn zero() -> String {
    "must not be 0".to_owned()
}

#[cfg(test)]
mod tests {
    use crate::layers::Layers;

    fn broken(settings: &[&str]) -> Vec<(String, String)> {
        let layers = settings.iter().fold(Layers::new(), |layers, text| layers.set(text));
        match layers.finish().unwrap().config.validate() {
            Ok(()) => Vec::new(),
            Err(found) => found.into_iter().map(|i| (i.key, i.reason)).collect(),
        }
    }

    #[track_caller]
    fn check(settings: &[&str], key: &str, reason: &str) {
        let found = broken(settings);
        let hit = found.iter().any(|(k, r)| k == key && r.contains(reason));
        assert!(hit, "{settings:?}: {found:?}");
    }

    const TWO: &str = "cluster.nodes=[{id=1,address=\"10.0.0.1:1\"},{id=2,address=\"10.0.0.2:1\"}]";

    #[test]
    fn the_default_is_valid() {
        assert_eq!(broken(&[]), []);
    }

    #[test]
    fn no_door_opens_beyond_loopback_with_a_default_secret() {
        for key in ["node.listen", "zookeeper.listen", "admin.listen", "metrics.listen"] {
            let open = format!("{key}=0.0.0.0:1234");
            check(&[&open], key, "openssl rand");
            check(&[&open, "cluster.secret=polyport"], key, "insecure_defaults = true");
            assert_eq!(broken(&[&open, "cluster.secret=long-and-random"]), []);
            assert_eq!(broken(&[&open, "insecure_defaults=true"]), []);
        }
        assert_eq!(broken(&["metrics.listen=0.0.0.0:1", "metrics.enabled=false"]), []);
    }

    #[test]
    fn several_nodes_need_a_secret() {
        check(&[TWO], "cluster.secret", "several nodes");
        check(&["cluster.join=10.0.0.1:7700"], "cluster.secret", "several nodes");
        assert_eq!(broken(&[TWO, "cluster.secret=s3"]), []);
        let here = TWO.replace("10.0.0.1:1", "127.0.0.1:1").replace("10.0.0.2:1", "127.0.0.1:2");
        assert_eq!(broken(&[&here]), []);
        assert_eq!(broken(&["cluster.join=localhost:7701"]), []);
    }

    #[test]
    fn each_rule_is_told() {
        for (settings, key, reason) in [
            ("node.id=0", "node.id", "1 to 254"),
            ("node.id=255", "node.id", "1 to 254"),
            ("node.advertise=0.0.0.0:1", "node.advertise", "cannot be reached"),
            ("cluster.election_timeout_ms=[9,9]", "cluster.election_timeout_ms", "range"),
            ("cluster.heartbeat_ms=400", "cluster.heartbeat_ms", "half"),
            ("cluster.sync_limit_ticks=0", "cluster.sync_limit_ticks", "0"),
            ("cluster.initial_limit_ticks=0", "cluster.initial_limit_ticks", "0"),
            ("zookeeper.tick_time_ms=0", "zookeeper.tick_time_ms", "0"),
            ("zookeeper.min_session_timeout_ms=50000", "zookeeper.min_session_timeout_ms", "40000"),
            ("zookeeper.tick_time_ms=200000000", "zookeeper.max_session_timeout_ms", "carry"),
            ("zookeeper.max_frame_bytes=10", "zookeeper.max_frame_bytes", "not in"),
            ("zookeeper.max_frame_bytes=134217729", "zookeeper.max_frame_bytes", "not in"),
            ("zookeeper.snap_count=1", "zookeeper.snap_count", "below 2"),
            (
                "zookeeper.autopurge_snap_retain_count=2",
                "zookeeper.autopurge_snap_retain_count",
                "3",
            ),
            (
                "zookeeper.container_check_interval_ms=0",
                "zookeeper.container_check_interval_ms",
                "0",
            ),
            ("zookeeper.listen=", "zookeeper.listen", "no client"),
            ("zookeeper.secure_listen=127.0.0.1:2281", "zookeeper.tls", "cert"),
            ("zookeeper.tls={cert=\"c\",key=\"k\"}", "zookeeper.tls", "ca"),
            ("zookeeper.enforce_auth_enabled=true", "zookeeper.enforce_auth_schemes", "empty"),
            ("zookeeper.connection_drop_increase=2.0", "zookeeper.connection_drop_increase", "1"),
            ("admin.command_url=commands", "admin.command_url", "/"),
            ("admin.listen=127.0.0.1:2181", "admin.listen", "taken by zookeeper.listen"),
            ("data_dir=", "data_dir", "empty"),
        ] {
            check(&[settings], key, reason);
        }
    }

    #[test]
    fn the_list_of_nodes_is_consistent() {
        check(&[TWO, "node.id=3"], "cluster.nodes", "not in the list");
        check(&[TWO, "cluster.join=10.0.0.9:1"], "cluster.join", "either");
        let twice = TWO.replace("id=2", "id=1");
        check(&[&twice], "cluster.nodes", "id 1 is there twice");
        check(&[&TWO.replace("0.0.2", "0.0.1")], "cluster.nodes", "10.0.0.1:1 is there twice");
        check(&[&TWO.replace("10.0.0.2", "0.0.0.0")], "cluster.nodes", "cannot be reached");
        check(&[&TWO.replace("id=2", "id=300")], "cluster.nodes", "300 is not in");
        let observers = TWO
            .replace("0.1:1\"", "0.1:1\",role=\"observer\"")
            .replace("0.2:1\"", "0.2:1\",role=\"observer\"");
        check(&[&observers], "cluster.nodes", "no node is a voter");
        let lone = TWO.replace("0.2:1\"", "0.2:1\",role=\"observer\"");
        check(&[&lone], "zookeeper.standalone_enabled", "no observers");
        let ensemble = "zookeeper.standalone_enabled=false";
        assert_eq!(broken(&[&lone, "cluster.secret=s3", ensemble]), []);
    }

    #[test]
    fn all_broken_rules_come_at_once() {
        assert_eq!(broken(&["node.id=0", "zookeeper.tick_time_ms=0"]).len(), 2);
    }
}
