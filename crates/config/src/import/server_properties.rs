//! Kafka's `server.properties`.
//!
//! What has a key of its own here takes it; everything else goes under `kafka.properties` by its own
//! name, and the broker says what it does not know. A listener without a host is opened on loopback:
//! Kafka opens it on all addresses.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Imported, properties};
use crate::kafka::KafkaListener;
use crate::layers::{Origin, Problem, Setting, Value, Warning};

/// Keys about a coordination service beside the brokers, or the one that stands in for it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("zookeeper.", "metadata is kept in this node's own tree, which answers ZooKeeper's clients"),
    ("process.roles", "every node is broker and controller"),
    ("controller.", "the controller is elected through the tree"),
    ("metadata.", "there is no metadata log besides the tree's"),
    ("inter.broker.listener.name", "nodes speak to each other on the node port"),
    ("security.inter.broker.protocol", "nodes speak to each other on the node port"),
    ("inter.broker.protocol.version", "nodes speak Polyport's own protocol to each other"),
    ("log.message.format.version", "records are kept in format 2"),
];

/// Whether a file of this name with this content is a broker's, not ZooKeeper's.
pub fn is_one(path: &Path, bytes: &[u8]) -> bool {
    const ZOOKEEPERS: [&str; 3] = ["clientPort", "dataDir", "tickTime"];
    path.extension().is_some_and(|extension| extension == "properties")
        && !properties::parse(bytes).iter().any(|p| ZOOKEEPERS.contains(&p.key.as_str()))
}

/// Reads a `server.properties`.
pub fn import(path: &Path, bytes: &[u8]) -> Imported {
    let mut file = File { out: Imported::default() };
    let mut entries = BTreeMap::new();
    for property in properties::parse(bytes) {
        let entry = Entry {
            origin: Origin::File(path.to_owned(), property.line),
            key: property.key.trim().to_owned(),
            value: property.value.trim().to_owned(),
        };
        if let Some(before) = entries.insert(entry.key.clone(), entry.clone()) {
            file.warn(&entry, format!("replaces the value given at {}", before.origin));
        }
    }
    file.listeners(path, &mut entries);
    for entry in entries.into_values() {
        file.entry(&entry);
    }
    file.out
}

#[derive(Clone)]
struct Entry {
    origin: Origin,
    key: String,
    value: String,
}

struct File {
    out: Imported,
}

impl File {
    fn warn(&mut self, entry: &Entry, message: String) {
        let (origin, key) = (entry.origin.clone(), entry.key.clone());
        self.out.warnings.push(Warning { origin, key, message });
    }

    fn problem(&mut self, entry: &Entry, reason: String) {
        let (origin, key) = (entry.origin.clone(), entry.key.clone());
        self.out.problems.push(Problem { origin, key, reason });
    }

    fn set(&mut self, entry: &Entry, key: &str, value: impl Into<toml::Value>) {
        self.out.settings.push(Setting {
            key: key.to_owned(),
            value: Value::Typed(value.into()),
            origin: entry.origin.clone(),
            written_as: entry.key.clone(),
        });
    }

    fn entry(&mut self, entry: &Entry) {
        match entry.key.as_str() {
            "broker.id" | "node.id" => self.broker_id(entry),
            "log.dirs" | "log.dir" => {
                let dirs = entry.value.split(',').map(str::trim).filter(|dir| !dir.is_empty());
                let dirs: Vec<_> = dirs.map(toml::Value::from).collect();
                self.set(entry, "kafka.log_dirs", dirs);
            }
            key => {
                let elsewhere = ELSEWHERE.iter().find(|(start, _)| key.starts_with(start));
                match elsewhere {
                    Some((_, reason)) => {
                        self.warn(entry, format!("has no meaning here: {reason}"));
                    }
                    None => {
                        self.set(entry, &format!("kafka.properties.{key}"), entry.value.as_str());
                    }
                }
            }
        }
    }

    fn broker_id(&mut self, entry: &Entry) {
        match entry.value.parse::<i32>() {
            // Kafka draws one; here it is the node's.
            Ok(-1) => {}
            Ok(id) if id >= 0 => self.set(entry, "kafka.broker_id", id),
            _ => self.problem(entry, format!("`{}` is not a number from 0", entry.value)),
        }
    }

