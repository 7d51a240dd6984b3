//! `server.N`, `group.N`, `weight.N` and `myid`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Entry, File, number, read_port};
use crate::address::{Address, is_host};
use crate::layers::Origin;

/// `host:port:port[:role][;[host:]port]`
#[derive(Debug, PartialEq)]
struct Server {
    quorum: Address,
    election_port: Option<u16>,
    observer: bool,
    client: Option<Address>,
    /// How many further addresses were given after `|`.
    further: usize,
}

/// Reads the ensemble; tells whether it reaches beyond this machine.
pub(super) fn import(file: &mut File) -> bool {
    let mut servers = BTreeMap::new();
    for (id, entry) in numbered(file, "server.") {
        match parse(&entry.value) {
            Ok(server) => {
                if server.further > 0 {
                    file.warn(&entry, "has several addresses; the first one is taken".to_owned());
                }
                servers.insert(id, (entry, server));
            }
            Err(reason) => file.problem(&entry, reason),
        }
    }
    let (groups, weights) = (groups(file), weights(file));
    let my_id = my_id(file, !servers.is_empty());
    let standalone =
        !file.value("standaloneEnabled").is_some_and(|v| v.eq_ignore_ascii_case("false"));
    let Some((first, _)) = servers.values().next() else {
        return false;
    };
    let (first, beyond) = (first.clone(), servers.values().any(|(_, s)| !s.quorum.is_loopback()));
    if servers.values().all(|(_, server)| server.observer) {
        file.problem(&first, "an ensemble of observers only cannot work".to_owned());
    }
    if let Some((id, entry)) = my_id {
        own(file, id, &entry, &servers);
    }
    if servers.len() == 1 && standalone {
        file.warn(
            &first,
            "is the only server, so this is a standalone server, as in ZooKeeper".to_owned(),
        );
        return beyond;
    }
    let nodes = servers.iter().map(|(id, (_, server))| {
        let mut node = toml::Table::new();
        node.insert("id".to_owned(), (*id).into());
        node.insert("address".to_owned(), server.quorum.to_string().into());
        node.insert("role".to_owned(), if server.observer { "observer" } else { "voter" }.into());
        if let Some(port) = server.election_port {
            node.insert("quorum".to_owned(), format!("{}:{port}", server.quorum).into());
        }
        if let Some(client) = &server.client {
            node.insert("zookeeper".to_owned(), client.to_string().into());
        }
        if let Some(group) = groups.get(id) {
            node.insert("group".to_owned(), (*group).into());
        }
        if let Some(weight) = weights.get(id) {
            node.insert("weight".to_owned(), (*weight).into());
        }
        toml::Value::Table(node)
    });
    let nodes = toml::Value::Array(nodes.collect());
    file.set(&first, "cluster.nodes", nodes);
    beyond
}

/// This server's own line says where it listens.
fn own(file: &mut File, id: i64, my_id: &Entry, servers: &BTreeMap<i64, (Entry, Server)>) {
    let Some((entry, server)) = servers.get(&id) else {
        return file.problem(my_id, format!("this server is {id}, but there is no server.{id}"));
    };
    let all = file.value("quorumListenOnAllIPs").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let listen =
        if all { Address::new("0.0.0.0", server.quorum.port) } else { server.quorum.clone() };
    file.set(entry, "node.listen", listen.to_string());
    file.set(entry, "node.advertise", server.quorum.to_string());
    if let Some(peer_type) = file.entry("peerType").cloned() {
        let role = if server.observer { "observer" } else { "participant" };
        match peer_type.value.to_ascii_lowercase().as_str() {
            "observer" | "participant" if peer_type.value.eq_ignore_ascii_case(role) => {}
            "observer" | "participant" => file.warn(
                &peer_type,
                format!("differs from {}, which says {role} and takes effect", entry.written_as),
            ),
            other => file.problem(&peer_type, format!("`{other}` is not observer or participant")),
        }
    }
    let Some(client) = &server.client else {
        return;
    };
    match file.entry("clientPort").cloned() {
        Some(port) if read_port(&port.value).is_ok_and(|p| p != client.port) => file.problem(
            &port,
            format!(
                "is {}, but {} at {} says {}",
                port.value, entry.written_as, entry.origin, client.port
            ),
        ),
        Some(_) => {}
        None => file.set(entry, "zookeeper.listen", client.to_string()),
    }
}

