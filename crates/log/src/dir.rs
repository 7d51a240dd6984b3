//! Log directories: the partitions in them and the checkpoint files that go for all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use polyport_base::Millis;
use polyport_storage::{Disk, DiskFile};

use crate::checkpoint::meta_properties::{self, MetaProperties};
use crate::checkpoint::offsets::{self, CLEANER, LOG_START, RECOVERY_POINT, REPLICATION};
use crate::error::{LogError, io_error};
use crate::log::{Log, OpenPoints, Recovered, Removed};
use crate::{LogConfig, TopicPartition};

/// There after a clean stop, removed by the next start.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Ends the name of a partition's directory that is being removed.
const DELETE: &str = "-delete";
/// Ends the name of a partition's directory that nobody knows.
const STRAY: &str = "-stray";
/// Longest name of a partition's directory that the file system takes.
const MAX_NAME: usize = 255;

/// One of `log.dirs`.
///
/// Opening and checkpointing are the owner's business alone; the logs themselves are handed out and
/// used elsewhere.
#[derive(Debug)]
pub struct LogDir<D: Disk> {
    disk: D,
    path: PathBuf,
    clean: bool,
    recovery_points: BTreeMap<TopicPartition, i64>,
    high_watermarks: BTreeMap<TopicPartition, i64>,
    log_starts: BTreeMap<TopicPartition, i64>,
    cleaned_to: BTreeMap<TopicPartition, i64>,
    /// Partitions that are gone but may still be in the files: what these say must not be taken for
    /// a new partition's.
    forgotten: BTreeSet<TopicPartition>,
    /// What is not in the files as it is here.
    changed: Changed,
    leftovers: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Changed {
    recovery_points: bool,
    high_watermarks: bool,
    log_starts: bool,
}

/// A log directory that is not this node's.
#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    /// The directory belongs to another node or cluster.
    #[error("{} belongs to {found:?}, this is {expected:?}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: MetaProperties,
        /// Who asks.
        expected: MetaProperties,
    },
    /// The disk failed, or a file is not in its format.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl TopicPartition {
    /// The name of its directory: `topic-partition`.
    pub fn dir_name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// The partition of a directory's name, if it is one.
    pub fn of_dir_name(name: &str) -> Option<TopicPartition> {
        if name.ends_with(DELETE) {
            return None;
        }
        let (topic, partition) = name.rsplit_once('-')?;
        if topic.is_empty() || !partition.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(TopicPartition { topic: topic.to_owned(), partition: partition.parse().ok()? })
    }
}

impl<D: Disk> LogDir<D> {
    /// Opens the directory, which is made if it is not there, and reads its checkpoints. From here on
    /// the stop is not clean until [`LogDir::close`].
    ///
    /// # Errors
    /// `Foreign`; `Log`.
    pub fn open(disk: D, path: &Path, meta: &MetaProperties) -> Result<Self, LogDirError> {
        disk.create_dir_all(path).map_err(io_error("make", path))?;
        match meta_properties::load(&disk, path)? {
            None => meta_properties::store(&disk, path, meta)?,
            Some(found) if found == *meta => {}
            Some(found) => {
                let (path, expected) = (path.to_path_buf(), meta.clone());
                return Err(LogDirError::Foreign { path, found, expected });
            }
        }
        let dirs = disk.list_dirs(path).map_err(io_error("list", path))?;
        let leftovers = dirs.iter().filter(|dir| dir.ends_with(DELETE));
        let leftovers = leftovers.map(|dir| path.join(dir)).collect();
        let there: BTreeSet<_> =
            dirs.iter().filter_map(|d| TopicPartition::of_dir_name(d)).collect();
        let load = |name| offsets::load(&disk, &path.join(name));
        let marker = path.join(CLEAN_SHUTDOWN);
        let clean = disk.open(&marker).is_ok();
        let mut opened = LogDir {
            forgotten: BTreeSet::new(),
            changed: Changed::default(),
            leftovers,
            clean,
            recovery_points: load(RECOVERY_POINT)?,
            high_watermarks: load(REPLICATION)?,
            log_starts: load(LOG_START)?,
            cleaned_to: load(CLEANER)?,
            path: path.to_path_buf(),
            disk,
        };
        opened.forget_unless(|of| there.contains(of));
        if clean {
            crate::remove_if_there(&opened.disk, &marker)?;
            opened.disk.sync_dir(path).map_err(io_error("sync", path))?;
        }
        Ok(opened)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What deletions have left behind, to be removed; that may take long and needs nothing of this.
    pub fn take_leftovers(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.leftovers)
    }

