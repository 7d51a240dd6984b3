//! Kafka's sampled rate: a sum over the last few samples, each of a fixed length.

use polyport_base::Millis;

/// Over what a rate is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `quota.window.num`: samples that are kept.
    pub samples: i64,
    /// `quota.window.size.seconds`: how long each is, in milliseconds.
    pub sample_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ms: i64,
    last_ms: i64,
    sum: f64,
}

impl Sample {
    fn new(now_ms: i64) -> Self {
        Self { start_ms: now_ms, last_ms: now_ms, sum: 0.0 }
    }
}

/// A rate a second. Times must not go back by much: what is older than the window is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// One more than the window has: the oldest may overlap its beginning.
    samples: Vec<Sample>,
    current: usize,
}

impl Rate {
    /// Counts an amount, which may be negative.
    pub fn record(&mut self, amount: f64, now: Millis, window: Window) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now.0));
        }
        if now.0 - self.samples[self.current].start_ms >= window.sample_ms {
            self.advance(now, window);
        }
        let sample = &mut self.samples[self.current];
        sample.sum += amount;
        sample.last_ms = now.0;
    }

    fn advance(&mut self, now: Millis, window: Window) {
        let most = usize::try_from(window.samples + 1).unwrap_or(1).max(1);
        self.current = (self.current + 1) % most;
        match self.samples.get_mut(self.current) {
            Some(oldest) => *oldest = Sample::new(now.0),
            None => self.samples.push(Sample::new(now.0)),
        }
    }

    /// When something was counted last.
    pub fn last_ms(&self) -> i64 {
        self.samples.get(self.current).map_or(i64::MIN, |sample| sample.last_ms)
    }

    /// The amount a second.
    pub fn measure(&mut self, now: Millis, window: Window) -> f64 {
        self.forget(now, window);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum / (self.length_ms(now, window) as f64 / 1000.0)
    }

    /// Samples in which nothing happened within the window count from now on.
    fn forget(&mut self, now: Millis, window: Window) {
        for sample in &mut self.samples {
            if now.0 - sample.last_ms >= window.samples * window.sample_ms {
                *sample = Sample::new(now.0);
            }
        }
    }

    /// What the sum is divided by: never less than all samples but the last, so that a first burst
    /// does not look like a rate.
    fn length_ms(&self, now: Millis, window: Window) -> i64 {
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now.0);
        let elapsed = now.0 - oldest;
        let missing = (window.samples - 1 - elapsed / window.sample_ms).max(0);
        (elapsed + missing * window.sample_ms).max(1)
    }

    /// For how long nothing may be counted for the rate to come down to `bound`; zero if it is not
    /// above it.
    pub fn throttle_ms(&mut self, bound: f64, now: Millis, window: Window) -> i64 {
        let rate = self.measure(now, window);
        if rate <= bound {
            return 0;
        }
        // O * W / (W + X) = T, for X.
        let wait_ms = (rate - bound) / bound * self.length_ms(now, window) as f64;
        // A cast of a float ends at the greatest number there is.
        wait_ms.round() as i64
    }
}
