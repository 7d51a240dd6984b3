//! Holding answers back until what they are based on is replicated.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::log::{AppendError, Replicated, Written};

/// How far the partition is replicated.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// All in-sync replicas have everything below.
    below: i64,
    /// Where an append ended that too few replicas were in sync for.
    doubtful: i64,
}

/// Why an answer is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// Replicas are too few or too slow.
    #[error("too few replicas, or they are too slow")]
    NotEnoughReplicas,
    /// The partition is not led here any more.
    #[error("the partition is not led here")]
    NotLeader,
}

/// The appends to a partition that this node leads, and how far they are replicated. Ends with the
/// leadership: answers that are held then are withheld.
pub struct Replication {
    /// Where the last append ended that was not replicated at once.
    end: i64,
    state: watch::Receiver<State>,
    appends: mpsc::UnboundedSender<(i64, Replicated)>,
    task: AbortHandle,
}

impl Drop for Replication {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Replication {
    /// Nothing is appended yet. As in Kafka, what was found in the log counts, also if a follower does
    /// not have it yet.
    pub fn start() -> Self {
        let (sender, state) = watch::channel(State::default());
        let (appends, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(follow(receiver, sender)).abort_handle();
        Replication { end: 0, state, appends, task }
    }

    /// Takes note of an append.
    pub fn appended(&mut self, written: Written) {
        if let Some(replicated) = written.replicated {
            self.end = written.next_offset;
            // Without the task the gates say that the partition is gone.
            let _ = self.appends.send((written.next_offset, replicated));
        }
    }

    /// Opens when all that was appended so far is replicated.
    pub fn gate(&self) -> Gate {
        Gate { offset: self.end, state: self.state.clone() }
    }
}

/// Holds an answer until all that it is based on is replicated.
#[derive(Clone)]
pub struct Gate {
    offset: i64,
    state: watch::Receiver<State>,
}

impl Gate {
    /// Waits as an answer does.
    ///
    /// # Errors
    /// If it takes longer than `timeout`, and see [`Withheld`].
    pub async fn pass(mut self, timeout: Duration) -> Result<(), Withheld> {
        if self.is_open() {
            return Ok(());
        }
        let offset = self.offset;
        let passed = self.state.wait_for(|state| state.below >= offset);
        match tokio::time::timeout(timeout, passed).await {
            Err(_) => Err(Withheld::NotEnoughReplicas),
            Ok(Err(_)) => Err(Withheld::NotLeader),
            Ok(Ok(state)) if state.doubtful >= offset => Err(Withheld::NotEnoughReplicas),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Waits for as long as it takes until the records cannot be lost by an orderly election: all
    /// replicas in sync have them, few as they may be. False if the partition is not led here any more.
    pub async fn committed(mut self) -> bool {
        let offset = self.offset;
        self.is_open() || self.state.wait_for(|state| state.below >= offset).await.is_ok()
    }

    fn is_open(&self) -> bool {
        self.state.borrow().below >= self.offset
    }
}

/// Appends are replicated in order, so that it is enough to wait for one after the other.
async fn follow(
    mut appends: mpsc::UnboundedReceiver<(i64, Replicated)>,
    state: watch::Sender<State>,
) {
    while let Some((end, replicated)) = appends.recv().await {
        let outcome = replicated.await;
        let is_doubtful = match outcome {
            Ok(()) => false,
            Err(AppendError::NotEnoughReplicas) => true,
            // What else there is means that nothing more will be replicated here.
            Err(_) => return,
        };
        state.send_modify(|state| {
            state.below = end;
            if is_doubtful {
                state.doubtful = end;
            }
        });
    }
}
