//! Describing quotas and changing them.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

use super::entity::{CLIENT_ID, Entity, IP, Name, USER};
use crate::metadata::image::Image;

/// Why a request about quotas is refused; each with Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// INVALID_REQUEST.
    #[error("{0}")]
    Invalid(String),
    /// UNSUPPORTED_VERSION.
    #[error("{0}")]
    UnknownKind(String),
}

fn invalid<T>(text: impl Into<String>) -> Result<T, QuotaError> {
    Err(QuotaError::Invalid(text.into()))
}

/// What a value may be.
#[derive(Clone, Copy)]
enum Value {
    Whole { most: f64, name: &'static str },
    Any,
}

const LONG: Value = Value::Whole { most: i64::MAX as f64, name: "LONG" };
const INT: Value = Value::Whole { most: i32::MAX as f64, name: "INT" };

/// The quotas of users and clients.
const OF_CLIENTS: [(&str, Value); 4] = [
    ("consumer_byte_rate", LONG),
    ("controller_mutation_rate", Value::Any),
    ("producer_byte_rate", LONG),
    ("request_percentage", Value::Any),
];
/// The quotas of addresses.
const OF_ADDRESSES: [(&str, Value); 1] = [("connection_creation_rate", INT)];

fn known(entity: &Entity) -> &'static [(&'static str, Value)] {
    match entity {
        Entity::Ip(_) => &OF_ADDRESSES,
        _ => &OF_CLIENTS,
    }
}

/// Reads whose quotas a request changes.
///
/// # Errors
/// `Invalid`.
pub fn entity(parts: Vec<(String, Option<String>)>) -> Result<Entity, QuotaError> {
    let (mut user, mut client, mut ip) = (None, None, None);
    for (kind, name) in parts {
        let slot = match kind.as_str() {
            USER => &mut user,
            CLIENT_ID => &mut client,
            IP => &mut ip,
            _ => return invalid(format!("Unhandled client quota entity type: {kind}")),
        };
        if name.as_ref().is_some_and(String::is_empty) {
            return invalid(format!("Empty {kind} not supported"));
        }
        if slot.replace(Name::from_option(name)).is_some() {
            let text = format!("Invalid client quota entity, duplicate entity entry {kind}");
            return invalid(text);
        }
    }
    match (user, client, ip) {
        (None, None, None) => invalid("Invalid empty client quota entity"),
        (Some(user), None, None) => Ok(Entity::User(user)),
        (None, Some(client), None) => Ok(Entity::Client(client)),
        (Some(user), Some(client), None) => Ok(Entity::UserClient(user, client)),
        (None, None, Some(ip)) => Ok(Entity::Ip(ip)),
        (_, _, Some(_)) => invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
    }
}

/// Checks that an address is one, or a host's name that stands for one. May ask the network.
///
/// # Errors
/// `Invalid`.
pub fn check_address(entity: &Entity) -> Result<(), QuotaError> {
    let Entity::Ip(Name::Of(ip)) = entity else { return Ok(()) };
    let found = ip.parse::<IpAddr>().is_ok() || (ip.as_str(), 0).to_socket_addrs().is_ok();
    match found {
        true => Ok(()),
        false => invalid(format!("{ip} is not a valid IP or resolvable host.")),
    }
}

/// Reads what is to be set, as it is stored; nothing for what is to be removed.
///
/// # Errors
/// `Invalid`.
pub fn values(
    entity: &Entity,
    ops: Vec<(String, Option<f64>)>,
) -> Result<BTreeMap<String, Option<String>>, QuotaError> {
    let mut values = BTreeMap::new();
    for (key, value) in ops {
        let text = match value {
            None => None,
            Some(value) => Some(text(entity, &key, value)?),
        };
        if values.insert(key.clone(), text).is_some() {
            return invalid(format!("Duplicate quota key {key}"));
        }
    }
    Ok(values)
}

