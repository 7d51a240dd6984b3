//! A small HTTP/1.1 shell: one task a connection, one function a server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
pub use hyper::{Method, StatusCode, header::HeaderMap};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// Largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// Connections at once; more are closed at once.
const MAX_CONNECTIONS: usize = 256;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST …
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// Names and values after the question mark, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Content type; empty for none.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl Response {
    /// An answer with status 200.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// An answer that is its status, in words.
    pub fn status(status: StatusCode) -> Self {
        let text = status.canonical_reason().unwrap_or_default();
        Self { status, content_type: "text/plain; charset=utf-8", body: text.into() }
    }
}

impl Request {
    /// The value of a name of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What answers.
pub type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A handler from a function that need not wait.
pub fn handler(answer: impl Fn(Request) -> Response + Send + Sync + 'static) -> Handler {
    Arc::new(move |request| {
        let response = answer(request);
        Box::pin(async move { response })
    })
}

/// Serves at `address` until the process ends; `what` names the port in messages. `idle`: how long
/// a connection may take for a request, header and all, before it is closed.
///
/// # Errors
/// If the address is taken or not ours.
pub async fn listen(
    what: &'static str,
    address: &str,
    idle: Duration,
    handler: Handler,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{what} port {address}: {error}")))?;
    let local = listener.local_addr()?;
    tokio::spawn(accept(what, listener, idle, handler));
    Ok(local)
}

async fn accept(what: &'static str, listener: TcpListener, idle: Duration, handler: Handler) {
    let connections = Arc::new(());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, what, "the port cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if Arc::strong_count(&connections) > MAX_CONNECTIONS {
            tracing::warn!(what, "too many connections");
            continue;
        }
        let (handler, counted) = (handler.clone(), connections.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, handler.clone()));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(idle)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, what, "connection ended");
            }
            drop(counted);
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    handler: Handler,
) -> Result<hyper::Response<Full<Bytes>>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let response = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => {
            let request = Request {
                method: parts.method,
                path: decode(parts.uri.path(), false),
                query: query(parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                body: body.to_bytes(),
            };
            handler(request).await
        }
        Err(_) => Response::status(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let mut answer = hyper::Response::new(Full::new(response.body));
    *answer.status_mut() = response.status;
    if !response.content_type.is_empty() {
        let content_type = HeaderValue::from_static(response.content_type);
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    Ok(answer)
}

fn query(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// RFC 3986, 2.1; in a query a plus is a blank.
fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                bytes.push(value as u8);
                rest = after;
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            query("traceMask=1022&a=b+c%2Fd&&flag&bad=%zz"),
            [("traceMask", "1022"), ("a", "b c/d"), ("flag", ""), ("bad", "%zz")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
