//! The journal and the snapshots on the real file system.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use polyport_storage::{Disk, DiskFile, OsDisk, SnapshotStore, Wal, WalOptions};

/// A directory of its own that is removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("make a test directory");
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("remove the test directory");
    }
}

#[test]
fn a_file_does_what_the_trait_says() {
    let dir = Dir::new("file");
    let path = dir.0.join("a");
    let file = OsDisk.create(&path).unwrap();
    file.allocate(10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.write_at(b"hello", 4).unwrap();
    file.sync_data().unwrap();
    let mut buf = [9; 8];
    assert_eq!(file.read_full_at(&mut buf, 2).unwrap(), 8);
    assert_eq!(&buf, b"\0\0hello\0");
    file.set_len(6).unwrap();
    assert_eq!(OsDisk.read(&path, 6).unwrap(), b"\0\0\0\0he");
    assert_eq!(OsDisk.read(&path, 5).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    OsDisk.rename(&path, &dir.0.join("b")).unwrap();
    OsDisk.create_dir_all(&dir.0.join("c/d")).unwrap();
    OsDisk.sync_dir(&dir.0).unwrap();
    assert_eq!(OsDisk.list(&dir.0).unwrap(), ["b"]);
    OsDisk.remove(&dir.0.join("b")).unwrap();
    assert_eq!(OsDisk.open(&path).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn the_journal_comes_back_over_segments_and_a_purge() {
    let dir = Dir::new("journal");
    let options = WalOptions { segment_bytes: 64 << 10, ..WalOptions::default() };
    let (mut wal, _) = Wal::open(OsDisk, &dir.0, options).unwrap();
    wal.set_vote(b"vote").unwrap();
    for index in 0..1000u64 {
        wal.append(index, &[index.to_le_bytes().as_slice(), &[7; 292]]).unwrap();
        if index % 50 == 0 {
            wal.flush(true).unwrap();
        }
    }
    wal.purge_to(499, b"499").unwrap();
    drop(wal);
    let (wal, recovered) = Wal::open(OsDisk, &dir.0, options).unwrap();
    assert_eq!((recovered.first_index, recovered.last_index), (Some(500), Some(999)));
    assert_eq!(recovered.vote.as_deref(), Some(b"vote".as_slice()));
    let entries = wal.reader().read_vec(0..u64::MAX, usize::MAX).unwrap();
    assert!(entries.iter().all(|(index, bytes)| bytes[..8] == index.to_le_bytes()));
    assert_eq!(entries.len(), 500);
    wal.close().unwrap();
}

#[test]
fn a_snapshot_comes_back() {
    let dir = Dir::new("snapshot");
    let store = SnapshotStore::open_dir(OsDisk, &dir.0).unwrap();
    let bytes: Vec<u8> = (0..1_000_000u32).map(|i| (i / 7) as u8).collect();
    let mut writer = store.create(3, b"meta").unwrap();
    writer.write_all(&bytes).unwrap();
    writer.finish().unwrap();
    let mut back = Vec::new();
    store.newest_valid().unwrap().snapshot.unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(back, bytes);
}

/// Run with `cargo test --release -p polyport-storage -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement"]
fn cost_of_an_append() {
    let dir = Dir::new("cost");
    let (mut wal, _) = Wal::open(OsDisk, &dir.0, WalOptions::default()).unwrap();
    let payload = [5; 300];
    let start = Instant::now();
    for index in 0..400_000u64 {
        wal.append(index, &[&payload]).unwrap();
        if index % 64 == 63 {
            wal.flush(false).unwrap();
        }
    }
    println!("append + flush(false) each 64: {:?} a record", start.elapsed() / 400_000);
    let start = Instant::now();
    for index in 0..300u64 {
        for i in 0..64 {
            wal.append(400_000 + index * 64 + i, &[&payload]).unwrap();
        }
        wal.flush(true).unwrap();
    }
    println!("flush(true) of 64 records: {:?}", start.elapsed() / 300);
    let start = Instant::now();
    let mut bytes = 0;
    wal.reader().read(0..400_000, usize::MAX, |_, payload| bytes += payload.len()).unwrap();
    println!("read: {:?} a record of {} bytes", start.elapsed() / 400_000, bytes / 400_000);
    drop(wal);
    let start = Instant::now();
    let (wal, recovered) = Wal::open(OsDisk, &dir.0, WalOptions::default()).unwrap();
    println!("open: {:?} with {:?} entries", start.elapsed(), recovered.last_index);
    drop(wal);
}
