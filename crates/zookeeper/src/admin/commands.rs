//! The commands, by ZooKeeper's names and aliases.

use std::net::SocketAddr;

use polyport_cluster::node::Standing;
use polyport_cluster::{Role, Status};
use polyport_telemetry::http::{Request, StatusCode};

use super::json::{Fields, Json};
use crate::observe::{
    self, Monitored, Watched, directory_bytes, environment, ephemerals, in_ticks, monitored,
};
use crate::server::{Client, Happened, Server};

#[derive(Clone, Copy)]
pub(super) struct Command {
    /// Its name, then its aliases.
    pub(super) names: &'static [&'static str],
    /// Whether it is posted; others are got.
    pub(super) posted: bool,
    /// Whether it is refused while clients are not served.
    pub(super) needs_server: bool,
    pub(super) needs_auth: bool,
    pub(super) answer: fn(&Asking<'_>) -> Answer,
}

pub(super) struct Asking<'a> {
    pub(super) server: &'a Server,
    pub(super) status: &'a Status,
    pub(super) request: &'a Request,
    pub(super) initial_configuration: &'a str,
}

pub(super) enum Answer {
    Fields(Fields),
    Error(StatusCode, String),
    /// Takes a while.
    Transfer(Transfer),
}

/// What hands out or takes in whole trees.
#[derive(Clone, Copy)]
pub(super) enum Transfer {
    Snapshot,
    Restore,
}

