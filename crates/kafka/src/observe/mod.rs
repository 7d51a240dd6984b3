//! The numbers of the metrics page.
//!
//! # Names
//! Three kinds, so that what operators have already works:
//! - Kafka's own JMX names as Prometheus' JMX exporter writes them with its example rules for Kafka:
//!   `kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=t` is
//!   `kafka_server_brokertopicmetrics_messagesin_total{topic="t"}`. Domain, type and name in small
//!   letters with underscores; a meter is its count, and `PerSec` becomes `_total`; `Percent` becomes
//!   `_percent`, a share of 1; a histogram has quantiles, `_count` and `_sum`; labels as Kafka spells
//!   them. As there, what is counted of each topic has a line without `topic` for all together.
//! - `kafka_consumergroup_*`, `kafka_topic_partition*` and `kafka_brokers`, which Kafka does not have
//!   and which kafka_exporter gives them.
//! - `polyport_*` for what neither has.
//!
//! # What is shown where
//! A partition's `kafka_topic_partition_*` is shown by its leader, what is of the whole cluster
//! (`kafka_controller_*`) by the controller, 0 elsewhere, and a group by its coordinator: sums over
//! nodes are right. Counters start with the process.
//!
//! # Cost
//! Nothing is counted but in `broker::stats`; the rest is asked for when the page is. No name has more
//! than [`MOST_LINES`] lines; how many were left out is a number of its own.

mod groups;
mod partitions;
mod process;
mod traffic;

use std::borrow::Cow;

use polyport_telemetry::{Labels, Metric, Value};

use crate::broker::Broker;

/// Most lines of one name: topics, partitions and groups are as many as clients make.
pub const MOST_LINES: usize = 10_000;

impl Broker {
    /// All numbers, as of now.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut page = Page::default();
        traffic::add(self, &mut page);
        partitions::add(self, &mut page);
        groups::add(self, &mut page);
        process::add(&mut page);
        page.finish()
    }
}

/// Numbers with different labels.
type Lines = Vec<(Labels, Value)>;

#[derive(Default)]
struct Page {
    metrics: Vec<Metric>,
    left_out: usize,
}

impl Page {
    fn add(&mut self, name: &'static str, help: &'static str, value: Value) {
        self.metrics.push(Metric { name, help: Cow::Borrowed(help), value });
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: impl TryInto<i64>) {
        self.add(name, help, gauge(value));
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.add(name, help, Value::Counter(value));
    }

    /// The kind is Prometheus' word.
    fn lines(
        &mut self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        mut lines: Lines,
    ) {
        self.left_out += lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        self.add(name, help, Value::Labelled(kind, lines));
    }

    fn finish(mut self) -> Vec<Metric> {
        let left_out = self.left_out;
        self.gauge(
            "polyport_kafka_lines_left_out",
            "Lines of this page that were left out because their name has more than 10000",
            left_out,
        );
        self.metrics
    }
}

fn gauge(value: impl TryInto<i64>) -> Value {
    Value::Gauge(value.try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_too_many_lines_is_cut_and_says_so() {
        let mut page = Page::default();
        let line = |at: usize| (vec![("topic", at.to_string())], gauge(at));
        page.lines("gauge", "many", "", (0..MOST_LINES + 7).map(line).collect());
        page.lines("gauge", "few", "", (0..3).map(line).collect());
        let metrics = page.finish();
        let Value::Labelled(_, lines) = &metrics[0].value else { panic!() };
        assert_eq!(lines.len(), MOST_LINES);
        assert!(matches!(metrics[2].value, Value::Gauge(7)), "{:?}", metrics[2]);
        assert!(metrics[2].help.contains(&MOST_LINES.to_string()));
    }
}
