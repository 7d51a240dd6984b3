//! The thin shell: sockets, one task a connection, calls to the tree.

mod accept;
mod answered;
mod authenticate;
mod clients;
mod connect_throttle;
mod connection;
mod counters;
mod drain;
mod eager;
mod four_letter;
mod handshake;
mod load;
mod outbound;
mod quorum;
mod read;
mod reconfig;
mod stats;
mod write;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyport_net::admission::Admission;
use polyport_net::tls;
use polyport_tree::replica::Replica;

pub use authenticate::Authentication;
pub(crate) use authenticate::{Claim, identify};
pub(crate) use clients::Client;
pub use connect_throttle::ConnectThrottle;
#[doc(hidden)]
pub use four_letter::word;
pub use load::Limits;
pub use stats::{Happened, Stats, TRACE_MASK};

use crate::audit::Audit;
use connect_throttle::Throttle;
use load::Load;
use outbound::Outbound;

/// How clients are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// ZooKeeper's basic unit of time.
    pub tick: Duration,
    /// Shortest session timeout granted.
    pub min_session_timeout: Duration,
    /// Longest session timeout granted.
    pub max_session_timeout: Duration,
    /// Most connections from one address; 0 for any number.
    pub max_client_connections: usize,
    /// Most connections, for each port; 0 for any number.
    pub max_connections: usize,
    /// Connections of all ports of the process together, whatever each may take: what it has
    /// descriptors for.
    pub descriptors: Arc<Admission>,
    /// `jute.maxbuffer`: longest request, in bytes.
    pub max_frame: usize,
    /// Four-letter words that are answered; `*` for all.
    pub four_letter_words: Vec<String>,
    /// How long a connection may take for its handshake.
    pub handshake_timeout: Duration,
    /// Most bytes that a client may leave unread.
    pub max_unread: usize,
    /// Most requests of one connection that wait for their answer; it is not read from beyond.
    pub max_queued: usize,
    /// Whether hard quotas are enforced.
    pub enforce_quota: bool,
    /// Whether access control is switched off.
    pub skip_acl: bool,
    /// Whether writes that this node sees are not permitted are refused here, before they are sent
    /// to the leader.
    pub eager_acl_check: bool,
    /// Whether clients that allow it are served reads without a quorum.
    pub read_only: bool,
    /// Whether this node serves clients while it leads others.
    pub leader_serves: bool,
    /// Whether reconfig requests are taken.
    pub reconfig_enabled: bool,
    /// Whether a lone voter is a standalone server, which reconfig requests may not make.
    pub standalone_enabled: bool,
    /// Whether znodes may have a time to live.
    pub ttl: bool,
    /// Who clients may be.
    pub authentication: Authentication,
    /// How much may be under way.
    pub limits: Limits,
    /// How fast new connections may come.
    pub connect_throttle: ConnectThrottle,
    /// For the secure port, and for the plain one with `port_unification`.
    pub tls: Option<tls::Acceptor>,
    /// Whether the plain port takes TLS too.
    pub port_unification: bool,
    /// Most TLS handshakes in progress at once on a port; any number by default.
    pub max_tls_handshakes: Option<usize>,
    /// Connections that the system queues; 0 for a default.
    pub listen_backlog: u32,
    /// Whether the system probes silent clients.
    pub tcp_keep_alive: bool,
    /// How long requests in progress may take when the server stops.
    pub shutdown_timeout: Duration,
    /// Where changes are written down, if anywhere.
    pub audit: Option<Audit>,
    /// What `conf` shows besides.
    pub shown: Shown,
}

/// Configuration that is only shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Data directory.
    pub data_dir: String,
    /// Transaction log directory.
    pub log_dir: String,
    /// Ticks that a node may take to catch up.
    pub initial_limit_ticks: u32,
    /// Ticks that a node may lag behind.
    pub sync_limit_ticks: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let tick = Duration::from_secs(2);
        Self {
            tick,
            min_session_timeout: tick * 2,
            max_session_timeout: tick * 20,
            max_client_connections: 60,
            max_connections: 0,
            descriptors: Admission::new(0, 0),
            max_frame: crate::codec::DEFAULT_MAX_FRAME,
            four_letter_words: vec!["srvr".to_owned()],
            handshake_timeout: Duration::from_secs(10),
            max_unread: 64 << 20,
            max_queued: 4096,
            enforce_quota: false,
            skip_acl: false,
            eager_acl_check: false,
            read_only: false,
            leader_serves: true,
            reconfig_enabled: false,
            standalone_enabled: true,
            ttl: true,
            authentication: Authentication::default(),
            limits: Limits::default(),
            connect_throttle: ConnectThrottle::default(),
            tls: None,
            port_unification: false,
            max_tls_handshakes: None,
            listen_backlog: 0,
            tcp_keep_alive: false,
            shutdown_timeout: Duration::from_secs(10),
            audit: None,
            shown: Shown::default(),
        }
    }
}

