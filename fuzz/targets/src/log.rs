//! Record batches of clients, and segments that may have decayed.

use std::path::Path;

use polyport_base::Millis;
use polyport_log::batch::{
    Attributes, Batch, BatchBuilder, Codec, EndMarker, RecordRules, check_client_header,
    check_records,
};
use polyport_log::producer::{Origin, snapshot};
use polyport_log::{Isolation, Log, LogConfig, OpenPoints};
use polyport_storage::{Disk, DiskFile, SimDisk};

const DIR: &str = "/d/t-0";
/// What one batch may decompress to.
const LIMIT_BYTES: usize = 1 << 20;

/// What a client sends, and a producers' snapshot. What passes the checks is appended and read back.
pub fn log_batch(bytes: &[u8]) {
    let _ = snapshot::decode(bytes);
    let Ok((batch, _)) = Batch::split_first(bytes) else { return };
    let mut scratch = Vec::new();
    let read = batch
        .records(&mut scratch, LIMIT_BYTES)
        .and_then(|records| records.collect::<Result<Vec<_>, _>>());
    let _ = EndMarker::read(&batch);
    let checked = check_client_header(batch.header())
        .and_then(|()| check_records(&batch, &RecordRules::default()));
    if let (Ok(records), Ok(_)) = (&read, &checked) {
        assert_eq!(records.len() as i64, i64::from(batch.header().count));
    }
    let (disk, config) = (SimDisk::new(), config());
    let opened = Log::open(disk, Path::new(DIR), config, OpenPoints::default(), Millis(1));
    let Ok((mut log, _)) = opened else { return };
    let sent = &mut bytes.to_vec();
    match log.append_as_leader(sent, 1, Origin::Client, Millis(1)) {
        Ok(_) => {
            assert!(checked.is_ok(), "appended what the checks refuse: {checked:?}");
            let stored = log.read(0, u64::MAX, true, Isolation::LogEnd);
            let range = stored.ok().and_then(|stored| stored.range);
            assert!(range.is_some_and(|range| range.read().is_ok()), "what was appended is there");
        }
        Err(_) => assert_eq!(log.log_end_offset(), 0),
    }
}

fn config() -> LogConfig {
    let bounded = LogConfig::default();
    LogConfig { decompressed_limit_bytes: LIMIT_BYTES, index_interval_bytes: 64, ..bounded }
}

/// A segment after a crash, with an index made of the same bytes. What opens takes an append and
/// opens again with it.
pub fn log_segment(bytes: &[u8]) {
    let disk = SimDisk::new();
    let dir = Path::new(DIR);
    let (log, index) = match bytes.split_first() {
        Some((at, rest)) => rest.split_at(rest.len() * usize::from(*at) / 255),
        None => return,
    };
    let write = |name: &str, bytes: &[u8]| {
        let file = disk.create(&dir.join(name))?;
        file.write_at(bytes, 0)?;
        file.sync_data()
    };
    let made = disk
        .create_dir_all(dir)
        .and_then(|()| write("00000000000000000000.log", log))
        .and_then(|()| write("00000000000000000000.index", index))
        .and_then(|()| write("00000000000000000000.timeindex", index))
        .and_then(|()| write("00000000000000000000.txnindex", index))
        .and_then(|()| write("leader-epoch-checkpoint", index))
        .and_then(|()| disk.sync_dir(dir));
    assert!(made.is_ok(), "the disk in memory takes files");
    let open = || Log::open(disk.clone(), dir, config(), OpenPoints::default(), Millis(1));
    let Ok((mut log, _)) = open() else { return };
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(start <= end);
    let mut offset = start;
    while offset < end {
        let read = log.read(offset, 1, true, Isolation::LogEnd);
        let range = read.ok().and_then(|read| read.range);
        let Some(bytes) = range.and_then(|range| range.read().ok()) else {
            panic!("offset {offset} of {start}..{end} cannot be read");
        };
        let Ok((batch, _)) = Batch::split_first(&bytes) else { panic!("no batch at {offset}") };
        assert!(batch.check_crc().is_ok() && batch.header().next_offset() > offset);
        offset = batch.header().next_offset();
    }
    let _ = log.find_max_timestamp();
    let mut more = Vec::new();
    let mut builder = BatchBuilder::new(0);
    builder.push(1, None, Some(b"more"));
    let built = builder.build(None, &mut more).is_ok();
    if !built || log.append_as_leader(&mut more, 1, Origin::Client, Millis(1)).is_err() {
        return;
    }
    drop(log);
    let again = open().map(|(log, _)| log.log_end_offset());
    assert!(matches!(again, Ok(again) if again == end + 1), "{again:?}");
}

pub(crate) fn batches() -> Vec<Vec<u8>> {
    let mut seeds = vec![EndMarker { commit: true, coordinator_epoch: 1 }.build(7, 0, 5)];
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let attributes = Attributes::default().with_codec(codec);
        let mut builder = BatchBuilder::new(0).attributes(attributes).producer(7, 0, 0);
        builder.push_with_headers(5, Some(b"key"), Some(&[b'v'; 90]), &[(b"h", None)]);
        builder.push(6, None, None);
        let mut bytes = Vec::new();
        if builder.build(None, &mut bytes).is_ok() {
            seeds.push(bytes);
        }
    }
    seeds
}

pub(crate) fn segments() -> Vec<Vec<u8>> {
    let disk = SimDisk::new();
    let opened =
        Log::open(disk.clone(), Path::new(DIR), config(), OpenPoints::default(), Millis(1));
    let Ok((mut log, _)) = opened else { return Vec::new() };
    for _ in 0..3 {
        let mut plain = BatchBuilder::new(0);
        plain.push(5, Some(b"key"), Some(&[b'v'; 40]));
        let mut bytes = Vec::new();
        let _ = plain.build(None, &mut bytes);
        let _ = log.append_as_leader(&mut bytes, 1, Origin::Client, Millis(1));
    }
    let _ = log.close();
    let read = |name: &str| disk.read(&Path::new(DIR).join(name), 1 << 20).unwrap_or_default();
    let (log, index) = (read("00000000000000000000.log"), read("00000000000000000000.index"));
    let at = (log.len() * 255).div_ceil((log.len() + index.len()).max(1)) as u8;
    vec![[vec![at], log, index].concat()]
}
