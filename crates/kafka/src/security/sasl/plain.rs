//! PLAIN: `[authorization id] NUL user NUL password`.

use std::collections::BTreeMap;

use super::{Failure, Proven, Step, same};

/// Users with their passwords: `user_NAME="password"` of the login module's line.
#[derive(Clone, Default)]
pub struct Users(pub BTreeMap<String, String>);

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({} of them)", self.0.len())
    }
}

/// Checks the one message.
///
/// # Errors
/// If it names no user, or another password.
pub(super) fn check(users: &Users, message: &[u8]) -> Result<Step, Failure> {
    let text = String::from_utf8_lossy(message);
    let parts: Vec<&str> = text.split('\0').collect();
    let [authorization, user, password] = parts[..] else {
        let text = format!("Invalid SASL/PLAIN response: expected 3 tokens, got {}", parts.len());
        return Err(Failure::Kept(text));
    };
    let told = |text: &str| Err(Failure::Told(format!("Authentication failed: {text}")));
    if user.is_empty() {
        return told("username not specified");
    }
    if password.is_empty() {
        return told("password not specified");
    }
    let known = users.0.get(user);
    // As long for who is unknown.
    let right = same(known.map_or(b"\0", |known| known.as_bytes()), password.as_bytes());
    if known.is_none() || !right {
        return told("Invalid username or password");
    }
    if !authorization.is_empty() && authorization != user {
        return told("Client requested an authorization id that is different from username");
    }
    Ok(Step::Done(Proven { user: user.to_owned(), answer: Vec::new(), until: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_user_with_its_password_comes_in() {
        let users = Users(BTreeMap::from([("alice".to_owned(), "secret".to_owned())]));
        let user = |message: &[u8]| match check(&users, message) {
            Ok(Step::Done(proven)) => Ok(proven.user),
            Ok(step) => panic!("{step:?}"),
            Err(failure) => Err(failure.to_string()),
        };
        assert_eq!(user(b"\0alice\0secret").unwrap(), "alice");
        assert_eq!(user(b"alice\0alice\0secret").unwrap(), "alice");
        let wrong = "Authentication failed: Invalid username or password";
        for message in [&b"\0alice\0secreT"[..], b"\0alice\0secret ", b"\0bob\0\0", b"\0bob\0x"] {
            let said = user(message).unwrap_err();
            assert!(said == wrong || said.contains("expected 3"), "{said}");
        }
        assert!(user(b"bob\0alice\0secret").unwrap_err().contains("authorization id"));
        assert!(user(b"\0\0secret").unwrap_err().contains("username not specified"));
        assert!(user(b"\0alice\0").unwrap_err().contains("password not specified"));
        for junk in [&b""[..], b"\0", b"a\0b\0c\0d", b"\xff\xfe"] {
            assert!(user(junk).is_err());
        }
        assert!(!format!("{users:?}").contains("secret"));
    }
}
