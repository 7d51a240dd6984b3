//! A `.log` file: its batches and their records.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use polyport_log::batch::{
    Batch, BatchError, Codec, EndMarker, Header, LOG_OVERHEAD, Record, size_of_first,
};

use super::{Depth, WHOLE, absolute, base_offset, io_failure};
use crate::kafka::stop::Failure;
use crate::zk_cli::Console;

/// Decompressed records beyond this are no batch of a broker.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// The batches of a file, in order.
pub struct Batches {
    file: BufReader<File>,
    left: u64,
    bytes: Vec<u8>,
    /// Where the next one begins.
    pub position: u64,
}

impl Batches {
    /// Of the first `max_bytes` of a file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| io_failure(path, &error);
        let file = File::open(path).map_err(failed)?;
        let left = file.metadata().map_err(failed)?.len().min(max_bytes);
        Ok(Self { file: BufReader::new(file), left, bytes: Vec::new(), position: 0 })
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next batch, with where it begins; `None` where none begins or the file ends before it.
    pub fn next(&mut self) -> Option<(u64, Batch<'_>)> {
        self.bytes.clear();
        self.read(LOG_OVERHEAD)?;
        let size = size_of_first(&self.bytes).ok()?;
        if size as u64 > self.left {
            return None;
        }
        self.read(size - LOG_OVERHEAD)?;
        let at = self.position;
        self.left -= size as u64;
        self.position += size as u64;
        match Batch::split_first(&self.bytes) {
            Ok((batch, _)) => Some((at, batch)),
            Err(_) => {
                self.left += size as u64;
                None
            }
        }
    }

    fn read(&mut self, bytes: usize) -> Option<()> {
        if bytes as u64 > self.left {
            return None;
        }
        // `take` keeps memory to what is there, whatever the length says.
        let read = self.file.by_ref().take(bytes as u64).read_to_end(&mut self.bytes).ok()?;
        (read == bytes).then_some(())
    }
}

fn codec_name(codec: Result<Codec, BatchError>) -> &'static str {
    match codec {
        Ok(Codec::None) => "none",
        Ok(Codec::Gzip) => "gzip",
        Ok(Codec::Snappy) => "snappy",
        Ok(Codec::Lz4) => "lz4",
        Ok(Codec::Zstd) => "zstd",
        Err(_) => "unknown",
    }
}

fn timestamp_type(header: &Header) -> &'static str {
    if header.attributes.is_log_append_time() { "LogAppendTime" } else { "CreateTime" }
}

/// The line of a batch.
pub fn batch_line(batch: &Batch<'_>, position: u64) -> String {
    let header = batch.header();
    let horizon = match header.delete_horizon() {
        Some(horizon) => format!("OptionalLong[{horizon}]"),
        None => "OptionalLong.empty".to_owned(),
    };
    let last_sequence = if header.base_sequence < 0 { -1 } else { header.last_sequence() };
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {last_sequence} \
         producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
         deleteHorizonMs: {horizon} position: {position} {}: {} size: {} magic: 2 compresscodec: {} \
         crc: {} isvalid: {}",
        header.base_offset,
        header.last_offset(),
        header.count,
        header.base_sequence,
        header.producer_id,
        header.producer_epoch,
        header.leader_epoch,
        header.attributes.is_transactional(),
        header.attributes.is_control(),
        timestamp_type(header),
        header.max_timestamp,
        header.size_bytes,
        codec_name(header.attributes.codec()),
        header.crc,
        batch.check_crc().is_ok()
    )
}

/// The line of a record.
pub fn record_line(
    header: &Header,
    record: &Record<'_>,
    marker: Option<EndMarker>,
    metadata: bool,
    contents: bool,
) -> String {
    let size = |field: Option<&[u8]>| field.map_or(-1, |it| it.len() as i64);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut line = "|".to_owned();
    if metadata {
        let sequence = match header.base_sequence {
            base if base < 0 => -1,
            base => {
                let delta = record.offset - header.base_offset;
                ((i64::from(base) + delta) & i64::from(i32::MAX)) as i32
            }
        };
        let names: Vec<_> = record.headers.iter().map(|(name, _)| text(name)).collect();
        line.push_str(&format!(
            " offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            timestamp_type(header),
            record.timestamp,
            size(record.key),
            size(record.value),
            names.join(",")
        ));
        if let Some(marker) = marker {
            let kind = if marker.commit { "COMMIT" } else { "ABORT" };
            let epoch = marker.coordinator_epoch;
            line.push_str(&format!(" endTxnMarker: {kind} coordinatorEpoch: {epoch}"));
        }
    }
    if contents && !header.attributes.is_control() {
        if let Some(key) = record.key {
            line.push_str(&format!(" key: {}", text(key)));
        }
        if let Some(value) = record.value {
            line.push_str(&format!(" payload: {}", text(value)));
        }
    }
    line
}

/// Prints a log; gives what is wrong with it.
pub fn dump(path: &Path, depth: &Depth, console: &Console) -> Result<Vec<String>, Failure> {
    console.line(&format!("Log starting offset: {}", base_offset(path)?));
    let mut batches = Batches::open(path, depth.max_bytes)?;
    let mut last: Option<i64> = None;
    let mut gaps = Vec::new();
    while let Some((position, batch)) = batches.next() {
        console.line(&batch_line(&batch, position));
        if !depth.records {
            continue;
        }
        let corrupt = |error: BatchError| {
            Failure::new("org.apache.kafka.common.errors.CorruptRecordException", error.to_string())
        };
        let marker = match batch.header().attributes.is_control() {
            true => EndMarker::read(&batch).map_err(corrupt)?,
            false => None,
        };
        let mut scratch = Vec::new();
        for record in batch.records(&mut scratch, MAX_BATCH_BYTES).map_err(corrupt)? {
            let record = record.map_err(corrupt)?;
            if let Some(last) = last
                && record.offset != last + 1
            {
                gaps.push(format!("  {last} is followed by {}", record.offset));
            }
            last = Some(record.offset);
            let (metadata, contents) = (depth.metadata, depth.contents);
            console.line(&record_line(batch.header(), &record, marker, metadata, contents));
        }
    }
    if batches.left() > 0 && depth.max_bytes == WHOLE {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        console.line(&format!("Found {} invalid bytes at the end of {name}", batches.left()));
    }
    if !gaps.is_empty() {
        gaps.push(format!("Non-consecutive offsets in {}", absolute(path)));
        // The last one found is told first.
        gaps.reverse();
    }
    Ok(gaps)
}