    /// Forgets checkpoints, of which the files may still know.
    fn forget_unless(&mut self, stays: impl Fn(&TopicPartition) -> bool) {
        for points in [
            &mut self.recovery_points,
            &mut self.high_watermarks,
            &mut self.log_starts,
            &mut self.cleaned_to,
        ] {
            for (of, _) in points.extract_if(.., |of, _| !stays(of)) {
                self.forgotten.insert(of);
            }
        }
    }

    /// Whether the last process stopped cleanly.
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// The partitions that have a directory here.
    ///
    /// # Errors
    /// `Io`.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, LogError> {
        let dirs = self.disk.list_dirs(&self.path).map_err(io_error("list", &self.path))?;
        Ok(dirs.iter().filter_map(|dir| TopicPartition::of_dir_name(dir)).collect())
    }

    /// Opens a partition's log, or makes it.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_log(
        &mut self,
        of: &TopicPartition,
        config: LogConfig,
        now: Millis,
    ) -> Result<(Log<D>, Recovered), LogError> {
        self.before_making(of)?;
        let (log, recovered) = self.open_found(of, config, now)?;
        self.note(of, &log);
        Ok((log, recovered))
    }

    /// Sees to it that no checkpoint of a partition that had the same name can count for a new one.
    /// Comes before a partition's directory is made.
    ///
    /// # Errors
    /// `Io`.
    pub fn before_making(&mut self, of: &TopicPartition) -> Result<(), LogError> {
        if self.forgotten.contains(of) { self.checkpoint() } else { Ok(()) }
    }

    /// Opens the log of one of [`LogDir::partitions`]. Several may be opened at once; the caller says
    /// [`LogDir::note`] then.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_found(
        &self,
        of: &TopicPartition,
        config: LogConfig,
        now: Millis,
    ) -> Result<(Log<D>, Recovered), LogError> {
        let path = self.path.join(of.dir_name());
        Log::open(self.disk.clone(), &path, config, self.open_points(of), now)
    }

    /// What the checkpoints say of a partition.
    pub fn open_points(&self, of: &TopicPartition) -> OpenPoints {
        let point =
            |points: &BTreeMap<TopicPartition, i64>| points.get(of).copied().unwrap_or(0).max(0);
        OpenPoints {
            recovery_point: point(&self.recovery_points),
            log_start: point(&self.log_starts),
            high_watermark: point(&self.high_watermarks),
            clean: self.clean,
        }
    }

    /// Takes over a log's offsets, for the next [`LogDir::checkpoint`].
    pub fn note(&mut self, of: &TopicPartition, log: &Log<D>) {
        self.changed.recovery_points |= set(&mut self.recovery_points, of, log.recovery_point());
        self.changed.high_watermarks |= set(&mut self.high_watermarks, of, log.high_watermark());
        // Where the log begins with a segment, the segment says so.
        self.changed.log_starts |= if log.segment_bases().next() == Some(log.log_start_offset()) {
            self.log_starts.remove(of).is_some()
        } else {
            set(&mut self.log_starts, of, log.log_start_offset())
        };
    }

    /// Up to where compaction has come in a partition.
    pub fn cleaned_to(&self, of: &TopicPartition) -> i64 {
        self.cleaned_to.get(of).copied().unwrap_or(0)
    }

    /// Notes the end of a round of compaction, durably.
    ///
    /// # Errors
    /// `Io`.
    pub fn set_cleaned_to(&mut self, of: &TopicPartition, offset: i64) -> Result<(), LogError> {
        self.cleaned_to.insert(of.clone(), offset);
        self.store(CLEANER, &self.cleaned_to)
    }

    /// Truncates a log so that no crash can take new records for old durable ones.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn truncate(
        &mut self,
        of: &TopicPartition,
        log: &mut Log<D>,
        offset: i64,
        now: Millis,
    ) -> Result<bool, LogError> {
        // A batch goes as a whole, so its start is where the log will end.
        self.lower(of, log.truncation_point(offset)?)?;
        let done = log.truncate_to(offset, now);
        self.note(of, log);
        done
    }

    /// Empties a log and lets it begin at `offset`, as safely.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn restart_at(
        &mut self,
        of: &TopicPartition,
        log: &mut Log<D>,
        offset: i64,
        now: Millis,
    ) -> Result<(), LogError> {
        self.lower(of, offset.min(log.log_start_offset()))?;
        let done = log.restart_at(offset, now).and_then(Removed::unlink);
        self.note(of, log);
        done
    }

    /// Lowers the checkpoints of a partition, durably, before its end goes back.
    fn lower(&mut self, of: &TopicPartition, lowered: i64) -> Result<(), LogError> {
        for (name, points) in
            [(RECOVERY_POINT, &mut self.recovery_points), (CLEANER, &mut self.cleaned_to)]
        {
            if let Some(point) = points.get_mut(of).filter(|point| **point > lowered) {
                *point = lowered;
                offsets::store(&self.disk, &self.path.join(name), points)?;
            }
        }
        Ok(())
    }

    fn store(&self, name: &str, of: &BTreeMap<TopicPartition, i64>) -> Result<(), LogError> {
        offsets::store(&self.disk, &self.path.join(name), of)
    }

    /// Writes the checkpoints of what was noted, if it is not what the files say. Offsets only ever
    /// name what is durable, so a crash between two files does no harm.
    ///
    /// # Errors
    /// `Io`.
    pub fn checkpoint(&mut self) -> Result<(), LogError> {
        let forgets = !self.forgotten.is_empty();
        if forgets {
            self.store(CLEANER, &self.cleaned_to)?;
        }
        if forgets || self.changed.log_starts {
            self.store(LOG_START, &self.log_starts)?;
            self.changed.log_starts = false;
        }
        if forgets || self.changed.recovery_points {
            self.store(RECOVERY_POINT, &self.recovery_points)?;
            self.changed.recovery_points = false;
        }
        if forgets || self.changed.high_watermarks {
            self.store(REPLICATION, &self.high_watermarks)?;
            self.changed.high_watermarks = false;
        }
        self.forgotten.clear();
        Ok(())
    }

    /// Removes a partition: its directory is renamed, durably, and is no partition from then on.
    /// Returns where the files are, whose removal may take long; the next process finds them with
    /// [`LogDir::take_leftovers`].
    ///
    /// # Errors
    /// `Io`.
    pub fn delete(&mut self, of: &TopicPartition, unique: u64) -> Result<PathBuf, LogError> {
        self.rename(of, unique, DELETE)
    }

    /// As `delete`, but the files stay until an operator has looked at them.
    ///
    /// # Errors
    /// `Io`.
    pub fn set_aside(&mut self, of: &TopicPartition, unique: u64) -> Result<PathBuf, LogError> {
        self.rename(of, unique, STRAY)
    }

    fn rename(
        &mut self,
        of: &TopicPartition,
        unique: u64,
        suffix: &str,
    ) -> Result<PathBuf, LogError> {
        let from = self.path.join(of.dir_name());
        let suffix = format!(".{unique:032x}{suffix}");
        let mut name = of.dir_name();
        name.truncate(MAX_NAME - suffix.len());
        let to = self.path.join(name + &suffix);
        self.disk.rename_dir(&from, &to).map_err(io_error("rename", &from))?;
        self.forget_unless(|other| other != of);
        Ok(to)
    }

    /// Notes that the stop is clean. All logs were closed before, and `closed` says where they end.
    ///
    /// # Errors
    /// `Io`.
    pub fn close(
        mut self,
        closed: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<(), LogError> {
        for (of, end) in closed {
            self.changed.recovery_points |= set(&mut self.recovery_points, &of, end);
        }
        self.checkpoint()?;
        let marker = self.path.join(CLEAN_SHUTDOWN);
        let file = self.disk.create(&marker).map_err(io_error("create", &marker))?;
        file.write_at(b"{\"version\":0,\"brokerEpoch\":-1}", 0)
            .map_err(io_error("write", &marker))?;
        file.sync_data().map_err(io_error("sync", &marker))?;
        crate::checkpoint::sync_parent(&self.disk, &marker)
    }
}

