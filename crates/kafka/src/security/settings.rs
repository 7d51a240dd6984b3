//! What a broker's file says of security.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polyport_net::tls::{self, Acceptor, ClientAuth, Pem};

use super::acl::Policy;
use super::mapping::Mapping;
use super::sasl::jaas::{self, Login};
use super::sasl::{Check, Mechanism, Users, Validator};
use crate::metadata::config::defs;

/// A setting that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SecurityError {
    /// Its name, without a listener's prefix.
    pub key: String,
    /// Why not.
    pub reason: String,
}

fn error<T>(key: &str, reason: impl ToString) -> Result<T, SecurityError> {
    Err(SecurityError { key: key.to_owned(), reason: reason.to_string() })
}

/// A security protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Everybody is anonymous.
    Plaintext,
    /// TLS; the certificate names the client.
    Ssl,
    /// SASL names the client.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl Protocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// The protocol of a listener: what `listener.security.protocol.map` says, or its own name.
    ///
    /// # Errors
    /// If that is no protocol.
    pub fn of(
        properties: &BTreeMap<String, String>,
        listener: &str,
    ) -> Result<Self, SecurityError> {
        const MAP: &str = "listener.security.protocol.map";
        let map = properties.get(MAP).map_or("", String::as_str);
        let mut pairs = map.split(',').filter_map(|pair| pair.trim().split_once(':'));
        let named = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(listener));
        let named = named.map_or(listener, |(_, protocol)| protocol.trim());
        let found = Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(named));
        found.map_or_else(
            || {
                let all = Self::ALL.map(Self::name).join(", ");
                let text = format!(
                    "the listener {listener} is of the security protocol {named}, which is none of \
                     {all}: {MAP} names the protocol of other names"
                );
                error(MAP, text)
            },
            Ok,
        )
    }
}

/// What a listener asks of those who come.
#[derive(Clone, Debug)]
pub struct Security {
    /// Its protocol.
    pub protocol: Protocol,
    /// The accepting side of TLS.
    pub tls: Option<Acceptor>,
    /// How certificates name users.
    pub mapping: Mapping,
    /// How users authenticate.
    pub sasl: Option<Arc<Sasl>>,
}

/// How users authenticate at a listener.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// The mechanisms, in the order in which clients are told of them.
    pub checks: Vec<Offer>,
    /// `sasl.server.max.receive.size`: most bytes of a message before a client is authenticated.
    pub max_receive: usize,
    /// `connection.failed.authentication.delay.ms`.
    pub failure_delay: Duration,
}

/// A mechanism that is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What it checks.
    pub check: Check,
    /// `connections.max.reauth.ms`; nothing for as long as the client likes.
    pub max_reauth: Option<Duration>,
}

/// The settings of one listener: its own under `listener.name.NAME.`, before those of all.
struct Settings<'a> {
    properties: &'a BTreeMap<String, String>,
    prefix: String,
}

impl<'a> Settings<'a> {
    fn given(&self, key: &str) -> Option<&'a str> {
        let own = self.properties.get(&format!("{}{key}", self.prefix));
        let text = own.or_else(|| self.properties.get(key))?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn text(&self, key: &str) -> &'a str {
        let default = || defs::broker(key).and_then(|def| def.default).unwrap_or_default();
        self.given(key).unwrap_or_else(default)
    }

    fn number(&self, key: &str) -> Result<u64, SecurityError> {
        let text = self.text(key);
        text.parse().or_else(|_| error(key, format!("`{text}` is not a number from 0")))
    }

    /// A mechanism's own setting: before the listener's comes the mechanism's.
    fn of_mechanism(&self, mechanism: &str, key: &str) -> Option<&'a str> {
        let name = format!("{}{}.{key}", self.prefix, mechanism.to_ascii_lowercase());
        let own = self.properties.get(&name).map(|text| text.trim());
        own.filter(|text| !text.is_empty()).or_else(|| self.given(key))
    }
}

