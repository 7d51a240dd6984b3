//! This node's partitions at work: logs in log directories, appended to and read by many at once,
//! with leader, in-sync replicas and high watermark.
//!
//! Deliberately absent: who decides which node leads (the protocol's metadata, in the tree), wire
//! formats, sockets.
