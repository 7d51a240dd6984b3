//! Torn ends are cut off, decay before them is refused.

use super::*;
use crate::wal::frame::Frame;

/// One segment with several durable flushes; returns its path and end.
fn written(disk: &SimDisk, flushes: u64) -> (std::path::PathBuf, u64) {
    let options = WalOptions { segment_bytes: 1 << 20, ..small() };
    let (mut wal, _) = Wal::open(disk.clone(), DIR, options).unwrap();
    for index in 0..flushes {
        // No zero bytes at the end, so that the end can be seen in the file.
        wal.append(index, &[format!("entry {index}.")]).unwrap();
        wal.set_vote(format!("vote {index}.").as_bytes()).unwrap();
        wal.flush(true).unwrap();
    }
    drop(wal);
    tail(disk)
}

#[test]
fn every_flipped_bit_is_refused_or_reported() {
    let disk = SimDisk::new();
    let (path, end) = written(&disk, 4);
    let (mut refused, mut cut) = (0, 0);
    for offset in 0..end {
        for bit in 0..8 {
            // Opening changes the files: give it a copy.
            let copy = copy_of(&disk, &path);
            copy.decay(&path, offset, 1 << bit).unwrap();
            match Wal::open(copy, DIR, small()) {
                Err(WalError::Corrupt { file, .. }) => {
                    assert_eq!(file, path);
                    refused += 1;
                }
                Err(error) => panic!("{offset}/{bit}: {error}"),
                Ok((_, recovered)) => {
                    let found = recovered.cut.unwrap_or_else(|| panic!("{offset}/{bit} unseen"));
                    assert!(found.offset <= offset && found.bytes > 0);
                    cut += 1;
                }
            }
        }
    }
    // Only the last flush has no later record that proves it; it has 2 of 8 records.
    assert!(refused > 2 * cut && cut > 0, "{refused} refused, {cut} cut");
}

#[test]
fn a_file_cut_anywhere_after_its_opening_opens() {
    let disk = SimDisk::new();
    let (path, end) = written(&disk, 4);
    let mut seen = Vec::new();
    for len in segment::HEADER_BYTES as u64..=end {
        let copy = copy_of(&disk, &path);
        copy.open(&path).unwrap().set_len(len).unwrap();
        let (mut wal, recovered) = Wal::open(copy.clone(), DIR, small()).unwrap();
        seen.push(recovered.last_index);
        assert_eq!(all(&wal).last().map(|(i, _)| *i), recovered.last_index);
        // What was cut off must not come back behind new records.
        let next = recovered.last_index.map_or(0, |last| last + 1);
        append(&mut wal, next..next + 1, 9);
        wal.flush(true).unwrap();
        assert_eq!(open(&copy).1.last_index, Some(next));
    }
    assert!(seen.is_sorted());
    assert_eq!((seen[0], seen[seen.len() - 1]), (None, Some(3)));
}

#[test]
fn a_zeroed_sector_before_a_later_sync_is_refused() {
    let disk = SimDisk::new();
    let (path, end) = written(&disk, 60);
    let file = disk.open(&path).unwrap();
    for sector in 1..end / 512 - 1 {
        let copy = copy_of(&disk, &path);
        copy.open(&path).unwrap().write_at(&[0; 512], sector * 512).unwrap();
        let error = Wal::open(copy, DIR, small()).unwrap_err();
        assert!(matches!(error, WalError::Corrupt { .. }), "{sector}: {error}");
    }
    drop(file);
}

#[test]
fn decay_in_an_earlier_segment_is_refused() {
    let disk = SimDisk::new();
    let (mut wal, _) = open(&disk);
    for index in 0..40 {
        append(&mut wal, index..index + 1, 1);
        wal.flush(true).unwrap();
    }
    drop(wal);
    let path = Path::new(DIR).join("log.0000000000000000.00000001");
    let len = disk.open(&path).unwrap().len().unwrap();
    for offset in (0..len).step_by(13) {
        disk.decay(&path, offset, 0x10).unwrap();
        let error = Wal::open(disk.clone(), DIR, small()).unwrap_err();
        assert!(matches!(&error, WalError::Corrupt { file, .. } if *file == path), "{error}");
        disk.decay(&path, offset, 0x10).unwrap();
    }
    open(&disk);
}

#[test]
fn a_payload_that_looks_like_a_record_proves_nothing() {
    let disk = SimDisk::new();
    let options = WalOptions { segment_bytes: 1 << 20, ..small() };
    let (mut wal, _) = Wal::open(disk.clone(), DIR, options).unwrap();
    wal.append(0, &[b"first."]).unwrap();
    wal.flush(true).unwrap();
    let mut fake = Vec::new();
    let synced = Position { segment: 1, offset: wal.synced().offset + 1 };
    frame::encode(&mut fake, 0, Kind::Entry, 1, synced, &[b"fake."]);
    wal.append(1, &[&fake, b"rest.".as_slice()]).unwrap();
    let at = wal.synced().offset;
    wal.flush(true).unwrap();
    drop(wal);
    let (path, _) = tail(&disk);
    disk.decay(&path, u64::from(at), 1).unwrap();
    assert_eq!(open(&disk).1.cut.unwrap().offset, u64::from(at));
}

#[test]
fn random_bytes_never_panic_the_decoders() {
    let mut rng = polyport_base::rng::SplitMix64::new(7);
    for round in 0..20_000 {
        let len = rng.below(80) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        if round % 2 == 0 && len > 8 {
            bytes[8] = rng.below(6) as u8;
            bytes[4..8].copy_from_slice(&(rng.below(90) as u32).to_le_bytes());
        }
        if let Ok(frame) = Frame::parse(&bytes) {
            assert!(frame.payload(&bytes, 1).is_err());
        }
        let name = segment::Name { ordinal: 1, first: 0 };
        segment::Header::decode(&bytes, Path::new("x"), &name).unwrap_err();
    }
}

#[test]
fn random_bytes_behind_the_opening_are_cut_off_or_refused() {
    let mut rng = polyport_base::rng::SplitMix64::new(8);
    for _ in 0..300 {
        let disk = SimDisk::new();
        let (path, end) = written(&disk, 1);
        let junk: Vec<u8> = (0..rng.below(3000)).map(|_| rng.below(7) as u8).collect();
        disk.open(&path).unwrap().write_at(&junk, end).unwrap();
        let (_, recovered) = open(&disk);
        assert_eq!(recovered.last_index, Some(0));
        assert_eq!(recovered.cut.is_some(), junk.iter().any(|b| *b != 0));
    }
}

fn copy_of(disk: &SimDisk, path: &Path) -> SimDisk {
    let copy = SimDisk::new();
    copy.create_dir_all(Path::new(DIR)).unwrap();
    copy.create(path).unwrap().write_at(&disk.read(path, u64::MAX).unwrap(), 0).unwrap();
    copy
}
