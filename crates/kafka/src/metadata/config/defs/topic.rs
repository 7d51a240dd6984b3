//! The configurations that a topic can have.

use crate::metadata::config::def::Valid::{
    Any, AtLeast, Between, Fraction, GzipLevel, ListOf, OneOf, ThrottledReplicas, Version,
};
use crate::metadata::config::def::{Def, Kind, def};

/// In the order of their names.
pub(in crate::metadata::config) const TOPIC: &[Def] = &[
    def(
        "cleanup.policy",
        Kind::List,
        Some("delete"),
        ListOf(&["compact", "delete"]),
        "What becomes of old segments: delete drops them by age and size, compact keeps the \
         last record of each key; both may be given.",
    ),
    def(
        "compression.gzip.level",
        Kind::Int,
        Some("-1"),
        GzipLevel,
        "The level if compression.type is gzip; -1 for the codec's default.",
    ),
    def(
        "compression.lz4.level",
        Kind::Int,
        Some("9"),
        Between(1, 17),
        "The level if compression.type is lz4.",
    ),
    def(
        "compression.type",
        Kind::String,
        Some("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "The codec of stored batches; producer keeps each as it was sent, uncompressed stores \
         all without one.",
    ),
    def(
        "compression.zstd.level",
        Kind::Int,
        Some("3"),
        Between(-131_072, 22),
        "The level if compression.type is zstd.",
    ),
    def(
        "delete.retention.ms",
        Kind::Long,
        Some("86400000"),
        AtLeast(0),
        "How long tombstones of a compacted topic are kept, which is how long a consumer may \
         take to read it whole.",
    ),
    def(
        "file.delete.delay.ms",
        Kind::Long,
        Some("60000"),
        AtLeast(0),
        "How long a file waits between being taken out of the log and being removed from the \
         disk.",
    ),
    def(
        "flush.messages",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(1),
        "Records after which the log is synced to disk; 1 syncs after each.",
    ),
    def(
        "flush.ms",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(0),
        "Milliseconds after which records are synced to disk.",
    ),
    def(
        "follower.replication.throttled.replicas",
        Kind::List,
        Some(""),
        ThrottledReplicas,
        "Replicas whose follower is throttled, as partition:broker pairs, or * for all.",
    ),
    def(
        "index.interval.bytes",
        Kind::Int,
        Some("4096"),
        AtLeast(0),
        "Bytes of records between two entries of the offset index.",
    ),
    def(
        "leader.replication.throttled.replicas",
        Kind::List,
        Some(""),
        ThrottledReplicas,
        "Replicas whose leader is throttled, as partition:broker pairs, or * for all.",
    ),
    def(
        "local.retention.bytes",
        Kind::Long,
        Some("-2"),
        AtLeast(-2),
        "Bytes of a partition kept locally where segments are also stored remotely; -2 for \
         retention.bytes.",
    ),
    def(
        "local.retention.ms",
        Kind::Long,
        Some("-2"),
        AtLeast(-2),
        "Milliseconds for which segments are kept locally where they are also stored \
         remotely; -2 for retention.ms.",
    ),
    def(
        "max.compaction.lag.ms",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(1),
        "Longest time a record may stay uncompacted in a compacted topic.",
    ),
    def(
        "max.message.bytes",
        Kind::Int,
        Some("1048588"),
        AtLeast(0),
        "Longest batch of records, after compression, that is taken.",
    ),
    def(
        "message.downconversion.enable",
        Kind::Boolean,
        Some("true"),
        Any,
        "Whether batches are converted for consumers that know older formats only.",
    ),
    def(
        "message.format.version",
        Kind::String,
        Some("3.0-IV1"),
        Version,
        "Ignored: stored records have the newest format.",
    ),
    def(
        "message.timestamp.after.max.ms",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(0),
        "How far a record's own timestamp may lie in the future of the broker's clock.",
    ),
    def(
        "message.timestamp.before.max.ms",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(0),
        "How far a record's own timestamp may lie in the past of the broker's clock.",
    ),
    def(
        "message.timestamp.difference.max.ms",
        Kind::Long,
        Some("9223372036854775807"),
        AtLeast(0),
        "How far a record's own timestamp may differ from the broker's clock; superseded by \
         the before and after limits.",
    ),
    def(
        "message.timestamp.type",
        Kind::String,
        Some("CreateTime"),
        OneOf(&["CreateTime", "LogAppendTime"]),
        "Whose clock stamps a record: the producer's (CreateTime) or the broker's \
         (LogAppendTime).",
    ),
    def(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        Some("0.5"),
        Fraction,
        "The share of uncompacted bytes from which a log is compacted.",
    ),
    def(
        "min.compaction.lag.ms",
        Kind::Long,
        Some("0"),
        AtLeast(0),
        "How long a record stays uncompacted at least.",
    ),
    def(
        "min.insync.replicas",
        Kind::Int,
        Some("1"),
        AtLeast(1),
        "Replicas that must have a record before it is acknowledged to producers that ask for \
         acks=all.",
    ),
    def(
        "preallocate",
        Kind::Boolean,
        Some("false"),
        Any,
        "Whether a segment's file is made in full length at once.",
    ),
    def(
        "remote.log.copy.disable",
        Kind::Boolean,
        Some("false"),
        Any,
        "Whether a topic that was stored remotely only reads from there.",
    ),
    def(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        Some("false"),
        Any,
        "Whether remote data goes when remote storage of the topic is switched off.",
    ),
    def(
        "remote.storage.enable",
        Kind::Boolean,
        Some("false"),
        Any,
        "Whether segments are also stored remotely.",
    ),
    def(
        "retention.bytes",
        Kind::Long,
        Some("-1"),
        Any,
        "Bytes of a partition beyond which its oldest segments are deleted; -1 for no limit.",
    ),
    def(
        "retention.ms",
        Kind::Long,
        Some("604800000"),
        AtLeast(-1),
        "Milliseconds after which a segment is deleted; -1 for never.",
    ),
    def(
        "segment.bytes",
        Kind::Int,
        Some("1073741824"),
        AtLeast(14),
        "Bytes at which a segment is closed and another begun.",
    ),
    def(
        "segment.index.bytes",
        Kind::Int,
        Some("10485760"),
        AtLeast(4),
        "Longest offset index of a segment, which is closed when it is reached.",
    ),
    def(
        "segment.jitter.ms",
        Kind::Long,
        Some("0"),
        AtLeast(0),
        "Random part taken off segment.ms, so that not all segments roll at once.",
    ),
    def(
        "segment.ms",
        Kind::Long,
        Some("604800000"),
        AtLeast(1),
        "Milliseconds after which a segment is closed even if it is not full.",
    ),
    def(
        "unclean.leader.election.enable",
        Kind::Boolean,
        Some("false"),
        Any,
        "Whether a replica that is not in sync may lead when no other can, at the price of \
         records.",
    ),
];
