//! The tools and their client against a scripted server: bytes in, bytes out, and what is printed.

// A test that panics fails, which is all that is wanted here.
#![allow(clippy::unwrap_used)]

mod fake;
mod zk_cli;
mod zk_client;
