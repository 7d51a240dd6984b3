//! SCRAM (RFC 5802) with SHA-256 (RFC 7677) and SHA-512, without channel binding; and its credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::metadata::image::Image;
use crate::metadata::znode::sanitize;

use super::{Failure, Find, Proven, Step, same, sasl_name};

/// Fewest iterations of a credential: RFC 7677's.
pub const MIN_ITERATIONS: i32 = 4096;
/// Most iterations of a credential: a client does them all, and Kafka allows no more.
pub const MAX_ITERATIONS: i32 = 16384;

/// What a SCRAM mechanism hashes with, and its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Hash {
    /// SHA-256.
    Sha256 = 1,
    /// SHA-512.
    Sha512 = 2,
}

impl Hash {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The mechanism's name, which is the credential's name in the tree.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// By its number.
    pub fn numbered(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| *hash as i8 == number)
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// A keyed hash; `hmac` takes keys of any length.
    fn keyed(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        fn mac<M: Mac + KeyInit>(key: &[u8], bytes: &[u8]) -> Vec<u8> {
            match <M as KeyInit>::new_from_slice(key) {
                Ok(mut mac) => {
                    mac.update(bytes);
                    mac.finalize().into_bytes().to_vec()
                }
                Err(error) => unreachable!("a key of no length that fits: {error}"),
            }
        }
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, bytes),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, bytes),
        }
    }
}

/// The entity of a user's configuration, which has its credentials.
pub fn user_entity(user: &str) -> String {
    format!("users/{}", sanitize(user))
}

/// What a server keeps of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Salt of the password's hash.
    pub salt: Vec<u8>,
    /// Checks clients.
    pub stored_key: Vec<u8>,
    /// Proves the server.
    pub server_key: Vec<u8>,
    /// Iterations of the password's hash.
    pub iterations: i32,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({} iterations)", self.iterations)
    }
}

impl Credential {
    /// Of a password that was hashed by its owner.
    pub fn new(hash: Hash, salt: &[u8], salted_password: &[u8], iterations: i32) -> Self {
        Self {
            salt: salt.to_vec(),
            stored_key: hash.of(&hash.keyed(salted_password, b"Client Key")),
            server_key: hash.keyed(salted_password, b"Server Key"),
            iterations,
        }
    }

    /// A user's, where the tree has it.
    pub fn find(image: &Image, hash: Hash, user: &str) -> Option<Self> {
        let overrides = image.overrides(&user_entity(user))?;
        Self::parse(overrides.values.get(hash.mechanism())?)
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        let [salt, stored, server] =
            [&self.salt, &self.stored_key, &self.server_key].map(|bytes| BASE64.encode(bytes));
        let iterations = self.iterations;
        format!("salt={salt},stored_key={stored},server_key={server},iterations={iterations}")
    }

    /// Reads what is stored; nothing if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let bytes = |name: &str| BASE64.decode(value(name)?).ok();
        Some(Self {
            salt: bytes("salt")?,
            stored_key: bytes("stored_key")?,
            server_key: bytes("server_key")?,
            iterations: value("iterations")?.parse().ok()?,
        })
    }
}

struct Open {
    user: String,
    credential: Credential,
    /// What the client's channel binding must be.
    binding: String,
    nonce: String,
    /// The client's first message and the server's, as the proof has them.
    said: String,
}

/// An exchange.
pub struct Exchange {
    hash: Hash,
    nonce: String,
    open: Option<Open>,
}

fn invalid(what: &str) -> Failure {
    Failure::Kept(format!("Invalid SCRAM client {what} message format"))
}

impl Exchange {
    pub(super) fn new(hash: Hash, nonce: String) -> Self {
        Self { hash, nonce, open: None }
    }

    pub(super) fn step(&mut self, message: &[u8], find: Find<'_>) -> Result<Step, Failure> {
        let what = if self.open.is_none() { "first" } else { "final" };
        let text = std::str::from_utf8(message).map_err(|_| invalid(what))?;
        match self.open.take() {
            None => self.first(text, find),
            Some(open) => finish(self.hash, text, open),
        }
    }

    /// `n,[a=authzid],n=user,r=nonce[,extensions]`.
    fn first(&mut self, text: &str, find: Find<'_>) -> Result<Step, Failure> {
        let wrong = || invalid("first");
        let after = text.strip_prefix("n,").ok_or_else(wrong)?;
        let (authorization, bare) = after.split_once(',').ok_or_else(wrong)?;
        let authorization = match authorization.strip_prefix("a=") {
            Some(name) => sasl_name(name).ok_or_else(wrong)?,
            None if authorization.is_empty() => String::new(),
            None => return Err(wrong()),
        };
        let mut parts = bare.split(',').skip_while(|part| part.starts_with("m="));
        let user = parts.next().and_then(|part| part.strip_prefix("n=")).and_then(sasl_name);
        let user = user.filter(|user| !user.is_empty()).ok_or_else(wrong)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let printable = |nonce: &&str| {
            !nonce.is_empty() && nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
        };
        let nonce = nonce.filter(printable).ok_or_else(wrong)?;
        if parts.any(|part| part == "tokenauth=true") {
            return Err(Failure::Kept("delegation tokens are not served".to_owned()));
        }
        let credential = find(self.hash, &user)
            .ok_or_else(|| Failure::Kept(format!("no credential of {user}")))?;
        if !authorization.is_empty() && authorization != user {
            let text = "Authentication failed: Client requested an authorization id that is \
                        different from username";
            return Err(Failure::Told(text.to_owned()));
        }
        if credential.iterations < MIN_ITERATIONS {
            let iterations = credential.iterations;
            return Err(Failure::Kept(format!("a credential of {iterations} iterations")));
        }
        let nonce = format!("{nonce}{}", self.nonce);
        let salt = BASE64.encode(&credential.salt);
        let answer = format!("r={nonce},s={salt},i={}", credential.iterations);
        let gs2_header = &text[..text.len() - bare.len()];
        self.open = Some(Open {
            user,
            binding: BASE64.encode(gs2_header),
            nonce,
            said: format!("{bare},{answer}"),
            credential,
        });
        Ok(Step::Challenge(answer.into_bytes()))
    }
}

