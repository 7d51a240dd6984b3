//! Measures partitions at work on a real disk. Not run in CI.
//!
//! ```text
//! at-work bench DIR SECONDS     appends of 16 KiB from 4 threads to 8 partitions, then reads
//! at-work make DIR PARTITIONS MIB   makes partitions with so much in each, and is killed
//! at-work open DIR THREADS [close]  opens them; says how long it took and what memory it takes
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use polyport_base::clock::{Clock as _, SystemClock};
use polyport_log::batch::BatchBuilder;
use polyport_log::checkpoint::partition_metadata::TopicId;
use polyport_log::{Isolation, TopicPartition};
use polyport_partitions::{
    Acks, AppendOptions, FetchWaiter, Partition, PartitionState, Read, Settings, Store, TopicConfig,
};
use polyport_storage::OsDisk;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const THREADS: usize = 4;

fn settings(dir: &str, threads: usize) -> Settings {
    Settings {
        broker_id: 1,
        cluster_id: "measured".into(),
        log_dirs: vec![PathBuf::from(dir)],
        recovery_threads_per_dir: threads,
        ..Settings::default()
    }
}

fn open(dir: &str, threads: usize) -> Result<Store<OsDisk>, Box<dyn std::error::Error>> {
    let config = Arc::new(TopicConfig::default());
    let begun = Instant::now();
    let clock = Arc::new(SystemClock);
    let (store, opened) = Store::open(OsDisk, settings(dir, threads), clock, &|_| config.clone())?;
    let took = begun.elapsed();
    println!(
        "opened {} partitions in {took:?}, {} MiB checked, clean: {}",
        opened.partitions,
        opened.scanned_bytes >> 20,
        opened.unclean_dirs.is_empty()
    );
    let begun = Instant::now();
    for partition in store.partitions() {
        lead(&partition)?;
    }
    println!("led after {:?} more", begun.elapsed());
    Ok(store)
}

fn lead(partition: &Partition<OsDisk>) -> Outcome {
    let epoch = partition.status()?.leader_epoch + 1;
    let state = PartitionState {
        leader: Some(1),
        leader_epoch: epoch,
        partition_epoch: epoch,
        replicas: vec![1],
        isr: vec![1],
    };
    partition.set_state(&state, SystemClock.now())?;
    Ok(())
}

fn make(
    store: &Store<OsDisk>,
    count: i32,
) -> Result<Vec<Arc<Partition<OsDisk>>>, Box<dyn std::error::Error>> {
    let config = Arc::new(TopicConfig::default());
    let of = |partition| TopicPartition { topic: "measured".into(), partition };
    let wanted: Vec<_> =
        (0..count).map(|number| (of(number), TopicId([1; 16]), config.clone())).collect();
    let mut made = Vec::new();
    for (_, partition) in store.create_all(&wanted, true) {
        let partition = partition?;
        lead(&partition)?;
        made.push(partition);
    }
    made.sort_unstable_by_key(|partition| partition.of().partition);
    Ok(made)
}

/// A batch of records of about 1 KiB.
fn batch(records: usize) -> Result<Vec<u8>, std::io::Error> {
    let mut builder = BatchBuilder::new(0);
    let mut value = vec![0_u8; 1010];
    for (at, byte) in value.iter_mut().enumerate() {
        *byte = (at * 31 % 251) as u8;
    }
    (0..records).for_each(|_| builder.push(SystemClock.now().0, None, Some(&value)));
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes)?;
    Ok(bytes)
}

fn tell(what: &str, bytes: u64, mut times: Vec<Duration>, took: Duration) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "{what}: {:.0} MB/s, {:.0}/s; p50 {:?} p99 {:?} p99.9 {:?} max {:?}",
        bytes as f64 / 1e6 / took.as_secs_f64(),
        times.len() as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// Runs `act` on several threads for a while; it says how many bytes it moved.
