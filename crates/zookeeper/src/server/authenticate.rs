//! Who a client is: its certificate, opcode 100 (auth) and opcode 102 (SASL).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use polyport_tree::Id;
use polyport_tree::access::ANY_SASL;
use polyport_tree::replica::Place as BatchPlace;
use polyport_wire::Cursor;
use tokio::io::{AsyncRead, AsyncWrite};

use super::accept::Peer;
use super::connection::Connection;
use super::outbound::{Ending, Queued};
use super::{Happened, Server, Settings};
use crate::auth::{DigestAlgorithm, Identities, TooMany, digest_id};
use crate::codec::jute::Put;
use crate::codec::{ErrorCode, OpCode, ReplyHeader, Request};
use crate::sasl::{DigestMd5, NONCE_BYTES, Realm};

/// Who clients may be, and who they must be.
#[derive(Clone, Default)]
pub struct Authentication {
    /// Whether the digest scheme is refused.
    pub no_digest: bool,
    /// Its hash.
    pub digest_algorithm: DigestAlgorithm,
    /// `user:base64(hash(user:password))` of the super user.
    pub super_digest: Option<String>,
    /// SASL name that has super rights.
    pub super_user: Option<String>,
    /// Certificate's subject that has super rights.
    pub x509_super_user: Option<String>,
    /// Names of this ensemble in the scheme `ensemble`; any if empty.
    pub ensemble_names: Vec<String>,
    /// Schemes one of which a client must have proved before anything else, unless empty.
    pub required_schemes: Vec<String>,
    /// Whether clients whose SASL exchange failed may go on.
    pub allow_sasl_failed: bool,
    /// Names and passwords of SASL DIGEST-MD5.
    pub sasl_users: BTreeMap<String, String>,
}

/// Passwords stay out of logs.
impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authentication")
            .field("digest_algorithm", &self.digest_algorithm)
            .field("required_schemes", &self.required_schemes)
            .field("sasl_users", &self.sasl_users.keys())
            .finish_non_exhaustive()
    }
}

impl Authentication {
    fn requires_sasl(&self) -> bool {
        self.required_schemes.iter().any(|scheme| scheme == "sasl")
    }
}

/// Who a client is before it says so.
pub(super) fn arrives(settings: &Settings, peer: &Peer) -> Identities {
    let mut who = Identities::at(peer.address.ip(), settings.skip_acl);
    if settings.authentication.no_digest {
        who = who.without_digest();
    }
    if let Some(subject) = &peer.subject
        && let Err(reason) = add_subject(settings, &mut who, subject)
    {
        tracing::warn!(peer = %peer.address, %reason, "the certificate's subject counts for nothing");
    }
    who
}

fn add_subject(settings: &Settings, who: &mut Identities, subject: &str) -> Result<(), TooMany> {
    if settings.authentication.x509_super_user.as_deref() == Some(subject) {
        who.add(Id::new("super", subject))?;
    }
    who.add(Id::new("x509", subject))
}

/// Why opcode 100 fails.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no such scheme")]
    Scheme,
    #[error("no credentials")]
    Empty,
    #[error("another ensemble is meant")]
    Ensemble,
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// What is known of whoever says who he is.
pub(crate) struct Claim<'a> {
    pub(crate) address: IpAddr,
    /// Of its certificate.
    pub(crate) subject: Option<&'a str>,
}