/// `c=binding,r=nonce[,extensions],p=proof`.
fn finish(hash: Hash, text: &str, open: Open) -> Result<Step, Failure> {
    let wrong = || invalid("final");
    let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(wrong)?;
    let mut parts = without_proof.split(',');
    let binding = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or_else(wrong)?;
    let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or_else(wrong)?;
    if binding != open.binding {
        return Err(Failure::Kept("another channel binding than at first".to_owned()));
    }
    if nonce != open.nonce {
        return Err(Failure::Kept("Invalid client nonce in the final client message.".to_owned()));
    }
    let proof = BASE64.decode(proof).map_err(|_| wrong())?;
    let said = format!("{},{without_proof}", open.said);
    let signature = hash.keyed(&open.credential.stored_key, said.as_bytes());
    let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let right = proof.len() == signature.len() && same(&hash.of(&key), &open.credential.stored_key);
    if !right {
        return Err(Failure::Kept("Invalid client credentials".to_owned()));
    }
    let server = hash.keyed(&open.credential.server_key, said.as_bytes());
    let answer = format!("v={}", BASE64.encode(server)).into_bytes();
    Ok(Step::Done(Proven { user: open.user, answer, until: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Hi` of RFC 5802: what clients do.
    fn salted(hash: Hash, password: &str, salt: &[u8], iterations: i32) -> Vec<u8> {
        let mut round = hash.keyed(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
        let mut all = round.clone();
        for _ in 1..iterations {
            round = hash.keyed(password.as_bytes(), &round);
            all.iter_mut().zip(&round).for_each(|(all, byte)| *all ^= byte);
        }
        all
    }

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_specifications_example_succeeds() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let password = salted(Hash::Sha256, "pencil", &salt, 4096);
        let credential = Credential::new(Hash::Sha256, &salt, &password, 4096);
        let find = |_: Hash, user: &str| (user == "user").then(|| credential.clone());
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
        let mut exchange = Exchange::new(Hash::Sha256, nonce);
        let first = exchange.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &find).unwrap();
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(first, Step::Challenge(challenge.into()));
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let Ok(Step::Done(proven)) = exchange.step(last.as_bytes(), &find) else {
            panic!("refused")
        };
        assert_eq!(proven.user, "user");
        assert_eq!(proven.answer, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    fn exchange(
        hash: Hash,
        password: &str,
        bend: impl Fn(String) -> String,
    ) -> Result<(), Failure> {
        let salt = b"salt";
        let known = Credential::new(hash, salt, &salted(hash, "right", salt, 4096), 4096);
        let known = Credential::parse(&known.to_text()).unwrap();
        let find = |_: Hash, user: &str| (user == "al,ice").then(|| known.clone());
        let mut exchange = Exchange::new(hash, "server".to_owned());
        let bare = "n=al=2Cice,r=client";
        let first = exchange.step(format!("n,,{bare}").as_bytes(), &find)?;
        let Step::Challenge(challenge) = first else { panic!("no challenge") };
        let without_proof = bend("c=biws,r=clientserver".to_owned());
        let said = format!("{bare},{},{without_proof}", String::from_utf8(challenge).unwrap());
        let key = hash.keyed(&salted(hash, password, salt, 4096), b"Client Key");
        let signature = hash.keyed(&hash.of(&key), said.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let last = format!("{without_proof},p={}", BASE64.encode(proof));
        exchange.step(last.as_bytes(), &find).map(|_| ())
    }

    #[test]
    fn only_the_right_password_in_the_right_exchange_is_a_proof() {
        for hash in Hash::ALL {
            assert_eq!(exchange(hash, "right", |text| text), Ok(()));
            assert!(exchange(hash, "wrong", |text| text).is_err());
            assert!(exchange(hash, "right", |text| text.replace("server", "sorver")).is_err());
            assert!(exchange(hash, "right", |text| text.replace("biws", "eSws")).is_err());
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let find = |_: Hash, _: &str| None;
        let junk =
            ["", "n", "n,,", "y,,n=a,r=b", "n,a,n=a,r=b", "n,,n=,r=b", "n,,n=a", "n,,n=a,r="];
        for text in junk {
            let mut exchange = Exchange::new(Hash::Sha512, "s".to_owned());
            assert!(exchange.step(text.as_bytes(), &find).is_err(), "{text}");
        }
        let mut exchange = Exchange::new(Hash::Sha512, "s".to_owned());
        let unknown = exchange.step(b"n,,n=nobody,r=c", &find);
        assert!(matches!(unknown, Err(Failure::Kept(_))), "{unknown:?}");
        for bad in ["", "salt=x", "salt=YQ==,stored_key=YQ==,server_key=YQ==,iterations=many"] {
            assert!(Credential::parse(bad).is_none(), "{bad}");
        }
    }
}
