//! Names of those who come.

use std::fmt;
use std::sync::{Arc, LazyLock};

/// The kind of principal that every authentication here makes.
pub const USER: &str = "User";

/// Who a connection acts for: a kind and a name. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    kind: Arc<str>,
    name: Arc<str>,
}

impl Principal {
    /// A user.
    pub fn user(name: &str) -> Self {
        static KIND: LazyLock<Arc<str>> = LazyLock::new(|| USER.into());
        Self { kind: KIND.clone(), name: name.into() }
    }

    /// Whoever did not say who they are: `User:ANONYMOUS`.
    pub fn anonymous() -> Self {
        static ANONYMOUS: LazyLock<Principal> = LazyLock::new(|| Principal::user("ANONYMOUS"));
        ANONYMOUS.clone()
    }

    /// Reads `User:alice`; nothing if it has no colon, or nothing before or after it.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let whole = !kind.is_empty() && !name.is_empty();
        whole.then(|| Self { kind: kind.into(), name: name.into() })
    }

    /// The kind: `User` but for those that others' tools have written into access control lists.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name: of a user, or the distinguished name of a certificate.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// On whose behalf requests are handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A client.
    Client(Principal),
    /// Another broker of the cluster, which came in by the node port: it may do everything.
    Broker,
}

impl Caller {
    /// The principal, as it is written in lists and quotas.
    pub fn principal(&self) -> Principal {
        match self {
            Self::Client(principal) => principal.clone(),
            Self::Broker => Principal::anonymous(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_written_with_its_kind() {
        let alice = Principal::user("alice");
        assert_eq!(Principal::parse("User:alice"), Some(alice.clone()));
        assert_eq!(alice.to_string(), "User:alice");
        let certificate = Principal::parse("User:CN=a:b,O=c").unwrap();
        assert_eq!(certificate.name(), "CN=a:b,O=c");
        for bad in ["", "alice", "User:", ":alice"] {
            assert_eq!(Principal::parse(bad), None, "{bad}");
        }
        assert_eq!(Principal::anonymous().to_string(), "User:ANONYMOUS");
    }
}
