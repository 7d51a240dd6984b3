//! Brokers' metadata, and their producer ids, on real trees: one node and three.

#![allow(clippy::unwrap_used)]

mod configs;
mod leaders;
mod node;
mod one;
mod producer_ids;
mod three;
