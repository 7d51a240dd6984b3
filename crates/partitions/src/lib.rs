//! This node's partitions at work: logs in log directories, appended to and read by many at once,
//! with leader, in-sync replicas and high watermark.
//!
//! - [`Store`]: all partitions: opening, finding, making, deleting, closing; the background work.
//! - [`Partition`]: appending, reading, waiting, offsets, roles.
//! - [`replicas`]: who has what, and what follows from it. Pure.
//! - [`FetchWaiter`]: a fetch that waits for records in many partitions at once.
//! - [`fetching`]: what followers fetch, and what they do with the answers. Pure.
//!
//! # A produce request
//! ```text
//! let partition = store.partition(topic, number)?;
//! let answer = partition.append(&mut records, AppendOptions::client(Acks::All), now)?;
//! if let Some(wait) = answer.wait { timeout(wait.done()).await? }
//! ```
//!
//! # A fetch request
//! ```text
//! loop {
//!     let answers = partitions.map(|(partition, offset)| partition.read(&Read { offset, .. }));
//!     if bytes(answers) >= min_bytes || any_error(answers) || timed_out { break }
//!     let round = waiter.begin(min_bytes - bytes(answers));
//!     for (partition, answer) in … {
//!         partition.wait_beyond(answer.seen(isolation), isolation, &waiter, round);
//!     }
//!     timeout_at(deadline, waiter.ready()).await;
//! }
//! ```
//! Nothing is lost between the read and the wait: who has seen less than there is, is ready at once.
//!
//! # Threads
//! `part-flush-N`, one a log directory, syncs. `part-upkeep` writes checkpoints, applies retention,
//! forgets producers and removes files. `part-clean-N` compacts. None of them holds a partition's lock
//! while it syncs or rewrites. A simulation calls the steps itself and starts no thread.
//!
//! # Different from Kafka
//! - Records are synced in the background so that a start after a crash does not read more than
//!   `unflushed_limit_bytes` of a directory.
//! - An append that reaches `flush.messages` waits for the sync, but not under the partition's lock:
//!   others share it. Consumers may see the records before.
//! - A full disk refuses appends and does not take its directory offline.
//! - A partition that cannot be opened because its files are damaged is refused by itself; the
//!   directory goes offline only when the disk fails.
//!
//! Deliberately absent: who decides which node leads (the protocol's metadata, in the tree), wire
//! formats, sockets.

mod dir;
pub mod error;
pub mod fetching;
mod observed;
mod parallel;
mod partition;
pub mod replicas;
mod settings;
mod store;
#[cfg(test)]
mod testing;
mod wait;
mod work;

pub use error::{
    AckError, CreateError, DeleteRecordsError, FetchError, ListOffsetError, OpenError,
    ProduceError, Refused,
};
pub use observed::Observed;
pub use partition::{
    Acks, AppendAnswer, AppendOptions, FollowedLeader, ListOffset, OffsetAt, Partition,
    PartitionStatus, Read, ReadAnswer, Role,
};
pub use replicas::{BrokerId, FollowerFetch, IsrProposal, PartitionState};
pub use settings::{CleanerSettings, Settings, TopicConfig};
pub use store::{LogDirStatus, Opened, PartitionSize, Store};
pub use wait::{AckWait, FetchWaiter, Round};
pub use work::Upkeep;
