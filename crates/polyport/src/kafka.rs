//! Kafka's part of a node: its settings, its threads, its start and stop.

use std::sync::Arc;

use anyhow::Context;
use polyport_base::Clock;
use polyport_config::{Config, KafkaListener, Loaded, Origin, Problem, Warning};
use polyport_kafka::broker::{Broker, Settings};
use polyport_kafka::metadata::config::{Configs, defs, remarks};
use polyport_kafka::metadata::znode::Endpoint;
use polyport_kafka::security::Security;
use polyport_kafka::security::acl::Policy;
use polyport_kafka::security::settings::Protocol;
use polyport_net::admission::Admission;
use polyport_tree::replica::Replica;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// What is wrong with Kafka's settings, and what the operator should know of them.
pub(crate) fn check(loaded: &Loaded) -> (Vec<Problem>, Vec<Warning>) {
    let kafka = &loaded.config.kafka;
    let origin = |key: &str| {
        let written = loaded.origins.get(&format!("kafka.properties.{key}"));
        written.cloned().unwrap_or_else(|| Origin::Override("kafka.properties".to_owned()))
    };
    let mut problems = Vec::new();
    for (key, value) in &kafka.properties.0 {
        let checked = defs::broker(defs::base(key)).map(|def| def.parse(value));
        if let Some(Err(error)) = checked {
            let (key, origin) = (key.clone(), origin(key));
            problems.push(Problem { origin, key, reason: error.to_string() });
        }
    }
    let mut warnings = Vec::new();
    warnings.extend(remarks(&kafka.properties.0).into_iter().map(|remark| Warning {
        origin: origin(&remark.name),
        key: remark.name,
        message: remark.message,
    }));
    for (key, listeners) in
        [("listeners", &kafka.listeners), ("advertised_listeners", &kafka.advertised_listeners)]
    {
        let origin = loaded.origins.get(&format!("kafka.{key}")).cloned();
        let problem = |reason| Problem {
            origin: origin.clone().unwrap_or_else(|| Origin::Override(format!("kafka.{key}"))),
            key: key.to_owned(),
            reason,
        };
        if key == "listeners" {
            for listener in listeners {
                if let Err(error) = Security::read(&kafka.properties.0, &listener.name) {
                    problems.push(problem(format!("{listener}: {error}")));
                }
            }
        } else {
            let known = |name: &str| kafka.listeners.iter().any(|listener| listener.name == name);
            let lost = listeners.iter().find(|listener| !known(&listener.name));
            problems.extend(lost.map(|listener| {
                problem(format!("{listener} has no listener of that name in kafka.listeners"))
            }));
        }
    }
    if let Err(error) = Policy::read(&kafka.properties.0) {
        let (key, reason) = (error.key.clone(), error.reason);
        problems.push(Problem { origin: origin(&key), key, reason });
    }
    (problems, warnings)
}

/// Threads of Kafka's own: one that waits for the disk must not hold ZooKeeper's sessions up.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(count: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(count.max(1)).thread_name("kafka-io").enable_all();
        Ok(Self(Some(builder.build()?)))
    }

    /// Runs something on them.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.0.as_ref().context("Kafka's threads have ended")?;
        Ok(runtime.spawn(work).await?)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Nobody may wait for them where other tasks are at work.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A broker that is being started, or has been.
pub(crate) enum Starting {
    /// It is.
    Task(JoinHandle<anyhow::Result<Option<Kafka>>>),
    /// It has been; none if there are no listeners.
    Done(Option<Kafka>),
}

impl Starting {
    /// Returns when the broker has been started. May be dropped and called again.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) async fn done(&mut self) -> anyhow::Result<()> {
        if let Self::Task(task) = self {
            let started = task.await.context("kafka")??;
            *self = Self::Done(started);
        }
        Ok(())
    }

    /// Whether it has been started.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// The broker, if it has been started by now.
    pub(crate) fn into_kafka(self) -> Option<Kafka> {
        match self {
            Self::Task(_) => None,
            Self::Done(kafka) => kafka,
        }
    }
}

/// Kafka's broker with its threads.
pub(crate) struct Kafka {
    threads: Threads,
    broker: Arc<Broker>,
}

impl Kafka {
    /// Starts the broker and opens its listeners; none if there are no listeners.
    pub(crate) async fn start(
        config: &Config,
        replica: Replica,
        clock: Arc<dyn Clock>,
        descriptors: Arc<Admission>,
    ) -> anyhow::Result<Option<Self>> {
        if config.kafka.listeners.is_empty() {
            return Ok(None);
        }
        let settings = settings(config, descriptors)?;
        let threads = Threads::start(settings.size("num.io.threads"))?;
        let listeners = config.kafka.listeners.clone();
        let starting = async move {
            let broker = Broker::start(settings, replica, clock).await?;
            for listener in &listeners {
                broker.listen(&listener.name, &listener.address.to_string()).await?;
            }
            anyhow::Ok(broker)
        };
        let broker = threads.run(starting).await.and_then(|started| started).context("kafka")?;
        Ok(Some(Self { threads, broker }))
    }

