//! Ids for producers: each is given once, by whichever broker.
//!
//! Brokers take them in blocks from a znode. What is left of a block when a broker stops is never
//! given.

#[cfg(test)]
mod tests;
mod tree;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use parking_lot::Mutex;
use tokio::sync::Mutex as TurnLock;

pub use tree::TreeBlocks;

use crate::metadata::znode::{ProducerIdBlock, ZnodeError};

/// A block being claimed.
pub type Claiming<'a> =
    Pin<Box<dyn Future<Output = Result<ProducerIdBlock, ClaimError>> + Send + 'a>>;

/// Why no block was claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// What is stored cannot be followed by another block.
    #[error("the block of producer ids that was claimed last cannot be read")]
    Malformed(#[from] ZnodeError),
    /// There are no more.
    #[error("all producer ids have been given")]
    Exhausted,
    /// The tree did not take the write in time.
    #[error("the tree took no claim of producer ids: {0}")]
    Unavailable(String),
}

/// Where blocks come from: the tree in production, memory in tests.
pub trait Blocks: Send + Sync + 'static {
    /// Claims a block that nobody has. Ends in bounded time.
    fn claim(&self) -> Claiming<'_>;
}

/// The producer ids of this broker.
pub struct ProducerIds {
    blocks: Box<dyn Blocks>,
    /// What is left of the claimed block.
    left: Mutex<Option<RangeInclusive<i64>>>,
    /// Held while a block is claimed, so that one is claimed at a time.
    claiming: TurnLock<()>,
}

impl ProducerIds {
    /// Ids from these blocks. The first is claimed when the first id is needed.
    pub fn new(blocks: impl Blocks) -> Self {
        let (left, claiming) = (Mutex::new(None), TurnLock::new(()));
        ProducerIds { blocks: Box::new(blocks), left, claiming }
    }

    /// An id that no producer has had.
    ///
    /// # Errors
    /// If there is no other block to be had.
    pub async fn next(&self) -> Result<i64, ClaimError> {
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let _turn = self.claiming.lock().await;
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let ProducerIdBlock { first, last, .. } = self.blocks.claim().await?;
            tracing::info!(first, last, "claimed producer ids");
            *self.left.lock() = Some(first..=last);
        }
    }

    fn take(&self) -> Option<i64> {
        self.left.lock().as_mut()?.next()
    }
}
