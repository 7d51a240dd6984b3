//! Version, count, and that many lines: the shape of Kafka's checkpoint files.

use std::path::Path;

use crate::error::LogError;

/// The lines after version 0 and the count.
pub(super) fn parse<'a, T>(
    path: &Path,
    text: &'a str,
    entry: impl Fn(&'a str) -> Option<T>,
) -> Result<Vec<T>, LogError> {
    let bad = |line, what| LogError::Text { path: path.to_path_buf(), line, what };
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        return Err(bad(1, "version 0"));
    }
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok());
    let count = count.ok_or_else(|| bad(2, "a number of entries"))?;
    let mut entries = Vec::new();
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        entries.push(entry(line).ok_or_else(|| bad(number + 3, "an entry"))?);
    }
    if entries.len() != count {
        return Err(bad(2, "another number of entries than there are lines"));
    }
    Ok(entries)
}

pub(super) fn format(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}