impl From<Fields> for Answer {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

const fn needs(names: &'static [&'static str], answer: fn(&Asking<'_>) -> Answer) -> Command {
    Command { names, posted: false, needs_server: true, needs_auth: false, answer }
}

const fn always(names: &'static [&'static str], answer: fn(&Asking<'_>) -> Answer) -> Command {
    Command { needs_server: false, ..needs(names, answer) }
}

/// All of them, in the order of their names.
pub(super) const ALL: &[Command] = &[
    needs(&["configuration", "conf", "config"], configuration),
    needs(&["connection_stat_reset", "crst"], connection_stat_reset),
    needs(&["connections", "cons"], connections),
    needs(&["dirs"], dirs),
    needs(&["dump"], dump),
    always(&["environment", "env", "envi"], environment),
    always(&["get_trace_mask", "gtmk"], get_trace_mask),
    needs(&["hash"], |_| Fields::default().with("digests", Json::List(Vec::new())).into()),
    needs(&["initial_configuration", "icfg"], |asking| {
        Fields::default().with("initial_configuration", asking.initial_configuration).into()
    }),
    needs(&["is_read_only", "isro"], |asking| {
        let read_only = observe::is_read_only(asking.server, asking.status);
        Fields::default().with("read_only", read_only).into()
    }),
    needs(&["last_snapshot", "lsnp"], last_snapshot),
    needs(&["leader", "lead"], leader),
    needs(&["monitor", "mntr"], monitor),
    needs(&["observer_connection_stat_reset", "orst"], |_| Fields::default().into()),
    needs(&["observers", "obsr"], observers),
    Command {
        posted: true,
        needs_auth: true,
        ..needs(&["restore", "rest"], |_| Answer::Transfer(Transfer::Restore))
    },
    needs(&["ruok"], |_| Fields::default().into()),
    needs(&["server_stats", "srvr"], |asking| server_stats(asking).into()),
    always(&["set_trace_mask", "stmk"], set_trace_mask),
    Command {
        needs_auth: true,
        ..needs(&["snapshot", "snap"], |_| Answer::Transfer(Transfer::Snapshot))
    },
    needs(&["stat_reset", "srst"], stat_reset),
    needs(&["stats", "stat"], stats),
    always(&["system_properties", "sysp"], system_properties),
    needs(&["voting_view"], voting_view),
    needs(&["watch_summary", "wchs"], watch_summary),
    needs(&["watches", "wchc"], watches),
    needs(&["watches_by_path", "wchp"], watches_by_path),
    needs(&["zabstate"], zabstate),
];

fn configuration(asking: &Asking<'_>) -> Answer {
    let settings = asking.server.settings();
    let own = observe::Configured::of(asking.server, asking.status);
    Fields::default()
        .with("client_port", own.client_port)
        .with("data_dir", settings.shown.data_dir.as_str())
        .with("data_log_dir", settings.shown.log_dir.as_str())
        .with("tick_time", settings.tick.as_millis() as u64)
        .with("max_client_cnxns", settings.max_client_connections)
        .with("min_session_timeout", settings.min_session_timeout.as_millis() as u64)
        .with("max_session_timeout", settings.max_session_timeout.as_millis() as u64)
        .with("server_id", own.server_id)
        .with("client_port_listen_backlog", own.listen_backlog)
        .into()
}

fn connection_stat_reset(asking: &Asking<'_>) -> Answer {
    asking.server.reset_clients();
    Fields::default().into()
}

/// What `stats` tells of a connection, and with which `connections` begins.
fn brief(client: &Client) -> Fields {
    Fields::default()
        .with("remote_socket_address", client.peer.to_string())
        .with("interest_ops", i64::from(client.session != 0))
        .with("outstanding_requests", client.queued)
        .with("packets_received", client.told.received)
        .with("packets_sent", client.told.sent)
}

fn connections(asking: &Asking<'_>) -> Answer {
    let one = |client: &Client| {
        let (told, brief) = (&client.told, brief(client));
        if client.session == 0 {
            return brief;
        }
        let (min, average, max) = told.latency_ms;
        brief
            .with("session_id", client.session)
            .with("last_operation", told.last_operation)
            .with("established", told.established_ms)
            .with("session_timeout", told.timeout_ms)
            .with("last_cxid", told.last_cxid)
            .with("last_zxid", told.last_zxid)
            .with("last_response_time", told.last_response_ms)
            .with("last_latency", told.last_latency_ms)
            .with("min_latency", min)
            .with("avg_latency", average as u64)
            .with("max_latency", max)
    };
    let of = |secure| asking.server.clients_of(secure).iter().map(one).collect::<Json>();
    Fields::default().with("connections", of(false)).with("secure_connections", of(true)).into()
}

fn dirs(asking: &Asking<'_>) -> Answer {
    let shown = &asking.server.settings().shown;
    Fields::default()
        .with("datadir_size", directory_bytes(&shown.data_dir))
        .with("logdir_size", directory_bytes(&shown.log_dir))
        .into()
}

fn dump(asking: &Asking<'_>) -> Answer {
    let mut sets = Fields::default();
    let uptime_ms = asking.server.stats().uptime_ms();
    let expiring = asking.server.replica().expiring();
    for (left, mut sessions) in in_ticks(expiring, asking.server.settings().tick) {
        sessions.sort_unstable();
        let at = uptime_ms + left.as_millis() as u64;
        sets = sets.with(at.to_string(), sessions.into_iter().collect::<Json>());
    }
    let mut paths = Fields::default();
    for (session, of) in ephemerals(asking.server) {
        paths = paths.with(session.to_string(), of.into_iter().collect::<Json>());
    }
    Fields::default()
        .with("expiry_time_to_session_ids", sets)
        .with("session_id_to_ephemeral_paths", paths)
        .into()
}

fn environment(_: &Asking<'_>) -> Answer {
    let add = |fields: Fields, (key, value): (&str, String)| fields.with(key, value);
    environment::environment().into_iter().fold(Fields::default(), add).into()
}

fn get_trace_mask(asking: &Asking<'_>) -> Answer {
    Fields::default().with("tracemask", asking.server.stats().trace_mask()).into()
}

fn set_trace_mask(asking: &Asking<'_>) -> Answer {
    let Some(mask) = asking.request.query("traceMask") else {
        let error = "setTraceMask requires long traceMask argument";
        return Answer::Error(StatusCode::OK, error.to_owned());
    };
    let Ok(mask) = mask.parse::<i64>() else {
        let error = format!("setTraceMask requires long traceMask argument, got {mask}");
        return Answer::Error(StatusCode::OK, error);
    };
    asking.server.stats().set_trace_mask(mask);
    Fields::default().with("tracemask", mask).into()
}

fn last_snapshot(asking: &Asking<'_>) -> Answer {
    let replica = asking.server.replica();
    let when = replica.cluster().observed().newest_snapshot().map_or(0, |(_, when)| when);
    let zxid = replica.observed().snapshot_zxid().unwrap_or(0);
    Fields::default().with("zxid", format!("{zxid:x}")).with("timestamp", when).into()
}

fn leader(asking: &Asking<'_>) -> Answer {
    let status = asking.status;
    if status.is_alone() {
        return Answer::Error(StatusCode::OK, "server is not initialized".to_owned());
    }
    let leader = status.leader.unwrap_or_default();
    let address = status.members.get(&leader).map_or("", |member| member.address.as_str());
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Fields::default()
        .with("is_leader", status.standing == Standing::Leading)
        .with("leader_id", leader.0)
        .with("leader_ip", host)
        .into()
}

fn monitor(asking: &Asking<'_>) -> Answer {
    let add = |fields: Fields, (name, value): (String, Monitored)| {
        let value = match value {
            Monitored::Text(text) => Json::Text(text),
            Monitored::Whole(value) => Json::Whole(value),
            Monitored::Decimal(value) => Json::Decimal((value * 10_000.0).round() / 10_000.0),
        };
        fields.with(name, value)
    };
    monitored(asking.server, asking.status).into_iter().fold(Fields::default(), add).into()
}

fn observers(asking: &Asking<'_>) -> Answer {
    let members = &asking.status.members;
    let peers = asking.server.replica().cluster().peers();
    let member = |peer: &polyport_cluster::Peer| members.get(&peer.node);
    let observes = |peer: &&polyport_cluster::Peer| {
        member(peer).is_some_and(|member| member.role == Role::Observer)
    };
    let one = |peer: &polyport_cluster::Peer| {
        Fields::default()
            .with("remote_socket_address", member(peer).map_or("", |m| m.address.as_str()))
            .with("sid", peer.node.0)
    };
    let observers: Vec<_> = peers.iter().filter(observes).collect();
    Fields::default()
        .with("synced_observers", observers.iter().filter(|peer| peer.synced).count())
        .with("observers", observers.into_iter().map(one).collect::<Json>())
        .into()
}

fn response_stats(server: &Server) -> Fields {
    let (last, min, max) = server.stats().response_bytes();
    Fields::default()
        .with("last_buffer_size", last)
        .with("min_buffer_size", min)
        .with("max_buffer_size", max)
}

fn server_stats(asking: &Asking<'_>) -> Fields {
    let (server, status) = (asking.server, asking.status);
    let stats = server.stats();
    let (received, sent) = stats.packets();
    let (min, average, max) = stats.latency_ms();
    let shown = &server.settings().shown;
    let numbers = Fields::default()
        .with("packets_sent", sent)
        .with("packets_received", received)
        .with("client_response_stats", response_stats(server))
        .with("uptime", stats.uptime_ms())
        .with("data_dir_size", directory_bytes(&shown.data_dir))
        .with("log_dir_size", directory_bytes(&shown.log_dir))
        .with("provider_null", false)
        .with("last_processed_zxid", server.replica().last_zxid())
        .with("outstanding_requests", server.replica().outstanding())
        .with("server_state", observe::mode(server, status))
        .with("avg_latency", Json::Decimal((average * 10_000.0).round() / 10_000.0))
        .with("max_latency", max)
        .with("min_latency", min)
        .with("num_alive_client_connections", stats.connections())
        .with("auth_failed_count", stats.counted(Happened::AuthFailed))
        .with("non_mtlsremote_conn_count", stats.counted(Happened::PlainRemote))
        .with("non_mtlslocal_conn_count", stats.counted(Happened::PlainLocal));
    let mut fields = Fields::default()
        .with("version", environment::version())
        .with("read_only", observe::is_read_only(server, status))
        .with("server_stats", numbers)
        .with("client_response", response_stats(server));
    if status.standing == Standing::Leading && !status.is_alone() {
        let (last, min, max) = server.replica().observed().entry_bytes().unwrap_or_default();
        let sizes = Fields::default()
            .with("last_buffer_size", last)
            .with("min_buffer_size", min)
            .with("max_buffer_size", max);
        fields = fields.with("proposal_stats", sizes);
    }
    fields.with("node_count", observe::node_count(&server.replica().read()))
}

fn stats(asking: &Asking<'_>) -> Answer {
    let of = |secure| asking.server.clients_of(secure).iter().map(brief).collect::<Json>();
    server_stats(asking).with("connections", of(false)).with("secure_connections", of(true)).into()
}

fn stat_reset(asking: &Asking<'_>) -> Answer {
    asking.server.stats().reset();
    asking.server.replica().observed().reset_entry_bytes();
    Fields::default().into()
}

/// Java's properties that say the same here; the virtual machine's own are absent.
fn system_properties(_: &Asking<'_>) -> Answer {
    let environment = environment::environment();
    let known = environment.into_iter().filter(|(key, _)| {
        ["os.name", "os.arch", "os.version", "user.name", "user.home", "user.dir"].contains(key)
    });
    let fields = Fields::default().with("file.encoding", "UTF-8").with("file.separator", "/");
    known.fold(fields, |fields, (key, value)| fields.with(key, value)).into()
}

fn voting_view(asking: &Asking<'_>) -> Answer {
    let mut view = Fields::default();
    if !asking.status.is_alone() {
        for node in asking.status.voters() {
            let Some(member) = asking.status.members.get(&node) else { continue };
            let (quorum, election) = observe::quorum_addresses(member);
            let server = Fields::default()
                .with("server_addresses", [quorum].into_iter().collect::<Json>())
                .with("election_addresses", [election].into_iter().collect::<Json>())
                .with("client_address", member.client.as_str())
                .with("learner_type", "participant");
            view = view.with(node.to_string(), server);
        }
    }
    Fields::default().with("current_config", view).into()
}

fn watch_summary(asking: &Asking<'_>) -> Answer {
    let watched = Watched::of(asking.server);
    Fields::default()
        .with("num_connections", watched.by_session.len())
        .with("num_paths", watched.by_path.len())
        .with("num_total_watches", watched.total())
        .into()
}

fn watches(asking: &Asking<'_>) -> Answer {
    let mut sessions = Fields::default();
    for (session, paths) in Watched::of(asking.server).by_session {
        let paths = paths.iter().map(|path| path.to_string());
        sessions = sessions.with(session.to_string(), paths.collect::<Json>());
    }
    Fields::default().with("session_id_to_watched_paths", sessions).into()
}

fn watches_by_path(asking: &Asking<'_>) -> Answer {
    let mut paths = Fields::default();
    for (path, sessions) in Watched::of(asking.server).by_path {
        paths = paths.with(path.to_string(), sessions.into_iter().collect::<Json>());
    }
    Fields::default().with("path_to_session_ids", paths).into()
}

fn zabstate(asking: &Asking<'_>) -> Answer {
    let status = asking.status;
    let own = status.members.get(&status.node);
    let Some(own) = own.filter(|_| !status.is_alone()) else {
        return Fields::default().with("voting", false).with("zabstate", "").into();
    };
    let zxid = asking.server.replica().last_zxid();
    let (quorum, election) = observe::quorum_addresses(own);
    let phase = if status.in_quorum { "broadcast" } else { "election" };
    Fields::default()
        .with("myid", status.node.0)
        .with("is_leader", status.standing == Standing::Leading)
        .with("quorum_address", address(&quorum))
        .with("election_address", address(&election))
        .with("client_address", own.client.as_str())
        .with("voting", own.role == Role::Voter)
        .with("last_zxid", format!("0x{zxid:x}"))
        .with("zab_epoch", zxid >> 32)
        .with("zab_counter", zxid & 0xffff_ffff)
        .with("zabstate", phase)
        .into()
}

/// One address in the form of ZooKeeper's set of addresses. Whether it is reachable is not tried.
fn address(text: &str) -> Fields {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "0"));
    let port: i64 = port.parse().unwrap_or(0);
    let unspecified = SocketAddr::from(([0, 0, 0, 0], port as u16)).to_string();
    let list = |text: String| [text].into_iter().collect::<Json>();
    Fields::default()
        .with("empty", false)
        .with("all_addresses", list(text.to_owned()))
        .with("wildcard_addresses", list(unspecified))
        .with("all_ports", [port].into_iter().collect::<Json>())
        .with("all_host_strings", list(host.to_owned()))
        .with("one", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_in_order_and_belong_to_one_command() {
        let names: Vec<&str> = ALL.iter().map(|command| command.names[0]).collect();
        assert!(names.is_sorted());
        assert_eq!(names.len(), 28);
        let mut all: Vec<&str> = ALL.iter().flat_map(|command| command.names).copied().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
