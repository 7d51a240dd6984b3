//! The documentation's names, the rules' names, the page's names.

use std::collections::BTreeSet;

use polyport_telemetry::{Metric, Value};

const DOCUMENTATION: &str = include_str!("../../../../docs/metrics.md");
const RULES: &str = include_str!("../../../../deploy/prometheus-kafka-rules.yml");

/// The names that have a type, and what a summary adds to its name.
fn on_the_page(metrics: &[Metric]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for metric in metrics {
        assert!(names.insert(metric.name.to_owned()), "{} is there twice", metric.name);
        if metric.value.kind() == "summary" {
            names.extend(["_sum", "_count"].map(|end| format!("{}{end}", metric.name)));
        }
    }
    names
}

/// Words that are numbers' names. The process' own are ZooKeeper's part of the page.
fn spoken_of(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("kafka_") || word.starts_with("polyport_"))
        // Beginnings, and the exporter whose names these are.
        .filter(|word| !word.ends_with('_') && !["kafka_exporter"].contains(word))
        // kafka_topic_partition*: a pattern, and a name that begins so.
        .filter(|word| *word != "kafka_topic_partition")
        .collect()
}

pub fn check(metrics: &[Metric]) {
    let page = on_the_page(metrics);
    for (what, text) in [("docs/metrics.md", DOCUMENTATION), ("the rules", RULES)] {
        for name in spoken_of(text) {
            assert!(page.contains(name), "{what}: {name} is not on the page");
        }
    }
    let documented = spoken_of(DOCUMENTATION);
    for metric in metrics {
        let name = metric.name;
        let one_of = "kafka_coordinator_group_groupmetadatamanager_numgroups";
        let is_documented = documented.contains(name)
            || name.strip_prefix(one_of).is_some_and(|end| DOCUMENTATION.contains(end))
            || name.strip_suffix("_sum").is_some_and(|name| documented.contains(name));
        assert!(is_documented, "docs/metrics.md lacks {name}");
        assert!(!metric.help.is_empty(), "{name} has no help");
        follows_the_scheme(metric);
    }
    rows();
    rules();
}

/// Counters end in `_total`, and nothing else does.
fn follows_the_scheme(metric: &Metric) {
    let name = metric.name;
    let is_counter = metric.value.kind() == "counter";
    assert_eq!(is_counter, name.ends_with("_total"), "{name}");
    if let Value::Labelled(kind, lines) = &metric.value {
        assert!(lines.iter().all(|(_, value)| value.kind() == *kind), "{name}");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(name.chars().all(plain), "{name}");
}

/// All twenty rows of the operators' table are there, and each has a number.
fn rows() {
    for number in 1..=20 {
        let start = format!("| {number} |");
        let row = DOCUMENTATION.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("row {number} is missing"));
        assert!(!spoken_of(row).is_empty(), "{row}");
    }
}

/// Each rule has what Prometheus wants of it, and its brackets match.
fn rules() {
    let alerts: Vec<&str> = RULES.split("- alert:").skip(1).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let alert = alert.split("\n  - name:").next().unwrap();
        for part in
            ["\n        expr: ", "\n        labels: { severity: ", "\n          summary: \""]
        {
            assert_eq!(alert.matches(part).count(), 1, "{part:?} in {alert}");
        }
        let expression = alert.split("expr:").nth(1).unwrap().split("labels:").next().unwrap();
        for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
            assert_eq!(expression.matches(open).count(), expression.matches(close).count());
        }
    }
}
