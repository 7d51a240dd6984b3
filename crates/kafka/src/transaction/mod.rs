//! Producer ids and transactions: Kafka's transaction coordinator, at the level of 3.9.
//!
//! - [`record`]: what is in `__transaction_state`.
//! - [`shard`]: the machine: all transactional ids of one partition of `__transaction_state`, without
//!   a clock, a thread or a socket. [`machine`] says what goes in and comes out.
//! - [`coordinator`]: the shell: requests, leadership, time, markers.
//! - [`producer_id`]: ids for producers, in blocks that the tree hands out.
//!
//! # A transaction's way
//! `InitProducerId` → Empty → `AddPartitionsToTxn`, `AddOffsetsToTxn` → Ongoing → `EndTxn` →
//! PrepareCommit or PrepareAbort, which decides it → a marker in every partition → CompleteCommit or
//! CompleteAbort. No marker is written before the decision is replicated, and no decision is made
//! twice, so a transaction has markers of one kind only, whichever coordinator writes them.
//!
//! Different from Kafka, where a transactional id answers CONCURRENT_TRANSACTIONS while its record is
//! on its way to the replicas: here requests go on at once, and their answers wait.
//!
//! Deliberately absent: transactions of version 2 (KIP-890's second part), which 3.9 does not have.

pub mod config;
pub mod coordinator;
pub mod error;
pub mod machine;
pub mod producer_id;
pub mod record;
pub mod shard;

pub use config::TransactionConfig;
pub use coordinator::TransactionCoordinator;
pub use error::TransactionError;
