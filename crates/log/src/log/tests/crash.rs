//! Power loss at every point, against a plain model: a list of values.

use polyport_base::rng::SplitMix64;

use super::*;

/// The log, and what it must hold.
struct Rig {
    disk: SimDisk,
    rng: SplitMix64,
    /// Values by offset.
    model: Vec<Vec<u8>>,
    start: i64,
    /// Everything below was flushed.
    durable: i64,
    /// What the checkpoint file would say.
    checkpoint: i64,
    checkpoint_start: i64,
    number: u64,
}

impl Rig {
    fn new(seed: u64) -> Self {
        Rig {
            disk: SimDisk::new(),
            rng: SplitMix64::new(seed),
            model: Vec::new(),
            start: 0,
            durable: 0,
            checkpoint: 0,
            checkpoint_start: 0,
            number: 0,
        }
    }

    /// One change of the log. After an error it is unknown whether it took place.
    fn step(&mut self, log: &mut Log<SimDisk>) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        match self.rng.below(100) {
            0..70 => {
                self.number += 1;
                let records = 1 + self.rng.below(3) as usize;
                let bytes = batch(self.number, records, Codec::None);
                // Told before it is done: a crash may leave it, or not.
                let mut scratch = Vec::new();
                let (sent, _) = Batch::split_first(&bytes).unwrap();
                for record in sent.records(&mut scratch, 1 << 20).unwrap() {
                    self.model.push(record.unwrap().value.unwrap().to_vec());
                }
                append(log, &bytes).map_err(|e| text(&e))?;
                assert_eq!(log.log_end_offset(), self.model.len() as i64);
            }
            70..85 => {
                log.flush().map_err(|e| text(&e))?;
                self.durable = log.recovery_point();
                if self.rng.chance(50) {
                    self.checkpoint = self.durable;
                }
            }
            85..92 => {
                let end = self.model.len() as i64;
                let to = end - (self.rng.below(12) as i64).min(end - self.start);
                if to < self.start + 3 {
                    return Ok(());
                }
                self.checkpoint = self.checkpoint.min(to);
                // A batch goes as a whole; it has three records at most.
                self.durable = self.durable.min(to - 2);
                let done = log.truncate_to(to, Millis(5000));
                if done.is_ok() {
                    assert!(log.log_end_offset() <= to);
                    self.model.truncate(log.log_end_offset() as usize);
                    self.durable = self.durable.min(log.log_end_offset());
                }
                done.map_err(|e| text(&e))?;
            }
            92..97 => {
                let end = log.log_end_offset();
                log.set_high_watermark(end);
                let to = self.start + self.rng.below((end - self.start) as u64 + 1) as i64;
                log.advance_log_start(to).unwrap();
                self.start = log.log_start_offset();
                self.checkpoint_start = self.start;
                log.apply_retention(Millis(5000)).and_then(|r| r.unlink()).map_err(|e| text(&e))?;
            }
            _ => log.begin_leader_epoch(self.number as i32),
        }
        Ok(())
    }

    fn reopen(&mut self) -> Log<SimDisk> {
        let points = OpenPoints {
            recovery_point: self.checkpoint,
            log_start: self.checkpoint_start,
            ..OpenPoints::default()
        };
        let (mut log, recovered) = open_with(&self.disk, small(), points);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let context = format!("{start}..{end}, durable {}, {recovered:?}", self.durable);
        assert!(end >= self.durable, "{context}");
        assert!(start <= self.start.max(self.checkpoint_start), "{context}");
        if end > self.model.len() as i64 {
            panic!("records from nowhere: {context} model {}", self.model.len());
        }
        self.model.truncate(end as usize);
        for max_bytes in [1, 700, 1 << 20] {
            let found = values(&log, self.start.max(start), max_bytes);
            for (offset, value) in &found {
                assert_eq!(*value, self.model[*offset as usize], "offset {offset}, {context}");
            }
            assert_eq!(found.len() as i64, end - self.start.max(start), "{context}");
        }
        let last = log.leader_epochs().last().map_or(0, |epoch| epoch.start_offset);
        assert!(last <= end, "{context}");
        if end > start {
            let greatest = log.find_max_timestamp().unwrap().unwrap();
            assert!((start..end).contains(&greatest.offset), "{context}");
            for offset in [start, (start + end) / 2, end - 1] {
                let timestamp = timestamp_of(&log, offset);
                let found = log.find_timestamp(timestamp).unwrap().unwrap();
                assert!(found.offset <= offset && found.timestamp >= timestamp, "{context}");
            }
        }
        self.start = self.start.max(start);
        // What recovery kept is durable only as far as it was, until it is flushed.
        if self.rng.chance(50) && log.flush().is_ok() {
            assert_eq!(log.recovery_point(), end, "{context}");
        }
        self.durable = self.durable.max(log.recovery_point());
        self.checkpoint = self.checkpoint.min(end);
        if self.rng.chance(50) {
            self.checkpoint = log.recovery_point();
        }
        log
    }

    fn run(&mut self, steps: usize, fail_after: Option<u64>) {
        let mut log = self.reopen();
        self.disk.set_fault(fail_after.map(Fault::FailAfterOps));
        for _ in 0..steps {
            if self.step(&mut log).is_err() {
                break;
            }
        }
        drop(log);
    }
}

fn timestamp_of(log: &Log<SimDisk>, offset: i64) -> i64 {
    let read = log.read(offset, 1, true, Isolation::LogEnd).unwrap().range.unwrap();
    let bytes = read.read().unwrap();
    Batch::split_first(&bytes).unwrap().0.header().max_timestamp
}

#[test]
fn power_loss_after_any_operation_loses_nothing_that_was_flushed() {
    for point in 0..250 {
        let seed = point % 7;
        let mut rig = Rig::new(seed);
        rig.run(60, Some(point));
        rig.disk.crash(seed * 1000 + point);
        let log = rig.reopen();
        drop(log);
        // And again: recovery's own writes, and records over the old places.
        rig.run(20, Some(point / 2));
        rig.disk.crash(seed * 77 + point);
        rig.reopen();
    }
}

#[test]
fn killed_processes_lose_nothing_that_was_appended() {
    for seed in 0..30 {
        let mut rig = Rig::new(seed);
        for _ in 0..4 {
            rig.run(25, None);
            rig.disk.kill();
            let before = rig.model.len();
            let log = rig.reopen();
            assert_eq!(log.log_end_offset(), before as i64, "seed {seed}");
        }
    }
}

#[test]
fn power_loss_between_many_runs() {
    for seed in 0..60 {
        let mut rig = Rig::new(seed);
        for round in 0..5 {
            rig.run(30, None);
            rig.disk.crash(seed * 31 + round);
            rig.reopen();
        }
    }
}

#[test]
fn power_loss_during_recovery_is_recovered_from() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed);
        rig.run(40, None);
        rig.disk.crash(seed);
        for point in 0..30 {
            rig.disk.set_fault(Some(Fault::FailAfterOps(point)));
            let points = OpenPoints {
                recovery_point: rig.checkpoint,
                log_start: rig.checkpoint_start,
                ..OpenPoints::default()
            };
            let opened = Log::open(rig.disk.clone(), Path::new(DIR), small(), points, Millis(5000));
            if opened.is_ok() {
                break;
            }
            rig.disk.crash(seed + point);
        }
        rig.disk.set_fault(None);
        rig.reopen();
    }
}
