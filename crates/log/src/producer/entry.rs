//! One producer: its epoch and its last batches.

/// Batches of which a repetition is recognised.
const REMEMBERED: usize = 5;

/// One batch that a producer wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Its last record's sequence.
    pub last_sequence: i32,
    /// Its last record's offset.
    pub last_offset: i64,
    /// Its last offset minus its first.
    pub offset_delta: i32,
    /// Its greatest timestamp.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// Its first record's offset.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Its first record's sequence.
    pub fn first_sequence(&self) -> i32 {
        ((i64::from(self.last_sequence) - i64::from(self.offset_delta)) & i64::from(i32::MAX))
            as i32
    }
}

/// What the log knows of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Who.
    pub producer_id: i64,
    /// The newest epoch seen; -1 if none.
    pub epoch: i16,
    /// The newest epoch of a coordinator that wrote a marker; -1 if none.
    pub coordinator_epoch: i32,
    /// When it was last heard of, by its own records.
    pub last_timestamp: i64,
    /// Where its open transaction begins.
    pub txn_first_offset: Option<i64>,
    /// Oldest first; only the first `len` count.
    batches: [BatchMetadata; REMEMBERED],
    len: usize,
}

impl ProducerEntry {
    pub(super) fn new(producer_id: i64) -> Self {
        ProducerEntry {
            producer_id,
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            txn_first_offset: None,
            batches: Default::default(),
            len: 0,
        }
    }

    /// Of this epoch, oldest first.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..self.len]
    }

    /// The newest batch of this epoch.
    pub fn last_batch(&self) -> Option<BatchMetadata> {
        self.batches().last().copied()
    }

    /// The last sequence of this epoch; -1 if there is none.
    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(-1, |batch| batch.last_sequence)
    }

    pub(super) fn find(&self, first_sequence: i32, last_sequence: i32) -> Option<BatchMetadata> {
        let same = |batch: &&BatchMetadata| {
            batch.first_sequence() == first_sequence && batch.last_sequence == last_sequence
        };
        self.batches().iter().find(same).copied()
    }

    /// A new epoch begins without batches.
    pub(super) fn raise_epoch(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.len = 0;
        }
    }

    pub(super) fn add(&mut self, epoch: i16, batch: BatchMetadata) {
        self.raise_epoch(epoch);
        if self.len == REMEMBERED {
            self.batches.rotate_left(1);
            self.len -= 1;
        }
        self.batches[self.len] = batch;
        self.len += 1;
        self.last_timestamp = batch.timestamp;
    }
}
