//! A connection to a broker: which versions both sides know, requests and answers in order.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use polyport_kafka_codec::messages::{ApiVersionsRequest, ApiVersionsResponse};
use polyport_kafka_codec::{ApiKey, DecodeError, Message, Reader, Request, frame, header};

use super::stream::{Stream, connect};
use super::{ClientConfig, ClientError, Result, sasl};

/// A frame longer than this is no answer of a broker.
const MAX_FRAME_BYTES: usize = 1 << 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The version of ApiVersions that is tried first; a broker that does not know it says so.
const API_VERSIONS: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;
/// An answer begins with the number of what it answers.
const CORRELATION_BYTES: usize = 4;

/// A connection that is ready for requests.
pub struct Connection {
    stream: Stream,
    out: Vec<u8>,
    client_id: String,
    next_correlation: i32,
    waiting: VecDeque<(i32, ApiKey, i16)>,
    versions: HashMap<i16, (i16, i16)>,
    /// Its request is ended when the user asks for an end.
    pub heed_interrupts: bool,
}

/// Why there is no connection, and which address was tried last.
pub struct Unreachable {
    /// `host/address:port`, as Java shows it.
    pub address: String,
    /// What went wrong.
    pub error: ClientError,
}

impl Connection {
    /// Connects, agrees on versions and proves who we are.
    ///
    /// # Errors
    /// With the address that was tried.
    pub fn open(
        host: &str,
        port: u16,
        config: &ClientConfig,
        heed_interrupts: bool,
    ) -> std::result::Result<Self, Unreachable> {
        let (tcp, address) = connect(host, port, CONNECT_TIMEOUT)
            .map_err(|(address, _)| Unreachable { address, error: ClientError::Disconnected })?;
        let failed = |error| Unreachable { address: address.clone(), error };
        if config.protection.tls {
            return Err(failed(ClientError::Config(
                "security.protocol: these tools do not speak TLS".to_owned(),
            )));
        }
        let mut connection = Self {
            stream: Stream::new(Box::new(tcp)),
            out: Vec::new(),
            client_id: config.client_id.clone(),
            next_correlation: 0,
            waiting: VecDeque::new(),
            versions: HashMap::new(),
            heed_interrupts,
        };
        let deadline = Instant::now() + config.request_timeout;
        connection.learn_versions(deadline).map_err(failed)?;
        if config.protection.sasl {
            sasl::authenticate(&mut connection, &config.properties, deadline).map_err(failed)?;
        }
        Ok(connection)
    }

