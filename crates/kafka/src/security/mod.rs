//! Who comes in, and what they may do.
//!
//! - [`principal`]: names of those who come.

pub mod principal;

pub use principal::{Caller, Principal};
