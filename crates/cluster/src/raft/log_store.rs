//! openraft's log on the journal, with the newest entries kept in memory.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use polyport_storage::disk::Disk;
use polyport_storage::wal::{Recovered, Wal, WalReader};
use polyport_wire::Cursor;
use tokio::sync::{mpsc, oneshot};

use super::wal_worker::Job;
use super::{Entry, LogId, Types, Vote, codec};

/// Newest entries kept in memory for followers and for applying: most bytes, and this many unless
/// they are large.
const CACHE_BYTES: usize = 8 << 20;
const CACHE_MIN: usize = 64;
const CACHE_MIN_BYTES: usize = 64 << 20;
/// Bytes of entries from which one replication request takes no more: it must fit into a frame.
const READ_BYTES: usize = 4 << 20;

#[derive(Default)]
struct State {
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// Whether that goes into the journal with the next entries. By itself it would be written no
    /// sooner, but wake the writer for every commit.
    unmarked: bool,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// Consecutive; the last is the log's last.
    cache: VecDeque<Entry>,
    cache_bytes: usize,
}

/// A handle on the log; clones share it.
pub(crate) struct LogStore<D: Disk> {
    state: Arc<Mutex<State>>,
    jobs: mpsc::UnboundedSender<Job>,
    reader: WalReader<D>,
}

impl<D: Disk> Clone for LogStore<D> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), jobs: self.jobs.clone(), reader: self.reader.clone() }
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("transaction log: {error}"))
}

impl<D: Disk> LogStore<D> {
    /// On a journal just opened; the receiver is the worker's.
    ///
    /// # Errors
    /// If what the journal recovered does not decode.
    pub(crate) fn new(
        wal: &Wal<D>,
        recovered: &Recovered,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Job>)> {
        let vote = |bytes: &Vec<u8>| codec::vote(&mut Cursor::new(bytes)).map_err(damaged);
        let id = |bytes: &Vec<u8>| codec::log_id(&mut Cursor::new(bytes)).map_err(damaged);
        let purged = recovered.purged.as_ref().map(|(_, name)| id(name)).transpose()?;
        let mut state = State {
            vote: recovered.vote.as_ref().map(vote).transpose()?,
            committed: recovered.mark.as_ref().map(id).transpose()?,
            purged,
            ..State::default()
        };
        let reader = wal.reader();
        state.last = state.purged;
        if let Some(last) = wal.last_index() {
            let entries = reader.read_vec(last..last + 1, READ_BYTES).map_err(damaged)?;
            for (_, bytes) in entries {
                state.last = Some(codec::entry(&Bytes::from(bytes)).map_err(damaged)?.log_id);
            }
        }
        // The mark is not synced by itself, but neither is it ever ahead of a synced entry.
        if state.committed > state.last {
            state.committed = state.last;
        }
        let (jobs, receiver) = mpsc::unbounded_channel();
        Ok((Self { state: Arc::new(Mutex::new(state)), jobs, reader }, receiver))
    }

    /// Whether nothing was ever written: this node has never been part of a cluster.
    pub(crate) fn is_pristine(&self) -> bool {
        let state = self.state.lock();
        state.vote.is_none() && state.last.is_none()
    }

    fn send(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| io::Error::other("the transaction log's writer has ended"))
    }

    async fn wait(
        &self,
        job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job,
    ) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.send(job(done))?;
        wait.await.map_err(|_| io::Error::other("the transaction log's writer has ended"))?
    }

    /// Entries `start..end` that there are, at least one if any, bounded by `max_bytes` or not.
    fn read(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let (from_disk, mut cached) = {
            let state = self.state.lock();
            let first = state.cache.front().map_or(u64::MAX, |entry| entry.log_id.index);
            let skip = start.saturating_sub(first) as usize;
            let take = end.saturating_sub(start.max(first)) as usize;
            let mut bytes = 0;
            let fits = |entry: &&Entry| {
                let fits = bytes < max_bytes;
                bytes += codec::entry_tail(entry).len();
                fits
            };
            let cached = state.cache.iter().skip(skip).take(take).take_while(fits);
            let cached: Vec<Entry> = cached.cloned().collect();
            (start..end.min(first), cached)
        };
        if from_disk.is_empty() {
            return Ok(cached);
        }
        let mut entries = Vec::new();
        let mut failed = None;
        let next = self.reader.read(from_disk.clone(), max_bytes, |_, bytes| {
            match codec::entry(&Bytes::copy_from_slice(bytes)) {
                Ok(entry) => entries.push(entry),
                Err(error) => failed = Some(error),
            }
        });
        let next = next.map_err(damaged)?;
        if let Some(error) = failed {
            return Err(damaged(error));
        }
        if next == from_disk.end {
            entries.append(&mut cached);
        }
        Ok(entries)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end + 1,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl<D: Disk> RaftLogReader<Types> for LogStore<D> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.state.lock().vote)
    }
}

