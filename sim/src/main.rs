//! `polyport-sim`: runs seeds, and replays one.
//!
//! Each seed has a process of its own: libraries count their random draws for the whole process, so
//! a second run in one process would not be the first again.

use std::ops::Range;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use polyport_sim::kafka::{self, Rules};
use polyport_sim::{Report, Scenario, run_seed};

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
    /// Begin no more seeds once one has failed.
    #[arg(long)]
    first: bool,
    /// Run this seed only, twice, and compare.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Run this seed only, in this process, and print numbers and failures by line.
    #[arg(long, value_name = "SEED", hide = true)]
    one: Option<u64>,
    /// Leaders that do not last and a client that has vanished, instead of faults of all kinds.
    #[arg(long)]
    succession: bool,
    /// Kafka's partitions between brokers, instead of the tree between nodes.
    #[arg(long, conflicts_with = "succession")]
    kafka: bool,
    /// Break this rule of Kafka's world on purpose, for a checker to find.
    #[arg(long, value_name = "RULE", requires = "kafka", value_parser = broken)]
    broken: Option<String>,
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

fn broken(name: &str) -> Result<String, String> {
    match Rules::broken(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err("no rule of that name".to_owned()),
    }
}

impl Arguments {
    /// Runs a seed in this process.
    fn run(&self, seed: u64) -> Report {
        if self.kafka {
            let rules = self.broken.as_deref().and_then(Rules::broken).unwrap_or_default();
            return kafka::run(seed, rules, self.trace);
        }
        let scenario = match self.succession {
            true => Scenario::Succession,
            false => Scenario::Torment,
        };
        run_seed(seed, scenario, self.trace)
    }

    /// What a process that runs a seed is to be told of all this.
    fn kind(&self) -> Vec<&str> {
        let mut kind = Vec::new();
        if self.succession {
            kind.push("--succession");
        }
        if self.kafka {
            kind.push("--kafka");
        }
        if let Some(rule) = &self.broken {
            kind.extend(["--broken", rule]);
        }
        kind
    }
}

/// Runs a seed in a process of its own.
fn in_process(seed: u64, arguments: &Arguments) -> Report {
    let broken = |what: String| Report {
        seed,
        digest: 0,
        failures: vec![what],
        answered: 0,
        entries: 0,
        restored: 0,
    };
    let child = std::env::current_exe().and_then(|program| {
        let mut child = Command::new(program);
        child.args(["--one", &seed.to_string()]).args(arguments.kind());
        child.output()
    });
    let output = match child {
        Ok(child) => String::from_utf8_lossy(&child.stdout).into_owned(),
        Err(error) => return broken(format!("no process for the seed: {error}")),
    };
    let mut lines = output.lines();
    let numbers: Option<Vec<u64>> =
        lines.next().and_then(|line| line.split(' ').map(|word| word.parse().ok()).collect());
    let Some([digest, answered, entries, restored]) = numbers.as_deref() else {
        return broken("the process of the seed died".to_owned());
    };
    Report {
        seed,
        digest: *digest,
        failures: lines.map(str::to_owned).collect(),
        answered: *answered as usize,
        entries: *entries as usize,
        restored: *restored,
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(level) = arguments.log {
        tracing_subscriber::fmt().with_max_level(level).without_time().init();
    }
    if let Some(seed) = arguments.one {
        let report = arguments.run(seed);
        let Report { digest, answered, entries, restored, failures, .. } = report;
        println!("{digest} {answered} {entries} {restored}");
        failures.iter().for_each(|failure| println!("{}", failure.replace('\n', " ")));
        return ExitCode::SUCCESS;
    }
    if let Some(seed) = arguments.replay {
        let report = arguments.run(seed);
        println!("{report:#x?}");
        let same = in_process(seed, &arguments).digest == report.digest;
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
                    let is_found = arguments.first && failed.load(Ordering::Relaxed) > 0;
                    if is_found || seed >= arguments.seeds.end {
                        return;
                    }
                    let report = in_process(seed, &arguments);
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
    let (entries_are, restored_are) = match arguments.kafka {
        true => ("states of partitions", "truncations"),
        false => ("log entries", "snapshots installed"),
    };
    println!(
        "{} seeds, {} failed; {} requests answered, {} {entries_are}, {} {restored_are}",
        arguments.seeds.end.saturating_sub(arguments.seeds.start),
        get(&failed),
        get(&answered),
        get(&entries),
        get(&restored)
    );
    ExitCode::from(u8::from(get(&failed) > 0))
}
