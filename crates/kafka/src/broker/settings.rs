//! What a broker is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polyport_net::admission::Admission;
use polyport_partitions::CleanerSettings;

use crate::group::GroupConfig;
use crate::metadata::config::{Configs, Value};
use crate::metadata::image::Image;
use crate::metadata::znode::{BrokerZnode, Endpoint};
use crate::quota::rate::Window;
use crate::transaction::TransactionConfig;

/// A broker's session is held within the process, and no garbage collector stops that for seconds: so
/// it need not be as long as Kafka's 18 seconds, for all of which the dead one's partitions would have
/// no leader.
const SILENCE: Duration = Duration::from_millis(1500);
/// Sessions are looked at four times a second.
const SHORTEST_SILENCE: Duration = Duration::from_millis(500);

/// A broker's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `broker.id`.
    pub broker_id: i32,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `advertised.listeners`: what clients are told.
    pub advertised: Vec<Endpoint>,
    /// The rest of `server.properties`.
    pub configs: Configs,
    /// Connections of all ports of the process together.
    pub descriptors: Arc<Admission>,
    /// How long a stop waits for requests in progress.
    pub drain_timeout: Duration,
}

impl Settings {
    /// A number of the broker's file, which needs a restart to change.
    fn number(&self, name: &str) -> i64 {
        self.configs.broker_number(&Image::default(), name)
    }

    /// A count or a size.
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(0)
    }

    /// A time that is given in milliseconds.
    pub(crate) fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(name)).unwrap_or(0))
    }

    /// `connections.max.idle.ms`; negative for no limit.
    pub(crate) fn max_idle(&self) -> Duration {
        const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        match self.number("connections.max.idle.ms") {
            ms if ms < 0 => NEVER,
            _ => self.millis("connections.max.idle.ms").min(NEVER),
        }
    }

    /// How groups are coordinated.
    pub(super) fn groups(&self) -> GroupConfig {
        GroupConfig {
            min_session_timeout: self.millis("group.min.session.timeout.ms"),
            max_session_timeout: self.millis("group.max.session.timeout.ms"),
            initial_rebalance_delay: self.millis("group.initial.rebalance.delay.ms"),
            max_size: self.size("group.max.size"),
            max_offset_metadata: self.size("offset.metadata.max.bytes"),
            offsets_retention: Duration::from_secs(
                60 * self.size("offsets.retention.minutes") as u64,
            ),
            offsets_retention_check_interval: self.millis("offsets.retention.check.interval.ms"),
            commit_timeout: self.millis("offsets.commit.timeout.ms"),
            consumer_session_timeout: self.millis("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval: self.millis("group.consumer.heartbeat.interval.ms"),
            consumer_max_size: self.size("group.consumer.max.size"),
        }
    }

    /// Over what client quotas are measured.
    pub(super) fn quota_window(&self) -> Window {
        Window {
            samples: self.number("quota.window.num"),
            sample_ms: self.number("quota.window.size.seconds").saturating_mul(1000),
        }
    }

    /// How transactions are coordinated.
    pub(super) fn transactions(&self) -> TransactionConfig {
        TransactionConfig {
            max_timeout_ms: i32::try_from(self.number("transaction.max.timeout.ms"))
                .unwrap_or(i32::MAX),
            id_expiration: self.millis("transactional.id.expiration.ms"),
            expiration_interval: self
                .millis("transaction.remove.expired.transaction.cleanup.interval.ms"),
            abort_interval: self
                .millis("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            append_timeout: self.millis("request.timeout.ms"),
        }
    }

    /// How followers fetch.
    pub(super) fn fetchers(&self) -> super::fetchers::Settings {
        let bytes = |name| i32::try_from(self.number(name)).unwrap_or(i32::MAX);
        super::fetchers::Settings {
            broker: self.broker_id,
            fetchers: self.size("num.replica.fetchers").max(1),
            backoff_ms: self.number("replica.fetch.backoff.ms"),
            max_wait: self.millis("replica.fetch.wait.max.ms"),
            min_bytes: bytes("replica.fetch.min.bytes"),
            partition_max_bytes: bytes("replica.fetch.max.bytes"),
            max_bytes: bytes("replica.fetch.response.max.bytes"),
            patience: self.millis("replica.socket.timeout.ms"),
        }
    }

    /// How long the broker may be silent before it counts as dead: its session's timeout.
    ///
    /// `zookeeper.session.timeout.ms` if that is shorter than [`SILENCE`].
    pub(super) fn session_timeout(&self) -> Duration {
        self.millis("zookeeper.session.timeout.ms").clamp(SHORTEST_SILENCE, SILENCE)
    }

    /// How the partitions are kept.
    pub(super) fn store(&self, cluster_id: String) -> polyport_partitions::Settings {
        let cleans = self.configs.broker_flag(&Image::default(), "log.cleaner.enable");
        polyport_partitions::Settings {
            broker_id: self.broker_id,
            cluster_id,
            log_dirs: self.log_dirs.clone(),
            recovery_threads_per_dir: self.size("num.recovery.threads.per.data.dir"),
            replica_lag_time_max_ms: self.number("replica.lag.time.max.ms"),
            retention_check_interval_ms: self.number("log.retention.check.interval.ms"),
            flush_checkpoint_interval_ms: self.number("log.flush.offset.checkpoint.interval.ms"),
            high_watermark_checkpoint_interval_ms: self
                .number("replica.high.watermark.checkpoint.interval.ms"),
            producer_expiration_check_interval_ms: self
                .number("producer.id.expiration.check.interval.ms"),
            cleaner: cleans.then(|| CleanerSettings {
                threads: self.size("log.cleaner.threads"),
                backoff_ms: self.number("log.cleaner.backoff.ms"),
                dedupe_buffer_bytes: self.size("log.cleaner.dedupe.buffer.size"),
            }),
            ..polyport_partitions::Settings::default()
        }
    }

    /// The broker's registration.
    pub(super) fn znode(&self) -> BrokerZnode {
        let rack = match self.configs.broker(&Image::default(), "broker.rack") {
            Some(Value::Text(rack)) if !rack.is_empty() => Some(rack),
            _ => None,
        };
        BrokerZnode {
            endpoints: self.advertised.clone(),
            rack,
            jmx_port: -1,
            ..BrokerZnode::default()
        }
    }
}