    /// The broker.
    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Stops the broker; its logs are flushed when this returns.
    pub(crate) async fn stop(self) {
        if let Err(error) = self.threads.run(self.broker.clone().stop()).await {
            tracing::error!(%error, "Kafka did not stop as it should");
        }
    }
}

fn settings(config: &Config, descriptors: Arc<Admission>) -> anyhow::Result<Settings> {
    let kafka = &config.kafka;
    let id = kafka.broker_id.map_or(config.node.id, u64::from);
    let log_dirs = match kafka.log_dirs.is_empty() {
        true => vec![config.data_dir.join("kafka")],
        false => kafka.log_dirs.clone(),
    };
    let broker_id = i32::try_from(id).context("kafka.broker_id")?;
    let configs = Configs::new(broker_id, kafka.properties.0.clone());
    Ok(Settings {
        broker_id,
        log_dirs: log_dirs
            .iter()
            // Shown to clients, who do not know where the node was started.
            .map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone()))
            .collect(),
        advertised: kafka
            .listeners
            .iter()
            .map(|listener| advertised(kafka, listener))
            .collect::<anyhow::Result<_>>()?,
        configs: configs.context("kafka.properties")?,
        descriptors,
        drain_timeout: std::time::Duration::from_secs(5),
    })
}

/// What clients are told of a listener.
fn advertised(
    kafka: &polyport_config::Kafka,
    listener: &KafkaListener,
) -> anyhow::Result<Endpoint> {
    let protocol = Protocol::of(&kafka.properties.0, &listener.name)?;
    let named = kafka.advertised_listeners.iter().find(|other| other.name == listener.name);
    let address = &named.unwrap_or(listener).address;
    let host = match address.is_unspecified() {
        // As Kafka does it: whoever is on all addresses is known by its name.
        true => host_name(),
        false => address.host.clone(),
    };
    Ok(Endpoint {
        listener: listener.name.clone(),
        protocol: protocol.name().to_owned(),
        host,
        port: address.port,
    })
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyport_config::Layers;

    fn told(settings: &[&str]) -> (Vec<String>, Vec<String>) {
        let layers = settings.iter().fold(Layers::new(), |layers, text| layers.set(text));
        let (problems, warnings) = check(&layers.finish().unwrap());
        let problems = problems.iter().map(ToString::to_string).collect();
        (problems, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_cannot_be_served_stops_the_start() {
        assert_eq!(told(&[]), (vec![], vec![]));
        let (problems, _) = told(&["kafka.listeners=SASL_SSL://127.0.0.1:9093"]);
        assert!(problems[0].contains("needs a certificate"), "{problems:?}");
        let (problems, _) = told(&["kafka.properties.authorizer.class.name=com.example.Mine"]);
        assert!(problems[0].contains("no plug-ins in Java"), "{problems:?}");
        let named = [
            "kafka.listeners=INSIDE://127.0.0.1:9093",
            "kafka.properties.listener.security.protocol.map=INSIDE:PLAINTEXT",
        ];
        assert_eq!(told(&named).0, Vec::<String>::new());
        let (problems, _) = told(&["kafka.advertised_listeners=X://h:1", named[1]]);
        assert!(problems.iter().any(|p| p.contains("no listener of that name")), "{problems:?}");
        let (problems, warnings) =
            told(&["kafka.properties.num.partitions=x", "kafka.properties.log.preallocate=true"]);
        assert!(
            problems[0].starts_with("option kafka.properties.num.partitions=x: num.partitions")
        );
        assert!(warnings[0].contains("log.preallocate: has no effect"), "{warnings:?}");
    }

    #[test]
    fn clients_are_told_where_to_connect() {
        let endpoint = |settings: &[&str]| {
            let layers = settings.iter().fold(Layers::new(), |layers, text| layers.set(text));
            let config = layers.finish().unwrap().config;
            settings_of(&config).advertised[0].to_string()
        };
        assert_eq!(endpoint(&[]), "PLAINTEXT://127.0.0.1:9092");
        let named = "kafka.advertised_listeners=PLAINTEXT://kafka.example:19092";
        assert_eq!(endpoint(&[named]), "PLAINTEXT://kafka.example:19092");
        let all = endpoint(&["kafka.listeners=PLAINTEXT://0.0.0.0:9092"]);
        assert!(!all.contains("0.0.0.0") && all.ends_with(":9092"), "{all}");
    }

    fn settings_of(config: &Config) -> Settings {
        settings(config, Admission::new(0, 0)).unwrap()
    }
}
