//! Where a value comes from: the topic's own, set at run time for the broker, set at run time for
//! all brokers, the broker's file, the default.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::def::{ConfigError, Def, Value};
use super::defs::{self, Dynamic};
use crate::metadata::image::{Image, Overrides};
use crate::metadata::znode::path;
use crate::security::acl::Policy;
use crate::security::{Security, SecurityError};

/// Where a value comes from, in the order of their numbers in Kafka's protocol (1 to 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Set for the topic.
    Topic,
    /// Set at run time for this broker.
    DynamicBroker,
    /// Set at run time for all brokers.
    DynamicDefaultBroker,
    /// Set in the broker's file.
    StaticBroker,
    /// Nobody set it.
    Default,
}

/// A value under one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The name.
    pub name: String,
    /// The value; nothing if it is not to be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// A configuration as it is described to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its value; nothing if it has none or it is not to be shown.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: Source,
    /// Whether it can only be changed by a restart.
    pub read_only: bool,
    /// Whether it is not to be shown.
    pub sensitive: bool,
    /// What it is; nothing if it is unknown.
    pub kind: Option<super::Kind>,
    /// What it is for; empty if it is unknown.
    pub documentation: &'static str,
    /// All values it has, the strongest first.
    pub synonyms: Vec<Synonym>,
}

/// A broker's configuration: what its file says, and how what the image says comes on top.
#[derive(Clone, Debug)]
pub struct Configs {
    broker: i32,
    fixed: Arc<BTreeMap<String, String>>,
}

