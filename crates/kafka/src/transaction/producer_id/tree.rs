//! Blocks from the znode where Kafka's ZooKeeper mode keeps the one that was claimed last.

use std::time::Duration;

use polyport_tree::TreeError;
use polyport_tree::client::{Client, writes};

use super::{Blocks, ClaimError, Claiming};
use crate::metadata::znode::ProducerIdBlock;
use crate::metadata::znode::path::LATEST_PRODUCER_ID_BLOCK;

/// How long a claim may take. Clients' requests time out after 30 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Blocks for one broker.
pub struct TreeBlocks {
    client: Client,
    broker: i32,
}

impl TreeBlocks {
    /// Blocks for this broker. The znode must be there.
    pub fn new(client: Client, broker: i32) -> Self {
        TreeBlocks { client, broker }
    }

    async fn claim_one(&self) -> Result<ProducerIdBlock, ClaimError> {
        loop {
            let stored = self.client.get(LATEST_PRODUCER_ID_BLOCK);
            let (data, stat) = stored.ok_or_else(|| {
                ClaimError::Unavailable(format!("{LATEST_PRODUCER_ID_BLOCK} is not there"))
            })?;
            let last = ProducerIdBlock::parse(&data)?;
            let block = ProducerIdBlock::after(last, self.broker).ok_or(ClaimError::Exhausted)?;
            let json = block.to_json();
            // If the answer is lost, so is the block, should it have been claimed.
            let write = writes::set(LATEST_PRODUCER_ID_BLOCK, &json, stat.version);
            match self.client.write(write).await {
                Ok(_) => return Ok(block),
                Err(error) if error.refusal() == Some(TreeError::BadVersion) => {
                    // Another broker was first, which this node's copy may not show yet.
                    self.client.sync().await.map_err(unavailable)?;
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
    }
}

impl Blocks for TreeBlocks {
    fn claim(&self) -> Claiming<'_> {
        Box::pin(async {
            let claimed = tokio::time::timeout(TIMEOUT, self.claim_one()).await;
            claimed.map_err(unavailable)?
        })
    }
}

fn unavailable(error: impl std::fmt::Display) -> ClaimError {
    ClaimError::Unavailable(error.to_string())
}