impl Security {
    /// What the file says of a listener.
    ///
    /// # Errors
    /// If it cannot be served.
    pub fn read(
        properties: &BTreeMap<String, String>,
        listener: &str,
    ) -> Result<Self, SecurityError> {
        let protocol = Protocol::of(properties, listener)?;
        let (key, builder) = ("principal.builder.class", defs::broker("principal.builder.class"));
        let given = properties.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        if given.is_some_and(|class| builder.and_then(|def| def.default) != Some(class)) {
            return error(key, "there are no plug-ins in Java: leave it out");
        }
        let prefix = format!("listener.name.{}.", listener.to_ascii_lowercase());
        let settings = Settings { properties, prefix };
        const RULES: &str = "ssl.principal.mapping.rules";
        let mapping = Mapping::parse(settings.text(RULES));
        Ok(Self {
            protocol,
            tls: protocol.has_tls().then(|| acceptor(&settings)).transpose()?,
            mapping: mapping.or_else(|reason| error(RULES, reason))?,
            sasl: match protocol.has_sasl() {
                true => Some(Arc::new(sasl(&settings)?)),
                false => None,
            },
        })
    }
}

/// What an operator does with a key store of Java.
const CONVERT: &str = "key stores of Java are not read: make it a PKCS12 file with `keytool \
                       -importkeystore -srckeystore IT -destkeystore it.p12 -deststoretype PKCS12`, \
                       that a PEM file with `openssl pkcs12 -in it.p12 -nodes -out it.pem`, and set the \
                       type to PEM and the location to that";

fn pem(settings: &Settings<'_>, kind: &str, inline: &str) -> Result<Option<Pem>, SecurityError> {
    let (kind_key, location_key) = (format!("ssl.{kind}.type"), format!("ssl.{kind}.location"));
    let (location, text) = (settings.given(&location_key), settings.given(inline));
    if location.is_none() && text.is_none() {
        return Ok(None);
    }
    let of_kind = settings.text(&kind_key);
    if !of_kind.eq_ignore_ascii_case("PEM") {
        return error(&kind_key, format!("{of_kind}: {CONVERT}"));
    }
    match (text, location) {
        (Some(_), Some(_)) => {
            error(&location_key, format!("both {inline} and {location_key} are set"))
        }
        (Some(text), None) => Ok(Some(Pem::inline(inline, text))),
        (None, Some(path)) => {
            Pem::read(Path::new(path)).map(Some).or_else(|reason| error(&location_key, reason))
        }
        (None, None) => Ok(None),
    }
}

fn acceptor(settings: &Settings<'_>) -> Result<Acceptor, SecurityError> {
    const CHAIN: &str = "ssl.keystore.certificate.chain";
    const KEY: &str = "ssl.keystore.key";
    for (key, what) in [
        ("ssl.cipher.suites", "the TLS library's own choice is the only one"),
        ("ssl.engine.factory.class", "there are no plug-ins in Java"),
        ("ssl.provider", "there are no plug-ins in Java"),
    ] {
        if settings.given(key).is_some() {
            return error(key, format!("cannot be set: {what}"));
        }
    }
    if settings.given("ssl.key.password").is_some() {
        let text = "keys with a password are not read: take it off with `openssl pkey -in key.pem -out \
                    open.pem` and keep the file from others";
        return error("ssl.key.password", text);
    }
    let Some(chain) = pem(settings, "keystore", CHAIN)? else {
        return error("ssl.keystore.location", "TLS needs a certificate and its key");
    };
    let key = match settings.given(KEY) {
        Some(text) => Pem::inline(KEY, text),
        None => chain.clone(),
    };
    let auth = match settings.text("ssl.client.auth") {
        "required" => ClientAuth::Need,
        "requested" => ClientAuth::Want,
        _ => ClientAuth::None,
    };
    let authorities = pem(settings, "truststore", "ssl.truststore.certificates")?;
    const PROTOCOLS: &str = "ssl.enabled.protocols";
    let mut versions = Vec::new();
    for name in settings.text(PROTOCOLS).split(',').map(str::trim) {
        versions.push(match name {
            "TLSv1.2" => tls::Version::Tls12,
            "TLSv1.3" => tls::Version::Tls13,
            other => return error(PROTOCOLS, format!("{other} is not TLSv1.2 or TLSv1.3")),
        });
    }
    let acceptor = Acceptor::of(&chain, &key, authorities.as_ref(), auth, &versions);
    acceptor.or_else(|reason| {
        let key = match reason {
            tls::TlsError::NoAuthority => "ssl.truststore.location",
            _ => "ssl.keystore.location",
        };
        error(key, reason)
    })
}

