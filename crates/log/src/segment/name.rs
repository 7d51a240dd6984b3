//! Names of the files of a partition's directory.

use std::path::{Path, PathBuf};

/// The records.
pub const LOG: &str = ".log";
/// Offsets to positions.
pub const OFFSET_INDEX: &str = ".index";
/// Timestamps to offsets.
pub const TIME_INDEX: &str = ".timeindex";
/// Aborted transactions.
pub const TXN_INDEX: &str = ".txnindex";
/// Producers' state as of the offset.
pub const SNAPSHOT: &str = ".snapshot";
/// Added to a file that compaction is writing.
pub const CLEANED: &str = ".cleaned";
/// Added to a file that compaction has written and that replaces others.
pub const SWAP: &str = ".swap";
/// Added to a file that is about to be removed.
pub const DELETED: &str = ".deleted";

/// `<offset, 20 digits><suffix>`.
pub(crate) fn file(dir: &Path, offset: i64, suffix: &str) -> PathBuf {
    dir.join(format!("{offset:020}{suffix}"))
}

/// The same with one more suffix.
pub(crate) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The offset and the rest of a name that begins with 20 digits.
pub(crate) fn parse(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}
