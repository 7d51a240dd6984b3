//! What openraft asks of its histogram crate, in 520 bytes a histogram.
//!
//! The crate of that name fills a static table for every precision it offers at the first use of
//! any: 25 MB that stay resident for a server whose whole idle budget is 20. openraft feeds its
//! histograms but shows them only on request, so one bucket for each power of two is enough here.
//! See `docs/adr/0006-histogram-shim.md`.

use std::fmt;
use std::marker::PhantomData;

/// Counts by power of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; 65],
    unit: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self { counts: [0; 65], unit: PhantomData }
    }
}

impl<T> Histogram<T> {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records a value several times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        // 0 has a bucket of its own; the others hold 2^(n-1) to 2^n - 1.
        self.counts[(u64::BITS - value.leading_zeros()) as usize] += count;
    }

    /// The least value of the bucket that `permille` of 1000 samples lie below or in.
    fn percentile(&self, samples: u64, permille: u64) -> u64 {
        let rank = (u128::from(samples) * u128::from(permille)).div_ceil(1000) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return if bucket == 0 { 0 } else { 1 << (bucket - 1) };
            }
        }
        0
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.counts.iter().sum();
        let at = |permille| self.percentile(samples, permille);
        PercentileStats {
            samples,
            p0_1: at(1),
            p1: at(10),
            p5: at(50),
            p10: at(100),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
        }
    }
}

/// Percentiles of a histogram; each is the lower bound of its bucket.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, .. } = self;
        write!(f, "n={samples} p50={p50} p90={p90} p99={p99}")
    }
}

/// Several histograms, one line each.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

impl AsciiChart {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, h)| writeln!(f, "{name}: {}", h.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bucket_bounds() {
        let mut h = Histogram::<()>::new();
        for value in 0..1000 {
            h.record(value);
        }
        let stats = h.percentile_stats();
        assert_eq!((stats.samples, stats.p50, stats.p99), (1000, 256, 512));
    }
}
