//! `kafka-dump-log.sh`: what is in the files of a partition. It reads files and speaks to nobody.

mod indexes;
mod segment;

use std::path::{Path, PathBuf};

use super::options::{HELP, Opt, VERSION, parse, require};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::flag("print-data-log", "Print the records' keys and values, too."),
    Opt::flag("verify-index-only", "Only check indexes against their logs, without printing them."),
    Opt::flag("index-sanity-check", "Only check that indexes are sane."),
    Opt::text(
        "files",
        "file1, file2, ...",
        "REQUIRED: The files, with commas between: .log, .index, .timeindex, .txnindex, .snapshot.",
    )
    .list(','),
    Opt::integer("max-message-size", "size", "Size of largest message.").or("5242880"),
    Opt::integer("max-bytes", "size", "How many bytes of a log are read at most.").or("2147483647"),
    Opt::flag("deep-iteration", "Print the records, too; --print-data-log does so, too."),
    Opt::flag("skip-record-metadata", "Print nothing of a record but its key and value."),
];

const PURPOSE: &str = "This tool helps to parse a log file and dump its contents to the console, \
                       useful for debugging a seemingly corrupt log segment.";
const WHOLE: u64 = i32::MAX as u64;

/// What is printed.
#[derive(Clone, Copy, Debug)]
struct Depth {
    records: bool,
    contents: bool,
    metadata: bool,
    max_bytes: u64,
    verify_only: bool,
    sanity_only: bool,
}

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    exit_code(dump(args, console), console, ALL, |failure| {
        console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
        1
    })
}

fn dump(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    require(&parsed, &["files"]).map_err(Stop::Usage)?;
    let contents = parsed.has("print-data-log");
    let depth = Depth {
        records: contents || parsed.has("deep-iteration"),
        contents,
        metadata: !parsed.has("skip-record-metadata"),
        max_bytes: parsed.number("max-bytes")?.unwrap_or(WHOLE),
        verify_only: parsed.has("verify-index-only"),
        sanity_only: parsed.has("index-sanity-check"),
    };
    let mut problems = Vec::new();
    for file in parsed.values("files") {
        let path = PathBuf::from(file);
        console.line(&format!("Dumping {file}"));
        let found = match path.extension().and_then(|it| it.to_str()) {
            Some("log") => segment::dump(&path, &depth, console)?,
            Some("index") => indexes::offsets(&path, &depth, console)?,
            Some("timeindex") => indexes::times(&path, &depth, console)?,
            Some("txnindex") => indexes::transactions(&path, console)?,
            Some("snapshot") => indexes::producers(&path, console)?,
            _ => {
                console.error(&format!("Ignoring unknown file {file}"));
                Vec::new()
            }
        };
        problems.extend(found);
    }
    problems.iter().for_each(|line| console.error(line));
    Ok(())
}

fn io_failure(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new("java.nio.file.NoSuchFileException", path.display().to_string())
        }
        _ => Failure::new("java.io.IOException", format!("{}: {error}", path.display())),
    }
}

/// The offset that a file's name begins with.
fn base_offset(path: &Path) -> Result<i64, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.split('.').next().unwrap_or_default();
    digits.parse().map_err(|_| {
        let message = format!("For input string: \"{digits}\"");
        Failure::new("java.lang.NumberFormatException", message)
    })
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests;
