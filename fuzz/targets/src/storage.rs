//! Files of our own that may have decayed.

use std::path::Path;

use polyport_storage::{Disk, DiskFile, SimDisk, SnapshotStore, Wal, WalOptions};

const DIR: &str = "/d";

fn disk_with(name: &str, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    let path = Path::new(DIR).join(name);
    let made = disk
        .create_dir_all(Path::new(DIR))
        .and_then(|()| disk.create(&path))
        .and_then(|file| file.write_at(bytes, 0).and_then(|()| file.sync_data()))
        .and_then(|()| disk.sync_dir(Path::new(DIR)));
    assert!(made.is_ok(), "the disk in memory takes a file");
    disk
}

fn options() -> WalOptions {
    WalOptions { prealloc_bytes: 4096, ..WalOptions::default() }
}

/// The first segment of a journal. What opens is written to, and opens again with that.
pub fn storage_wal(bytes: &[u8]) {
    let disk = disk_with("log.0000000000000000.00000001", bytes);
    let Ok((mut wal, _)) = Wal::open(disk.clone(), DIR, options()) else { return };
    let reader = wal.reader();
    for index in reader.entries().take(1000) {
        let read = reader.read_vec(index..index + 1, usize::MAX);
        assert!(read.is_ok(), "entry {index} was taken as good: {read:?}");
    }
    let next = wal.last_index().map_or(1, |last| last.saturating_add(1));
    if next == u64::MAX || wal.append(next, &[b"more"]).is_err() {
        return;
    }
    let flushed = wal.flush(true);
    assert!(flushed.is_ok(), "{flushed:?}");
    drop(wal);
    let again = Wal::open(disk, DIR, options());
    let last = again.map(|(wal, _)| wal.last_index());
    assert!(matches!(last, Ok(Some(last)) if last == next), "{last:?}");
}

/// A snapshot's file.
pub fn storage_snapshot(bytes: &[u8]) {
    let disk = disk_with("snapshot.0000000000000007", bytes);
    let Ok(store) = SnapshotStore::open_dir(disk, DIR) else { return };
    let newest = store.newest_valid();
    assert!(newest.is_ok(), "damage is no error here");
}

fn read_file(disk: &SimDisk, prefix: &str) -> Option<Vec<u8>> {
    let names = disk.list(Path::new(DIR)).ok()?;
    let name = names.into_iter().find(|name| name.starts_with(prefix))?;
    disk.read(&Path::new(DIR).join(name), 1 << 20).ok()
}

pub(crate) fn journals() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for entries in [0_u64, 3] {
        let disk = SimDisk::new();
        let options = WalOptions { salt: Some(7), ..options() };
        let Ok((mut wal, _)) = Wal::open(disk.clone(), DIR, options) else { continue };
        for index in 1..=entries {
            let _ = wal.append(index, &[b"an entry"]);
            let _ = wal.set_vote(b"vote").and_then(|()| wal.flush(true));
        }
        let _ = wal.truncate_after(Some(2)).and_then(|()| wal.set_mark(b"mark"));
        let _ = wal.flush(true);
        drop(wal);
        seeds.extend(read_file(&disk, "log."));
    }
    seeds
}

pub(crate) fn snapshots() -> Vec<Vec<u8>> {
    let disk = SimDisk::new();
    let Ok(store) = SnapshotStore::open_dir(disk.clone(), DIR) else { return Vec::new() };
    let Ok(mut writer) = store.create(7, b"metadata") else { return Vec::new() };
    let _ = std::io::Write::write_all(&mut writer, &[5; 1000]);
    let _ = writer.finish();
    read_file(&disk, "snapshot.").into_iter().collect()
}
