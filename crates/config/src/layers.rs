//! Layers of settings, later ones over earlier ones, each remembering where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use crate::import::{self, Imported};
use crate::kafka::flattened;
use crate::types::Config;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line (from 1) of a file.
    File(PathBuf, usize),
    /// A file as a whole.
    WholeFile(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Override(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::WholeFile(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Override(text) => write!(f, "option {text}"),
        }
    }
}

/// Something that stops the start: where, which key, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}: {reason}")]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key as written there.
    pub key: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Something the operator should know that does not stop the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it was written.
    pub origin: Origin,
    /// The key as written there.
    pub key: String,
    /// What about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.message)
    }
}

/// A value on its way into the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a known type.
    Typed(toml::Value),
    /// A text whose type the key decides: text, number, flag, or a list separated by commas.
    Text(String),
}

/// One setting of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Path of the key in `polyport.toml`, such as `zookeeper.tick_time_ms`.
    pub key: String,
    /// What to set it to.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
    /// The key as written there.
    pub written_as: String,
}

/// A configuration and what was remarked on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The result of all layers.
    pub config: Config,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// Where each setting that is not from a `polyport.toml` was written last, by its key there.
    pub origins: BTreeMap<String, Origin>,
}

/// Collects layers in order: defaults, `polyport.toml`, imported files, environment, overrides.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    table: Table,
    config: Config,
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// The defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the text of a `polyport.toml` on top; `path` is for messages.
    pub fn toml(mut self, path: &Path, text: &str) -> Self {
        match toml::from_str::<Config>(text).and_then(|_| text.parse::<Table>()) {
            Ok(table) => self.put_table(whole_names(table)),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                self.problems.push(Problem {
                    origin: Origin::File(path.to_owned(), line),
                    key: text.lines().nth(line - 1).map_or("", key_of_line).to_owned(),
                    reason: error.message().to_owned(),
                });
            }
        }
        self
    }

    /// Reads a `polyport.toml` and puts it on top.
    pub fn toml_file(mut self, path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => self.toml(path, &text),
            Err(error) => {
                self.problems.push(unreadable(path, &error));
                self
            }
        }
    }

    /// Reads a file of another system, told by its name, and puts what it means on top.
    pub fn import_file(self, path: &Path) -> Self {
        let imported = import::file(path);
        self.imported(imported)
    }

    /// Puts what an import found on top.
    pub fn imported(mut self, imported: Imported) -> Self {
        self.warnings.extend(imported.warnings);
        self.problems.extend(imported.problems);
        for setting in imported.settings {
            self.put(setting);
        }
        for setting in imported.otherwise {
            if !self.is_set(&setting.key) {
                self.put(setting);
            }
        }
        self
    }

    /// Puts environment variables on top: `POLYPORT_DATA_DIR` is `data_dir`, and two underscores
    /// stand for the dot, so `POLYPORT_ZOOKEEPER__TICK_TIME_MS` is `zookeeper.tick_time_ms`.
    /// Variables without the prefix are not looked at, nor are those that Kubernetes sets for a
    /// service named polyport (`POLYPORT_SERVICE_HOST`, `POLYPORT_PORT_2181_TCP`).
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut named: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| {
                !name.starts_with("POLYPORT_SERVICE_") && !name.starts_with("POLYPORT_PORT")
            })
            .filter_map(|(name, value)| {
                let key = name.strip_prefix("POLYPORT_")?.to_lowercase().replace("__", ".");
                Some((name, key, value))
            })
            .collect();
        named.sort();
        for (name, key, value) in named {
            self.put(Setting {
                key,
                value: Value::Text(value),
                origin: Origin::Environment(name.clone()),
                written_as: name,
            });
        }
        self
    }

    /// Puts one `key=value` of the command line on top.
    pub fn set(mut self, text: &str) -> Self {
        let origin = Origin::Override(text.to_owned());
        match text.split_once('=') {
            Some((key, value)) => {
                let key = key.trim().to_owned();
                let value = Value::Text(value.trim().to_owned());
                self.put(Setting { written_as: key.clone(), key, value, origin });
            }
            None => self.problems.push(Problem {
                origin,
                key: text.to_owned(),
                reason: "write it as key=value, such as zookeeper.tick_time_ms=2000".to_owned(),
            }),
        }
        self
    }

    /// The configuration of all layers.
    ///
    /// # Errors
    /// All problems of all layers, in their order.
    pub fn finish(self) -> Result<Loaded, Vec<Problem>> {
        if self.problems.is_empty() {
            Ok(Loaded { config: self.config, warnings: self.warnings, origins: self.origins })
        } else {
            Err(self.problems)
        }
    }

    /// Whether a layer has set a key.
    fn is_set(&self, key: &str) -> bool {
        let (sections, name) = split_key(key);
        let sections = sections.into_iter().flat_map(|sections| sections.split('.'));
        let section = sections
            .into_iter()
            .try_fold(&self.table, |at, section| at.get(section).and_then(toml::Value::as_table));
        section.is_some_and(|section| section.contains_key(name))
    }

    fn put_table(&mut self, table: Table) {
        merge(&mut self.table, table);
        // Each layer was accepted alone, and merging keeps types, so this cannot fail.
        if let Ok(config) = Config::deserialize(self.table.clone()) {
            self.config = config;
        }
    }

    fn put(&mut self, setting: Setting) {
        let mut reason = None;
        for value in candidates(&setting.value) {
            let mut table = self.table.clone();
            if let Err(problem) = insert(&mut table, &setting.key, value) {
                reason.get_or_insert(problem);
                continue;
            }
            match Config::deserialize(table.clone()) {
                Ok(config) => {
                    (self.table, self.config) = (table, config);
                    self.origins.insert(setting.key, setting.origin);
                    return;
                }
                // The last candidate is the most specific reading, so its reason says most.
                Err(error) => reason = Some(error.message().to_owned()),
            }
        }
        self.problems.push(Problem {
            origin: setting.origin,
            key: setting.written_as,
            reason: reason.unwrap_or_else(|| "cannot be set".to_owned()),
        });
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem {
        origin: Origin::WholeFile(path.to_owned()),
        key: "file".to_owned(),
        reason: format!("cannot be read: {error}"),
    }
}

