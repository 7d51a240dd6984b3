//! ZooKeeper's `zoo.cfg`, with the file `myid` in its dataDir and its dynamicConfigFile.
//!
//! Kafka's door is closed, unless it is opened by something else: a `server.properties`, a
//! `polyport.toml`.
//!
//! A port without an address is opened on loopback, unless the file describes an ensemble of other
//! machines: ZooKeeper opens it on all addresses. The first port of `server.N` becomes the
//! node-to-node port; the second, for elections, is not needed.

mod ensemble;
mod keys;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Imported;
use super::properties;
use crate::address::{Address, is_host};
use crate::layers::{Origin, Problem, Setting, Value, Warning};

use keys::{Effect, Form};

/// Reads a `zoo.cfg` and the files it names.
pub fn import(path: &Path, bytes: &[u8]) -> Imported {
    let mut file = File::default();
    file.read(path, bytes);
    if let Some(dynamic) = file.entry("dynamicConfigFile").cloned() {
        let dynamic_path = PathBuf::from(&dynamic.value);
        match std::fs::read(&dynamic_path) {
            Ok(bytes) => file.read(&dynamic_path, &bytes),
            Err(error) => file.problem(&dynamic, format!("cannot be read: {error}")),
        }
    }
    file.simple();
    let beyond = ensemble::import(&mut file);
    file.doors(beyond);
    tls::import(&mut file);
    file.authentication();
    // Who starts a ZooKeeper does not expect Kafka's door: several may be started on one machine.
    file.out.otherwise.push(Setting {
        key: "kafka.listeners".to_owned(),
        value: Value::Typed(toml::Value::Array(Vec::new())),
        origin: Origin::WholeFile(path.to_owned()),
        written_as: "kafka.listeners".to_owned(),
    });
    file.out
}

/// A key as it was written last.
#[derive(Clone, Debug)]
struct Entry {
    written_as: String,
    value: String,
    origin: Origin,
}

#[derive(Default)]
struct File {
    /// By key without the prefix `zookeeper.`.
    entries: BTreeMap<String, Entry>,
    out: Imported,
}

