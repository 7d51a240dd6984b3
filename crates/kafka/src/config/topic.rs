//! A topic's settings as its partitions need them.

use std::sync::Arc;

use polyport_log::batch::Codec;
use polyport_log::{Compression, LogConfig};
use polyport_partitions::TopicConfig;

use super::resolve::{Layers, Values, topic_key};
use super::value;

/// Reads what holds for a topic. Values were checked when they were set; one that cannot be read is
/// as if it were not there.
pub fn topic_config(layers: &Layers<'_>, topic: &Values) -> Arc<TopicConfig> {
    let text =
        |name: &str| topic_key(name).map(|key| layers.of_topic(key, topic)).unwrap_or_default();
    let long = |name: &str, otherwise: i64| text(name).trim().parse::<i64>().unwrap_or(otherwise);
    let size = |name: &str, otherwise: u64| u64::try_from(long(name, -1)).unwrap_or(otherwise);
    let default = LogConfig::default();
    let policy = text("cleanup.policy");
    let policies = || value::items(&policy);
    let codec = compression(text("compression.type").trim());
    let level = match codec {
        Compression::Codec(Codec::Gzip) => {
            Some(long("compression.gzip.level", -1)).filter(|level| *level >= 0)
        }
        Compression::Codec(Codec::Zstd) => Some(long("compression.zstd.level", 3)),
        _ => None,
    };
    // The older key is the limit of both of the newer ones that replaced it.
    let difference = long("message.timestamp.difference.max.ms", i64::MAX);
    let log = LogConfig {
        segment_bytes: size("segment.bytes", default.segment_bytes),
        segment_ms: long("segment.ms", default.segment_ms),
        segment_jitter_ms: 0,
        segment_index_bytes: size("segment.index.bytes", default.segment_index_bytes),
        index_interval_bytes: size("index.interval.bytes", default.index_interval_bytes),
        max_message_bytes: size("max.message.bytes", default.max_message_bytes as u64) as usize,
        compression: codec,
        compression_level: level.and_then(|level| i32::try_from(level).ok()),
        log_append_time: text("message.timestamp.type").trim() == "LogAppendTime",
        timestamp_before_max_ms: long("message.timestamp.before.max.ms", i64::MAX).min(difference),
        timestamp_after_max_ms: long("message.timestamp.after.max.ms", i64::MAX).min(difference),
        delete: policies().any(|policy| policy == "delete"),
        compact: policies().any(|policy| policy == "compact"),
        retention_ms: Some(long("retention.ms", -1)).filter(|ms| *ms >= 0),
        retention_bytes: u64::try_from(long("retention.bytes", -1)).ok(),
        flush_messages: size("flush.messages", u64::MAX),
        flush_ms: long("flush.ms", i64::MAX),
        min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
        min_compaction_lag_ms: long("min.compaction.lag.ms", 0),
        max_compaction_lag_ms: long("max.compaction.lag.ms", i64::MAX),
        delete_retention_ms: long("delete.retention.ms", default.delete_retention_ms),
        ..default
    };
    Arc::new(TopicConfig {
        log,
        min_insync_replicas: size("min.insync.replicas", 1) as usize,
        file_delete_delay_ms: long("file.delete.delay.ms", 60_000),
    })
}

fn compression(name: &str) -> Compression {
    match name {
        "uncompressed" => Compression::Codec(Codec::None),
        "gzip" => Compression::Codec(Codec::Gzip),
        "snappy" => Compression::Codec(Codec::Snappy),
        "lz4" => Compression::Codec(Codec::Lz4),
        "zstd" => Compression::Codec(Codec::Zstd),
        _ => Compression::Producer,
    }
}

/// `unclean.leader.election.enable` of a topic.
pub fn elects_uncleanly(layers: &Layers<'_>, topic: &Values) -> bool {
    let key = topic_key("unclean.leader.election.enable");
    key.is_some_and(|key| layers.of_topic(key, topic).trim().eq_ignore_ascii_case("true"))
}

/// Checks what is set for a topic.
///
/// # Errors
/// The first thing that is wrong, as Kafka says it.
pub fn check(topic: &Values) -> Result<(), String> {
    for (name, text) in topic {
        let key = topic_key(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
        value::check(key, text)?;
    }
    let long = |name: &str| topic.get(name).and_then(|text| text.trim().parse::<i64>().ok());
    let least = long("min.compaction.lag.ms").unwrap_or(0);
    let most = long("max.compaction.lag.ms").unwrap_or(i64::MAX);
    if least > most {
        return Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> Values {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn of(file: &[(&str, &str)], topic: &[(&str, &str)]) -> Arc<TopicConfig> {
        let (none, file) = (Values::new(), values(file));
        let layers = Layers { broker: &none, all_brokers: &none, file: &file };
        topic_config(&layers, &values(topic))
    }

    #[test]
    fn without_settings_a_topic_is_as_kafkas() {
        let (ours, logs) = (of(&[], &[]), LogConfig::default());
        assert_eq!(format!("{:?}", ours.log.retention_ms), format!("{:?}", logs.retention_ms));
        assert_eq!(ours.log.segment_bytes, logs.segment_bytes);
        assert_eq!(ours.log.max_message_bytes, logs.max_message_bytes);
        assert_eq!(ours.log.flush_messages, i64::MAX as u64);
        assert!(ours.log.delete && !ours.log.compact);
        assert_eq!((ours.min_insync_replicas, ours.file_delete_delay_ms), (1, 60_000));
    }

    #[test]
    fn what_is_set_takes_effect() {
        let file = [("log.retention.hours", "1"), ("message.max.bytes", "5"), ("log.roll.ms", "9")];
        let topic = [
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "-1"),
            ("compression.type", "zstd"),
            ("message.timestamp.type", "LogAppendTime"),
            ("message.timestamp.difference.max.ms", "7"),
            ("min.insync.replicas", "2"),
        ];
        let config = of(&file, &topic);
        assert!(config.log.compact && config.log.delete && config.log.log_append_time);
        assert_eq!(config.log.retention_ms, None);
        assert_eq!(of(&file, &[]).log.retention_ms, Some(3_600_000));
        assert_eq!((config.log.max_message_bytes, config.log.segment_ms), (5, 9));
        assert_eq!(config.log.compression, Compression::Codec(Codec::Zstd));
        assert_eq!(config.log.compression_level, Some(3));
        assert_eq!(config.log.timestamp_before_max_ms, 7);
        assert_eq!(config.min_insync_replicas, 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let why = |topic: &[(&str, &str)]| check(&values(topic)).unwrap_err();
        assert_eq!(why(&[("retention", "1")]), "Unknown topic config name: retention");
        assert!(why(&[("retention.ms", "x")]).contains("Not a number of type LONG"));
        let lags = [("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")];
        assert!(why(&lags).contains("min.compaction.lag.ms (5) > max.compaction.lag.ms (4)"));
        assert_eq!(check(&values(&[("cleanup.policy", "compact")])), Ok(()));
    }
}
