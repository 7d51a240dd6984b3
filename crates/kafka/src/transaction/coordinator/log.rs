//! Records on their way into the partition.

use polyport_base::Millis;
use polyport_log::batch::BatchBuilder;

use super::super::machine::Append;
use super::super::record::Record;
use crate::internal::log::{AppendError, InternalLog};
use crate::internal::replication::Replication;

/// Appends to a partition for the machine.
pub(super) struct Appender<'a> {
    pub(super) log: &'a dyn InternalLog,
    pub(super) replication: &'a mut Replication,
    /// Kept for its memory.
    pub(super) buffer: &'a mut Vec<u8>,
}

impl Append for Appender<'_> {
    fn append(&mut self, now: Millis, records: &[Record]) -> Result<(), AppendError> {
        let mut builder = BatchBuilder::new(0);
        for record in records {
            // What has a name too long for the format came from no request.
            let key = record.key().map_err(|_| AppendError::TooLarge)?;
            let value = record.value().map_err(|_| AppendError::TooLarge)?;
            builder.push(now.0, Some(&key), value.as_deref());
        }
        self.buffer.clear();
        // Without compression there is nothing that could fail.
        let _ = builder.build(None, self.buffer);
        let written = self.log.append(self.buffer, now)?;
        self.replication.appended(written);
        Ok(())
    }
}