fn run(
    what: &str,
    threads: usize,
    lasts: Duration,
    act: impl Fn(usize, usize, &mut Vec<u8>) -> u64 + Sync,
) {
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let one = |thread: usize| {
        let (mut times, mut bytes, mut buffer) = (Vec::new(), 0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let at = Instant::now();
            bytes += act(thread, times.len(), &mut buffer);
            times.push(at.elapsed());
            if thread == 0 && begun.elapsed() >= lasts {
                stop.store(true, Ordering::Relaxed);
            }
        }
        (times, bytes)
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let took = begun.elapsed();
    let bytes = all.iter().map(|(_, bytes)| bytes).sum();
    tell(what, bytes, all.into_iter().flat_map(|(times, _)| times).collect(), took);
}

fn bench(dir: &str, seconds: u64) -> Outcome {
    let store = open(dir, 1)?;
    store.start()?;
    let partitions = make(&store, 8)?;
    let lasts = Duration::from_secs(seconds);
    let options = AppendOptions::client(Acks::All);
    for (records, name) in [(16, "16 KiB"), (1, "1 KiB")] {
        let sent = batch(records)?;
        let append = |thread: usize, round: usize, buffer: &mut Vec<u8>| {
            buffer.clear();
            buffer.extend_from_slice(&sent);
            let partition = store.partition("measured", ((thread + round * 3) % 8) as i32);
            let done = partition.and_then(|of| of.append(buffer, options, SystemClock.now()).ok());
            done.map_or(0, |_| sent.len() as u64)
        };
        run(&format!("append {name}"), THREADS, lasts, append);
    }
    let ends: Vec<i64> = partitions
        .iter()
        .map(|of| of.status().map(|of| of.log_end_offset))
        .collect::<Result<_, _>>()?;
    let read = |at: usize, offset: i64, max_bytes: u64, buffer: Option<&mut Vec<u8>>| -> u64 {
        let read = Read::consumer(offset, max_bytes, Isolation::HighWatermark);
        let Ok(answer) = partitions[at].read(&read) else { return 0 };
        if let (Some(buffer), Some(range)) = (buffer, &answer.fetched.range) {
            buffer.clear();
            let _ = range.read_into(buffer);
        }
        answer.bytes()
    };
    let short = lasts.min(Duration::from_secs(3));
    run("find 1 MiB anywhere", THREADS, short, |thread, round, _| {
        let at = (thread + round) % 8;
        read(at, (round as i64 * 7919) % ends[at], 1 << 20, None)
    });
    run("read 1 MiB of the newest 100 MB", THREADS, short, |thread, round, buffer| {
        let at = (thread + round) % 8;
        let offset = ends[at] - 1 - (round as i64 * 997) % ends[at].min(10_000);
        read(at, offset, 1 << 20, Some(buffer))
    });
    run("read the last batch", THREADS, short, |thread, round, buffer| {
        let at = (thread + round) % 8;
        read(at, ends[at] - 1, 1 << 20, Some(buffer))
    });
    run("poll 8 partitions in vain, and wait", THREADS, short, |_, _, _| {
        let waiter = FetchWaiter::new();
        let round = waiter.begin(1);
        for (at, partition) in partitions.iter().enumerate() {
            read(at, ends[at], 1 << 20, None);
            partition.wait_beyond(ends[at], Isolation::HighWatermark, &waiter, round);
        }
        0
    });
    let begun = Instant::now();
    let failed = store.close();
    println!("closed in {:?}, {failed} directories failed", begun.elapsed());
    Ok(())
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    format!("{}, {files} open files", line.unwrap_or("unknown"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let run = || -> Outcome {
        match (arguments.first().map(String::as_str), arguments.get(1), number(2)) {
            (Some("bench"), Some(dir), Some(seconds)) => bench(dir, seconds),
            (Some("make"), Some(dir), Some(count)) => {
                let store = open(dir, 1)?;
                store.start()?;
                let begun = Instant::now();
                let made = make(&store, i32::try_from(count)?)?;
                println!("made in {:?}; {}", begun.elapsed(), memory());
                let sent = batch(64)?;
                for _ in 0..number(3).unwrap_or(0) * 16 {
                    for partition in &made {
                        let options = AppendOptions::client(Acks::All);
                        partition.append(&mut sent.clone(), options, SystemClock.now())?;
                    }
                }
                println!("filled after {:?}; {}", begun.elapsed(), memory());
                // As kill -9 would: nothing is written any more.
                std::process::abort()
            }
            (Some("open"), Some(dir), Some(threads)) => {
                println!("before: {}", memory());
                let store = open(dir, usize::try_from(threads)?)?;
                println!("open: {}", memory());
                if arguments.get(3).is_some() {
                    let begun = Instant::now();
                    let failed = store.close();
                    println!("closed in {:?}, {failed} directories failed", begun.elapsed());
                }
                Ok(())
            }
            _ => Err("usage: see the example's source".into()),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
