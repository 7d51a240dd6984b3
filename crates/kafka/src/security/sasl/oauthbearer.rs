//! OAUTHBEARER with tokens that nobody signed, as Kafka takes them unless it is told otherwise
//! (`OAuthBearerUnsecuredValidatorCallbackHandler`): for trying things out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use polyport_base::Millis;
use serde_json::{Map, Value};

use super::{Failure, Proven, Step, sasl_name};

/// Between and after the pairs of a message; alone, a client's answer to an error.
const SEPARATOR: char = '\u{1}';

/// How tokens are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// The claim that names the user.
    pub principal_claim: String,
    /// The claim that lists scopes.
    pub scope_claim: String,
    /// Scopes that a token must have.
    pub required_scope: BTreeSet<String>,
    /// How far clocks may be apart, in milliseconds.
    pub clock_skew_ms: i64,
}

impl Validator {
    /// Of a login module's options.
    ///
    /// # Errors
    /// If an option is no value.
    pub fn new(options: &BTreeMap<String, String>) -> Result<Self, String> {
        let option = |name: &str| {
            let text = options.get(&format!("unsecuredValidator{name}"));
            text.map(|text| text.trim()).filter(|text| !text.is_empty())
        };
        let skew = option("AllowableClockSkewMs").unwrap_or("0");
        let clock_skew_ms = skew.parse().ok().filter(|ms| *ms >= 0);
        let clock_skew_ms = clock_skew_ms
            .ok_or_else(|| format!("unsecuredValidatorAllowableClockSkewMs is `{skew}`"))?;
        let required = option("RequiredScope").unwrap_or_default().split_whitespace();
        Ok(Self {
            principal_claim: option("PrincipalClaimName").unwrap_or("sub").to_owned(),
            scope_claim: option("ScopeClaimName").unwrap_or("scope").to_owned(),
            required_scope: required.map(str::to_owned).collect(),
            clock_skew_ms,
        })
    }

    /// Whose a token is, and until when.
    ///
    /// # Errors
    /// What the client is told, as JSON.
    fn check(&self, token: &str, now: Millis) -> Result<(String, Millis), String> {
        let invalid = || r#"{"status":"invalid_token"}"#.to_owned();
        let claims = claims(token).ok_or_else(invalid)?;
        let user = claims.get(&self.principal_claim).and_then(Value::as_str);
        let user = user.filter(|user| !user.trim().is_empty()).ok_or_else(invalid)?;
        let ms = |name: &str| match claims.get(name) {
            None => Ok(None),
            // Seconds, perhaps with a fraction.
            Some(value) => match value.as_f64() {
                Some(seconds) => Ok(Some((seconds * 1000.0) as i64)),
                None => Err(invalid()),
            },
        };
        let expires = ms("exp")?.ok_or_else(invalid)?;
        let issued = ms("iat")?;
        let skew = self.clock_skew_ms;
        if now.0.saturating_sub(skew) >= expires
            || issued.is_some_and(|issued| issued > now.0.saturating_add(skew) || issued >= expires)
        {
            return Err(invalid());
        }
        let scopes: BTreeSet<&str> = match claims.get(&self.scope_claim) {
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => BTreeSet::new(),
        };
        if self.required_scope.iter().any(|scope| !scopes.contains(&**scope)) {
            let all: Vec<&str> = self.required_scope.iter().map(String::as_str).collect();
            let error = Value::from_iter([
                ("scope", Value::from(all.join(" "))),
                ("status", Value::from("insufficient_scope")),
            ]);
            return Err(error.to_string());
        }
        Ok((user.to_owned(), Millis(expires)))
    }
}

/// The claims of a token without a signature.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, ""] = parts[..] else { return None };
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&base64::alphabet::URL_SAFE, lenient);
    let object = |part: &str| match serde_json::from_slice(&base64.decode(part).ok()?).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    };
    (object(header)?.get("alg")?.as_str()? == "none").then_some(())?;
    object(claims)
}

/// An exchange.
pub struct Exchange {
    validator: Arc<Validator>,
    /// What the client was told of its token.
    refused: Option<String>,
}

impl Exchange {
    pub(super) fn new(validator: Arc<Validator>) -> Self {
        Self { validator, refused: None }
    }

    pub(super) fn step(&mut self, message: &[u8], now: Millis) -> Result<Step, Failure> {
        if let Some(refused) = self.refused.take()
            && message == [SEPARATOR as u8]
        {
            return Err(Failure::Told(refused));
        }
        let wrong =
            |what: &str| Failure::Kept(format!("Invalid OAUTHBEARER client first message{what}"));
        let text = std::str::from_utf8(message).map_err(|_| wrong(""))?;
        let (authorization, token) = initial(text).map_err(wrong)?;
        match self.validator.check(token, now) {
            Err(refused) => {
                self.refused = Some(refused.clone());
                Ok(Step::Challenge(refused.into_bytes()))
            }
            Ok((user, until)) => {
                if !authorization.is_empty() && authorization != user {
                    return Err(Failure::Told(format!(
                        "Authentication failed: Client requested an authorization id \
                         ({authorization}) that is different from the token's principal name ({user})"
                    )));
                }
                Ok(Step::Done(Proven { user, answer: Vec::new(), until: Some(until) }))
            }
        }
    }
}

