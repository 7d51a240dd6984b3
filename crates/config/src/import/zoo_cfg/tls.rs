//! Key stores and trust stores of `zoo.cfg`: PEM files take effect, Java's stores cannot.

use super::{Entry, File};

pub(super) fn import(file: &mut File) {
    let needed = file.entry("secureClientPort").is_some()
        || file.value("client.portUnification").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if let Some((entry, mut table)) = stores(file, "ssl", needed) {
        if let Some(auth) = file.entry("ssl.clientAuth").cloned() {
            match auth.value.to_ascii_lowercase() {
                value if ["none", "want", "need"].contains(&value.as_str()) => {
                    table.insert("client_auth".to_owned(), value.into());
                }
                value => file.problem(&auth, format!("`{value}` is not none, want or need")),
            }
        }
        file.set(&entry, "zookeeper.tls", table);
    }
    let quorum = file.entry("sslQuorum").cloned();
    let needed = quorum.as_ref().is_some_and(|e| e.value.eq_ignore_ascii_case("true"));
    if let (Some((entry, table)), true) = (stores(file, "ssl.quorum", needed), needed) {
        file.set(&entry, "node.tls", table);
    }
}

/// Certificate, key and authority, from PEM stores.
fn stores(file: &mut File, prefix: &str, needed: bool) -> Option<(Entry, toml::Table)> {
    let key_store = store(file, &format!("{prefix}.keyStore"), needed)?;
    let mut table = toml::Table::new();
    // ZooKeeper's PEM key stores hold the certificate chain and the key in one file.
    for part in ["cert", "key"] {
        table.insert(part.to_owned(), key_store.value.clone().into());
    }
    if let Some(trust_store) = store(file, &format!("{prefix}.trustStore"), needed) {
        table.insert("ca".to_owned(), trust_store.value.into());
    }
    Some((key_store, table))
}

fn store(file: &mut File, prefix: &str, needed: bool) -> Option<Entry> {
    let location = file.entry(&format!("{prefix}.location")).cloned()?;
    let declared = file.value(&format!("{prefix}.type")).unwrap_or_default().to_ascii_uppercase();
    let by_name = location.value.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let kind = match (declared.as_str(), by_name.as_str()) {
        ("PEM", _) | ("", "pem") => return Some(location),
        ("", "jks") => "JKS",
        ("", "p12" | "pfx") => "PKCS12",
        ("", "bcfks") => "BCFKS",
        ("", _) => "unknown",
        (declared, _) => declared,
    };
    let reason = format!(
        "is a store of type {kind}, which is not supported; make it a PEM file, for example with \
         `keytool -importkeystore -srckeystore STORE -destkeystore s.p12 -deststoretype PKCS12` \
         and `openssl pkcs12 -in s.p12 -nodes -out STORE.pem`"
    );
    if needed {
        file.problem(&location, reason)
    } else {
        file.warn(&location, reason)
    }
    None
}
