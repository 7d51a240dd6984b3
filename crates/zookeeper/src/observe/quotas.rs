//! Quotas and what is used of them, by namespace: the first component of a path.

use std::collections::BTreeMap;

use polyport_tree::machine::{Machine, parse_limits};
use polyport_tree::store::NodeIndex;

/// What may be used and what is used of one namespace; -1 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) count_limit: i64,
    pub(super) bytes_limit: i64,
    pub(super) count: i64,
    pub(super) bytes: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { count_limit: -1, bytes_limit: -1, count: 0, bytes: 0 }
    }
}

/// Every namespace with a quota on itself or below, limits and use summed.
pub(super) fn by_namespace(machine: &Machine) -> BTreeMap<String, Quota> {
    let store = machine.store();
    let mut quotas: BTreeMap<String, Quota> = BTreeMap::new();
    let Some(root) = store.lookup("/zookeeper/quota") else { return quotas };
    let mut open: Vec<(NodeIndex, String)> = Vec::new();
    open.extend(store.children(root).map(|at| (at, store.name(at).to_owned())));
    while let Some((at, namespace)) = open.pop() {
        let text = std::str::from_utf8(store.data(at).unwrap_or_default()).unwrap_or_default();
        match store.name(at) {
            "zookeeper_limits" => {
                let limits = parse_limits(text);
                let quota = quotas.entry(namespace).or_default();
                // A hard limit, where there is one, is the one that counts.
                let of = |soft: i64, hard: i64| if hard > -1 { hard } else { soft };
                add(&mut quota.count_limit, of(limits.count, limits.count_hard));
                add(&mut quota.bytes_limit, of(limits.bytes, limits.bytes_hard));
            }
            "zookeeper_stats" => {
                let used = parse_limits(text);
                let quota = quotas.entry(namespace).or_default();
                quota.count += used.count.max(0);
                quota.bytes += used.bytes.max(0);
            }
            _ => open.extend(store.children(at).map(|at| (at, namespace.clone()))),
        }
    }
    quotas
}

fn add(sum: &mut i64, limit: i64) {
    if limit >= 0 {
        *sum = (*sum).max(0) + limit;
    }
}
