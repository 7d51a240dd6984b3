//! The options of Kafka's tools, read by the rules and refused in the words of the library that they
//! use for it (jopt-simple 5): `--a b`, `--a=b`, `-a b`, long names in one hyphen, and, where a tool
//! allows it, unambiguous abbreviations.

mod check;
mod help;
mod parse;

pub use check::{refuse_together, require};
pub use help::usage;
pub use parse::{Parsed, parse};

/// Whether a value follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A switch.
    None,
    /// The next argument, whatever it looks like.
    Required,
    /// The next argument, if it does not look like an option.
    Optional,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// A 32-bit number.
    Integer,
    /// A 64-bit number.
    Long,
    /// Any number.
    Double,
}

impl Kind {
    /// The name that the usage shows.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "String",
            Kind::Integer => "Integer",
            Kind::Long => "Long",
            Kind::Double => "Double",
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Kind::Text => true,
            Kind::Integer => value.parse::<i32>().is_ok(),
            Kind::Long => value.parse::<i64>().is_ok(),
            Kind::Double => value.parse::<f64>().is_ok(),
        }
    }
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name without hyphens.
    pub name: &'static str,
    /// Another name for it that the usage does not show.
    pub alias: Option<&'static str>,
    /// Whether a value follows.
    pub argument: Argument,
    /// What the value is.
    pub kind: Kind,
    /// What the usage calls the value; may be empty.
    pub value_name: &'static str,
    /// The usage's explanation.
    pub description: &'static str,
    /// The value when the option is not given.
    pub default: Option<&'static str>,
    /// What separates several values in one argument.
    pub separator: Option<char>,
    /// Whether the usage marks it and parsing insists on it.
    pub required: bool,
    /// Whether giving it lets required options be absent.
    pub for_help: bool,
}

impl Opt {
    /// A switch.
    pub const fn flag(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            alias: None,
            argument: Argument::None,
            kind: Kind::Text,
            value_name: "",
            description,
            default: None,
            separator: None,
            required: false,
            for_help: false,
        }
    }

    /// An option with any value.
    pub const fn text(
        name: &'static str,
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { argument: Argument::Required, value_name, ..Self::flag(name, description) }
    }

    /// An option with a 32-bit number.
    pub const fn integer(
        name: &'static str,
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { kind: Kind::Integer, ..Self::text(name, value_name, description) }
    }

    /// An option with a 64-bit number.
    pub const fn long(
        name: &'static str,
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { kind: Kind::Long, ..Self::text(name, value_name, description) }
    }

    /// An option with any number.
    pub const fn double(
        name: &'static str,
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { kind: Kind::Double, ..Self::text(name, value_name, description) }
    }

    /// With a value for when it is not given.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// With a second, undocumented name.
    #[must_use]
    pub const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// The value may be left out.
    #[must_use]
    pub const fn optional_value(self) -> Self {
        Self { argument: Argument::Optional, ..self }
    }

    /// Its argument holds several values.
    #[must_use]
    pub const fn list(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }

    /// Parsing refuses a command line without it.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn help(self) -> Self {
        Self { for_help: true, ..self }
    }
}

/// `--help`, which every tool has.
pub const HELP: Opt = Opt::flag("help", "Print usage information.").help();
/// `--version`, which every tool has.
pub const VERSION: Opt = Opt::flag("version", "Display Kafka version.").help();

/// A command line that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such option.
    #[error("{0} is not a recognized option")]
    Unrecognized(String),
    /// Nothing follows where a value must.
    #[error("Option {0} requires an argument")]
    MissingArgument(String),
    /// More than one value where one is asked for.
    #[error("Found multiple arguments for option {0}, but you asked for only one")]
    Multiple(String),
    /// The value is not of the option's kind.
    #[error("Cannot parse argument '{value}' of option {option}")]
    Conversion {
        /// What was given.
        value: String,
        /// The option's name.
        option: String,
    },
    /// Options that must be given are not.
    #[error("Missing required option(s) [{0}]")]
    MissingOptions(String),
    /// An abbreviation that several options begin with.
    #[error("{0} is not a recognized option")]
    Ambiguous(String),
}

impl OptionError {
    /// The Java exception's class, for the tools that let it out.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unrecognized(_) | Self::Ambiguous(_) => "joptsimple.UnrecognizedOptionException",
            Self::MissingArgument(_) => "joptsimple.OptionMissingRequiredArgumentException",
            Self::Multiple(_) => "joptsimple.MultipleArgumentsForOptionException",
            Self::Conversion { .. } => "joptsimple.OptionArgumentConversionException",
            Self::MissingOptions(_) => "joptsimple.MissingRequiredOptionsException",
        }
    }
}

#[cfg(test)]
mod tests;
