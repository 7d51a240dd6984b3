//! Appending as the leader.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use polyport_base::Millis;
use polyport_log::producer::{Origin, Verification, VerificationGuard};
use polyport_log::{AppendError, Appended, Log, check_for_leader};
use polyport_storage::Disk;

use super::Partition;
use super::core::Core;
use crate::error::{ProduceError, Refused};
use crate::wait::AckWait;
use crate::wait::fetch::Progress;

/// What a producer asks for before its records count as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `acks=0` and `acks=1`: the leader has them.
    Leader,
    /// `acks=all`: all in-sync replicas have them.
    All,
}

/// How records are appended.
#[derive(Clone, Copy, Debug)]
pub struct AppendOptions {
    /// What the answer waits for.
    pub acks: Acks,
    /// Who appends, which decides what is checked.
    pub origin: Origin,
    /// What the transaction's coordinator said, if the records are of a transaction.
    pub verification: Verification,
    /// The answer waits for a sync, whatever the topic says; many share one.
    pub durable: bool,
}

impl AppendOptions {
    /// A client's records.
    pub fn client(acks: Acks) -> Self {
        AppendOptions {
            acks,
            origin: Origin::Client,
            verification: Verification::NotNeeded,
            durable: false,
        }
    }

    /// Records of a coordinator on this broker.
    pub fn coordinator() -> Self {
        AppendOptions { origin: Origin::Coordinator, ..Self::client(Acks::All) }
    }
}

/// Records were appended.
#[derive(Debug)]
pub struct AppendAnswer {
    /// Where, and when.
    pub appended: Appended,
    /// What they wait for before they may be acknowledged; `None` if nothing.
    pub wait: Option<AckWait>,
}

/// What the flusher is to do about an append.
pub(super) enum Flush {
    No,
    Now,
    At(Millis),
}

impl<D: Disk> Partition<D> {
    /// Appends records of the message format, version 2. Offsets and, where the topic wants it,
    /// timestamps are written into `records`.
    ///
    /// Consumers may see the records before they are durable, also with `flush.messages`.
    ///
    /// # Errors
    /// See [`ProduceError`]. Nothing was appended.
    pub fn append(
        self: &Arc<Self>,
        records: &mut [u8],
        options: AppendOptions,
        now: Millis,
    ) -> Result<AppendAnswer, ProduceError> {
        let config = self.config();
        self.core.read().may_append(options.acks, self)?;
        let failed = |error| match error {
            AppendError::Log(error) => ProduceError::Refused(self.storage_failed(&error)),
            error => ProduceError::Records(error),
        };
        let origin = options.origin;
        let checked = check_for_leader(&config.log, records, origin, now).map_err(failed)?;

        let producer = (origin, options.verification);
        let mut core = self.core.write();
        core.may_append(options.acks, self)?;
        let epoch = core.leader_epoch;
        let log = core.usable_mut(&self.dir)?;
        let before = Core::ends(log);
        let unflushed = log.unflushed_bytes();
        let appended =
            log.append_checked(records, checked, epoch, producer, now).map_err(failed)?;
        let bytes = log.unflushed_bytes() - unflushed;
        let progress = core.settle(before, bytes, now);
        let wait = core.ack_wait(&appended, &options, config.log.flush_messages);
        let waited_for = wait.as_ref().is_some_and(|wait| wait.durable.is_some());
        let flush = match &core.log {
            Ok(log) => self.flush_after(log, waited_for, now),
            Err(_) => Flush::No,
        };
        drop(core);

        self.after_append(progress, bytes, flush);
        Ok(AppendAnswer { appended, wait })
    }

    /// A transactional batch has come: see [`Log::begin_verification`].
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn begin_verification(
        &self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        now: Millis,
    ) -> Result<Option<VerificationGuard>, Refused> {
        let is_open = |core: &Core<D>| {
            core.check_asker(None, true)?;
            let log = core.usable(&self.dir)?;
            Ok::<_, Refused>(log.producers().is_in_transaction(producer_id))
        };
        if is_open(&self.core.read())? {
            return Ok(None);
        }
        let mut core = self.core.write();
        core.check_asker(None, true)?;
        let log = core.usable_mut(&self.dir)?;
        Ok(log.begin_verification(producer_id, epoch, sequence, now))
    }

    /// What an append causes, once the log is free again.
    pub(super) fn after_append(self: &Arc<Self>, progress: Progress, bytes: u64, flush: Flush) {
        self.waiters.tell(progress);
        self.dir.add_unflushed(bytes);
        match flush {
            Flush::No => {}
            Flush::Now => self.queue_flush(),
            Flush::At(at) => {
                if !self.flush_due.swap(true, Ordering::AcqRel) {
                    self.dir.queue.push_due(at, self.clone());
                }
            }
        }
    }

    pub(super) fn flush_after(&self, log: &Log<D>, waited_for: bool, now: Millis) -> Flush {
        if waited_for || log.wants_flush(now) || log.has_unflushed_segment() {
            return Flush::Now;
        }
        match log.flush_due() {
            Some(at) if !self.flush_due.load(Ordering::Acquire) => Flush::At(at),
            _ => Flush::No,
        }
    }

    pub(crate) fn queue_flush(self: &Arc<Self>) {
        if !self.flush_queued.swap(true, Ordering::AcqRel) {
            self.dir.queue.push_ready(self.clone());
        }
    }
}

impl<D: Disk> Core<D> {
    fn may_append(&self, acks: Acks, of: &Partition<D>) -> Result<(), ProduceError> {
        self.usable(&of.dir)?;
        let set = self.replicas().ok_or(Refused::NotLeader)?;
        if acks == Acks::All && !set.has_enough() {
            return Err(ProduceError::NotEnoughReplicas);
        }
        Ok(())
    }

    /// What an append still waits for.
    fn ack_wait(
        &mut self,
        appended: &Appended,
        options: &AppendOptions,
        flush_messages: u64,
    ) -> Option<AckWait> {
        let Ok(log) = &self.log else { return None };
        let next = appended.last_offset + 1;
        // With `flush.messages` the append that makes it so many waits for the sync, as in Kafka.
        let durable = (options.durable || log.unflushed_messages() >= flush_messages)
            && log.recovery_point() < next;
        let replicated = options.acks == Acks::All && log.high_watermark() < next;
        if !durable && !replicated {
            return None;
        }
        Some(AckWait {
            replicated: replicated.then(|| self.replicated.wait(next)),
            durable: durable.then(|| self.durable.wait(next)),
        })
    }
}
