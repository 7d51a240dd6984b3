//! Kafka's words in `polyport.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use crate::address::{Address, AddressError};

/// A listener as Kafka writes it: `NAME://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KafkaListener {
    /// The listener's name: that of its security protocol, unless a map says otherwise.
    pub name: String,
    /// Where it listens, or where clients reach it.
    pub address: Address,
}

/// Why a text is not a listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaListenerError {
    /// Not of the form `NAME://host:port`.
    #[error("`{0}` is not a listener: write NAME://host:port, such as PLAINTEXT://127.0.0.1:9092")]
    Form(String),
    /// What follows the name is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for KafkaListener {
    type Err = KafkaListenerError;

    fn from_str(text: &str) -> Result<Self, KafkaListenerError> {
        let form = || KafkaListenerError::Form(text.to_owned());
        let (name, address) = text.trim().split_once("://").ok_or_else(form)?;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(named) {
            return Err(form());
        }
        Ok(Self { name: name.to_ascii_uppercase(), address: address.parse()? })
    }
}

impl TryFrom<String> for KafkaListener {
    type Error = KafkaListenerError;

    fn try_from(text: String) -> Result<Self, KafkaListenerError> {
        text.parse()
    }
}

impl From<KafkaListener> for String {
    fn from(listener: KafkaListener) -> String {
        listener.to_string()
    }
}

impl fmt::Display for KafkaListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.address)
    }
}

/// Settings by the names of `server.properties`. In `polyport.toml` a name may be written with or
/// without quotes, and a number or a flag without them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        let mut found = BTreeMap::new();
        for (key, value) in flattened(table) {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                    value.to_string()
                }
                _ => return Err(D::Error::custom(format!("{key} is not a text, number or flag"))),
            };
            found.insert(key, text);
        }
        Ok(Self(found))
    }
}

/// A table whose keys are whole names: `a = { b = 1 }` is `"a.b" = 1`.
pub(crate) fn flattened(table: toml::Table) -> toml::Table {
    let mut flat = toml::Table::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                let inner = flattened(inner).into_iter();
                flat.extend(inner.map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => {
                flat.insert(key, value);
            }
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layers;
    use std::path::Path;

    #[test]
    fn a_listener_is_written_as_in_kafka() {
        let listener: KafkaListener = " plaintext://[::1]:9092".parse().unwrap();
        assert_eq!(listener.to_string(), "PLAINTEXT://[::1]:9092");
        for bad in ["127.0.0.1:9092", "://h:1", "A B://h:1", "PLAINTEXT://h", "PLAINTEXT://:9092"] {
            assert!(bad.parse::<KafkaListener>().is_err(), "{bad}");
        }
    }

    #[test]
    fn properties_keep_their_names_whatever_wrote_them() {
        let text = "[kafka.properties]\nnum.partitions = 3\n\"max.connections.per.ip\" = \"9\"\n\
                    max.connections = 5\nauto.create.topics.enable = false\n";
        let loaded = Layers::new()
            .toml(Path::new("p.toml"), text)
            .set("kafka.properties.num.partitions=4")
            .set("kafka.properties.max.connections.per.ip=7")
            .finish()
            .unwrap();
        let properties = loaded.config.kafka.properties.0;
        let all: Vec<_> = properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let wanted = [
            "auto.create.topics.enable=false",
            "max.connections=5",
            "max.connections.per.ip=7",
            "num.partitions=4",
        ];
        assert_eq!(all, wanted);
    }

    #[test]
    fn a_property_is_one_value() {
        let text = "[kafka.properties]\nlog.dirs = [\"a\"]\n";
        let problems = Layers::new().toml(Path::new("p.toml"), text).finish().unwrap_err();
        assert!(problems[0].to_string().contains("log.dirs is not a text"), "{}", problems[0]);
    }
}
