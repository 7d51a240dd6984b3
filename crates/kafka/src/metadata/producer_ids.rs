//! Blocks of producer ids: each broker hands out ids of blocks of its own, and no id twice.

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, writes};

use super::znode::{ProducerIdBlock, ZnodeError, path};

/// Why there is no block.
#[derive(Debug, thiserror::Error)]
pub enum NoBlock {
    /// The newest block cannot be read: nobody knows which ids are taken.
    #[error("the newest block of producer ids: {0}")]
    Unreadable(#[from] ZnodeError),
    /// All ids were handed out.
    #[error("there are no more producer ids")]
    Exhausted,
    /// The tree did not do it, or not surely. Trying again is right.
    #[error(transparent)]
    Tree(#[from] ClientError),
}

/// Tries where another broker took a block in between.
const TRIES: usize = 100;

/// Takes the next block for a broker.
///
/// # Errors
/// See [`NoBlock`].
pub async fn take_block(client: &Client, broker: i32) -> Result<ProducerIdBlock, NoBlock> {
    const PATH: &str = path::LATEST_PRODUCER_ID_BLOCK;
    for _ in 0..TRIES {
        let known = client.get(PATH);
        let previous = match &known {
            Some((json, _)) => ProducerIdBlock::parse(json)?,
            None => None,
        };
        let block = ProducerIdBlock::after(previous, broker).ok_or(NoBlock::Exhausted)?;
        let json = block.to_json();
        let write = match known {
            Some((_, stat)) => writes::set(PATH, &json, stat.version),
            None => writes::create(PATH, &json),
        };
        match client.write(write).await {
            Ok(_) => return Ok(block),
            Err(ClientError::Refused {
                error: TreeError::BadVersion | TreeError::NodeExists | TreeError::NoNode,
                ..
            }) => {
                // This node may be behind the one that took it.
                client.sync().await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ClientError::Unknown.into())
}
