//! The command line.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use polyport_config::{Layers, Loaded, Problem};

use crate::{kafka, restore, serve, tools};

#[derive(Parser)]
#[command(
    name = "polyport",
    version,
    about = "One server for the message-queue-and-microservices stack"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node.
    Serve(Configuration),
    /// Read the configuration, name every problem in it, and exit with 1 if there is one.
    CheckConfig(Configuration),
    /// Print a complete polyport.toml with every key, its default and what it means.
    Config,
    /// Ask or change a running cluster.
    #[command(subcommand)]
    Cluster(crate::ops::Membership),
    /// Write everything a running node holds to a file.
    Backup {
        /// The new file.
        file: PathBuf,
        /// host:port of a node port; this configuration's node.listen unless given.
        #[arg(long)]
        server: Option<String>,
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Put a backup in the place of everything a running cluster holds, or fill an empty, stopped
    /// node with it.
    Restore {
        /// A file that `polyport backup` wrote.
        file: PathBuf,
        /// Do it: without this, a running cluster is only looked at, and the exit code is 2.
        #[arg(long)]
        replace_everything: bool,
        /// host:port of a node port; this configuration's node.listen unless given.
        #[arg(long)]
        server: Option<String>,
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Fill an empty, stopped node with the data folder of an Apache ZooKeeper.
    ImportZookeeper {
        /// Its dataDir.
        dir: PathBuf,
        /// Its dataLogDir, if that is another.
        #[arg(long)]
        log_dir: Option<PathBuf>,
        /// Import although transactions are missing between the files.
        #[arg(long)]
        accept_gaps: bool,
        /// Import logs that no snapshot precedes (zookeeper.snapshot.trust.empty).
        #[arg(long)]
        trust_empty_snapshot: bool,
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Link the tools of other systems (zkCli.sh, kafka-topics.sh …) to this program.
    InstallTools {
        /// Directory to put the links in; made if it is not there.
        dir: PathBuf,
    },
}

/// Where the configuration comes from: later wins over earlier, in the order file, imports,
/// environment (POLYPORT_SECTION__KEY), --set.
#[derive(Args)]
pub(crate) struct Configuration {
    /// A polyport.toml. Without one, every key has its default.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A configuration file of another system: zoo.cfg, server.properties.
    #[arg(long)]
    import: Vec<PathBuf>,
    /// One key, as section.key=value.
    #[arg(long)]
    set: Vec<String>,
    /// Listen beyond loopback even while default secrets are in force.
    #[arg(long)]
    insecure_defaults: bool,
}

impl Configuration {
    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        let mut layers = Layers::new();
        if let Some(file) = &self.config {
            layers = layers.toml_file(file);
        }
        for file in &self.import {
            layers = layers.import_file(file);
        }
        layers = layers.environment(std::env::vars());
        for text in &self.set {
            layers = layers.set(text);
        }
        if self.insecure_defaults {
            layers = layers.set("insecure_defaults=true");
        }
        layers.finish()
    }

    /// The configuration, or every problem with it on standard error.
    fn checked(&self) -> Option<Loaded> {
        let loaded = match self.load() {
            Ok(loaded) => loaded,
            Err(problems) => {
                problems.iter().for_each(|problem| eprintln!("error: {problem}"));
                return None;
            }
        };
        loaded.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let (problems, warnings) = kafka::check(&loaded);
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        problems.iter().for_each(|problem| eprintln!("error: {problem}"));
        if !problems.is_empty() {
            return None;
        }
        if let Err(broken) = loaded.config.validate() {
            broken.iter().for_each(|rule| eprintln!("error: {rule}"));
            return None;
        }
        Some(loaded)
    }
}

/// Runs the command; the answer is the exit code.
pub(crate) fn run(started: Instant) -> i32 {
    use crate::ops::{self, Membership};
    let with = |configuration: &Configuration,
                work: &dyn Fn(&polyport_config::Config) -> anyhow::Result<()>| {
        match configuration.checked() {
            Some(loaded) => work(&loaded.config),
            None => Err(anyhow::anyhow!("the configuration has problems")),
        }
    };
    let result = match Cli::parse().command {
        Command::Cluster(Membership::Join { address, mut configuration }) => {
            configuration.set.push(format!("cluster.join={address}"));
            match configuration.checked() {
                Some(loaded) => serve::serve(loaded.config, started),
                None => return 1,
            }
        }
        Command::Cluster(Membership::Status { server, configuration }) => {
            with(&configuration, &|config| ops::status(config, server.clone()))
        }
        Command::Cluster(Membership::Remove { node, server, configuration }) => {
            with(&configuration, &|config| ops::remove(config, server.clone(), node))
        }
        Command::Backup { file, server, configuration } => {
            with(&configuration, &|config| ops::backup(config, server.clone(), &file))
        }
        Command::Restore { file, replace_everything, server, configuration } => {
            let Some(loaded) = configuration.checked() else { return 1 };
            let restored =
                restore::restore(&loaded.config, &file, server.as_deref(), replace_everything);
            match restored {
                Ok(restore::Done::Looked) => return 2,
                done => done.map(|_| ()),
            }
        }
        Command::ImportZookeeper {
            dir,
            log_dir,
            accept_gaps,
            trust_empty_snapshot,
            configuration,
        } => with(&configuration, &|config| {
            let log_dir = log_dir.as_deref();
            ops::import_zookeeper(config, &dir, log_dir, accept_gaps, trust_empty_snapshot)
        }),
        Command::Serve(configuration) => match configuration.checked() {
            Some(loaded) => serve::serve(loaded.config, started),
            None => return 1,
        },
        Command::CheckConfig(configuration) => match configuration.checked() {
            Some(_) => {
                println!("configuration OK");
                return 0;
            }
            None => return 1,
        },
        Command::Config => {
            print!("{}", polyport_config::Config::default().to_toml_documented());
            return 0;
        }
        Command::InstallTools { dir } => tools::install(&dir),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            1
        }
    }
}
