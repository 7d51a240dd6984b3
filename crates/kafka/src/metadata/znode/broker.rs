//! `/brokers/ids/N`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ZnodeError;

/// Where a broker is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, in upper case.
    pub listener: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: String,
    /// Name or address; may be empty.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// A plain one, of the listener `PLAINTEXT`.
    pub fn plaintext(host: &str, port: u16) -> Self {
        let listener = "PLAINTEXT".to_owned();
        Self { protocol: listener.clone(), listener, host: host.to_owned(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}:{}", self.listener, self.host, self.port)
    }
}

/// A broker's registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerZnode {
    /// Its advertised listeners.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Features it supports, by name: lowest and highest version.
    pub features: BTreeMap<String, BTreeMap<String, i16>>,
    /// Port of its JMX; -1 without.
    pub jmx_port: i32,
    /// When it registered, in milliseconds.
    pub timestamp_ms: i64,
}

#[derive(Serialize)]
struct Written<'a> {
    features: &'a BTreeMap<String, BTreeMap<String, i16>>,
    listener_security_protocol_map: BTreeMap<&'a str, &'a str>,
    endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack: Option<&'a str>,
    jmx_port: i32,
    port: i32,
    host: Option<&'a str>,
    version: i32,
    timestamp: String,
}

#[derive(Deserialize)]
struct Read {
    version: i32,
    #[serde(default)]
    features: Option<BTreeMap<String, BTreeMap<String, i16>>>,
    #[serde(default)]
    listener_security_protocol_map: Option<BTreeMap<String, String>>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    rack: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    port: i32,
    jmx_port: i32,
    #[serde(default)]
    timestamp: Option<String>,
}

const WHAT: &str = "a broker's registration";

impl BrokerZnode {
    /// As it is stored. For clients of long ago it also names the first plain endpoint.
    pub fn to_json(&self) -> Vec<u8> {
        let plain = self.endpoints.iter().find(|endpoint| endpoint.protocol == "PLAINTEXT");
        let map = self.endpoints.iter().map(|e| (e.listener.as_str(), e.protocol.as_str()));
        super::json(&Written {
            features: &self.features,
            listener_security_protocol_map: map.collect(),
            endpoints: self.endpoints.iter().map(Endpoint::to_string).collect(),
            rack: self.rack.as_deref(),
            jmx_port: self.jmx_port,
            port: plain.map_or(-1, |endpoint| endpoint.port.into()),
            host: plain.map(|endpoint| endpoint.host.as_str()),
            version: 5,
            timestamp: self.timestamp_ms.to_string(),
        })
    }

    /// Reads any version, 1 to 5.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Self, ZnodeError> {
        let read: Read = super::parse(WHAT, json)?;
        let endpoints = match read.version {
            ..1 => return Err(ZnodeError::value("a broker's version", read.version)),
            1 => {
                let port = u16::try_from(read.port);
                let port = port.map_err(|_| ZnodeError::value("a broker's port", read.port))?;
                vec![Endpoint::plaintext(&read.host.unwrap_or_default(), port)]
            }
            _ => {
                let map = read.listener_security_protocol_map.unwrap_or_default();
                let endpoint = |text: &String| parse_endpoint(text, &map);
                read.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?
            }
        };
        let timestamp_ms = read.timestamp.and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Self {
            endpoints,
            rack: read.rack,
            features: read.features.unwrap_or_default(),
            jmx_port: read.jmx_port,
            timestamp_ms,
        })
    }
}

/// Reads `LISTENER://host:port`. A listener that `map` does not name is named after its protocol.
fn parse_endpoint(text: &str, map: &BTreeMap<String, String>) -> Result<Endpoint, ZnodeError> {
    let parts = || {
        let (listener, rest) = text.split_once("://")?;
        let (host, port) = rest.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Some((listener, host, port.parse().ok()?))
    };
    let (listener, host, port) =
        parts().ok_or_else(|| ZnodeError::value("an endpoint of a broker", text))?;
    let protocol = map.get(listener).map_or(listener, String::as_str).to_owned();
    Ok(Endpoint { listener: listener.to_owned(), protocol, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_written_as_kafka_writes_it() {
        let broker = BrokerZnode {
            endpoints: vec![Endpoint::plaintext("h", 9092)],
            jmx_port: -1,
            timestamp_ms: 1_717_000_000_000,
            ..BrokerZnode::default()
        };
        let json = r#"{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://h:9092"],"jmx_port":-1,"port":9092,"host":"h","version":5,"timestamp":"1717000000000"}"#;
        assert_eq!(String::from_utf8(broker.to_json()).unwrap(), json);
        assert_eq!(BrokerZnode::parse(json.as_bytes()).unwrap(), broker);
    }

    #[test]
    fn without_a_plain_endpoint_old_clients_find_none() {
        let endpoint = Endpoint {
            listener: "INSIDE".to_owned(),
            protocol: "SASL_SSL".to_owned(),
            host: "::1".to_owned(),
            port: 1,
        };
        let rack = Some("r".to_owned());
        let broker = BrokerZnode { endpoints: vec![endpoint], rack, ..BrokerZnode::default() };
        let json = String::from_utf8(broker.to_json()).unwrap();
        assert!(json.contains(r#""port":-1,"host":null"#), "{json}");
        assert!(json.contains(r#""INSIDE://[::1]:1""#), "{json}");
        assert_eq!(BrokerZnode::parse(json.as_bytes()).unwrap(), broker);
    }

    #[test]
    fn old_versions_are_read() {
        let first = br#"{"version":1,"host":"a","port":9092,"jmx_port":9999,"timestamp":"22"}"#;
        let broker = BrokerZnode::parse(first).unwrap();
        assert_eq!(broker.endpoints, [Endpoint::plaintext("a", 9092)]);
        let second =
            br#"{"version":2,"host":"a","port":9092,"jmx_port":1,"endpoints":["SSL://b:7"]}"#;
        let broker = BrokerZnode::parse(second).unwrap();
        assert_eq!((&*broker.endpoints[0].protocol, broker.endpoints[0].port), ("SSL", 7));
        for bad in [&b"{}"[..], b"", b"{\"version\":0,\"jmx_port\":1}"] {
            assert!(BrokerZnode::parse(bad).is_err());
        }
    }
}
