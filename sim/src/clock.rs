//! A wall clock that jumps when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use polyport_base::{Clock, Millis};
use tokio::time::Instant;

/// 2024-01-01T00:00:00Z: where every run's wall clocks begin.
const BEGIN_MS: i64 = 1_704_067_200_000;

/// The wall clock of one simulated machine: the run's time, plus its own error.
#[derive(Clone, Debug)]
pub struct SimClock {
    begin: Instant,
    error_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is right.
    pub fn new(begin: Instant) -> Self {
        Self { begin, error_ms: Arc::default() }
    }

    /// Sets it wrong by this much.
    pub fn jump(&self, error_ms: i64) {
        self.error_ms.store(error_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Millis {
        let since = self.begin.elapsed().as_millis() as i64;
        Millis(BEGIN_MS + since + self.error_ms.load(Ordering::Relaxed))
    }
}
