//! `meta.properties`: which node and cluster a log directory belongs to, version 0, as Kafka's
//! ZooKeeper mode writes it; version 1's `node.id` is read too.

use std::path::Path;

use polyport_storage::Disk;

use super::{read, replace};
use crate::error::LogError;

/// The file's name.
pub const FILE: &str = "meta.properties";

/// Whom a log directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The broker's id.
    pub broker_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
}

/// Reads the file of a log directory; `None` if it is not there.
///
/// # Errors
/// `Text` if a field is missing, `Io`.
pub fn load<D: Disk>(disk: &D, dir: &Path) -> Result<Option<MetaProperties>, LogError> {
    let path = dir.join(FILE);
    let Some(text) = read(disk, &path)? else { return Ok(None) };
    let value = |key: &str| {
        let fields = text.lines().filter(|line| !line.starts_with('#'));
        let pair = fields.filter_map(|line| line.split_once('=')).find(|(k, _)| k.trim() == key);
        pair.map(|(_, value)| value.trim())
    };
    let bad = |what| LogError::Text { path: path.clone(), line: 1, what };
    let broker_id = value("broker.id").or_else(|| value("node.id"));
    let broker_id = broker_id.and_then(|id| id.parse().ok());
    Ok(Some(MetaProperties {
        broker_id: broker_id.ok_or_else(|| bad("broker.id or node.id"))?,
        cluster_id: value("cluster.id").ok_or_else(|| bad("cluster.id"))?.to_owned(),
    }))
}

/// Writes the file, durably.
///
/// # Errors
/// `Io`.
pub fn store<D: Disk>(disk: &D, dir: &Path, meta: &MetaProperties) -> Result<(), LogError> {
    let MetaProperties { broker_id, cluster_id } = meta;
    let text = format!("#\ncluster.id={cluster_id}\nversion=0\nbroker.id={broker_id}\n");
    replace(disk, &dir.join(FILE), text.as_bytes())
}