    fn learn_versions(&mut self, deadline: Instant) -> Result<()> {
        let request = ApiVersionsRequest {
            client_software_name: "polyport-tools".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.send(&request, API_VERSIONS, deadline)?;
        let mut response = self.receive_versions(deadline)?;
        if response.error_code == UNSUPPORTED_VERSION {
            self.send(&ApiVersionsRequest::default(), 0, deadline)?;
            response = self.receive_versions(deadline)?;
        }
        ClientError::check(response.error_code, None)?;
        let ranges = response.api_keys.iter();
        self.versions =
            ranges.map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(())
    }

    /// The answer to ApiVersions; a broker refuses a version with an answer of version 0.
    fn receive_versions(&mut self, deadline: Instant) -> Result<ApiVersionsResponse> {
        let (bytes, api, version) = self.next_answer(deadline)?;
        let refused = bytes.get(CORRELATION_BYTES..CORRELATION_BYTES + 2)
            == Some(&UNSUPPORTED_VERSION.to_be_bytes()[..]);
        let mut reader = Reader::new(bytes);
        header::decode_response(&mut reader, api, version).map_err(malformed)?;
        let version = if refused { 0 } else { version };
        ApiVersionsResponse::decode(&mut reader, version).map_err(malformed)
    }

    /// The versions of an API that the broker has, by its key.
    pub fn range(&self, api: i16) -> Option<(i16, i16)> {
        self.versions.get(&api).copied()
    }

    /// All versions that the broker has, by key.
    pub fn ranges(&self) -> Vec<(i16, i16, i16)> {
        let mut all: Vec<_> =
            self.versions.iter().map(|(key, (first, last))| (*key, *first, *last)).collect();
        all.sort_unstable();
        all
    }

    /// The newest version of a request that both sides know and that is not above `most`.
    ///
    /// # Errors
    /// `UnsupportedVersion`.
    pub fn version<R: Request>(&self, most: i16) -> Result<i16> {
        let code = R::API.code();
        let name = R::NAME.trim_end_matches("Request").to_uppercase();
        let Some((first, last)) = self.range(code) else {
            return Err(ClientError::UnsupportedVersion(format!(
                "The node does not support {name}"
            )));
        };
        let version = last.min(R::LAST_VERSION).min(most);
        if version < first.max(R::FIRST_VERSION) {
            return Err(ClientError::UnsupportedVersion(format!(
                "The node does not support {name} with version in range [{},{}]. The supported \
                 range is [{first},{last}].",
                R::FIRST_VERSION,
                R::LAST_VERSION.min(most)
            )));
        }
        Ok(version)
    }

    /// Sends a request; its answer comes after those of the requests before it.
    ///
    /// # Errors
    /// `Disconnected`, or that the version cannot express it.
    pub fn send<R: Request>(&mut self, request: &R, version: i16, deadline: Instant) -> Result<()> {
        self.send_only(request, version, deadline)?;
        let correlation = self.next_correlation - 1;
        self.waiting.push_back((correlation, R::API, version));
        Ok(())
    }

    /// Sends a request that is not answered.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_only<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        deadline: Instant,
    ) -> Result<()> {
        self.out.clear();
        let correlation = self.next_correlation;
        let client_id = Some(self.client_id.as_str());
        frame::encode_request(&mut self.out, request, version, correlation, client_id)
            .map_err(|error| ClientError::UnsupportedVersion(error.to_string()))?;
        self.next_correlation += 1;
        self.stream.send(&self.out, deadline)
    }

    /// How many answers are to come.
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// The answer to the oldest request, which must be of this kind.
    ///
    /// # Errors
    /// `Disconnected`, `Timeout`, `Interrupted`; the connection is of no use after any of them.
    pub fn receive<M: Message>(&mut self, deadline: Instant) -> Result<M> {
        let (bytes, api, version) = self.next_answer(deadline)?;
        let mut reader = Reader::new(bytes);
        header::decode_response(&mut reader, api, version).map_err(malformed)?;
        M::decode(&mut reader, version).map_err(malformed)
    }

    /// The next answer as it came, and what it answers.
    fn next_answer(&mut self, deadline: Instant) -> Result<(BytesMut, ApiKey, i16)> {
        let bytes = self.next_frame(deadline)?;
        let Some((correlation, api, version)) = self.waiting.pop_front() else {
            return Err(ClientError::Protocol("an answer that was not asked for".to_owned()));
        };
        let got = bytes.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)).unwrap_or(-1);
        if got != correlation {
            return Err(ClientError::Protocol(format!(
                "Correlation id for response ({got}) does not match request ({correlation})"
            )));
        }
        Ok((bytes, api, version))
    }

    fn next_frame(&mut self, deadline: Instant) -> Result<BytesMut> {
        loop {
            let split = frame::split(&mut self.stream.arrived, MAX_FRAME_BYTES);
            match split.map_err(|error| ClientError::Protocol(error.to_string()))? {
                Some(frame) => return Ok(frame),
                None => self.stream.fill(deadline, self.heed_interrupts)?,
            }
        }
    }

    /// Asks and waits for the answer, in the newest version not above `most`.
    ///
    /// # Errors
    /// As `version`, `send` and `receive`.
    pub fn call<R: Request>(
        &mut self,
        most: i16,
        deadline: Instant,
        make: impl Fn(i16) -> R,
    ) -> Result<R::Response> {
        let version = self.version::<R>(most)?;
        self.send(&make(version), version, deadline)?;
        self.receive(deadline)
    }
}

fn malformed(error: DecodeError) -> ClientError {
    ClientError::Protocol(format!("Error reading the response: {error}"))
}
