//! Checks that several tools make of what was given.

use super::Parsed;

/// The message if one of the options is absent.
///
/// # Errors
/// The message to print above the usage.
pub fn require(parsed: &Parsed, names: &[&str]) -> Result<(), String> {
    match names.iter().find(|name| !parsed.has(name)) {
        Some(missing) => Err(format!("Missing required argument \"[{missing}]\"")),
        None => Ok(()),
    }
}

/// The message if an option is given beside one that it cannot be used with.
///
/// # Errors
/// The message to print above the usage.
pub fn refuse_together(parsed: &Parsed, used: &str, invalid: &[&str]) -> Result<(), String> {
    if !parsed.has(used) {
        return Ok(());
    }
    match invalid.iter().find(|name| parsed.has(name)) {
        Some(other) => Err(format!("Option \"[{used}]\" can't be used with option \"[{other}]\"")),
        None => Ok(()),
    }
}
