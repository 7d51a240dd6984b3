//! Groups with how far behind they are, and transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_telemetry::{Labels, Value};

use super::{Lines, Page, gauge};
use crate::broker::Broker;
use crate::group::offsets::CommittedOffset;
use crate::group::shard::{GroupKind, GroupOverview};
use crate::transaction::record::TransactionState;
use crate::transaction::shard::ListFilter;

pub(super) fn add(broker: &Broker, page: &mut Page) {
    let mut committed = broker.groups.committed_offsets();
    committed.sort_unstable_by(|a, b| place(a).cmp(&place(b)));
    // Groups of partitions that are still being read are told when they are known.
    let (_, groups) = broker.groups.list(&[], &[]);
    states(&groups, page);
    page.gauge(
        "kafka_coordinator_group_groupmetadatamanager_numoffsets",
        "Offsets that groups have committed",
        committed.len(),
    );
    offsets(broker, &committed, page);
    transactions(broker, page);
}

fn place(offset: &CommittedOffset) -> (&str, &str, i32) {
    (&offset.group, &offset.topic, offset.partition)
}

fn states(groups: &[GroupOverview], page: &mut Page) {
    const STATES: [(&str, &str, &str); 5] = [
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance",
            "Groups that wait for members to join",
            "PreparingRebalance",
        ),
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance",
            "Groups that wait for their leader's assignment",
            "CompletingRebalance",
        ),
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupsstable",
            "Groups whose members know what is theirs",
            "Stable",
        ),
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupsdead",
            "Groups that are being forgotten",
            "Dead",
        ),
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupsempty",
            "Groups without members",
            "Empty",
        ),
    ];
    page.gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroups",
        "Groups that this node coordinates",
        groups.len(),
    );
    for (name, help, state) in STATES {
        page.gauge(name, help, groups.iter().filter(|group| group.state == state).count());
    }
    let kinds = [GroupKind::Classic, GroupKind::Consumer].into_iter().map(|kind| {
        let count = groups.iter().filter(|group| group.kind == kind).count();
        (vec![("protocol", kind.name().to_lowercase())], gauge(count))
    });
    page.lines(
        "gauge",
        "kafka_server_group_coordinator_metrics_group_count",
        "Groups that this node coordinates, by the protocol that they speak",
        kinds.collect(),
    );
    let consumers =
        ["Empty", "Assigning", "Reconciling", "Stable", "Dead"].into_iter().map(|state| {
            let is_so =
                |group: &&GroupOverview| group.kind == GroupKind::Consumer && group.state == state;
            let count = groups.iter().filter(is_so).count();
            (vec![("state", state.to_lowercase())], gauge(count))
        });
    page.lines(
        "gauge",
        "kafka_server_group_coordinator_metrics_consumer_group_count",
        "Groups of the consumer protocol (KIP-848), by their state",
        consumers.collect(),
    );
}

/// Committed offsets, and how far they are behind. A partition of which this node has no replica has an
/// offset and no lag here.
fn offsets(broker: &Broker, committed: &[CommittedOffset], page: &mut Page) {
    let mut current: Lines = Vec::with_capacity(committed.len());
    let mut lags: Lines = Vec::with_capacity(committed.len());
    // By group and topic.
    let mut sums: BTreeMap<(&Arc<str>, &Arc<str>), (i64, Option<i64>)> = BTreeMap::new();
    for offset in committed {
        let labels: Labels = vec![
            ("consumergroup", offset.group.to_string()),
            ("topic", offset.topic.to_string()),
            ("partition", offset.partition.to_string()),
        ];
        let partition = broker.store.partition(&offset.topic, offset.partition);
        let end = partition.and_then(|found| Some(found.status().ok()?.high_watermark));
        let lag = end.map(|end| lag(end, offset.offset));
        let sum = sums.entry((&offset.group, &offset.topic)).or_default();
        sum.0 = sum.0.saturating_add(offset.offset);
        if let Some(lag) = lag {
            sum.1 = Some(sum.1.unwrap_or(0).saturating_add(lag));
            lags.push((labels.clone(), Value::Gauge(lag)));
        }
        current.push((labels, Value::Gauge(offset.offset)));
    }
    let labels = |(group, topic): &(&Arc<str>, &Arc<str>)| -> Labels {
        vec![("consumergroup", group.to_string()), ("topic", topic.to_string())]
    };
    let current_sums = sums.iter().map(|(key, (sum, _))| (labels(key), Value::Gauge(*sum)));
    let current_sums = current_sums.collect();
    let lag_sums =
        sums.iter().filter_map(|(key, (_, sum))| Some((labels(key), Value::Gauge((*sum)?))));
    let lag_sums = lag_sums.collect();
    page.lines(
        "gauge",
        "kafka_consumergroup_current_offset",
        "Offset that a group has committed; told by its coordinator",
        current,
    );
    page.lines(
        "gauge",
        "kafka_consumergroup_current_offset_sum",
        "The same of all partitions of a topic",
        current_sums,
    );
    page.lines(
        "gauge",
        "kafka_consumergroup_lag",
        "Records that a group has not committed yet; told by its coordinator if it has a replica",
        lags,
    );
    page.lines(
        "gauge",
        "kafka_consumergroup_lag_sum",
        "The same of all partitions of a topic",
        lag_sums,
    );
}

/// A group may have committed what is not there yet, or was lost: it is not behind then.
fn lag(high_watermark: i64, committed: i64) -> i64 {
    high_watermark.saturating_sub(committed).max(0)
}

fn transactions(broker: &Broker, page: &mut Page) {
    let mut counts = BTreeMap::from(TransactionState::ALL.map(|state| (state, 0usize)));
    // While a partition of them is being read, nobody knows how many there are.
    if let Ok(all) = broker.transactions.list(&ListFilter::default()) {
        for found in all {
            *counts.entry(found.state).or_default() += 1;
        }
    } else {
        counts.clear();
    }
    let line = |(state, count): (TransactionState, usize)| {
        (vec![("state", state.name().to_owned())], gauge(count))
    };
    page.lines(
        "gauge",
        "polyport_kafka_transactions",
        "Transactional ids that this node coordinates, by the state of their transaction",
        counts.into_iter().map(line).collect(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_behind_by_less_than_nothing() {
        assert_eq!((lag(10, 4), lag(10, 10), lag(10, 12), lag(0, -1)), (6, 0, 0, 1));
        assert_eq!(lag(i64::MAX, i64::MIN), i64::MAX);
    }
}
