//! Runs every fuzz target for a short time on mutated well-formed inputs: the smoke test of
//! `make test`. `fuzz-smoke [--seconds N] [--seed N] [--write-corpus DIR] [--input FILE] [target…]`.
//!
//! The same seed gives the same inputs. What fails is written to `fuzz/artifacts/<target>/`.

mod allocations;
mod mutate;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutate::Mutator;
use polyport_fuzz::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: allocations::Watching = allocations::Watching;

/// Longest input: longer ones find little and take long.
const MAX_INPUT_BYTES: usize = 4096;
/// What one input may make a decoder ask for at once, besides a multiple of its own length.
const MAX_ALLOCATION_BYTES: usize = 16 << 20;
/// No input of that length may take longer, in processor time: a busy machine is no finding.
const MAX_TIME: Duration = Duration::from_secs(2);

struct Options {
    seconds: f64,
    seed: u64,
    write_corpus: Option<PathBuf>,
    input: Option<PathBuf>,
    targets: Vec<&'static Target>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 5.0,
        seed: 1,
        write_corpus: None,
        input: None,
        targets: TARGETS.iter().collect(),
    };
    let mut named = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--seconds" => options.seconds = value()?.parse().map_err(|_| "--seconds: a number")?,
            "--seed" => options.seed = value()?.parse().map_err(|_| "--seed: a number")?,
            "--write-corpus" => options.write_corpus = Some(value()?.into()),
            "--input" => options.input = Some(value()?.into()),
            name => named.push(
                TARGETS
                    .iter()
                    .find(|target| target.name == name)
                    .ok_or_else(|| format!("no such target: {name}"))?,
            ),
        }
    }
    if !named.is_empty() {
        options.targets = named;
    }
    Ok(options)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("fuzz-smoke: {problem}");
            return ExitCode::from(2);
        }
    };
    if let Some(dir) = &options.write_corpus {
        return write_corpus(dir, &options.targets);
    }
    let mut failed = 0;
    for target in &options.targets {
        let started = Instant::now();
        let result = match &options.input {
            Some(file) => std::fs::read(file)
                .map_err(|error| error.to_string())
                .and_then(|bytes| check(target, &bytes).map(|()| 1)),
            None => smoke(target, &options),
        };
        match result {
            Ok(inputs) => {
                let seconds = started.elapsed().as_secs_f64();
                println!("fuzz {:<18} ok      {inputs} inputs in {seconds:.1} s", target.name);
            }
            Err(reason) => {
                failed += 1;
                println!("fuzz {:<18} FAILED  {reason}", target.name);
            }
        }
    }
    polyport_fuzz::tidy_up();
    println!("{} passed, {failed} failed", options.targets.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The committed corpus, oldest name first, and the target's own seeds.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let folder = root().join("corpus").join(target.name);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.sort();
    inputs.extend(files.iter().filter_map(|file| std::fs::read(file).ok()));
    inputs
}

fn smoke(target: &Target, options: &Options) -> Result<u64, String> {
    let mut corpus = corpus(target);
    if corpus.is_empty() {
        return Err("has no well-formed input to begin from".to_owned());
    }
    let mut inputs = 0;
    for input in &corpus {
        judge(target, input)?;
        inputs += 1;
    }
    corpus.retain(|input| input.len() <= MAX_INPUT_BYTES);
    let mut mutator = Mutator::new(options.seed, MAX_INPUT_BYTES);
    let end = Instant::now() + Duration::from_secs_f64(options.seconds);
    while Instant::now() < end {
        let input = mutator.next(&corpus);
        judge(target, &input)?;
        inputs += 1;
    }
    Ok(inputs)
}

/// Runs one input; a failing one is kept.
fn judge(target: &Target, input: &[u8]) -> Result<(), String> {
    check(target, input).map_err(|reason| {
        let folder = root().join("artifacts").join(target.name);
        let file = folder.join(format!("{:016x}", mutate::fingerprint(input)));
        let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
        match kept {
            Ok(()) => format!("{reason}; input kept in {}", file.display()),
            Err(error) => format!("{reason}; input {input:02x?} ({error})"),
        }
    })
}

/// What this thread has used.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn check(target: &Target, input: &[u8]) -> Result<(), String> {
    allocations::reset();
    let started = processor_time();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = processor_time().saturating_sub(started);
    let largest = allocations::largest();
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked");
        return Err(format!("panic: {text}"));
    }
    if largest > MAX_ALLOCATION_BYTES + 64 * input.len() {
        return Err(format!("asked for {largest} bytes at once for {} of input", input.len()));
    }
    if took > MAX_TIME {
        return Err(format!("took {took:?} for {} bytes of input", input.len()));
    }
    Ok(())
}

/// Writes the seeds as files, for libFuzzer to begin from.
fn write_corpus(dir: &Path, targets: &[&Target]) -> ExitCode {
    for target in targets {
        let folder = dir.join(target.name);
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let file = folder.join(format!("seed-{number:02}"));
            let written = std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::File::create(&file))
                .and_then(|mut file| file.write_all(seed));
            if let Err(error) = written {
                eprintln!("fuzz-smoke: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
