//! Changing what is set at run time, for topics and for brokers.

use std::collections::BTreeMap;

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, writes};

use super::defs::{self, Dynamic};
use super::resolve::Configs;
use super::{ConfigError, Kind};
use crate::metadata::image::{Image, Images};
use crate::metadata::topics::TopicError;
use crate::metadata::znode::{ConfigZnode, path};

/// One step of an incremental change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets it.
    Set(String),
    /// Has it inherited again.
    Delete,
    /// Adds values to a list.
    Append(String),
    /// Takes values from a list.
    Subtract(String),
}

/// Values by name.
type Values = BTreeMap<String, String>;

/// Changes configurations. Clones are handles on the same.
#[derive(Clone)]
pub struct Alterations {
    client: Client,
    images: Images,
    configs: Configs,
}

/// Tries where another's change came in between.
const TRIES: usize = 10;

impl Alterations {
    /// `configs`: this broker's, which fill in what topics leave open.
    pub fn new(client: Client, images: Images, configs: Configs) -> Self {
        Self { client, images, configs }
    }

    /// Sets all that a topic sets itself; what is not named is inherited again. The answer is the
    /// transaction.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn topic(
        &self,
        topic: &str,
        values: &Values,
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        self.change_topic(topic, validate_only, |_| Ok(values.clone())).await
    }

    /// Changes some of what a topic sets itself. The answer is the transaction.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn topic_incrementally(
        &self,
        topic: &str,
        ops: &[(String, Op)],
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        let kind = |name: &str| defs::topic(name).map(|def| (def.kind, def.default));
        self.change_topic(topic, validate_only, |before| apply(before, ops, &kind)).await
    }

    async fn change_topic(
        &self,
        topic: &str,
        validate_only: bool,
        change: impl Fn(&Values) -> Result<Values, TopicError>,
    ) -> Result<i64, TopicError> {
        if topic.is_empty() {
            let text = "Default topic resources are not allowed.";
            return Err(TopicError::InvalidRequest(text.to_owned()));
        }
        let checked = |image: &Image, before: &Values| {
            if image.topic(topic).is_none() || image.is_deleting(topic) {
                let text = format!("The topic '{topic}' does not exist.");
                return Err(TopicError::Unknown(text));
            }
            let after = change(before)?;
            let valid = self.configs.validate_topic(image, &after);
            valid.map_err(|error| invalid(topic, error))?;
            Ok(after)
        };
        let must_exist = path::topic(topic);
        let entity = path::topic_entity(topic);
        self.change(&entity, Some(&must_exist), validate_only, checked).await
    }

    /// Sets all that is set at run time for a broker, or for all. The answer is the transaction.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn broker(
        &self,
        id: Option<i32>,
        values: &Values,
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        let checked = |_: &Image, _: &Values| {
            validate_broker(id, values).map_err(TopicError::InvalidRequest)?;
            Ok(values.clone())
        };
        self.change(&path::broker_entity(id), None, validate_only, checked).await
    }

    /// Changes some of what is set at run time for a broker, or for all. The answer is the
    /// transaction.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn broker_incrementally(
        &self,
        id: Option<i32>,
        ops: &[(String, Op)],
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        let kind = |name: &str| defs::broker(defs::base(name)).map(|def| (def.kind, def.default));
        let checked = |_: &Image, before: &Values| {
            let after = apply(before, ops, &kind)?;
            validate_broker(id, &after).map_err(TopicError::InvalidRequest)?;
            Ok(after)
        };
        self.change(&path::broker_entity(id), None, validate_only, checked).await
    }

    /// Changes an entity of any other type, such as `users/alice/clients/app`, whose values the
    /// caller has checked. Nothing for a value removes it. The answer is the transaction.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn entity(
        &self,
        entity: &str,
        values: &BTreeMap<String, Option<String>>,
        validate_only: bool,
    ) -> Result<i64, TopicError> {
        let changed = |_: &Image, before: &Values| {
            let mut after = before.clone();
            for (name, value) in values {
                match value {
                    Some(value) => drop(after.insert(name.clone(), value.clone())),
                    None => drop(after.remove(name)),
                }
            }
            Ok(after)
        };
        self.change(entity, None, validate_only, changed).await
    }

    async fn change(
        &self,
        entity: &str,
        must_exist: Option<&str>,
        validate_only: bool,
        change: impl Fn(&Image, &Values) -> Result<Values, TopicError>,
    ) -> Result<i64, TopicError> {
        let path = path::config(entity);
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let known = image.overrides(entity);
            let before = known.map(|known| known.values.clone()).unwrap_or_default();
            let after = change(&image, &before)?;
            if validate_only {
                return Ok(image.zxid);
            }
            let json = ConfigZnode(after).to_json();
            let homes = self.missing_homes(&path);
            let mut all: Vec<_> = homes.iter().map(|home| writes::create_bare(home)).collect();
            all.extend(must_exist.map(|path| writes::check(path, writes::ANY)));
            all.push(match known {
                Some(known) => writes::set(&path, &json, known.version),
                None => writes::create(&path, &json),
            });
            match self.client.multi(all).await {
                Ok(written) => return Ok(written.zxid),
                // Another change came in between: look again.
                Err(ClientError::Refused {
                    error: TreeError::BadVersion | TreeError::NodeExists | TreeError::NoNode,
                    ..
                }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClientError::Unknown.into())
    }

    /// What must be made above an entity: the user of a user's client, if nothing was set for it.
    fn missing_homes(&self, path: &str) -> Vec<String> {
        self.client.read(|tree| {
            let mut missing = Vec::new();
            let mut here = polyport_tree::path::parent(path);
            while let Some(home) = here.filter(|home| tree.stat(home).is_none()) {
                missing.push(home.to_owned());
                here = polyport_tree::path::parent(home);
            }
            missing.reverse();
            missing
        })
    }
}

