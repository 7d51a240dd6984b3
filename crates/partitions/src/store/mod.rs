//! All partitions of this broker: finding, making and deleting them.

mod background;
mod describe;
mod open;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crash;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, RwLock};
use polyport_base::{Clock, Millis};
use polyport_log::checkpoint::partition_metadata::{self, TopicId};
use polyport_log::{Log, LogError, TopicPartition};
use polyport_storage::Disk;

pub use describe::{LogDirStatus, PartitionSize};
pub use open::Opened;

use crate::dir::Dir;
use crate::error::{CreateError, Refused};
use crate::observed::Observed;
use crate::parallel;
use crate::partition::{Local, Partition};
use crate::replicas::IsrProposal;
use crate::settings::{Settings, TopicConfig};
use crate::work::Doomed;

/// The partitions of one broker. Clones are the same store.
#[derive(Debug)]
pub struct Store<D: Disk>(pub(crate) Arc<Shared<D>>);

impl<D: Disk> Clone for Store<D> {
    fn clone(&self) -> Self {
        Store(self.0.clone())
    }
}

pub(crate) struct Shared<D: Disk> {
    pub disk: D,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub dirs: Vec<Arc<Dir<D>>>,
    /// Directories that could not be opened, and why.
    pub failed_dirs: Vec<(std::path::PathBuf, String)>,
    topics: RwLock<HashMap<String, Topic<D>>>,
    /// Held while a partition is made or deleted, so that one is not made twice.
    making: Mutex<()>,
    placing: Mutex<()>,
    /// Makes names of deleted directories unlike each other.
    unique: AtomicU64,
    /// Of the cleaner's tables of keys, which nobody outside may know.
    pub key_seed: u64,
    pub doomed: Mutex<Vec<Doomed<D>>>,
    pub stopping: AtomicBool,
    pub bell: (Mutex<()>, Condvar),
    pub threads: Mutex<Vec<JoinHandle<()>>>,
    pub observed: Arc<Observed>,
}

/// Partitions by their number.
type Topic<D> = Vec<Option<Arc<Partition<D>>>>;

