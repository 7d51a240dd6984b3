//! How a tool ends before its work is done.

use crate::zk_cli::Console;

use super::client::ClientError;
use super::options::{Opt, OptionError, Parsed, usage};

/// What `--version` prints: the Kafka whose tools these are like, and this program.
const KAFKA_LEVEL: &str = "3.9.1";

/// A Java exception by its class and message; each tool shows it in a way of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class with its package.
    pub class: String,
    /// The message.
    pub message: String,
    /// The exception that it comes from, as `Throwable.toString` gives it.
    pub cause: Option<String>,
}

impl Failure {
    /// An exception by its class.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), message: message.into(), cause: None }
    }

    /// An `IllegalArgumentException`.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new("java.lang.IllegalArgumentException", message)
    }

    /// A client that could not be made, and why.
    pub fn no_client(client: &str, error: &ClientError) -> Self {
        let settings = matches!(error, ClientError::Config(_));
        let of_addresses = error.to_string().contains("bootstrap.servers");
        if settings && !of_addresses {
            return Self::new(&error.class(), error.to_string());
        }
        let message = format!("Failed to {client}");
        let new = Self::new("org.apache.kafka.common.KafkaException", message);
        Self { cause: Some(error.exception()), ..new }
    }

    /// With what it comes from.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Whether it is about the value of an option.
    pub fn is_of_a_value(&self) -> bool {
        let value = "x".to_owned();
        let classes = [
            OptionError::Multiple(value.clone()).class(),
            OptionError::Conversion { value: value.clone(), option: value }.class(),
        ];
        classes.contains(&self.class.as_str())
    }

    /// As a stack trace without its frames.
    pub fn exception(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {}\nCaused by: {cause}", self.class, self.message),
            None => format!("{}: {}", self.class, self.message),
        }
    }
}

/// Why a tool ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With a message above the usage, and code 1.
    Usage(String),
    /// The version was asked for.
    Version,
    /// All has been said; with this code.
    Code(i32),
    /// Something failed.
    Failure(Failure),
}

impl From<OptionError> for Stop {
    fn from(error: OptionError) -> Self {
        let failure = Failure::new(error.class(), error.to_string());
        match error {
            OptionError::Conversion { value, .. } => {
                let cause =
                    format!("java.lang.NumberFormatException: For input string: \"{value}\"");
                let between = "joptsimple.internal.ReflectionException";
                failure.caused_by(format!("{between}: {cause}\nCaused by: {cause}")).into()
            }
            _ => failure.into(),
        }
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Failure::new(&error.class(), error.to_string()).into()
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Stops if help or the version is asked for, or nothing at all is given.
///
/// # Errors
/// To stop.
pub fn help_or_version(args: &[String], parsed: &Parsed, purpose: &str) -> Result<(), Stop> {
    if args.is_empty() || parsed.has("help") {
        return Err(Stop::Usage(purpose.to_owned()));
    }
    if parsed.has("version") { Err(Stop::Version) } else { Ok(()) }
}

/// The exit code of a tool's work; a stop that is no failure is told here, a failure by `failed`.
pub fn exit_code(
    result: Result<(), Stop>,
    console: &Console,
    options: &[Opt],
    failed: impl FnOnce(&Failure) -> i32,
) -> i32 {
    match result {
        Ok(()) => 0,
        Err(Stop::Usage(message)) => {
            console.error(&message);
            console.error(usage(options).trim_end_matches('\n'));
            1
        }
        Err(Stop::Version) => {
            console.line(&format!("{KAFKA_LEVEL} (Polyport {})", env!("CARGO_PKG_VERSION")));
            0
        }
        Err(Stop::Code(code)) => code,
        Err(Stop::Failure(failure)) => failed(&failure),
    }
}
