//! SASL DIGEST-MD5 (RFC 2831), the server's side: quality of protection `auth` only, one realm, the
//! character set UTF-8, as Java's mechanism does it under ZooKeeper's settings.
//!
//! Pure: the nonce comes from outside.

mod directives;

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use directives::Directives;

/// Random bytes of a nonce.
pub const NONCE_BYTES: usize = 30;

/// What a server's mechanism is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// The realm it offers.
    pub realm: String,
    /// `service/host`, which the client must mean.
    pub digest_uri: String,
}

impl Realm {
    /// ZooKeeper's.
    pub fn zookeeper() -> Self {
        Self { realm: "zk-sasl-md5".to_owned(), digest_uri: "zookeeper/zk-sasl-md5".to_owned() }
    }
}

/// Why a client is not who it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The text is not a list of directives, or says one of them twice.
    #[error("malformed response")]
    Malformed,
    /// A directive is missing.
    #[error("the response has no {0}")]
    Missing(&'static str),
    /// A directive is not what was asked for.
    #[error("the response's {0} is not acceptable")]
    Unacceptable(&'static str),
    /// No such user, or another password. Which of the two is nobody's business.
    #[error("unknown user or wrong password")]
    Refused,
    /// The exchange was over.
    #[error("the exchange is over")]
    Over,
}

/// What follows from a client's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// To send back.
    pub token: Vec<u8>,
    /// Who it is, once that is proved.
    pub user: Option<String>,
}

enum State {
    New,
    Challenged,
    Over,
}

/// One connection's exchange.
pub struct DigestMd5 {
    realm: Realm,
    nonce: String,
    state: State,
}

impl DigestMd5 {
    /// Before the first token. `nonce`: text that was never used before.
    pub fn new(realm: Realm, nonce: String) -> Self {
        Self { realm, nonce, state: State::New }
    }

    /// Takes the client's next token; `users` are names and passwords.
    ///
    /// # Errors
    /// If the client does not prove that it is one of them. The exchange is over then.
    pub fn step(&mut self, token: &[u8], users: &BTreeMap<String, String>) -> Result<Step, Failed> {
        match std::mem::replace(&mut self.state, State::Over) {
            // A first response would be a return to an earlier session, which is not offered.
            State::New if token.is_empty() => {
                self.state = State::Challenged;
                let challenge = format!(
                    "realm=\"{}\",nonce=\"{}\",charset=utf-8,algorithm=md5-sess",
                    self.realm.realm, self.nonce
                );
                Ok(Step { token: challenge.into_bytes(), user: None })
            }
            State::New => Err(Failed::Malformed),
            State::Challenged => self.verify(token, users),
            State::Over => Err(Failed::Over),
        }
    }

    /// RFC 2831 section 2.1.2 names the directives, section 2.1.2.1 computes the response.
    fn verify(&self, token: &[u8], users: &BTreeMap<String, String>) -> Result<Step, Failed> {
        let said = Directives::parse(token).ok_or(Failed::Malformed)?;
        let need = |name| said.get(name).ok_or(Failed::Missing(name));
        let must = |name, holds: bool| holds.then_some(()).ok_or(Failed::Unacceptable(name));
        let user = need("username")?;
        must("realm", said.get("realm").unwrap_or_default() == self.realm.realm)?;
        must("nonce", need("nonce")? == self.nonce)?;
        must("nc", need("nc")? == "00000001")?;
        must("qop", said.get("qop").is_none_or(|qop| qop == "auth"))?;
        must("charset", said.get("charset").is_none_or(|charset| charset == "utf-8"))?;
        let uri = need("digest-uri")?;
        must("digest-uri", uri.eq_ignore_ascii_case(&self.realm.digest_uri))?;
        // Nobody acts for somebody else.
        let acts_as = said.get("authzid").filter(|name| !name.is_empty());
        must("authzid", acts_as.is_none_or(|name| name == user))?;
        let (cnonce, response) = (need("cnonce")?, need("response")?);
        // An unknown user costs as much time as a known one.
        let password = users.get(user).map(String::as_str);
        let session = Session {
            user,
            realm: &self.realm.realm,
            password: password.unwrap_or_default(),
            nonce: &self.nonce,
            cnonce,
            authzid: said.get("authzid"),
        };
        let expected = session.response("AUTHENTICATE", uri);
        if !same(expected.as_bytes(), response.as_bytes()) || password.is_none() {
            return Err(Failed::Refused);
        }
        let proof = format!("rspauth={}", session.response("", uri));
        Ok(Step { token: proof.into_bytes(), user: Some(user.to_owned()) })
    }
}

struct Session<'a> {
    user: &'a str,
    realm: &'a str,
    password: &'a str,
    nonce: &'a str,
    cnonce: &'a str,
    authzid: Option<&'a str>,
}

