//! What a broker is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polyport_net::admission::Admission;
use polyport_partitions::{CleanerSettings, TopicConfig};

use crate::config::resolve::{Layers, Values};
use crate::config::{BrokerConfig, topic};
use crate::group::GroupConfig;
use crate::metadata::image::{Image, Overrides};
use crate::metadata::topics::{Defaults, InternalFactor, InternalTopic};
use crate::metadata::znode::{BrokerZnode, Endpoint, path};

/// The broker's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `broker.id`.
    pub broker_id: i32,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `advertised.listeners`: what clients are told.
    pub advertised: Vec<Endpoint>,
    /// The rest of `server.properties`.
    pub config: BrokerConfig,
    /// Connections of all ports of the process together.
    pub descriptors: Arc<Admission>,
    /// How long a stop waits for requests in progress.
    pub drain_timeout: Duration,
}

impl Settings {
    /// `socket.request.max.bytes`.
    pub(crate) fn max_request_bytes(&self) -> usize {
        self.config.size("socket.request.max.bytes")
    }

    /// `connections.max.idle.ms`; negative for no limit.
    pub(crate) fn max_idle(&self) -> Duration {
        const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        match self.config.long("connections.max.idle.ms") {
            ms if ms < 0 => NEVER,
            ms => Duration::from_millis(ms.unsigned_abs()).min(NEVER),
        }
    }

