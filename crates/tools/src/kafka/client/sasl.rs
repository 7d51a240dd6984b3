//! SASL before the first request: PLAIN and SCRAM, with the login that `sasl.jaas.config` names.
//! References: RFC 4616, RFC 5802; Kafka's SaslHandshake and SaslAuthenticate.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use polyport_kafka_codec::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use sha2::{Digest as _, Sha256, Sha512};

use super::admin::ScramMechanism;
use super::{ClientError, Connection, Properties, Result};

/// The handshake whose tokens are requests of their own.
const HANDSHAKE: i16 = 1;
/// More rounds than any server asks for; RFC 5802 lets a client refuse.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Proves who we are.
///
/// # Errors
/// If the settings name nobody or the broker does not believe it.
pub fn authenticate(
    connection: &mut Connection,
    properties: &Properties,
    deadline: Instant,
) -> Result<()> {
    let mechanism = properties.get("sasl.mechanism").unwrap_or("GSSAPI");
    let login = Login::of(properties)?;
    let request = SaslHandshakeRequest { mechanism: mechanism.to_owned() };
    connection.send(&request, HANDSHAKE, deadline)?;
    let response: polyport_kafka_codec::messages::SaslHandshakeResponse =
        connection.receive(deadline)?;
    if response.error_code != 0 {
        return Err(ClientError::Authentication(format!(
            "Client SASL mechanism '{mechanism}' not enabled in the server, enabled mechanisms are \
             [{}]",
            response.mechanisms.join(", ")
        )));
    }
    let mut exchange = |token: Vec<u8>| -> Result<Bytes> {
        let make = |_| SaslAuthenticateRequest { auth_bytes: Bytes::from(token.clone()) };
        let response = connection.call(i16::MAX, deadline, make)?;
        if response.error_code != 0 {
            let known = super::known(response.error_code);
            let message = response.error_message.unwrap_or_else(|| known.message.to_owned());
            return Err(ClientError::Authentication(message));
        }
        Ok(response.auth_bytes)
    };
    match mechanism {
        "PLAIN" => {
            let token = format!("\0{}\0{}", login.name, login.password);
            exchange(token.into_bytes()).map(|_| ())
        }
        "SCRAM-SHA-256" => scram::<Sha256Scram>(&login, &nonce()?, &mut exchange),
        "SCRAM-SHA-512" => scram::<Sha512Scram>(&login, &nonce()?, &mut exchange),
        other => Err(ClientError::Config(format!(
            "sasl.mechanism: these tools do not speak {other}; PLAIN, SCRAM-SHA-256 and \
             SCRAM-SHA-512 they do"
        ))),
    }
}

fn nonce() -> Result<String> {
    let mut random = [0; 18];
    getrandom::fill(&mut random)
        .map_err(|error| ClientError::Authentication(format!("no randomness: {error}")))?;
    Ok(STANDARD.encode(random))
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Login {
    name: String,
    password: String,
}

impl Login {
    /// That of `sasl.jaas.config`: `Module required username="…" password="…";`.
    fn of(properties: &Properties) -> Result<Self> {
        let Some(config) = properties.get("sasl.jaas.config") else {
            return Err(ClientError::Config(
                "Could not find a 'KafkaClient' entry in the JAAS configuration. System property \
                 'java.security.auth.login.config' is not set"
                    .to_owned(),
            ));
        };
        let option = |name: &str| {
            let missing = || ClientError::Config(format!("sasl.jaas.config has no option {name}"));
            jaas_option(config, name).ok_or_else(missing)
        };
        Ok(Self { name: option("username")?, password: option("password")? })
    }
}

/// The value of an option of a JAAS entry, quoted or not.
fn jaas_option(config: &str, name: &str) -> Option<String> {
    let mut rest = config;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_none_or(char::is_whitespace)
            && let Some(value) = after.strip_prefix('=')
        {
            let value = value.trim_start();
            return match value.strip_prefix('"') {
                Some(quoted) => unquoted(quoted),
                None => {
                    value.split(|c: char| c.is_whitespace() || c == ';').next().map(str::to_owned)
                }
            };
        }
        rest = &rest[at + name.len()..];
    }
}

fn unquoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

/// The functions of a SCRAM mechanism.
trait Scram {
    fn hash(data: &[u8]) -> Vec<u8>;
    fn mac(key: &[u8], data: &[u8]) -> Result<Vec<u8>>;
}

struct Sha256Scram;
struct Sha512Scram;

fn bad_key() -> ClientError {
    ClientError::Authentication("a key that the hash does not take".to_owned())
}

impl Scram for Sha256Scram {
    fn hash(data: &[u8]) -> Vec<u8> {
        Sha256::digest(data).to_vec()
    }

