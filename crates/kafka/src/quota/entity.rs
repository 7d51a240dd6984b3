//! Whose a quota is: a user, a client, a client of a user, an address; or those that have none of
//! their own.

use crate::metadata::znode::path::DEFAULT_ENTITY;
use crate::metadata::znode::{desanitize, sanitize};

/// A name, or all that are not named elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// This one.
    Of(String),
    /// Kafka's `<default>`.
    Default,
}

impl Name {
    /// As in requests: nothing is the default.
    pub fn from_option(name: Option<String>) -> Self {
        name.map_or(Name::Default, Name::Of)
    }

    /// As in answers.
    pub fn as_option(&self) -> Option<&str> {
        match self {
            Name::Of(name) => Some(name),
            Name::Default => None,
        }
    }

    fn component(&self) -> String {
        match self {
            Name::Of(name) => sanitize(name),
            Name::Default => DEFAULT_ENTITY.to_owned(),
        }
    }

    fn parse(component: &str) -> Option<Self> {
        match component {
            DEFAULT_ENTITY => Some(Name::Default),
            _ => desanitize(component).map(Name::Of),
        }
    }
}

/// Whose a quota is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// All of a user's clients together.
    User(Name),
    /// A client, by its id.
    Client(Name),
    /// A client of a user.
    UserClient(Name, Name),
    /// An address that connections come from.
    Ip(Name),
}

impl Entity {
    /// Where it is below `/config`.
    pub fn path(&self) -> String {
        match self {
            Entity::User(user) => format!("users/{}", user.component()),
            Entity::Client(client) => format!("clients/{}", client.component()),
            Entity::UserClient(user, client) => {
                format!("users/{}/clients/{}", user.component(), client.component())
            }
            Entity::Ip(ip) => format!("ips/{}", ip.component()),
        }
    }

    /// Reads such a path; nothing if it is another's.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let (home, name) = (parts.next()?, Name::parse(parts.next()?)?);
        let nested = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some("clients"), Some(client), None) => Some(Name::parse(client)?),
            _ => return None,
        };
        match (home, nested) {
            ("users", None) => Some(Entity::User(name)),
            ("users", Some(client)) => Some(Entity::UserClient(name, client)),
            ("clients", None) => Some(Entity::Client(name)),
            ("ips", None) => Some(Entity::Ip(name)),
            _ => None,
        }
    }

    /// Its kinds and names, in the words of requests.
    pub fn parts(&self) -> Vec<(&'static str, &Name)> {
        match self {
            Entity::User(user) => vec![(USER, user)],
            Entity::Client(client) => vec![(CLIENT_ID, client)],
            Entity::UserClient(user, client) => vec![(USER, user), (CLIENT_ID, client)],
            Entity::Ip(ip) => vec![(IP, ip)],
        }
    }
}

/// The kind of users.
pub const USER: &str = "user";
/// The kind of clients.
pub const CLIENT_ID: &str = "client-id";
/// The kind of addresses.
pub const IP: &str = "ip";