/// Says whether that changed anything.
fn set(points: &mut BTreeMap<TopicPartition, i64>, of: &TopicPartition, offset: i64) -> bool {
    match points.get_mut(of) {
        Some(point) => std::mem::replace(point, offset) != offset,
        None => points.insert(of.clone(), offset).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use polyport_storage::SimDisk;

    use super::*;
    use crate::batch::BatchBuilder;
    use crate::producer::Origin;

    const NOW: Millis = Millis(5);

    fn meta() -> MetaProperties {
        MetaProperties { broker_id: 1, cluster_id: "c".into() }
    }

    fn dir(disk: &SimDisk) -> LogDir<SimDisk> {
        LogDir::open(disk.clone(), Path::new("/data"), &meta()).unwrap()
    }

    fn partition(number: i32) -> TopicPartition {
        TopicPartition { topic: "a-b.c".into(), partition: number }
    }

    fn append(log: &mut Log<SimDisk>, records: usize) {
        let mut builder = BatchBuilder::new(0);
        (0..records).for_each(|_| builder.push(1, None, None));
        let mut bytes = Vec::new();
        builder.build(None, &mut bytes).unwrap();
        log.append_as_leader(&mut bytes, 0, Origin::Client, NOW).unwrap();
    }

    #[test]
    fn a_clean_stop_is_told_from_a_crash_once() {
        let disk = SimDisk::new();
        let mut first = dir(&disk);
        assert!(!first.was_clean());
        let (mut log, _) = first.open_log(&partition(3), LogConfig::default(), NOW).unwrap();
        append(&mut log, 4);
        log.set_high_watermark(4);
        log.advance_log_start(2).unwrap();
        first.note(&partition(3), &log);
        let end = log.close().unwrap();
        first.close([(partition(3), end)]).unwrap();
        disk.crash(7);
        let mut second = dir(&disk);
        assert!(second.was_clean());
        assert_eq!(second.partitions().unwrap(), [partition(3)]);
        let (log, recovered) = second.open_log(&partition(3), LogConfig::default(), NOW).unwrap();
        assert_eq!(recovered, Recovered::default());
        let offsets = (log.log_start_offset(), log.high_watermark(), log.log_end_offset());
        assert_eq!(offsets, (2, 4, 4));
        disk.crash(8);
        assert!(!dir(&disk).was_clean());
    }

    #[test]
    fn another_nodes_directory_is_refused() {
        let disk = SimDisk::new();
        dir(&disk);
        let other = MetaProperties { broker_id: 2, ..meta() };
        let error = LogDir::open(disk, Path::new("/data"), &other).unwrap_err();
        assert!(matches!(error, LogDirError::Foreign { .. }));
    }

    #[test]
    fn a_deleted_partition_is_gone_also_after_a_crash() {
        let disk = SimDisk::new();
        let mut here = dir(&disk);
        let (mut log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
        append(&mut log, 1);
        let gone = here.delete(&partition(0), 42).unwrap();
        assert!(gone.to_str().unwrap().ends_with("-delete"));
        assert!(here.partitions().unwrap().is_empty());
        disk.crash(1);
        let mut here = dir(&disk);
        assert_eq!(here.take_leftovers(), [gone]);
        assert!(here.partitions().unwrap().is_empty());
        let (log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
        assert_eq!(log.log_end_offset(), 0);
    }

    #[test]
    fn truncating_lowers_the_checkpoints_first() {
        let disk = SimDisk::new();
        let mut here = dir(&disk);
        let (mut log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
        (0..5).for_each(|_| append(&mut log, 3));
        log.flush().unwrap();
        here.note(&partition(0), &log);
        here.set_cleaned_to(&partition(0), 12).unwrap();
        here.checkpoint().unwrap();
        here.truncate(&partition(0), &mut log, 10, NOW).unwrap();
        assert_eq!(log.log_end_offset(), 9);
        append(&mut log, 9);
        disk.crash(11);
        let mut here = dir(&disk);
        assert_eq!((here.recovery_points[&partition(0)], here.cleaned_to(&partition(0))), (9, 9));
        let (log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
        assert!([9, 18].contains(&log.log_end_offset()));
    }

    #[test]
    fn a_log_that_begins_anew_trusts_nothing_of_before() {
        for (seed, offset) in [(1, 3), (2, 100), (3, 3), (4, 100)] {
            let disk = SimDisk::new();
            let mut here = dir(&disk);
            let (mut log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
            (0..5).for_each(|_| append(&mut log, 3));
            log.flush().unwrap();
            here.note(&partition(0), &log);
            here.checkpoint().unwrap();
            here.restart_at(&partition(0), &mut log, offset, NOW).unwrap();
            append(&mut log, 9);
            disk.crash(seed);
            let mut here = dir(&disk);
            let (log, _) = here.open_log(&partition(0), LogConfig::default(), NOW).unwrap();
            assert_eq!(log.log_start_offset(), offset, "{seed}");
            assert!([offset, offset + 9].contains(&log.log_end_offset()), "{seed}");
        }
    }

    #[test]
    fn names_of_directories_are_those_of_partitions() {
        assert_eq!(partition(7).dir_name(), "a-b.c-7");
        assert_eq!(TopicPartition::of_dir_name("a-b.c-7"), Some(partition(7)));
        for other in ["a", "-1", "a-", "a-x", "a-0.00ff-delete", "a-+1"] {
            assert_eq!(TopicPartition::of_dir_name(other), None, "{other}");
        }
    }
}
