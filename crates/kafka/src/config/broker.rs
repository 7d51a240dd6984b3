//! A broker's settings as the broker uses them.

use std::time::Duration;

use super::BROKER_KEYS;
use super::define::Effect;
use super::resolve::{Values, broker_key};
use super::value;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// The key.
    pub key: String,
    /// Why, as Kafka says it.
    pub reason: String,
}

/// Something about a setting that the operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The key.
    pub key: String,
    /// What about it.
    pub message: String,
}

/// What is set in a broker's file, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfig {
    values: Values,
}

impl BrokerConfig {
    /// Checks what is set.
    ///
    /// # Errors
    /// Everything that cannot be.
    pub fn parse(values: &Values) -> Result<(Self, Vec<Remark>), Vec<Fault>> {
        let (mut faults, mut remarks) = (Vec::new(), Vec::new());
        for (name, text) in values {
            let remark = |message| Remark { key: name.clone(), message };
            let Some(key) = broker_key(name) else {
                let near =
                    similar(name).map_or(String::new(), |key| format!("; did you mean {key}?"));
                remarks.push(remark(format!("is not a key of Kafka's that Polyport knows{near}")));
                continue;
            };
            if let Err(reason) = value::check(key, text) {
                faults.push(Fault { key: name.clone(), reason });
            }
            if let Effect::None(why) = key.effect {
                remarks.push(remark(format!("has no effect: {why}")));
            }
        }
        match faults.is_empty() {
            true => Ok((Self { values: values.clone() }, remarks)),
            false => Err(faults),
        }
    }

    /// What is set, by name.
    pub fn values(&self) -> &Values {
        &self.values
    }

    fn text(&self, name: &str) -> Option<&str> {
        let default = || broker_key(name).and_then(|key| key.default);
        self.values.get(name).map(|text| text.trim()).or_else(default)
    }

    /// Whether a key is set, as opposed to its default.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A number.
    pub fn long(&self, name: &str) -> i64 {
        // Checked when it was parsed; a key without a value is 0.
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A number that is not negative: a count or a size.
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.long(name)).unwrap_or(0)
    }

    /// A time that is given in milliseconds.
    pub fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(name)).unwrap_or(0))
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// A text that is not empty.
    pub fn string(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

/// The key that a name is most like, if it is like one.
fn similar(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['.', '_', '-'], "");
    let wanted = plain(name);
    BROKER_KEYS.iter().map(|key| key.name).find(|key| plain(key) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> Values {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_key_has_a_default_that_fits_it() {
        assert!(BROKER_KEYS.is_sorted_by_key(|key| key.name));
        for key in BROKER_KEYS {
            if let Some(default) = key.default {
                assert_eq!(value::check(key, default), Ok(()), "{}", key.name);
            }
        }
    }

    #[test]
    fn what_is_set_holds_and_the_rest_is_kafkas_default() {
        let set = values(&[("num.partitions", " 3 "), ("delete.topic.enable", "False")]);
        let (config, remarks) = BrokerConfig::parse(&set).unwrap();
        assert_eq!(remarks, []);
        assert_eq!((config.long("num.partitions"), config.size("num.io.threads")), (3, 8));
        assert!(!config.flag("delete.topic.enable") && config.flag("auto.create.topics.enable"));
        assert_eq!(config.string("broker.rack"), None);
        assert_eq!(config.millis("connections.max.idle.ms"), Duration::from_secs(600));
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let set = values(&[
            ("num.partitions", "many"),
            ("log.segment.bytes", "1"),
            ("num_partitions", "3"),
            ("preallocated", "1"),
        ]);
        let faults = BrokerConfig::parse(&set).unwrap_err();
        let faults: Vec<_> = faults.iter().map(|fault| fault.reason.as_str()).collect();
        assert_eq!(
            faults,
            [
                "Invalid value 1 for configuration log.segment.bytes: Value must be at least 14",
                "Invalid value many for configuration num.partitions: Not a number of type INT",
            ]
        );
        let odd = values(&[("num_partitions", "3"), ("background.threads", "4"), ("x", "y")]);
        let (_, remarks) = BrokerConfig::parse(&odd).unwrap();
        let remarks: Vec<_> = remarks.iter().map(|remark| remark.message.as_str()).collect();
        assert!(remarks[0].starts_with("has no effect: "), "{remarks:?}");
        assert!(remarks[1].ends_with("did you mean num.partitions?"), "{remarks:?}");
        assert!(remarks[2].ends_with("that Polyport knows"), "{remarks:?}");
    }
}