impl Configs {
    /// Of a broker with such a file, to which its number is added under both names. Names that are
    /// unknown are kept, and never shown.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn new(broker: i32, mut fixed: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        for name in ["broker.id", "node.id"] {
            fixed.insert(name.to_owned(), broker.to_string());
        }
        for (name, value) in &fixed {
            if let Some(def) = defs::broker(defs::base(name)) {
                def.parse(value)?;
            }
        }
        Ok(Self { broker, fixed: Arc::new(fixed) })
    }

    /// What the broker's file asks of those who come in by a listener.
    ///
    /// # Errors
    /// If it cannot be served.
    pub fn security(&self, listener: &str) -> Result<Security, SecurityError> {
        Security::read(&self.fixed, listener)
    }

    /// How the broker's file has access judged; nothing if everybody may do everything.
    ///
    /// # Errors
    /// If it cannot be served.
    pub fn policy(&self) -> Result<Option<Policy>, SecurityError> {
        Policy::read(&self.fixed)
    }

    /// Whether the broker's file sets a configuration.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains_key(name)
    }

    /// All values that these names have on this broker, the strongest first. What is stored and not
    /// allowed, because a tool wrote it, counts for nothing.
    fn values(&self, image: &Image, names: &[&'static str]) -> Vec<(Source, &'static Def, String)> {
        let own = image.overrides(&path::broker_entity(Some(self.broker)));
        let shared = image.overrides(&path::broker_entity(None));
        let mut all = Vec::new();
        let mut take = |source, find: &dyn Fn(&'static Def) -> Option<String>| {
            for def in names.iter().filter_map(|name| defs::broker(name)) {
                let value = find(def).filter(|value| def.parse(value).is_ok());
                all.extend(value.map(|value| (source, def, value)));
            }
        };
        let of = |overrides: Option<&Arc<Overrides>>, def: &Def, dynamic: bool| {
            overrides.filter(|_| dynamic)?.values.get(def.name).cloned()
        };
        let kind = |def: &Def| defs::dynamic(def.name);
        take(Source::DynamicBroker, &|def| of(own, def, kind(def) != Dynamic::ReadOnly));
        take(Source::DynamicDefaultBroker, &|def| {
            of(shared, def, kind(def) == Dynamic::ClusterWide)
        });
        take(Source::StaticBroker, &|def| self.fixed.get(def.name).cloned());
        take(Source::Default, &|def| def.default.map(str::to_owned));
        all
    }

    /// The value of a broker's configuration, whatever name it was set under; nothing if it has
    /// none.
    pub fn broker(&self, image: &Image, name: &str) -> Option<Value> {
        let def = defs::broker(name)?;
        let values = self.values(image, &defs::synonyms_of_broker(def.name));
        let (_, from, value) = values.into_iter().next()?;
        let value = from.parse(&value).ok()?;
        Some(convert(value, unit_ms(from.name), unit_ms(name)))
    }

    /// The value of a broker's number; 0 if it has none.
    pub fn broker_number(&self, image: &Image, name: &str) -> i64 {
        debug_assert!(defs::broker(name).is_some(), "there is no {name}");
        match self.broker(image, name) {
            Some(Value::Number(number)) => number,
            _ => 0,
        }
    }

    /// The value of a broker's boolean; false if it has none.
    pub fn broker_flag(&self, image: &Image, name: &str) -> bool {
        debug_assert!(defs::broker(name).is_some(), "there is no {name}");
        self.broker(image, name) == Some(Value::Boolean(true))
    }

    /// The value of a topic's configuration, as text and read.
    pub(super) fn topic_value(
        &self,
        image: &Image,
        own: &BTreeMap<String, String>,
        def: &'static Def,
    ) -> (String, Value) {
        if let Some(text) = own.get(def.name)
            && let Ok(value) = def.parse(text)
        {
            return (text.clone(), value);
        }
        let inherited = self.values(image, defs::synonyms_of_topic(def.name)).into_iter().next();
        let inherited = inherited.and_then(|(_, from, text)| {
            let value = convert(from.parse(&text).ok()?, unit_ms(from.name), 1);
            let text = if unit_ms(from.name) == 1 { text } else { as_text(&value) };
            Some((text, value))
        });
        inherited.unwrap_or_else(|| {
            let text = def.default.unwrap_or_default().to_owned();
            let value = def.parse(&text).unwrap_or(Value::Text(String::new()));
            (text, value)
        })
    }

    /// Everything about a topic, by name.
    pub fn describe_topic(&self, image: &Image, topic: &str) -> Vec<Entry> {
        let own = own(image, topic);
        defs::topics().map(|def| self.topic_entry(image, &own, def)).collect()
    }

    /// What a topic of such a configuration would be like.
    pub fn describe_new_topic(&self, image: &Image, own: &BTreeMap<String, String>) -> Vec<Entry> {
        defs::topics().map(|def| self.topic_entry(image, own, def)).collect()
    }

    fn topic_entry(
        &self,
        image: &Image,
        own: &BTreeMap<String, String>,
        def: &'static Def,
    ) -> Entry {
        let (text, _) = self.topic_value(image, own, def);
        let names = defs::synonyms_of_topic(def.name);
        let mut synonyms = match names.first() {
            Some(first) => self.synonyms(image, first, names),
            None => Vec::new(),
        };
        if own.contains_key(def.name) {
            let (name, value) = (def.name.to_owned(), Some(text.clone()));
            synonyms.insert(0, Synonym { name, value, source: Source::Topic });
        }
        Entry {
            name: def.name.to_owned(),
            value: Some(text),
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            read_only: false,
            sensitive: false,
            kind: Some(def.kind),
            documentation: def.documentation,
            synonyms,
        }
    }

    /// As Kafka shows them: from the first that has the very name on.
    fn synonyms(&self, image: &Image, name: &str, names: &[&'static str]) -> Vec<Synonym> {
        let values = self.values(image, names).into_iter();
        let synonym = |(source, def, text): (Source, &Def, String)| Synonym {
            name: def.name.to_owned(),
            value: (!def.is_sensitive()).then_some(text),
            source,
        };
        values.map(synonym).skip_while(|synonym| synonym.name != name).collect()
    }

    /// Everything about this broker, by name.
    pub fn describe_broker(&self, image: &Image) -> Vec<Entry> {
        let entry = |def: &'static Def| {
            let names = defs::synonyms_of_broker(def.name);
            broker_entry(def, self.synonyms(image, def.name, &names))
        };
        let set = defs::run_time().iter().map(entry).filter(|entry| entry.value.is_some());
        let mut entries: Vec<_> = defs::brokers().into_iter().map(entry).chain(set).collect();
        let known = |name: &str| defs::broker(name).is_some();
        let unknown = self.fixed.keys().filter(|name| !known(name));
        entries.extend(unknown.map(|name| hidden(name, Source::StaticBroker)));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// What was set at run time for all brokers, by name.
    pub fn describe_all_brokers(&self, image: &Image) -> Vec<Entry> {
        let set = image.overrides(&path::broker_entity(None));
        let set = set.map(|overrides| &overrides.values);
        let entry = |(name, value): (&String, &String)| {
            let source = Source::DynamicDefaultBroker;
            let Some(def) = defs::broker(name) else { return hidden(name, source) };
            let value = (!def.is_sensitive()).then(|| value.clone());
            broker_entry(def, vec![Synonym { name: name.clone(), value, source }])
        };
        set.into_iter().flatten().map(entry).collect()
    }
}

/// What a topic sets itself.
pub(super) fn own(image: &Image, topic: &str) -> BTreeMap<String, String> {
    let overrides = image.overrides(&path::topic_entity(topic));
    overrides.map(|overrides| overrides.values.clone()).unwrap_or_default()
}

fn broker_entry(def: &'static Def, synonyms: Vec<Synonym>) -> Entry {
    let first = synonyms.first();
    Entry {
        name: def.name.to_owned(),
        value: first.and_then(|first| first.value.clone()),
        source: first.map_or(Source::Default, |first| first.source),
        read_only: defs::dynamic(def.name) == Dynamic::ReadOnly,
        sensitive: def.is_sensitive(),
        kind: Some(def.kind),
        documentation: def.documentation,
        synonyms,
    }
}

/// Nobody knows what it is, so it may be a secret.
fn hidden(name: &str, source: Source) -> Entry {
    let synonyms = vec![Synonym { name: name.to_owned(), value: None, source }];
    Entry {
        name: name.to_owned(),
        value: None,
        source,
        read_only: defs::dynamic(name) == Dynamic::ReadOnly,
        sensitive: true,
        kind: None,
        documentation: "",
        synonyms,
    }
}

/// Milliseconds that a name counts; 1 where it does not count hours or minutes of another name's
/// milliseconds.
fn unit_ms(name: &str) -> i64 {
    match name {
        "log.retention.hours" | "log.roll.hours" | "log.roll.jitter.hours" => 60 * 60 * 1000,
        "log.retention.minutes" => 60 * 1000,
        _ => 1,
    }
}

/// From one unit to another; without a limit stays without one.
fn convert(value: Value, from: i64, to: i64) -> Value {
    match value {
        Value::Number(number) if from != to && number < 0 => Value::Number(-1),
        Value::Number(number) if from != to => Value::Number(number.saturating_mul(from) / to),
        value => value,
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::List(list) => list.join(","),
        Value::Text(text) => text.clone(),
    }
}
