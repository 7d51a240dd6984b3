//! `kafka-producer-perf-test.sh` and `kafka-consumer-perf-test.sh`: how fast records come and go.

pub mod consumer;
pub mod producer;
mod stats;
