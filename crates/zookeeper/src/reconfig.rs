//! ZooKeeper's notation of who is in an ensemble, and what a reconfig request makes of it.
//!
//! `server.N=host:2888:3888[:participant|observer][;[host:]clientPort]`; the first port is where
//! the other nodes connect, the second (ZooKeeper's election port) is kept but not used.

use polyport_base::NodeId;
use polyport_cluster::{Member, Members, Role};

/// What a request is refused with: `BadArguments` and the reason for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

fn malformed<T>(reason: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(reason.into()))
}

fn port(text: &str) -> Result<u16, Malformed> {
    match text.trim().parse() {
        Ok(0) | Err(_) => malformed(format!("`{text}` is not a port")),
        Ok(port) => Ok(port),
    }
}

/// Splits a host (IPv6 in brackets) from what follows its colon.
fn host(text: &str) -> Result<(&str, &str), Malformed> {
    let split = match text.strip_prefix('[') {
        Some(inside) => inside.split_once("]:").map(|(host, rest)| (&text[..host.len() + 2], rest)),
        None => text.split_once(':'),
    };
    match split {
        Some((host, rest)) if !host.is_empty() => Ok((host, rest)),
        _ => malformed(format!("`{text}` is not host:port:port")),
    }
}

/// Whether nodes may have these numbers; the notation alone allows any.
///
/// # Errors
/// If a number is beyond 254.
pub fn check_numbers(members: &Members) -> Result<(), Malformed> {
    match members.keys().find(|id| !id.is_valid()) {
        Some(id) => malformed(format!("`{id}` is not a server's number, 1 to 254")),
        None => Ok(()),
    }
}

/// Reads what follows `server.N=`.
///
/// # Errors
/// If it is not in the notation.
pub fn member(text: &str) -> Result<Member, Malformed> {
    let (peers, client) = match text.split_once(';') {
        Some((peers, client)) => (peers.trim(), Some(client.trim())),
        None => (text.trim(), None),
    };
    // Several addresses of one server: the first one is used.
    let first = peers.split('|').next().unwrap_or_default();
    let (name, rest) = host(first)?;
    let parts: Vec<&str> = rest.split(':').map(str::trim).collect();
    let (ports, role) = match parts[..] {
        [quorum, election] => ((quorum, election), None),
        [quorum, election, role] => ((quorum, election), Some(role)),
        _ => return malformed(format!("`{first}` is not host:port:port[:role]")),
    };
    let (quorum, election) = (port(ports.0)?, port(ports.1)?);
    let role = match role.map(str::to_ascii_lowercase).as_deref() {
        None | Some("participant") => Role::Voter,
        Some("observer") => Role::Observer,
        Some(other) => return malformed(format!("`{other}` is neither participant nor observer")),
    };
    let client = match client {
        None | Some("") => String::new(),
        Some(text) if text.contains(':') => {
            let (host, rest) = host(text)?;
            format!("{host}:{}", port(rest)?)
        }
        Some(text) => format!("{name}:{}", port(text)?),
    };
    Ok(Member {
        address: format!("{name}:{quorum}"),
        quorum: format!("{name}:{quorum}:{election}"),
        client,
        role,
    })
}

/// Reads `server.N=…`.
fn server(line: &str) -> Result<(NodeId, Member), Malformed> {
    let Some((key, value)) = line.split_once('=') else {
        return malformed(format!("`{line}` is not server.N=…"));
    };
    let Some(id) = key.trim().strip_prefix("server.") else {
        return malformed(format!("`{key}` is not server.N"));
    };
    match id.parse() {
        // Whether a node may have it is asked later: ZooKeeper's notation allows any.
        Ok(id @ 1..) => Ok((NodeId(id), member(value.trim())?)),
        _ => malformed(format!("`{id}` is not a server's number")),
    }
}

/// Puts a server into the list. Two servers may share no address.
fn put(members: &mut Members, (id, member): (NodeId, Member)) -> Result<(), Malformed> {
    let clash = members.iter().find(|(other, known)| {
        **other != id
            && (known.address == member.address
                || (!member.client.is_empty() && known.client == member.client))
    });
    if let Some((other, _)) = clash {
        return malformed(format!("servers {other} and {id} share an address"));
    }
    members.insert(id, member);
    Ok(())
}

