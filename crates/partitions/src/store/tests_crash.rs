//! What is left after power loss and after the process was killed, whatever the store was doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_base::rng::SplitMix64;
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_storage::{Fault, SimDisk};

use crate::testing::{NOW, alone, batch, consume, of, open, settings, with_log};
use crate::{Acks, AppendOptions, Partition, Settings, Store, TopicConfig, Upkeep};

/// What was done to one partition.
#[derive(Clone, Debug, Default)]
struct Model {
    topic: u8,
    /// Values by offset, also those that were deleted.
    values: Vec<String>,
    /// How many of them a crash must leave.
    durable: usize,
    /// The first that may still be there.
    start: usize,
    /// Made, and not deleted.
    there: bool,
    /// Making or deleting it failed: it may be there or not.
    unsure: bool,
}

struct Rig {
    disk: SimDisk,
    rng: SplitMix64,
    store: Option<Store<SimDisk>>,
    upkeep: Upkeep,
    now: Millis,
    models: BTreeMap<i32, Model>,
    next: u64,
    epoch: i32,
}

fn config() -> Arc<TopicConfig> {
    let mut config =
        (*with_log(|log| (log.segment_bytes, log.index_interval_bytes) = (600, 100))).clone();
    config.file_delete_delay_ms = 20;
    config.into()
}

fn store_settings() -> Settings {
    Settings {
        flush_checkpoint_interval_ms: 50,
        high_watermark_checkpoint_interval_ms: 50,
        retention_check_interval_ms: 70,
        unflushed_limit_bytes: 3000,
        ..settings(&["/a", "/b"])
    }
}

impl Rig {
    fn new(seed: u64) -> Self {
        let mut rig = Rig {
            disk: SimDisk::new(),
            rng: SplitMix64::new(seed),
            store: None,
            upkeep: Upkeep::default(),
            now: NOW,
            models: BTreeMap::new(),
            next: 0,
            epoch: 0,
        };
        rig.open();
        rig
    }

    fn open(&mut self) {
        let (store, opened) = open(&self.disk, store_settings());
        assert!(opened.failed_partitions.is_empty() && opened.failed_dirs.is_empty(), "{opened:?}");
        assert!(opened.twice.is_empty(), "{opened:?}");
        self.epoch += 1;
        self.upkeep = Upkeep::default();
        for partition in store.partitions() {
            partition.set_config(config(), self.now);
            partition.set_state(&alone(self.epoch), self.now).unwrap();
        }
        self.store = Some(store);
    }

    fn store(&self) -> &Store<SimDisk> {
        self.store.as_ref().unwrap()
    }

    /// Something happens. Says whether the disk still works.
    fn step(&mut self) -> bool {
        self.now.0 += self.rng.below(10) as i64;
        let number = self.rng.below(4) as i32;
        let now = self.now;
        match self.rng.below(100) {
            0..60 => self.append(number),
            60..75 => {
                let dir = self.rng.below(2) as usize;
                self.store().flush_step(dir, now);
                self.note_durable();
                true
            }
            75..90 => {
                let mut upkeep = self.upkeep;
                self.store().upkeep_step(&mut upkeep, now);
                self.upkeep = upkeep;
                true
            }
            90..95 => self.delete_records(number),
            _ => self.delete(number),
        }
    }

    fn partition(&mut self, number: i32) -> Option<Arc<Partition<SimDisk>>> {
        let model = self.models.entry(number).or_default();
        let id = TopicId([model.topic; 16]);
        let store = self.store.as_ref()?;
        model.there = true;
        model.unsure = true;
        let partition = store.create(&of(number), id, &config(), true).ok()?;
        model.unsure = false;
        let status = partition.status().ok()?;
        if status.leader_epoch < 0 {
            partition.set_state(&alone(self.epoch), self.now).ok()?;
        }
        Some(partition)
    }

    fn append(&mut self, number: i32) -> bool {
        let Some(partition) = self.partition(number) else { return false };
        let durable = self.rng.chance(20);
        let count = 1 + self.rng.below(3);
        let values: Vec<String> =
            (0..count).map(|at| format!("value {} {at}", self.next)).collect();
        self.next += 1;
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let options = AppendOptions { durable, ..AppendOptions::client(Acks::All) };
        let done = partition.append(&mut batch(&texts), options, self.now);
        let model = self.models.get_mut(&number).unwrap();
        // Told in any case: a part of it may be there after a crash.
        model.values.extend(values);
        done.is_ok()
    }

