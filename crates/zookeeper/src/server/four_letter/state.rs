//! `srvr`, `stat`, `conf`, `dirs` and `envi`.

use std::fmt::Write;

use polyport_cluster::node::Standing;
use polyport_cluster::{Role, Status};

use super::connections;
use crate::observe::{self, directory_bytes, environment};
use crate::server::{Client, Server};

/// The only one that ZooKeeper still has.
const ELECTION_ALGORITHM: u8 = 3;

/// `srvr`, and `stat` with the clients.
pub(super) fn srvr(server: &Server, status: &Status, clients: Option<&[Client]>) -> String {
    let stats = server.stats();
    let mut out = format!("Zookeeper version: {}\n", environment::version());
    if let Some(clients) = clients {
        let _ = writeln!(out, "Clients:\n{}", connections::stat(clients));
    }
    let (min, average, max) = stats.latency_ms();
    let (received, sent) = stats.packets();
    let _ = writeln!(
        out,
        "Latency min/avg/max: {min}/{}/{max}\nReceived: {received}\nSent: {sent}\n\
         Connections: {}\nOutstanding: {}\nZxid: 0x{:x}\nMode: {}\nNode count: {}",
        observe::rounded(average),
        stats.connections(),
        server.replica().outstanding(),
        server.replica().last_zxid(),
        observe::mode(server, status),
        observe::node_count(&server.replica().read()),
    );
    if status.standing == Standing::Leading && !status.is_alone() {
        let bytes = server.replica().observed().entry_bytes();
        let [last, min, max] =
            bytes.map_or([-1; 3], |(last, min, max)| [last as i64, min as i64, max as i64]);
        let _ = writeln!(out, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
    out
}

/// `conf`.
pub(super) fn conf(server: &Server, status: &Status) -> String {
    let settings = server.settings();
    let shown = &settings.shown;
    let own = observe::Configured::of(server, status);
    let mut out = format!(
        "clientPort={}\nsecureClientPort={}\ndataDir={}\ndataDirSize={}\ndataLogDir={}\n\
         dataLogSize={}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\n\
         maxSessionTimeout={}\nclientPortListenBacklog={}\nserverId={}\n",
        own.client_port,
        own.secure_client_port,
        shown.data_dir,
        directory_bytes(&shown.data_dir),
        shown.log_dir,
        directory_bytes(&shown.log_dir),
        settings.tick.as_millis(),
        settings.max_client_connections,
        settings.min_session_timeout.as_millis(),
        settings.max_session_timeout.as_millis(),
        own.listen_backlog,
        own.server_id,
    );
    if !status.is_alone() {
        let own = status.members.get(&status.node);
        let observes = own.is_some_and(|member| member.role == Role::Observer);
        let (quorum, election) = own.map_or_else(Default::default, observe::quorum_addresses);
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        let _ = write!(
            out,
            "initLimit={}\nsyncLimit={}\nelectionAlg={ELECTION_ALGORITHM}\nelectionPort={}\n\
             quorumPort={}\npeerType={}\nmembership: \n",
            shown.initial_limit_ticks,
            shown.sync_limit_ticks,
            port(&election),
            port(&quorum),
            u8::from(observes)
        );
        let machine = server.replica().read();
        let store = machine.store();
        let config = store.lookup("/zookeeper/config").and_then(|at| store.data(at));
        out.push_str(&String::from_utf8_lossy(config.unwrap_or_default()));
    }
    out
}

/// `dirs`.
pub(super) fn dirs(server: &Server) -> String {
    let shown = &server.settings().shown;
    format!(
        "datadir_size: {}\nlogdir_size: {}\n",
        directory_bytes(&shown.data_dir),
        directory_bytes(&shown.log_dir)
    )
}

/// `envi`.
pub(super) fn envi() -> String {
    let mut out = "Environment:\n".to_owned();
    for (key, value) in environment::environment() {
        let _ = writeln!(out, "{key}={value}");
    }
    out
}
