//! Changing what is set: AlterConfigs, which replaces everything, and IncrementalAlterConfigs, which
//! does not.

use std::collections::BTreeSet;

use super::define::{Definition, Dynamic, Kind};
use super::resolve::{Values, broker_key, topic_key};
use super::value;

/// What is done to a key, with the number that IncrementalAlterConfigs gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is set.
    Set = 0,
    /// What was set is taken away.
    Delete = 1,
    /// Items are added to a list.
    Append = 2,
    /// Items are taken from a list.
    Subtract = 3,
}

impl Operation {
    /// The operation of a number.
    pub fn of(number: i8) -> Option<Self> {
        match number {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub name: String,
    /// What is done to it.
    pub operation: Operation,
    /// With what; `None` only to delete.
    pub value: Option<String>,
}

/// What changes are made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A topic's settings.
    Topic,
    /// One broker's.
    Broker,
    /// All brokers'.
    AllBrokers,
}

impl Target {
    fn key(self, name: &str) -> Option<&'static Definition> {
        match self {
            Self::Topic => topic_key(name),
            Self::Broker | Self::AllBrokers => broker_key(name),
        }
    }
}

/// What is set after the changes. `standing` is the value that holds for a key now: lists are added
/// to that.
///
/// # Errors
/// Why they cannot be made, as Kafka says it.
pub fn altered(
    target: Target,
    now: &Values,
    changes: &[Change],
    standing: impl Fn(&Definition) -> Option<String>,
) -> Result<Values, String> {
    let mut names = BTreeSet::new();
    if let Some(twice) = changes.iter().find(|change| !names.insert(&change.name)) {
        return Err(format!("Error due to duplicate config keys: {}", twice.name));
    }
    let mut after = now.clone();
    for change in changes {
        let name = &change.name;
        if change.operation == Operation::Delete {
            after.remove(name);
            continue;
        }
        let given = change.value.as_ref();
        let given = given.ok_or_else(|| format!("Null value not supported for : {name}"))?;
        if change.operation == Operation::Set {
            after.insert(name.clone(), given.clone());
            continue;
        }
        let key = target.key(name).filter(|key| key.kind == Kind::List);
        let key = key
            .ok_or_else(|| format!("Config value append is not allowed for config key: {name}"))?;
        let held = after.get(name).cloned().or_else(|| standing(key)).unwrap_or_default();
        let mut items: Vec<&str> = value::items(&held).collect();
        for item in value::items(given) {
            match change.operation {
                Operation::Append if !items.contains(&item) => items.push(item),
                Operation::Subtract => items.retain(|other| *other != item),
                _ => {}
            }
        }
        after.insert(name.clone(), items.join(","));
    }
    check(target, now, &after)?;
    Ok(after)
}

/// Checks settings as a whole before they replace others.
///
/// # Errors
/// Why they cannot, as Kafka says it.
pub fn check(target: Target, now: &Values, after: &Values) -> Result<(), String> {
    if target == Target::Topic {
        return super::topic::check(after);
    }
    let allowed = |key: &Definition| match key.dynamic {
        Dynamic::ReadOnly => false,
        Dynamic::PerBroker => target == Target::Broker,
        Dynamic::ClusterWide => true,
    };
    let changed: Vec<&String> = after
        .iter()
        .filter(|(name, value)| now.get(*name) != Some(value))
        .map(|(n, _)| n)
        .collect();
    let fixed: Vec<&str> = changed
        .iter()
        .filter(|name| broker_key(name).is_some_and(|key| !allowed(key)))
        .map(|name| name.as_str())
        .collect();
    if !fixed.is_empty() {
        return Err(format!("Cannot update these configs dynamically: Set({})", fixed.join(", ")));
    }
    for (name, text) in after {
        // Kafka keeps what it does not know, for plug-ins.
        if let Some(key) = broker_key(name) {
            value::check(key, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> Values {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn change(name: &str, operation: Operation, value: Option<&str>) -> Change {
        Change { name: name.to_owned(), operation, value: value.map(str::to_owned) }
    }

    fn topic(now: &[(&str, &str)], changes: &[Change]) -> Result<Values, String> {
        altered(Target::Topic, &values(now), changes, |key| key.default.map(str::to_owned))
    }

    #[test]
    fn only_what_is_named_changes() {
        let now = [("retention.ms", "5"), ("segment.bytes", "100")];
        let changes = [
            change("retention.ms", Operation::Delete, None),
            change("cleanup.policy", Operation::Append, Some("compact")),
        ];
        let wanted = values(&[("cleanup.policy", "delete,compact"), ("segment.bytes", "100")]);
        assert_eq!(topic(&now, &changes), Ok(wanted));
        let less = change("cleanup.policy", Operation::Subtract, Some("delete"));
        let wanted = values(&[("cleanup.policy", "compact")]);
        assert_eq!(topic(&[("cleanup.policy", "compact,delete")], &[less]), Ok(wanted));
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        let append = change("retention.ms", Operation::Append, Some("1"));
        assert!(topic(&[], &[append]).unwrap_err().contains("append is not allowed"));
        let bad = change("retention.ms", Operation::Set, Some("x"));
        assert!(topic(&[], std::slice::from_ref(&bad)).unwrap_err().contains("Not a number"));
        assert!(topic(&[], &[bad.clone(), bad]).unwrap_err().contains("duplicate"));
        let broker = |target, name: &str, value: &str| {
            let changes = [change(name, Operation::Set, Some(value))];
            altered(target, &Values::new(), &changes, |_| None)
        };
        assert_eq!(
            broker(Target::AllBrokers, "num.partitions", "3"),
            Err("Cannot update these configs dynamically: Set(num.partitions)".to_owned())
        );
        assert!(broker(Target::AllBrokers, "listeners", "X").is_err());
        assert!(broker(Target::Broker, "log.retention.ms", "3").is_ok());
        assert!(broker(Target::Broker, "log.retention.ms", "x").is_err());
    }
}
