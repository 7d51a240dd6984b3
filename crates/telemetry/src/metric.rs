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
    /// Numbers of one name and kind, told apart by labels. The kind comes first, in Prometheus' word,
    /// as there may be none of them.
    Labelled(&'static str, Vec<(Labels, Value)>),
}

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

impl Value {
    /// Prometheus' word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::Total(_) => "counter",
            Self::Gauge(_) | Self::Ratio(_) => "gauge",
            Self::Summary(..) => "summary",
            Self::Labelled(kind, _) => kind,
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
    samples(name, "", &metric.value, out)
}

/// The lines of a value. `labels` are written as they stand between the braces.
fn samples(name: &str, labels: &str, value: &Value, out: &mut String) -> std::fmt::Result {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match value {
        Value::Counter(value) => writeln!(out, "{name}{braced} {:?}", *value as f64),
        Value::Gauge(value) => writeln!(out, "{name}{braced} {:?}", *value as f64),
        Value::Ratio(value) | Value::Total(value) => writeln!(out, "{name}{braced} {value:?}"),
        Value::Summary(all, quantiles) => {
            let comma = if labels.is_empty() { "" } else { "," };
            for q in *quantiles {
                let value = all.quantile(*q).unwrap_or(f64::NAN);
                writeln!(out, "{name}{{{labels}{comma}quantile=\"{q}\"}} {value:?}")?;
            }
            writeln!(out, "{name}_count{braced} {:?}", all.count as f64)?;
            writeln!(out, "{name}_sum{braced} {:?}", all.sum)
        }
        Value::Labelled(_, values) => values
            .iter()
            .try_for_each(|(labels, value)| samples(name, &between_braces(labels), value, out)),
    }
}

fn between_braces(labels: &Labels) -> String {
    let mut text = String::new();
    for (label, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{label}=\"{value}\"");
    }
    text
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
        let labelled = |kind, labels: &[(&'static str, &str)], value| {
            let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
            Value::Labelled(kind, vec![(labels.collect(), value)])
        };
        let times = Value::Summary(summary.numbers(), &[0.99]);
        let metrics = [
            metric("packets_sent", Value::Counter(3)),
            metric("avg_latency", Value::Ratio(0.25)),
            metric("fsynctime", Value::Summary(summary.numbers(), &[0.5])),
            metric("election_time", Value::Summary(empty, &[0.5])),
            metric("quota", labelled("gauge", &[("key", "a\"b\n")], Value::Gauge(-1))),
            metric("in_total", labelled("counter", &[("t", "a"), ("p", "0")], Value::Counter(7))),
            metric("time", labelled("summary", &[("api", "Produce")], times)),
            metric("nobody", Value::Labelled("gauge", Vec::new())),
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
quota{key=\"a\\\"b\\n\"} -1.0
# HELP in_total in_total
# TYPE in_total counter
in_total{t=\"a\",p=\"0\"} 7.0
# HELP time time
# TYPE time summary
time{api=\"Produce\",quantile=\"0.99\"} 4.0
time_count{api=\"Produce\"} 1.0
time_sum{api=\"Produce\"} 4.0
# HELP nobody nobody
# TYPE nobody gauge
";
        assert_eq!(page(&metrics), expected);
    }
}