fn sasl(settings: &Settings<'_>) -> Result<Sasl, SecurityError> {
    const ENABLED: &str = "sasl.enabled.mechanisms";
    let mut checks = Vec::new();
    let names = settings.text(ENABLED).split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let Some(mechanism) = Mechanism::named(name) else {
            let all = Mechanism::ALL.map(Mechanism::name).join(", ");
            return error(ENABLED, format!("{name} is not served; there are {all}"));
        };
        if settings.of_mechanism(name, "sasl.server.callback.handler.class").is_some() {
            let text = "there are no plug-ins in Java";
            return error("sasl.server.callback.handler.class", text);
        }
        let check = match mechanism {
            Mechanism::Plain => Check::Plain(Arc::new(users(login(settings, name)?)?)),
            Mechanism::Scram(hash) => Check::Scram(hash),
            Mechanism::OauthBearer => Check::OauthBearer(Arc::new(validator(settings, name)?)),
        };
        const REAUTH: &str = "connections.max.reauth.ms";
        let reauth = settings.of_mechanism(name, REAUTH).unwrap_or("0");
        let reauth: i64 = match reauth.parse() {
            Ok(ms) => ms,
            Err(_) => return error(REAUTH, format!("`{reauth}` is not a number")),
        };
        let max_reauth = u64::try_from(reauth).ok().filter(|ms| *ms > 0);
        checks.push(Offer { check, max_reauth: max_reauth.map(Duration::from_millis) });
    }
    if checks.is_empty() {
        return error(ENABLED, "no mechanism is named");
    }
    let delay = settings.number("connection.failed.authentication.delay.ms")?;
    let max_receive = settings.number("sasl.server.max.receive.size")?;
    Ok(Sasl {
        checks,
        max_receive: usize::try_from(max_receive).unwrap_or(usize::MAX),
        failure_delay: Duration::from_millis(delay),
    })
}

const JAAS: &str = "sasl.jaas.config";

/// The login module's line, which names users or options.
fn login(settings: &Settings<'_>, mechanism: &str) -> Result<Login, SecurityError> {
    let name = format!("{}{}.{JAAS}", settings.prefix, mechanism.to_ascii_lowercase());
    match settings.properties.get(&name) {
        Some(text) => jaas::parse(text).or_else(|reason| error(&name, reason)),
        None => error(&name, format!("{mechanism} needs its login module's line here")),
    }
}

fn users(login: Login) -> Result<Users, SecurityError> {
    if !login.module.ends_with(".PlainLoginModule") {
        return error(JAAS, format!("{} is not the module of PLAIN", login.module));
    }
    let user = |(key, password): (String, String)| {
        key.strip_prefix("user_").map(|user| (user.to_owned(), password))
    };
    Ok(Users(login.options.into_iter().filter_map(user).collect()))
}

fn validator(settings: &Settings<'_>, mechanism: &str) -> Result<Validator, SecurityError> {
    for key in ["jwks.endpoint.url", "expected.issuer", "expected.audience", "token.endpoint.url"] {
        let key = format!("sasl.oauthbearer.{key}");
        if settings.of_mechanism(mechanism, &key).is_some() {
            let text = "tokens with signatures are not checked; without it tokens that nobody signed \
                        are taken, as Kafka does it, for trying things out";
            return error(&key, text);
        }
    }
    let login = login(settings, mechanism)?;
    if !login.module.ends_with(".OAuthBearerLoginModule") {
        return error(JAAS, format!("{} is not the module of OAUTHBEARER", login.module));
    }
    Validator::new(&login.options).or_else(|reason| error(JAAS, reason))
}

/// Classes that mean the lists in the tree.
const AUTHORIZERS: [&str; 3] = [
    "kafka.security.authorizer.AclAuthorizer",
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.auth.SimpleAclAuthorizer",
];

