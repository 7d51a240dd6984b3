//! Opening all log directories, and closing them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};
use polyport_base::rng::SplitMix64;
use polyport_base::{Clock, Millis};
use polyport_log::checkpoint::meta_properties::MetaProperties;
use polyport_log::checkpoint::partition_metadata::{self, TopicId};
use polyport_log::{Log, LogDir, LogDirError, LogError, Recovered, TopicPartition};
use polyport_storage::Disk;

use super::{Shared, Store};
use crate::dir::Dir;
use crate::error::{OpenError, Refused};
use crate::observed::Observed;
use crate::parallel;
use crate::partition::Partition;
use crate::settings::{Settings, TopicConfig};
use crate::work::Doomed;

/// What opening found.
#[derive(Debug, Default)]
pub struct Opened {
    /// How many partitions there are.
    pub partitions: usize,
    /// Directories that the last process did not close.
    pub unclean_dirs: Vec<PathBuf>,
    /// Directories that cannot be used, and why.
    pub failed_dirs: Vec<(PathBuf, String)>,
    /// Partitions that cannot be used, and why.
    pub failed_partitions: Vec<(TopicPartition, String)>,
    /// Partitions of which there are two; the second directory is not used.
    pub twice: Vec<(TopicPartition, PathBuf)>,
    /// Bytes of records that were read and checked after a crash.
    pub scanned_bytes: u64,
    /// Partitions that lost a torn end: how many bytes, and why.
    pub cut: Vec<(TopicPartition, u64, String)>,
}

/// One partition that was read from the disk.
struct Found<D: Disk> {
    of: TopicPartition,
    topic_id: Option<TopicId>,
    config: Arc<TopicConfig>,
    log: Result<(Log<D>, Recovered), LogError>,
}

impl<D: Disk> Store<D> {
    /// Opens the log directories, which are made if they are not there, and all partitions in them.
    /// `config_of` knows the configuration of a topic, also of one that nobody knows. No thread is
    /// left running: [`Store::start`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        disk: D,
        settings: Settings,
        clock: Arc<dyn Clock>,
        config_of: &(dyn Fn(&str) -> Arc<TopicConfig> + Sync),
    ) -> Result<(Self, Opened), OpenError> {
        let now = clock.now();
        let mut opened = Opened::default();
        let observed = Arc::<Observed>::default();
        let dirs = open_dirs(&disk, &settings, &observed, &mut opened)?;
        let shared = Shared {
            // Names of deleted directories must not meet those of an earlier process.
            unique: AtomicU64::new(SplitMix64::new(now.0 as u64).next_u64()),
            key_seed: std::hash::RandomState::new().build_hasher().finish(),
            disk,
            settings,
            clock,
            dirs,
            failed_dirs: opened.failed_dirs.clone(),
            topics: RwLock::new(HashMap::new()),
            making: Mutex::new(()),
            placing: Mutex::new(()),
            doomed: Mutex::new(Vec::new()),
            stopping: AtomicBool::new(false),
            bell: (Mutex::new(()), Condvar::new()),
            threads: Mutex::new(Vec::new()),
            observed,
        };
        let all = parallel::for_each(&shared.dirs, shared.dirs.len(), |dir| {
            (dir.clone(), shared.load(dir, config_of, now))
        });
        for (dir, found) in all {
            found.into_iter().for_each(|found| shared.take(&dir, found, &mut opened));
        }
        Ok((Store(Arc::new(shared)), opened))
    }

    /// Stops the background work, makes everything durable and notes that the stop was clean. Every
    /// partition answers `NotLeader` then, so that clients ask again. Says in how many directories something went wrong; these recover at
    /// the next start.
    pub fn close(&self) -> usize {
        self.stop_threads();
        let _one = self.0.making.lock();
        let dirs = &self.0.dirs;
        let closed = parallel::for_each(dirs, dirs.len(), |dir| self.0.close_dir(dir));
        self.0.topics.write().clear();
        closed.into_iter().filter(|clean| !clean).count()
    }
}

fn open_dirs<D: Disk>(
    disk: &D,
    settings: &Settings,
    observed: &Arc<Observed>,
    opened: &mut Opened,
) -> Result<Vec<Arc<Dir<D>>>, OpenError> {
    let (broker_id, cluster_id) = (settings.broker_id, settings.cluster_id.clone());
    let meta = MetaProperties { broker_id, cluster_id };
    let mut dirs = Vec::new();
    let mut last = None;
    for path in &settings.log_dirs {
        match LogDir::open(disk.clone(), path, &meta) {
            Ok(log_dir) => {
                if !log_dir.was_clean() {
                    opened.unclean_dirs.push(path.clone());
                }
                dirs.push(Dir::new(log_dir, settings.unflushed_limit_bytes, observed.clone()));
            }
            Err(error @ LogDirError::Foreign { .. }) => return Err(OpenError::Foreign(error)),
            Err(error) => {
                let why = error.to_string();
                tracing::error!(dir = %path.display(), error = why, "a log directory cannot be used");
                opened.failed_dirs.push((path.clone(), why));
                last = Some(error);
            }
        }
    }
    match (dirs.is_empty(), last) {
        (false, _) => Ok(dirs),
        (true, Some(error)) => Err(OpenError::AllFailed(error)),
        (true, None) => Err(OpenError::NoDirs),
    }
}

