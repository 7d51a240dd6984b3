//! Opening a journal that is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::error::WalError;
use super::flush;
use super::frame::{Frame, Kind, Position};
use super::index::{Index, Location};
use super::scan::{self, Window};
use super::segment::{Header, Name, Segment};
use super::upkeep::{SPARE, Upkeep};
use super::{Blobs, Shared, Wal, WalOptions};
use crate::disk::{Disk, DiskFile};

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The first entry's index.
    pub first_index: Option<u64>,
    /// The last entry's index.
    pub last_index: Option<u64>,
    /// The last purged index and the caller's name of it.
    pub purged: Option<(u64, Vec<u8>)>,
    /// The latest vote.
    pub vote: Option<Vec<u8>>,
    /// The latest mark.
    pub mark: Option<Vec<u8>>,
    /// The torn end that was cut off.
    pub cut: Option<Cut>,
    /// Segment files that are there.
    pub segments: usize,
}

/// A torn end: what was being written when the machine stopped, and was never reported durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: PathBuf,
    /// Where the file's valid records end.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// What was wrong with the first of them.
    pub reason: String,
}

/// The journal's content as far as it was read.
struct Replay<D: Disk> {
    index: Index,
    blobs: Blobs,
    salt: u32,
    segments: BTreeMap<u32, Segment<D::File>>,
    /// Where the last segment's opening and its records end, and up to where they are proven durable.
    opening: u64,
    end: u64,
    proven: u64,
    cut: Option<Cut>,
}

pub(super) fn open<D: Disk>(
    disk: D,
    dir: &Path,
    options: WalOptions,
) -> Result<(Wal<D>, Recovered), WalError> {
    disk.create_dir_all(dir).map_err(WalError::io("create", dir))?;
    let mut names = find(&disk, dir)?;
    if names.is_empty() {
        let header = Header { ordinal: 1, next: None, salt: options.new_salt(), opening_bytes: 0 };
        let opening = flush::opening(header, &Blobs::default(), Position::default());
        flush::create(&disk, dir, header, &opening, None)?;
        disk.sync_dir(dir).map_err(WalError::io("sync", dir))?;
        names.push(header.name());
    }
    // A gap is only left by a purge that was interrupted; whether it was one shows in the end.
    let gap = (1..names.len()).rev().find(|i| names[i - 1].ordinal + 1 != names[*i].ordinal);
    let leftover: Vec<Name> = names.drain(..gap.unwrap_or(0)).collect();
    let mut replay = Replay {
        index: Index::default(),
        blobs: Blobs::default(),
        salt: 0,
        segments: BTreeMap::new(),
        opening: 0,
        end: 0,
        proven: 0,
        cut: None,
    };
    for (i, name) in names.iter().enumerate() {
        replay.segment(&disk, dir, name, i == 0, i + 1 == names.len())?;
    }
    let oldest = &names[0];
    if oldest.ordinal != 1 && replay.index.has_hole() {
        let what = "the segment before this one is missing and its entries were not purged";
        return Err(WalError::corrupt(&dir.join(oldest.to_string()), 0, what));
    }
    for name in &leftover {
        let path = dir.join(name.to_string());
        disk.remove(&path).map_err(WalError::io("remove", &path))?;
    }
    replay.into_wal(disk, dir, options)
}

/// The segments' names in order; what an interrupted creation left is removed, and the spare, of
/// which nobody knows how far it was zeroed.
fn find<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<Name>, WalError> {
    let mut names = Vec::new();
    for file in disk.list(dir).map_err(WalError::io("list", dir))? {
        let unfinished = file.strip_suffix(".tmp").is_some_and(|name| Name::parse(name).is_some());
        if unfinished || file == SPARE {
            let path = dir.join(file);
            disk.remove(&path).map_err(WalError::io("remove", &path))?;
        } else if let Some(name) = Name::parse(&file) {
            names.push(name);
        }
    }
    names.sort_unstable();
    if let Some(two) = names.windows(2).find(|two| two[0].ordinal == two[1].ordinal) {
        let what = format!("{} claims the same place in the journal", two[0]);
        return Err(WalError::corrupt(&dir.join(two[1].to_string()), 0, what));
    }
    Ok(names)
}

impl<D: Disk> Replay<D> {
    fn segment(
        &mut self,
        disk: &D,
        dir: &Path,
        name: &Name,
        oldest: bool,
        last: bool,
    ) -> Result<(), WalError> {
        let path = dir.join(name.to_string());
        let file = disk.open(&path).map_err(WalError::io("open", &path))?;
        let mut window = Window::new(&file, &path)?;
        let header = scan::header(&mut window, name)?;
        if oldest {
            self.index = Index::starting_at(header.next);
            self.salt = header.salt;
        } else if header.salt != self.salt {
            return Err(WalError::corrupt(&path, 0, "the segment belongs to another journal"));
        } else if header.next != self.index.next() {
            let (found, said) = (Shown(self.index.next()), Shown(header.next));
            let what =
                format!("the next entry should be {said}, but the one before leads to {found}");
            return Err(WalError::corrupt(&path, 0, what));
        }
        self.opening = header.opening_bytes.into();
        self.proven = self.opening;
        let end = scan::records(&mut window, &header, |offset, frame, payload| {
            self.record(&path, &header, offset, frame, payload)
        })?;
        self.end = end.offset;
        if end.offset < u64::from(header.opening_bytes) {
            let what = "a record that was durable before the file got its name is damaged";
            return Err(WalError::corrupt(&path, end.offset, what));
        }
        if let Some(bad) = end.bad {
            if !last {
                let what = format!("{}, and later segments exist", bad.error);
                return Err(WalError::corrupt(&path, end.offset, what));
            }
            let proof = scan::proof_of_later_sync(&mut window, &header, end.offset, bad.last_byte)?;
            if let Some(at) = proof {
                let what = format!(
                    "{}, and the valid record at {at} proves that it was durable",
                    bad.error
                );
                return Err(WalError::corrupt(&path, end.offset, what));
            }
            self.cut = Some(Cut {
                file: path.clone(),
                offset: end.offset,
                bytes: bad.last_byte - end.offset,
                reason: bad.error.to_string(),
            });
        }
        let segment = Segment { ordinal: name.ordinal, path: path.clone(), file: Arc::new(file) };
        self.segments.insert(name.ordinal, segment);
        Ok(())
    }

