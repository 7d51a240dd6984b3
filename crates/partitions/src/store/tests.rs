//! What the store promises.

use std::path::Path;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::{Isolation, LogConfig};
use polyport_storage::{Disk as _, Fault, SimDisk};

use crate::testing::{
    ID, NOW, TestClock, alone, append, config, consume, led, of, open, settings, store, with_log,
};
use crate::{
    CreateError, FetchWaiter, FollowedLeader, OpenError, PartitionState, Read, Refused, Settings,
    Store, TopicConfig, Upkeep,
};

#[test]
fn partitions_come_back_after_a_clean_stop_and_after_a_crash() {
    for clean in [true, false] {
        let disk = SimDisk::new();
        let first = store(&disk);
        for number in 0..5 {
            let partition = led(&first, number, &config());
            append(&partition, &["a", "b"]).unwrap();
            append(&partition, &["c"]).unwrap();
        }
        if clean {
            assert_eq!(first.close(), 0);
            disk.crash(4);
        } else {
            disk.kill();
        }
        let (second, opened) =
            open(&disk, Settings { recovery_threads_per_dir: 3, ..settings(&["/a"]) });
        assert_eq!(opened.partitions, 5);
        assert_eq!(opened.unclean_dirs.is_empty(), clean);
        assert_eq!(opened.scanned_bytes == 0, clean);
        assert!(opened.cut.is_empty() && opened.failed_partitions.is_empty());
        second.flush_step(0, NOW);
        assert!(!second.0.dirs[0].has_excess());
        for number in 0..5 {
            let partition = second.partition("t", number).unwrap();
            let durable = partition.with_log(|log| log.recovery_point() == log.log_end_offset());
            assert!(durable.unwrap(), "what was found is synced first");
            assert_eq!(partition.topic_id(), Some(ID));
            partition.set_state(&alone(1), NOW).unwrap();
            assert_eq!(consume(&partition, 0), ["a", "b", "c"]);
        }
        assert!(second.partition("t", 5).is_none());
        assert!(second.partition("t", -1).is_none());
        assert!(second.partition("u", 0).is_none());
    }
}

#[test]
fn a_topics_configuration_is_put_together_once_for_all_its_partitions() {
    let disk = SimDisk::new();
    let first = store(&disk);
    for number in 0..3 {
        led(&first, number, &config());
    }
    assert_eq!(first.close(), 0);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let config_of = |topic: &str| {
        assert_eq!(topic, "t");
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        config()
    };
    let clock = Arc::new(TestClock::default());
    let (_, opened) = Store::open(disk, settings(&["/a"]), clock, &config_of).unwrap();
    assert_eq!((opened.partitions, asked.into_inner()), (3, 1));
}

#[test]
fn an_idle_store_is_closed_and_opened_without_a_write_to_its_partitions() {
    let disk = SimDisk::new();
    let first = store(&disk);
    (0..20).for_each(|number| {
        append(&led(&first, number, &config()), &["a"]).unwrap();
    });
    first.close();
    let before = disk.syncs();
    for epoch in 1..3 {
        let again = store(&disk);
        for partition in again.partitions() {
            partition.set_state(&alone(epoch), NOW).unwrap();
        }
        assert_eq!(again.close(), 0);
    }
    // The marker of a clean stop and its directory, twice gone and twice come.
    assert!(disk.syncs() - before <= 8, "{}", disk.syncs() - before);
}

#[test]
fn partitions_go_where_there_are_fewest() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, settings(&["/a", "/b"]));
    for number in 0..6 {
        store.create(&of(number), ID, &config(), true).unwrap();
    }
    store.delete(&of(0)).unwrap();
    store.delete(&of(2)).unwrap();
    store.create(&of(6), ID, &config(), true).unwrap();
    let status = store.log_dirs();
    let numbers = |at: usize| -> Vec<i32> {
        status[at].partitions.iter().map(|partition| partition.of.partition).collect()
    };
    assert_eq!((numbers(0), numbers(1)), (vec![4, 6], vec![1, 3, 5]));
}

