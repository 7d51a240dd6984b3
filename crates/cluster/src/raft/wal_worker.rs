//! The one writer of the journal: takes whatever has queued up, writes it at once, syncs once, and
//! tells all who waited. Appends, votes and truncations keep their order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openraft::storage::IOFlushed;
use polyport_storage::disk::Disk;
use polyport_storage::wal::{Upkeep, Wal, WalError};
use tokio::sync::{mpsc, oneshot};

use super::Types;
use crate::Observed;

/// A piece of work for the journal.
pub(crate) enum Job {
    Append {
        /// Which entry is known to be committed, if that is news.
        mark: Option<Vec<u8>>,
        entries: Vec<(u64, Vec<u8>, Bytes)>,
        flushed: IOFlushed<Types>,
    },
    Vote {
        bytes: Vec<u8>,
        done: oneshot::Sender<std::io::Result<()>>,
    },
    Truncate {
        after: Option<u64>,
        done: oneshot::Sender<std::io::Result<()>>,
    },
    Purge {
        to: u64,
        name: Vec<u8>,
        done: oneshot::Sender<std::io::Result<()>>,
    },
}

/// Most jobs that share one sync.
const GROUP: usize = 1024;
/// Bytes of entries from which a group is written in several pieces: the journal holds no more in
/// memory than this and one entry.
const GROUP_BYTES: usize = 32 << 20;

/// When what was written counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durability {
    /// Whether to sync before telling anybody (`forceSync`).
    pub(crate) sync: bool,
    /// A sync that takes longer is warned of and counted.
    pub(crate) slow: Duration,
}

/// Owns the journal.
pub(crate) struct WalWorker<D: Disk> {
    wal: Wal<D>,
    jobs: mpsc::UnboundedReceiver<Job>,
    durability: Durability,
    group: Vec<Job>,
    observed: Arc<Observed>,
    /// Why the journal was given up. It is never written again then: consensus was told so, and
    /// would not expect to find later what it believes failed.
    given_up: Option<String>,
    /// Whether the operator was told that the disk is nearly full.
    warned: bool,
}

enum Waiter {
    Flushed(IOFlushed<Types>),
    Done(oneshot::Sender<std::io::Result<()>>),
}

impl Job {
    /// Who waits for it.
    fn waiter(self) -> Waiter {
        match self {
            Job::Append { flushed, .. } => Waiter::Flushed(flushed),
            Job::Vote { done, .. } | Job::Truncate { done, .. } | Job::Purge { done, .. } => {
                Waiter::Done(done)
            }
        }
    }
}

impl<D: Disk> WalWorker<D> {
    /// On a journal just opened.
    pub(crate) fn new(
        wal: Wal<D>,
        jobs: mpsc::UnboundedReceiver<Job>,
        durability: Durability,
        observed: Arc<Observed>,
    ) -> Self {
        Self { wal, jobs, durability, group: Vec::new(), observed, given_up: None, warned: false }
    }

    /// Works until all senders are gone. For a thread of its own.
    pub(crate) fn run(mut self) {
        while self.jobs.blocking_recv_many(&mut self.group, GROUP) > 0 {
            self.work();
        }
    }

    /// The same as a task, each sync taking `delay()` of simulated time.
    pub(crate) async fn run_simulated(mut self, delay: impl Fn() -> Duration) {
        while self.jobs.recv_many(&mut self.group, GROUP).await > 0 {
            tokio::time::sleep(delay()).await;
            self.work();
            if let Err(error) = self.wal.upkeep().settle() {
                warn(&error);
            }
        }
    }

    fn work(&mut self) {
        let mut waiters = Vec::with_capacity(self.group.len());
        let jobs = std::mem::take(&mut self.group);
        let result = match &self.given_up {
            Some(reason) => {
                waiters.extend(jobs.into_iter().map(Job::waiter));
                Err(reason.clone())
            }
            None => self.write(jobs, &mut waiters).map_err(|error| self.give_up(&error)),
        };
        for waiter in waiters {
            let result = result.clone().map_err(std::io::Error::other);
            match waiter {
                Waiter::Flushed(flushed) => flushed.io_completed(result),
                // Nobody waits any more if the node is stopping.
                Waiter::Done(done) => drop(done.send(result)),
            }
        }
    }

    fn write(&mut self, jobs: Vec<Job>, waiters: &mut Vec<Waiter>) -> Result<(), WalError> {
        let mut result = Ok(());
        for job in jobs {
            match job {
                Job::Append { mark, entries, flushed } => {
                    if let Some(mark) = mark {
                        result = result.and_then(|()| self.wal.set_mark(&mark));
                    }
                    for (index, head, tail) in entries {
                        let parts: [&[u8]; 2] = [&head, &tail];
                        result = result.and_then(|()| self.wal.append(index, &parts));
                        if self.wal.buffered_bytes() >= GROUP_BYTES {
                            result = result.and_then(|()| self.wal.flush(self.durability.sync));
                        }
                    }
                    waiters.push(Waiter::Flushed(flushed));
                }
                Job::Vote { bytes, done } => {
                    result = result.and_then(|()| self.wal.set_vote(&bytes));
                    waiters.push(Waiter::Done(done));
                }
                Job::Truncate { after, done } => {
                    result = result.and_then(|()| self.wal.truncate_after(after));
                    waiters.push(Waiter::Done(done));
                }
                Job::Purge { to, name, done } => {
                    result = result.and_then(|()| self.wal.purge_to(to, &name));
                    waiters.push(Waiter::Done(done));
                }
            }
        }
        if !waiters.is_empty() {
            let since = Instant::now();
            result = result.and_then(|()| self.wal.flush(self.durability.sync));
            if self.durability.sync {
                self.synced(since.elapsed());
            }
            self.observed.sync_batch.record(waiters.len() as u64);
        }
        result?;
        if self.wal.is_tight() && !self.warned {
            tracing::warn!(
                "the disk of the transaction log is nearly full: this node stops when it is; free \
                 space now"
            );
        }
        self.warned = self.wal.is_tight();
        Ok(())
    }
}

/// Removes what was purged and has the next segment ready until the journal is gone. For a thread of
/// its own.
pub(crate) fn keep_up<D: Disk>(upkeep: &Upkeep<D>) {
    upkeep.run(|error| warn(&error));
}

fn warn(error: &WalError) {
    tracing::warn!(%error, "upkeep of the transaction log failed; it goes on without");
}

impl<D: Disk> WalWorker<D> {
    fn synced(&self, took: Duration) {
        self.observed.sync.record_time(took);
        if took > self.durability.slow {
            self.observed.slow_syncs.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                took_ms = took.as_millis(),
                "writing the transaction log to disk took long (fsync.warningthresholdms); \
                 every write waits for it"
            );
        }
    }

    /// Tells the operator why and what to do; the answer is the reason.
    fn give_up(&mut self, error: &WalError) -> String {
        let reason = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let advice = match error.is_full() {
            true => {
                "; the disk is full: free space on it, or move log_dir or data_dir to a larger one, \
                 and start the node again; nothing that was acknowledged is lost"
            }
            false => "",
        };
        tracing::error!("the transaction log cannot be written, this node stops: {reason}{advice}");
        self.given_up = Some(reason.clone());
        reason
    }
}
