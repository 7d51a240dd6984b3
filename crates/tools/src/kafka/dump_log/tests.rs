use std::sync::Arc;

use parking_lot::Mutex;
use polyport_log::batch::{BatchBuilder, EndMarker};

use super::*;

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A directory of its own with a partition's files, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let directory =
            std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        Self(directory)
    }

    /// Exit code, output and errors.
    fn dump(&self, file: &str, options: &str) -> (i32, Vec<String>, Vec<String>) {
        let (out, err) = (Output::default(), Output::default());
        let console = Console::new(Box::new(out.clone()), Box::new(err.clone()));
        let path = self.0.join(file).display().to_string();
        let mut args = vec!["--files".to_owned(), path];
        args.extend(options.split_whitespace().map(str::to_owned));
        let code = run(&args, &console);
        let text = |output: &Output| -> Vec<String> {
            let text = String::from_utf8(output.0.lock().clone()).unwrap();
            let directory = self.0.display().to_string();
            text.replace(&directory, "DIR").lines().map(str::to_owned).collect()
        };
        (code, text(&out), text(&err))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary directory anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn log() -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).producer(8, 0, 0).leader_epoch(0);
    builder.push(10, None, Some(b"one"));
    builder.push_with_headers(12, Some(b"k"), None, &[(b"h", None), (b"i", Some(b"1"))]);
    let mut bytes = Vec::new();
    builder.build(None, &mut bytes).unwrap();
    let mut marker = EndMarker { commit: true, coordinator_epoch: 3 }.build(8, 0, 13);
    marker[..8].copy_from_slice(&2_i64.to_be_bytes());
    bytes.extend(marker);
    bytes
}

#[test]
fn a_logs_batches_and_records_are_shown() {
    let mut bytes = log();
    bytes.extend([1; 5]);
    let files = Files::new("dump-log", &[("00000000000000000000.log", &bytes)]);
    let (code, out, err) = files.dump("00000000000000000000.log", "--print-data-log");
    assert_eq!((code, err.len()), (0, 0), "{err:?}");
    assert_eq!(out[..2], ["Dumping DIR/00000000000000000000.log", "Log starting offset: 0"]);
    assert!(out[2].starts_with(
        "baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 0 lastSequence: 1 producerId: 8 \
         producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: false isControl: false \
         deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 12 size: "
    ));
    assert!(
        out[2].contains(" magic: 2 compresscodec: none crc: ") && out[2].ends_with("isvalid: true")
    );
    assert_eq!(
        out[3],
        "| offset: 0 CreateTime: 10 keySize: -1 valueSize: 3 sequence: 0 headerKeys: [] payload: one"
    );
    assert_eq!(
        out[4],
        "| offset: 1 CreateTime: 12 keySize: 1 valueSize: -1 sequence: 1 headerKeys: [h,i] key: k"
    );
    assert!(out[6].ends_with("headerKeys: [] endTxnMarker: COMMIT coordinatorEpoch: 3"), "{out:?}");
    assert_eq!(out[7], "Found 5 invalid bytes at the end of 00000000000000000000.log");
    let (_, shallow, _) = files.dump("00000000000000000000.log", "");
    assert!(!shallow.iter().any(|line| line.starts_with('|')));
}

#[test]
fn an_index_is_checked_against_its_log() {
    let bytes = log();
    let second = u32::try_from(polyport_log::batch::size_of_first(&bytes).unwrap()).unwrap();
    let mut index = Vec::new();
    for (offset, position) in [(1_u32, 0), (7, second), (0, 0)] {
        index.extend(offset.to_be_bytes());
        index.extend(position.to_be_bytes());
    }
    let mut times = Vec::new();
    for (timestamp, offset) in [(12_i64, 1_u32), (11, 2), (0, 0)] {
        times.extend(timestamp.to_be_bytes());
        times.extend(offset.to_be_bytes());
    }
    let name = |ending: &str| format!("00000000000000000000.{ending}");
    let files = Files::new(
        "dump-index",
        &[(&name("log"), &bytes), (&name("index"), &index), (&name("timeindex"), &times)],
    );
    let (_, out, err) = files.dump(&name("index"), "");
    assert_eq!(
        out[1..],
        ["offset: 1 position: 0".to_owned(), format!("offset: 7 position: {second}")]
    );
    assert_eq!(
        err,
        ["Mismatches in :DIR/00000000000000000000.index", "  Index offset: 7, log offset: 2"]
    );
    let (_, out, err) = files.dump(&name("timeindex"), "");
    assert_eq!(out[1..], ["timestamp: 12 offset: 1", "timestamp: 11 offset: 2"]);
    assert_eq!(err[0], "Found timestamp mismatch in :DIR/00000000000000000000.timeindex");
    assert_eq!(err[3], "  Index timestamp: 11, Previously indexed timestamp: 12");
    let (_, out, _) = files.dump(&name("index"), "--index-sanity-check");
    assert_eq!(out[1], "DIR/00000000000000000000.index passed sanity check.");
}

#[test]
fn a_file_that_is_none_is_told() {
    let files = Files::new("dump-none", &[("x.log", b""), ("a.txt", b"")]);
    let (code, _, err) = files.dump("x.log", "");
    assert_eq!(code, 1);
    assert!(
        err[0].ends_with("java.lang.NumberFormatException: For input string: \"x\""),
        "{err:?}"
    );
    assert_eq!(files.dump("a.txt", "").2, ["Ignoring unknown file DIR/a.txt"]);
    let (code, _, err) = files.dump("00000000000000000001.log", "");
    assert_eq!(code, 1);
    assert!(err[0].contains("NoSuchFileException"), "{err:?}");
}
