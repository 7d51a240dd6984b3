//! Configurations of topics and brokers: which there are, what they may be, where a value comes from
//! and how it is changed.
//!
//! - [`def`]: what a configuration is; [`defs`]: all there are.
//! - [`Configs`]: a broker's file and what the image says on top of it, resolved and described.
//! - [`TopicConfig`]: the same as a topic's logs take it.
//! - [`Alterations`]: changing what the tree holds.

mod alter;
pub mod def;
pub mod defs;
mod effect;
mod log;
mod resolve;

pub use alter::{Alterations, Op};
pub use def::{ConfigError, Kind, Value};
pub use effect::{Remark, remarks, without_effect};
pub use log::TopicConfig;
pub use resolve::{Configs, Entry, Source, Synonym};

#[cfg(test)]
mod tests;