impl Session<'_> {
    /// The response value; an empty method makes it the server's.
    fn response(&self, method: &str, uri: &str) -> String {
        let mut a1 = Md5::new();
        let secret = [latin(self.user), latin(self.realm), latin(self.password)].join(&b':');
        a1.update(Md5::digest(secret));
        a1.update(format!(":{}:{}", self.nonce, self.cnonce));
        if let Some(authzid) = self.authzid {
            a1.update(format!(":{authzid}"));
        }
        let a1 = hex(&a1.finalize());
        let a2 = hex(&Md5::digest(format!("{method}:{uri}")));
        let (nonce, cnonce) = (self.nonce, self.cnonce);
        hex(&Md5::digest(format!("{a1}:{nonce}:00000001:{cnonce}:auth:{a2}")))
    }
}

/// "If the username, realm or password are all in the ISO 8859-1 character set, then it must be
/// converted to ISO 8859-1 before being hashed" (RFC 2831 section 2.1.2.1).
fn latin(text: &str) -> Vec<u8> {
    match text.chars().map(|c| u8::try_from(u32::from(c))).collect() {
        Ok(latin) => latin,
        Err(_) => text.as_bytes().to_vec(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> BTreeMap<String, String> {
        BTreeMap::from([("chris".to_owned(), "secret".to_owned())])
    }

    /// The exchange of RFC 2831 section 4 (IMAP).
    fn imap() -> DigestMd5 {
        let realm = Realm {
            realm: "elwood.innosoft.com".to_owned(),
            digest_uri: "imap/elwood.innosoft.com".to_owned(),
        };
        DigestMd5::new(realm, "OA6MG9tEQGm2hh".to_owned())
    }

    const RESPONSE: &str = "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",\
        nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",\
        digest-uri=\"imap/elwood.innosoft.com\",response=d388dad90d4bbd760a152321f2143af7,qop=auth";

    #[test]
    fn the_example_of_the_rfc_is_accepted_and_answered() {
        let mut server = imap();
        let challenge = server.step(b"", &users()).unwrap();
        assert!(challenge.token.starts_with(b"realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tE"));
        let done = server.step(RESPONSE.as_bytes(), &users()).unwrap();
        assert_eq!(done.token, b"rspauth=ea40f60335c427b5527b84dbabcdfffd");
        assert_eq!(done.user.as_deref(), Some("chris"));
        assert_eq!(server.step(RESPONSE.as_bytes(), &users()), Err(Failed::Over));
    }

    #[test]
    fn every_other_response_is_refused() {
        let refuse = |from: &str, to: &str| {
            let mut server = imap();
            server.step(b"", &users()).unwrap();
            let response = RESPONSE.replacen(from, to, 1);
            assert_ne!(response, RESPONSE);
            server.step(response.as_bytes(), &users()).unwrap_err()
        };
        assert_eq!(refuse("=d388", "=d389"), Failed::Refused);
        assert_eq!(refuse("\"chris\"", "\"other\""), Failed::Refused);
        assert_eq!(refuse("OA6MHX", "OA6MHY"), Failed::Refused);
        assert_eq!(refuse("nonce=\"OA6MG9", "nonce=\"OA6MG8"), Failed::Unacceptable("nonce"));
        assert_eq!(refuse("imap/", "smtp/"), Failed::Unacceptable("digest-uri"));
        assert_eq!(refuse("nc=00000001", "nc=00000002"), Failed::Unacceptable("nc"));
        assert_eq!(refuse("qop=auth", "qop=auth-conf"), Failed::Unacceptable("qop"));
        assert_eq!(refuse("qop=auth", "authzid=\"root\""), Failed::Unacceptable("authzid"));
        assert_eq!(refuse("cnonce=\"OA6MHXh6VqTrRk\",", ""), Failed::Missing("cnonce"));
        assert_eq!(refuse("qop=auth", "nc=00000001"), Failed::Malformed);
        assert_eq!(imap().step(RESPONSE.as_bytes(), &users()), Err(Failed::Malformed));
    }

    #[test]
    fn an_unknown_user_does_not_pass_with_an_empty_password() {
        let session = Session {
            user: "nobody",
            realm: "elwood.innosoft.com",
            password: "",
            nonce: "OA6MG9tEQGm2hh",
            cnonce: "OA6MHXh6VqTrRk",
            authzid: None,
        };
        let right = session.response("AUTHENTICATE", "imap/elwood.innosoft.com");
        let response =
            RESPONSE.replace("chris", "nobody").replace("d388dad90d4bbd760a152321f2143af7", &right);
        let mut server = imap();
        server.step(b"", &users()).unwrap();
        assert_eq!(server.step(response.as_bytes(), &users()), Err(Failed::Refused));
    }
}
