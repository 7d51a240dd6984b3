//! A partition of this node as a coordinator's log.

use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::Isolation;
use polyport_log::producer::{ProducerError, Verification};
use polyport_partitions::{
    AckError, AppendOptions, FetchError, Partition, ProduceError, Read, Refused,
};
use polyport_storage::Disk;

use super::log::{AppendError, InternalLog, ReadFailed, Replicated, Written};

/// How much is read at a time when the partition is loaded.
const LOAD_BYTES: u64 = 4 << 20;

impl<D: Disk> InternalLog for Arc<Partition<D>> {
    fn append_verified(
        &self,
        batch: &mut [u8],
        verification: Verification,
        now: Millis,
    ) -> Result<Written, AppendError> {
        let options = AppendOptions { verification, ..AppendOptions::coordinator() };
        let answer =
            Partition::append(self, batch, options, now).map_err(|error| append_error(&error))?;
        let replicated: Option<Replicated> = match answer.wait {
            None => None,
            Some(wait) => Some(Box::pin(async move { wait.done().await.map_err(ack_error) })),
        };
        Ok(Written {
            base_offset: answer.appended.first_offset,
            next_offset: answer.appended.last_offset + 1,
            replicated,
        })
    }

    fn read(&self, offset: i64) -> Result<Option<Vec<u8>>, ReadFailed> {
        let read = |offset| Read::consumer(offset, LOAD_BYTES, Isolation::LogEnd);
        let failed = |source| ReadFailed { offset, source };
        let answer = match Partition::read(self, &read(offset)) {
            Err(FetchError::OutOfRange(range)) if offset < range.start => {
                Partition::read(self, &read(range.start))
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| failed(error.into()))?;
        let Some(range) = answer.fetched.range else { return Ok(None) };
        range.read().map(Some).map_err(|error| failed(error.into()))
    }
}

fn append_error(error: &ProduceError) -> AppendError {
    use polyport_log::AppendError as Records;
    match error {
        ProduceError::Refused(Refused::Gone) | ProduceError::NotEnoughReplicas => {
            AppendError::NotEnoughReplicas
        }
        ProduceError::Refused(_) => AppendError::NotLeader,
        ProduceError::Records(Records::TooLarge { .. } | Records::ListTooLarge { .. }) => {
            AppendError::TooLarge
        }
        ProduceError::Records(Records::Producer(ProducerError::CoordinatorFenced { .. })) => {
            AppendError::CoordinatorFenced
        }
        ProduceError::Records(Records::Producer(ProducerError::NotVerified { .. })) => {
            AppendError::NotVerified
        }
        ProduceError::Records(Records::Producer(_)) => AppendError::ProducerFenced,
        ProduceError::Records(error) => {
            // What a coordinator builds is never at fault.
            tracing::error!(%error, "a coordinator's records were refused");
            AppendError::NotLeader
        }
    }
}

fn ack_error(error: AckError) -> AppendError {
    match error {
        AckError::NotEnoughReplicas => AppendError::NotEnoughReplicas,
        AckError::Refused(_) => AppendError::NotLeader,
    }
}
