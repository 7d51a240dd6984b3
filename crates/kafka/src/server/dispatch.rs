//! From a request's bytes to its handler, and from the answer to bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use polyport_kafka_codec::header::RequestHeader;
use polyport_kafka_codec::{ApiKey, Reader, frame};

use super::connection::{Client, Ended, Later};
use super::handler::{self, api_versions};
use super::response::Response;
use super::served;
use super::throttle::timed;
use crate::broker::Broker;

/// What becomes of a request.
pub(super) enum Handled {
    /// It is answered.
    Answer(Response),
    /// It wants no answer.
    Nothing {
        /// For how long the client is not listened to.
        throttle: Duration,
    },
    /// It was begun in its turn and is answered later, and counts itself as answered then.
    Later(Later),
}

/// A request and everything around it that handlers look at.
pub(super) struct Call {
    pub(super) broker: Arc<Broker>,
    pub(super) client: Client,
    pub(super) header: RequestHeader,
    /// When the whole request was there.
    pub(super) began: Instant,
    /// How long the request was, without its length.
    pub(super) size_bytes: u64,
}

impl Call {
    /// The version of the request, and of its answer.
    pub(super) fn version(&self) -> i16 {
        self.header.api_version
    }

    /// An answer as bytes, whose client is told that it is throttled, and is.
    ///
    /// # Errors
    /// If the version cannot express it, which is a mistake of the handler: the client is left, with
    /// a line that says why.
    pub(super) fn encode<R: polyport_kafka_codec::Response>(
        &self,
        mut response: R,
        throttle_ms: i32,
    ) -> Result<Response, Ended> {
        if throttle_ms > 0 {
            response.set_throttle_time_ms(throttle_ms);
        }
        let (version, correlation) = (self.version(), self.header.correlation_id);
        let mut bytes = Vec::new();
        frame::encode_response(&mut bytes, &response, version, correlation)?;
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        Ok(Response { throttle, ..Response::bytes(bytes) })
    }
}

impl Broker {
    /// Handles a request, or begins it.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) async fn dispatch(
        self: &Arc<Self>,
        client: &mut Client,
        frame: BytesMut,
    ) -> Result<Handled, Ended> {
        let began = Instant::now();
        let size_bytes = frame.len() as u64;
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader)?;
        let (key, version) = (header.api_key, header.api_version);
        let call = Call { broker: self.clone(), client: client.clone(), header, began, size_bytes };
        if !served::serves(key, version) {
            if key == ApiKey::ApiVersions {
                return api_versions::unsupported(&call).map(Handled::Answer);
            }
            return Err(Ended::NotServed { api: key.name(), version });
        }
        if !call.is_judged() {
            return Err(Ended::Refused("an API that is not for clients where access is judged"));
        }
        let requests = &self.stats.requests;
        requests.count(key);
        let handled = handler::handle(call, reader).await?;
        if key == ApiKey::Produce {
            requests.worked(key, began.elapsed());
        }
        if !matches!(handled, Handled::Later(_)) {
            requests.answered(key, began.elapsed());
        }
        Ok(handled)
    }
}

/// Decodes a request, lets `handle` make the answer, and encodes it.
pub(super) async fn answer<R, H>(
    call: Call,
    mut reader: Reader,
    handle: H,
) -> Result<Handled, Ended>
where
    R: polyport_kafka_codec::Request,
    H: AsyncFnOnce(&Call, R) -> R::Response,
{
    let request = R::decode(&mut reader, call.version())?;
    // The frame is not needed any more, and a handler may take long.
    drop(reader);
    let (response, worked) = timed(handle(&call, request)).await;
    let throttle_ms = match R::API {
        // What keeps transactions going is nobody's to pay for.
        ApiKey::WriteTxnMarkers => 0,
        _ => call.used_time(worked),
    };
    call.encode(response, throttle_ms).map(Handled::Answer)
}
