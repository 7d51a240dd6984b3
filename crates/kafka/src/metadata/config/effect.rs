//! What a broker's file sets that does nothing here, and what nobody knows: the operator is told.

use std::collections::BTreeMap;

use super::defs;

/// A setting that the operator should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Its name.
    pub name: String,
    /// What about it.
    pub message: String,
}

/// Settings that are accepted and do nothing, by name, and why.
#[rustfmt::skip]
pub const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("alter.config.policy.class.name", "there are no plug-ins in Java"),
    ("background.threads", "background work has threads of its own for each directory"),
    ("broker.id.generation.enable", "the node's id is taken"),
    ("compression.lz4.level", "lz4 has one level here"),
    ("create.topic.policy.class.name", "there are no plug-ins in Java"),
    ("delete.records.purgatory.purge.interval.requests", "waiting requests cost nothing"),
    ("fetch.purgatory.purge.interval.requests", "waiting requests cost nothing"),
    ("group.coordinator.rebalance.protocols", "both are served"),
    ("log.cleaner.io.buffer.load.factor", "the table of keys grows as it must"),
    ("log.cleaner.io.buffer.size", "buffers grow as they must"),
    ("log.cleaner.io.max.bytes.per.second", "compaction is not throttled"),
    ("log.flush.start.offset.checkpoint.interval.ms", "written with the recovery points"),
    ("log.local.retention.bytes", "records are on this node's disks only"),
    ("log.local.retention.ms", "records are on this node's disks only"),
    ("log.message.downconversion.enable", "consumers of formats before 2 are not served"),
    ("log.message.format.version", "records are kept in format 2"),
    ("log.preallocate", "segments grow as they are written"),
    ("max.connection.creation.rate", "connections are limited by number, not by rate"),
    ("max.connections.per.ip.overrides", "addresses are treated alike"),
    ("metric.reporters", "metrics are on the Prometheus page"),
    ("metrics.num.samples", "metrics are on the Prometheus page"),
    ("metrics.recording.level", "metrics are on the Prometheus page"),
    ("metrics.sample.window.ms", "metrics are on the Prometheus page"),
    ("num.network.threads", "sockets are served by num.io.threads"),
    ("num.replica.alter.log.dirs.threads", "replicas do not move between directories"),
    ("offsets.commit.required.acks", "commits wait for all replicas in sync"),
    ("offsets.load.buffer.size", "the buffer has that size"),
    ("offsets.topic.compression.codec", "offsets are kept without compression"),
    ("producer.purgatory.purge.interval.requests", "waiting requests cost nothing"),
    ("queued.max.request.bytes", "a connection has one request at a time"),
    ("queued.max.requests", "a connection has one request at a time"),
    ("replica.selector.class", "there are no plug-ins in Java"),
    ("replica.socket.receive.buffer.bytes", "the system sizes buffers"),
    ("reserved.broker.max.id", "ids are not given out"),
    ("sasl.kerberos.kinit.cmd", "Kerberos is not served"),
    ("sasl.kerberos.min.time.before.relogin", "Kerberos is not served"),
    ("sasl.kerberos.principal.to.local.rules", "Kerberos is not served"),
    ("sasl.kerberos.service.name", "Kerberos is not served"),
    ("sasl.kerberos.ticket.renew.jitter", "Kerberos is not served"),
    ("sasl.kerberos.ticket.renew.window.factor", "Kerberos is not served"),
    ("sasl.mechanism.inter.broker.protocol", "nodes speak to each other on the node port"),
    ("socket.connection.setup.timeout.ms", "the node port has its own"),
    ("socket.listen.backlog.size", "the backlog is 1024"),
    ("ssl.keymanager.algorithm", "there are no plug-ins in Java"),
    ("ssl.protocol", "ssl.enabled.protocols says which versions there are, and the newest is taken"),
    ("ssl.secure.random.implementation", "there are no plug-ins in Java"),
    ("ssl.trustmanager.algorithm", "there are no plug-ins in Java"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "each transaction has its own timer"),
    ("transaction.state.log.load.buffer.size", "the buffer has that size"),
];

/// Settings of the authorizer, which are none of the broker's own.
const AUTHORIZERS: [&str; 2] = ["allow.everyone.if.no.acl.found", "super.users"];

/// Why a setting does nothing here, if it does nothing.
pub fn without_effect(name: &str) -> Option<&'static str> {
    let at = WITHOUT_EFFECT.binary_search_by(|(known, _)| known.cmp(&name)).ok()?;
    WITHOUT_EFFECT.get(at).map(|(_, why)| *why)
}

/// What is to be said of a broker's file.
pub fn remarks(file: &BTreeMap<String, String>) -> Vec<Remark> {
    let remark = |(name, value): (&String, &String)| {
        let unsigned = |mechanism: &str| mechanism.trim() == "OAUTHBEARER";
        let message = match (defs::broker(defs::base(name)), without_effect(name)) {
            (Some(def), None)
                if def.name == "sasl.enabled.mechanisms" && value.split(',').any(unsigned) =>
            {
                "OAUTHBEARER takes tokens that nobody signed: for trying things out".to_owned()
            }
            (Some(_), None) => return None,
            (None, None) if AUTHORIZERS.contains(&name.as_str()) => return None,
            (_, Some(why)) => format!("has no effect: {why}"),
            (None, None) => {
                let near = similar(name).map(|near| format!("; did you mean {near}?"));
                format!(
                    "is not a setting of Kafka's that Polyport knows{}",
                    near.unwrap_or_default()
                )
            }
        };
        Some(Remark { name: name.clone(), message })
    };
    file.iter().filter_map(remark).collect()
}

/// The setting that a name is meant to be, if it differs in dots and the like only.
fn similar(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['.', '_', '-'], "");
    let meant = plain(name);
    defs::brokers().into_iter().map(|def| def.name).find(|known| plain(known) == meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_what_does_nothing() {
        assert!(WITHOUT_EFFECT.is_sorted_by_key(|(name, _)| name));
        let file = ["num_partitions", "num.partitions", "num.network.threads", "x"];
        let file = file.map(|name| (name.to_owned(), "3".to_owned()));
        let found: Vec<_> = remarks(&file.into()).into_iter().map(|r| r.message).collect();
        let unsigned = [("sasl.enabled.mechanisms".to_owned(), "PLAIN, OAUTHBEARER".to_owned())];
        assert!(remarks(&unsigned.into())[0].message.contains("nobody signed"));
        let network = without_effect("num.network.threads").unwrap();
        assert_eq!(
            found,
            [
                format!("has no effect: {network}"),
                "is not a setting of Kafka's that Polyport knows; did you mean num.partitions?"
                    .to_owned(),
                "is not a setting of Kafka's that Polyport knows".to_owned(),
            ]
        );
    }
}