impl<D: Disk> RaftLogStorage<Types> for LogStore<D> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.state.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let mut bytes = Vec::new();
        codec::put_vote(&mut bytes, vote);
        self.wait(|done| Job::Vote { bytes, done }).await?;
        self.state.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        let mut state = self.state.lock();
        state.committed = Some(committed);
        state.unmarked = true;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.state.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut job = Vec::new();
        let mut mark = None;
        {
            let mut state = self.state.lock();
            if std::mem::take(&mut state.unmarked)
                && let Some(committed) = &state.committed
            {
                codec::put_log_id(mark.insert(Vec::new()), committed);
            }
            for entry in entries {
                let mut head = Vec::with_capacity(40);
                codec::put_entry_head(&mut head, &entry);
                let tail = match &entry.payload {
                    openraft::EntryPayload::Normal(proposal) => proposal.bytes.clone(),
                    _ => Bytes::new(),
                };
                job.push((entry.log_id.index, head, tail));
                state.last = Some(entry.log_id());
                state.cache_bytes += codec::entry_tail(&entry).len();
                state.cache.push_back(entry);
            }
            // Entries still waiting for the writer can only be read here, so the cache is trimmed
            // no further than what has been flushed.
            let flushed = self.reader.entries().end;
            while state.cache_bytes > CACHE_BYTES
                && (state.cache.len() > CACHE_MIN || state.cache_bytes > CACHE_MIN_BYTES)
                && state.cache.front().is_some_and(|entry| entry.log_id.index < flushed)
            {
                if let Some(entry) = state.cache.pop_front() {
                    state.cache_bytes -= codec::entry_tail(&entry).len();
                }
            }
        }
        self.send(Job::Append { mark, entries: job, flushed })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let keep = last.map(|id| id.index);
        {
            let mut state = self.state.lock();
            while state.cache.back().is_some_and(|entry| Some(entry.log_id.index) > keep) {
                if let Some(entry) = state.cache.pop_back() {
                    state.cache_bytes -= codec::entry_tail(&entry).len();
                }
            }
            state.last = last;
        }
        self.wait(|done| Job::Truncate { after: keep, done }).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let mut name = Vec::new();
        codec::put_log_id(&mut name, &log_id);
        {
            let mut state = self.state.lock();
            while state.cache.front().is_some_and(|entry| entry.log_id.index <= log_id.index) {
                if let Some(entry) = state.cache.pop_front() {
                    state.cache_bytes -= codec::entry_tail(&entry).len();
                }
            }
            state.purged = Some(log_id);
            if state.last.is_none_or(|last| last.index < log_id.index) {
                state.last = Some(log_id);
            }
        }
        self.wait(|done| Job::Purge { to: log_id.index, name, done }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::EntryPayload;
    use openraft::vote::RaftLeaderId;
    use polyport_base::Millis;
    use polyport_storage::WalOptions;
    use polyport_storage::disk::SimDisk;

    use crate::raft::{Durability, Proposal, WalWorker};

    const LARGE: usize = 1 << 20;

    fn entries(count: u64, bytes: &Bytes) -> Vec<Entry> {
        let leader_id = openraft::alias::LeaderIdOf::<Types>::new(1, 1);
        let entry = |index| {
            let proposal = Proposal { time: Millis(1), bytes: bytes.clone() };
            Entry::new(LogId { leader_id, index }, EntryPayload::Normal(proposal))
        };
        (0..count).map(entry).collect()
    }

    fn journal() -> (SimDisk, Wal<SimDisk>, Recovered) {
        let disk = SimDisk::new();
        let options = WalOptions { prealloc_bytes: 4096, salt: Some(7), ..WalOptions::default() };
        let (wal, recovered) = Wal::open(disk.clone(), "/log", options).unwrap();
        (disk, wal, recovered)
    }

    /// While the disk is slow everything is in memory, and a follower that is behind asks for it.
    #[tokio::test]
    async fn a_replication_request_fits_into_a_frame_wherever_the_entries_are() {
        let (_, wal, recovered) = journal();
        let (mut log, _unwritten) = LogStore::new(&wal, &recovered).unwrap();
        log.append(entries(300, &Bytes::from(vec![1; LARGE])), IOFlushed::noop()).await.unwrap();
        let read = log.limited_get_log_entries(10, 300).await.unwrap();
        let indexes: Vec<u64> = read.iter().map(|entry| entry.log_id.index).collect();
        assert_eq!(indexes, (10..10 + (READ_BYTES / LARGE) as u64).collect::<Vec<_>>());
        // One that is larger than that goes alone.
        let (_, wal, recovered) = journal();
        let (mut log, _unwritten) = LogStore::new(&wal, &recovered).unwrap();
        let huge = Bytes::from(vec![1; 2 * READ_BYTES]);
        log.append(entries(3, &huge), IOFlushed::noop()).await.unwrap();
        assert_eq!(log.limited_get_log_entries(0, 3).await.unwrap().len(), 1);
    }

    #[test]
    fn a_group_of_large_entries_is_written_in_pieces() {
        let (disk, wal, recovered) = journal();
        let (_, _jobs) = LogStore::new(&wal, &recovered).unwrap();
        let (jobs, receiver) = mpsc::unbounded_channel();
        let reader = wal.reader();
        let large = Bytes::from(vec![1; 20 * LARGE]);
        for index in 0..4 {
            let entries = vec![(index, Vec::new(), large.clone())];
            assert!(
                jobs.send(Job::Append { mark: None, entries, flushed: IOFlushed::noop() }).is_ok()
            );
        }
        drop(jobs);
        let before = disk.syncs();
        let durability = Durability { sync: true, slow: std::time::Duration::MAX };
        WalWorker::new(wal, receiver, durability, Arc::default()).run();
        assert_eq!(reader.entries(), 0..4);
        // Two entries are more than is held at once.
        assert!(disk.syncs() >= before + 2, "{} syncs", disk.syncs() - before);
    }
}
