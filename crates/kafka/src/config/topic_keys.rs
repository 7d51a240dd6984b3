//! The keys of topics.

use super::define::{Check, Definition, Kind, key};

/// Milliseconds of a minute and of an hour.
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

const NO_TIERS: &str = "records are on this node's disks only";

/// All of them, by name.
#[rustfmt::skip]
pub const TOPIC_KEYS: &[Definition] = &[
    key("cleanup.policy", Kind::List, "delete", "What becomes of old segments: they are deleted, compacted, or both.")
        .check(Check::OneOf(&["compact", "delete"])).broker(&[("log.cleanup.policy", 1)]),
    key("compression.gzip.level", Kind::Int, "-1", "The level of gzip, from 1 to 9, or -1 for its default.")
        .check(Check::Between(-1, 9)).broker(&[("compression.gzip.level", 1)]),
    key("compression.lz4.level", Kind::Int, "9", "The level of lz4.")
        .check(Check::Between(1, 17)).broker(&[("compression.lz4.level", 1)])
        .without_effect("lz4 has one level here"),
    key("compression.type", Kind::String, "producer", "The codec that batches are kept in; producer keeps the one they came in.")
        .check(Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])).broker(&[("compression.type", 1)]),
    key("compression.zstd.level", Kind::Int, "3", "The level of zstd.")
        .check(Check::Between(-131_072, 22)).broker(&[("compression.zstd.level", 1)]),
    key("delete.retention.ms", Kind::Long, "86400000", "How long tombstones stay in a compacted topic.")
        .check(Check::AtLeast(0)).broker(&[("log.cleaner.delete.retention.ms", 1)]),
    key("file.delete.delay.ms", Kind::Long, "60000", "How long a deleted file stays on the disk.")
        .check(Check::AtLeast(0)).broker(&[("log.segment.delete.delay.ms", 1)]),
    key("flush.messages", Kind::Long, "9223372036854775807", "Messages after which the log is synced to the disk.")
        .check(Check::AtLeast(1)).broker(&[("log.flush.interval.messages", 1)]),
    key("flush.ms", Kind::Long, "9223372036854775807", "Time after which a message is synced to the disk.")
        .check(Check::AtLeast(0)).broker(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    key("follower.replication.throttled.replicas", Kind::List, "", "Followers whose fetching is throttled, as partition:broker, or * for all.")
        .check(Check::ThrottledReplicas),
    key("index.interval.bytes", Kind::Int, "4096", "Bytes of records between two entries of the offset index.")
        .check(Check::AtLeast(0)).broker(&[("log.index.interval.bytes", 1)]),
    key("leader.replication.throttled.replicas", Kind::List, "", "Leaders whose answers to followers are throttled, as partition:broker, or * for all.")
        .check(Check::ThrottledReplicas),
    key("local.retention.bytes", Kind::Long, "-2", "Bytes that stay on local disks when older segments are in remote storage.")
        .check(Check::AtLeast(-2)).broker(&[("log.local.retention.bytes", 1)]).without_effect(NO_TIERS),
    key("local.retention.ms", Kind::Long, "-2", "How long segments stay on local disks when older ones are in remote storage.")
        .check(Check::AtLeast(-2)).broker(&[("log.local.retention.ms", 1)]).without_effect(NO_TIERS),
    key("max.compaction.lag.ms", Kind::Long, "9223372036854775807", "Time after which a message may be compacted at the latest.")
        .check(Check::AtLeast(1)).broker(&[("log.cleaner.max.compaction.lag.ms", 1)]),
    key("max.message.bytes", Kind::Int, "1048588", "Largest batch of records, after compression.")
        .check(Check::AtLeast(0)).broker(&[("message.max.bytes", 1)]),
    key("message.downconversion.enable", Kind::Boolean, "true", "Whether records are converted for consumers of older formats.")
        .broker(&[("log.message.downconversion.enable", 1)])
        .without_effect("consumers of formats before 2 are not served"),
    key("message.format.version", Kind::String, "3.0-IV1", "The format of records.")
        .broker(&[("log.message.format.version", 1)]).without_effect("records are kept in format 2"),
    key("message.timestamp.after.max.ms", Kind::Long, "9223372036854775807", "How far a message's timestamp may be ahead of the broker's clock.")
        .check(Check::AtLeast(0)).broker(&[("log.message.timestamp.after.max.ms", 1)]),
    key("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807", "How far a message's timestamp may be behind the broker's clock.")
        .check(Check::AtLeast(0)).broker(&[("log.message.timestamp.before.max.ms", 1)]),
    key("message.timestamp.difference.max.ms", Kind::Long, "9223372036854775807", "How far a message's timestamp may differ from the broker's clock.")
        .check(Check::AtLeast(0)).broker(&[("log.message.timestamp.difference.max.ms", 1)]),
    key("message.timestamp.type", Kind::String, "CreateTime", "Whether a message's timestamp is the producer's or the broker's.")
        .check(Check::OneOf(&["CreateTime", "LogAppendTime"])).broker(&[("log.message.timestamp.type", 1)]),
    key("min.cleanable.dirty.ratio", Kind::Double, "0.5", "The part of a log that must be uncompacted before it is compacted.")
        .check(Check::Fraction(0.0, 1.0)).broker(&[("log.cleaner.min.cleanable.ratio", 1)]),
    key("min.compaction.lag.ms", Kind::Long, "0", "Time for which a message is not compacted.")
        .check(Check::AtLeast(0)).broker(&[("log.cleaner.min.compaction.lag.ms", 1)]),
    key("min.insync.replicas", Kind::Int, "1", "Replicas that must be in sync for a producer with acks=all.")
        .check(Check::AtLeast(1)).broker(&[("min.insync.replicas", 1)]),
    key("preallocate", Kind::Boolean, "false", "Whether a new segment is reserved on the disk at once.")
        .broker(&[("log.preallocate", 1)]).without_effect("segments grow as they are written"),
    key("remote.copy.disable", Kind::Boolean, "false", "Whether nothing more is copied to remote storage.").without_effect(NO_TIERS),
    key("remote.log.delete.on.disable", Kind::Boolean, "false", "Whether what is in remote storage goes when it is turned off.").without_effect(NO_TIERS),
    key("remote.storage.enable", Kind::Boolean, "false", "Whether old segments go to remote storage.").without_effect(NO_TIERS),
    key("retention.bytes", Kind::Long, "-1", "Bytes of a partition beyond which old segments are deleted; -1 for any number.")
        .broker(&[("log.retention.bytes", 1)]),
    key("retention.ms", Kind::Long, "604800000", "Time after which old segments are deleted; -1 for never.")
        .check(Check::AtLeast(-1)).broker(&[("log.retention.ms", 1), ("log.retention.minutes", MINUTE), ("log.retention.hours", HOUR)]),
    key("segment.bytes", Kind::Int, "1073741824", "Size of a segment.")
        .check(Check::AtLeast(14)).broker(&[("log.segment.bytes", 1)]),
    key("segment.index.bytes", Kind::Int, "10485760", "Largest size of a segment's index.")
        .check(Check::AtLeast(4)).broker(&[("log.index.size.max.bytes", 1)]),
    key("segment.jitter.ms", Kind::Long, "0", "Up to how much is taken off segment.ms, so that not all segments roll at once.")
        .check(Check::AtLeast(0)).broker(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)]),
    key("segment.ms", Kind::Long, "604800000", "Time after which a segment is rolled though it is not full.")
        .check(Check::AtLeast(1)).broker(&[("log.roll.ms", 1), ("log.roll.hours", HOUR)]),
    key("unclean.leader.election.enable", Kind::Boolean, "false", "Whether a replica that is not in sync may lead, which loses records.")
        .broker(&[("unclean.leader.election.enable", 1)]),
];
