//! What one server counts: for `srvr`, `stat`, `mntr`, the admin server and the metrics page.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use polyport_telemetry::Summary;

/// Something that is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A client asked for a session, new or its own.
    ConnectionRequest,
    /// A client came back with its session.
    Revalidation,
    /// A connection was refused because of a limit.
    ConnectionRejected,
    /// A connection ended that had a session.
    ConnectionDropped,
    /// A connection had no session in time.
    SessionlessExpired,
    /// A client was sent away because there is no majority.
    NotServing,
    /// A client could not prove who it is.
    AuthFailed,
    /// A snapshot was asked for too soon after another.
    SnapshotRateLimited,
    /// A restore was asked for too soon after another.
    RestoreRateLimited,
    /// A restore failed.
    RestoreFailed,
    /// A request that had waited too long was answered ThrottledOp.
    Throttled,
    /// A request was made to wait because the node had too much to do, or was made to wait on.
    ThrottleWait,
    /// A stale request ended its connection unanswered.
    StaleDropped,
    /// A stale request was done nevertheless.
    Stale,
    /// A large request found no room.
    LargeRejected,
    /// A TLS handshake was not begun because too many were in progress.
    HandshakeExceeded,
    /// A TLS handshake failed.
    HandshakeFailed,
    /// A connection without TLS from this machine.
    PlainLocal,
    /// A connection without TLS from elsewhere.
    PlainRemote,
    /// A client named this ensemble.
    EnsembleNamed,
    /// A client named another ensemble.
    EnsembleMistaken,
    /// A client named no ensemble, or this one has no name.
    EnsembleSkipped,
}

const HAPPENED: usize = Happened::EnsembleSkipped as usize + 1;

/// ZooKeeper's default trace mask: all but data and pings.
pub const TRACE_MASK: i64 = 0o462;

/// Counters of one server.
#[derive(Debug)]
pub struct Stats {
    received: AtomicU64,
    sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    connections: AtomicI64,
    latency: Latency,
    reads: Summary,
    updates: Summary,
    responses: Sizes,
    /// How long restores by the admin server took.
    pub restores: Summary,
    happened: [AtomicU64; HAPPENED],
    handshakes: AtomicI64,
    throttle_queue: Summary,
    token_deficit: Summary,
    watch_bytes: AtomicU64,
    trace_mask: AtomicI64,
    started: Instant,
}

/// Smallest, largest and mean latency, in milliseconds.
#[derive(Debug)]
pub(crate) struct Latency {
    min_ms: AtomicU64,
    max_ms: AtomicU64,
    total_ms: AtomicU64,
    count: AtomicU64,
}

/// Bytes of responses; -1 before the first.
#[derive(Debug)]
struct Sizes {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            min_ms: AtomicU64::new(u64::MAX),
            max_ms: AtomicU64::new(0),
            total_ms: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }
}

impl Latency {
    pub(crate) fn add(&self, ms: u64) {
        self.count.fetch_add(1, Relaxed);
        if ms > 0 {
            self.total_ms.fetch_add(ms, Relaxed);
        }
        if ms < self.min_ms.load(Relaxed) {
            self.min_ms.fetch_min(ms, Relaxed);
        }
        if ms > self.max_ms.load(Relaxed) {
            self.max_ms.fetch_max(ms, Relaxed);
        }
    }

    /// Smallest, mean and largest, in milliseconds; 0 of none.
    pub(crate) fn told_ms(&self) -> (u64, f64, u64) {
        let count = self.count.load(Relaxed);
        let min = self.min_ms.load(Relaxed);
        let total = self.total_ms.load(Relaxed);
        let average = if count == 0 { 0.0 } else { total as f64 / count as f64 };
        (if min == u64::MAX { 0 } else { min }, average, self.max_ms.load(Relaxed))
    }

    pub(crate) fn reset(&self) {
        self.min_ms.store(u64::MAX, Relaxed);
        self.max_ms.store(0, Relaxed);
        self.total_ms.store(0, Relaxed);
        self.count.store(0, Relaxed);
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            latency: Latency::default(),
            reads: Summary::default(),
            updates: Summary::default(),
            responses: Sizes {
                last: AtomicI64::new(-1),
                min: AtomicI64::new(i64::MAX),
                max: AtomicI64::new(-1),
            },
            restores: Summary::default(),
            happened: Default::default(),
            handshakes: AtomicI64::new(0),
            throttle_queue: Summary::default(),
            token_deficit: Summary::default(),
            watch_bytes: AtomicU64::new(0),
            trace_mask: AtomicI64::new(TRACE_MASK),
            started: Instant::now(),
        }
    }
}

