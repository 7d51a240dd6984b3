//! Writes a partition's log to a directory, or prints the records of one, so that another reader or
//! writer of Kafka's format can be compared: `log-files write DIR`, `log-files read DIR`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use polyport_base::clock::{Clock as _, SystemClock};
use polyport_log::batch::{Attributes, Batch, BatchBuilder, Codec, EndMarker};
use polyport_log::producer::Origin;
use polyport_log::{Isolation, Log, LogConfig, OpenPoints};
use polyport_storage::OsDisk;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 10, ..LogConfig::default() }
}

fn write(dir: &Path) -> Outcome {
    let now = SystemClock.now();
    let (mut log, _) = Log::open(OsDisk, dir, config(), OpenPoints::default(), now)?;
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let mut sequence = 0;
    for number in 0..400_i32 {
        let transactional = number % 10 >= 5;
        let attributes = Attributes::default()
            .with_codec(codecs[number as usize % 5])
            .with_transactional(transactional);
        let records = 1 + number % 7;
        let mut builder = BatchBuilder::new(0).attributes(attributes);
        if transactional {
            builder = builder.producer(77, 0, sequence);
            sequence += records;
        }
        for record in 0..records {
            let key = format!("key-{number}-{record}");
            let value = format!("value {number} {}", "abc".repeat(number as usize % 300));
            let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"n", None)];
            let timestamp = 1_700_000_000_000 + i64::from(number);
            builder.push_with_headers(
                timestamp,
                Some(key.as_bytes()),
                Some(value.as_bytes()),
                &headers,
            );
        }
        let mut batch = Vec::new();
        builder.build(None, &mut batch)?;
        log.append_as_leader(&mut batch, 3 + number / 150, Origin::Client, now)?;
        if number % 10 == 9 {
            let marker = EndMarker { commit: number % 20 == 9, coordinator_epoch: 1 };
            let mut batch = marker.build(77, 0, 1_700_000_000_000 + i64::from(number));
            log.append_as_leader(&mut batch, 3 + number / 150, Origin::Coordinator, now)?;
        }
    }
    let end = log.log_end_offset();
    log.close()?;
    println!("{end}");
    Ok(())
}

fn read(dir: &Path) -> Outcome {
    let (log, recovered) =
        Log::open(OsDisk, dir, config(), OpenPoints::default(), SystemClock.now())?;
    eprintln!("{recovered:?}, epochs {:?}", log.leader_epochs());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut offset = log.log_start_offset();
    while let Some(range) = log.read(offset, 1 << 20, true, Isolation::LogEnd)?.range {
        let bytes = range.read()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (batch, after) = Batch::split_first(rest)?;
            rest = after;
            batch.check_crc()?;
            offset = batch.header().next_offset();
            if batch.header().attributes.is_control() {
                let marker = EndMarker::read(&batch)?;
                let commit = marker.is_some_and(|marker| marker.commit);
                writeln!(out, "{} marker commit={commit}", batch.header().base_offset)?;
                continue;
            }
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch, 64 << 20)? {
                let record = record?;
                let text = |part: Option<&[u8]>| {
                    part.map_or("null".into(), |part| String::from_utf8_lossy(part).into_owned())
                };
                writeln!(
                    out,
                    "{} {} {} {}",
                    record.offset,
                    record.timestamp,
                    text(record.key),
                    text(record.value)
                )?;
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", dir] => write(Path::new(dir)),
        ["read", dir] => read(Path::new(dir)),
        _ => Err("usage: log-files write|read DIR".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
