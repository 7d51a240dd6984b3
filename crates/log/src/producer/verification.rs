//! Asking the coordinator, before a transaction's first batch, whether the partition is in the
//! transaction (KIP-890, part 1).
//!
//! While the question is under way, a marker may end the transaction, and the answer would let records
//! in that nothing ends. So each question has a guard, which the first batch of the producer and every
//! marker invalidate.

use std::collections::BTreeMap;

use super::ProducerError;
use crate::batch::Header;

/// Stands for one question to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// What the coordinator said of a transactional batch before it was appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It is not asked: `transaction.partition.verification.enable` is false.
    #[default]
    NotNeeded,
    /// It was not asked. A transaction may go on, but not begin.
    Missing,
    /// The partition is in the transaction.
    Verified(VerificationGuard),
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Question {
    guard: VerificationGuard,
    /// Of the lowest batch that waits: none above it may be appended first, or it would be out of order
    /// for ever.
    lowest_sequence: i32,
    epoch: i16,
    asked_ms: i64,
}

/// The questions of one partition.
#[derive(Clone, Debug, Default)]
pub struct Verifications {
    questions: BTreeMap<i64, Question>,
    /// Never goes back, so that no guard is given twice.
    last_guard: u64,
}

impl Verifications {
    /// A batch of a producer without an open transaction has come: what to show when it is appended.
    pub fn begin(
        &mut self,
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        now_ms: i64,
    ) -> VerificationGuard {
        let last_guard = &mut self.last_guard;
        let question = self.questions.entry(producer_id).or_insert_with(|| {
            *last_guard += 1;
            let guard = VerificationGuard(*last_guard);
            Question { guard, lowest_sequence: sequence, epoch, asked_ms: now_ms }
        });
        if epoch > question.epoch {
            (question.epoch, question.lowest_sequence) = (epoch, sequence);
        } else if epoch == question.epoch {
            question.lowest_sequence = question.lowest_sequence.min(sequence);
        }
        question.guard
    }

    /// Checks a batch that would begin a transaction.
    ///
    /// # Errors
    /// `NotVerified`.
    pub(crate) fn check(
        &self,
        header: &Header,
        verification: Verification,
    ) -> Result<(), ProducerError> {
        let producer_id = header.producer_id;
        let asked = self.questions.get(&producer_id).map(|question| question.guard);
        match verification {
            Verification::NotNeeded => Ok(()),
            Verification::Verified(guard) if asked == Some(guard) => Ok(()),
            Verification::Verified(_) | Verification::Missing => {
                Err(ProducerError::NotVerified { producer_id })
            }
        }
    }

    /// Checks that no batch overtakes one that waits for the answer.
    ///
    /// # Errors
    /// `OutOfOrder`.
    pub(crate) fn check_sequence(&self, header: &Header) -> Result<(), ProducerError> {
        match self.questions.get(&header.producer_id) {
            Some(question) if header.base_sequence > question.lowest_sequence => {
                Err(ProducerError::OutOfOrder {
                    producer_id: header.producer_id,
                    sequence: header.base_sequence,
                    last: question.lowest_sequence,
                })
            }
            _ => Ok(()),
        }
    }

    /// A transactional batch or a marker was appended: what was asked before is answered.
    pub(crate) fn done(&mut self, producer_id: i64) {
        self.questions.remove(&producer_id);
    }

    /// Forgets questions from before this time, which nobody came back with.
    pub(crate) fn expire(&mut self, before_ms: i64) {
        self.questions.retain(|_, question| question.asked_ms > before_ms);
    }
}
