//! Quotas: `/zookeeper/quota<path>/zookeeper_limits` says what is allowed below `<path>`,
//! `zookeeper_stats` beside it says what is used, kept up to date by the server.

use std::collections::BTreeMap;

use super::Machine;
use crate::command::Submitter;
use crate::store::NodeIndex;
use crate::{TreeError, path};

const QUOTA_ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// What a `zookeeper_limits` znode says; -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Soft limit of znodes: exceeding it is only logged.
    pub count: i64,
    /// Soft limit of bytes.
    pub bytes: i64,
    /// Hard limit of znodes: exceeding it is refused where quotas are enforced.
    pub count_hard: i64,
    /// Hard limit of bytes.
    pub bytes_hard: i64,
}

/// Reads `count=5,bytes=-1=;byteHardLimit=10;countHardLimit=-1` (ZooKeeper's `StatsTrack`).
pub fn parse_limits(text: &str) -> QuotaLimits {
    let mut limits = QuotaLimits { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
    for item in text.split([',', ';']) {
        let mut parts = item.split('=');
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
        let Ok(value) = value.trim().parse() else { continue };
        match key.trim() {
            "count" => limits.count = value,
            "bytes" => limits.bytes = value,
            "countHardLimit" => limits.count_hard = value,
            "byteHardLimit" => limits.bytes_hard = value,
            _ => {}
        }
    }
    limits
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    count: i64,
    bytes: i64,
}

/// Usage below each path that has limits. Derived from the tree.
#[derive(Debug, Default)]
pub(crate) struct Quotas(BTreeMap<String, Usage>);

impl Quotas {
    /// The longest path with limits that holds `path`.
    fn holder(&self, path: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let mut here = path;
        loop {
            if let Some((holder, _)) = self.0.get_key_value(here) {
                return Some(holder);
            }
            here = path::parent(here)?;
        }
    }
}

/// The path that a znode below the quota root speaks of, and its own name.
fn subject(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix(QUOTA_ROOT)?;
    let subject = path::parent(below)?;
    Some((subject, path::name(below)))
}

impl Machine {
    /// Refuses what would exceed a hard limit.
    pub(super) fn check_quota(
        &self,
        path: &str,
        existing: Option<NodeIndex>,
        data: Option<&[u8]>,
        from: &Submitter<'_>,
    ) -> Result<(), TreeError> {
        if !from.enforce_quota {
            return Ok(());
        }
        let Some(holder) = self.quotas.holder(path) else {
            return Ok(());
        };
        let usage = self.quotas.0[holder];
        let limits = self.store.lookup(&format!("{QUOTA_ROOT}{holder}/{LIMITS}"));
        let limits = limits.and_then(|at| self.store.data(at)).unwrap_or_default();
        let limits = parse_limits(&String::from_utf8_lossy(limits));
        let before = existing.map_or(0, |at| self.store.data(at).map_or(0, <[u8]>::len));
        let grown = data.map_or(0, <[u8]>::len) as i64 - before as i64;
        let added = i64::from(existing.is_none());
        let over = |limit: i64, used: i64, more: i64| limit > -1 && more > 0 && used + more > limit;
        if over(limits.count_hard, usage.count, added)
            || over(limits.bytes_hard, usage.bytes, grown)
        {
            return Err(TreeError::QuotaExceeded);
        }
        Ok(())
    }

    /// A znode's data went from one length to another; `None` is no znode.
    pub(super) fn quota_changed(
        &mut self,
        path: &str,
        before: Option<usize>,
        after: Option<usize>,
    ) {
        if let Some((holder, name)) = subject(path) {
            return self.quota_node_changed(holder, name, after.is_some());
        }
        let Some(holder) = self.quotas.holder(path).map(str::to_owned) else {
            return;
        };
        if let Some(usage) = self.quotas.0.get_mut(&holder) {
            usage.count += i64::from(after.is_some()) - i64::from(before.is_some());
            usage.bytes += after.unwrap_or(0) as i64 - before.unwrap_or(0) as i64;
        }
        self.write_stats(&holder);
    }

    fn quota_node_changed(&mut self, holder: &str, name: &str, exists: bool) {
        match name {
            LIMITS if exists => {
                let usage = self.measure(holder);
                self.quotas.0.insert(holder.to_owned(), usage);
            }
            LIMITS => {
                self.quotas.0.remove(holder);
            }
            STATS if exists => self.write_stats(holder),
            _ => {}
        }
    }

    fn measure(&self, holder: &str) -> Usage {
        let mut usage = Usage::default();
        let mut open: Vec<NodeIndex> = self.store.lookup(holder).into_iter().collect();
        while let Some(at) = open.pop() {
            usage.count += 1;
            usage.bytes += self.store.data(at).map_or(0, <[u8]>::len) as i64;
            open.extend(self.store.children(at));
        }
        usage
    }

    /// Like ZooKeeper, without a new version: nobody asked for this change.
    fn write_stats(&mut self, holder: &str) {
        let Some(Usage { count, bytes }) = self.quotas.0.get(holder).copied() else {
            return;
        };
        if let Some(at) = self.store.lookup(&format!("{QUOTA_ROOT}{holder}/{STATS}")) {
            let text = format!("count={count},bytes={bytes}");
            if self.store.data(at) != Some(text.as_bytes()) {
                self.set_node_data(at, Some(text.as_bytes()));
            }
        }
    }

    /// Runs `change` on a znode that is being put back or taken out by a rollback, then counts its
    /// quota anew.
    pub(super) fn recount_quota_around(&mut self, at: NodeIndex, change: impl FnOnce(&mut Self)) {
        let path = match self.quotas.0.is_empty() && !self.store.path(at).starts_with(QUOTA_ROOT) {
            true => None,
            false => Some(self.store.path(at)),
        };
        change(self);
        let Some(path) = path else { return };
        if let Some((holder, name)) = subject(&path) {
            let exists = self.store.lookup(&path).is_some();
            return self.quota_node_changed(holder, name, exists);
        }
        if let Some(holder) = self.quotas.holder(&path).map(str::to_owned) {
            let usage = self.measure(&holder);
            self.quotas.0.insert(holder.clone(), usage);
            self.write_stats(&holder);
        }
    }

    /// Finds all limits, after a snapshot was loaded.
    pub(crate) fn find_quotas(&mut self) {
        self.quotas = Quotas::default();
        let mut open: Vec<NodeIndex> = self.store.lookup(QUOTA_ROOT).into_iter().collect();
        while let Some(at) = open.pop() {
            if self.store.name(at) == LIMITS {
                let path = self.store.path(at);
                if let Some((holder, _)) = subject(&path) {
                    let usage = self.measure(holder);
                    self.quotas.0.insert(holder.to_owned(), usage);
                }
            }
            open.extend(self.store.children(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_zookeeper_writes_them() {
        let limits = parse_limits("count=5,bytes=-1=;byteHardLimit=10;countHardLimit=-1");
        assert_eq!(limits, QuotaLimits { count: 5, bytes: -1, count_hard: -1, bytes_hard: 10 });
        assert_eq!(parse_limits("rubbish,=;;count=x").count, -1);
    }
}
