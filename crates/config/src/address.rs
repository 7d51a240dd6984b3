//! `host:port`, with a host that may be a name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host (IPv4, IPv6 or a name) and a TCP port. IPv6 is written in brackets: `[::1]:2181`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; 0 asks the operating system for a free one.
    pub port: u16,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No colon separates host and port.
    #[error("`{0}` has no port: write host:port")]
    NoPort(String),
    /// The host is empty, holds a space, or is IPv6 without brackets.
    #[error("`{0}` has no valid host: write host:port, and IPv6 in brackets")]
    BadHost(String),
    /// The port is not a number from 0 to 65535.
    #[error("`{0}` has no valid port: it must be a number from 0 to 65535")]
    BadPort(String),
}

impl Address {
    /// An address of `host` and `port`; brackets around the host are taken off.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Self { host: host.to_owned(), port }
    }

    /// Whether only this machine can reach it: `localhost`, 127.0.0.0/8 or ::1. A name is not
    /// resolved, so any other name counts as reachable from elsewhere.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether it stands for all of the machine's addresses: 0.0.0.0 or ::.
    pub fn is_unspecified(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let valid = match bracketed {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host(host),
        };
        if !valid {
            return Err(AddressError::BadHost(text.to_owned()));
        }
        let port = match port.bytes().all(|b| b.is_ascii_digit()) {
            true => port.parse().map_err(|_| AddressError::BadPort(text.to_owned()))?,
            false => return Err(AddressError::BadPort(text.to_owned())),
        };
        Ok(Self::new(host, port))
    }
}

/// Names are not resolved here, so only what can never be one is refused.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%'))
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

/// Where a door listens; the empty text closes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen(pub Option<Address>);

impl TryFrom<String> for Listen {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Ok(Self(if text.is_empty() { None } else { Some(text.parse()?) }))
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> String {
        listen.0.map(String::from).unwrap_or_default()
    }
}

impl From<Address> for Listen {
    fn from(address: Address) -> Self {
        Self(Some(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in ["127.0.0.1:2181", "[::1]:0", "zoo-1.example.com:2888", "[::]:65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", "host", ":1", "::1:2181", "a b:1", "h:65536", "h:-1", "h:+1", "[x]:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert_eq!(Listen::try_from(String::new()), Ok(Listen(None)));
    }

    #[test]
    fn only_this_machines_own_addresses_are_loopback() {
        for text in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "LocalHost:1"] {
            assert!(text.parse::<Address>().unwrap().is_loopback(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "zoo1:1"] {
            assert!(!text.parse::<Address>().unwrap().is_loopback(), "{text}");
        }
    }
}