#[test]
fn many_are_made_synced_and_closed_at_once() {
    let disk = SimDisk::new();
    let many = Settings { io_threads_per_dir: 5, ..settings(&["/a", "/b"]) };
    let (store, _) = open(&disk, many);
    let durable = with_log(|log| log.flush_messages = 1);
    let wanted: Vec<_> = (0..40).map(|number| (of(number), ID, durable.clone())).collect();
    let made = store.create_all(&wanted, true);
    assert_eq!(made.len(), 40);
    for (of, partition) in made {
        let partition = partition.unwrap();
        assert_eq!(*partition.of(), of);
        partition.set_state(&alone(0), NOW).unwrap();
        append(&partition, &["a"]).unwrap();
    }
    assert!(store.log_dirs().iter().all(|dir| dir.partitions.len() == 20));
    for dir in 0..2 {
        store.flush_step(dir, NOW);
    }
    for partition in store.partitions() {
        assert_eq!(partition.with_log(|log| log.recovery_point()).unwrap(), 1);
    }
    assert_eq!(store.close(), 0);
    assert_eq!(open(&disk, settings(&["/a", "/b"])).1.partitions, 40);
}

#[test]
fn a_deleted_partition_is_gone_and_a_new_one_begins_anew() {
    for crash in [None, Some(1), Some(2), Some(3)] {
        let disk = SimDisk::new();
        let first = store(&disk);
        let partition = led(&first, 0, &config());
        for _ in 0..10 {
            append(&partition, &["old"]).unwrap();
        }
        partition.delete_records(Some(4)).unwrap();
        partition.flush().unwrap();
        first.checkpoint();
        let waiter = FetchWaiter::new();
        partition.wait_beyond(10, Isolation::HighWatermark, &waiter, waiter.begin(1));
        let read = partition.read(&Read::consumer(4, 100, Isolation::LogEnd)).unwrap();
        assert!(first.delete(&of(0)).unwrap());
        assert!(!first.delete(&of(0)).unwrap());
        assert!(waiter.is_ready());
        assert!(first.partition("t", 0).is_none());
        assert_eq!(partition.failure(), Some(Refused::Gone));
        // Who was at it reads on.
        read.fetched.range.unwrap().read().unwrap();
        let store = match crash {
            None => first,
            Some(seed) => {
                disk.crash(seed);
                store(&disk)
            }
        };
        let partition = store.create(&of(0), TopicId([9; 16]), &config(), true).unwrap();
        partition.set_state(&alone(0), NOW).unwrap();
        let status = partition.status().unwrap();
        assert_eq!((status.log_start_offset, status.log_end_offset), (0, 0));
        // What is said of the old one must not be believed of the new one after a crash.
        append(&partition, &["new", "new"]).unwrap();
        disk.crash(crash.unwrap_or(9) + 40);
        let (again, opened) = open(&disk, settings(&["/a"]));
        let partition = again.partition("t", 0).unwrap();
        let status = partition.status().unwrap();
        assert_eq!(status.log_start_offset, 0);
        assert!([0, 2].contains(&status.log_end_offset), "{opened:?}");
    }
}

#[test]
fn a_deleted_partitions_files_go_after_their_time() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, settings(&["/a"]));
    led(&store, 0, &config());
    store.delete(&of(0)).unwrap();
    let mut upkeep = Upkeep::default();
    let there = || disk.list_dirs(Path::new("/a")).unwrap().len();
    store.upkeep_step(&mut upkeep, NOW);
    assert_eq!(there(), 1);
    store.upkeep_step(&mut upkeep, Millis(NOW.0 + 60_000));
    assert_eq!(there(), 0);
    // Or with the next process.
    led(&store, 0, &config());
    store.delete(&of(0)).unwrap();
    store.close();
    let (store, _) = open(&disk, settings(&["/a"]));
    assert_eq!(there(), 1);
    store.upkeep_step(&mut Upkeep::default(), NOW);
    assert_eq!(there(), 0);
}

