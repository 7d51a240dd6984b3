//! `log.<zxid>`: a header, then records: Adler-32, length, transaction, end byte. The rest of the
//! preallocated file is zeros.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use polyport_wire::Cursor;

use super::replay::Tree;
use super::source::{Adler32, Source, SourceError};
use super::txn;
use super::{ImportError, ImportedTree};

/// "ZKLG".
const MAGIC: i32 = 0x5a4b_4c47;
/// Ends each record.
const END_OF_RECORD: u8 = b'B';

/// Applies all transactions after the tree's last one.
pub(super) fn replay(
    logs: &[(i64, PathBuf)],
    tree: &mut Tree,
    result: &mut ImportedTree,
) -> Result<(), ImportError> {
    // A log holds transactions from the one in its name on, so the last one that begins at or
    // before the next transaction is the first that matters.
    let next = tree.last_zxid.saturating_add(1);
    let first = logs.partition_point(|(zxid, _)| *zxid <= next).saturating_sub(1);
    let mut expected = tree.last_zxid;
    for (at, (_, path)) in logs.iter().enumerate().skip(first) {
        let is_last = at + 1 == logs.len();
        let mut file = LogFile::open(path, is_last, result)?;
        result.logs.push(path.clone());
        while let Some(record) = file.next(result)? {
            let (header, change) =
                txn::decode(&record).map_err(|error| file.damaged(error.to_string()))?;
            if header.zxid < next || header.zxid <= expected {
                continue;
            }
            if let Some(gap) = gap(expected, header.zxid) {
                result.gaps.push(gap);
                result.notes.push(format!(
                    "{}: transactions 0x{:x} to 0x{:x} before byte {} are missing",
                    path.display(),
                    gap.0,
                    gap.1,
                    file.record_at
                ));
            }
            expected = header.zxid;
            tree.apply(header, change);
            result.transactions += 1;
        }
    }
    Ok(())
}

/// Within an epoch (the upper half of a zxid) numbers follow each other; a new epoch begins anew.
fn gap(last: i64, next: i64) -> Option<(i64, i64)> {
    let same_epoch = last >> 32 == next >> 32;
    (same_epoch && next > last.saturating_add(1)).then(|| (last + 1, next - 1))
}

struct LogFile {
    path: PathBuf,
    source: Option<Source<BufReader<File>>>,
    record_at: u64,
}

impl LogFile {
    fn open(path: &Path, is_last: bool, result: &mut ImportedTree) -> Result<Self, ImportError> {
        let io = |source| ImportError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut log = Self {
            path: path.to_owned(),
            source: Some(Source::new(BufReader::with_capacity(256 * 1024, file))),
            record_at: 0,
        };
        // A server that died before it wrote the header leaves an empty file.
        if length == 0 && is_last {
            result.notes.push(format!("{}: is empty", path.display()));
            log.source = None;
            return Ok(log);
        }
        match log.header() {
            Ok(MAGIC) => Ok(log),
            Ok(_) => Err(log.damaged("does not begin as a transaction log".to_owned())),
            Err(error) => Err(log.failed(error)),
        }
    }

    fn header(&mut self) -> Result<i32, SourceError> {
        let Some(source) = &mut self.source else {
            return Err(SourceError::End(0));
        };
        let magic = source.i32()?;
        let _version = source.i32()?;
        let _database = source.i64()?;
        Ok(magic)
    }

    /// The next transaction; none at the end of the log.
    fn next(&mut self, result: &mut ImportedTree) -> Result<Option<Vec<u8>>, ImportError> {
        let Some(mut source) = self.source.take() else {
            return Ok(None);
        };
        self.record_at = source.position;
        let outcome = record(&mut source);
        match outcome {
            Ok(Record::Whole(bytes)) => {
                self.source = Some(source);
                return Ok(Some(bytes));
            }
            Ok(Record::WrongChecksum) => return Err(self.damaged("wrong checksum".to_owned())),
            Ok(Record::End | Record::Torn) => {}
            Err(error) => return Err(self.failed(error)),
        }
        let torn = matches!(outcome, Ok(Record::Torn));
        let left = source.non_zero_left().map_err(|error| self.failed(error))?;
        if torn || left > 0 {
            result.notes.push(format!(
                "{}: cut off at byte {}, where a record was not written to its end; \
                 {left} bytes of data after it were left out",
                self.path.display(),
                self.record_at
            ));
        }
        Ok(None)
    }

    fn damaged(&self, what: String) -> ImportError {
        ImportError::DamagedLog { path: self.path.clone(), at: self.record_at, what }
    }

    fn failed(&self, error: SourceError) -> ImportError {
        match error {
            SourceError::Io { source, .. } => ImportError::Io { path: self.path.clone(), source },
            error => self.damaged(error.to_string()),
        }
    }
}

enum Record {
    Whole(Vec<u8>),
    End,
    Torn,
    WrongChecksum,
}

fn record<R: Read>(source: &mut Source<R>) -> Result<Record, SourceError> {
    let at = source.position;
    let head = source.at_most(8 + 4)?;
    let zeros = head.iter().all(|byte| *byte == 0);
    let mut cursor = Cursor::new(&head);
    let (Ok(expected), Ok(len)) = (cursor.i64("checksum"), cursor.i32("length")) else {
        return Ok(if zeros { Record::End } else { Record::Torn });
    };
    let len = match usize::try_from(len) {
        Ok(0) if zeros => return Ok(Record::End),
        Ok(0) => return Ok(Record::Torn),
        Ok(len) => len,
        Err(_) => return Err(SourceError::Malformed { at, what: "negative length" }),
    };
    let bytes = match source.bytes(len) {
        Ok(bytes) => bytes,
        Err(SourceError::End(_)) => return Ok(Record::Torn),
        Err(error) => return Err(error),
    };
    match source.u8() {
        Ok(END_OF_RECORD) => {}
        Ok(_) | Err(SourceError::End(_)) => return Ok(Record::Torn),
        Err(error) => return Err(error),
    }
    let mut checksum = Adler32::new();
    checksum.update(&bytes);
    Ok(if checksum.value() == expected { Record::Whole(bytes) } else { Record::WrongChecksum })
}
