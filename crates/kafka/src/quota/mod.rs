//! Client quotas: what users and clients may send, fetch and have worked on (KIP-13, KIP-55, KIP-124,
//! KIP-219, KIP-546).
//!
//! - [`entity`]: whose quota it is, and where in the tree it is kept.
//! - [`change`]: describing and changing quotas.
//! - [`limits`]: which quota of eight levels is in force for whom.
//! - [`rate`]: how much has been used: Kafka's sampled rate, a machine without a clock.
//! - [`Quotas`]: both together, for one broker. Each broker counts by itself, as in Kafka.
//!
//! Whoever is beyond a quota is answered at once, is told for how long to wait, and is not listened to
//! for that time.

pub mod change;
pub mod entity;
pub mod limits;
pub mod rate;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use polyport_base::Millis;

use limits::{Limits, Shared};
use rate::{Rate, Window};

/// What a quota is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `producer_byte_rate`: bytes of Produce requests a second.
    Produce,
    /// `consumer_byte_rate`: bytes of Fetch answers a second.
    Fetch,
    /// `request_percentage`: time of threads, in percent of one thread.
    Request,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Produce, Kind::Fetch, Kind::Request];

    /// Kafka's name of the quota.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Produce => "producer_byte_rate",
            Kind::Fetch => "consumer_byte_rate",
            Kind::Request => "request_percentage",
        }
    }
}

/// How long rates of those who have gone are kept.
const IDLE_MS: i64 = 60 * 60 * 1000;
/// How often they are looked for.
const SWEEP_MS: i64 = 10 * 60 * 1000;

/// What has been used, by those who share it.
#[derive(Debug, Default)]
struct Used {
    rates: HashMap<Shared, Rate>,
    swept: Option<Millis>,
}

impl Used {
    fn sweep(&mut self, now: Millis) {
        let swept = *self.swept.get_or_insert(now);
        if now.0 - swept.0 >= SWEEP_MS {
            self.swept = Some(now);
            self.rates.retain(|_, rate| now.0 - rate.last_ms() < IDLE_MS);
        }
    }
}

/// The quotas of one broker at work.
#[derive(Debug)]
pub struct Quotas {
    window: Window,
    limits: RwLock<Arc<Limits>>,
    used: [Mutex<Used>; Kind::ALL.len()],
}

impl Quotas {
    /// Without any quota. `window`: `quota.window.num` and `quota.window.size.seconds`.
    pub fn new(window: Window) -> Self {
        Self { window, limits: RwLock::default(), used: Default::default() }
    }

    /// These quotas are in force from now on.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write() = Arc::new(limits);
    }

    /// Whether anybody has a quota of this kind.
    pub fn limits_any(&self, kind: Kind) -> bool {
        self.limits.read().has(kind)
    }

    /// Counts what somebody has used, and says for how long to throttle them; zero for not at all.
    pub fn used(&self, kind: Kind, user: &str, client: &str, amount: f64, now: Millis) -> i32 {
        if !self.limits_any(kind) {
            return 0;
        }
        let limits = self.limits.read().clone();
        let Some((shared, bound)) = limits.find(kind, user, client) else { return 0 };
        let mut used = self.used[kind as usize].lock();
        used.sweep(now);
        let rate = used.rates.entry(shared).or_default();
        rate.record(amount, now, self.window);
        let throttle_ms = rate.throttle_ms(bound, now, self.window);
        let most_ms = match kind {
            // A request that took long is not held against the client for longer than a sample.
            Kind::Request => self.window.sample_ms,
            Kind::Produce | Kind::Fetch => i64::MAX,
        };
        i32::try_from(throttle_ms.min(most_ms)).unwrap_or(i32::MAX)
    }

    /// Takes back what was counted: the answer was not sent.
    pub fn unused(&self, kind: Kind, user: &str, client: &str, amount: f64, now: Millis) {
        let limits = self.limits.read().clone();
        let Some((shared, _)) = limits.find(kind, user, client) else { return };
        if let Some(rate) = self.used[kind as usize].lock().rates.get_mut(&shared) {
            rate.record(-amount, now, self.window);
        }
    }

    /// How much may be used at once without being throttled for certain.
    pub fn most_at_once(&self, kind: Kind, user: &str, client: &str) -> Option<f64> {
        if !self.limits_any(kind) {
            return None;
        }
        let (_, bound) = self.limits.read().find(kind, user, client)?;
        let full = (self.window.samples - 1).max(0) * self.window.sample_ms;
        Some(bound * full as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests;