fn items(text: Option<&str>) -> impl Iterator<Item = &str> {
    let separated = text.unwrap_or_default().split([',', '\n']);
    separated.map(str::trim).filter(|item| !item.is_empty())
}

/// The members that a request asks for: `new_members` alone, or the current ones without those
/// leaving and with those joining.
///
/// # Errors
/// If the request is not in the notation, or would leave no voter.
pub fn members(
    current: &Members,
    joining: Option<&str>,
    leaving: Option<&str>,
    new_members: Option<&str>,
) -> Result<Members, Malformed> {
    let mut members = Members::new();
    match new_members {
        Some(_) if joining.is_some() || leaving.is_some() => {
            return malformed("new members exclude joining and leaving ones");
        }
        Some(_) => {
            for line in items(new_members).filter(|line| !line.starts_with("version=")) {
                put(&mut members, server(line)?)?;
            }
        }
        None => {
            members.clone_from(current);
            for id in items(leaving) {
                match id.parse() {
                    Ok(id) => members.remove(&NodeId(id)),
                    Err(_) => return malformed(format!("`{id}` is not a server's number")),
                };
            }
            for line in items(joining) {
                put(&mut members, server(line)?)?;
            }
        }
    }
    if !members.values().any(|member| member.role == Role::Voter) {
        return malformed("the new configuration must include at least one participant");
    }
    Ok(members)
}

/// The version in the text of `/zookeeper/config`.
pub fn version(config: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(config).ok()?;
    let hex = text.lines().find_map(|line| line.strip_prefix("version="))?;
    i64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Members {
        (1..=3)
            .map(|id| {
                (NodeId(id), member(&format!("h{id}:2888:3888:participant;h{id}:2181")).unwrap())
            })
            .collect()
    }

    #[test]
    fn servers_are_read_in_all_their_forms() {
        let full = member("10.0.0.1:2888:3888:observer;0.0.0.0:2181").unwrap();
        assert_eq!(full.address, "10.0.0.1:2888");
        assert_eq!(full.quorum, "10.0.0.1:2888:3888");
        assert_eq!((full.client.as_str(), full.role), ("0.0.0.0:2181", Role::Observer));
        let short = member("zoo1:2888:3888;2181").unwrap();
        assert_eq!((short.client.as_str(), short.role), ("zoo1:2181", Role::Voter));
        assert_eq!(member("[::1]:1:2;[::1]:3").unwrap().client, "[::1]:3");
        assert_eq!(member("[::1]:1:2").unwrap().address, "[::1]:1");
        for bad in
            ["", "h", "h:1", "h:1:x", "h:1:2:king", "h:0:2", "h:1:2;x", ":1:2", "h:1:2:observer:3"]
        {
            assert!(member(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn incremental_changes_leave_before_they_join() {
        let joining = "server.3=new:1:2;5,server.4=h4:1:2:observer;5";
        let after = members(&three(), Some(joining), Some("1,2"), None).unwrap();
        assert_eq!(after.keys().map(|id| id.0).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(after[&NodeId(3)].address, "new:1");
        assert_eq!(after[&NodeId(4)].role, Role::Observer);
    }

    #[test]
    fn a_whole_configuration_replaces_the_old() {
        let text = "server.7=a:1:2:participant;a:3\nserver.8=b:1:2:observer;b:3\nversion=5";
        let after = members(&three(), None, None, Some(text)).unwrap();
        assert_eq!(after.keys().map(|id| id.0).collect::<Vec<_>>(), [7, 8]);
        assert!(members(&three(), Some("server.1=a:1:2;3"), None, Some(text)).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(members(&three(), None, Some("1,2,3"), None).is_err());
        assert!(members(&three(), None, Some("x"), None).is_err());
        let beyond = members(&three(), Some("server.300=a:1:2;3"), None, None).unwrap();
        assert!(check_numbers(&beyond).is_err());
        assert_eq!(check_numbers(&three()), Ok(()));
        assert!(members(&three(), Some("server.4=h1:2888:1;9"), None, None).is_err());
        assert!(members(&three(), Some("server.4=h4:2888:1;h1:2181"), None, None).is_err());
        // Not there: nothing to do, as in ZooKeeper.
        assert_eq!(members(&three(), None, Some("9"), None).unwrap(), three());
    }

    #[test]
    fn the_version_is_hexadecimal() {
        assert_eq!(version(b"server.1=a\nversion=1f"), Some(31));
        assert_eq!(version(b""), None);
    }
}
