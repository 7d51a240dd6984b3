//! What a running node tells of itself: numbers that are counted where things happen, the
//! Prometheus page made of them, and the HTTP shell that serves pages (feature `http`).
//!
//! Reference: Prometheus' text format 0.0.4. Deliberately absent: a global registry. Whoever counts
//! owns its numbers; a page asks them when it is asked for.

#[cfg(feature = "http")]
pub mod http;
pub mod metric;
pub mod process;
pub mod summary;

pub use metric::{Labels, Metric, Value, page};
pub use summary::{Snapshot, Summary};