/// `myid` in dataDir. Only an ensemble needs it.
fn my_id(file: &mut File, needed: bool) -> Option<(i64, Entry)> {
    let data_dir = file.entry("dataDir").cloned();
    let Some(data_dir) = data_dir else {
        let origin = file.entries.values().next().map(|entry| entry.origin.clone());
        let origin = origin.unwrap_or(Origin::WholeFile("zoo.cfg".into()));
        let entry = Entry { written_as: "dataDir".to_owned(), value: String::new(), origin };
        file.problem(&entry, "is not set".to_owned());
        return None;
    };
    let path = Path::new(&data_dir.value).join("myid");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            if needed {
                let reason = format!("the file {} cannot be read: {error}", path.display());
                file.problem(&data_dir, reason);
            }
            return None;
        }
    };
    let entry = Entry {
        written_as: "myid".to_owned(),
        value: text.trim().to_owned(),
        origin: Origin::File(path, 1),
    };
    match number(&entry.value, 1, 254) {
        Ok(id) => {
            file.set(&entry, "node.id", id);
            Some((id, entry))
        }
        Err(reason) => {
            file.problem(&entry, reason);
            None
        }
    }
}

fn numbered(file: &mut File, prefix: &str) -> Vec<(i64, Entry)> {
    let entries = file.entries.clone();
    let mut found = Vec::new();
    for (name, entry) in entries {
        if let Some(id) = name.strip_prefix(prefix) {
            let highest = if prefix == "group." { i64::from(i32::MAX) } else { 254 };
            match number(id, 1, highest) {
                Ok(id) => found.push((id, entry)),
                Err(reason) => file.problem(&entry, format!("the number of the key: {reason}")),
            }
        }
    }
    found
}

/// The group of each server.
fn groups(file: &mut File) -> BTreeMap<i64, i64> {
    let mut groups = BTreeMap::new();
    for (group, entry) in numbered(file, "group.") {
        for id in entry.value.split(':') {
            match number(id.trim(), 1, 254) {
                Ok(id) => {
                    if groups.insert(id, group).is_some() {
                        file.problem(&entry, format!("server {id} is in another group already"));
                    }
                }
                Err(reason) => file.problem(&entry, reason),
            }
        }
    }
    groups
}

fn weights(file: &mut File) -> BTreeMap<i64, i64> {
    let mut weights = BTreeMap::new();
    for (id, entry) in numbered(file, "weight.") {
        match number(&entry.value, 0, i64::from(i32::MAX)) {
            Ok(weight) => {
                weights.insert(id, weight);
            }
            Err(reason) => file.problem(&entry, reason),
        }
    }
    weights
}

fn parse(text: &str) -> Result<Server, String> {
    const FORM: &str = "write host:port:port[:participant|:observer][;[host:]port]";
    let (peers, client) = match text.split_once(';') {
        Some((peers, client)) => (peers, Some(client.trim())),
        None => (text, None),
    };
    let mut addresses = peers.split('|');
    let first = addresses.next().unwrap_or_default().trim();
    let (host, rest) = split_host(first).ok_or_else(|| format!("`{first}` has no host: {FORM}"))?;
    let mut rest = rest.split(':').map(str::trim);
    let port = read_port(rest.next().unwrap_or_default())
        .map_err(|reason| format!("the quorum port: {reason}; {FORM}"))?;
    let mut next = rest.next();
    let mut election_port = None;
    // The election port may be missing for a lone server only, but nothing here needs it.
    if let Some(election) = next.filter(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
        let port = read_port(election).map_err(|reason| format!("the election port: {reason}"))?;
        election_port = Some(port);
        next = rest.next();
    }
    let mut further = 0;
    let mut role = next.map(str::to_owned);
    for address in addresses {
        further += 1;
        // The role is written once, after the last address.
        role = address
            .trim()
            .rsplit(':')
            .next()
            .filter(|p| p.starts_with(char::is_alphabetic))
            .map(str::to_owned)
            .or(role);
    }
    let observer = match role.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("participant") => false,
        Some("observer") => true,
        Some(other) => return Err(format!("`{other}` is not participant or observer: {FORM}")),
    };
    if rest.next().is_some() {
        return Err(format!("`{first}` has too many parts: {FORM}"));
    }
    let client = client.map(|text| client_address(text, host)).transpose()?;
    Ok(Server { quorum: Address::new(host, port), election_port, observer, client, further })
}

/// `[host:]port`; without a host it is the server's own.
fn client_address(text: &str, host: &str) -> Result<Address, String> {
    match text.rsplit_once(':') {
        Some(_) => text.parse().map_err(|error| format!("the client's address: {error}")),
        None => {
            let port = read_port(text).map_err(|reason| format!("the client port: {reason}"))?;
            Ok(Address::new(host, port))
        }
    }
}

/// The host and what follows its colon; IPv6 is in brackets.
fn split_host(text: &str) -> Option<(&str, &str)> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return Some((host, rest.strip_prefix(':')?));
    }
    let (host, rest) = text.split_once(':')?;
    is_host(host).then_some((host, rest))
}
