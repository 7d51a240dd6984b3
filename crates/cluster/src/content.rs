//! What operators may do with what the state machine holds, over the node port. What it is, only the
//! state machine knows: answers are text for people.

use bytes::Bytes;
use tokio::sync::mpsc;

/// A restore under way: what it did, or why it was not done.
pub type Restoring =
    std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'static>>;

/// What a node's state machine offers operators.
pub struct Content {
    /// What it holds now, in a few words.
    pub describe: Box<dyn Fn() -> String + Send + Sync>,
    /// Replaces all of it, on all nodes, by a backup. Its bytes come as frames; an empty one is
    /// their end, and without it they broke off.
    pub restore: Box<dyn Fn(mpsc::Receiver<Bytes>) -> Restoring + Send + Sync>,
}
