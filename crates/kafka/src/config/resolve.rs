//! Which of several settings holds, and where it is from.

use std::collections::BTreeMap;

use super::define::Definition;
use super::{BROKER_KEYS, TOPIC_KEYS};

/// Where a value is from, with the number that DescribeConfigs gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Set for the topic.
    Topic = 1,
    /// Set for the broker while it runs.
    Broker = 2,
    /// Set for all brokers while they run.
    AllBrokers = 3,
    /// In the broker's file.
    Static = 4,
    /// The key's default.
    Default = 5,
}

/// Values by name.
pub type Values = BTreeMap<String, String>;

/// What has been set for a broker.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// For this broker, in the tree.
    pub broker: &'a Values,
    /// For all brokers, in the tree.
    pub all_brokers: &'a Values,
    /// In the broker's file.
    pub file: &'a Values,
}

/// A value with the place that it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The key that it was set by.
    pub name: String,
    /// The value; `None` if there is none.
    pub value: Option<String>,
    /// Where.
    pub source: Source,
}

/// A topic's key by its name.
pub fn topic_key(name: &str) -> Option<&'static Definition> {
    TOPIC_KEYS.iter().find(|definition| definition.name == name)
}

/// A broker's key by its name.
pub fn broker_key(name: &str) -> Option<&'static Definition> {
    BROKER_KEYS.iter().find(|definition| definition.name == name)
}

impl Layers<'_> {
    fn each(&self) -> [(Source, &Values); 3] {
        [
            (Source::Broker, self.broker),
            (Source::AllBrokers, self.all_brokers),
            (Source::Static, self.file),
        ]
    }

    /// What holds for a broker's key, and what is behind it, in this order; never empty.
    pub fn broker_value(&self, definition: &Definition) -> Vec<Found> {
        let name = definition.name;
        let mut found: Vec<Found> = Vec::new();
        for (source, values) in self.each() {
            if let Some(value) = values.get(name) {
                found.push(Found { name: name.to_owned(), value: Some(value.clone()), source });
            }
        }
        let value = definition.default.map(str::to_owned);
        found.push(Found { name: name.to_owned(), value, source: Source::Default });
        found
    }

    /// What holds for a topic's key, and what is behind it, in this order; never empty. Values of a
    /// broker's key in other units are in the topic's.
    pub fn topic_value(&self, definition: &Definition, topic: &Values) -> Vec<Found> {
        let mut found = Vec::new();
        if let Some(value) = topic.get(definition.name) {
            let (name, value) = (definition.name.to_owned(), Some(value.clone()));
            found.push(Found { name, value, source: Source::Topic });
        }
        for (source, values) in self.each() {
            for (name, factor) in definition.broker {
                if let Some(value) = values.get(*name) {
                    let value = Some(times(value, *factor));
                    found.push(Found { name: (*name).to_owned(), value, source });
                }
            }
        }
        let name = definition.broker.first().map_or(definition.name, |(name, _)| name);
        let value = definition.default.map(str::to_owned);
        found.push(Found { name: name.to_owned(), value, source: Source::Default });
        found
    }

    /// The value that holds for a topic's key.
    pub fn of_topic(&self, definition: &Definition, topic: &Values) -> String {
        let found = self.topic_value(definition, topic).into_iter().next();
        found.and_then(|found| found.value).unwrap_or_default()
    }

    /// The value that holds for a broker's key; `None` if it has none.
    pub fn of_broker(&self, definition: &Definition) -> Option<String> {
        self.broker_value(definition).into_iter().next().and_then(|found| found.value)
    }
}

/// A number in other units; negative ones mean no limit in all of them.
fn times(value: &str, factor: i64) -> String {
    match value.trim().parse::<i64>() {
        Ok(number) if number >= 0 && factor != 1 => number.saturating_mul(factor).to_string(),
        _ => value.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> Values {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_nearest_setting_holds_and_the_others_are_behind_it() {
        let none = Values::new();
        let file = values(&[("log.retention.hours", "2"), ("log.retention.minutes", "5")]);
        let all_brokers = values(&[("log.retention.ms", "7")]);
        let layers = Layers { broker: &none, all_brokers: &all_brokers, file: &file };
        let key = topic_key("retention.ms").unwrap();
        let topic = values(&[("retention.ms", "3")]);
        let found = layers.topic_value(key, &topic);
        let found: Vec<_> =
            found.iter().map(|f| (&*f.name, f.value.as_deref().unwrap(), f.source as i8)).collect();
        assert_eq!(
            found,
            [
                ("retention.ms", "3", 1),
                ("log.retention.ms", "7", 3),
                ("log.retention.minutes", "300000", 4),
                ("log.retention.hours", "7200000", 4),
                ("log.retention.ms", "604800000", 5),
            ]
        );
        assert_eq!(layers.of_topic(key, &none), "7");
    }

    #[test]
    fn no_limit_is_none_in_all_units() {
        assert_eq!(
            [times("-1", HOURS), times("2", HOURS), times("x", HOURS)],
            ["-1", "7200000", "x"]
        );
    }

    const HOURS: i64 = 3_600_000;

    #[test]
    fn every_key_of_a_topic_has_a_default_that_fits_it() {
        assert!(TOPIC_KEYS.is_sorted_by_key(|key| key.name));
        for key in TOPIC_KEYS {
            let default = key.default.unwrap();
            assert_eq!(super::super::value::check(key, default), Ok(()), "{}", key.name);
            for (broker, factor) in key.broker {
                let broker = broker_key(broker).unwrap_or_else(|| panic!("{broker} is no key"));
                // The first synonym has the same default, if it has one at all.
                if *factor == 1
                    && let Some(same) = broker.default
                    && broker.name != "log.flush.scheduler.interval.ms"
                {
                    assert_eq!(same, default, "{}", broker.name);
                }
            }
        }
    }
}
