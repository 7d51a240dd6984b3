//! What snapshots promise.

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::*;
use crate::disk::{Disk as _, DiskFile as _, Fault, SimDisk};

const DIR: &str = "/snapshots";

fn store(disk: &SimDisk) -> SnapshotStore<SimDisk> {
    SnapshotStore::open_dir(disk.clone(), DIR).unwrap()
}

fn content(len: usize) -> Vec<u8> {
    let mut rng = polyport_base::rng::SplitMix64::new(len as u64);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}

fn write(store: &SnapshotStore<SimDisk>, index: u64, bytes: &[u8]) -> u64 {
    let mut writer = store.create(index, b"metadata").unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn read(store: &SnapshotStore<SimDisk>, index: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    store.open(index).map_err(io::Error::from)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn path(index: u64) -> PathBuf {
    Path::new(DIR).join(format::name(index))
}

#[test]
fn payloads_of_all_sizes_come_back_after_a_crash() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let chunk = format::CHUNK_BYTES;
    for (index, len) in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 7].into_iter().enumerate() {
        let file_bytes = write(&store, index as u64, &content(len));
        disk.crash(index as u64);
        assert_eq!(store.open_raw(index as u64).unwrap().len(), file_bytes);
        assert_eq!(read(&store, index as u64).unwrap(), content(len));
        let reader = store.open(index as u64).unwrap();
        assert_eq!((reader.index(), reader.metadata()), (index as u64, b"metadata".as_slice()));
    }
    assert_eq!(store.list().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found_and_located() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let len = write(&store, 7, &content(300));
    for offset in 0..len {
        for bit in 0..8 {
            disk.decay(&path(7), offset, 1 << bit).unwrap();
            let error = read(&store, 7).unwrap_err().to_string();
            assert!(error.contains("snapshot.0000000000000007"), "{offset}/{bit}: {error}");
            disk.decay(&path(7), offset, 1 << bit).unwrap();
        }
    }
    read(&store, 7).unwrap();
    let bytes = disk.read(&path(7), u64::MAX).unwrap();
    for len in 0..bytes.len() {
        disk.open(&path(7)).unwrap().set_len(len as u64).unwrap();
        assert_eq!(read(&store, 7).unwrap_err().kind(), io::ErrorKind::InvalidData, "{len}");
        disk.open(&path(7)).unwrap().write_at(&bytes, 0).unwrap();
    }
    disk.open(&path(7)).unwrap().write_at(b"x", len).unwrap();
    assert!(read(&store, 7).unwrap_err().to_string().contains("bytes follow"));
}

#[test]
fn chunks_that_changed_places_are_found() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let chunk = format::CHUNK_BYTES;
    write(&store, 1, &content(2 * chunk));
    let mut bytes = disk.read(&path(1), u64::MAX).unwrap();
    let start = format::HEADER_BYTES + b"metadata".len() + 4;
    let sealed = format::CHUNK_HEADER_BYTES + chunk;
    let (first, second) = bytes[start..].split_at_mut(sealed);
    first.swap_with_slice(&mut second[..sealed]);
    disk.open(&path(1)).unwrap().write_at(&bytes, 0).unwrap();
    assert!(read(&store, 1).unwrap_err().to_string().contains("chunk 1 where 0 belongs"));
}

#[test]
fn the_newest_whole_snapshot_is_chosen() {
    let disk = SimDisk::new();
    let store = store(&disk);
    assert!(store.newest_valid().unwrap().snapshot.is_none());
    for index in [5, 300, 70] {
        write(&store, index, &content(index as usize));
    }
    disk.decay(&path(300), 100, 1).unwrap();
    let newest = store.newest_valid().unwrap();
    assert_eq!(newest.snapshot.unwrap().index(), 70);
    assert!(newest.damaged[0].to_string().contains("000000000000012c"));
    assert_eq!(store.purge_keeping(2).unwrap(), [5]);
    assert_eq!(store.purge_keeping(2).unwrap(), [0; 0]);
    assert_eq!(store.list().unwrap(), [70, 300]);
}

