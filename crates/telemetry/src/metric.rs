//! Named numbers, and Prometheus' text format for them.

use std::borrow::Cow;
use std::fmt::Write;

use crate::Snapshot;

/// A named number, as it is now.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, without a prefix.
    pub name: &'static str,
    /// What it counts, in one line; empty for no more than the name.
    pub help: Cow<'static, str>,
    /// The number.
    pub value: Value,
}

/// What kind of number.
#[derive(Clone, Debug)]
pub enum Value {
    /// Only grows.
    Counter(u64),
    /// Grows and shrinks.
    Gauge(i64),
    /// The same, not whole.
    Ratio(f64),
    /// Only grows, not whole: seconds of processor time.
    Total(f64),
    /// A distribution and which quantiles of it are told.
    Summary(Snapshot, &'static [f64]),
    /// Gauges of one name, told apart by a label: the label's name, then each label's value and
    /// number.
    Labelled(&'static str, Vec<(String, i64)>),
}

impl Value {
    /// Prometheus' word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::Total(_) => "counter",
            Self::Gauge(_) | Self::Ratio(_) | Self::Labelled(..) => "gauge",
            Self::Summary(..) => "summary",
        }
    }
}

/// The page's content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page of these metrics.
pub fn page(metrics: &[Metric]) -> String {
    let mut out = String::with_capacity(metrics.len() * 160);
    for metric in metrics {
        // Writing to a string cannot fail.
        let _ = write(metric, &mut out);
    }
    out
}

fn write(metric: &Metric, out: &mut String) -> std::fmt::Result {
    let name = metric.name;
    let help = if metric.help.is_empty() { name } else { &metric.help };
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", metric.value.kind())?;
    match &metric.value {
        Value::Counter(value) => writeln!(out, "{name} {:?}", *value as f64),
        Value::Gauge(value) => writeln!(out, "{name} {:?}", *value as f64),
        Value::Ratio(value) | Value::Total(value) => writeln!(out, "{name} {value:?}"),
        Value::Summary(all, quantiles) => {
            for q in *quantiles {
                let value = all.quantile(*q).unwrap_or(f64::NAN);
                writeln!(out, "{name}{{quantile=\"{q}\"}} {value:?}")?;
            }
            writeln!(out, "{name}_count {:?}\n{name}_sum {:?}", all.count as f64, all.sum)
        }
        Value::Labelled(label, values) => values.iter().try_for_each(|(key, value)| {
            let key = key.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            writeln!(out, "{name}{{{label}=\"{key}\"}} {:?}", *value as f64)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Summary;

    #[test]
    fn the_page_has_help_type_and_value_of_each() {
        let summary = Summary::default();
        let empty = summary.numbers();
        summary.record(4);
        let metric = |name, value| Metric { name, help: "".into(), value };
        let metrics = [
            metric("packets_sent", Value::Counter(3)),
            metric("avg_latency", Value::Ratio(0.25)),
            metric("fsynctime", Value::Summary(summary.numbers(), &[0.5])),
            metric("election_time", Value::Summary(empty, &[0.5])),
            metric("quota", Value::Labelled("key", vec![("a\"b".to_owned(), -1)])),
        ];
        let expected = "\
# HELP packets_sent packets_sent
# TYPE packets_sent counter
packets_sent 3.0
# HELP avg_latency avg_latency
# TYPE avg_latency gauge
avg_latency 0.25
# HELP fsynctime fsynctime
# TYPE fsynctime summary
fsynctime{quantile=\"0.5\"} 4.0
fsynctime_count 1.0
fsynctime_sum 4.0
# HELP election_time election_time
# TYPE election_time summary
election_time{quantile=\"0.5\"} NaN
election_time_count 0.0
election_time_sum 0.0
# HELP quota quota
# TYPE quota gauge
quota{key=\"a\\\"b\"} -1.0
";
        assert_eq!(page(&metrics), expected);
    }
}
