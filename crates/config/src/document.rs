//! A complete, commented `polyport.toml`.

use std::fmt::Write;

use toml::Table;

use crate::section::Key;
use crate::types::{Admin, Cluster, Config, Kafka, Metrics, Node, Zookeeper};

/// Sections in the order of the file; the first has no header.
const SECTIONS: &[(&str, &[&str], &[Key])] = &[
    ("node", Node::ABOUT, Node::KEYS),
    ("cluster", Cluster::ABOUT, Cluster::KEYS),
    ("zookeeper", Zookeeper::ABOUT, Zookeeper::KEYS),
    ("kafka", Kafka::ABOUT, Kafka::KEYS),
    ("admin", Admin::ABOUT, Admin::KEYS),
    ("metrics", Metrics::ABOUT, Metrics::KEYS),
];

impl Config {
    /// This configuration as a `polyport.toml` with every key, its documentation and its value.
    /// Keys that are absent are shown as a comment with an example.
    pub fn to_toml_documented(&self) -> String {
        let mut out = String::new();
        let table = Table::try_from(self).unwrap_or_default();
        comment(&mut out, Config::ABOUT);
        out.push('\n');
        section(&mut out, Config::KEYS, &table);
        for (name, about, keys) in SECTIONS {
            out.push('\n');
            comment(&mut out, about);
            let _ = writeln!(out, "[{name}]");
            if let Some(toml::Value::Table(inner)) = table.get(*name) {
                section(&mut out, keys, inner);
            }
        }
        out
    }
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(out, "#{line}");
    }
}

fn section(out: &mut String, keys: &[Key], values: &Table) {
    for key in keys {
        // A section of its own: written with its header.
        if SECTIONS.iter().any(|(name, ..)| *name == key.name) {
            continue;
        }
        comment(out, key.about);
        match (values.get(key.name), key.example) {
            (Some(value), _) => {
                let _ = writeln!(out, "{} = {}", key.name, value);
            }
            (None, example) => {
                let _ = writeln!(out, "# {} = {}", key.name, example.unwrap_or("\"\""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layers;
    use std::path::Path;

    fn read_back(text: &str) -> Config {
        Layers::new().toml(Path::new("polyport.toml"), text).finish().unwrap().config
    }

    #[test]
    fn the_documented_default_reads_back_as_the_default() {
        let text = Config::default().to_toml_documented();
        assert_eq!(read_back(&text), Config::default());
    }

    #[test]
    fn examples_of_absent_keys_are_valid() {
        let text = Config::default().to_toml_documented();
        let filled: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest.starts_with(char::is_lowercase)
                        && rest.contains(" = ")
                        && !rest.contains("...")
                        && !rest.contains("Each") =>
                {
                    rest
                }
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = read_back(&filled);
        assert!(config.log_dir.is_some() && config.zookeeper.tls.is_some());
        assert!(config.node.tls.is_some() && config.cluster.join.is_some());
    }

    #[test]
    fn set_values_read_back() {
        let mut config = Config::default();
        config.cluster.secret = "quotes \" and \\ and\nlines".to_owned();
        config.zookeeper.sasl_users.insert("a b".to_owned(), "p=w".to_owned());
        config.cluster.nodes = vec![toml::from_str("id = 7\naddress = \"h:1\"\n").unwrap()];
        assert_eq!(read_back(&config.to_toml_documented()), config);
    }

    #[test]
    fn every_key_is_documented() {
        let text = Config::default().to_toml_documented();
        for (_, _, keys) in SECTIONS {
            for key in *keys {
                assert!(key.about.iter().any(|line| line.len() > 10), "{}", key.name);
                assert!(text.contains(&format!("{} = ", key.name)), "{}", key.name);
            }
        }
    }
}