impl<D: Disk> std::fmt::Debug for Shared<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<D: Disk> Store<D> {
    /// A partition of which there is a replica here.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition<D>>> {
        let topics = self.0.topics.read();
        topics.get(topic)?.get(usize::try_from(partition).ok()?)?.clone()
    }

    /// Why [`Store::partition`] does not find one that should be here: `Storage` if it may be in a
    /// directory that is offline, `NotLeader` if the store is closed, `Gone` otherwise.
    pub fn why_missing(&self) -> Refused {
        if self.0.stopping.load(Ordering::Acquire) {
            Refused::NotLeader
        } else if self.0.has_offline_dir() {
            Refused::Storage
        } else {
            Refused::Gone
        }
    }

    /// All partitions that are here, in no order.
    pub fn partitions(&self) -> Vec<Arc<Partition<D>>> {
        self.0.partitions()
    }

    /// The partition, which is made if it is not here, in the directory that has the fewest. One that
    /// is here gets the configuration.
    ///
    /// `is_new` says that no replica of it can have been here before. Without that nothing is made
    /// while a directory is offline: the partition may be in it.
    ///
    /// # Errors
    /// See [`CreateError`]. After `OtherTopic`, [`Store::set_aside`] makes room.
    pub fn create(
        &self,
        of: &TopicPartition,
        topic_id: TopicId,
        config: &Arc<TopicConfig>,
        is_new: bool,
    ) -> Result<Arc<Partition<D>>, CreateError> {
        let _one = self.0.making.lock();
        self.find_or_make(of, topic_id, config, is_new)
    }

    /// Does [`Store::create`] for many in little more time than for one. The outcomes are in no order.
    pub fn create_all(
        &self,
        wanted: &[(TopicPartition, TopicId, Arc<TopicConfig>)],
        is_new: bool,
    ) -> Vec<(TopicPartition, Result<Arc<Partition<D>>, CreateError>)> {
        let _one = self.0.making.lock();
        let threads = self.0.settings.io_threads_per_dir;
        parallel::for_each(wanted, threads, |(of, topic_id, config)| {
            (of.clone(), self.find_or_make(of, *topic_id, config, is_new))
        })
    }

    fn find_or_make(
        &self,
        of: &TopicPartition,
        topic_id: TopicId,
        config: &Arc<TopicConfig>,
        is_new: bool,
    ) -> Result<Arc<Partition<D>>, CreateError> {
        let shared = &*self.0;
        if let Some(found) = self.partition(&of.topic, of.partition) {
            self.take_over(&found, topic_id)?;
            found.set_config(config.clone(), shared.clock.now());
            return Ok(found);
        }
        if !is_new && shared.has_offline_dir() {
            return Err(CreateError::Offline);
        }
        let dir = shared.take_place().ok_or(CreateError::Offline)?;
        match shared.make(&dir, of, topic_id, config) {
            Ok(made) => {
                shared.insert(made.clone());
                Ok(made)
            }
            Err(error) => {
                dir.partitions.fetch_sub(1, Ordering::Relaxed);
                dir.failed(&error);
                Err(error.into())
            }
        }
    }

    /// Checks that a partition that was found belongs to the topic.
    fn take_over(&self, found: &Partition<D>, topic_id: TopicId) -> Result<(), CreateError> {
        match found.topic_id() {
            Some(id) if id == topic_id => Ok(()),
            Some(_) => Err(CreateError::OtherTopic),
            None => {
                let path = found.log_dir().join(found.of().dir_name());
                partition_metadata::store(&self.0.disk, &path, topic_id)
                    .inspect_err(|error| found.dir().failed(error))?;
                found.topic_id_cell().get_or_init(|| topic_id);
                Ok(())
            }
        }
    }

    /// Deletes a partition. Its directory is renamed at once, durably, and removed after
    /// `file.delete.delay.ms`. Says whether it was there.
    ///
    /// # Errors
    /// The disk's. The partition is `Gone` nevertheless.
    pub fn delete(&self, of: &TopicPartition) -> Result<bool, LogError> {
        let _one = self.0.making.lock();
        let Some(partition) = self.0.remove(of) else { return Ok(false) };
        partition.give_up(Refused::Gone);
        let at = self.0.now().0.saturating_add(partition.config().file_delete_delay_ms);
        let dir = partition.dir();
        let path = self.0.rename_dir(dir, |dir, unique| dir.delete(of, unique))?;
        if let Some(path) = path {
            self.0.doomed.lock().push(Doomed::dir(Millis(at), dir.clone(), path));
        }
        Ok(true)
    }

    /// Takes a partition that nobody knows out of the way: its directory is renamed, and stays until
    /// an operator has looked at it. Returns where it is now; `None` if it was not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_aside(&self, of: &TopicPartition) -> Result<Option<std::path::PathBuf>, LogError> {
        let _one = self.0.making.lock();
        let Some(partition) = self.0.remove(of) else { return Ok(None) };
        partition.give_up(Refused::Gone);
        self.0.rename_dir(partition.dir(), |dir, unique| dir.set_aside(of, unique))
    }

    /// The partitions that are here and not in the metadata. `known` says of a partition, and the
    /// topic's id that its directory names, whether it is.
    pub fn strays(
        &self,
        known: impl Fn(&TopicPartition, Option<TopicId>) -> bool,
    ) -> Vec<Arc<Partition<D>>> {
        let mut found = self.partitions();
        found.retain(|partition| !known(partition.of(), partition.topic_id()));
        found
    }

    /// Changes the configuration of all partitions of a topic.
    pub fn set_config(&self, topic: &str, config: &Arc<TopicConfig>) {
        let partitions: Vec<_> = match self.0.topics.read().get(topic) {
            Some(topic) => topic.iter().flatten().cloned().collect(),
            None => return,
        };
        let now = self.0.now();
        for partition in partitions {
            partition.set_config(config.clone(), now);
        }
    }

    /// The changes of in-sync replicas that are due because time has passed. To be asked for about
    /// every half `replica.lag.time.max.ms`.
    pub fn isr_proposals(&self, now: Millis) -> Vec<(Arc<Partition<D>>, IsrProposal)> {
        let partitions = self.partitions().into_iter();
        let due = |of: Arc<Partition<D>>| of.propose_isr(now).map(|proposal| (of, proposal));
        partitions.filter_map(due).collect()
    }
}