fn text(entity: &Entity, key: &str, value: f64) -> Result<String, QuotaError> {
    let Some((_, kind)) = known(entity).iter().find(|(name, _)| *name == key) else {
        return invalid(format!("Invalid configuration key {key}"));
    };
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    match kind {
        Value::Any => Ok(double(value)),
        Value::Whole { most, name } if value > *most => {
            invalid(format!("Proposed value for {key} is too large for a{} {name}.", article(name)))
        }
        Value::Whole { .. } if value % 1.0 > 1e-6 => {
            invalid(format!("{key} cannot be a fractional value."))
        }
        // Whole, and not beyond what fits.
        Value::Whole { .. } => Ok((value as i64).to_string()),
    }
}

fn article(name: &str) -> &'static str {
    if name.starts_with('I') { "n" } else { "" }
}

/// As Java writes a double.
fn double(value: f64) -> String {
    if (1e-3..1e7).contains(&value) { format!("{value:?}") } else { format!("{value:E}") }
}

/// What is asked for of one kind of entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This name.
    Exact(Name),
    /// Any name, also the default.
    Any,
}

/// Which quotas are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    components: BTreeMap<String, Match>,
    strict: bool,
}

impl Filter {
    /// Reads the components of a request: kind, how it is matched, and the name.
    ///
    /// # Errors
    /// `Invalid`, `UnknownKind`.
    pub fn new(
        components: Vec<(String, i8, Option<String>)>,
        strict: bool,
    ) -> Result<Self, QuotaError> {
        let mut filter = Self { components: BTreeMap::new(), strict };
        for (kind, how, name) in components {
            if kind.is_empty() {
                return invalid("Invalid empty entity type.");
            }
            if filter.components.contains_key(&kind) {
                let text =
                    format!("Entity type {kind} cannot appear more than once in the filter.");
                return invalid(text);
            }
            if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
                return Err(QuotaError::UnknownKind(format!("Unsupported entity type {kind}")));
            }
            let wanted = wanted(how, name)?;
            filter.components.insert(kind, wanted);
        }
        let has = |kind| filter.components.contains_key(kind);
        if has(IP) && (has(USER) || has(CLIENT_ID)) {
            return invalid(
                "Invalid entity filter component combination. IP filter component should not be used \
                 with user or clientId filter component.",
            );
        }
        Ok(filter)
    }

    fn matches(&self, entity: &Entity) -> bool {
        let parts = entity.parts();
        if self.strict && parts.len() != self.components.len() {
            return false;
        }
        self.components.iter().all(|(kind, wanted)| {
            let name = parts.iter().find(|(of, _)| of == kind).map(|(_, name)| *name);
            match (name, wanted) {
                (None, _) => false,
                (Some(_), Match::Any) => true,
                (Some(name), Match::Exact(wanted)) => name == wanted,
            }
        })
    }

    /// The quotas that are asked for, in the order of their entities.
    pub fn find(&self, image: &Image) -> BTreeMap<Entity, Vec<(&'static str, f64)>> {
        let mut found = BTreeMap::new();
        for (path, overrides) in image.all_overrides() {
            let Some(entity) = Entity::parse(path).filter(|entity| self.matches(entity)) else {
                continue;
            };
            let value = |(key, _): &(&'static str, Value)| {
                Some((*key, overrides.values.get(*key)?.parse().ok()?))
            };
            let values: Vec<_> = known(&entity).iter().filter_map(value).collect();
            if !values.is_empty() {
                found.insert(entity, values);
            }
        }
        found
    }
}

fn wanted(how: i8, name: Option<String>) -> Result<Match, QuotaError> {
    const EXACT: i8 = 0;
    const DEFAULT: i8 = 1;
    const SPECIFIED: i8 = 2;
    match (how, name) {
        (EXACT, Some(name)) => Ok(Match::Exact(Name::Of(name))),
        (EXACT, None) => {
            invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.")
        }
        (DEFAULT, None) => Ok(Match::Exact(Name::Default)),
        (SPECIFIED, None) => Ok(Match::Any),
        (DEFAULT, Some(_)) => {
            invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.")
        }
        (SPECIFIED, Some(_)) => {
            invalid("Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.")
        }
        (how, _) => invalid(format!("Unknown match type {how}")),
    }
}