/// Adds what is proved by `auth` in this scheme.
pub(crate) fn identify(
    server: &Server,
    claim: &Claim<'_>,
    who: &mut Identities,
    scheme: &str,
    auth: Option<&[u8]>,
) -> Result<(), Refusal> {
    let settings = server.settings();
    let rules = &settings.authentication;
    match scheme {
        "digest" if !rules.no_digest => {
            let id = digest_id(rules.digest_algorithm, auth.ok_or(Refusal::Empty)?);
            if rules.super_digest.as_deref() == Some(id.as_str()) {
                who.add(Id::new("super", ""))?;
            }
            who.add(Id::new("digest", id))?;
        }
        "ip" => who.add(Id::new("ip", claim.address.to_canonical().to_string()))?,
        "x509" => {
            let subject = claim.subject.ok_or(Refusal::Empty)?;
            add_subject(settings, who, subject)?;
        }
        // A client that names no ensemble, or a server that has no name, does not mind.
        "ensemble" => {
            let name = auth.unwrap_or_default();
            let known = &rules.ensemble_names;
            let right = known.iter().any(|known| known.as_bytes() == name);
            if name.is_empty() || known.is_empty() {
                server.stats().count(Happened::EnsembleSkipped);
            } else if right {
                server.stats().count(Happened::EnsembleNamed);
            } else {
                server.stats().count(Happened::EnsembleMistaken);
                return Err(Refusal::Ensemble);
            }
        }
        _ => return Err(Refusal::Scheme),
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Whether the client has proved what every client must; otherwise this is its end.
    pub(super) fn may_ask(&mut self, xid: i32) -> bool {
        let required = &self.server.settings().authentication.required_schemes;
        if required.is_empty() {
            return true;
        }
        let who = self.outbound.who.lock().clone();
        if who.ids().iter().any(|id| required.contains(&id.scheme)) {
            return true;
        }
        tracing::warn!(peer = %self.peer.address, ?required, "request without authentication");
        self.last_words(xid, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH, |_| {});
        false
    }

    /// Opcode 100. Its answer is outside the order of requests.
    pub(super) fn auth(&mut self, xid: i32, cursor: &mut Cursor<'_>) {
        let Ok(Request::Auth { scheme, auth }) = Request::decode(OpCode::Auth, cursor) else {
            tracing::warn!(peer = %self.peer.address, "malformed auth request");
            return self.outbound.end(Ending::Refused);
        };
        let mut who = (**self.outbound.who.lock()).clone();
        let claim =
            Claim { address: self.peer.address.ip(), subject: self.peer.subject.as_deref() };
        match identify(self.server, &claim, &mut who, scheme, auth) {
            Ok(()) => {
                self.is(who);
                self.outbound.owed(|owed| owed.reply(xid, 0, ErrorCode::OK));
            }
            Err(reason) => {
                let peer = self.peer.address;
                self.server.stats().count(Happened::AuthFailed);
                tracing::warn!(%peer, scheme, %reason, "authentication failed");
                self.last_words(xid, ErrorCode::AUTH_FAILED, |_| {});
            }
        }
    }

    /// Opcode 102, one token of an exchange.
    pub(super) fn sasl(&mut self, xid: i32, cursor: &mut Cursor<'_>) {
        let peer = self.peer.address;
        let Ok(Request::Sasl { token }) = Request::decode(OpCode::Sasl, cursor) else {
            tracing::warn!(%peer, "malformed SASL request");
            return self.outbound.end(Ending::Refused);
        };
        let rules = &self.server.settings().authentication;
        if rules.sasl_users.is_empty() {
            // ZooKeeper without a JAAS file answers with no token, and clients take it from there.
            return self.sasl_reply(xid, None);
        }
        if self.sasl.is_none() {
            let mut random = [0; NONCE_BYTES];
            if let Err(error) = getrandom::fill(&mut random) {
                tracing::error!(%error, "no randomness");
                return self.outbound.end(Ending::Refused);
            }
            let nonce = base64::engine::general_purpose::STANDARD.encode(random);
            self.sasl = Some(DigestMd5::new(Realm::zookeeper(), nonce));
        }
        let Some(exchange) = &mut self.sasl else { return };
        match exchange.step(token, &rules.sasl_users) {
            Ok(step) => {
                if let Some(user) = step.user {
                    tracing::info!(%peer, user, "authenticated by SASL");
                    let mut who = (**self.outbound.who.lock()).clone();
                    let rank = match &rules.super_user {
                        Some(name) if *name == user => Some("super"),
                        // As ZooKeeper's provider, where nobody else is named.
                        None if user == "super" => Some(ANY_SASL),
                        _ => None,
                    };
                    let ids = rank.map(|scheme| Id::new(scheme, ""));
                    let mut ids = ids.into_iter().chain([Id::new("sasl", user)]);
                    if let Err(reason) = ids.try_for_each(|id| who.add(id)) {
                        self.server.stats().count(Happened::AuthFailed);
                        tracing::warn!(%peer, %reason, "SASL authentication failed");
                        let body = |out: &mut Vec<u8>| out.put_opt_buffer(None);
                        return self.last_words(xid, ErrorCode::AUTH_FAILED, body);
                    }
                    self.is(who);
                }
                self.sasl_reply(xid, Some(step.token));
            }
            Err(reason) => {
                let required = rules.requires_sasl();
                let goes_on = rules.allow_sasl_failed && !required;
                self.server.stats().count(Happened::AuthFailed);
                tracing::warn!(%peer, %reason, goes_on, "SASL authentication failed");
                if goes_on {
                    return self.sasl_reply(xid, None);
                }
                let code = match required {
                    true => ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
                    false => ErrorCode::AUTH_FAILED,
                };
                self.last_words(xid, code, |out| out.put_opt_buffer(None));
            }
        }
    }

    /// In the order of the requests: clients await it so.
    fn sasl_reply(&mut self, xid: i32, token: Option<Vec<u8>>) {
        self.outbound.owed(|owed| {
            let write = |out: &mut Vec<u8>| {
                ReplyHeader { xid, zxid: 0, err: ErrorCode::OK }.encode(out);
                out.put_opt_buffer(token.as_deref());
            };
            if owed.queue.is_empty() {
                owed.frame(write);
            } else {
                let mut frame = vec![0; 4];
                write(&mut frame);
                let len = (frame.len() - 4) as u32;
                frame[..4].copy_from_slice(&len.to_be_bytes());
                owed.push(Queued::Ready(frame));
            }
        });
    }

    fn last_words(&mut self, xid: i32, err: ErrorCode, body: impl FnOnce(&mut Vec<u8>)) {
        self.outbound.owed(|owed| {
            owed.frame(|out| {
                ReplyHeader { xid, zxid: 0, err }.encode(out);
                body(out);
            });
            owed.ending.get_or_insert(Ending::Refused);
        });
    }

    fn is(&mut self, who: Identities) {
        *self.outbound.who.lock() = Arc::new(who);
        // Commands from here on have another submitter.
        self.batch_place = BatchPlace::default();
    }
}
