/// Latencies in nanoseconds, counted in buckets no wider than 1/128 of their value.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

const SUB_BITS: u32 = 7;
const SUB: u64 = 1 << SUB_BITS;

impl Histogram {
    /// An empty one, of fixed size.
    pub fn new() -> Self {
        let buckets = (SUB as usize) * (65 - SUB_BITS as usize);
        Self { buckets: vec![0; buckets], count: 0, max: 0 }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.buckets[index(value)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exact.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `fraction` of all are at or below, at most 1/128 too high; 0 if empty.
    pub fn quantile(&self, fraction: f64) -> u64 {
        let rank = ((self.count as f64) * fraction).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below 128 have a bucket each; above, each power of two is cut in 128.
fn index(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - SUB_BITS;
    ((u64::from(shift) + 1) * SUB + ((value >> shift) - SUB)) as usize
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let shift = (index / SUB - 1) as u32;
    let low = (index % SUB + SUB) << shift;
    low + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_the_bucket_is_narrow() {
        for value in (0..64).flat_map(|bit| {
            let base = 1_u64 << bit;
            [base - 1, base, base + base / 3, base + (base - 1)]
        }) {
            let top = upper(index(value));
            assert!(top >= value, "{value} above its bucket's top {top}");
            assert!(top - value <= value / SUB, "{value} in a bucket up to {top}");
        }
    }

    #[test]
    fn quantiles_of_a_known_sequence() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.record(value * 1000));
        assert_eq!(histogram.count(), 1000);
        for (fraction, exact) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000)] {
            let found = histogram.quantile(fraction);
            assert!(found >= exact && found <= exact + exact / SUB, "{fraction}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), 1_000_000);
    }
}
