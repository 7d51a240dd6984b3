//! The keys of brokers. Passwords, stores of keys and the like are not among them: listeners are plain
//! until there is authentication.

use super::define::{Check, Definition, Kind, key};

/// All of them, by name.
#[rustfmt::skip]
pub const BROKER_KEYS: &[Definition] = &[
    key("advertised.listeners", Kind::String, "", "What clients are told to connect to.").unset().per_broker(),
    key("alter.config.policy.class.name", Kind::Class, "", "A class that may refuse changes of configurations.").unset()
        .without_effect("there are no plug-ins in Java"),
    key("authorizer.class.name", Kind::String, "", "The class that decides who may do what.")
        .without_effect("there are no plug-ins in Java"),
    key("auto.create.topics.enable", Kind::Boolean, "true", "Whether a topic is made when a client first names it."),
    key("auto.leader.rebalance.enable", Kind::Boolean, "true", "Whether preferred leaders are elected from time to time.")
        .without_effect("preferred leaders are elected when asked for"),
    key("background.threads", Kind::Int, "10", "Threads for background work.").check(Check::AtLeast(1)).cluster_wide()
        .without_effect("background work has threads of its own for each directory"),
    key("broker.id", Kind::Int, "-1", "This broker's id."),
    key("broker.id.generation.enable", Kind::Boolean, "true", "Whether ids are given out by the cluster.")
        .without_effect("the node's id is taken"),
    key("broker.rack", Kind::String, "", "The rack that this broker is in: replicas are spread over racks.").unset(),
    key("compression.gzip.level", Kind::Int, "-1", "The level of gzip, unless a topic says otherwise.").check(Check::Between(-1, 9)).cluster_wide(),
    key("compression.lz4.level", Kind::Int, "9", "The level of lz4, unless a topic says otherwise.").check(Check::Between(1, 17)).cluster_wide()
        .without_effect("lz4 has one level here"),
    key("compression.type", Kind::String, "producer", "The codec that batches are kept in, unless a topic says otherwise.").check(Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])).cluster_wide(),
    key("compression.zstd.level", Kind::Int, "3", "The level of zstd, unless a topic says otherwise.").check(Check::Between(-131_072, 22)).cluster_wide(),
    key("connection.failed.authentication.delay.ms", Kind::Int, "100", "How long a failed authentication is kept waiting.").check(Check::AtLeast(0))
        .without_effect("nobody authenticates yet"),
    key("connections.max.idle.ms", Kind::Long, "600000", "Time after which a silent connection is closed."),
    key("connections.max.reauth.ms", Kind::Long, "0", "Time after which a client must authenticate anew.")
        .without_effect("nobody authenticates yet"),
    key("controlled.shutdown.enable", Kind::Boolean, "true", "Whether a stop hands leadership over.")
        .without_effect("a stop always hands leadership over"),
    key("create.topic.policy.class.name", Kind::Class, "", "A class that may refuse new topics.").unset()
        .without_effect("there are no plug-ins in Java"),
    key("default.replication.factor", Kind::Int, "1", "Replicas of a topic that is made without a number of them."),
    key("delete.records.purgatory.purge.interval.requests", Kind::Int, "1", "Upkeep of waiting requests.")
        .without_effect("waiting requests cost nothing"),
    key("delete.topic.enable", Kind::Boolean, "true", "Whether topics may be deleted."),
    key("fetch.max.bytes", Kind::Int, "57671680", "Most bytes in the answer to a fetch.").check(Check::AtLeast(1024)),
    key("fetch.purgatory.purge.interval.requests", Kind::Int, "1000", "Upkeep of waiting requests.")
        .without_effect("waiting requests cost nothing"),
    key("group.consumer.heartbeat.interval.ms", Kind::Int, "5000", "How often members of consumer groups say that they live.").check(Check::AtLeast(1)),
    key("group.consumer.max.size", Kind::Int, "2147483647", "Most members of a consumer group.").check(Check::AtLeast(1)),
    key("group.consumer.session.timeout.ms", Kind::Int, "45000", "Silence after which a member of a consumer group is removed.").check(Check::AtLeast(1)),
    key("group.coordinator.rebalance.protocols", Kind::List, "classic,consumer", "The protocols of groups that are served.").check(Check::OneOf(&["classic", "consumer", "share"]))
        .without_effect("both are served"),
    key("group.initial.rebalance.delay.ms", Kind::Int, "3000", "How long an empty group waits for more members.").check(Check::AtLeast(0)),
    key("group.max.session.timeout.ms", Kind::Int, "1800000", "Longest session timeout of a member."),
    key("group.max.size", Kind::Int, "2147483647", "Most members of a group.").check(Check::AtLeast(1)),
    key("group.min.session.timeout.ms", Kind::Int, "6000", "Shortest session timeout of a member."),
    key("leader.imbalance.check.interval.seconds", Kind::Long, "300", "How often the balance of leaders is checked.").check(Check::AtLeast(1))
        .without_effect("preferred leaders are elected when asked for"),
    key("leader.imbalance.per.broker.percentage", Kind::Int, "10", "How many leaders may be elsewhere than preferred.")
        .without_effect("preferred leaders are elected when asked for"),
    key("listener.security.protocol.map", Kind::String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", "The security protocol of each listener's name.").per_broker()
        .without_effect("listeners are plain"),
    key("listeners", Kind::String, "PLAINTEXT://:9092", "Where clients connect.").per_broker(),
    key("log.cleaner.backoff.ms", Kind::Long, "15000", "Pause of the cleaner when there is nothing to clean.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.cleaner.dedupe.buffer.size", Kind::Long, "134217728", "Memory for the keys of a compaction, of all threads together.").cluster_wide(),
    key("log.cleaner.delete.retention.ms", Kind::Long, "86400000", "How long tombstones stay, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.cleaner.enable", Kind::Boolean, "true", "Whether logs are compacted."),
    key("log.cleaner.io.buffer.load.factor", Kind::Double, "0.9", "How full the table of keys may become.").cluster_wide()
        .without_effect("the table of keys grows as it must"),
    key("log.cleaner.io.buffer.size", Kind::Int, "524288", "Memory for reading and writing of a compaction.").check(Check::AtLeast(0)).cluster_wide()
        .without_effect("buffers grow as they must"),
    key("log.cleaner.io.max.bytes.per.second", Kind::Double, "1.7976931348623157E308", "Most bytes that compaction reads and writes in a second.").cluster_wide()
        .without_effect("compaction is not throttled"),
    key("log.cleaner.max.compaction.lag.ms", Kind::Long, "9223372036854775807", "Time after which a message may be compacted at the latest, unless a topic says otherwise.").check(Check::AtLeast(1)).cluster_wide(),
    key("log.cleaner.min.cleanable.ratio", Kind::Double, "0.5", "The part of a log that must be uncompacted, unless a topic says otherwise.").check(Check::Fraction(0.0, 1.0)).cluster_wide(),
    key("log.cleaner.min.compaction.lag.ms", Kind::Long, "0", "Time for which a message is not compacted, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.cleaner.threads", Kind::Int, "1", "Threads that compact.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.cleanup.policy", Kind::List, "delete", "What becomes of old segments, unless a topic says otherwise.").check(Check::OneOf(&["compact", "delete"])).cluster_wide(),
    key("log.dir", Kind::String, "/tmp/kafka-logs", "The log directory, if log.dirs is not set."),
    key("log.dirs", Kind::String, "", "The log directories.").unset(),
    key("log.flush.interval.messages", Kind::Long, "9223372036854775807", "Messages after which a log is synced, unless a topic says otherwise.").check(Check::AtLeast(1)).cluster_wide(),
    key("log.flush.interval.ms", Kind::Long, "", "Time after which a message is synced, unless a topic says otherwise.").unset().cluster_wide(),
    key("log.flush.offset.checkpoint.interval.ms", Kind::Int, "60000", "How often recovery points are written.").check(Check::AtLeast(0)),
    key("log.flush.scheduler.interval.ms", Kind::Long, "9223372036854775807", "Stands in for log.flush.interval.ms."),
    key("log.flush.start.offset.checkpoint.interval.ms", Kind::Int, "60000", "How often log start offsets are written.").check(Check::AtLeast(0))
        .without_effect("written with the recovery points"),
    key("log.index.interval.bytes", Kind::Int, "4096", "Bytes between two entries of the offset index, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.index.size.max.bytes", Kind::Int, "10485760", "Largest size of an index, unless a topic says otherwise.").check(Check::AtLeast(4)).cluster_wide(),
    key("log.local.retention.bytes", Kind::Long, "-2", "Bytes that stay on local disks.").check(Check::AtLeast(-2)).cluster_wide()
        .without_effect("records are on this node's disks only"),
    key("log.local.retention.ms", Kind::Long, "-2", "How long segments stay on local disks.").check(Check::AtLeast(-2)).cluster_wide()
        .without_effect("records are on this node's disks only"),
    key("log.message.downconversion.enable", Kind::Boolean, "true", "Whether records are converted for consumers of older formats.").cluster_wide()
        .without_effect("consumers of formats before 2 are not served"),
    key("log.message.format.version", Kind::String, "3.0-IV1", "The format of records.")
        .without_effect("records are kept in format 2"),
    key("log.message.timestamp.after.max.ms", Kind::Long, "9223372036854775807", "How far a timestamp may be ahead, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.message.timestamp.before.max.ms", Kind::Long, "9223372036854775807", "How far a timestamp may be behind, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.message.timestamp.difference.max.ms", Kind::Long, "9223372036854775807", "How far a timestamp may differ, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("log.message.timestamp.type", Kind::String, "CreateTime", "Whose a timestamp is, unless a topic says otherwise.").check(Check::OneOf(&["CreateTime", "LogAppendTime"])).cluster_wide(),
    key("log.preallocate", Kind::Boolean, "false", "Whether new segments are reserved at once.").cluster_wide()
        .without_effect("segments grow as they are written"),
    key("log.retention.bytes", Kind::Long, "-1", "Bytes beyond which old segments are deleted, unless a topic says otherwise.").cluster_wide(),
    key("log.retention.check.interval.ms", Kind::Long, "300000", "How often it is looked for segments to be deleted.").check(Check::AtLeast(1)),
    key("log.retention.hours", Kind::Int, "168", "Hours after which segments are deleted; log.retention.minutes and log.retention.ms go before it."),
    key("log.retention.minutes", Kind::Int, "", "Minutes after which segments are deleted; log.retention.ms goes before it.").unset(),
    key("log.retention.ms", Kind::Long, "", "Time after which segments are deleted, unless a topic says otherwise.").unset().cluster_wide(),
    key("log.roll.hours", Kind::Int, "168", "Hours after which a segment is rolled; log.roll.ms goes before it.").check(Check::AtLeast(1)),
    key("log.roll.jitter.hours", Kind::Int, "0", "Up to how many hours are taken off; log.roll.jitter.ms goes before it.").check(Check::AtLeast(0)),
    key("log.roll.jitter.ms", Kind::Long, "", "Up to how much is taken off the time of a roll.").unset().cluster_wide(),
    key("log.roll.ms", Kind::Long, "", "Time after which a segment is rolled, unless a topic says otherwise.").unset().cluster_wide(),
    key("log.segment.bytes", Kind::Int, "1073741824", "Size of a segment, unless a topic says otherwise.").check(Check::AtLeast(14)).cluster_wide(),
    key("log.segment.delete.delay.ms", Kind::Long, "60000", "How long a deleted file stays on the disk.").check(Check::AtLeast(0)).cluster_wide(),
    key("max.connection.creation.rate", Kind::Int, "2147483647", "Most new connections in a second.").check(Check::AtLeast(0)).cluster_wide()
        .without_effect("connections are limited by number, not by rate"),
    key("max.connections", Kind::Int, "2147483647", "Most connections of a listener.").check(Check::AtLeast(0)).cluster_wide(),
    key("max.connections.per.ip", Kind::Int, "2147483647", "Most connections from one address.").check(Check::AtLeast(0)).cluster_wide(),
    key("max.connections.per.ip.overrides", Kind::String, "", "Other limits for some addresses.").cluster_wide()
        .without_effect("addresses are treated alike"),
    key("max.incremental.fetch.session.cache.slots", Kind::Int, "1000", "Most fetch sessions.").check(Check::AtLeast(0)),
    key("message.max.bytes", Kind::Int, "1048588", "Largest batch of records, unless a topic says otherwise.").check(Check::AtLeast(0)).cluster_wide(),
    key("metric.reporters", Kind::List, "", "Classes that report metrics.").cluster_wide()
        .without_effect("metrics are on the Prometheus page"),
    key("metrics.num.samples", Kind::Int, "2", "Samples of a metric.").check(Check::AtLeast(1))
        .without_effect("metrics are on the Prometheus page"),
    key("metrics.recording.level", Kind::String, "INFO", "Which metrics are recorded.")
        .without_effect("metrics are on the Prometheus page"),
    key("metrics.sample.window.ms", Kind::Long, "30000", "Time of a metric's sample.").check(Check::AtLeast(1))
        .without_effect("metrics are on the Prometheus page"),
    key("min.insync.replicas", Kind::Int, "1", "Replicas that must be in sync for acks=all, unless a topic says otherwise.").check(Check::AtLeast(1)).cluster_wide(),
    key("node.id", Kind::Int, "-1", "This broker's id, by its newer name."),
    key("num.io.threads", Kind::Int, "8", "Threads that serve Kafka's clients.").check(Check::AtLeast(1)).cluster_wide(),
    key("num.network.threads", Kind::Int, "3", "Threads for sockets.").check(Check::AtLeast(1)).cluster_wide()
        .without_effect("sockets are served by num.io.threads"),
    key("num.partitions", Kind::Int, "1", "Partitions of a topic that is made without a number of them.").check(Check::AtLeast(1)),
    key("num.recovery.threads.per.data.dir", Kind::Int, "1", "Threads that open a directory's logs at the start.").check(Check::AtLeast(1)).cluster_wide(),
    key("num.replica.alter.log.dirs.threads", Kind::Int, "", "Threads that move replicas between directories.").unset()
        .without_effect("replicas do not move between directories"),
    key("num.replica.fetchers", Kind::Int, "1", "Connections over which a broker follows another.").cluster_wide(),
    key("offset.metadata.max.bytes", Kind::Int, "4096", "Longest text that a client may commit with an offset."),
    key("offsets.commit.required.acks", Kind::Short, "-1", "What commits wait for.")
        .without_effect("commits wait for all replicas in sync"),
    key("offsets.commit.timeout.ms", Kind::Int, "5000", "How long a commit waits for replicas.").check(Check::AtLeast(1)),
    key("offsets.load.buffer.size", Kind::Int, "5242880", "Memory for loading groups.").check(Check::AtLeast(1))
        .without_effect("the buffer has that size"),
    key("offsets.retention.check.interval.ms", Kind::Long, "600000", "How often it is looked for offsets that have outlived their group.").check(Check::AtLeast(1)),
    key("offsets.retention.minutes", Kind::Int, "10080", "Minutes for which offsets outlive their group.").check(Check::AtLeast(1)),
    key("offsets.topic.compression.codec", Kind::Int, "0", "The codec of committed offsets.")
        .without_effect("offsets are kept without compression"),
    key("offsets.topic.num.partitions", Kind::Int, "50", "Partitions of __consumer_offsets.").check(Check::AtLeast(1)),
    key("offsets.topic.replication.factor", Kind::Short, "3", "Replicas of __consumer_offsets; one for each node if there are fewer and the key is not set.").check(Check::AtLeast(1)),
    key("offsets.topic.segment.bytes", Kind::Int, "104857600", "Size of the segments of __consumer_offsets.").check(Check::AtLeast(1)),
    key("producer.id.expiration.check.interval.ms", Kind::Int, "600000", "How often it is looked for producers that are silent.").check(Check::AtLeast(1)),
    key("producer.id.expiration.ms", Kind::Int, "86400000", "Silence after which a producer's sequence is forgotten.").check(Check::AtLeast(1)).cluster_wide(),
    key("producer.purgatory.purge.interval.requests", Kind::Int, "1000", "Upkeep of waiting requests.")
        .without_effect("waiting requests cost nothing"),
    key("queued.max.request.bytes", Kind::Long, "-1", "Most bytes of requests that wait.")
        .without_effect("a connection has one request at a time"),
    key("queued.max.requests", Kind::Int, "500", "Most requests that wait.").check(Check::AtLeast(1))
        .without_effect("a connection has one request at a time"),
    key("quota.window.num", Kind::Int, "11", "Samples of a quota.").check(Check::AtLeast(1))
        .without_effect("quotas are not enforced yet"),
    key("quota.window.size.seconds", Kind::Int, "1", "Time of a quota's sample.").check(Check::AtLeast(1))
        .without_effect("quotas are not enforced yet"),
    key("replica.fetch.backoff.ms", Kind::Int, "1000", "Pause of a follower after a failure.").check(Check::AtLeast(0)),
    key("replica.fetch.max.bytes", Kind::Int, "1048576", "Most bytes of a partition in a follower's fetch.").check(Check::AtLeast(0)),
    key("replica.fetch.min.bytes", Kind::Int, "1", "Bytes that a follower's fetch waits for."),
    key("replica.fetch.response.max.bytes", Kind::Int, "10485760", "Most bytes in the answer to a follower's fetch.").check(Check::AtLeast(0)),
    key("replica.fetch.wait.max.ms", Kind::Int, "500", "How long a follower's fetch waits."),
    key("replica.high.watermark.checkpoint.interval.ms", Kind::Long, "5000", "How often high watermarks are written."),
    key("replica.lag.time.max.ms", Kind::Long, "30000", "Time after which a follower that is behind is no longer in sync."),
    key("replica.selector.class", Kind::String, "", "The class that chooses which replica consumers read.").unset()
        .without_effect("there are no plug-ins in Java"),
    key("replica.socket.receive.buffer.bytes", Kind::Int, "65536", "Receive buffer of replication.")
        .without_effect("the system sizes buffers"),
    key("replica.socket.timeout.ms", Kind::Int, "30000", "Timeout of replication."),
    key("request.timeout.ms", Kind::Int, "30000", "Timeout of the broker's own requests."),
    key("reserved.broker.max.id", Kind::Int, "1000", "Ids above this are given out by the cluster.").check(Check::AtLeast(0))
        .without_effect("ids are not given out"),
    key("sasl.enabled.mechanisms", Kind::List, "GSSAPI", "The ways in which clients may authenticate.").per_broker()
        .without_effect("nobody authenticates yet"),
    key("socket.connection.setup.timeout.ms", Kind::Long, "10000", "Timeout of the broker's own connections.")
        .without_effect("the node port has its own"),
    key("socket.listen.backlog.size", Kind::Int, "50", "Connections that the system queues.").check(Check::AtLeast(1))
        .without_effect("the backlog is 1024"),
    key("socket.receive.buffer.bytes", Kind::Int, "102400", "The sockets' receive buffer; -1 for the system's choice."),
    key("socket.request.max.bytes", Kind::Int, "104857600", "Longest request.").check(Check::AtLeast(1)),
    key("socket.send.buffer.bytes", Kind::Int, "102400", "The sockets' send buffer; -1 for the system's choice."),
    key("super.users", Kind::String, "", "Users who may do everything.")
        .without_effect("nobody authenticates yet"),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Kind::Int, "10000", "How often it is looked for transactions whose time is over.").check(Check::AtLeast(1))
        .without_effect("each transaction has its own timer"),
    key("transaction.max.timeout.ms", Kind::Int, "900000", "Longest timeout of a transaction.").check(Check::AtLeast(1)),
    key("transaction.partition.verification.enable", Kind::Boolean, "true", "Whether it is checked that a partition was added to its transaction.").cluster_wide(),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Kind::Int, "3600000", "How often it is looked for transactional ids that are silent.").check(Check::AtLeast(1)),
    key("transaction.state.log.load.buffer.size", Kind::Int, "5242880", "Memory for loading transactions.").check(Check::AtLeast(1))
        .without_effect("the buffer has that size"),
    key("transaction.state.log.min.isr", Kind::Int, "2", "min.insync.replicas of __transaction_state.").check(Check::AtLeast(1)),
    key("transaction.state.log.num.partitions", Kind::Int, "50", "Partitions of __transaction_state.").check(Check::AtLeast(1)),
    key("transaction.state.log.replication.factor", Kind::Short, "3", "Replicas of __transaction_state; one for each node if there are fewer and the key is not set.").check(Check::AtLeast(1)),
    key("transaction.state.log.segment.bytes", Kind::Int, "104857600", "Size of the segments of __transaction_state.").check(Check::AtLeast(1)),
    key("transactional.id.expiration.ms", Kind::Int, "604800000", "Silence after which a transactional id is forgotten.").check(Check::AtLeast(1)),
    key("unclean.leader.election.enable", Kind::Boolean, "false", "Whether a replica that is not in sync may lead, unless a topic says otherwise.").cluster_wide(),
    key("zookeeper.session.timeout.ms", Kind::Int, "18000", "Silence after which a broker counts as gone."),
];
