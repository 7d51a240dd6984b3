//! The gate of a listener with SASL: nobody comes through before they have proven who they are, nor
//! after their proof has expired (KIP-368).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use polyport_base::Millis;
use polyport_kafka_codec::header::RequestHeader;
use polyport_kafka_codec::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use polyport_kafka_codec::{ApiKey, ErrorCode, Message, Reader, frame};
use tokio::time::Instant;

use super::connection::{Client, Ended};
use super::response::Response;
use super::served;
use crate::broker::Broker;
use crate::security::sasl::{Credential, Exchange, Failure, Hash, Mechanism, Proven, Step};
use crate::security::settings::{Offer, Sasl};
use crate::security::{Caller, Principal};

/// Clients may authenticate anew as often as this.
const REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(1);
/// Random bytes of a server's nonce.
const NONCE_BYTES: usize = 24;

/// What becomes of a frame.
pub(super) enum Passage {
    /// It is a request to be handled.
    Through(BytesMut),
    /// It was the gate's own, and is answered.
    Answer(Response),
    /// It is answered after a while, and the connection ends.
    Refused(Option<Response>, String),
}

enum State {
    /// The client is to name a mechanism.
    Handshake,
    /// The client proves who it is. `raw`: messages come without headers.
    Exchange { offer: usize, exchange: Exchange, raw: bool },
    /// The client wants to go on with another mechanism than before.
    OtherMechanism(String),
    /// The client is known.
    Open,
}

/// Who came through, until when.
struct Session {
    mechanism: Mechanism,
    user: String,
    until: Option<Instant>,
    /// When the newest proof was begun, if it was not the first.
    renewed: Option<Instant>,
}

/// A connection's gate.
pub(super) struct Gate {
    sasl: Arc<Sasl>,
    state: State,
    session: Option<Session>,
}

impl Gate {
    pub(super) fn new(sasl: Arc<Sasl>) -> Self {
        Self { sasl, state: State::Handshake, session: None }
    }

    /// Most bytes of a frame now; nothing if the gate is open.
    pub(super) fn limit(&self) -> Option<usize> {
        (!matches!(self.state, State::Open)).then_some(self.sasl.max_receive)
    }

    /// How long a refusal is held back.
    pub(super) fn failure_delay(&self) -> Duration {
        self.sasl.failure_delay
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// What ends the connection at once.
    pub(super) fn receive(
        &mut self,
        broker: &Broker,
        client: &mut Client,
        frame: BytesMut,
    ) -> Result<Passage, Ended> {
        if let State::Exchange { raw: true, .. } = self.state {
            return Ok(self.raw_token(broker, client, &frame));
        }
        let mut reader = Reader::new(frame.clone());
        let header = RequestHeader::decode(&mut reader)?;
        if let State::Open = self.state {
            if !self.begins_anew(&header)? {
                return Ok(Passage::Through(frame));
            }
            self.state = State::Handshake;
        }
        match (&self.state, header.api_key) {
            (State::Handshake, ApiKey::ApiVersions) => return Ok(Passage::Through(frame)),
            (State::Handshake, ApiKey::SaslHandshake) => {}
            (State::Exchange { .. } | State::OtherMechanism(_), ApiKey::SaslAuthenticate) => {}
            (state, key) => {
                let during = match state {
                    State::Handshake => "handshake",
                    _ => "authentication",
                };
                let text = format!(
                    "Unexpected Kafka request of type {} during SASL {during}.",
                    key.name()
                );
                return Ok(Passage::Refused(None, text));
            }
        }
        if !served::serves(header.api_key, header.api_version) {
            let (api, version) = (header.api_key.name(), header.api_version);
            return Err(Ended::NotServed { api, version });
        }
        broker.stats.requests.count(header.api_key);
        match header.api_key {
            ApiKey::SaslHandshake => self.handshake(&header, &mut reader),
            _ => self.authenticate(broker, client, &header, &mut reader),
        }
    }

    /// Whether a request that comes through an open gate begins another proof.
    ///
    /// # Errors
    /// If the session has expired and it is no such request.
    fn begins_anew(&mut self, header: &RequestHeader) -> Result<bool, Ended> {
        let now = Instant::now();
        let Some(Session { until: Some(until), renewed, .. }) = &mut self.session else {
            return Ok(false);
        };
        if header.api_key != ApiKey::SaslHandshake {
            return match now >= *until {
                true => Err(Ended::Refused("the session expired and was not authenticated anew")),
                false => Ok(false),
            };
        }
        if renewed.is_some_and(|before| now - before < REAUTHENTICATION_INTERVAL) {
            return Ok(false);
        }
        *renewed = Some(now);
        Ok(true)
    }

    fn handshake(&mut self, header: &RequestHeader, reader: &mut Reader) -> Result<Passage, Ended> {
        let request = SaslHandshakeRequest::decode(reader, header.api_version)?;
        let wanted = request.mechanism;
        let names = self.sasl.checks.iter().map(|offer| offer.check.mechanism().name());
        let mut response = SaslHandshakeResponse {
            error_code: 0,
            mechanisms: names.clone().map(str::to_owned).collect(),
        };
        let Some(offer) = names.clone().position(|name| name == wanted) else {
            response.error_code = ErrorCode::UnsupportedSaslMechanism.code();
            let text = format!("Unsupported SASL mechanism {wanted}");
            return Ok(Passage::Refused(Some(encode(header, &response)?), text));
        };
        let answer = Passage::Answer(encode(header, &response)?);
        if let Some(session) = &self.session
            && session.mechanism.name() != wanted
        {
            self.state = State::OtherMechanism(format!(
                "SASL mechanism '{wanted}' requested by client is not supported for \
                 re-authentication of mechanism '{}'",
                session.mechanism
            ));
            return Ok(answer);
        }
        let mut random = [0; NONCE_BYTES];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let exchange =
            Exchange::new(&self.sasl.checks[offer].check, URL_SAFE_NO_PAD.encode(random));
        self.state = State::Exchange { offer, exchange, raw: header.api_version == 0 };
        Ok(answer)
    }

    fn authenticate(
        &mut self,
        broker: &Broker,
        client: &mut Client,
        header: &RequestHeader,
        reader: &mut Reader,
    ) -> Result<Passage, Ended> {
        let request = SaslAuthenticateRequest::decode(reader, header.api_version)?;
        match self.step(broker, client, &request.auth_bytes) {
            Ok((bytes, lifetime)) => {
                let session_lifetime_ms = match header.api_version {
                    0 => 0,
                    _ => i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX),
                };
                let response = SaslAuthenticateResponse {
                    auth_bytes: Bytes::from(bytes),
                    session_lifetime_ms,
                    ..Default::default()
                };
                Ok(Passage::Answer(encode(header, &response)?))
            }
            Err((told, reason)) => {
                let response = SaslAuthenticateResponse {
                    error_code: ErrorCode::SaslAuthenticationFailed.code(),
                    error_message: Some(told),
                    ..Default::default()
                };
                Ok(Passage::Refused(Some(encode(header, &response)?), reason))
            }
        }
    }

