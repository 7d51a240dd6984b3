//! What a node is told before it starts: `polyport.toml`, imported files of the systems that
//! Polyport stands in for, environment variables and explicit overrides, in this order.
//!
//! Every key has a default, and every number's name says its unit. Problems name the file and the
//! line. Deliberately absent: anything that acts on the configuration, and all I/O except reading
//! the files that were named.

mod address;
mod document;
mod kafka;
mod layers;
mod section;
mod types;
mod validate;

pub mod import;

pub use address::{Address, AddressError, Listen};
pub use kafka::{KafkaListener, KafkaListenerError, Properties};
pub use layers::{Layers, Loaded, Origin, Problem, Setting, Value, Warning};
pub use types::{
    Admin, ClientAuth, Cluster, Config, DigestAlgorithm, Kafka, Metrics, Node, NodeRole, NodeTls,
    Peer, Zookeeper, ZookeeperTls,
};
pub use validate::Invalid;
