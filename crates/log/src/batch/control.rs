//! Transaction markers: the records of control batches.

use polyport_wire::Cursor;

use super::{Attributes, Batch, BatchBuilder, BatchError};

/// The end of a transaction, written by its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Whether the transaction was committed.
    pub commit: bool,
    /// Epoch of the coordinator, to fence old ones.
    pub coordinator_epoch: i32,
}

impl EndMarker {
    /// The marker in a control batch; `None` if the batch is empty, or of a type that is no end of
    /// a transaction.
    ///
    /// # Errors
    /// `Record` if it is malformed.
    pub fn read(batch: &Batch<'_>) -> Result<Option<EndMarker>, BatchError> {
        let Some(record) = batch.plain_records()?.next() else { return Ok(None) };
        let record = record?;
        let mut key = Cursor::new(record.key.unwrap_or_default());
        key.u16("control record version")?;
        let commit = match key.u16("control record type")? {
            0 => false,
            1 => true,
            _ => return Ok(None),
        };
        let mut value = Cursor::new(record.value.unwrap_or_default());
        value.u16("marker version")?;
        let coordinator_epoch = value.i32("coordinator epoch")?;
        Ok(Some(EndMarker { commit, coordinator_epoch }))
    }

    /// The control batch for this marker. Its offset is given when it is appended.
    pub fn build(self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Vec<u8> {
        let attributes = Attributes::default().with_control(true).with_transactional(true);
        let mut builder =
            BatchBuilder::new(0).attributes(attributes).producer(producer_id, producer_epoch, -1);
        let key = [0, 0, 0, u8::from(self.commit)];
        let epoch = self.coordinator_epoch.to_be_bytes();
        let value = [0, 0, epoch[0], epoch[1], epoch[2], epoch[3]];
        builder.push(timestamp, Some(&key), Some(&value));
        let mut bytes = Vec::new();
        // Without compression there is nothing that could fail.
        let _ = builder.build(None, &mut bytes);
        bytes
    }
}
