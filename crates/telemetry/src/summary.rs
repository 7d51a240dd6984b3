//! Distributions, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets of one power of two: a quantile is at most an eighth off.
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values from 2^40 on share the last bucket: twelve days in microseconds.
const TOP: u32 = 40;
const BUCKETS: usize = ((TOP - STEP_BITS + 1) as usize) * STEPS as usize;

/// A distribution since the start or the last reset. Recording takes a few relaxed additions, no
/// lock and no allocation.
#[derive(Debug)]
pub struct Summary {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let power = value.ilog2().min(TOP - 1);
    let step = if value >> TOP > 0 { STEPS - 1 } else { (value >> (power - STEP_BITS)) % STEPS };
    ((power - STEP_BITS + 1) as u64 * STEPS + step) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    match power {
        0 => step,
        _ => ((STEPS + step + 1) << (power - 1)) - 1,
    }
}

impl Summary {
    /// Records a bare number.
    pub fn record(&self, value: u64) {
        self.buckets[bucket(value)].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    /// Records zero so many times.
    pub fn record_zeros(&self, times: u64) {
        self.buckets[0].fetch_add(times, Relaxed);
        if self.min.load(Relaxed) > 0 {
            self.min.store(0, Relaxed);
        }
    }

    /// Records a time, in microseconds.
    pub fn record_time(&self, time: Duration) {
        self.record(time.as_micros().min(u128::from(u64::MAX >> 1)) as u64);
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        self.sum.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
    }

    /// What was recorded, as bare numbers.
    pub fn numbers(&self) -> Snapshot {
        self.snapshot(1.0)
    }

    /// What [`Summary::record_time`] recorded, in milliseconds.
    pub fn millis(&self) -> Snapshot {
        self.snapshot(1000.0)
    }

    fn snapshot(&self, unit: f64) -> Snapshot {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count = counts.iter().sum();
        let min = self.min.load(Relaxed);
        Snapshot {
            counts,
            count,
            sum: self.sum.load(Relaxed) as f64 / unit,
            min: if min == u64::MAX { 0.0 } else { min as f64 / unit },
            max: self.max.load(Relaxed) as f64 / unit,
            unit,
        }
    }
}

/// A distribution at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    counts: Vec<u64>,
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; 0 if there is none.
    pub min: f64,
    /// The largest; 0 if there is none.
    pub max: f64,
    unit: f64,
}

impl Snapshot {
    /// The mean; 0 if there is no value.
    pub fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The value that a share `q` of all values do not exceed, to an eighth; none of no value.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((q * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (number, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some((upper(number) as f64 / self.unit).clamp(self.min, self.max));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_that_ends_at_or_above_it() {
        for value in (0..100_000).chain((10..40).flat_map(|p| [(1 << p) - 1, 1 << p, (1 << p) + 1]))
        {
            let at = bucket(value);
            assert!(upper(at) >= value, "{value} in {at}");
            assert!(at == 0 || upper(at - 1) < value, "{value} in {at}");
            assert!(upper(at) - value <= value / STEPS, "{value} in {at}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_an_eighth_off_at_most_and_never_outside_what_was_seen() {
        let summary = Summary::default();
        assert!(summary.numbers().quantile(0.5).is_none());
        (1..=1000).for_each(|value| summary.record(value));
        let all = summary.numbers();
        assert_eq!((all.count, all.sum, all.min, all.max), (1000, 500_500.0, 1.0, 1000.0));
        for (q, exact) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = all.quantile(q).unwrap();
            assert!((exact..=exact * 1.125).contains(&found), "{q}: {found}");
        }
        assert_eq!(all.quantile(1.0), Some(1000.0));
        summary.reset();
        assert_eq!((summary.numbers().count, summary.numbers().max), (0, 0.0));
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let summary = Summary::default();
        summary.record_time(Duration::from_micros(1500));
        let millis = summary.millis();
        assert_eq!((millis.sum, millis.average(), millis.quantile(0.5)), (1.5, 1.5, Some(1.5)));
    }
}
