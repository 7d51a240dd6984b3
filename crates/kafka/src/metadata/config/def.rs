//! What a configuration is, and which values it takes. Errors are worded as Kafka words them,
//! because clients show them.

/// The type of a configuration's value, in the order of their numbers in Kafka's protocol (1 to 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Values separated by commas.
    List,
    /// A class of Java's.
    Class,
    /// Text that is never shown.
    Password,
}

/// Which values of a type are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// From 0 to 1.
    Fraction,
    OneOf(&'static [&'static str]),
    ListOf(&'static [&'static str]),
    GzipLevel,
    /// A version of Kafka.
    Version,
    ThrottledReplicas,
}

/// A configuration.
#[derive(Debug)]
pub struct Def {
    /// Its name.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Kind,
    /// Its value if nobody sets it; nothing if it has none then.
    pub default: Option<&'static str>,
    pub(super) valid: Valid,
    /// What it is for.
    pub documentation: &'static str,
}

pub(super) const fn def(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    valid: Valid,
    documentation: &'static str,
) -> Def {
    Def { name, kind, default, valid, documentation }
}

/// A value that was checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a boolean.
    Boolean(bool),
    /// Of any whole number.
    Number(i64),
    /// Of a double.
    Double(f64),
    /// Of a list.
    List(Vec<String>),
    /// Of the others.
    Text(String),
}

/// A configuration that is not allowed, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value by itself.
    #[error("{0}")]
    Value(String),
    /// A name, or values together.
    #[error("{0}")]
    Other(String),
}

impl Def {
    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Reads and checks a value.
    ///
    /// # Errors
    /// If it is of another type or not allowed.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let trimmed = text.trim();
        let value = match self.kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Kind::Boolean => {
                return Err(self.wrong(text, "Expected value to be either true or false"));
            }
            Kind::Int => self.number(text, trimmed, i32::MIN.into(), i32::MAX.into())?,
            Kind::Short => self.number(text, trimmed, i16::MIN.into(), i16::MAX.into())?,
            Kind::Long => self.number(text, trimmed, i64::MIN, i64::MAX)?,
            Kind::Double => match trimmed.parse() {
                Ok(number) => Value::Double(number),
                Err(_) => return Err(self.not_a_number(text)),
            },
            Kind::List if trimmed.is_empty() => Value::List(Vec::new()),
            Kind::List => Value::List(trimmed.split(',').map(|one| one.trim().into()).collect()),
            Kind::Password => Value::Text(text.to_owned()),
            Kind::String | Kind::Class => Value::Text(trimmed.to_owned()),
        };
        self.check(&value)?;
        Ok(value)
    }

    fn number(
        &self,
        text: &str,
        trimmed: &str,
        least: i64,
        most: i64,
    ) -> Result<Value, ConfigError> {
        let number = trimmed.parse::<i64>().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        number.map(Value::Number).ok_or_else(|| self.not_a_number(text))
    }

    fn not_a_number(&self, text: &str) -> ConfigError {
        let kind = match self.kind {
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            _ => "DOUBLE",
        };
        self.wrong(text, &format!("Not a number of type {kind}"))
    }

    fn wrong(&self, value: &str, why: &str) -> ConfigError {
        let name = self.name;
        ConfigError::Value(format!("Invalid value {value} for configuration {name}: {why}"))
    }

    fn check(&self, value: &Value) -> Result<(), ConfigError> {
        match (self.valid, value) {
            (Valid::AtLeast(least), Value::Number(number)) => self.range(*number, least, i64::MAX),
            (Valid::Between(least, most), Value::Number(number)) => {
                self.range(*number, least, most)
            }
            (Valid::Fraction, Value::Double(number)) => {
                let why = match number {
                    0.0..=1.0 => return Ok(()),
                    number if *number > 1.0 => "Value must be no more than 1",
                    _ => "Value must be at least 0",
                };
                Err(self.wrong(&number.to_string(), why))
            }
            (Valid::GzipLevel, Value::Number(level))
                if *level != -1 && !(1..=9).contains(level) =>
            {
                let why = "Value must be between 1 and 9 or equal to -1";
                Err(self.wrong(&level.to_string(), why))
            }
            (Valid::OneOf(allowed), Value::Text(text)) => self.one_of(allowed, text),
            (Valid::ListOf(allowed), Value::List(list)) => {
                list.iter().try_for_each(|text| self.one_of(allowed, text))
            }
            (Valid::Version, Value::Text(text)) if !is_version(text) => {
                Err(self.wrong(text, &format!("Version {text} is not a valid version")))
            }
            (Valid::ThrottledReplicas, Value::List(list)) if !are_throttled_replicas(list) => {
                Err(ConfigError::Value(format!(
                    "Invalid value {} for configuration {}: {} must be the literal '*' or a list of \
                     replicas in the following format: [partitionId]:[brokerId],\
                     [partitionId]:[brokerId],...",
                    list.join(","),
                    self.name,
                    self.name
                )))
            }
            _ => Ok(()),
        }
    }

    fn range(&self, number: i64, least: i64, most: i64) -> Result<(), ConfigError> {
        let why = if number < least {
            format!("Value must be at least {least}")
        } else if number > most {
            format!("Value must be no more than {most}")
        } else {
            return Ok(());
        };
        Err(self.wrong(&number.to_string(), &why))
    }

    fn one_of(&self, allowed: &[&str], text: &str) -> Result<(), ConfigError> {
        if allowed.contains(&text) {
            return Ok(());
        }
        Err(self.wrong(text, &format!("String must be one of: {}", allowed.join(", "))))
    }
}

