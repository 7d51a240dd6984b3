//! What every other crate may name: ids, wall-clock milliseconds and seeded randomness.
//!
//! Deliberately absent: I/O, async, configuration, and anything that reads a clock by itself
//! (time comes in as a value, see [`clock`]).

pub mod clock;
pub mod id;
pub mod rng;

pub use clock::{Clock, Millis};
pub use id::NodeId;