    fn delete_records(&mut self, number: i32) -> bool {
        let Some(partition) = self.partition(number) else { return false };
        let Ok(status) = partition.status() else { return false };
        let span = (status.high_watermark - status.log_start_offset) as u64;
        let to = status.log_start_offset + self.rng.below(span + 1) as i64;
        partition.delete_records(Some(to)).unwrap();
        let model = self.models.get_mut(&number).unwrap();
        model.start = to as usize;
        true
    }

    fn delete(&mut self, number: i32) -> bool {
        let Some(model) = self.models.get_mut(&number).filter(|model| model.there) else {
            return true;
        };
        let before = std::mem::take(model);
        model.topic = before.topic + 1;
        match self.store().delete(&of(number)) {
            Ok(_) => true,
            Err(_) => {
                let model = self.models.get_mut(&number).unwrap();
                *model = Model { unsure: true, ..before };
                false
            }
        }
    }

    fn note_durable(&mut self) {
        let store = self.store.as_ref().unwrap();
        for (number, model) in &mut self.models {
            let Some(partition) = store.partition("t", *number) else { continue };
            if let Ok(point) = partition.with_log(|log| log.recovery_point()) {
                model.durable = model.durable.max(point as usize);
            }
        }
    }

    /// What is found must be what was written, and enough of it.
    fn check(&mut self, everything: bool) {
        let store = self.store.take().unwrap();
        for (number, model) in &mut self.models {
            let Some(partition) = store.partition("t", *number) else {
                assert!(!model.there || model.unsure || model.durable == 0, "{number} {model:?}");
                assert!(!(everything && model.there && !model.unsure), "{number} {model:?}");
                *model = Model { topic: model.topic + 1, ..Model::default() };
                continue;
            };
            assert!(model.there, "{number} has come back: {model:?}");
            let id = partition.topic_id();
            assert!(id.is_none_or(|id| id == TopicId([model.topic; 16])), "{number} {id:?}");
            let status = partition.status().unwrap();
            let (start, end) = (status.log_start_offset as usize, status.log_end_offset as usize);
            let context = format!("{number}: {start}..{end} of {model:?}");
            assert!(start <= model.start, "{context}");
            assert!(end >= model.durable && end <= model.values.len(), "{context}");
            if everything {
                assert_eq!(end, model.values.len(), "{context}");
            }
            let found = consume(&partition, start as i64);
            // A batch is read as a whole, also if the log begins inside it.
            let from = end - found.len();
            assert!(from <= start, "{context}");
            assert_eq!(found, model.values[from..end], "{context}");
            model.values.truncate(end);
            model.durable = model.durable.min(end);
            model.start = start.max(model.start.min(end));
        }
        self.store = Some(store);
    }
}

#[test]
fn killed_processes_lose_nothing() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed);
        for _ in 0..4 {
            for _ in 0..60 {
                assert!(rig.step());
            }
            drop(rig.store.take());
            rig.disk.kill();
            rig.open();
            rig.check(true);
        }
    }
}

#[test]
fn clean_stops_lose_nothing_even_with_the_power() {
    for seed in 0..40 {
        let mut rig = Rig::new(seed);
        for round in 0..4 {
            for _ in 0..60 {
                assert!(rig.step());
            }
            assert_eq!(rig.store.take().unwrap().close(), 0);
            rig.disk.crash(seed * 7 + round);
            rig.open();
            rig.check(true);
        }
    }
}

#[test]
fn power_loss_leaves_what_was_durable() {
    for seed in 0..60 {
        let mut rig = Rig::new(seed);
        for round in 0..5 {
            for _ in 0..50 {
                assert!(rig.step());
            }
            drop(rig.store.take());
            rig.disk.crash(seed * 31 + round);
            rig.open();
            rig.check(false);
        }
    }
}

#[test]
fn power_loss_at_any_operation_leaves_what_was_durable() {
    for point in 0..250 {
        let mut rig = Rig::new(point % 9);
        for _ in 0..30 {
            rig.step();
        }
        rig.disk.set_fault(Some(Fault::FailAfterOps(point)));
        for _ in 0..60 {
            if !rig.step() || rig.store().log_dirs().iter().any(|dir| dir.failure.is_some()) {
                break;
            }
        }
        drop(rig.store.take());
        rig.disk.crash(point);
        rig.open();
        rig.check(false);
    }
}
