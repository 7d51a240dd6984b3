//! What an operator does to a node or a cluster from the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use polyport_base::NodeId;
use polyport_cluster::node::Standing;
use polyport_cluster::operator::Operator;
use polyport_cluster::transport::Secret;
use polyport_cluster::{Role, seed};
use polyport_config::Config;
use polyport_storage::DirLock;
use polyport_storage::snapshot::SnapshotError;
use polyport_tree::Machine;
use polyport_zookeeper::import::Import;

use crate::wiring;

/// Questions to a running cluster. They go to the node port and prove the cluster's secret.
#[derive(Subcommand)]
pub(crate) enum Membership {
    /// Start this node as a new member of the cluster that the node at ADDRESS belongs to.
    Join {
        /// host:port of a member's node port.
        address: String,
        #[command(flatten)]
        configuration: crate::cli::Configuration,
    },
    /// Show the members and how they stand.
    Status {
        /// host:port of a node port; this configuration's node.listen unless given.
        #[arg(long)]
        server: Option<String>,
        #[command(flatten)]
        configuration: crate::cli::Configuration,
    },
    /// Take a member out of the cluster. It keeps its data but no longer serves.
    Remove {
        /// Its node.id.
        node: u64,
        /// host:port of a node port; this configuration's node.listen unless given.
        #[arg(long)]
        server: Option<String>,
        #[command(flatten)]
        configuration: crate::cli::Configuration,
    },
}

pub(crate) fn operator(config: &Config) -> anyhow::Result<Operator> {
    let secret = Secret::new(config.cluster.secret.clone());
    Ok(Operator::new(secret).with_tls(wiring::node_tls(config)?))
}

pub(crate) fn node_port(config: &Config, server: Option<String>) -> String {
    let own = config.node.advertise.as_ref().unwrap_or(&config.node.listen);
    server.unwrap_or_else(|| own.to_string())
}

pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Prints the members, each as it describes itself.
pub(crate) fn status(config: &Config, server: Option<String>) -> anyhow::Result<()> {
    let (operator, server) = (operator(config)?, node_port(config, server));
    block_on(async {
        let told = operator.describe(&server).await;
        let told = told.with_context(|| format!("the node at {server} does not answer"))?;
        println!(
            "{:<5} {:<24} {:<9} {:<12} {:>6} {:>12}  clients",
            "node", "address", "role", "state", "term", "applied"
        );
        for (id, member) in &told.members {
            let role = match member.role {
                Role::Voter => "voter",
                Role::Observer => "observer",
            };
            let (state, term, applied) = match operator.describe(&member.address).await {
                Ok(node) => {
                    let state = match node.standing {
                        _ if node.forgetful => "refilling",
                        Standing::Leading if node.in_quorum => "leading",
                        Standing::Leading => "no majority",
                        Standing::Following => "following",
                        Standing::Observing => "observing",
                        Standing::Looking => "looking",
                    };
                    (state, node.term.to_string(), node.applied.to_string())
                }
                Err(_) => ("unreachable", "-".to_owned(), "-".to_owned()),
            };
            println!(
                "{:<5} {:<24} {role:<9} {state:<12} {term:>6} {applied:>12}  {}",
                id.0, member.address, member.client
            );
        }
        Ok(())
    })
}

/// Takes a node out.
pub(crate) fn remove(config: &Config, server: Option<String>, node: u64) -> anyhow::Result<()> {
    let (operator, server) = (operator(config)?, node_port(config, server));
    block_on(async {
        operator.remove(&server, NodeId(node)).await?;
        println!("node {node} is no longer a member");
        Ok(())
    })
}

/// Writes a running node's snapshot to a file that appears only when it is whole.
pub(crate) fn backup(config: &Config, server: Option<String>, file: &Path) -> anyhow::Result<()> {
    let (operator, server) = (operator(config)?, node_port(config, server));
    anyhow::ensure!(!file.exists(), "{} exists: name a new file", file.display());
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut out = std::fs::File::create(&partial)
        .with_context(|| format!("cannot create {}", partial.display()))?;
    let bytes = block_on(async {
        let backup = operator.backup(&server, &mut out).await;
        backup.with_context(|| format!("the backup of {server} broke off"))
    })?;
    out.sync_all()?;
    let machine = read_backup(&partial)?;
    std::fs::rename(&partial, file)?;
    println!(
        "{}: {bytes} bytes, {} znodes, {} sessions, last zxid 0x{:x}",
        file.display(),
        machine.store().len(),
        machine.sessions().len(),
        machine.last_zxid()
    );
    Ok(())
}

