//! Files of the systems that Polyport stands in for, read as settings of `polyport.toml`.

pub mod properties;
pub mod server_properties;
pub mod zoo_cfg;

use std::path::Path;

use crate::layers::{Origin, Problem, Setting, Warning};

/// What a file of another system means here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// What takes effect.
    pub settings: Vec<Setting>,
    /// What takes effect unless it was set before: what the file does not speak of.
    pub otherwise: Vec<Setting>,
    /// What does not, and why.
    pub warnings: Vec<Warning>,
    /// What stops the start.
    pub problems: Vec<Problem>,
}

/// Reads a file of another system: Kafka's `server.properties`, or ZooKeeper's `zoo.cfg` by whatever
/// name.
pub fn file(path: &Path) -> Imported {
    match std::fs::read(path) {
        Ok(bytes) if server_properties::is_one(path, &bytes) => {
            server_properties::import(path, &bytes)
        }
        Ok(bytes) => zoo_cfg::import(path, &bytes),
        Err(error) => Imported {
            problems: vec![Problem {
                origin: Origin::WholeFile(path.to_owned()),
                key: "file".to_owned(),
                reason: format!("cannot be read: {error}"),
            }],
            ..Imported::default()
        },
    }
}