#[test]
fn another_topic_of_the_same_name_is_not_taken_for_this_one() {
    let disk = SimDisk::new();
    let first = store(&disk);
    append(&led(&first, 0, &config()), &["old"]).unwrap();
    let other = TopicId([9; 16]);
    assert!(matches!(first.create(&of(0), other, &config(), true), Err(CreateError::OtherTopic)));
    let strays = first.strays(|_, id| id == Some(other));
    assert_eq!(strays.len(), 1);
    let path = first.set_aside(&of(0)).unwrap().unwrap();
    assert!(disk.list(&path).unwrap().contains(&"00000000000000000000.log".to_owned()));
    let made = first.create(&of(0), other, &config(), true).unwrap();
    assert_eq!(made.status().unwrap().log_end_offset, 0);
    first.close();
    let again = store(&disk);
    assert_eq!(again.partitions().len(), 1);
    assert!(disk.list(&path).is_ok(), "what was set aside stays");
}

#[test]
fn a_directory_that_fails_takes_only_its_partitions_along() {
    let disks = [SimDisk::new(), SimDisk::new()];
    let disk = TwoDisks(disks.clone());
    let clock = Arc::new(TestClock::default());
    let (store, _) = Store::open(disk, settings(&["/a", "/b"]), clock, &|_| config()).unwrap();
    let both: Vec<_> = (0..2)
        .map(|number| {
            let partition = store.create(&of(number), ID, &config(), true).unwrap();
            partition.set_state(&alone(0), NOW).unwrap();
            partition
        })
        .collect();
    let waiter = FetchWaiter::new();
    both[0].wait_beyond(0, Isolation::HighWatermark, &waiter, waiter.begin(1));
    disks[0].set_fault(Some(Fault::FailAfterOps(0)));
    let options = crate::AppendOptions::client(crate::Acks::All);
    let mut bytes = crate::testing::batch(&["a"]);
    both[0].append(&mut bytes.clone(), options, NOW).unwrap_err();
    disks[0].set_fault(None);
    assert_eq!(both[0].failure(), Some(Refused::Storage));
    store.flush_step(0, NOW);
    assert!(waiter.is_ready(), "who waits is told");
    both[1].append(&mut bytes, options, NOW).unwrap();
    assert_eq!(store.log_dirs().iter().filter(|dir| dir.failure.is_some()).count(), 1);
    // One that may be in the failed directory is not made a second time; a new one is.
    let made = |number, is_new| store.create(&of(number), ID, &config(), is_new).map(|_| ());
    assert!(matches!(made(7, false), Err(CreateError::Offline)));
    made(7, true).unwrap();
    assert_eq!(store.why_missing(), Refused::Storage);
    assert_eq!(store.close(), 1);
}

#[test]
fn directories_that_are_not_this_brokers_stop_the_start() {
    let disk = SimDisk::new();
    store(&disk).close();
    let clock = Arc::new(TestClock::default());
    let other = Settings { broker_id: 2, ..settings(&["/a"]) };
    let error = Store::open(disk.clone(), other, clock.clone(), &|_| config()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)));
    let none = Store::open(disk.clone(), settings(&[]), clock.clone(), &|_| config()).unwrap_err();
    assert!(matches!(none, OpenError::NoDirs));
    disk.set_fault(Some(Fault::FailAfterOps(0)));
    let error = Store::open(disk, settings(&["/new"]), clock, &|_| config()).unwrap_err();
    assert!(matches!(error, OpenError::AllFailed(_)));
}

#[test]
fn a_damaged_partition_is_refused_by_itself() {
    let disk = SimDisk::new();
    let first = store(&disk);
    (0..2).for_each(|number| {
        append(&led(&first, number, &config()), &["a"]).unwrap();
    });
    first.close();
    disk.decay(Path::new("/a/t-0/partition.metadata"), 0, 0x20).unwrap();
    let (second, opened) = open(&disk, settings(&["/a"]));
    assert_eq!(opened.failed_partitions.len(), 1);
    assert_eq!(second.partition("t", 0).unwrap().failure(), Some(Refused::Storage));
    let other = second.partition("t", 1).unwrap();
    other.set_state(&alone(1), NOW).unwrap();
    assert_eq!(consume(&other, 0), ["a"]);
}

