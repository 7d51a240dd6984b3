//! A topic's configuration as its logs take it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use polyport_log::batch::Codec;
use polyport_log::{Compression, LogConfig};

use super::def::{ConfigError, Value};
use super::defs;
use super::resolve::{Configs, own};
use crate::metadata::image::Image;

/// What a topic is like.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// For its logs. The jitter of segments is not drawn yet: see [`TopicConfig::segment_jitter_ms`].
    pub log: LogConfig,
    /// `segment.jitter.ms`: each log draws its own below this.
    pub segment_jitter_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
}

/// Values by name, each of its own type.
struct Values<'a> {
    configs: &'a Configs,
    image: &'a Image,
    own: &'a BTreeMap<String, String>,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Value {
        match defs::topic(name) {
            Some(def) => self.configs.topic_value(self.image, self.own, def).1,
            None => unreachable!("no topic has a configuration {name}"),
        }
    }

    fn number(&self, name: &str) -> i64 {
        match self.get(name) {
            Value::Number(number) => number,
            other => unreachable!("{name} is no number: {other:?}"),
        }
    }

    /// A size; negative ones are 0.
    fn size(&self, name: &str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name) == Value::Boolean(true)
    }

    fn text(&self, name: &str) -> String {
        match self.get(name) {
            Value::Text(text) => text,
            other => unreachable!("{name} is no text: {other:?}"),
        }
    }

    fn compression(&self) -> (Compression, Option<i32>) {
        let level = |name| i32::try_from(self.number(name)).ok().filter(|level| *level != -1);
        match &*self.text("compression.type") {
            "uncompressed" => (Compression::Codec(Codec::None), None),
            "gzip" => (Compression::Codec(Codec::Gzip), level("compression.gzip.level")),
            "snappy" => (Compression::Codec(Codec::Snappy), None),
            "lz4" => (Compression::Codec(Codec::Lz4), level("compression.lz4.level")),
            // Of which -1 is a level.
            "zstd" => {
                let level = i32::try_from(self.number("compression.zstd.level")).ok();
                (Compression::Codec(Codec::Zstd), level)
            }
            _ => (Compression::Producer, None),
        }
    }

    /// A limit of timestamps; the older one for both directions counts where it is not set.
    fn timestamp_limit(&self, name: &str) -> i64 {
        match self.number(name) {
            i64::MAX => self.number("message.timestamp.difference.max.ms"),
            limit => limit,
        }
    }

    fn topic(&self, producer_expiration_ms: i64) -> TopicConfig {
        let (compression, compression_level) = self.compression();
        let Value::List(policy) = self.get("cleanup.policy") else {
            unreachable!("cleanup.policy is no list")
        };
        let has = |what: &str| policy.iter().any(|one| one == what);
        let defaults = LogConfig::default();
        let Value::Double(min_cleanable_dirty_ratio) = self.get("min.cleanable.dirty.ratio") else {
            unreachable!("min.cleanable.dirty.ratio is no double")
        };
        let log = LogConfig {
            segment_bytes: self.size("segment.bytes"),
            segment_ms: self.number("segment.ms"),
            segment_jitter_ms: 0,
            segment_index_bytes: self.size("segment.index.bytes"),
            index_interval_bytes: self.size("index.interval.bytes"),
            max_message_bytes: self.size("max.message.bytes") as usize,
            compression,
            compression_level,
            inspect: defaults.inspect,
            decompressed_limit_bytes: defaults.decompressed_limit_bytes,
            log_append_time: self.text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: self.timestamp_limit("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: self.timestamp_limit("message.timestamp.after.max.ms"),
            delete: has("delete"),
            compact: has("compact"),
            retention_ms: Some(self.number("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(self.number("retention.bytes")).ok(),
            // Java's greatest number is nobody's count: never.
            flush_messages: match self.number("flush.messages") {
                i64::MAX => u64::MAX,
                messages => messages.max(1) as u64,
            },
            flush_ms: self.number("flush.ms"),
            min_cleanable_dirty_ratio,
            min_compaction_lag_ms: self.number("min.compaction.lag.ms"),
            max_compaction_lag_ms: self.number("max.compaction.lag.ms"),
            delete_retention_ms: self.number("delete.retention.ms"),
            producer_expiration_ms,
        };
        TopicConfig {
            log,
            segment_jitter_ms: self.number("segment.jitter.ms"),
            min_insync_replicas: self.size("min.insync.replicas") as usize,
            file_delete_delay_ms: self.number("file.delete.delay.ms"),
            unclean_leader_election: self.flag("unclean.leader.election.enable"),
        }
    }
}

impl Configs {
    /// What a topic is like.
    pub fn topic(&self, image: &Image, topic: &str) -> TopicConfig {
        let producer_expiration_ms = self.broker_number(image, "producer.id.expiration.ms");
        Values { configs: self, image, own: &own(image, topic) }.topic(producer_expiration_ms)
    }

    /// The same as partitions take it. The jitter of segments is drawn for the topic, the same at
    /// each call.
    pub fn partitions(&self, image: &Image, topic: &str) -> polyport_partitions::TopicConfig {
        let TopicConfig {
            mut log,
            segment_jitter_ms,
            min_insync_replicas,
            file_delete_delay_ms,
            ..
        } = self.topic(image, topic);
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        // Below 2^63, so that it stays positive.
        let drawn = (hasher.finish() >> 1) as i64;
        log.segment_jitter_ms = match segment_jitter_ms.min(log.segment_ms) {
            ..=0 => 0,
            most => drawn % most,
        };
        polyport_partitions::TopicConfig { log, min_insync_replicas, file_delete_delay_ms }
    }

    /// Whether a topic takes a leader that was not in sync.
    pub fn unclean(&self, image: &Image, topic: &str) -> bool {
        let values = Values { configs: self, image, own: &own(image, topic) };
        values.flag("unclean.leader.election.enable")
    }

    /// Checks what a topic is to set itself.
    ///
    /// # Errors
    /// If a name is unknown, a value is not allowed, or values contradict each other.
    pub fn validate_topic(
        &self,
        image: &Image,
        own: &BTreeMap<String, String>,
    ) -> Result<(), ConfigError> {
        for name in own.keys() {
            if defs::topic(name).is_none() {
                return Err(ConfigError::Other(format!("Unknown topic config name: {name}")));
            }
        }
        for (name, value) in own {
            defs::topic(name).map(|def| def.parse(value)).transpose()?;
        }
        let values = Values { configs: self, image, own };
        let lag = |name| values.number(name);
        let (min, max) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
        if min > max {
            return Err(ConfigError::Other(format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > \
                 max.compaction.lag.ms ({max})"
            )));
        }
        for name in ["remote.log.delete.on.disable", "remote.log.copy.disable"] {
            if values.flag(name) {
                return Err(ConfigError::Other(
                    "It is invalid to set `remote.log.delete.on.disable` or \
                     `remote.log.copy.disable` under Zookeeper's mode."
                        .to_owned(),
                ));
            }
        }
        if values.flag("remote.storage.enable") {
            return Err(ConfigError::Value(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                 configured with remote log storage."
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