impl Policy {
    /// What the file says; nothing if everybody may do everything.
    ///
    /// # Errors
    /// If it names another authorizer, or super users that are none.
    pub fn read(properties: &BTreeMap<String, String>) -> Result<Option<Self>, SecurityError> {
        const CLASS: &str = "authorizer.class.name";
        const SUPER: &str = "super.users";
        const OPEN: &str = "allow.everyone.if.no.acl.found";
        let text = |key: &str| properties.get(key).map_or("", |text| text.trim());
        let class = text(CLASS);
        if class.is_empty() {
            return Ok(None);
        }
        if !AUTHORIZERS.contains(&class) {
            let text =
                format!("{class}: there are no plug-ins in Java; {} is served", AUTHORIZERS[0]);
            return error(CLASS, text);
        }
        let mut policy = Self::default();
        for user in text(SUPER).split(';').map(str::trim).filter(|user| !user.is_empty()) {
            match super::Principal::parse(user) {
                Some(principal) => drop(policy.super_users.insert(principal.to_string())),
                None => return error(SUPER, format!("`{user}` is not of the form User:name")),
            }
        }
        policy.allow_without_lists = match text(OPEN) {
            "" => false,
            flag if flag.eq_ignore_ascii_case("false") => false,
            flag if flag.eq_ignore_ascii_case("true") => true,
            other => return error(OPEN, format!("`{other}` is neither true nor false")),
        };
        Ok(Some(policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(lines: &[(&str, &str)]) -> BTreeMap<String, String> {
        lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn wrong(lines: &[(&str, &str)], listener: &str) -> String {
        Security::read(&properties(lines), listener).unwrap_err().to_string()
    }

    const PLAIN: (&str, &str) = (
        "listener.name.in.plain.sasl.jaas.config",
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"a\";",
    );

    #[test]
    fn a_listener_has_its_own_settings_before_those_of_all() {
        let lines = [
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT, IN:SASL_PLAINTEXT"),
            ("sasl.enabled.mechanisms", "GSSAPI"),
            ("listener.name.in.sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512"),
            ("connections.max.reauth.ms", "1000"),
            ("listener.name.in.plain.connections.max.reauth.ms", "2000"),
            PLAIN,
        ];
        let security = Security::read(&properties(&lines), "IN").unwrap();
        assert_eq!(security.protocol, Protocol::SaslPlaintext);
        let sasl = security.sasl.unwrap();
        let offers = sasl
            .checks
            .iter()
            .map(|offer| (offer.check.mechanism().name(), offer.max_reauth.unwrap().as_millis()));
        assert_eq!(offers.collect::<Vec<_>>(), [("PLAIN", 2000), ("SCRAM-SHA-512", 1000)]);
        let Check::Plain(users) = &sasl.checks[0].check else { panic!("not PLAIN") };
        assert_eq!(users.0["alice"], "a");
        assert_eq!((sasl.max_receive, sasl.failure_delay), (524_288, Duration::from_millis(100)));
        let open = Security::read(&properties(&lines), "PLAINTEXT").unwrap();
        assert!(open.sasl.is_none() && open.tls.is_none());
    }

    #[test]
    fn what_cannot_be_served_says_how_it_could_be() {
        let mechanisms = |names| ("sasl.enabled.mechanisms", names);
        let sasl = "SASL_PLAINTEXT";
        assert!(wrong(&[], "OUTSIDE").contains("listener.security.protocol.map"));
        assert!(wrong(&[], sasl).contains("GSSAPI is not served"));
        assert!(wrong(&[mechanisms("PLAIN")], sasl).contains("listener.name.sasl_plaintext.plain"));
        assert!(wrong(&[], "SSL").contains("needs a certificate"));
        let jks = [("ssl.keystore.location", "k.jks")];
        assert!(wrong(&jks, "SSL").contains("openssl pkcs12"));
        assert!(wrong(&[("ssl.key.password", "x")], "SSL").contains("openssl pkey"));
        let signed =
            [mechanisms("OAUTHBEARER"), ("sasl.oauthbearer.jwks.endpoint.url", "http://x")];
        assert!(wrong(&signed, sasl).contains("signatures are not checked"));
    }

    #[test]
    fn both_of_kafkas_authorizers_are_ours() {
        let policy = |lines: &[(&str, &str)]| Policy::read(&properties(lines));
        assert_eq!(policy(&[("super.users", "User:a")]), Ok(None));
        for class in AUTHORIZERS {
            let lines = [("authorizer.class.name", class), ("super.users", "User:a;User:CN=b,O=c")];
            let policy = policy(&lines).unwrap().unwrap();
            assert_eq!(policy.super_users.len(), 2);
            assert!(!policy.allow_without_lists);
        }
        assert!(policy(&[("authorizer.class.name", "com.example.Mine")]).is_err());
        let class = ("authorizer.class.name", AUTHORIZERS[0]);
        assert!(policy(&[class, ("super.users", "alice")]).is_err());
        assert!(policy(&[class, ("allow.everyone.if.no.acl.found", "yes")]).is_err());
    }
}