    /// The doors: since 0.10 `listeners`, before that `host.name` and `port`.
    fn listeners(&mut self, path: &Path, entries: &mut BTreeMap<String, Entry>) {
        let mut taken = |key: &str| entries.remove(key);
        let (host, port) = (taken("host.name"), taken("port"));
        let (advertised_host, advertised_port) =
            (taken("advertised.host.name"), taken("advertised.port"));
        let old = |host: Option<Entry>, port: Option<Entry>, before: &str| {
            let host_text = host.as_ref().map_or(before, |entry| entry.value.as_str()).to_owned();
            let port_text = port.as_ref().map_or("9092", |entry| entry.value.as_str()).to_owned();
            let mut entry = port.or(host)?;
            entry.value = format!("PLAINTEXT://{host_text}:{port_text}");
            Some(entry)
        };
        let listeners = taken("listeners").or_else(|| old(host, port, ""));
        let advertised = taken("advertised.listeners")
            .or_else(|| old(advertised_host, advertised_port, "127.0.0.1"));
        for (entry, key) in
            [(listeners, "kafka.listeners"), (advertised, "kafka.advertised_listeners")]
        {
            let Some(entry) = entry else { continue };
            let mut list = Vec::new();
            for text in entry.value.split(',').map(str::trim).filter(|text| !text.is_empty()) {
                if text.starts_with("CONTROLLER://") {
                    self.warn(&entry, format!("{text} is left out: there is no controller port"));
                    continue;
                }
                let (text, opened) = with_host(text);
                if opened {
                    let hint = "opens it on loopback; write 0.0.0.0 for all addresses";
                    self.warn(&entry, format!("a listener without a host: Polyport {hint}"));
                }
                match text.parse::<KafkaListener>() {
                    Ok(listener) => list.push(toml::Value::from(listener.to_string())),
                    Err(error) => self.problem(&entry, error.to_string()),
                }
            }
            self.set(&entry, key, list);
        }
        if !self.out.settings.iter().any(|setting| setting.key == "kafka.listeners") {
            // As in Kafka, it listens though the file does not say where.
            let entry = Entry {
                origin: Origin::WholeFile(path.to_owned()),
                key: "listeners".to_owned(),
                value: String::new(),
            };
            let default = toml::Value::from("PLAINTEXT://127.0.0.1:9092");
            self.set(&entry, "kafka.listeners", vec![default]);
        }
    }
}

/// A listener's text with a host; whether it had none.
fn with_host(text: &str) -> (String, bool) {
    match text.split_once("://") {
        Some((name, port)) if port.starts_with(':') => (format!("{name}://127.0.0.1{port}"), true),
        _ => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Layers, Loaded};

    fn loaded(text: &str) -> Loaded {
        let imported = import(Path::new("server.properties"), text.as_bytes());
        Layers::new().imported(imported).finish().unwrap()
    }

    fn listeners(text: &str) -> (Vec<String>, Vec<String>) {
        let kafka = loaded(text).config.kafka;
        let texts = |all: Vec<KafkaListener>| all.iter().map(ToString::to_string).collect();
        (texts(kafka.listeners), texts(kafka.advertised_listeners))
    }

    #[test]
    fn the_operators_file_takes_effect() {
        let loaded = loaded(
            "broker.id=2\nlisteners=PLAINTEXT://10.0.0.2:9092\nlog.dirs=/a, /b\nnum.partitions=3\n\
             zookeeper.connect=10.0.0.1:2181,10.0.0.2:2181\nlog.retention.hours = 168\n",
        );
        let kafka = loaded.config.kafka;
        assert_eq!(kafka.broker_id, Some(2));
        assert_eq!(kafka.log_dirs, [Path::new("/a"), Path::new("/b")]);
        let properties: Vec<_> = kafka.properties.0.into_iter().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(properties, [pair("log.retention.hours", "168"), pair("num.partitions", "3")]);
        let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
        let text = warning.to_string();
        assert!(text.starts_with("server.properties:5: zookeeper.connect: has no meaning here"));
    }

    #[test]
    fn doors_are_read_as_all_of_kafkas_ages_wrote_them() {
        let one = |text: &str| vec![text.to_owned()];
        let local = one("PLAINTEXT://127.0.0.1:9093");
        assert_eq!(listeners("listeners=PLAINTEXT://:9093"), (local.clone(), vec![]));
        assert_eq!(listeners("port=9093"), (local, vec![]));
        let named = one("PLAINTEXT://kafka:9092");
        let default = one("PLAINTEXT://127.0.0.1:9092");
        assert_eq!(listeners("advertised.host.name=kafka"), (default, named));
        let kraft = "listeners=PLAINTEXT://h:1,CONTROLLER://h:2\nprocess.roles=broker,controller";
        assert_eq!(listeners(kraft).0, one("PLAINTEXT://h:1"));
    }

    #[test]
    fn kafkas_door_opens_for_whoever_brings_kafkas_file() {
        let zookeeper = || {
            super::super::zoo_cfg::import(
                Path::new("zoo.cfg"),
                b"dataDir=/tmp/zk\nclientPort=2181\n",
            )
        };
        let kafka = || import(Path::new("server.properties"), b"broker.id=1\n");
        let doors = |all: Vec<Imported>| {
            let layers = all.into_iter().fold(Layers::new(), Layers::imported);
            layers.finish().unwrap().config.kafka.listeners.len()
        };
        assert_eq!(doors(vec![]), 1);
        assert_eq!(doors(vec![zookeeper()]), 0);
        assert_eq!(doors(vec![kafka()]), 1);
        assert_eq!(doors(vec![zookeeper(), kafka()]), 1);
        assert_eq!(doors(vec![kafka(), zookeeper()]), 1);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        let text = "\nbroker.id=two\nlisteners=9092\n";
        let imported = import(Path::new("s.properties"), text.as_bytes());
        let problems: Vec<_> = imported.problems.iter().map(ToString::to_string).collect();
        assert!(problems[0].starts_with("s.properties:3: listeners: `9092`"), "{problems:?}");
        assert!(problems[1].starts_with("s.properties:2: broker.id: `two`"), "{problems:?}");
    }

    #[test]
    fn zookeepers_own_properties_are_told_apart() {
        let zookeeper = b"dataDir=/tmp/zookeeper\nclientPort=2181\n";
        assert!(!is_one(Path::new("zookeeper.properties"), zookeeper));
        assert!(is_one(Path::new("server.properties"), b"broker.id=0\n"));
        assert!(!is_one(Path::new("zoo.cfg"), b""));
    }
}
