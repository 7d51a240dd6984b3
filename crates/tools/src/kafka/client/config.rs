//! The settings of a client, by the names that Kafka's clients have for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClientError, Result};

/// Settings by name; what is set later wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The settings of a properties file.
    ///
    /// # Errors
    /// If the file cannot be read, in the words of the system.
    pub fn read(path: &str) -> std::io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let entries = crate::properties::parse(&String::from_utf8_lossy(&bytes));
        Ok(Self(entries.into_iter().collect()))
    }

    /// The settings of `key=value` arguments; one without a value is empty.
    pub fn from_pairs(pairs: &[&str]) -> Self {
        let entries = pairs.iter().map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => ((*pair).to_owned(), String::new()),
        });
        Self(entries.collect())
    }

    /// Adds settings over these.
    pub fn extend(&mut self, over: Self) {
        self.0.extend(over.0);
    }

    /// Sets one.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets one that is not set yet.
    pub fn set_default(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_owned()).or_insert_with(|| value.into());
    }

    /// The value of one.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether one is on.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// A number at least `least`, or the default.
    ///
    /// # Errors
    /// If it is no number or too small, in the words of Kafka's configuration.
    pub fn number<T>(&self, key: &str, default: T, least: T) -> Result<T>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.get(key) else { return Ok(default) };
        let value: T = text.trim().parse().map_err(|_| {
            let kind = if std::mem::size_of::<T>() == 8 { "LONG" } else { "INT" };
            ClientError::Config(format!(
                "Invalid value {text} for configuration {key}: Not a number of type {kind}"
            ))
        })?;
        if value < least {
            return Err(ClientError::Config(format!(
                "Invalid value {value} for configuration {key}: Value must be at least {least}"
            )));
        }
        Ok(value)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// What protects a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// TLS below everything.
    pub tls: bool,
    /// SASL before the first request.
    pub sasl: bool,
}

/// A client's settings, checked.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to ask for the cluster first.
    pub bootstrap: Vec<(String, u16)>,
    /// What the brokers' logs call the client.
    pub client_id: String,
    /// How messages about the client begin: `[AdminClient clientId=adminclient-1] `.
    pub log_prefix: String,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a whole call may take, tries included.
    pub api_timeout: Duration,
    /// How long to wait before another try.
    pub retry_backoff: Duration,
    /// What protects the connections.
    pub protection: Protection,
    /// All settings, for those who know more of them.
    pub properties: Properties,
}

impl ClientConfig {
    /// The settings of an administrator's client.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn admin(properties: Properties) -> Result<Self> {
        let id = properties.get("client.id").unwrap_or("adminclient-1").to_owned();
        let prefix = format!("[AdminClient clientId={id}] ");
        Self::new(properties, id, prefix)
    }

    /// Settings of a client that calls itself `client_id`.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn new(properties: Properties, client_id: String, log_prefix: String) -> Result<Self> {
        let bootstrap = bootstrap_addresses(properties.get("bootstrap.servers").unwrap_or(""))?;
        let protocol = properties.get("security.protocol").unwrap_or("PLAINTEXT");
        let (tls, sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                return Err(ClientError::Config(format!(
                    "Invalid value {protocol} for configuration security.protocol: String must be \
                     one of (case insensitive): PLAINTEXT, SASL_PLAINTEXT, SASL_SSL, SSL"
                )));
            }
        };
        let millis =
            |key, default| properties.number(key, default, 0_u64).map(Duration::from_millis);
        Ok(Self {
            bootstrap,
            client_id,
            log_prefix,
            request_timeout: millis("request.timeout.ms", 30_000)?,
            api_timeout: millis("default.api.timeout.ms", 60_000)?,
            retry_backoff: millis("retry.backoff.ms", 100)?,
            protection: Protection { tls, sasl },
            properties,
        })
    }
}

/// The addresses of a list `host:port,…`.
///
/// # Errors
/// If there is none, or one is not of the form, in the words of Kafka's clients.
pub fn bootstrap_addresses(list: &str) -> Result<Vec<(String, u16)>> {
    let addresses: Result<Vec<_>> = list
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            split_address(text).ok_or_else(|| {
                ClientError::Config(format!("Invalid url in bootstrap.servers: {text}"))
            })
        })
        .collect();
    let addresses = addresses?;
    if addresses.is_empty() {
        return Err(ClientError::Config(
            "No resolvable bootstrap urls given in bootstrap.servers".to_owned(),
        ));
    }
    Ok(addresses)
}

/// `host:port`, `[v6]:port`, or either behind `PROTOCOL://`.
fn split_address(text: &str) -> Option<(String, u16)> {
    let text = text.rsplit_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |list| bootstrap_addresses(list);
        let one = |host: &str, port| (host.to_owned(), port);
        assert_eq!(read("a:1, b:2,"), Ok(vec![one("a", 1), one("b", 2)]));
        assert_eq!(read("PLAINTEXT://[::1]:9092"), Ok(vec![one("::1", 9092)]));
        let message = |list| read(list).unwrap_err().to_string();
        assert_eq!(message("a"), "Invalid url in bootstrap.servers: a");
        assert_eq!(message(":1"), "Invalid url in bootstrap.servers: :1");
        assert_eq!(message(","), "No resolvable bootstrap urls given in bootstrap.servers");
    }

    #[test]
    fn settings_are_checked() {
        let config = |pairs: &[&str]| ClientConfig::admin(Properties::from_pairs(pairs));
        let good = config(&["bootstrap.servers=h:1", "security.protocol=sasl_ssl"]).unwrap();
        assert_eq!(good.protection, Protection { tls: true, sasl: true });
        assert_eq!(good.log_prefix, "[AdminClient clientId=adminclient-1] ");
        assert!(config(&["bootstrap.servers=h:1", "security.protocol=x"]).is_err());
        let wrong = config(&["bootstrap.servers=h:1", "request.timeout.ms=x"]).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "Invalid value x for configuration request.timeout.ms: Not a number of type LONG"
        );
        let small = Properties::from_pairs(&["a=1"]).number("a", 5_i32, 2).unwrap_err();
        assert_eq!(
            small.to_string(),
            "Invalid value 1 for configuration a: Value must be at least 2"
        );
    }
}
