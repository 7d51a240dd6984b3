//! What a node tells of itself, gathered once for the four-letter words, the admin server and the
//! metrics page, which only differ in how they write it down.

pub(crate) mod date;
pub(crate) mod environment;
pub mod metrics;
mod monitor;
mod quotas;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polyport_cluster::node::Standing;
use polyport_cluster::{Member, Status};
use polyport_tree::session::SessionId;

use crate::server::Server;

pub(crate) use monitor::{Monitored, monitored};

/// What every question is answered with while clients are not served.
pub(crate) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// ZooKeeper's word for the part a node plays.
pub(crate) fn mode(server: &Server, status: &Status) -> &'static str {
    match status.standing {
        _ if is_read_only(server, status) => "read-only",
        _ if status.is_alone() => "standalone",
        Standing::Leading => "leader",
        Standing::Following => "follower",
        Standing::Observing => "observer",
        Standing::Looking => "looking",
    }
}

/// Whether clients are served, if only reads.
pub(crate) fn is_serving(server: &Server, status: &Status) -> bool {
    status.in_quorum || is_read_only(server, status)
}

/// Whether reads are all that is served.
pub(crate) fn is_read_only(server: &Server, status: &Status) -> bool {
    !status.in_quorum && server.settings().read_only
}

/// The status at this moment.
pub(crate) fn status(server: &Server) -> Status {
    server.replica().status().borrow().clone()
}

/// Host and port of both of ZooKeeper's ports between servers, as they are configured or, where one
/// port does both, that one.
pub(crate) fn quorum_addresses(member: &Member) -> (String, String) {
    let mut parts = member.quorum.rsplitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(election), Some(quorum), Some(host)) => {
            (format!("{host}:{quorum}"), format!("{host}:{election}"))
        }
        _ => (member.address.clone(), member.address.clone()),
    }
}

/// What `conf` tells that is not told as it was set; -1 for a port that is not open and for the
/// system's backlog, as in ZooKeeper.
pub(crate) struct Configured {
    pub(crate) client_port: i64,
    pub(crate) secure_client_port: i64,
    pub(crate) listen_backlog: i64,
    /// 0 of a node alone: a standalone ZooKeeper does not read its number.
    pub(crate) server_id: u64,
}

impl Configured {
    pub(crate) fn of(server: &Server, status: &Status) -> Self {
        let port = |address: Option<std::net::SocketAddr>| {
            address.map_or(-1, |address| i64::from(address.port()))
        };
        let backlog = server.settings().listen_backlog;
        Self {
            client_port: port(server.client_address()),
            secure_client_port: port(server.secure_address()),
            listen_backlog: if backlog == 0 { -1 } else { backlog.into() },
            server_id: if status.is_alone() { 0 } else { status.node.0 },
        }
    }
}

/// Number of znodes as ZooKeeper counts them: the root twice, because it has two names there.
pub(crate) fn node_count(machine: &polyport_tree::machine::Machine) -> usize {
    machine.store().len() + 1
}

/// A number with at most four decimals, as ZooKeeper prints means.
pub(crate) fn rounded(value: f64) -> String {
    format!("{:?}", (value * 10_000.0).round() / 10_000.0)
}

/// Bytes of all files below a directory; what cannot be read counts nothing.
pub(crate) fn directory_bytes(dir: &str) -> u64 {
    fn below(dir: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(dir) else { return 0 };
        let bytes = |entry: fs::DirEntry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
            _ => 0,
        };
        entries.flatten().map(bytes).sum()
    }
    below(Path::new(dir))
}

/// Data watches, persistent ones among them: what the watch commands speak of.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) by_path: BTreeMap<Arc<str>, BTreeSet<SessionId>>,
    pub(crate) by_session: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
}

impl Watched {
    pub(crate) fn of(server: &Server) -> Self {
        let clients = server.clients();
        let sessions: HashMap<_, _> = clients.iter().map(|c| (c.watcher, c.session)).collect();
        // Nothing is written while they are listed, so they are put in order afterwards.
        let mut all = Vec::new();
        server.replica().view(|view| {
            all.reserve(view.watches.len());
            view.watches.each(|path, watcher| all.push((path.clone(), watcher)));
        });
        let mut watched = Self::default();
        for (path, watcher) in all {
            if let Some(session) = sessions.get(&watcher) {
                watched.by_path.entry(path.clone()).or_default().insert(*session);
                watched.by_session.entry(*session).or_default().insert(path);
            }
        }
        watched
    }

    /// Number of watches.
    pub(crate) fn total(&self) -> usize {
        self.by_path.values().map(BTreeSet::len).sum()
    }
}

/// Paths of each session's ephemerals, of sessions that have any.
pub(crate) fn ephemerals(server: &Server) -> BTreeMap<SessionId, Vec<String>> {
    let machine = server.replica().read();
    let with = machine.sessions().iter().filter(|(_, session)| !session.ephemerals.is_empty());
    with.map(|(id, _)| (*id, machine.ephemerals(*id, ""))).collect()
}

/// Things that end after a while, in sets of those that end in the same tick, keyed by the time
/// from now to the end of it.
pub(crate) fn in_ticks<T>(
    all: impl IntoIterator<Item = (T, Duration)>,
    tick: Duration,
) -> BTreeMap<Duration, Vec<T>> {
    let tick_ms = (tick.as_millis() as u64).max(1);
    let mut sets: BTreeMap<Duration, Vec<T>> = BTreeMap::new();
    for (what, left) in all {
        let end = (left.as_millis() as u64).div_ceil(tick_ms) * tick_ms;
        sets.entry(Duration::from_millis(end)).or_default().push(what);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ports_of_a_member_are_told() {
        let mut member = Member::voter("a:7700");
        assert_eq!(quorum_addresses(&member), ("a:7700".to_owned(), "a:7700".to_owned()));
        member.quorum = "b:2888:3888".to_owned();
        assert_eq!(quorum_addresses(&member), ("b:2888".to_owned(), "b:3888".to_owned()));
    }

    #[test]
    fn means_have_four_decimals_at_most() {
        for (value, text) in [(0.0, "0.0"), (0.557_71, "0.5577"), (15.285_714, "15.2857")] {
            assert_eq!(rounded(value), text);
        }
    }

    #[test]
    fn what_ends_in_the_same_tick_is_in_one_set() {
        let ms = Duration::from_millis;
        let sets = in_ticks([("a", ms(1999)), ("b", ms(2001)), ("c", ms(2000))], ms(2000));
        assert_eq!(sets, BTreeMap::from([(ms(2000), vec!["a", "c"]), (ms(4000), vec!["b"])]));
    }
}
