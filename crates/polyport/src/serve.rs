//! A node's life: start, serve, stop.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use polyport_base::Clock;
use polyport_base::clock::SystemClock;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Cluster, Proposals};
use polyport_config::Config;
use polyport_net::admission::Admission;
use polyport_storage::DirLock;
use polyport_tree::replica::Unstarted;
use polyport_zookeeper::server::{Server, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::kafka::{Kafka, Starting};
use crate::pages::{self, KafkaSlot, Pages};
use crate::{descriptors, owner, wiring};

/// Starts a node and serves until it is told to stop.
pub(crate) fn serve(config: Config, started: Instant) -> anyhow::Result<()> {
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run(config, started));
    if ended.is_err() {
        // Not even for a snapshot that is being written.
        runtime.shutdown_background();
    }
    ended
}

/// Our own events from INFO on; of the consensus library only what is wrong.
fn log_to_stderr() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false);
    let levels =
        Targets::new().with_default(LevelFilter::INFO).with_target("openraft", LevelFilter::ERROR);
    tracing_subscriber::registry().with(lines).with(levels).init();
}

async fn run(config: Config, started: Instant) -> anyhow::Result<()> {
    let _lock = DirLock::acquire(&config.data_dir)?;
    owner::check(&config.data_dir, config.node.id)?;
    let descriptors = Admission::new(descriptors::for_clients(), 0);
    let settings = Settings { descriptors: descriptors.clone(), ..wiring::zookeeper(&config)? };
    let audit = settings.audit.clone();
    let lived = live(config, settings, descriptors, started).await;
    if let Some(audit) = audit {
        audit.ended();
    }
    lived
}

async fn live(
    config: Config,
    settings: Settings,
    descriptors: Arc<Admission>,
    started: Instant,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let proposals = Proposals::new();
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).context("no randomness")?;
    let tree = Unstarted::new(
        wiring::replica(&config),
        clock.clone(),
        proposals.clone(),
        u64::from_ne_bytes(nonce),
    );
    let cluster = Cluster::start_tcp(
        wiring::cluster(&config)?,
        &config.node.listen.to_string(),
        Secret::new(config.cluster.secret.clone()),
        tree.state_machine(),
        proposals,
        clock.clone(),
        tree.on_note(),
    )
    .await?;
    let replica = tree.start(cluster.clone());
    let server = Server::new(settings, replica.clone());
    if let Some(listen) = &config.zookeeper.listen.0 {
        server.listen(&listen.to_string()).await?;
    }
    if let Some(listen) = &config.zookeeper.secure_listen.0 {
        server.listen_secure(&listen.to_string()).await?;
    }
    let shown = KafkaSlot::default();
    let pages = pages::listen(&config, &server, shown.clone()).await?;
    let mut status = cluster.status();
    // A node alone leads at once; a cluster may take as long as its members do.
    let ready = tokio::time::timeout(Duration::from_secs(2), status.wait_for(|s| s.in_quorum));
    let quorum = ready.await.is_ok();
    // Without a majority there is nobody to register a broker with: it starts when there is one.
    let kafka = tokio::spawn({
        let (config, replica) = (config.clone(), replica.clone());
        async move {
            let kafka = Kafka::start(&config, replica, clock, descriptors).await?;
            if let Some(kafka) = &kafka {
                shown.get_or_init(|| kafka.broker().clone());
            }
            anyhow::Ok(kafka)
        }
    });
    let mut kafka = Starting::Task(kafka);
    if quorum {
        kafka.done().await?;
    }
    if let Some(audit) = &server.settings().audit {
        audit.started();
    }
    println!("{}", banner(&config, &pages, started.elapsed(), quorum));
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            () = signals.next() => break,
            _ = status.wait_for(|status| status.failed) => {
                anyhow::bail!("the node has failed; the log above says why")
            }
            started = kafka.done(), if !kafka.is_done() => started?,
        }
    }
    tracing::info!("stopping; a second signal ends the node at once");
    let stop = async {
        if let Some(kafka) = kafka.into_kafka() {
            kafka.stop().await;
        }
        server.drain().await;
        cluster.transfer().await;
        cluster.shutdown().await;
    };
    tokio::select! {
        () = stop => Ok(()),
        () = signals.next() => anyhow::bail!(
            "told to stop a second time: ended at once, requests in progress were not answered; \
             nothing that was acknowledged is lost"
        ),
    }
}

/// What asks a node to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn banner(config: &Config, pages: &Pages, took: Duration, quorum: bool) -> String {
    let mut text = String::new();
    let state = if quorum { "ready" } else { "up, waiting for a majority of the cluster" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Polyport {} is {state} ({:.2} s), node {}, data in {}\n",
        env!("CARGO_PKG_VERSION"),
        took.as_secs_f64(),
        config.node.id,
        config.data_dir.display()
    );
    let mut row = |what: &str, address: String, hint: String| {
        let _ = writeln!(text, "  {what:<18} {address:<22} {hint}");
    };
    if let Some(listen) = &config.zookeeper.listen.0 {
        row("ZooKeeper", listen.to_string(), format!("zkCli.sh -server {listen} ls /"));
    }
    if let Some(listen) = &config.zookeeper.secure_listen.0 {
        row("ZooKeeper, TLS", listen.to_string(), "for clients with TLS".to_owned());
    }
    for listener in &config.kafka.listeners {
        let at = &listener.address;
        let hint = format!("kafka-topics.sh --bootstrap-server {at} --list");
        row("Kafka", at.to_string(), hint);
    }
    if let Some(at) = pages.admin {
        let path = config.admin.command_url.trim_matches('/');
        row("admin", at.to_string(), format!("curl http://{at}/{path}/stats"));
    }
    if let Some(at) = pages.metrics {
        row("metrics", at.to_string(), format!("curl http://{at}/metrics"));
    }
    row("nodes", config.node.listen.to_string(), "for other Polyport nodes".to_owned());
    text
}
