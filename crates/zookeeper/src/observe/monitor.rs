//! The metrics by ZooKeeper's names for plain lists, where a distribution is many numbers.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use polyport_cluster::Status;
use polyport_cluster::node::Standing;
use polyport_telemetry::{Snapshot, Value};

use super::metrics::metrics;
use super::{environment, mode, rounded};
use crate::server::Server;

/// A value of the list.
pub(crate) enum Monitored {
    Text(String),
    Whole(i64),
    /// Not whole; told with four decimals at most.
    Decimal(f64),
}

impl fmt::Display for Monitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Decimal(value) => f.write_str(&rounded(*value)),
        }
    }
}

/// Every name, without `zk_`, and its value.
pub(crate) fn monitored(server: &Server, status: &Status) -> Vec<(String, Monitored)> {
    let text = |text: &str| Monitored::Text(text.to_owned());
    let mut all = vec![
        ("version".to_owned(), text(environment::version())),
        ("server_state".to_owned(), text(mode(server, status))),
    ];
    let peer_state = match status.standing {
        _ if status.is_alone() => None,
        Standing::Leading => Some("leading - broadcast"),
        Standing::Following => Some("following - broadcast"),
        Standing::Observing => Some("observing - broadcast"),
        Standing::Looking => Some("looking"),
    };
    all.extend(peer_state.map(|state| ("peer_state".to_owned(), text(state))));
    // Not on ZooKeeper's page, but in its lists and on its JMX bean.
    let slow_syncs = server.replica().cluster().observed().slow_syncs.load(Relaxed);
    let slow_syncs = Monitored::Whole(slow_syncs as i64);
    all.push(("fsync_threshold_exceed_count".to_owned(), slow_syncs));
    for metric in metrics(server) {
        // The process' own numbers belong to the page's form, not to ZooKeeper's list.
        if metric.name.starts_with("process_") {
            continue;
        }
        number(metric.name.to_owned(), metric.value, &mut all);
    }
    all
}

fn number(name: String, value: Value, out: &mut Vec<(String, Monitored)>) {
    match value {
        Value::Counter(value) => out.push((name, Monitored::Whole(value as i64))),
        Value::Gauge(value) => out.push((name, Monitored::Whole(value))),
        Value::Ratio(value) | Value::Total(value) => out.push((name, Monitored::Decimal(value))),
        Value::Summary(snapshot, quantiles) => {
            distribution(&name, &snapshot, quantiles.len() > 1, out);
        }
        Value::Labelled(_, values) => {
            for (labels, value) in values {
                let keys = labels.into_iter().map(|(_, key)| key + "_").collect::<String>();
                number(keys + &name, value, out);
            }
        }
    }
}

fn distribution(name: &str, all: &Snapshot, full: bool, out: &mut Vec<(String, Monitored)>) {
    let mut push = |what: &str, value| out.push((format!("{what}_{name}"), value));
    let whole = |value: f64| Monitored::Whole(value.round() as i64);
    push("avg", Monitored::Decimal(all.average()));
    push("min", whole(all.min));
    push("max", whole(all.max));
    push("cnt", Monitored::Whole(all.count as i64));
    push("sum", whole(all.sum));
    if full {
        for (what, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
            push(what, whole(all.quantile(q).unwrap_or(0.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_told_as_zookeeper_tells_it() {
        let summary = polyport_telemetry::Summary::default();
        (1..=4).for_each(|ms| summary.record_time(std::time::Duration::from_millis(ms)));
        let mut told = Vec::new();
        distribution("readlatency", &summary.millis(), true, &mut told);
        let lines: Vec<_> = told.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expected = [
            "avg_readlatency 2.5",
            "min_readlatency 1",
            "max_readlatency 4",
            "cnt_readlatency 4",
            "sum_readlatency 10",
            "p50_readlatency 2",
            "p95_readlatency 4",
            "p99_readlatency 4",
            "p999_readlatency 4",
        ];
        assert_eq!(lines, expected);
    }
}