#[test]
fn an_unfinished_snapshot_does_not_exist_and_is_cleaned_up() {
    let disk = SimDisk::new();
    let store = store(&disk);
    write(&store, 1, b"whole");
    let mut writer = store.create(2, b"").unwrap();
    writer.write_all(&content(600_000)).unwrap();
    disk.kill();
    assert_eq!(store.list().unwrap(), [1]);
    assert_eq!(store.delete_tmp().unwrap(), 1);
    for free in (0..3000).step_by(7) {
        let mut writer = store.create(3, b"").unwrap();
        disk.set_fault(Some(Fault::FullAfterBytes(free)));
        let result = writer.write_all(&content(2500)).map(|()| writer.finish());
        disk.set_fault(None);
        let whole = matches!(result, Ok(Ok(_)));
        assert_eq!(store.list().unwrap().contains(&3), whole, "{free}");
        // A chunk of 2500 bytes and the footer; the header was written before.
        assert_eq!(free >= 12 + 2500 + 24, whole, "{free}");
        // On a full disk, what is of no use must not take the room of what is.
        assert_eq!(store.delete_tmp().unwrap(), 0, "{free}");
        disk.crash(free);
        assert_eq!(read(&store, 3).is_ok(), whole);
        if whole {
            break;
        }
        store.delete_tmp().unwrap();
    }
}

#[test]
fn a_snapshot_sent_in_pieces_arrives_whole_or_not_at_all() {
    let (from, to) = (SimDisk::new(), SimDisk::new());
    let (sender, target) = (store(&from), store(&to));
    write(&sender, 9, &content(400_000));
    let raw = sender.open_raw(9).unwrap();
    sender.purge_keeping(0).unwrap();
    for damage in [None, Some(0), Some(20), Some(300_000)] {
        let mut receiver = target.receive(raw.len()).unwrap();
        let mut piece = vec![0; 70_001];
        while receiver.received() < raw.len() {
            let offset = receiver.received();
            let n = raw.read_at(&mut piece, offset).unwrap();
            if let Some(at) = damage.filter(|at| (offset..offset + n as u64).contains(at)) {
                piece[(at - offset) as usize] ^= 4;
            }
            receiver.write(offset, &piece[..n]).unwrap();
            assert!(matches!(
                receiver.write(offset, &piece[..n]),
                Err(SnapshotError::OutOfOrder { .. })
            ));
        }
        assert!(matches!(receiver.write(raw.len(), b"x"), Err(SnapshotError::TooLarge { .. })));
        let result = receiver.finish();
        if damage.is_some() {
            assert!(matches!(result, Err(SnapshotError::Damaged { .. })), "{damage:?}");
            assert_eq!(target.delete_tmp().unwrap(), 0);
        } else {
            assert_eq!(result.unwrap(), 9);
            to.crash(3);
            assert_eq!(read(&target, 9).unwrap(), content(400_000));
            target.purge_keeping(0).unwrap();
        }
        assert!(target.list().unwrap().is_empty());
    }
}

#[test]
fn random_bytes_never_panic_the_reader() {
    let disk = SimDisk::new();
    let store = store(&disk);
    let len = write(&store, 1, &content(900));
    let whole = disk.read(&path(1), u64::MAX).unwrap();
    let mut rng = polyport_base::rng::SplitMix64::new(11);
    for _ in 0..5000 {
        let mut bytes = whole.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(len) as usize;
            bytes[at] = bytes[at].wrapping_add(1 + rng.below(255) as u8);
        }
        bytes.truncate(rng.below(2 * len) as usize);
        let file = disk.create(&path(2)).unwrap();
        file.write_at(&bytes, 0).unwrap();
        if bytes != whole {
            read(&store, 2).unwrap_err();
        }
    }
}
