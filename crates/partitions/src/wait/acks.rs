//! Producers that wait until their records are replicated, or durable.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::error::{AckError, Refused};

type Outcome = Result<(), AckError>;

/// What an append still waits for.
#[derive(Debug)]
pub struct AckWait {
    pub(crate) replicated: Option<oneshot::Receiver<Outcome>>,
    pub(crate) durable: Option<oneshot::Receiver<Outcome>>,
}

impl AckWait {
    /// Waits until the records may be acknowledged. How long, the caller bounds; dropped, it is
    /// forgotten.
    ///
    /// # Errors
    /// Why they may not be.
    pub async fn done(self) -> Result<(), AckError> {
        for receiver in [self.durable, self.replicated].into_iter().flatten() {
            // A sender that is dropped belonged to a partition that is gone.
            receiver.await.unwrap_or(Err(Refused::Gone.into()))?;
        }
        Ok(())
    }
}

/// Appends by the offset that must be passed.
#[derive(Debug, Default)]
pub(crate) struct AckQueue(BTreeMap<i64, Vec<oneshot::Sender<Outcome>>>);

impl AckQueue {
    /// Waits until everything below `offset` is done.
    pub fn wait(&mut self, offset: i64) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.0.entry(offset).or_default().push(sender);
        receiver
    }

    /// Everything below `offset` is done, with this outcome.
    pub fn pass(&mut self, offset: i64, outcome: Outcome) {
        while let Some(first) = self.0.first_entry().filter(|first| *first.key() <= offset) {
            for sender in first.remove() {
                // Nobody listens any more if the request has timed out.
                let _ = sender.send(outcome);
            }
        }
    }

    /// Nothing will be done any more.
    pub fn fail(&mut self, why: Refused) {
        self.pass(i64::MAX, Err(why.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
