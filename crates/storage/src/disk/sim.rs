//! A disk in memory that forgets what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use polyport_base::rng::SplitMix64;

use super::content::{Content, Inode, NameChange};
use super::fault::Verdict;
use super::{Disk, DiskFile, Fault};

/// A deterministic disk for tests and simulations. Clones share its content.
///
/// It keeps what programs see apart from what would survive a power loss. Names of directories are
/// durable at once; everything else needs the sync that [`Disk`] demands.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    /// Name changes not yet durable, oldest first, with the directory whose sync makes them so.
    pending: Vec<(PathBuf, NameChange)>,
    fault: Option<Fault>,
    /// Counts crashes: files opened before the last one are dead.
    epoch: u64,
    syncs: u64,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    content: Inode,
    epoch: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power loss. Each sector written and each name changed since its last sync survives or not,
    /// decided by `seed`; files that were open before answer with errors from now on. Faults end.
    pub fn crash(&self, seed: u64) {
        let mut rng = SplitMix64::new(seed);
        let state = &mut *self.0.lock();
        state.epoch += 1;
        state.fault = None;
        // Some crashes lose nearly everything, some nearly nothing, most tear.
        let keep_percent = [0, 10, 50, 90, 100][rng.below(5) as usize];
        for (_, change) in std::mem::take(&mut state.pending) {
            if rng.chance(keep_percent) {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        for content in state.names.values() {
            content.lock().crash(&mut rng, keep_percent);
        }
    }

    /// The process dies, the machine does not: everything written stays, open files are dead.
    pub fn kill(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.fault = None;
    }

    /// Begins a fault, or ends it with `None`.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.0.lock().fault = fault;
    }

    /// How many syncs of files and directories were asked for.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Changes bytes of a file as decay would: seen and durable alike, unnoticed by syncs.
    ///
    /// # Errors
    /// `NotFound` if the file does not exist, `UnexpectedEof` if the offset is beyond its end.
    pub fn decay(&self, path: &Path, offset: u64, xor: u8) -> io::Result<()> {
        let content = self.0.lock().find(path)?;
        let content = &mut *content.lock();
        let at = offset as usize;
        let byte = content.seen.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= xor;
        if let Some(byte) = content.durable.get_mut(at) {
            *byte ^= xor;
        }
        Ok(())
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<Inode> {
        self.names.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self) -> io::Result<()> {
        self.fault.as_mut().map_or(Ok(()), Fault::change)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        self.fault.as_mut().map_or(Ok(()), Fault::sync)
    }

    fn name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push((change.dir(), change));
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let mut state = self.0.lock();
        state.change()?;
        let dir = path.parent().unwrap_or(Path::new(""));
        if !dir.as_os_str().is_empty() && !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let content = match state.names.get(path) {
            Some(content) => {
                content.lock().set_len(0);
                content.clone()
            }
            None => {
                let content = Inode::default();
                state.name(NameChange::Link(path.to_path_buf(), content.clone()));
                content
            }
        };
        Ok(SimFile { disk: self.clone(), content, epoch: state.epoch })
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        let state = self.0.lock();
        Ok(SimFile { disk: self.clone(), content: state.find(path)?, epoch: state.epoch })
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let content = self.0.lock().find(path)?;
        let bytes = content.lock().seen.clone();
        if bytes.len() as u64 > limit_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.dirs.iter().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        if !state.dirs.contains(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.dirs.contains(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let moved = |path: &PathBuf| match path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => to.to_path_buf(),
            Ok(rest) => to.join(rest),
            Err(_) => path.clone(),
        };
        state.dirs = state.dirs.iter().map(moved).collect();
        let rename = |names: &BTreeMap<PathBuf, Inode>| {
            names.iter().map(|(path, inode)| (moved(path), inode.clone())).collect()
        };
        state.names = rename(&state.names);
        state.durable_names = rename(&state.durable_names);
        for (dir, change) in &mut state.pending {
            *dir = moved(dir);
            change.move_paths(moved);
        }
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.dirs.retain(|path| !path.starts_with(dir));
        state.names.retain(|path, _| !path.starts_with(dir));
        state.durable_names.retain(|path, _| !path.starts_with(dir));
        state.pending.retain(|(of, _)| !of.starts_with(dir));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let content = state.find(from)?;
        state.name(NameChange::Rename(from.to_path_buf(), to.to_path_buf(), content));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.find(path)?;
        state.name(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.sync()?;
        let durable = &mut state.durable_names;
        state.pending.retain(|(of, change)| {
            if of == dir {
                change.apply(durable);
            }
            of != dir
        });
        Ok(())
    }
}

impl SimFile {
    fn alive<T>(
        &self,
        act: impl FnOnce(&mut State, &mut Content) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.epoch != self.epoch {
            return Err(io::Error::other(
                "the simulated machine crashed since the file was opened",
            ));
        }
        let mut content = self.content.lock();
        act(&mut state, &mut content)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.alive(|_, content| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.seen.len());
            let n = buf.len().min(content.seen.len() - from);
            buf[..n].copy_from_slice(&content.seen[from..from + n]);
            Ok(n)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.alive(|state, content| {
            match state.fault.as_mut().map_or(Verdict::Pass, |f| f.write(bytes.len())) {
                Verdict::Pass => {
                    content.write(bytes, offset as usize);
                    Ok(())
                }
                Verdict::Partial(n, error) => {
                    content.write(&bytes[..n], offset as usize);
                    Err(error)
                }
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive(|state, content| match state.sync() {
            Ok(()) => {
                content.sync();
                Ok(())
            }
            Err(error) => {
                content.dirty.clear();
                Err(error)
            }
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.alive(|state, content| {
            let more = (len as usize).saturating_sub(content.seen.len());
            if more == 0 {
                return Ok(());
            }
            state.fault.as_mut().map_or(Ok(()), |fault| fault.reserve(more))?;
            content.set_len(len as usize);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alive(|state, content| {
            state.change()?;
            content.set_len(len as usize);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.alive(|_, content| Ok(content.seen.len() as u64))
    }
}
