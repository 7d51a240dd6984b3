//! Which offsets have outlived their retention.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Millis;

use super::super::record::OffsetValue;
use super::Offsets;

/// From when on an offset's retention counts (KIP-211).
pub(crate) enum Expiry<'a> {
    /// From when the group lost its last member, for all offsets. Without the time, which old
    /// records do not have, from each commit.
    Since(Option<i64>),
    /// From each commit, for topics that no member is subscribed to.
    Unsubscribed(&'a dyn Fn(&str) -> bool),
    /// From each commit: nobody manages the group.
    Commit,
    /// Not now: the group is between two generations.
    Never,
}

impl Offsets {
    /// The partitions whose offsets are to be removed. One that an open transaction has written
    /// stays.
    pub(crate) fn expired(
        &self,
        expiry: &Expiry<'_>,
        now: Millis,
        retention: Duration,
    ) -> Vec<(Arc<str>, i32)> {
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let since = |value: &OffsetValue| match expiry {
            Expiry::Since(since) => since.unwrap_or(value.commit_timestamp),
            _ => value.commit_timestamp,
        };
        let is_expired = |value: &OffsetValue| match value.expire_timestamp {
            Some(expire) => now.0 >= expire,
            None => now.0.saturating_sub(since(value)) >= retention_ms,
        };
        let is_kept = |topic: &str| match expiry {
            Expiry::Never => true,
            Expiry::Unsubscribed(subscribed) => subscribed(topic),
            Expiry::Since(_) | Expiry::Commit => false,
        };
        self.iter()
            .filter(|(topic, partition, value)| {
                !is_kept(topic) && is_expired(value) && !self.is_unstable(topic, *partition)
            })
            .map(|(topic, partition, _)| (topic.clone(), partition))
            .collect()
    }
}