    /// A message as clients of before SaslAuthenticate send it: they hear of a failure by the
    /// connection's end.
    fn raw_token(&mut self, broker: &Broker, client: &mut Client, token: &[u8]) -> Passage {
        match self.step(broker, client, token) {
            Ok((bytes, _)) => {
                let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
                framed.extend(bytes);
                Passage::Answer(Response::bytes(framed))
            }
            Err((_, reason)) => Passage::Refused(None, reason),
        }
    }

    /// The next step of the exchange: what to answer, and how long a proven session lives, 0 for as
    /// long as it likes. An error is what the client is told, and what the log is.
    fn step(
        &mut self,
        broker: &Broker,
        client: &mut Client,
        message: &[u8],
    ) -> Result<(Vec<u8>, Duration), (String, String)> {
        let (offer, exchange) = match &mut self.state {
            State::Exchange { offer, exchange, .. } => (*offer, exchange),
            State::OtherMechanism(text) => return Err((text.clone(), text.clone())),
            State::Handshake | State::Open => {
                let text = "no mechanism was named".to_owned();
                return Err((text.clone(), text));
            }
        };
        let image = broker.images.current();
        let find = |hash: Hash, user: &str| Credential::find(&image, hash, user);
        let now = broker.clock.now();
        let offer = self.sasl.checks[offer].clone();
        match exchange.step(message, &find, now) {
            Ok(Step::Challenge(bytes)) => Ok((bytes, Duration::ZERO)),
            Ok(Step::Done(proven)) => self.proven(client, &offer, proven, now),
            Err(Failure::Told(text)) => Err((text.clone(), text)),
            Err(Failure::Kept(reason)) => {
                let during = match self.session {
                    None => "authentication",
                    Some(_) => "re-authentication",
                };
                let told = format!(
                    "Authentication failed during {during} due to invalid credentials with SASL \
                     mechanism {}",
                    offer.check.mechanism()
                );
                let reason = format!("{told}: {reason}");
                Err((told, reason))
            }
        }
    }

    fn proven(
        &mut self,
        client: &mut Client,
        offer: &Offer,
        proven: Proven,
        now: Millis,
    ) -> Result<(Vec<u8>, Duration), (String, String)> {
        let Proven { user, answer, until } = proven;
        if let Some(before) = &self.session
            && before.user != user
        {
            let before = &before.user;
            let text = format!(
                "Cannot change principals during re-authentication from User.{before}: User.{user}"
            );
            return Err((text.clone(), text));
        }
        let left = until.map(|until| {
            Duration::from_millis(u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0))
        });
        let lifetime = match (left, offer.max_reauth) {
            (Some(left), Some(max)) => Some(left.min(max)),
            (left, max) => left.or(max),
        };
        client.caller = Caller::Client(Principal::user(&user));
        self.session = Some(Session {
            mechanism: offer.check.mechanism(),
            user,
            // One that is too far away is none.
            until: lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime)),
            renewed: self.session.as_ref().and_then(|session| session.renewed),
        });
        self.state = State::Open;
        Ok((answer, lifetime.unwrap_or_default()))
    }
}

fn encode<R: polyport_kafka_codec::Response>(
    header: &RequestHeader,
    response: &R,
) -> Result<Response, Ended> {
    let mut bytes = Vec::new();
    frame::encode_response(&mut bytes, response, header.api_version, header.correlation_id)?;
    Ok(Response::bytes(bytes))
}