#[test]
fn retention_takes_old_segments_and_their_files_follow() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, settings(&["/a"]));
    let limited = with_log(|log| (log.segment_bytes, log.retention_bytes) = (300, Some(600)));
    let partition = led(&store, 0, &limited);
    for _ in 0..20 {
        append(&partition, &["0123456789"]).unwrap();
    }
    let mut upkeep = Upkeep::default();
    store.upkeep_step(&mut upkeep, NOW);
    let status = partition.status().unwrap();
    assert!(status.size_bytes <= 900 && status.log_start_offset > 10, "{status:?}");
    let deleted = || {
        let files = disk.list(Path::new("/a/t-0")).unwrap();
        files.iter().filter(|file| file.ends_with(".deleted")).count()
    };
    assert!(deleted() > 10);
    store.upkeep_step(&mut upkeep, Millis(NOW.0 + 60_000));
    assert_eq!(deleted(), 0);
}

#[test]
fn compaction_keeps_the_last_record_of_each_key() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let compacted = with_log(|log| {
        (log.delete, log.compact, log.segment_bytes) = (false, true, 300);
    });
    let partition = led(&store, 0, &compacted);
    for number in 0..50 {
        append(&partition, &[&number.to_string()]).unwrap();
    }
    assert!(!store.clean_step(1 << 20, NOW), "nothing is durable yet");
    assert_eq!(store.observed().clean.numbers().count, 0);
    store.flush_step(0, NOW);
    assert!(store.clean_step(1 << 20, NOW));
    assert!(!store.clean_step(1 << 20, NOW));
    let observed = store.observed();
    let rounds = observed.clean.numbers().count;
    let failed = observed.clean_failed.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((rounds, failed), (1, 0));
    assert!(observed.flush.numbers().count > 0);
    let left = consume(&partition, 0);
    assert!(left.len() < 10 && left.last().unwrap() == "49", "{left:?}");
    assert_eq!(partition.status().unwrap().log_end_offset, 50);
}

#[test]
fn segments_that_get_no_more_records_are_synced() {
    let store = store(&SimDisk::new());
    let partition = led(&store, 0, &with_log(|log| log.segment_bytes = 300));
    for _ in 0..20 {
        append(&partition, &["0123456789"]).unwrap();
    }
    store.flush_step(0, NOW);
    partition.with_log(|log| assert!(!log.has_unflushed_segment())).unwrap();
}

#[test]
fn a_followers_segments_are_synced_too() {
    let leader = led(&store(&SimDisk::new()), 0, &config());
    for _ in 0..20 {
        append(&leader, &["0123456789"]).unwrap();
    }
    let all = leader.read(&Read::consumer(0, 1 << 20, Isolation::LogEnd)).unwrap();
    let store = store(&SimDisk::new());
    let small = with_log(|log| log.segment_bytes = 300);
    let follower = store.create(&of(0), ID, &small, true).unwrap();
    follower.set_state(&PartitionState { leader: Some(2), ..alone(0) }, NOW).unwrap();
    let said = FollowedLeader { epoch: 0, high_watermark: 20, log_start: 0 };
    let bytes = all.fetched.range.unwrap().read().unwrap();
    follower.append_as_follower(&bytes, said, NOW).unwrap();
    follower.with_log(|log| assert!(log.has_unflushed_segment())).unwrap();
    store.flush_step(0, NOW);
    follower.with_log(|log| assert!(!log.has_unflushed_segment())).unwrap();
}

#[test]
fn what_a_crash_could_lose_is_bounded() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, Settings { unflushed_limit_bytes: 2000, ..settings(&["/a"]) });
    let partitions: Vec<_> = (0..3).map(|number| led(&store, number, &config())).collect();
    let unflushed = || -> u64 {
        let one = |of: &Arc<crate::Partition<_>>| of.with_log(|log| log.unflushed_bytes()).unwrap();
        partitions.iter().map(one).sum()
    };
    for round in 0..100 {
        append(&partitions[round % 3], &["0123456789"]).unwrap();
        if unflushed() > 2000 {
            store.flush_step(0, NOW);
            assert!(unflushed() <= 1000);
        }
    }
}

