//! `partition.metadata`: the topic's id, so that a directory of a deleted topic is not taken for one
//! of a new topic with the same name.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use polyport_storage::Disk;

use super::{read, replace};
use crate::error::LogError;

/// The file's name.
pub const FILE: &str = "partition.metadata";

/// A topic's id: 16 bytes, in text base64 without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::str::FromStr for TopicId {
    type Err = base64::DecodeSliceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut id)? {
            16 => Ok(TopicId(id)),
            short => Err(base64::DecodeError::InvalidLength(short).into()),
        }
    }
}

/// Reads the file of a partition's directory; `None` if it is not there.
///
/// # Errors
/// `Text`, `Io`.
pub fn load<D: Disk>(disk: &D, dir: &Path) -> Result<Option<TopicId>, LogError> {
    let path = dir.join(FILE);
    let Some(text) = read(disk, &path)? else { return Ok(None) };
    let bad = |line, what| LogError::Text { path: path.clone(), line, what };
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("version: 0") {
        return Err(bad(1, "version: 0"));
    }
    let id = lines.next().and_then(|line| line.trim().strip_prefix("topic_id: "));
    let id = id.and_then(|id| id.trim().parse().ok());
    id.map(Some).ok_or_else(|| bad(2, "topic_id: and 22 characters of base64"))
}

/// Writes the file, durably.
///
/// # Errors
/// `Io`.
pub fn store<D: Disk>(disk: &D, dir: &Path, id: TopicId) -> Result<(), LogError> {
    let text = format!("version: 0\ntopic_id: {id}");
    replace(disk, &dir.join(FILE), text.as_bytes())
}