    /// How groups are coordinated.
    pub(super) fn groups(&self) -> GroupConfig {
        let config = &self.config;
        GroupConfig {
            min_session_timeout: config.millis("group.min.session.timeout.ms"),
            max_session_timeout: config.millis("group.max.session.timeout.ms"),
            initial_rebalance_delay: config.millis("group.initial.rebalance.delay.ms"),
            max_size: config.size("group.max.size"),
            max_offset_metadata: config.size("offset.metadata.max.bytes"),
            offsets_retention: Duration::from_secs(
                60 * config.size("offsets.retention.minutes") as u64,
            ),
            offsets_retention_check_interval: config.millis("offsets.retention.check.interval.ms"),
            commit_timeout: config.millis("offsets.commit.timeout.ms"),
            consumer_session_timeout: config.millis("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval: config.millis("group.consumer.heartbeat.interval.ms"),
            consumer_max_size: config.size("group.consumer.max.size"),
        }
    }

    /// How the partitions are kept.
    pub(super) fn store(&self, cluster_id: String) -> polyport_partitions::Settings {
        let config = &self.config;
        polyport_partitions::Settings {
            broker_id: self.broker_id,
            cluster_id,
            log_dirs: self.log_dirs.clone(),
            recovery_threads_per_dir: config.size("num.recovery.threads.per.data.dir"),
            replica_lag_time_max_ms: config.long("replica.lag.time.max.ms"),
            retention_check_interval_ms: config.long("log.retention.check.interval.ms"),
            flush_checkpoint_interval_ms: config.long("log.flush.offset.checkpoint.interval.ms"),
            high_watermark_checkpoint_interval_ms: config
                .long("replica.high.watermark.checkpoint.interval.ms"),
            producer_expiration_check_interval_ms: config
                .long("producer.id.expiration.check.interval.ms"),
            cleaner: config.flag("log.cleaner.enable").then(|| CleanerSettings {
                threads: config.size("log.cleaner.threads"),
                backoff_ms: config.long("log.cleaner.backoff.ms"),
                dedupe_buffer_bytes: config.size("log.cleaner.dedupe.buffer.size"),
            }),
            ..polyport_partitions::Settings::default()
        }
    }

    /// The broker's registration.
    pub(super) fn znode(&self) -> BrokerZnode {
        BrokerZnode {
            endpoints: self.advertised.clone(),
            rack: self.config.string("broker.rack"),
            jmx_port: -1,
            ..BrokerZnode::default()
        }
    }

    /// How topics are made when the request leaves it open.
    pub(super) fn topic_defaults(&self) -> Defaults {
        Defaults {
            partitions: i32::try_from(self.config.long("num.partitions")).unwrap_or(1),
            replication_factor: i16::try_from(self.config.long("default.replication.factor"))
                .unwrap_or(1),
        }
    }

    /// `offsets.topic.*`.
    pub(super) fn consumer_offsets(&self) -> InternalTopic {
        self.internal("offsets.topic", &[("cleanup.policy", "compact")])
    }

    /// `transaction.state.log.*`.
    pub(super) fn transaction_state(&self) -> InternalTopic {
        let min_isr = self.config.long("transaction.state.log.min.isr");
        // As many as there can be, where the operator has not said how many.
        let set = self.config.is_set("transaction.state.log.min.isr");
        let min_isr = if set { min_isr.to_string() } else { "1".to_owned() };
        let configs = [
            ("cleanup.policy", "compact"),
            ("min.insync.replicas", min_isr.as_str()),
            ("unclean.leader.election.enable", "false"),
        ];
        self.internal("transaction.state.log", &configs)
    }

    fn internal(&self, prefix: &str, configs: &[(&str, &str)]) -> InternalTopic {
        let config = &self.config;
        let factor_key = format!("{prefix}.replication.factor");
        let factor = i16::try_from(config.long(&factor_key)).unwrap_or(1);
        let segment = config.long(&format!("{prefix}.segment.bytes")).to_string();
        let configs = configs.iter().copied();
        let configs =
            configs.chain([("compression.type", "producer"), ("segment.bytes", &*segment)]);
        InternalTopic {
            partitions: i32::try_from(config.long(&format!("{prefix}.num.partitions")))
                .unwrap_or(1),
            replication_factor: match config.is_set(&factor_key) {
                true => InternalFactor::Exactly(factor),
                false => InternalFactor::AtMost(factor),
            },
            configs: configs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    /// A topic's configuration as an image has it.
    pub(super) fn topic_config(&self, image: &Image, topic_name: &str) -> Arc<TopicConfig> {
        self.with_layers(image, |layers| {
            let set = overrides(image, &path::topic_entity(topic_name));
            let config = topic::topic_config(layers, &set);
            let jitter = layers_jitter(layers, &set, topic_name);
            match jitter {
                0 => config,
                segment_jitter_ms => {
                    let mut config = (*config).clone();
                    config.log.segment_jitter_ms = segment_jitter_ms;
                    Arc::new(config)
                }
            }
        })
    }

    /// Looks at what is set for this broker.
    pub(crate) fn with_layers<T>(&self, image: &Image, look: impl FnOnce(&Layers<'_>) -> T) -> T {
        let broker = overrides(image, &path::broker_entity(Some(self.broker_id)));
        let all_brokers = overrides(image, &path::broker_entity(None));
        look(&Layers { broker: &broker, all_brokers: &all_brokers, file: self.config.values() })
    }

    /// `unclean.leader.election.enable` of a topic.
    pub(super) fn unclean_elections(&self) -> Arc<dyn Fn(&Image, &str) -> bool + Send + Sync> {
        let settings = self.clone();
        Arc::new(move |image, topic_name| {
            settings.with_layers(image, |layers| {
                let set = overrides(image, &path::topic_entity(topic_name));
                topic::elects_uncleanly(layers, &set)
            })
        })
    }
}

/// What is set for an entity; nothing if it is not there.
pub(crate) fn overrides(image: &Image, entity: &str) -> Values {
    let set = image.overrides(entity);
    set.map_or_else(Values::new, |set: &Arc<Overrides>| set.values.clone())
}

/// A part of `segment.jitter.ms` that is the topic's own, so that not all topics roll at once.
fn layers_jitter(layers: &Layers<'_>, set: &Values, topic_name: &str) -> i64 {
    let key = crate::config::resolve::topic_key("segment.jitter.ms");
    let most = key.and_then(|key| layers.of_topic(key, set).trim().parse::<i64>().ok());
    match most {
        Some(most) if most > 0 => {
            let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            let hash = topic_name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
            (hash % most.unsigned_abs()) as i64
        }
        _ => 0,
    }
}
