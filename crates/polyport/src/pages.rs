//! What is served over HTTP: the admin commands and the metrics.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use polyport_config::Config;
use polyport_kafka::broker::Broker;
use polyport_kafka::metadata::config::defs;
use polyport_telemetry::http::{self, Method, Response, StatusCode};
use polyport_telemetry::{Metric, metric};
use polyport_zookeeper::admin::{Admin, Rules};
use polyport_zookeeper::observe::metrics;
use polyport_zookeeper::server::Server;

/// How long a connection to the metrics page may idle.
const METRICS_IDLE: Duration = Duration::from_secs(30);

/// Where the pages are; none of what is switched off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
}

/// The configuration as it may be shown to whoever can reach the admin port.
fn without_secrets(config: &Config) -> Config {
    let mut shown = config.clone();
    let zookeeper = &mut shown.zookeeper;
    let secrets = zookeeper.sasl_users.values_mut();
    let secrets = secrets.chain([&mut shown.cluster.secret, &mut zookeeper.super_digest]);
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        *secret = "(hidden)".to_owned();
    }
    for (key, value) in &mut shown.kafka.properties.0 {
        // What nobody knows may be a secret too.
        if defs::broker(defs::base(key)).is_none_or(|def| def.is_sensitive()) {
            *value = "(hidden)".to_owned();
        }
    }
    shown
}

/// Kafka's broker, once it has been started: the pages are there before.
pub(crate) type KafkaSlot = Arc<OnceLock<Arc<Broker>>>;

/// The numbers of all services.
fn numbers(server: &Server, kafka: &KafkaSlot) -> Vec<Metric> {
    let mut all = metrics::metrics(server);
    all.extend(kafka.get().into_iter().flat_map(|broker| broker.metrics()));
    all
}

/// Opens the ports that are switched on.
pub(crate) async fn listen(
    config: &Config,
    server: &Server,
    kafka: KafkaSlot,
) -> std::io::Result<Pages> {
    let mut pages = Pages::default();
    if config.admin.enabled {
        let shown = without_secrets(config).to_toml_documented();
        let rules = Rules {
            snapshot: config.admin.snapshot_enabled,
            restore: config.admin.restore_enabled,
            every: Duration::from_millis(config.admin.rate_limiter_interval_ms),
        };
        let admin = Admin::new(server.clone(), &config.admin.command_url, shown);
        let handler = admin.with_rules(rules).handler();
        let address = config.admin.listen.to_string();
        let idle = Duration::from_millis(config.admin.idle_timeout_ms.max(1));
        pages.admin = Some(http::listen("admin", &address, idle, handler).await?);
    }
    if config.metrics.enabled {
        let server = server.clone();
        let handler = http::handler(move |request| match request.path.as_str() {
            "/metrics" if request.method == Method::GET => {
                Response::ok(metric::CONTENT_TYPE, metric::page(&numbers(&server, &kafka)))
            }
            "/metrics" => Response::status(StatusCode::METHOD_NOT_ALLOWED),
            _ => Response::status(StatusCode::NOT_FOUND),
        });
        let address = config.metrics.listen.to_string();
        pages.metrics = Some(http::listen("metrics", &address, METRICS_IDLE, handler).await?);
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let mut config = Config::default();
        config.cluster.secret = "alpha-secret".to_owned();
        config.zookeeper.super_digest = "super:beta-secret".to_owned();
        config.zookeeper.sasl_users.insert("bob".to_owned(), "gamma-secret".to_owned());
        let line = "m required user_a=\"delta-secret\";".to_owned();
        let key = "listener.name.sasl_plaintext.plain.sasl.jaas.config".to_owned();
        config.kafka.properties.0.insert(key, line);
        let shown = without_secrets(&config).to_toml_documented();
        assert!(shown.contains("bob") && shown.contains("(hidden)"));
        assert!(!shown.contains("-secret"), "{shown}");
    }
}
