//! What Kafka's tools log, in the layout of their log configuration: on the error stream, from the
//! level of warnings.

use crate::platform;
use crate::zk_cli::Console;

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something will be tried again.
    Warn,
    /// Something failed.
    Error,
}

/// Prints a message: `[2025-01-27 19:50:51,936] WARN message (logger)`.
pub fn log(console: &Console, level: Level, message: &str, logger: &str) {
    let level = match level {
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    };
    let date = platform::local_timestamp(platform::now_millis());
    console.error(&format!("[{date}] {level} {message} ({logger})"));
}

/// Logs a failure as a tool does that logs a stack trace as its message: the exception, and in a line
/// of its own the logger.
pub fn failure(console: &Console, exception: &str, logger: &str) {
    log(console, Level::Error, &format!("{exception}\n"), logger);
}
