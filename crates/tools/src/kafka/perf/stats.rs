//! What a producer's test counts.

/// Latencies that are kept at most, for the percentiles.
const SAMPLES: u64 = 500_000;

/// Records, bytes and latencies: in all and since the last report. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Stats {
    start: i64,
    sampling: u64,
    latencies: Vec<u32>,
    total: Window,
    window: Window,
    window_start: i64,
    report_every: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    count: u64,
    bytes: u64,
    latency: u64,
    most: u64,
}

impl Window {
    fn add(&mut self, latency: u64, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        self.latency += latency;
        self.most = self.most.max(latency);
    }

    /// Records and megabytes a second.
    fn rates(&self, elapsed_ms: i64) -> (f64, f64) {
        let seconds = elapsed_ms as f64 / 1000.0;
        (self.count as f64 / seconds, self.bytes as f64 / seconds / (1024.0 * 1024.0))
    }
}

impl Stats {
    /// For so many records, with a report every so often.
    pub fn new(records: u64, report_every: i64, now: i64) -> Self {
        Self {
            start: now,
            sampling: records / records.clamp(1, SAMPLES),
            latencies: Vec::new(),
            total: Window::default(),
            window: Window::default(),
            window_start: now,
            report_every,
        }
    }

    /// Counts a record that has arrived; gives a report if one is due.
    pub fn record(&mut self, latency: i64, bytes: u64, now: i64) -> Option<String> {
        let latency = latency.max(0).unsigned_abs();
        if self.total.count.is_multiple_of(self.sampling.max(1)) {
            self.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
        }
        self.total.add(latency, bytes);
        self.window.add(latency, bytes);
        let elapsed = now - self.window_start;
        if elapsed < self.report_every {
            return None;
        }
        let window = std::mem::take(&mut self.window);
        self.window_start = now;
        let (records, megabytes) = window.rates(elapsed);
        Some(format!(
            "{} records sent, {records:.1} records/sec ({megabytes:.2} MB/sec), {:.1} ms avg latency, \
             {:.1} ms max latency.",
            window.count,
            window.latency as f64 / window.count as f64,
            window.most as f64
        ))
    }

    /// The line about everything.
    pub fn total(&mut self, now: i64) -> String {
        let (records, megabytes) = self.total.rates(now - self.start);
        self.latencies.sort_unstable();
        let size = self.latencies.len();
        let percentile = |part: f64| {
            let at = (part * size as f64) as usize;
            self.latencies.get(at.min(size.saturating_sub(1))).copied().unwrap_or_default()
        };
        format!(
            "{} records sent, {records:.6} records/sec ({megabytes:.2} MB/sec), {:.2} ms avg latency, \
             {:.2} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.total.count,
            self.total.latency as f64 / self.total.count as f64,
            self.total.most as f64,
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_totals_have_kafkas_form() {
        let mut stats = Stats::new(4, 5000, 0);
        assert_eq!(stats.record(1, 1 << 20, 1000), None);
        assert_eq!(stats.record(3, 1 << 20, 2000), None);
        assert_eq!(
            stats.record(8, 2 << 20, 5000).as_deref(),
            Some(
                "3 records sent, 0.6 records/sec (0.80 MB/sec), 4.0 ms avg latency, 8.0 ms max latency."
            )
        );
        assert_eq!(stats.record(4, 0, 6000), None);
        assert_eq!(
            stats.total(8000),
            "4 records sent, 0.500000 records/sec (0.50 MB/sec), 4.00 ms avg latency, 8.00 ms max \
             latency, 4 ms 50th, 8 ms 95th, 8 ms 99th, 8 ms 99.9th."
        );
    }
}