    fn mac(key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| bad_key())?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Scram for Sha512Scram {
    fn hash(data: &[u8]) -> Vec<u8> {
        Sha512::digest(data).to_vec()
    }

    fn mac(key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let mut mac = Hmac::<Sha512>::new_from_slice(key).map_err(|_| bad_key())?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

/// RFC 5802, section 5; the broker proves that it knows the password as well.
fn scram<S: Scram>(
    login: &Login,
    nonce: &str,
    exchange: &mut impl FnMut(Vec<u8>) -> Result<Bytes>,
) -> Result<()> {
    let wrong = |what: &str| ClientError::Authentication(format!("Invalid SCRAM message: {what}"));
    let name = login.name.replace('=', "=3D").replace(',', "=2C");
    let first_bare = format!("n={name},r={nonce}");
    let answer = exchange(format!("n,,{first_bare}").into_bytes())?;
    let server_first = String::from_utf8(answer.to_vec()).map_err(|_| wrong("no text"))?;
    let field = |text: &str, name: char| {
        let mut fields = text.split(',').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| key.len() == 1 && key.starts_with(name)).map(|(_, it)| it.to_owned())
    };
    let both = field(&server_first, 'r').ok_or_else(|| wrong("no nonce"))?;
    if !both.starts_with(nonce) || both.len() == nonce.len() {
        return Err(wrong("the nonce is not ours"));
    }
    let salt = field(&server_first, 's').and_then(|salt| STANDARD.decode(salt).ok());
    let salt = salt.ok_or_else(|| wrong("no salt"))?;
    let iterations: u32 = field(&server_first, 'i')
        .and_then(|text| text.parse().ok())
        .filter(|rounds| (1..=MAX_ITERATIONS).contains(rounds))
        .ok_or_else(|| wrong("no iterations"))?;

    let salted = salted_password::<S>(login.password.as_bytes(), &salt, iterations)?;
    let client_key = S::mac(&salted, b"Client Key")?;
    let last_bare = format!("c=biws,r={both}");
    let message = format!("{first_bare},{server_first},{last_bare}");
    let signature = S::mac(&S::hash(&client_key), message.as_bytes())?;
    let proof: Vec<_> = client_key.iter().zip(&signature).map(|(key, bit)| key ^ bit).collect();
    let answer = exchange(format!("{last_bare},p={}", STANDARD.encode(proof)).into_bytes())?;
    let server_last = String::from_utf8(answer.to_vec()).map_err(|_| wrong("no text"))?;
    let server_key = S::mac(&salted, b"Server Key")?;
    let expected = STANDARD.encode(S::mac(&server_key, message.as_bytes())?);
    if field(&server_last, 'v').as_deref() == Some(expected.as_str()) {
        Ok(())
    } else {
        Err(wrong("the server does not know the password"))
    }
}

/// What a broker stores of a password.
///
/// # Errors
/// If the hash does not take it as its key.
pub fn salted_password_of(
    mechanism: ScramMechanism,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Result<Vec<u8>> {
    match mechanism {
        ScramMechanism::Sha256 => salted_password::<Sha256Scram>(password, salt, iterations),
        ScramMechanism::Sha512 => salted_password::<Sha512Scram>(password, salt, iterations),
    }
}

fn salted_password<S: Scram>(password: &[u8], salt: &[u8], iterations: u32) -> Result<Vec<u8>> {
    let mut round = S::mac(password, &[salt, &1_u32.to_be_bytes()].concat())?;
    let mut salted = round.clone();
    for _ in 1..iterations {
        round = S::mac(password, &round)?;
        salted.iter_mut().zip(&round).for_each(|(sum, bit)| *sum ^= bit);
    }
    Ok(salted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_found_in_the_jaas_entry() {
        let config = "org.apache.kafka.common.security.scram.ScramLoginModule required\n \
                      username=\"al\\\"ice\" password = secret;";
        let login = Login::of(&[("sasl.jaas.config", config)].into_iter().collect()).unwrap();
        assert_eq!(login, Login { name: "al\"ice".into(), password: "secret".into() });
        assert!(Login::of(&Properties::default()).is_err());
    }

    #[test]
    fn scram_is_that_of_rfc_7677() {
        // The example of RFC 7677, section 3.
        let login = Login { name: "user".into(), password: "pencil".into() };
        let mut answers = vec![
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ];
        let mut sent = Vec::new();
        let mut exchange = |token: Vec<u8>| {
            sent.push(String::from_utf8(token).unwrap());
            Ok(Bytes::from(answers.pop().unwrap()))
        };
        scram::<Sha256Scram>(&login, "rOprNGfwEbeRWgbNEkqO", &mut exchange).unwrap();
        assert_eq!(sent[0], "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            sent[1],
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_not_believed() {
        let login = Login { name: "user".into(), password: "pencil".into() };
        let mut answers = vec!["v=AAAA", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=10"];
        let mut exchange = |_| Ok(Bytes::from(answers.pop().unwrap()));
        assert!(scram::<Sha512Scram>(&login, "ab", &mut exchange).is_err());
        let mut stranger = |_| Ok(Bytes::from("r=zz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=10"));
        assert!(scram::<Sha512Scram>(&login, "ab", &mut stranger).is_err());
    }
}