impl<D: Disk> Shared<D> {
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    pub fn has_offline_dir(&self) -> bool {
        !self.failed_dirs.is_empty() || self.dirs.iter().any(|dir| dir.is_offline())
    }

    pub fn local(&self) -> Local {
        let Settings { broker_id, replica_lag_time_max_ms: lag_max_ms, .. } = self.settings;
        Local { broker_id, lag_max_ms }
    }

    pub fn partitions(&self) -> Vec<Arc<Partition<D>>> {
        let topics = self.topics.read();
        topics.values().flatten().flatten().cloned().collect()
    }

    pub fn partitions_in<'a>(
        &'a self,
        dir: &'a Arc<Dir<D>>,
    ) -> impl Iterator<Item = Arc<Partition<D>>> + 'a {
        self.partitions().into_iter().filter(move |partition| Arc::ptr_eq(partition.dir(), dir))
    }

    /// A place for one more partition: in the working directory that has the fewest.
    fn take_place(&self) -> Option<Arc<Dir<D>>> {
        let _one = self.placing.lock();
        let working = self.dirs.iter().filter(|dir| !dir.is_offline());
        let dir = working.min_by_key(|dir| dir.partitions.load(Ordering::Relaxed))?;
        dir.partitions.fetch_add(1, Ordering::Relaxed);
        Some(dir.clone())
    }

    fn insert(&self, partition: Arc<Partition<D>>) {
        let of = partition.of();
        let Ok(number) = usize::try_from(of.partition) else { return };
        let mut topics = self.topics.write();
        let topic = match topics.get_mut(&of.topic) {
            Some(topic) => topic,
            None => topics.entry(of.topic.clone()).or_default(),
        };
        if topic.len() <= number {
            topic.resize_with(number + 1, || None);
        }
        topic[number] = Some(partition);
    }

    fn remove(&self, of: &TopicPartition) -> Option<Arc<Partition<D>>> {
        let mut topics = self.topics.write();
        let topic = topics.get_mut(&of.topic)?;
        let found = topic.get_mut(usize::try_from(of.partition).ok()?)?.take()?;
        if topic.iter().all(Option::is_none) {
            topics.remove(&of.topic);
        }
        found.dir().partitions.fetch_sub(1, Ordering::Relaxed);
        Some(found)
    }

    fn make(
        &self,
        dir: &Arc<Dir<D>>,
        of: &TopicPartition,
        topic_id: TopicId,
        config: &Arc<TopicConfig>,
    ) -> Result<Arc<Partition<D>>, LogError> {
        let closed = || LogError::Poisoned("the store is closed".into());
        let points = {
            let mut log_dir = dir.log_dir.lock();
            let log_dir = log_dir.as_mut().ok_or_else(closed)?;
            log_dir.before_making(of)?;
            log_dir.open_points(of)
        };
        let path = dir.path.join(of.dir_name());
        let (log, _) = Log::open(self.disk.clone(), &path, config.log.clone(), points, self.now())?;
        partition_metadata::store(&self.disk, &path, topic_id)?;
        dir.log_dir.lock().as_mut().ok_or_else(closed)?.note(of, &log);
        let (of, id, dir) = (of.clone(), Some(topic_id), dir.clone());
        Ok(Partition::new(of, id, dir, self.local(), config.clone(), Ok(log)))
    }

    /// Renames a partition's directory; `None` if the store is closed.
    fn rename_dir(
        &self,
        dir: &Dir<D>,
        rename: impl FnOnce(&mut polyport_log::LogDir<D>, u64) -> Result<std::path::PathBuf, LogError>,
    ) -> Result<Option<std::path::PathBuf>, LogError> {
        let unique = self.unique.fetch_add(1, Ordering::Relaxed);
        let mut log_dir = dir.log_dir.lock();
        let Some(log_dir) = &mut *log_dir else { return Ok(None) };
        let renamed = rename(log_dir, unique);
        renamed.map(Some).inspect_err(|error| dir.failed(error))
    }
}
