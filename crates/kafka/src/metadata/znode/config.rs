//! `/config/TYPE/NAME`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ZnodeError;

/// Values that were set for an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigZnode(pub BTreeMap<String, String>);

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    config: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    config: Option<BTreeMap<String, String>>,
}

impl ConfigZnode {
    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        super::json(&Written { version: 1, config: &self.0 })
    }

    /// Reads it. A znode without data, such as one made only to have children, sets nothing.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Self, ZnodeError> {
        if json.is_empty() {
            return Ok(Self::default());
        }
        let read: Read = super::parse("a configuration", json)?;
        Ok(Self(read.config.unwrap_or_default()))
    }
}

/// What is put below `/config/changes`, so that brokers of other kinds look at the entity.
pub fn entity_change_json(entity: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Change<'a> {
        version: i32,
        entity_path: &'a str,
    }
    super::json(&Change { version: 2, entity_path: entity })
}

/// The name of a user or a client as a path's component: percent-encoded.
pub fn sanitize(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Takes [`sanitize`] back; nothing if it was not made by it.
pub fn desanitize(name: &str) -> Option<String> {
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_configuration_is_written_as_kafka_writes_it() {
        let config = ConfigZnode(BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]));
        let json = r#"{"version":1,"config":{"retention.ms":"5"}}"#;
        assert_eq!(String::from_utf8(config.to_json()).unwrap(), json);
        assert_eq!(ConfigZnode::parse(json.as_bytes()).unwrap(), config);
        assert_eq!(ConfigZnode::parse(b"").unwrap(), ConfigZnode::default());
        assert!(ConfigZnode::parse(b"[]x").is_err());
        let change = String::from_utf8(entity_change_json("topics/t")).unwrap();
        assert_eq!(change, r#"{"version":2,"entity_path":"topics/t"}"#);
    }

    #[test]
    fn names_are_sanitized_as_kafka_does() {
        assert_eq!(sanitize("CN=a b,O=*~"), "CN%3Da%20b%2CO%3D%2A%7E");
        assert_eq!(desanitize("%zz"), None);
        assert_eq!(desanitize("a%2"), None);
    }

    proptest! {
        #[test]
        fn sanitizing_can_be_taken_back(name: String) {
            prop_assert_eq!(desanitize(&sanitize(&name)), Some(name));
        }
    }
}