impl<D: Disk> Shared<D> {
    /// Reads all partitions of a directory, several at once.
    fn load(
        &self,
        dir: &Arc<Dir<D>>,
        config_of: &(dyn Fn(&str) -> Arc<TopicConfig> + Sync),
        now: Millis,
    ) -> Vec<Found<D>> {
        let mut log_dir = dir.log_dir.lock();
        let Some(log_dir) = &mut *log_dir else { return Vec::new() };
        let doomed = log_dir.take_leftovers().into_iter();
        let doomed = doomed.map(|path| Doomed::dir(now, dir.clone(), path));
        self.doomed.lock().extend(doomed);
        let all = match log_dir.partitions() {
            Ok(all) => all,
            Err(error) => {
                dir.failed(&error);
                return Vec::new();
            }
        };
        // A topic's configuration is put together of dozens of values: once for all its partitions.
        let mut configs = HashMap::new();
        for of in &all {
            configs.entry(&*of.topic).or_insert_with(|| config_of(&of.topic));
        }
        let log_dir = &*log_dir;
        parallel::for_each(&all, self.settings.recovery_threads_per_dir, |of| {
            let config = configs[&*of.topic].clone();
            let log = log_dir.open_found(of, config.log.clone(), now);
            let path = log_dir.path().join(of.dir_name());
            let (topic_id, log) = match partition_metadata::load(&self.disk, &path) {
                Ok(topic_id) => (topic_id, log),
                Err(error) => (None, Err(error)),
            };
            Found { of: of.clone(), topic_id, config, log }
        })
    }

    fn take(&self, dir: &Arc<Dir<D>>, found: Found<D>, opened: &mut Opened) {
        let Found { of, topic_id, config, log } = found;
        let number = usize::try_from(of.partition).unwrap_or(usize::MAX);
        let there = |topic: &super::Topic<D>| topic.get(number).is_some_and(Option::is_some);
        if self.topics.read().get(&of.topic).is_some_and(there) {
            opened.twice.push((of.clone(), dir.path.join(of.dir_name())));
            return;
        }
        opened.partitions += 1;
        let log = match log {
            Ok((log, recovered)) => {
                opened.scanned_bytes += recovered.scanned_bytes;
                if let Some((bytes, why)) = recovered.cut {
                    opened.cut.push((of.clone(), bytes, why));
                }
                if let Some(log_dir) = &mut *dir.log_dir.lock() {
                    log_dir.note(&of, &log);
                }
                Ok(log)
            }
            Err(error) => {
                let partition = of.dir_name();
                tracing::error!(partition, %error, "a partition cannot be opened");
                dir.failed(&error);
                opened.failed_partitions.push((of.clone(), error.to_string()));
                Err(Refused::Storage)
            }
        };
        let unflushed = log.as_ref().map_or(0, Log::unflushed_bytes);
        let partition = Partition::new(of, topic_id, dir.clone(), self.local(), config, log);
        if unflushed > 0 {
            // Found after a crash. Nobody waits for it to be durable, but it is to be soon.
            dir.add_unflushed(unflushed);
            partition.queue_flush();
        }
        dir.partitions.fetch_add(1, Ordering::Relaxed);
        self.insert(partition);
    }

    /// Closes all partitions of a directory. Says whether it ended clean.
    fn close_dir(&self, dir: &Arc<Dir<D>>) -> bool {
        let partitions: Vec<_> = self.partitions_in(dir).collect();
        let ends = parallel::for_each(&partitions, self.settings.io_threads_per_dir, |partition| {
            let end = partition.close();
            if let Err(Some(error)) = &end {
                partition.storage_failed(error);
            }
            end.ok()
        });
        let clean = !dir.is_offline() && ends.iter().all(Option::is_some);
        let closed = ends.into_iter().flatten();
        let Some(mut log_dir) = dir.log_dir.lock().take() else { return false };
        let done = if clean { log_dir.close(closed) } else { log_dir.checkpoint() };
        match done {
            Ok(()) => clean,
            Err(error) => {
                dir.failed(&error);
                false
            }
        }
    }
}
