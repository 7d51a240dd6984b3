//! Reading, and waiting for what is to be read.

use polyport_log::{Fetched, Isolation, PlannedRead, ReadError};
use polyport_storage::Disk;

use super::Partition;
use super::core::Core;
use crate::error::{FetchError, Refused};
use crate::wait::fetch::FetchWaiters;
use crate::wait::{FetchWaiter, Round};

/// What is read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// From where.
    pub offset: i64,
    /// How much.
    pub max_bytes: u64,
    /// A batch that is larger than that is read nevertheless.
    pub at_least_one: bool,
    /// Up to where.
    pub isolation: Isolation,
    /// The leader epoch that the reader believes in.
    pub leader_epoch: Option<i32>,
    /// Whether a follower may answer.
    pub only_leader: bool,
    /// The epoch of the last record that the reader has: if this log has other records there, that is
    /// answered instead of records.
    pub last_fetched_epoch: Option<i32>,
}

impl Read {
    /// A consumer's read from the leader.
    pub fn consumer(offset: i64, max_bytes: u64, isolation: Isolation) -> Self {
        Read {
            offset,
            max_bytes,
            at_least_one: true,
            isolation,
            leader_epoch: None,
            only_leader: true,
            last_fetched_epoch: None,
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct ReadAnswer<F> {
    /// Where the records are, and the offsets that go with them.
    pub fetched: Fetched<F>,
    /// The log end offset then.
    pub log_end_offset: i64,
    /// The greatest epoch that both logs may have in common and where it ends here: the reader must
    /// truncate. There are no records then.
    pub diverging: Option<(i32, i64)>,
}

impl<F> ReadAnswer<F> {
    /// The offset that a reader saw up to: what [`Partition::wait_beyond`] is told.
    pub fn seen(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::LogEnd => self.log_end_offset,
            Isolation::HighWatermark => self.fetched.high_watermark,
            Isolation::LastStable => self.fetched.last_stable_offset,
        }
    }

    /// Bytes of records.
    pub fn bytes(&self) -> u64 {
        self.fetched.range.as_ref().map_or(0, |range| range.len)
    }
}

impl<D: Disk> Partition<D> {
    /// Finds whole batches from the one that holds the offset on. They stay in their file, which may
    /// be read for as long as the answer is kept.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn read(&self, read: &Read) -> Result<ReadAnswer<D::File>, FetchError> {
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        core.check_asker(read.leader_epoch, read.only_leader)?;
        let log_end_offset = log.log_end_offset();
        if let Some(epoch) = read.last_fetched_epoch
            && let diverging @ Some(_) = core.diverges(epoch, read.offset)?
        {
            // Not read: the offset may be beyond this log's end.
            let fetched = Fetched {
                range: None,
                base_offset: read.offset,
                log_start_offset: log.log_start_offset(),
                high_watermark: log.high_watermark(),
                last_stable_offset: log.last_stable_offset(),
                aborted: Vec::new(),
            };
            return Ok(ReadAnswer { fetched, log_end_offset, diverging });
        }
        let Read { max_bytes, at_least_one, .. } = *read;
        let diverging = None;
        let planned = log.plan_read(read.offset, max_bytes, at_least_one, read.isolation);
        // Old records may have to come from the disk: nobody waits for that.
        let later = match planned {
            Ok(PlannedRead::Later(later)) => later,
            Ok(PlannedRead::Done(fetched)) => {
                return Ok(ReadAnswer { fetched, log_end_offset, diverging });
            }
            Err(error) => {
                drop(core);
                return Err(self.read_failed(error));
            }
        };
        drop(core);
        if let Some(fetched) = later.find() {
            return Ok(ReadAnswer { fetched, log_end_offset, diverging });
        }
        let core = self.core.read();
        let log = core.usable(&self.dir)?;
        let log_end_offset = log.log_end_offset();
        match log.read(read.offset, max_bytes, at_least_one, read.isolation) {
            Ok(fetched) => Ok(ReadAnswer { fetched, log_end_offset, diverging }),
            Err(error) => {
                drop(core);
                Err(self.read_failed(error))
            }
        }
    }

    fn read_failed(&self, error: ReadError) -> FetchError {
        match error {
            ReadError::OutOfRange(why) => why.into(),
            ReadError::Log(error) => self.storage_failed(&error).into(),
        }
    }

    /// Lets a fetch wait for more than it saw: [`FetchWaiter::ready`] ends when there are so many bytes
    /// in all partitions that it was registered with, when another broker becomes the leader, and when
    /// the partition is gone. Says whether that is so already.
    pub fn wait_beyond(
        &self,
        seen: i64,
        isolation: Isolation,
        waiter: &FetchWaiter,
        round: Round,
    ) -> bool {
        let core = self.core.read();
        let nothing_new =
            core.usable(&self.dir).is_ok_and(|log| Core::upper(log, isolation) <= seen);
        if nothing_new {
            self.waiters.register(waiter, round, isolation);
            return false;
        }
        drop(core);
        // How much has come nobody has counted, so it is looked at.
        !FetchWaiters::tell_now(waiter, round, u32::MAX)
    }
}

impl<D: Disk> Core<D> {
    /// Whether a log whose record before `offset` is of `epoch` has records that this one has not.
    fn diverges(&self, epoch: i32, offset: i64) -> Result<Option<(i32, i64)>, FetchError> {
        let Ok(log) = &self.log else { return Err(Refused::Gone.into()) };
        let out_of_range = || {
            let (start, end) = (log.log_start_offset(), log.log_end_offset());
            polyport_log::OffsetOutOfRange { offset, start, end }
        };
        let (known, end) = log.end_offset_for_epoch(epoch).ok_or_else(out_of_range)?;
        if offset < log.log_start_offset() {
            return Err(out_of_range().into());
        }
        Ok((known < epoch || end < offset).then_some((known, end)))
    }
}