/// What is known of one connection from outside.
#[derive(Clone)]
struct Connected {
    peer: SocketAddr,
    /// Whether it came by the secure port.
    secure: bool,
    outbound: Arc<Outbound>,
}

/// A server of ZooKeeper's clients. Clones are handles on the same.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    replica: Replica,
    stats: Arc<Stats>,
    connections: Mutex<HashMap<u64, Connected>>,
    next_connection: AtomicU64,
    next_local_session: AtomicU64,
    client_address: Mutex<Option<SocketAddr>>,
    secure_address: Mutex<Option<SocketAddr>>,
    watching: std::sync::atomic::AtomicBool,
    draining: tokio::sync::watch::Sender<bool>,
    /// Told whenever a connection has gone.
    gone: tokio::sync::Notify,
    load: Arc<Load>,
    connect_throttle: Throttle,
}

impl Server {
    /// On a node's copy of the tree.
    pub fn new(settings: Settings, replica: Replica) -> Self {
        if let Some(audit) = settings.audit.clone() {
            replica.on_ephemeral_deleted(move |session, path| {
                audit.ephemeral_deleted(session, path);
            });
        }
        let (draining, _) = tokio::sync::watch::channel(false);
        let load = Arc::new(Load::new(settings.limits.clone()));
        let connect_throttle = Throttle::new(settings.connect_throttle, Instant::now());
        Self {
            shared: Arc::new(Shared {
                settings,
                replica,
                stats: Arc::new(Stats::default()),
                connections: Mutex::new(HashMap::new()),
                next_connection: AtomicU64::new(1),
                next_local_session: AtomicU64::new(1),
                client_address: Mutex::new(None),
                secure_address: Mutex::new(None),
                watching: false.into(),
                draining,
                gone: tokio::sync::Notify::new(),
                load,
                connect_throttle,
            }),
        }
    }

    /// Listens on the client port.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn listen(&self, address: &str) -> io::Result<SocketAddr> {
        let encryption = match (&self.shared.settings.tls, self.shared.settings.port_unification) {
            (Some(tls), true) => accept::Encryption::Detected(tls.clone()),
            _ => accept::Encryption::Never,
        };
        let local = self.open("ZooKeeper client port", address, encryption).await?;
        *self.shared.client_address.lock() = Some(local);
        Ok(local)
    }

    /// Listens on the secure client port.
    ///
    /// # Errors
    /// If the address is taken or not ours, or the settings have no certificates.
    pub async fn listen_secure(&self, address: &str) -> io::Result<SocketAddr> {
        const PORT: &str = "ZooKeeper secure client port";
        let Some(tls) = &self.shared.settings.tls else {
            let error = format!("{PORT} {address}: there are no certificates");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        };
        let local = self.open(PORT, address, accept::Encryption::Always(tls.clone())).await?;
        *self.shared.secure_address.lock() = Some(local);
        Ok(local)
    }

    /// Counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The tree it serves.
    pub fn replica(&self) -> &Replica {
        &self.shared.replica
    }

    /// Probability that a new connection is refused although there are tokens.
    pub(crate) fn connection_drop_probability(&self) -> f64 {
        self.shared.connect_throttle.drop_probability()
    }

    fn connections(&self) -> Vec<(u64, Connected)> {
        let connections = self.shared.connections.lock();
        let mut all: Vec<_> = connections.iter().map(|(id, c)| (*id, c.clone())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    fn register(&self, connected: Connected) -> u64 {
        let id = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let outbound = connected.outbound.clone();
        self.shared.connections.lock().insert(id, connected);
        self.shared.stats.connected(1);
        if *self.shared.draining.borrow() {
            outbound.drain();
        }
        id
    }

    fn unregister(&self, id: u64) {
        self.shared.connections.lock().remove(&id);
        self.shared.stats.connected(-1);
        self.shared.gone.notify_waiters();
    }
}
