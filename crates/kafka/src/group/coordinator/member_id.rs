//! Ids for new members.

use std::fmt::Write as _;

/// An id that nobody had before: the client's id or the instance id, and a random UUID; without a name
/// that alone.
///
/// # Errors
/// If the operating system has no randomness.
pub(super) fn fresh(name: &str) -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(name.len() + 37);
    id.push_str(name);
    for (at, byte) in random.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) || at == 0 && !name.is_empty() {
            id.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}
