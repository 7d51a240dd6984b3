//! Which configuration file is meant, and what in it matters to the tool.

use std::path::{Path, PathBuf};

/// A variable of the environment, or a stand-in for one; empty is unset.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

const DEFAULT_FILE: &str = "zoo.cfg";
const SYSTEM_DIRECTORY: &str = "/etc/zookeeper/conf";

/// Where to look for the configuration.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The directory given with `--config`.
    pub directory: Option<String>,
    /// The file named after the action.
    pub file: Option<String>,
    /// The directory that the tool is in, if it is known.
    pub tool_directory: Option<PathBuf>,
}

impl Place {
    /// The configuration file, as it is shown; `None` if there is none anywhere, and the server
    /// starts with its defaults.
    ///
    /// A file that is named, or in a directory that is named, is taken whether it is there or not:
    /// a server on the wrong configuration is worse than none.
    pub fn find(&self, variable: Variable<'_>) -> Option<String> {
        let file = variable("ZOOCFG").unwrap_or_else(|| DEFAULT_FILE.to_owned());
        if let Some(named) = &self.file
            && named.contains('/')
        {
            return Some(named.clone());
        }
        let file = self.file.clone().unwrap_or(file);
        if file.starts_with('/') {
            return Some(file);
        }
        if let Some(directory) = self.directory.clone().or_else(|| variable("ZOOCFGDIR")) {
            return Some(format!("{directory}/{file}"));
        }
        let prefix = variable("ZOOKEEPER_PREFIX").map(|prefix| format!("{prefix}/conf"));
        let sibling = self.tool_directory.as_ref().map(|bin| format!("{}/../conf", bin.display()));
        [prefix, sibling, Some(SYSTEM_DIRECTORY.to_owned())]
            .into_iter()
            .flatten()
            .map(|directory| format!("{directory}/{file}"))
            .find(|path| Path::new(path).is_file())
            // A file asked for by name must not be replaced by the defaults.
            .or_else(|| self.file.clone())
    }
}

/// The lines of a configuration file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    lines: Vec<(String, String)>,
}

impl Config {
    /// Reads a file; what cannot be read has no lines.
    pub fn read(path: &str) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        Self { lines: crate::properties::parse(&String::from_utf8_lossy(&bytes)) }
    }

    /// The value of a key that is not empty; the last one wins.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.lines.iter().rev().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn what_is_named_is_taken() {
        let with = |directory: Option<&str>, file: Option<&str>| Place {
            directory: directory.map(str::to_owned),
            file: file.map(str::to_owned),
            tool_directory: None,
        };
        let found = |place: Place| place.find(&none);
        assert_eq!(found(with(Some("/c"), None)).as_deref(), Some("/c/zoo.cfg"));
        assert_eq!(found(with(Some("/c"), Some("z2.cfg"))).as_deref(), Some("/c/z2.cfg"));
        assert_eq!(found(with(Some("/c"), Some("/d/z.cfg"))).as_deref(), Some("/d/z.cfg"));
        assert_eq!(found(with(None, Some("./z.cfg"))).as_deref(), Some("./z.cfg"));
        let environment = |name: &str| match name {
            "ZOOCFGDIR" => Some("/e".to_owned()),
            "ZOOCFG" => Some("x.cfg".to_owned()),
            _ => None,
        };
        assert_eq!(with(None, None).find(&environment).as_deref(), Some("/e/x.cfg"));
        assert_eq!(with(Some("/c"), None).find(&environment).as_deref(), Some("/c/x.cfg"));
        let absolute = |name: &str| (name == "ZOOCFG").then(|| "/etc/z.cfg".to_owned());
        assert_eq!(with(None, None).find(&absolute).as_deref(), Some("/etc/z.cfg"));
    }

    #[test]
    fn the_directory_beside_the_tools_is_searched() {
        let home = std::env::temp_dir().join(format!("polyport-tools-{}", std::process::id()));
        let (bin, conf) = (home.join("bin"), home.join("conf"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&conf).unwrap();
        std::fs::write(conf.join("zoo.cfg"), "dataDir = /d \nclientPort=1\nclientPort=2\nx=\n")
            .unwrap();
        let place = Place { tool_directory: Some(bin.clone()), ..Place::default() };
        let found = place.find(&none).unwrap();
        let config = Config::read(&found);
        std::fs::remove_dir_all(&home).unwrap();
        assert_eq!(found, format!("{}/../conf/zoo.cfg", bin.display()));
        assert_eq!(config.get("dataDir"), Some("/d"));
        assert_eq!(config.get("clientPort"), Some("2"));
        assert_eq!(config.get("x"), None);
        assert!(Config::read("/nonexistent").get("x").is_none());
    }
}