/// `0.11.0`, `2.8`, `3.9-IV0` and the like.
fn is_version(text: &str) -> bool {
    let release = text
        .split_once("-IV")
        .map_or(text, |(release, number)| if number.parse::<u8>().is_ok() { release } else { "" });
    let mut parts = release.split('.');
    let mut number = || parts.next().map(str::parse::<u8>);
    let major = number();
    let minor = number();
    matches!((major, minor), (Some(Ok(0)), Some(Ok(8..=11))) | (Some(Ok(1..=4)), Some(Ok(0..=9))))
        && release.split('.').count() <= 4
        && release.split('.').all(|part| part.parse::<u8>().is_ok())
}

fn are_throttled_replicas(list: &[String]) -> bool {
    let pair = |text: &String| {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.split_once(':').is_some_and(|(one, other)| number(one) && number(other))
    };
    matches!(list, [only] if only == "*") || list.iter().all(pair)
}

#[cfg(test)]
mod tests {
    use super::super::defs;
    use super::*;

    fn refused(name: &str, value: &str) -> String {
        let def = defs::topic(name).or_else(|| defs::broker(name)).unwrap();
        def.parse(value).unwrap_err().to_string()
    }

    #[test]
    fn every_default_is_allowed_and_names_are_in_order() {
        let brokers = defs::brokers();
        assert!(brokers.len() > 190 && defs::topics().count() == 36);
        for def in brokers.iter().copied().chain(defs::topics()) {
            if let Some(default) = def.default {
                def.parse(default).unwrap_or_else(|error| panic!("{error}"));
            }
            assert!(def.documentation.ends_with('.'), "{}", def.name);
        }
        for def in &brokers {
            assert!(std::ptr::eq(defs::broker(def.name).unwrap(), *def), "{}", def.name);
        }
        for def in defs::topics() {
            assert!(std::ptr::eq(defs::topic(def.name).unwrap(), def), "{}", def.name);
            for synonym in defs::synonyms_of_topic(def.name) {
                assert!(defs::broker(synonym).is_some(), "{synonym}");
            }
        }
    }

    #[test]
    fn values_are_refused_in_kafkas_words() {
        let text = "Invalid value x for configuration retention.ms: Not a number of type LONG";
        assert_eq!(refused("retention.ms", "x"), text);
        let text = "Invalid value -2 for configuration retention.ms: Value must be at least -1";
        assert_eq!(refused("retention.ms", "-2"), text);
        let text = "Invalid value 3000000000 for configuration segment.bytes: Not a number of \
                    type INT";
        assert_eq!(refused("segment.bytes", "3000000000"), text);
        let text = "Invalid value shred for configuration cleanup.policy: String must be one of: \
                    compact, delete";
        assert_eq!(refused("cleanup.policy", "delete,shred"), text);
        let text = "Invalid value yes for configuration preallocate: Expected value to be either \
                    true or false";
        assert_eq!(refused("preallocate", "yes"), text);
        let text = "Invalid value 23 for configuration compression.zstd.level: Value must be no \
                    more than 22";
        assert_eq!(refused("compression.zstd.level", "23"), text);
        assert!(refused("compression.gzip.level", "0").ends_with("1 and 9 or equal to -1"));
        assert!(refused("min.cleanable.dirty.ratio", "1.5").ends_with("no more than 1"));
        assert!(refused("min.cleanable.dirty.ratio", "NaN").ends_with("at least 0"));
        assert!(refused("message.format.version", "5.0").contains("not a valid version"));
        assert!(refused("leader.replication.throttled.replicas", "1").contains("literal '*'"));
    }

    #[test]
    fn values_are_read_as_java_reads_them() {
        let parse = |name: &str, value: &str| defs::topic(name).unwrap().parse(value).unwrap();
        assert_eq!(parse("retention.ms", " -1 "), Value::Number(-1));
        assert_eq!(parse("preallocate", "TRUE"), Value::Boolean(true));
        let both = ["compact", "delete"].map(str::to_owned).to_vec();
        assert_eq!(parse("cleanup.policy", "compact , delete"), Value::List(both));
        assert_eq!(parse("cleanup.policy", ""), Value::List(vec![]));
        for good in ["*", "1:2", "1:2,3:4", ""] {
            parse("leader.replication.throttled.replicas", good);
        }
        for good in ["3.9-IV0", "0.10.2", "2.8", "0.11.0-IV2"] {
            parse("message.format.version", good);
        }
    }

    #[test]
    fn configurations_of_listeners_are_known_by_those_of_all() {
        assert_eq!(
            defs::base("listener.name.inside.ssl.keystore.location"),
            "ssl.keystore.location"
        );
        let sasl = "listener.name.inside.scram-sha-256.sasl.jaas.config";
        assert_eq!(defs::base(sasl), "sasl.jaas.config");
        assert_eq!(defs::dynamic(sasl), defs::Dynamic::PerBroker);
        assert_eq!(defs::dynamic("log.retention.ms"), defs::Dynamic::ClusterWide);
        assert_eq!(defs::dynamic("log.retention.hours"), defs::Dynamic::ReadOnly);
        let names = defs::synonyms_of_broker("log.retention.minutes");
        assert_eq!(names, ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]);
        assert_eq!(defs::synonyms_of_broker("num.partitions"), ["num.partitions"]);
    }
}
