//! Brokers' metadata on real trees: one node and three.

#![allow(clippy::unwrap_used)]

mod configs;
mod node;
mod one;
mod three;