fn invalid(topic: &str, error: ConfigError) -> TopicError {
    TopicError::InvalidConfig(match error {
        ConfigError::Other(text) => text,
        ConfigError::Value(text) => format!(
            "Invalid config value for resource ConfigResource(type=TOPIC, name='{topic}'): {text}"
        ),
    })
}

/// What a list is after an incremental change.
fn apply(
    before: &Values,
    ops: &[(String, Op)],
    kind: &dyn Fn(&str) -> Option<(Kind, Option<&'static str>)>,
) -> Result<Values, TopicError> {
    let mut after = before.clone();
    for (name, op) in ops {
        let list = |after: &Values, what: &str| {
            let Some((kind, default)) = kind(name) else {
                return Err(TopicError::InvalidConfig(format!("Unknown config name: {name}")));
            };
            if kind != Kind::List {
                return Err(TopicError::InvalidConfig(format!(
                    "Config value {what} is not allowed for config key: {name}"
                )));
            }
            let now = after.get(name).map(String::as_str).or(default).unwrap_or_default();
            let values = now.split(',').filter(|one| !one.is_empty());
            Ok(values.map(str::to_owned).collect::<Vec<_>>())
        };
        match op {
            Op::Set(value) => drop(after.insert(name.clone(), value.clone())),
            Op::Delete => drop(after.remove(name)),
            Op::Append(values) => {
                let mut now = list(&after, "append")?;
                for value in values.split(',') {
                    if !now.iter().any(|one| one == value) {
                        now.push(value.to_owned());
                    }
                }
                after.insert(name.clone(), now.join(","));
            }
            Op::Subtract(values) => {
                let mut now = list(&after, "subtract")?;
                now.retain(|one| values.split(',').all(|value| value != one));
                after.insert(name.clone(), now.join(","));
            }
        }
    }
    Ok(after)
}

/// Kafka's checks of what is set at run time, in its order and words.
fn validate_broker(id: Option<i32>, values: &Values) -> Result<(), String> {
    let named = |wrong: &dyn Fn(&str) -> bool, text: &str| {
        let names: Vec<_> = values.keys().map(String::as_str).filter(|name| wrong(name)).collect();
        match names.is_empty() {
            true => Ok(()),
            false => Err(format!("{text}: Set({})", names.join(", "))),
        }
    };
    // Names that nobody knows belong to plug-ins, and change what they like.
    let known = |name: &str| defs::broker(defs::base(name)).is_some();
    let read_only = |name: &str| known(name) && defs::dynamic(name) == Dynamic::ReadOnly;
    named(&read_only, "Cannot update these configs dynamically")?;
    named(
        &|name| defs::dynamic::SECURITY.contains(&name),
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix",
    )?;
    for (name, value) in values {
        let Some(def) = defs::broker(defs::base(name)) else { continue };
        def.parse(value).map_err(|error| error.to_string())?;
        if def.is_sensitive() {
            // The tree is no place for secrets in the clear.
            return Err(format!("{name} is a secret, and can only be set in the broker's file"));
        }
    }
    if id.is_some() {
        return Ok(());
    }
    let per_broker = |name: &str| known(name) && defs::dynamic(name) == Dynamic::PerBroker;
    let text = "Cannot update these configs at default cluster level, broker id must be specified";
    named(&per_broker, text)
}
