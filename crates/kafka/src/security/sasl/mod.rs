//! SASL: how a client proves its name. Pure exchanges: a client's message in, the server's out.
//!
//! RFC 4422 with the mechanisms PLAIN (RFC 4616), SCRAM (RFC 5802, RFC 7677) and OAUTHBEARER (RFC 7628).
//! Deliberately absent: GSSAPI, delegation tokens, and tokens with signatures.

pub mod jaas;
pub mod oauthbearer;
pub mod plain;
pub mod scram;

use std::fmt;
use std::sync::Arc;

use polyport_base::Millis;

pub use oauthbearer::Validator;
pub use plain::Users;
pub use scram::{Credential, Hash};

/// A mechanism that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A proof that the password is known.
    Scram(Hash),
    /// A token.
    OauthBearer,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Plain, Self::Scram(Hash::Sha256), Self::Scram(Hash::Sha512), Self::OauthBearer];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(hash) => hash.mechanism(),
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The client hears these words.
    #[error("{0}")]
    Told(String),
    /// The client hears only that it failed; these words are for the log.
    #[error("{0}")]
    Kept(String),
}

/// A name that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The user.
    pub user: String,
    /// The server's last words.
    pub answer: Vec<u8>,
    /// When the proof is not valid any more.
    pub until: Option<Millis>,
}

/// Where an exchange stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client is to answer this.
    Challenge(Vec<u8>),
    /// It is over.
    Done(Proven),
}

/// Finds a user's credential.
pub type Find<'a> = &'a dyn Fn(Hash, &str) -> Option<Credential>;

/// What a mechanism checks against.
#[derive(Clone, Debug)]
pub enum Check {
    /// PLAIN.
    Plain(Arc<Users>),
    /// SCRAM: credentials are found when they are needed.
    Scram(Hash),
    /// OAUTHBEARER.
    OauthBearer(Arc<Validator>),
}

impl Check {
    /// Its mechanism.
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::Scram(hash) => Mechanism::Scram(*hash),
            Self::OauthBearer(_) => Mechanism::OauthBearer,
        }
    }
}

/// An exchange that has begun.
pub enum Exchange {
    /// PLAIN.
    Plain(Arc<Users>),
    /// SCRAM.
    Scram(scram::Exchange),
    /// OAUTHBEARER.
    OauthBearer(oauthbearer::Exchange),
}

impl Exchange {
    /// `nonce`: printable, and never used before.
    pub fn new(check: &Check, nonce: String) -> Self {
        match check {
            Check::Plain(users) => Self::Plain(users.clone()),
            Check::Scram(hash) => Self::Scram(scram::Exchange::new(*hash, nonce)),
            Check::OauthBearer(validator) => {
                Self::OauthBearer(oauthbearer::Exchange::new(validator.clone()))
            }
        }
    }

    /// Takes the client's next message.
    ///
    /// # Errors
    /// If the client does not prove who it is.
    pub fn step(&mut self, message: &[u8], find: Find<'_>, now: Millis) -> Result<Step, Failure> {
        match self {
            Self::Plain(users) => plain::check(users, message),
            Self::Scram(exchange) => exchange.step(message, find),
            Self::OauthBearer(exchange) => exchange.step(message, now),
        }
    }
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differs) == 0
}

/// Reads an authorization id or a SCRAM name: `=2C` is a comma, `=3D` an equals sign.
fn sasl_name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        name.push_str(&rest[..at]);
        let sign = match rest.get(at..at + 3)? {
            "=2C" => ',',
            "=3D" => '=',
            _ => return None,
        };
        name.push(sign);
        rest = &rest[at + 3..];
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        assert_eq!(sasl_name("a=2Cb=3Dc").unwrap(), "a,b=c");
        for bad in ["=", "a=2", "=41", "=2c"] {
            assert_eq!(sasl_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_the_same_only_as_a_whole() {
        assert!(same(b"abc", b"abc") && same(b"", b""));
        assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab") && !same(b"", b"a"));
    }
}