impl File {
    fn read(&mut self, path: &Path, bytes: &[u8]) {
        for property in properties::parse(bytes) {
            let entry = Entry {
                // ZooKeeper trims both.
                value: property.value.trim().to_owned(),
                origin: Origin::File(path.to_owned(), property.line),
                written_as: property.key.trim().to_owned(),
            };
            let name = entry.written_as.strip_prefix("zookeeper.").unwrap_or(&entry.written_as);
            if let Some(before) = self.entries.insert(name.to_owned(), entry.clone()) {
                self.warn(&entry, format!("replaces the value given at {}", before.origin));
            }
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    fn warn(&mut self, entry: &Entry, message: String) {
        self.out.warnings.push(Warning {
            origin: entry.origin.clone(),
            key: entry.written_as.clone(),
            message,
        });
    }

    fn problem(&mut self, entry: &Entry, reason: String) {
        self.out.problems.push(Problem {
            origin: entry.origin.clone(),
            key: entry.written_as.clone(),
            reason,
        });
    }

    fn set(&mut self, entry: &Entry, key: &str, value: impl Into<toml::Value>) {
        self.out.settings.push(Setting {
            key: key.to_owned(),
            value: Value::Typed(value.into()),
            origin: entry.origin.clone(),
            written_as: entry.written_as.clone(),
        });
    }

    /// The keys that stand for themselves, and what is to say about all others.
    fn simple(&mut self) {
        for (name, entry) in self.entries.clone() {
            match keys::effect(&name) {
                Some(Effect::Set(key, form)) => match read_as(form, &entry.value) {
                    Ok(value) => self.set(&entry, key, value),
                    Err(reason) => self.problem(&entry, reason),
                },
                Some(Effect::Together) => {}
                Some(Effect::NoMeaning(reason)) => {
                    self.warn(&entry, format!("has no meaning here: {reason}"));
                }
                Some(Effect::Unsupported(reason)) => {
                    self.warn(&entry, format!("is not supported and is left out: {reason}"));
                }
                None => {
                    let hint = keys::similar(&name);
                    let hint = hint.map_or(String::new(), |key| format!("; did you mean {key}?"));
                    self.warn(&entry, format!("is not a key of ZooKeeper's{hint}"));
                }
            }
        }
        if let Some(entry) = self.entry("autopurge.snapRetainCount").cloned() {
            match read_as(Form::Number(i64::MIN, i64::from(i32::MAX)), &entry.value) {
                Ok(toml::Value::Integer(count)) => {
                    if count < 3 {
                        self.warn(
                            &entry,
                            "is below 3, so 3 are kept, as ZooKeeper does".to_owned(),
                        );
                    }
                    self.set(&entry, "zookeeper.autopurge_snap_retain_count", count.max(3));
                }
                Ok(_) => {}
                Err(reason) => self.problem(&entry, reason),
            }
        }
        if let Some(entry) = self.entry("electionAlg").filter(|e| e.value != "3").cloned() {
            self.problem(&entry, "only 3 is allowed, since ZooKeeper 3.6 too".to_owned());
        }
    }

    /// Where to listen. `beyond` tells that the ensemble is of several machines.
    fn doors(&mut self, beyond: bool) {
        let host = if beyond { "0.0.0.0" } else { "127.0.0.1" };
        for (port, address, key) in [
            ("clientPort", "clientPortAddress", "zookeeper.listen"),
            ("secureClientPort", "secureClientPortAddress", "zookeeper.secure_listen"),
            ("admin.serverPort", "admin.serverAddress", "admin.listen"),
            ("metricsProvider.httpPort", "metricsProvider.httpHost", "metrics.listen"),
        ] {
            self.door(port, address, key, host);
        }
        // Without clientPort there is no plain port, unless this server's line names one.
        let from_line = self.out.settings.iter().any(|s| s.key == "zookeeper.listen");
        if let (None, false, Some(entry)) =
            (self.entry("clientPort"), from_line, self.entry("secureClientPort").cloned())
        {
            self.set(&entry, "zookeeper.listen", "");
        }
        if let Some(entry) = self.entry("metricsProvider.className").cloned() {
            let class = entry.value.rsplit('.').next().unwrap_or_default();
            match class {
                "PrometheusMetricsProvider" => self.set(&entry, "metrics.enabled", true),
                "DefaultMetricsProvider" | "NullMetricsProvider" => {
                    self.set(&entry, "metrics.enabled", false);
                }
                _ => self.warn(&entry, "is not supported: only Prometheus is".to_owned()),
            }
        }
    }

    fn door(&mut self, port_key: &str, host_key: &str, key: &'static str, default_host: &str) {
        let (port, host) = (self.entry(port_key).cloned(), self.entry(host_key).cloned());
        let entry = match (&port, &host) {
            (Some(entry), _) => entry.clone(),
            // The admin server and the metrics page have a port of their own.
            (None, Some(entry)) if key == "admin.listen" || key == "metrics.listen" => {
                entry.clone()
            }
            (None, Some(entry)) => {
                return self.problem(entry, format!("is set but {port_key} is not set"));
            }
            (None, None) => return,
        };
        let default_port = if key == "admin.listen" { 8080 } else { 7000 };
        let port = match port.map(|entry| read_port(&entry.value)) {
            None => default_port,
            Some(Ok(port)) => port,
            Some(Err(reason)) => return self.problem(&entry, reason),
        };
        let host = match host {
            Some(host)
                if is_host(&host.value) || host.value.parse::<std::net::Ipv6Addr>().is_ok() =>
            {
                host.value
            }
            Some(host) => {
                return self.problem(&host, format!("`{}` is not a host", host.value));
            }
            None => {
                if default_host == "127.0.0.1" && key.starts_with("zookeeper.") {
                    self.warn(&entry, format!(
                        "names no address, so it is opened on 127.0.0.1; {host_key}=0.0.0.0 opens it on all"
                    ));
                }
                // What only operators read stays on loopback until told otherwise.
                if key.starts_with("zookeeper.") { default_host } else { "127.0.0.1" }.to_owned()
            }
        };
        self.set(&entry, key, Address::new(&host, port).to_string());
    }

    fn authentication(&mut self) {
        const KNOWN: &[&str] = &[
            "SASLAuthenticationProvider",
            "IPAuthenticationProvider",
            "DigestAuthenticationProvider",
            "X509AuthenticationProvider",
            "EnsembleAuthenticationProvider",
        ];
        for (name, entry) in self.entries.clone() {
            if name != "authProvider" && !name.starts_with("authProvider.") {
                continue;
            }
            let class = entry.value.rsplit('.').next().unwrap_or_default();
            if !KNOWN.contains(&class) {
                let classes = KNOWN.join(", ");
                self.problem(&entry, format!("{class} is not known here; built in are {classes}"));
            }
        }
        if let Some(entry) = self.entry("ssl.authProvider").filter(|e| e.value != "x509").cloned() {
            self.problem(&entry, "only x509 is built in".to_owned());
        }
        if let Some(entry) = self.entry("java.security.auth.login.config").cloned() {
            match std::fs::read_to_string(&entry.value) {
                Ok(text) => {
                    let users = jaas_users(&text);
                    if users.is_empty() {
                        self.warn(
                            &entry,
                            "has no section Server with user_NAME=\"password\"".to_owned(),
                        );
                    } else {
                        let users: toml::Table =
                            users.into_iter().map(|(name, pass)| (name, pass.into())).collect();
                        self.set(&entry, "zookeeper.sasl_users", users);
                    }
                }
                Err(error) => self.problem(&entry, format!("cannot be read: {error}")),
            }
        }
    }
}

/// Users of the section `Server` of a JAAS file: `user_NAME="password"`.
fn jaas_users(text: &str) -> Vec<(String, String)> {
    let Some(section) = text.split_once("Server").and_then(|(_, rest)| rest.split_once('{')) else {
        return Vec::new();
    };
    let section = section.1.split('}').next().unwrap_or_default();
    let mut users = Vec::new();
    let mut parts = section.split('"');
    // Texts in quotes are every second part; the part before names the option.
    while let (Some(before), Some(quoted)) = (parts.next(), parts.next()) {
        let option = before.trim_end().trim_end_matches('=').trim_end();
        let option = option.rsplit(|c: char| c.is_whitespace() || c == ';').next();
        if let Some(name) = option.and_then(|option| option.strip_prefix("user_")) {
            users.push((name.to_owned(), quoted.to_owned()));
        }
    }
    users
}

fn read_as(form: Form, text: &str) -> Result<toml::Value, String> {
    match form {
        Form::Flag | Form::YesNo => {
            let yes_no = form == Form::YesNo;
            match text.to_ascii_lowercase().as_str() {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                "yes" if yes_no => Ok(true.into()),
                "no" if yes_no => Ok(false.into()),
                _ => {
                    let allowed = if yes_no { "yes, no, true or false" } else { "true or false" };
                    Err(format!("`{text}` is not {allowed}{}", comment_hint(text)))
                }
            }
        }
        Form::Number(from, to) => number(text, from, to).map(Into::into),
        Form::OrNone(from, to) => {
            number(text, i64::MIN, to).map(|n| if n < from { 0 } else { n }.into())
        }
        Form::Scaled(from, to, by) => {
            let number = number(text, from, to)?;
            number.checked_mul(by).map(Into::into).ok_or_else(|| format!("{text} is too large"))
        }
        Form::Share => match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share.into()),
            _ => Err(format!("`{text}` is not a number from 0 to 1{}", comment_hint(text))),
        },
        Form::Text => Ok(text.into()),
        Form::List => Ok(toml::Value::Array(
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Into::into).collect(),
        )),
    }
}

fn number(text: &str, from: i64, to: i64) -> Result<i64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(number) if (from..=to).contains(&number) => Ok(number),
        Ok(number) => Err(format!("{number} is not in {from} to {to}")),
        Err(_) => Err(format!("`{text}` is not a whole number{}", comment_hint(text))),
    }
}

/// The commonest mistake in this format.
fn comment_hint(text: &str) -> &'static str {
    if text.contains('#') { ": a comment needs a line of its own" } else { "" }
}

fn read_port(text: &str) -> Result<u16, String> {
    let port = number(text, 0, i64::from(u16::MAX))?;
    u16::try_from(port).map_err(|_| format!("{port} is not a port"))
}

#[cfg(test)]
mod tests;