#[test]
fn a_topics_configuration_reaches_all_its_partitions() {
    let store = store(&SimDisk::new());
    (0..3).for_each(|number| drop(led(&store, number, &config())));
    let changed = TopicConfig {
        log: LogConfig { max_message_bytes: 70, ..LogConfig::default() },
        ..TopicConfig::default()
    };
    store.set_config("t", &changed.into());
    for partition in store.partitions() {
        append(&partition, &["this is longer than it may be"]).unwrap_err();
    }
}

#[test]
fn the_background_threads_do_the_work_and_end() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let partition = led(&store, 0, &config());
    store.start().unwrap();
    let options =
        crate::AppendOptions { durable: true, ..crate::AppendOptions::client(crate::Acks::All) };
    let mut bytes = crate::testing::batch(&["a"]);
    let wait = partition.append(&mut bytes, options, NOW).unwrap().wait.unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(wait.done()).unwrap();
    assert_eq!(store.close(), 0);
    assert_eq!(
        (partition.failure(), store.why_missing()),
        (Some(Refused::NotLeader), Refused::NotLeader)
    );
}

/// Fetches whose wait would end by a timeout only, and the appends they wait for, on threads of their
/// own: one wake-up that is lost, and the test does not end in time.
#[test]
fn no_fetch_sleeps_while_there_are_records() {
    const PARTITIONS: i32 = 3;
    const RECORDS: usize = 400;
    let store = store(&SimDisk::new());
    (0..PARTITIONS).for_each(|number| drop(led(&store, number, &config())));
    let consume_all = || {
        let waiter = FetchWaiter::new();
        let mut offsets = [0_i64; PARTITIONS as usize];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        while offsets.iter().sum::<i64>() < (RECORDS * PARTITIONS as usize) as i64 {
            let mut answers = Vec::new();
            for (at, offset) in offsets.iter_mut().enumerate() {
                let partition = store.partition("t", at as i32).unwrap();
                let read = Read::consumer(*offset, 1 << 20, Isolation::HighWatermark);
                let answer = partition.read(&read).unwrap();
                // Every record is a batch of its own.
                if answer.bytes() > 0 {
                    *offset = answer.fetched.high_watermark;
                }
                answers.push((partition, answer));
            }
            if answers.iter().all(|(_, answer)| answer.bytes() == 0) {
                let round = waiter.begin(1);
                for (partition, answer) in &answers {
                    let seen = answer.seen(Isolation::HighWatermark);
                    partition.wait_beyond(seen, Isolation::HighWatermark, &waiter, round);
                }
                let ready = async {
                    let most = std::time::Duration::from_secs(60);
                    tokio::time::timeout(most, waiter.ready()).await.unwrap();
                };
                runtime.block_on(ready);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(consume_all)));
        for number in 0..PARTITIONS {
            let store = &store;
            scope.spawn(move || {
                let partition = store.partition("t", number).unwrap();
                for _ in 0..RECORDS {
                    append(&partition, &["a"]).unwrap();
                    std::thread::yield_now();
                }
            });
        }
    });
}

/// Directories `/a` and others on disks of their own.
#[derive(Clone, Debug)]
struct TwoDisks([SimDisk; 2]);

impl TwoDisks {
    fn of(&self, path: &Path) -> &SimDisk {
        &self.0[usize::from(!path.starts_with("/a"))]
    }
}

impl polyport_storage::Disk for TwoDisks {
    type File = polyport_storage::disk::SimFile;

    fn create(&self, path: &Path) -> std::io::Result<Self::File> {
        self.of(path).create(path)
    }
    fn open(&self, path: &Path) -> std::io::Result<Self::File> {
        self.of(path).open(path)
    }
    fn read(&self, path: &Path, limit_bytes: u64) -> std::io::Result<Vec<u8>> {
        self.of(path).read(path, limit_bytes)
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        self.of(dir).list(dir)
    }
    fn list_dirs(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        self.of(dir).list_dirs(dir)
    }
    fn rename_dir(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.of(from).rename_dir(from, to)
    }
    fn remove_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        self.of(dir).remove_dir_all(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.of(from).rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.of(path).remove(path)
    }
    fn create_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        self.of(dir).create_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        self.of(dir).sync_dir(dir)
    }
}
