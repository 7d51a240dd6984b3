//! `polyport-sim`: runs seeds, and replays one.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use polyport_sim::run_seed;

/// Seeded clusters under faults.
#[derive(Parser)]
#[command(name = "polyport-sim")]
struct Arguments {
    /// Seeds to run, the second excluded.
    #[arg(long, value_name = "A..B", value_parser = range, default_value = "0..100")]
    seeds: Range<u64>,
    /// Seeds at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run this seed only, twice, and compare.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Print everything that happens.
    #[arg(long)]
    trace: bool,
    /// Print the nodes' own log at this level as well.
    #[arg(long, value_name = "LEVEL")]
    log: Option<tracing::Level>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("two numbers with two dots in between")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(level) = arguments.log {
        tracing_subscriber::fmt().with_max_level(level).without_time().init();
    }
    if let Some(seed) = arguments.replay {
        let report = run_seed(seed, arguments.trace);
        println!("{report:#x?}");
        let same = run_seed(seed, false).digest == report.digest;
        println!("{}", if same { "replays exactly" } else { "DOES NOT REPLAY" });
        return ExitCode::from(u8::from(!report.failures.is_empty() || !same));
    }
    let next = AtomicU64::new(arguments.seeds.start);
    let failed = AtomicU64::new(0);
    let (answered, entries, restored) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.seeds.end {
                        return;
                    }
                    let report = run_seed(seed, arguments.trace);
                    answered.fetch_add(report.answered as u64, Ordering::Relaxed);
                    entries.fetch_add(report.entries as u64, Ordering::Relaxed);
                    restored.fetch_add(report.restored, Ordering::Relaxed);
                    if !report.failures.is_empty() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed} FAILED: {}", report.failures[0]);
                        for more in report.failures.iter().skip(1).take(3) {
                            println!("    {more}");
                        }
                    }
                }
            });
        }
    });
    let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "{} seeds, {} failed; {} requests answered, {} log entries, {} snapshots installed",
        arguments.seeds.end.saturating_sub(arguments.seeds.start),
        get(&failed),
        get(&answered),
        get(&entries),
        get(&restored)
    );
    ExitCode::from(u8::from(get(&failed) > 0))
}
