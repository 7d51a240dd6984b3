//! What the journal leaves to a thread in less of a hurry: having the next segment's file ready, and
//! removing purged ones.
//!
//! A file that was written full of zeros before is the fastest to append to: a sync then writes data
//! only, while one that reaches reserved but never written space has to wait for the file system's own
//! journal, and so for whatever else is in it, such as a snapshot's file or a removal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::error::WalError;
use super::segment::Segment;
use crate::disk::{Disk, DiskFile};

/// The next segment's file until it becomes one.
pub(super) const SPARE: &str = "log.spare";
/// Zeros are written in pieces of at most this many bytes, each synced, so that no other sync has to wait
/// behind many of them.
const PIECE_BYTES: u64 = 256 << 10;

/// Does a journal's upkeep; see the module's documentation. A cheap clone.
#[derive(Debug)]
pub struct Upkeep<D: Disk>(Arc<Inner<D>>);

#[derive(Debug)]
struct Inner<D: Disk> {
    disk: D,
    dir: PathBuf,
    segment_bytes: u64,
    state: Mutex<State<D::File>>,
    /// Signalled when there may be something to do.
    wake: Condvar,
    /// Whether the spare is ready, to be asked for without the lock.
    ready: AtomicBool,
}

#[derive(Debug)]
struct State<F> {
    unused: Vec<Segment<F>>,
    /// How many bytes of the spare should be zeroed by now.
    wanted: u64,
    spare: Option<Spare<F>>,
    /// A spare could not be made; none is tried before the next segment.
    gave_up: bool,
    closed: bool,
}

/// A file under the name [`SPARE`].
#[derive(Debug)]
struct Spare<F> {
    file: F,
    /// Bytes that are zero, durably.
    zeroed: u64,
}

/// One thing to do.
enum Task<F> {
    Retire(Segment<F>),
    Create,
    Zero(Spare<F>),
}

impl<D: Disk> Clone for Upkeep<D> {
    fn clone(&self) -> Self {
        Upkeep(self.0.clone())
    }
}

impl<D: Disk> Upkeep<D> {
    pub(super) fn new(disk: D, dir: &Path, segment_bytes: u32) -> Self {
        let state =
            State { unused: Vec::new(), wanted: 0, spare: None, gave_up: false, closed: false };
        Upkeep(Arc::new(Inner {
            disk,
            dir: dir.to_path_buf(),
            segment_bytes: segment_bytes.into(),
            state: Mutex::new(state),
            wake: Condvar::new(),
            ready: AtomicBool::new(false),
        }))
    }

    /// Works until the journal is closed or dropped. What fails is given to `report`; it is tried again
    /// when there is more to do, and nothing depends on it but space and speed.
    pub fn run(&self, report: impl Fn(WalError)) {
        loop {
            while let Some(task) = self.next() {
                if let Err(error) = self.carry_out(task) {
                    report(error);
                    break;
                }
            }
            let mut state = self.0.state.lock();
            if state.closed {
                return;
            }
            self.0.wake.wait(&mut state);
        }
    }

    /// Does what there is to do now, as far as it succeeds.
    ///
    /// # Errors
    /// The first failure; it is no danger to the journal.
    pub fn settle(&self) -> Result<(), WalError> {
        while let Some(task) = self.next() {
            self.carry_out(task)?;
        }
        Ok(())
    }

    /// Segments that nobody looks up any more.
    pub(super) fn retire(&self, unused: Vec<Segment<D::File>>) {
        if !unused.is_empty() {
            self.0.state.lock().unused.extend(unused);
            self.0.wake.notify_one();
        }
    }

    /// The live segment has got `written` bytes: a spare should be on its way that is ready by half of
    /// a segment. Cheap if that makes no difference.
    pub(super) fn written(&self, before: u64, written: u64) {
        let wanted = |bytes: u64| (2 * bytes).min(self.0.segment_bytes) / self.piece_bytes();
        if wanted(written) != wanted(before) {
            self.0.state.lock().wanted = (2 * written).min(self.0.segment_bytes);
            self.0.wake.notify_one();
        }
    }

