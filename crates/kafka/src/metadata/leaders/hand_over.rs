//! A broker that is about to stop lets others lead first.

use std::time::Duration;

use polyport_tree::client::ClientError;
use tokio::time::{Instant, timeout_at};

use super::{Leaders, TRIES};
use crate::metadata::controller::decide::{self, SetState};
use crate::metadata::image::Image;

impl Leaders {
    /// Hands a broker's leaderships to others that are in sync. The answer is the number of
    /// partitions that others have too and cannot lead now.
    ///
    /// # Errors
    /// The tree's: nobody knows how many were handed over.
    pub async fn hand_over(&self, broker: i32) -> Result<usize, ClientError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let (changes, remaining) = handed_over(&image, broker);
            if changes.is_empty() {
                return Ok(remaining);
            }
            let written = self.set_all(changes).await?;
            self.images.at(written.zxid).await;
        }
        let (changes, remaining) = handed_over(&*self.images.fresh().await, broker);
        Ok(changes.len() + remaining)
    }

    /// The same, and waits for those who cannot lead now to get in sync, but not for longer than
    /// `patience`.
    ///
    /// # Errors
    /// The tree's.
    pub async fn leave(&self, broker: i32, patience: Duration) -> Result<usize, ClientError> {
        let deadline = Instant::now() + patience;
        loop {
            let remaining = self.hand_over(broker).await?;
            if remaining == 0 {
                return Ok(0);
            }
            let mut changes = self.images.subscribe();
            let other = async {
                loop {
                    let (ready, waiting) = handed_over(&changes.next().await.after, broker);
                    if !ready.is_empty() || waiting == 0 {
                        return;
                    }
                }
            };
            if timeout_at(deadline, other).await.is_err() {
                return Ok(remaining);
            }
        }
    }
}

/// The states in which others lead what a broker leads, and how many living others have a replica
/// of but cannot lead.
pub(super) fn handed_over(image: &Image, broker: i32) -> (Vec<SetState>, usize) {
    let (mut changes, mut remaining) = (Vec::new(), 0);
    for topic in image.topics().filter(|topic| !image.is_deleting(&topic.name)) {
        for (number, partition) in topic.numbered() {
            let Some(state) = partition.state.as_ref().filter(|s| s.leader == broker) else {
                continue;
            };
            let isr: Vec<_> = state.isr.iter().copied().filter(|id| *id != broker).collect();
            let mut others =
                partition.replicas.iter().filter(|id| **id != broker && image.is_alive(**id));
            match others.clone().find(|id| isr.contains(id)) {
                Some(leader) => changes.push(SetState {
                    topic: topic.name.clone(),
                    partition: number,
                    version: state.version,
                    state: decide::next(image, state, *leader, isr.clone()),
                }),
                None => remaining += usize::from(others.next().is_some()),
            }
        }
    }
    (changes, remaining)
}
