//! A partition of `__consumer_offsets` as the group coordinator sees it.

use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::producer::ProducerError;
use polyport_log::{AppendError as LogAppendError, Isolation};
use polyport_partitions::{AckError, AppendOptions, FetchError, Partition, ProduceError, Read};
use polyport_storage::OsDisk;

use crate::group::AppendError;
use crate::group::coordinator::{OffsetsLog, ReadFailed, Written};

/// Most bytes that are read at once while groups are loaded: Kafka's `offsets.load.buffer.size`.
const LOAD_BYTES: u64 = 5 << 20;

/// The partition, which this broker leads.
pub(super) struct PartitionLog(pub(super) Arc<Partition<OsDisk>>);

impl OffsetsLog for PartitionLog {
    fn append(&self, batch: &mut [u8], now: Millis) -> Result<Written, AppendError> {
        let answer = self.0.append(batch, AppendOptions::coordinator(), now).map_err(refused)?;
        let replicated = answer.wait.map(|wait| {
            let done = async { wait.done().await.map_err(unacknowledged) };
            Box::pin(done) as crate::group::coordinator::Replicated
        });
        Ok(Written {
            base_offset: answer.appended.first_offset,
            next_offset: answer.appended.last_offset + 1,
            replicated,
        })
    }

    fn read(&self, offset: i64) -> Result<Option<Vec<u8>>, ReadFailed> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ReadFailed { offset, source };
        let read = |offset| {
            self.0.read(&Read::consumer(offset, LOAD_BYTES, Isolation::LogEnd))
        };
        let answer = match read(offset) {
            Err(FetchError::OutOfRange(range)) if offset < range.start => read(range.start),
            answer => answer,
        };
        let answer = answer.map_err(|error| failed(error.into()))?;
        let bytes = answer.fetched.range.map(|range| range.read()).transpose();
        bytes.map_err(|error| failed(error.into()))
    }
}

fn refused(error: ProduceError) -> AppendError {
    match error {
        ProduceError::Refused(_) => AppendError::NotLeader,
        ProduceError::NotEnoughReplicas => AppendError::NotEnoughReplicas,
        ProduceError::Records(LogAppendError::Producer(ProducerError::CoordinatorFenced {
            ..
        })) => AppendError::CoordinatorFenced,
        ProduceError::Records(LogAppendError::Producer(_)) => AppendError::ProducerFenced,
        // What the coordinator writes is well-formed, so only its size can be at fault.
        ProduceError::Records(_) => AppendError::TooLarge,
    }
}

fn unacknowledged(error: AckError) -> AppendError {
    match error {
        AckError::NotEnoughReplicas => AppendError::NotEnoughReplicas,
        AckError::Refused(_) => AppendError::NotLeader,
    }
}