    fn record(
        &mut self,
        path: &Path,
        header: &Header,
        offset: u64,
        frame: &Frame,
        payload: &[u8],
    ) -> Result<(), WalError> {
        if frame.synced.segment == header.ordinal {
            self.proven = self.proven.max(frame.synced.offset.into());
        }
        match frame.kind {
            Kind::Entry => {
                let location = Location {
                    segment: header.ordinal,
                    offset: offset as u32,
                    record_bytes: frame.record_bytes() as u32,
                };
                self.index.push(frame.index, location).map_err(|expected| {
                    let what = format!("entry {} where {expected} should follow", frame.index);
                    WalError::corrupt(path, offset, what)
                })?;
            }
            Kind::Truncate => self.index.truncate(frame.index),
            Kind::Vote => self.blobs.vote = Some(payload.to_vec()),
            Kind::Mark => self.blobs.mark = Some(payload.to_vec()),
            Kind::Purged => {
                self.index.purge(frame.index);
                self.blobs.purged = Some((frame.index, payload.to_vec()));
            }
        }
        Ok(())
    }

    fn into_wal(
        self,
        disk: D,
        dir: &Path,
        options: WalOptions,
    ) -> Result<(Wal<D>, Recovered), WalError> {
        let Some(live) = self.segments.last_key_value().map(|(_, segment)| segment.clone()) else {
            return Err(WalError::corrupt(dir, 0, "there is no segment"));
        };
        if self.cut.is_some() {
            // Bytes left behind the end could be taken for records once the end has moved there.
            live.file.set_len(self.end).map_err(WalError::io("cut to length", &live.path))?;
        }
        // After a mere restart of the process, records may be read that are not durable yet; after
        // a failed sync the kernel may even hold them for clean, so that a sync alone would do
        // nothing for them.
        rewrite(&live, self.proven, self.end)?;
        live.file.sync_data().map_err(WalError::io("sync", &live.path))?;
        disk.sync_dir(dir).map_err(WalError::io("sync", dir))?;
        let reserved = live.file.len().map_err(WalError::io("read", &live.path))?;
        let entries = self.index.entries();
        let recovered = Recovered {
            first_index: (!entries.is_empty()).then_some(entries.start),
            last_index: (!entries.is_empty()).then(|| entries.end - 1),
            purged: self.blobs.purged.clone(),
            vote: self.blobs.vote.clone(),
            mark: self.blobs.mark.clone(),
            cut: self.cut,
            segments: self.segments.len(),
        };
        let mut wal = Wal {
            upkeep: Upkeep::new(disk.clone(), dir, options.segment_bytes),
            disk,
            dir: dir.to_path_buf(),
            options,
            salt: self.salt,
            synced: Position { segment: live.ordinal, offset: self.end as u32 },
            live,
            end: self.end,
            reserved,
            opening: self.opening,
            written: 0,
            zeroed: false,
            torn: false,
            is_tight: false,
            sealed: false,
            buffer: Vec::new(),
            pending: Vec::new(),
            next: self.index.next(),
            flushed: self.blobs.clone(),
            blobs: self.blobs,
            blobs_changed: false,
            poison: None,
            shared: Arc::new(RwLock::new(Shared { index: self.index, segments: self.segments })),
        };
        // Those that a purge gave up and nobody came to remove.
        wal.retire_unused();
        Ok((wal, recovered))
    }
}

/// Writes what is in the file from `start` to `end` again.
fn rewrite<F: DiskFile>(segment: &Segment<F>, mut start: u64, end: u64) -> Result<(), WalError> {
    const STEP_BYTES: u64 = 1 << 20;
    let mut bytes = Vec::new();
    while start < end {
        bytes.resize((end - start).min(STEP_BYTES) as usize, 0);
        let got = segment.file.read_full_at(&mut bytes, start);
        if got.map_err(WalError::io("read", &segment.path))? != bytes.len() {
            return Err(WalError::corrupt(&segment.path, start, "the file became shorter"));
        }
        segment.file.write_at(&bytes, start).map_err(WalError::io("write to", &segment.path))?;
        start += bytes.len() as u64;
    }
    Ok(())
}

/// An index in a message.
struct Shown(Option<u64>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(index) => write!(f, "{index}"),
            None => f.write_str("the first"),
        }
    }
}
