//! `recovery-point-offset-checkpoint`, `replication-offset-checkpoint`,
//! `log-start-offset-checkpoint`, `cleaner-offset-checkpoint`: an offset for each partition of a log
//! directory, `topic partition offset` a line.

use std::collections::BTreeMap;
use std::path::Path;

use polyport_storage::Disk;

use super::{lines, read, replace};
use crate::TopicPartition;
use crate::error::LogError;

/// Up to where records are durable.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const REPLICATION: &str = "replication-offset-checkpoint";
/// Log start offsets that are not a segment's base.
pub const LOG_START: &str = "log-start-offset-checkpoint";
/// Up to where compaction has come.
pub const CLEANER: &str = "cleaner-offset-checkpoint";

/// Reads one of the files; without it there are no offsets.
///
/// # Errors
/// `Text`, `Io`.
pub fn load<D: Disk>(disk: &D, path: &Path) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
    let Some(text) = read(disk, path)? else { return Ok(BTreeMap::new()) };
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let topic = fields.next()?.to_owned();
        let partition = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        fields.next().is_none().then_some((TopicPartition { topic, partition }, offset))
    };
    Ok(lines::parse(path, &text, entry)?.into_iter().collect())
}

/// Replaces one of the files.
///
/// # Errors
/// `Io`.
pub fn store<D: Disk>(
    disk: &D,
    path: &Path,
    offsets: &BTreeMap<TopicPartition, i64>,
) -> Result<(), LogError> {
    let lines =
        offsets.iter().map(|(of, offset)| format!("{} {} {offset}", of.topic, of.partition));
    replace(disk, path, lines::format(lines).as_bytes())
}
