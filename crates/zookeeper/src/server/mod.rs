//! The thin shell: sockets, one task a connection, calls to the tree.

mod answered;
mod clients;
mod connection;
mod counters;
mod four_letter;
mod handshake;
mod outbound;
mod quorum;
mod read;
mod reconfig;
mod stats;
mod write;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyport_tree::replica::Replica;
use tokio::net::TcpListener;

pub(crate) use clients::Client;
pub use stats::{Happened, Stats, TRACE_MASK};

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
    /// Most connections; 0 for any number.
    pub max_connections: usize,
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
    /// `user:base64(sha1(user:password))` of the super user.
    pub super_digest: Option<String>,
    /// Whether clients that allow it are served reads without a quorum.
    pub read_only: bool,
    /// Whether reconfig requests are taken.
    pub reconfig_enabled: bool,
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
            max_frame: crate::codec::DEFAULT_MAX_FRAME,
            four_letter_words: vec!["srvr".to_owned()],
            handshake_timeout: Duration::from_secs(10),
            max_unread: 64 << 20,
            max_queued: 4096,
            enforce_quota: false,
            skip_acl: false,
            super_digest: None,
            read_only: false,
            reconfig_enabled: false,
            shown: Shown::default(),
        }
    }
}

/// What is known of one connection from outside.
#[derive(Clone)]
struct Connected {
    peer: SocketAddr,
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
    watching: std::sync::atomic::AtomicBool,
    draining: tokio::sync::watch::Sender<bool>,
}

impl Server {
    /// On a node's copy of the tree.
    pub fn new(settings: Settings, replica: Replica) -> Self {
        let (draining, _) = tokio::sync::watch::channel(false);
        Self {
            shared: Arc::new(Shared {
                settings,
                replica,
                stats: Arc::new(Stats::default()),
                connections: Mutex::new(HashMap::new()),
                next_connection: AtomicU64::new(1),
                next_local_session: AtomicU64::new(1),
                client_address: Mutex::new(None),
                watching: false.into(),
                draining,
            }),
        }
    }

    /// Listens on the client port.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub async fn listen(&self, address: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("ZooKeeper client port {address}: {error}"))
        })?;
        let local = listener.local_addr()?;
        *self.shared.client_address.lock() = Some(local);
        let server = self.clone();
        tokio::spawn(async move { server.accept(listener).await });
        // Once, however many ports there are.
        if !self.shared.watching.swap(true, Ordering::AcqRel) {
            tokio::spawn(quorum::watch(self.clone()));
        }
        Ok(local)
    }

    async fn accept(self, listener: TcpListener) {
        let mut draining = self.shared.draining.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = draining.wait_for(|draining| *draining) => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "connection was gone at once");
                        continue;
                    }
                    if let Some(reason) = self.refuses(peer.ip()) {
                        self.stats().count(Happened::ConnectionRejected);
                        tracing::warn!(%peer, reason, "connection refused");
                        continue;
                    }
                    let server = self.clone();
                    tokio::spawn(async move { connection::serve(server, stream, peer).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "the client port cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let settings = &self.shared.settings;
        let connections = self.shared.connections.lock();
        if settings.max_connections > 0 && connections.len() >= settings.max_connections {
            return Some("too many connections (maxCnxns)");
        }
        let limit = settings.max_client_connections;
        if limit > 0 {
            let same = connections.values().filter(|c| c.peer.ip() == address).count();
            if same >= limit {
                return Some("too many connections from this address (maxClientCnxns)");
            }
        }
        None
    }

    /// Stops accepting and closes all connections; sessions live on.
    pub fn drain(&self) {
        self.shared.draining.send_replace(true);
        for connected in self.shared.connections.lock().values() {
            connected.outbound.end(outbound::Ending::Interrupted);
        }
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

    fn connections(&self) -> Vec<(u64, Connected)> {
        let connections = self.shared.connections.lock();
        let mut all: Vec<_> = connections.iter().map(|(id, c)| (*id, c.clone())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    fn register(&self, connected: Connected) -> u64 {
        let id = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        self.shared.connections.lock().insert(id, connected);
        self.shared.stats.connected(1);
        id
    }

    fn unregister(&self, id: u64) {
        self.shared.connections.lock().remove(&id);
        self.shared.stats.connected(-1);
    }
}