/// The readings of a value, tried in turn: the key's type decides which one fits.
fn candidates(value: &Value) -> Vec<toml::Value> {
    let text = match value {
        Value::Typed(value) => return vec![value.clone()],
        Value::Text(text) => text,
    };
    let list: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| toml::Value::String(item.to_owned()))
        .collect();
    let mut readings = vec![toml::Value::String(text.clone()), toml::Value::Array(list)];
    if let Ok(mut table) = format!("v = {}", text.trim()).parse::<Table>()
        && let (Some(value), true) = (table.remove("v"), table.is_empty())
    {
        readings.push(value);
    } else {
        // Keeps the reason about the type that was expected, not about a list.
        readings.swap(0, 1);
    }
    readings
}

/// The section whose keys have dots in their names.
const PROPERTIES: &str = "kafka.properties";

/// Writes out the names of properties that are written as tables.
fn whole_names(mut table: Table) -> Table {
    if let Some(toml::Value::Table(kafka)) = table.get_mut("kafka")
        && let Some(toml::Value::Table(properties)) = kafka.get_mut("properties")
    {
        *properties = flattened(std::mem::take(properties));
    }
    table
}

/// A key's section and name.
fn split_key(key: &str) -> (Option<&str>, &str) {
    match key.strip_prefix(PROPERTIES).and_then(|rest| rest.strip_prefix('.')) {
        Some(name) => (Some(PROPERTIES), name),
        None => key.rsplit_once('.').map_or((None, key), |(section, name)| (Some(section), name)),
    }
}

fn insert(table: &mut Table, key: &str, value: toml::Value) -> Result<(), String> {
    let (sections, name) = split_key(key);
    let mut at = table;
    for section in sections.into_iter().flat_map(|s| s.split('.')) {
        at = at
            .entry(section)
            .or_insert_with(|| toml::Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("`{section}` is not a section"))?;
    }
    at.insert(name.to_owned(), value);
    Ok(())
}

/// Tables are merged key by key; everything else is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn key_of_line(line: &str) -> &str {
    line.split('=').next().unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reasons(layers: Layers) -> Vec<String> {
        layers.finish().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_layers_everything_is_default() {
        assert_eq!(Layers::new().finish().unwrap().config, Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = "data_dir = \"x\"\n[zookeeper]\ntick_tim_ms = 1\n";
        let [reason] = &reasons(Layers::new().toml(Path::new("p.toml"), text))[..] else {
            panic!()
        };
        assert!(reason.starts_with("p.toml:3: tick_tim_ms: unknown field"), "{reason}");
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_line() {
        let text = "\n[node]\nid = \"one\"\n";
        let [reason] = &reasons(Layers::new().toml(Path::new("p.toml"), text))[..] else {
            panic!()
        };
        assert!(reason.starts_with("p.toml:3: id: invalid type"), "{reason}");
    }

    #[test]
    fn later_layers_win_and_the_rest_stays() {
        let variables =
            [("POLYPORT_NODE__ID", "3"), ("POLYPORT_CLUSTER__SECRET", "123"), ("ID", "9")];
        let loaded = Layers::new()
            .toml(Path::new("p.toml"), "[node]\nid = 2\nlisten = \"127.0.0.1:1\"\n")
            .environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())))
            .set("zookeeper.four_letter_words=stat, ruok")
            .set("zookeeper.listen=")
            .set("node.id = 4")
            .finish()
            .unwrap();
        assert_eq!(loaded.config.node.id, 4);
        assert_eq!(loaded.config.node.listen.port, 1);
        assert_eq!(loaded.config.cluster.secret, "123");
        assert_eq!(loaded.config.zookeeper.four_letter_words, ["stat", "ruok"]);
        assert_eq!(loaded.config.zookeeper.listen.0, None);
    }

    #[test]
    fn variables_of_kubernetes_are_not_settings() {
        let names = ["POLYPORT_SERVICE_HOST", "POLYPORT_PORT", "POLYPORT_PORT_2181_TCP_ADDR"];
        let layers = Layers::new().environment(names.map(|n| (n.to_owned(), "x".to_owned())));
        assert_eq!(layers.finish().unwrap().config, Config::default());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}a-z_=.,\"'#0-9\\n -]{0,80}", key in "[a-z_.]{0,20}") {
            let _ = Layers::new().toml(Path::new("p.toml"), &text).finish();
            let _ = Layers::new().set(&text).set(&format!("{key}={text}")).finish();
            let _ = Layers::new().set(&format!("zookeeper.listen={text}")).finish();
            let _ = Layers::new().set(&format!("cluster.nodes={text}")).finish();
        }
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_origin() {
        let reasons = reasons(
            Layers::new()
                .toml_file(Path::new("/nonexistent/p.toml"))
                .environment([("POLYPORT_NODE__ID".to_owned(), "many".to_owned())])
                .set("zookeeper.tick=1")
                .set("nonsense"),
        );
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        assert!(reasons[0].starts_with("/nonexistent/p.toml: file: cannot be read"));
        assert!(reasons[1].contains("POLYPORT_NODE__ID: invalid type"), "{}", reasons[1]);
        assert!(reasons[2].contains("unknown field `tick`"), "{}", reasons[2]);
        assert!(reasons[3].contains("key=value"), "{}", reasons[3]);
    }
}