    /// Whether [`Upkeep::take`] would give a file.
    pub(super) fn ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// A file named [`SPARE`], zero throughout and a segment long. A new segment begins.
    pub(super) fn take(&self) -> Option<D::File> {
        let mut state = self.0.state.lock();
        state.wanted = 0;
        state.gave_up = false;
        if !self.0.ready.swap(false, Ordering::AcqRel) {
            return None;
        }
        state.spare.take().map(|spare| spare.file)
    }

    pub(super) fn close(&self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_one();
    }

    fn piece_bytes(&self) -> u64 {
        (self.0.segment_bytes / 8).clamp(1, PIECE_BYTES)
    }

    fn spare_path(&self) -> PathBuf {
        self.0.dir.join(SPARE)
    }

    fn next(&self) -> Option<Task<D::File>> {
        let mut state = self.0.state.lock();
        if state.closed {
            return None;
        }
        if let Some(segment) = state.unused.pop() {
            return Some(Task::Retire(segment));
        }
        if self.ready() || state.gave_up {
            return None;
        }
        match state.spare.take() {
            Some(spare) if spare.zeroed < state.wanted => Some(Task::Zero(spare)),
            Some(spare) => {
                state.spare = Some(spare);
                None
            }
            None if state.wanted > 0 => Some(Task::Create),
            None => None,
        }
    }

    fn carry_out(&self, task: Task<D::File>) -> Result<(), WalError> {
        match task {
            Task::Retire(segment) => self.retire_one(segment),
            Task::Create => self.spare(|path| {
                let file = self.0.disk.create(path)?;
                file.allocate(self.0.segment_bytes)?;
                Ok(Spare { file, zeroed: 0 })
            }),
            Task::Zero(spare) => self.spare(|_| self.zero(spare)),
        }
    }

    /// Removes a segment's file, or makes it the next spare: its space is there already.
    fn retire_one(&self, segment: Segment<D::File>) -> Result<(), WalError> {
        let path = segment.path.clone();
        let useful = {
            let state = self.0.state.lock();
            state.spare.is_none() && !state.gave_up
        };
        if !useful {
            return self.remove(segment);
        }
        // Somebody may still read the file, who found its place before it was purged.
        let file = match Arc::try_unwrap(segment.file) {
            Ok(file) => file,
            Err(file) => return self.remove(Segment { file, ..segment }),
        };
        self.spare(|spare| {
            self.0.disk.rename(&path, spare)?;
            // Before anything in it changes: under its old name it would be damaged.
            self.0.disk.sync_dir(&self.0.dir)?;
            Ok(Spare { file, zeroed: 0 })
        })
    }

    fn remove(&self, segment: Segment<D::File>) -> Result<(), WalError> {
        // Names that come back after a crash are recognised as purged: no sync is needed.
        let removed = self.0.disk.remove(&segment.path);
        removed.map_err(|source| {
            let file = segment.path.clone();
            self.0.state.lock().unused.push(segment);
            WalError::Io { op: "remove", file, source }
        })
    }

    fn zero(&self, mut spare: Spare<D::File>) -> std::io::Result<Spare<D::File>> {
        static ZEROS: [u8; PIECE_BYTES as usize] = [0; PIECE_BYTES as usize];
        let bytes = (self.0.segment_bytes - spare.zeroed).min(self.piece_bytes());
        spare.file.write_at(&ZEROS[..bytes as usize], spare.zeroed)?;
        if spare.zeroed + bytes == self.0.segment_bytes && spare.file.len()? > self.0.segment_bytes
        {
            spare.file.set_len(self.0.segment_bytes)?;
        }
        spare.file.sync_data()?;
        spare.zeroed += bytes;
        Ok(spare)
    }

    /// Works on the spare, and gives it up if that fails: the disk may be full.
    fn spare(
        &self,
        work: impl FnOnce(&Path) -> std::io::Result<Spare<D::File>>,
    ) -> Result<(), WalError> {
        let path = self.spare_path();
        let result = work(&path);
        let mut state = self.0.state.lock();
        match result {
            Ok(spare) => {
                let ready = spare.zeroed >= self.0.segment_bytes;
                state.spare = Some(spare);
                self.0.ready.store(ready, Ordering::Release);
                Ok(())
            }
            Err(source) => {
                state.gave_up = true;
                drop(state);
                // Gives its space back; what cannot be removed is when the journal is opened again.
                let _ = self.0.disk.remove(&path);
                Err(WalError::Io { op: "prepare", file: path, source })
            }
        }
    }
}
