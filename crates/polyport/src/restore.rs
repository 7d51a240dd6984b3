//! `polyport restore`: into a running cluster, or into an empty node.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use polyport_cluster::operator::Operator;
use polyport_cluster::seed;
use polyport_config::Config;

use crate::{ops, wiring};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The backup was restored.
    Restored,
    /// The cluster runs and was only looked at.
    Looked,
}

/// Restores a backup. `server`: node port of a running node; without it, this configuration's node
/// if it runs, otherwise its data directory. `replace`: whether a running cluster may be changed.
pub(crate) fn restore(
    config: &Config,
    file: &Path,
    server: Option<&str>,
    replace: bool,
) -> anyhow::Result<Done> {
    let operator = ops::operator(config)?;
    let address = ops::node_port(config, server.map(str::to_owned));
    match ops::block_on(async { Ok(operator.content(&address).await) })? {
        Ok(content) => into_cluster(&operator, &address, &content, file, replace),
        // It runs, or is said to.
        Err(error)
            if server.is_some() || replace || error.kind() == ErrorKind::PermissionDenied =>
        {
            Err(error).with_context(|| format!("the node at {address} does not answer"))
        }
        Err(_) => into_directory(config, file),
    }
}

fn into_cluster(
    operator: &Operator,
    address: &str,
    content: &str,
    file: &Path,
    replace: bool,
) -> anyhow::Result<Done> {
    told(file)?;
    println!("the cluster of {address}: {content}");
    if !replace {
        println!(
            "all of that would be replaced by the backup, on all nodes, and all sessions of clients \
             would end; nothing was changed. To do it: --replace-everything"
        );
        return Ok(Done::Looked);
    }
    let mut backup = File::open(file)?;
    let done = ops::block_on(async { Ok(operator.restore(address, &mut backup).await) })?;
    println!("restored: {}", done.with_context(|| format!("{} was not restored", file.display()))?);
    Ok(Done::Restored)
}

fn into_directory(config: &Config, file: &Path) -> anyhow::Result<Done> {
    seed::check_empty(&wiring::cluster(config)?)?;
    let mut machine = told(file)?;
    ops::fill(config, &mut machine)?;
    Ok(Done::Restored)
}

/// Reads a backup to its end and says what is in it.
fn told(file: &Path) -> anyhow::Result<polyport_tree::Machine> {
    let machine = ops::read_backup(file)?;
    println!(
        "{}: {} znodes, {} sessions, last zxid 0x{:x}",
        file.display(),
        machine.store().len(),
        machine.sessions().len(),
        machine.last_zxid()
    );
    Ok(machine)
}
