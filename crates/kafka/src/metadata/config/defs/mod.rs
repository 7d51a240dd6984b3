//! Kafka 3.9's configurations as tables: names, types, defaults, limits, and what they are for.
//!
//! Absent are those of KRaft's own log and quorum, of tiered storage as a whole, of share groups and
//! of ZooKeeper over TLS: there is nothing here that they could configure.

pub(super) mod dynamic;
pub(super) mod groups;
pub(super) mod logs;
pub(super) mod security;
pub(super) mod server;
pub(super) mod topic;

use super::def::{Def, Kind, Valid, def};

/// The tables of a broker's configurations.
const BROKER: [&[Def]; 4] = [groups::GROUPS, logs::LOGS, security::SECURITY, server::SERVER];

/// What Kafka reads from a broker's file and never shows.
const INTERNAL: &[Def] = &[def(
    "producer.id.expiration.check.interval.ms",
    Kind::Int,
    Some("600000"),
    Valid::AtLeast(1),
    "How often it is looked for producers that have been silent for too long.",
)];

/// What is only ever set at run time, and shown where it is set.
const RUN_TIME: &[Def] = &[
    def(
        "follower.replication.throttled.rate",
        Kind::Long,
        None,
        Valid::AtLeast(0),
        "Most bytes a second that this broker's throttled followers fetch.",
    ),
    def(
        "leader.replication.throttled.rate",
        Kind::Long,
        None,
        Valid::AtLeast(0),
        "Most bytes a second that this broker's throttled leaders give to followers.",
    ),
    def(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Kind::Long,
        None,
        Valid::AtLeast(0),
        "Most bytes a second that replicas moving between directories take.",
    ),
];

fn find(table: &'static [Def], name: &str) -> Option<&'static Def> {
    let at = table.binary_search_by(|def| def.name.cmp(name)).ok()?;
    table.get(at)
}

/// A configuration of topics.
pub fn topic(name: &str) -> Option<&'static Def> {
    find(topic::TOPIC, name)
}

/// All configurations of topics, by name.
pub fn topics() -> impl Iterator<Item = &'static Def> {
    topic::TOPIC.iter()
}

/// A configuration of brokers.
pub fn broker(name: &str) -> Option<&'static Def> {
    BROKER.iter().chain(&[INTERNAL, RUN_TIME]).find_map(|table| find(table, name))
}

/// Configurations of brokers that are shown where they are set.
pub fn run_time() -> &'static [Def] {
    RUN_TIME
}

/// All configurations of brokers that are always shown, by name.
pub fn brokers() -> Vec<&'static Def> {
    let mut all: Vec<_> = BROKER.iter().flat_map(|table| table.iter()).collect();
    all.sort_by_key(|def| def.name);
    all
}

/// How a broker's configuration can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dynamic {
    /// Only by a restart.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

/// How a broker's configuration can be changed. One for a listener (`listener.name.L.NAME`) is
/// changed as the one for all.
pub fn dynamic(name: &str) -> Dynamic {
    let listed = |list: &[&str], name: &str| list.binary_search(&name).is_ok();
    match base(name) {
        name if listed(dynamic::CLUSTER_WIDE, name) => Dynamic::ClusterWide,
        name if listed(dynamic::PER_BROKER, name) => Dynamic::PerBroker,
        _ => Dynamic::ReadOnly,
    }
}

/// The configuration that one for a listener is a special case of.
pub fn base(name: &str) -> &str {
    let rest = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
    let Some((_, rest)) = rest else { return name };
    // Those of SASL have the mechanism in between.
    const OF_MECHANISMS: [&str; 5] = [
        "sasl.jaas.config",
        "sasl.login.class",
        "sasl.login.callback.handler.class",
        "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];
    let of = OF_MECHANISMS
        .into_iter()
        .find(|name| rest.strip_suffix(name).is_some_and(|before| before.ends_with('.')));
    of.unwrap_or(rest)
}

/// The broker's configurations from which a topic's is taken if it is not its own, the strongest
/// first.
pub fn synonyms_of_topic(name: &str) -> &'static [&'static str] {
    let at = dynamic::SYNONYMS.binary_search_by(|(topic, _)| (*topic).cmp(name));
    at.map_or(&[], |at| dynamic::SYNONYMS[at].1)
}

/// All names of which a broker's configuration is one, the strongest first.
pub fn synonyms_of_broker(name: &'static str) -> Vec<&'static str> {
    let several = dynamic::SYNONYMS.iter().map(|(_, names)| *names);
    let found = several.into_iter().find(|names| names.len() > 1 && names.contains(&name));
    found.map_or_else(|| vec![name], <[&str]>::to_vec)
}