/// Authorization id and token of `n,[a=authzid],^Akey=value^A…auth=Bearer token^A^A`.
fn initial(text: &str) -> Result<(String, &str), &'static str> {
    let after = text.strip_prefix("n,").ok_or("")?;
    let (authorization, rest) = after.split_once(',').ok_or("")?;
    let authorization = match authorization.strip_prefix("a=") {
        Some(name) => sasl_name(name).ok_or("")?,
        None if authorization.is_empty() => String::new(),
        None => return Err(""),
    };
    let pairs = rest.strip_prefix(SEPARATOR).and_then(|rest| rest.strip_suffix(SEPARATOR));
    let mut pairs = pairs.ok_or("")?.split(SEPARATOR).filter_map(|pair| pair.split_once('='));
    let auth = pairs.find(|(key, _)| *key == "auth").ok_or(": 'auth' not specified")?.1;
    let (scheme, token) = auth.split_once(' ').ok_or(": invalid 'auth' format")?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok((authorization, token.trim())),
        false => Err(": invalid scheme"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const NOW: Millis = Millis(1_000_000_000);

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn validator(options: &[(&str, &str)]) -> Arc<Validator> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Arc::new(Validator::new(&options.collect()).unwrap())
    }

    fn first(token: &str) -> Vec<u8> {
        format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
    }

    const NONE: &str = r#"{"alg":"none"}"#;

    #[test]
    fn a_token_names_its_user_until_it_expires() {
        let good = token(NONE, r#"{"sub":"alice","iat":999999,"exp":1000001.5}"#);
        let mut exchange = Exchange::new(validator(&[]));
        let done = exchange.step(&first(&good), NOW).unwrap();
        let until = Some(Millis(1_000_001_500));
        assert_eq!(done, Step::Done(Proven { user: "alice".into(), answer: vec![], until }));
        assert!(matches!(
            exchange.step(&first(&good), Millis(NOW.0 + 1500)),
            Ok(Step::Challenge(_))
        ));
    }

    #[test]
    fn a_bad_token_is_refused_in_two_steps() {
        let none = |claims| token(NONE, claims);
        let signed = format!("{}c2ln", none(r#"{"sub":"a","exp":1000001}"#));
        for bad in [
            none(r#"{"sub":"a","exp":1000000}"#),
            none(r#"{"sub":"a"}"#),
            none(r#"{"exp":1000001}"#),
            none(r#"{"sub":" ","exp":1000001}"#),
            none(r#"{"sub":"a","exp":"later"}"#),
            none(r#"{"sub":"a","iat":1000002,"exp":1000009}"#),
            token(r#"{"alg":"HS256"}"#, r#"{"sub":"a","exp":1000001}"#),
            signed,
            "..".to_owned(),
            "junk".to_owned(),
        ] {
            let mut exchange = Exchange::new(validator(&[]));
            let told = br#"{"status":"invalid_token"}"#.to_vec();
            assert_eq!(exchange.step(&first(&bad), NOW), Ok(Step::Challenge(told)), "{bad}");
            let failure = exchange.step(b"\x01", NOW).unwrap_err();
            assert_eq!(failure, Failure::Told(r#"{"status":"invalid_token"}"#.to_owned()));
        }
    }

    #[test]
    fn scopes_clocks_and_claims_are_options() {
        let options = [
            ("unsecuredValidatorRequiredScope", "a b"),
            ("unsecuredValidatorAllowableClockSkewMs", "3000"),
            ("unsecuredValidatorPrincipalClaimName", "name"),
        ];
        let step = |claims| {
            Exchange::new(validator(&options)).step(&first(&token(NONE, claims)), NOW).unwrap()
        };
        let late = step(r#"{"name":"alice","exp":999998,"scope":["a","b","c"]}"#);
        assert!(matches!(late, Step::Done(proven) if proven.user == "alice"));
        let Step::Challenge(told) = step(r#"{"name":"alice","exp":1000001,"scope":"a"}"#) else {
            panic!("a scope is missing");
        };
        assert_eq!(told, br#"{"scope":"a b","status":"insufficient_scope"}"#);
        let bad = BTreeMap::from([(
            "unsecuredValidatorAllowableClockSkewMs".to_owned(),
            "-1".to_owned(),
        )]);
        assert!(Validator::new(&bad).is_err());
    }

    #[test]
    fn what_is_no_first_message_is_refused() {
        for junk in ["", "n,,", "n,,\u{1}\u{1}", "n,,\u{1}auth=Basic x\u{1}\u{1}", "x"] {
            let refused = Exchange::new(validator(&[])).step(junk.as_bytes(), NOW);
            assert!(matches!(refused, Err(Failure::Kept(_))), "{junk}");
        }
    }
}
