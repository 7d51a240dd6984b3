//! What `srvr`, `stat` and `mntr` count.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counters of one server.
#[derive(Debug)]
pub struct Stats {
    received: AtomicU64,
    sent: AtomicU64,
    connections: AtomicI64,
    latency: Latency,
    started: Instant,
}

#[derive(Debug)]
struct Latency {
    min_ms: AtomicU64,
    max_ms: AtomicU64,
    total_ms: AtomicU64,
    count: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            latency: Latency {
                min_ms: AtomicU64::new(u64::MAX),
                max_ms: AtomicU64::new(0),
                total_ms: AtomicU64::new(0),
                count: AtomicU64::new(0),
            },
            started: Instant::now(),
        }
    }
}

impl Stats {
    /// Packets came in.
    pub fn received(&self, packets: u64) {
        self.received.fetch_add(packets, Relaxed);
    }

    /// A packet that is no answer goes out.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A request has its answer.
    pub fn answered(&self, since: Instant) {
        self.sent.fetch_add(1, Relaxed);
        let ms = since.elapsed().as_millis() as u64;
        self.latency.count.fetch_add(1, Relaxed);
        if ms > 0 {
            self.latency.total_ms.fetch_add(ms, Relaxed);
        }
        if ms < self.latency.min_ms.load(Relaxed) {
            self.latency.min_ms.fetch_min(ms, Relaxed);
        }
        if ms > self.latency.max_ms.load(Relaxed) {
            self.latency.max_ms.fetch_max(ms, Relaxed);
        }
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

    /// Smallest, average and largest time to an answer, in milliseconds.
    pub fn latency_ms(&self) -> (u64, f64, u64) {
        let count = self.latency.count.load(Relaxed);
        let min = self.latency.min_ms.load(Relaxed);
        let total = self.latency.total_ms.load(Relaxed);
        let average = if count == 0 { 0.0 } else { total as f64 / count as f64 };
        (if min == u64::MAX { 0 } else { min }, average, self.latency.max_ms.load(Relaxed))
    }

    /// Milliseconds since the server started.
    pub fn uptime_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Forgets all but the connections.
    pub fn reset(&self) {
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.latency.min_ms.store(u64::MAX, Relaxed);
        self.latency.max_ms.store(0, Relaxed);
        self.latency.total_ms.store(0, Relaxed);
        self.latency.count.store(0, Relaxed);
    }
}
