//! Brokers, topics, partition states and configurations, in the tree where Kafka's ZooKeeper mode
//! keeps them.
//!
//! Every node has a full copy of the tree, so nobody is sent metadata: each node derives an
//! immutable [`Image`](image::Image) from its own copy, answers from it, and is told what changed.
//! Changes are writes to the tree that are conditional on what the writer saw. One node is the
//! [`controller`]: it elects leaders and finishes what others began.
//!
//! - [`znode`]: paths and content of the znodes. Pure.
//! - [`image`]: what a node knows of the cluster, and how it keeps up.
//! - [`broker`]: this node's registration.
//! - [`topics`]: making, growing and deleting topics.
//! - [`controller`]: who leads what.
//! - [`leaders`]: elections that are asked for, ISRs that leaders find out.
//! - [`config`]: configurations of topics and brokers.
//!
//! Deliberately absent: wire types (handlers translate), partitions at work (they follow the image),
//! access control lists, SCRAM credentials and delegation tokens.

pub mod broker;
pub mod config;
pub mod controller;
pub mod image;
pub mod leaders;
mod topic_id;
pub mod topics;
pub mod znode;

pub use topic_id::TopicId;
