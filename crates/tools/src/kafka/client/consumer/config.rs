//! A consumer's settings.

use std::time::Duration;

use crate::kafka::client::{ClientConfig, ClientError, Properties, Result};

/// Where a consumer begins in a partition that it has no offset for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// At the beginning.
    Earliest,
    /// At the end.
    Latest,
    /// Nowhere: that is an error.
    None,
}

/// A consumer's settings, checked.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// Those of every client.
    pub client: ClientConfig,
    /// The group, if it is in one.
    pub group_id: Option<String>,
    /// What the group knows a static member by.
    pub group_instance_id: Option<String>,
    /// After how long without a heartbeat a member is gone.
    pub session_timeout: Duration,
    /// How long members have to join again.
    pub rebalance_timeout: Duration,
    /// How often a member says that it is there.
    pub heartbeat: Duration,
    /// How often offsets are committed, if that happens by itself.
    pub auto_commit: Option<Duration>,
    /// Where to begin without an offset.
    pub reset: Reset,
    /// Whether to read only what was committed.
    pub read_committed: bool,
    /// How long a broker waits for `fetch_min_bytes`.
    pub fetch_max_wait: Duration,
    /// How much a broker waits for.
    pub fetch_min_bytes: i32,
    /// How much a broker answers with.
    pub fetch_max_bytes: i32,
    /// How much of a partition it answers with.
    pub max_partition_bytes: i32,
    /// How old metadata becomes.
    pub metadata_max_age: Duration,
    /// Whether a pattern does not match Kafka's own topics.
    pub exclude_internal: bool,
    /// Whether checksums are looked at.
    pub check_crcs: bool,
}

impl ConsumerConfig {
    /// The settings of a consumer.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn new(properties: Properties) -> Result<Self> {
        let group_id = properties.get("group.id").map(str::to_owned);
        let id = properties.get("client.id").unwrap_or("consumer-1").to_owned();
        let group = group_id.as_deref().unwrap_or("null");
        let prefix = format!("[Consumer clientId={id}, groupId={group}] ");
        let millis = |key, default| {
            properties
                .number(key, default, 0_i64)
                .map(|it| Duration::from_millis(it.unsigned_abs()))
        };
        let on = |key, default| properties.get(key).map_or(default, |_| properties.is_true(key));
        let interval = millis("auto.commit.interval.ms", 5000)?;
        Ok(Self {
            session_timeout: millis("session.timeout.ms", 45_000)?,
            rebalance_timeout: millis("max.poll.interval.ms", 300_000)?,
            heartbeat: millis("heartbeat.interval.ms", 3000)?,
            auto_commit: on("enable.auto.commit", true).then_some(interval),
            reset: reset(properties.get("auto.offset.reset").unwrap_or("latest"))?,
            read_committed: read_committed(properties.get("isolation.level"))?,
            fetch_max_wait: millis("fetch.max.wait.ms", 500)?,
            fetch_min_bytes: properties.number("fetch.min.bytes", 1, 0)?,
            fetch_max_bytes: properties.number("fetch.max.bytes", 50 << 20, 0)?,
            max_partition_bytes: properties.number("max.partition.fetch.bytes", 1 << 20, 0)?,
            metadata_max_age: millis("metadata.max.age.ms", 300_000)?,
            exclude_internal: on("exclude.internal.topics", true),
            check_crcs: on("check.crcs", true),
            group_instance_id: properties.get("group.instance.id").map(str::to_owned),
            group_id: group_id.filter(|group| !group.is_empty()),
            client: ClientConfig::new(properties, id, prefix)?,
        })
    }
}

fn reset(text: &str) -> Result<Reset> {
    match text {
        "earliest" => Ok(Reset::Earliest),
        "latest" => Ok(Reset::Latest),
        "none" => Ok(Reset::None),
        other => Err(ClientError::Config(format!(
            "Invalid value {other} for configuration auto.offset.reset: String must be one of: \
             latest, earliest, none"
        ))),
    }
}

fn read_committed(text: Option<&str>) -> Result<bool> {
    match text {
        None | Some("read_uncommitted") => Ok(false),
        Some("read_committed") => Ok(true),
        Some(other) => Err(ClientError::Config(format!(
            "Invalid value {other} for configuration isolation.level: String must be one of: \
             read_committed, read_uncommitted"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_kafkas_defaults() {
        let config = |pairs: &[&str]| {
            let mut properties = Properties::from_pairs(pairs);
            properties.set("bootstrap.servers", "h:1");
            ConsumerConfig::new(properties)
        };
        let defaults = config(&["group.id=g"]).unwrap();
        assert_eq!(defaults.reset, Reset::Latest);
        assert_eq!(defaults.auto_commit, Some(Duration::from_secs(5)));
        assert_eq!(defaults.client.log_prefix, "[Consumer clientId=consumer-1, groupId=g] ");
        assert_eq!(config(&["enable.auto.commit=false"]).unwrap().auto_commit, None);
        assert!(config(&["isolation.level=read_committed"]).unwrap().read_committed);
        assert!(config(&["isolation.level=x"]).is_err());
        assert!(config(&["auto.offset.reset=x"]).is_err());
    }
}