impl Stats {
    /// Packets came in.
    pub fn received(&self, packets: u64) {
        self.received.fetch_add(packets, Relaxed);
    }

    /// Their bytes.
    pub fn received_bytes(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Relaxed);
    }

    /// A packet that is no answer goes out.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A request has its answer, of so many bytes, after that time.
    pub fn answered(&self, update: bool, took: Duration, bytes: usize) {
        self.sent.fetch_add(1, Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
        let bytes = bytes as i64;
        self.responses.last.store(bytes, Relaxed);
        if bytes < self.responses.min.load(Relaxed) {
            self.responses.min.fetch_min(bytes, Relaxed);
        }
        if bytes > self.responses.max.load(Relaxed) {
            self.responses.max.fetch_max(bytes, Relaxed);
        }
        self.latency.add(took.as_millis() as u64);
        if update { &self.updates } else { &self.reads }.record_time(took);
    }

    /// A TLS handshake began (1) or ended (-1).
    pub(crate) fn handshake(&self, change: i64) {
        self.handshakes.fetch_add(change, Relaxed);
    }

    /// TLS handshakes in progress.
    pub fn handshakes(&self) -> i64 {
        self.handshakes.load(Relaxed)
    }

    /// One request waited that long for its turn, and so many others not at all.
    pub(crate) fn waited(&self, one: Option<Duration>, at_once: u64) {
        if let Some(waited) = one {
            self.throttle_queue.record_time(waited);
        }
        if at_once > 0 {
            self.throttle_queue.record_zeros(at_once);
        }
    }

    /// Time that requests waited because the node had too much to do.
    pub fn throttle_queue(&self) -> &Summary {
        &self.throttle_queue
    }

    /// Tokens for new connections that were in use, at each that came in.
    pub fn token_deficit(&self) -> &Summary {
        &self.token_deficit
    }

    /// An event goes to a watcher, in so many bytes.
    pub(crate) fn watched(&self, bytes: usize) {
        self.watch_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes of all of them.
    pub fn watch_bytes(&self) -> u64 {
        self.watch_bytes.load(Relaxed)
    }

    /// Something happened.
    pub fn count(&self, what: Happened) {
        self.happened[what as usize].fetch_add(1, Relaxed);
    }

    /// How often something happened.
    pub fn counted(&self, what: Happened) -> u64 {
        self.happened[what as usize].load(Relaxed)
    }

    /// A client connected (1) or left (-1).
    pub fn connected(&self, change: i64) {
        self.connections.fetch_add(change, Relaxed);
    }

    /// Clients connected now.
    pub fn connections(&self) -> i64 {
        self.connections.load(Relaxed)
    }

    /// Packets received and sent since the start or the last reset.
    pub fn packets(&self) -> (u64, u64) {
        (self.received.load(Relaxed), self.sent.load(Relaxed))
    }

    /// Bytes of requests received and of responses sent.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_received.load(Relaxed), self.bytes_sent.load(Relaxed))
    }

    /// Bytes of the last, smallest and largest response; -1 before the first.
    pub fn response_bytes(&self) -> (i64, i64, i64) {
        let min = self.responses.min.load(Relaxed);
        let min = if min == i64::MAX { -1 } else { min };
        (self.responses.last.load(Relaxed), min, self.responses.max.load(Relaxed))
    }

    /// Smallest, average and largest time to an answer, in milliseconds.
    pub fn latency_ms(&self) -> (u64, f64, u64) {
        self.latency.told_ms()
    }

    /// Time to the answer of requests that changed nothing.
    pub fn reads(&self) -> &Summary {
        &self.reads
    }

    /// Time to the answer of requests that went through the log.
    pub fn updates(&self) -> &Summary {
        &self.updates
    }

    /// Milliseconds since the server started.
    pub fn uptime_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// The mask that `stmk` set. Kept and told; nothing is traced by it.
    pub fn trace_mask(&self) -> i64 {
        self.trace_mask.load(Relaxed)
    }

    /// Sets it.
    pub fn set_trace_mask(&self, mask: i64) {
        self.trace_mask.store(mask, Relaxed);
    }

    /// `srst`: forgets packets, latency and sizes of responses.
    pub fn reset(&self) {
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.latency.reset();
        self.responses.last.store(-1, Relaxed);
        self.responses.min.store(i64::MAX, Relaxed);
        self.responses.max.store(-1, Relaxed);
    }
}