pub(crate) fn read_backup(file: &Path) -> anyhow::Result<Machine> {
    // Errors of the file's own format name it.
    let mut reader = seed::open_backup(file).context("not a Polyport backup")?;
    Machine::read_snapshot(&mut reader).map_err(|error| match named(&error) {
        true => anyhow::Error::from(error),
        false => anyhow::Error::from(error).context(format!("{} is damaged", file.display())),
    })
}

fn named(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<SnapshotError>())
}

pub(crate) fn fill(config: &Config, machine: &mut Machine) -> anyhow::Result<()> {
    let options = wiring::cluster(config)?;
    let _lock = DirLock::acquire(&config.data_dir)?;
    seed::fill(&options, |out: &mut dyn Write| machine.write_snapshot(out))?;
    println!("filled {} of node {}", config.data_dir.display(), config.node.id);
    if options.members.len() > 1 {
        println!(
            "do the same on a majority of the {} nodes before the first is started; the others are \
             filled by the cluster",
            options.members.len()
        );
    }
    Ok(())
}

/// Fills an empty node with a ZooKeeper's data.
pub(crate) fn import_zookeeper(
    config: &Config,
    dir: &Path,
    log_dir: Option<&Path>,
    accept_gaps: bool,
    trust_empty: bool,
) -> anyhow::Result<()> {
    seed::check_empty(&wiring::cluster(config)?)?;
    let mut import = Import::from(dir);
    if let Some(log_dir) = log_dir {
        import = import.log_dir(log_dir);
    }
    if trust_empty {
        import = import.trust_empty_snapshot();
    }
    let tree = import.read()?;
    match &tree.snapshot {
        Some(snapshot) => println!("snapshot      {}", snapshot.display()),
        None => println!("snapshot      none"),
    }
    tree.logs.iter().for_each(|log| println!("log           {}", log.display()));
    println!("transactions  {} after the snapshot", tree.transactions);
    println!("znodes        {}", tree.nodes.len());
    println!("sessions      {}", tree.sessions.len());
    println!("last zxid     0x{:x}", tree.last_zxid);
    tree.notes.iter().for_each(|note| println!("note          {note}"));
    for (first, last) in &tree.gaps {
        println!("missing       transactions 0x{first:x} to 0x{last:x}");
    }
    anyhow::ensure!(
        tree.gaps.is_empty() || accept_gaps,
        "transactions are missing between the files: look for the lost logs, import from another \
         server of the ensemble, or take what is there with --accept-gaps"
    );
    let mut machine = tree.machine()?;
    fill(config, &mut machine)
}

#[cfg(test)]
mod tests {
    use polyport_cluster::node::Options;
    use polyport_cluster::{Member, Members};

    use super::*;

    #[test]
    fn a_file_that_is_no_backup_or_a_damaged_one_is_named_once() {
        let dir = std::env::temp_dir().join(format!("polyport-ops-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let members = Members::from([(NodeId(1), Member::voter("127.0.0.1:1".to_owned()))]);
        let options = Options::new(NodeId(1), members, &dir);
        seed::fill(&options, |out: &mut dyn Write| Machine::new().write_snapshot(out)).unwrap();
        let file =
            std::fs::read_dir(&options.snapshot_dir).unwrap().next().unwrap().unwrap().path();
        let whole = std::fs::read(&file).unwrap();
        read_backup(&file).unwrap();
        let (first, late) = (0, whole.len() - 30);
        for (at, about) in [(first, "not a Polyport backup"), (late, "is damaged at offset")] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            let text = format!("{:#}", read_backup(&file).unwrap_err());
            assert!(text.contains(about), "{text}");
            assert_eq!(text.matches(&*file.to_string_lossy()).count(), 1, "{text}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
