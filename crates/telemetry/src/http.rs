//! A small HTTP/1.1 shell: one task a connection, one function a server.

mod body;
mod patient;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
pub use hyper::{Method, StatusCode, header::HeaderMap};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use patient::Patient;

pub use body::Body;

/// Largest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Connections at once; more are closed at once.
const MAX_CONNECTIONS: usize = 256;

/// A request. Its body is read by whoever wants it.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub peer: SocketAddr,
    /// GET, POST …
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// Names and values after the question mark, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    /// How long the next bytes of the body are waited for.
    patience: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Content type; empty for none.
    pub content_type: &'static str,
    /// Other headers, their names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Body,
}

impl Response {
    /// An answer with status 200.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }

    /// Any answer; an empty content type is none.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: Body::whole(body) }
    }

    /// An answer that is its status, in words.
    pub fn status(status: StatusCode) -> Self {
        let text = status.canonical_reason().unwrap_or_default();
        Self::new(status, "text/plain; charset=utf-8", text)
    }
}

impl Request {
    /// The value of a name of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The next bytes of the body, in pieces as they come; none at its end.
    ///
    /// # Errors
    /// If the body breaks off, is malformed, or nothing comes for as long as a connection may be idle.
    pub async fn next_bytes(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let next = tokio::time::timeout(self.patience, self.body.frame()).await?;
            match next.transpose().map_err(io::Error::other)? {
                None => return Ok(None),
                // Trailers say nothing here.
                Some(frame) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => {}
                },
            }
        }
    }
}

/// What answers.
pub type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A handler from a function that computes. It gets one request at a time, on a thread where it keeps
/// nobody else from running: whoever asks for page after page slows down pages, not the server.
pub fn handler(answer: impl Fn(Request) -> Response + Send + Sync + 'static) -> Handler {
    let (answer, turn) = (Arc::new(answer), Arc::new(Semaphore::new(1)));
    Arc::new(move |request| {
        let (answer, turn) = (answer.clone(), turn.clone());
        Box::pin(async move {
            // The semaphore is never closed.
            let _turn = turn.acquire().await;
            let computed = tokio::task::spawn_blocking(move || answer(request)).await;
            computed.unwrap_or_else(|error| {
                tracing::error!(%error, "a page could not be made");
                Response::status(StatusCode::INTERNAL_SERVER_ERROR)
            })
        })
    })
}

/// Serves at `address` until the process ends; `what` names the port in messages. `idle`: how long
/// a connection may take for a request's head before it is closed, how long for the next bytes of its
/// body, and how long it may go without taking anything of its answer.
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
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
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
            if let Err(error) = serve(stream, peer, idle, handler).await {
                tracing::debug!(%error, what, "connection ended");
            }
            drop(counted);
        });
    }
}

/// Answers the requests of one connection.
///
/// # Errors
/// What ended the connection before its time.
#[doc(hidden)]
pub async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    idle: Duration,
    handler: Handler,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request| answer(request, peer, idle, handler.clone()));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, idle)), service)
        .await
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    idle: Duration,
    handler: Handler,
) -> Result<hyper::Response<Body>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let request = Request {
        peer,
        patience: idle,
        method: parts.method,
        path: decode(parts.uri.path(), false),
        query: query(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
    };
    let response = handler(request).await;
    let mut answer = hyper::Response::new(response.body);
    *answer.status_mut() = response.status;
    if !response.content_type.is_empty() {
        let content_type = HeaderValue::from_static(response.content_type);
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().append(HeaderName::from_static(name), value);
        }
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

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const IDLE: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that reads the body before it answers.
    async fn server() -> SocketAddr {
        let handler: Handler = Arc::new(|mut request| {
            Box::pin(async move {
                loop {
                    match request.next_bytes().await {
                        Ok(Some(_)) => {}
                        Ok(None) => return Response::ok("text/plain", "x"),
                        Err(_) => return Response::status(StatusCode::REQUEST_TIMEOUT),
                    }
                }
            })
        });
        listen("test", "127.0.0.1:0", IDLE, handler).await.unwrap()
    }

    /// All that is sent until the connection ends.
    async fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
        let mut all = Vec::new();
        // A reset is an end as well.
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all));
        let _ = read.await.expect("the connection ends");
        all
    }

    #[tokio::test]
    async fn a_slow_head_or_body_does_not_hold_its_place() {
        let port = server().await;
        let declared = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n1";
        let chunked = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\n1";
        for said in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: h\r\n", declared, chunked] {
            let mut stream = TcpStream::connect(port).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let answer = to_the_end(&mut stream).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(!answer.contains(" 200 "), "{said}: {answer}");
        }
    }

    /// On a runtime with one thread, a page that takes its time leaves that thread to others, and
    /// pages wait for each other.
    #[tokio::test]
    async fn pages_are_made_one_at_a_time_beside_everything_else() {
        let (asked, mut arrived) = tokio::sync::mpsc::unbounded_channel();
        let (go, gate) = tokio::sync::mpsc::channel(2);
        let gate = tokio::sync::Mutex::new(gate);
        let handler = handler(move |_| {
            asked.send(()).unwrap();
            gate.blocking_lock().blocking_recv().unwrap();
            Response::ok("text/plain", "page")
        });
        let port = listen("test", "127.0.0.1:0", PATIENCE, handler).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(port).await.unwrap();
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            streams.push(stream);
        }
        // The first page is being made, and yet this thread goes on; the second waits.
        arrived.recv().await.unwrap();
        assert!(arrived.try_recv().is_err());
        go.send(()).await.unwrap();
        arrived.recv().await.unwrap();
        go.send(()).await.unwrap();
        for stream in &mut streams {
            assert!(to_the_end(stream).await.ends_with(b"page"));
        }
    }

    #[tokio::test]
    async fn a_page_that_fails_is_an_error_and_no_more() {
        let handler = handler(|request| match request.path.as_str() {
            "/bad" => panic!("on purpose"),
            _ => Response::ok("text/plain", "page"),
        });
        let port = listen("test", "127.0.0.1:0", PATIENCE, handler).await.unwrap();
        for (path, status) in [("/bad", " 500 "), ("/good", " 200 ")] {
            let mut stream = TcpStream::connect(port).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
            let answer = to_the_end(&mut stream).await;
            assert!(String::from_utf8_lossy(&answer).contains(status));
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let port = server().await;
        let mut stream = TcpStream::connect(port).await.unwrap();
        let (mut read, mut write) = stream.split();
        let endless = async {
            let mut sent = write.write_all(b"GET / HTTP/1.1\r\n").await;
            while sent.is_ok() {
                sent = write.write_all(format!("x: {}\r\n", "y".repeat(1000)).as_bytes()).await;
            }
            std::future::pending::<()>().await;
        };
        let end = async { while read.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {} };
        tokio::select! {
            () = endless => {}
            end = tokio::time::timeout(PATIENCE, end) => end.expect("the connection ends"),
        }
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            query("traceMask=1022&a=b+c%2Fd&&flag&bad=%zz"),
            [("traceMask", "1022"), ("a", "b c/d"), ("flag", ""), ("bad", "%zz")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    /// What a server that answers with `handler` says to these bytes, until it hangs up.
    async fn exchange(handler: Handler, request: Vec<u8>) -> Vec<u8> {
        use std::io::{Read, Write};
        let idle = Duration::from_secs(20);
        let address = listen("test", "127.0.0.1:0", idle, handler).await.unwrap();
        let client = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(idle)).unwrap();
            stream.write_all(&request).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        });
        client.await.unwrap()
    }

    /// Gives a request's body back, which is said to be `missing` bytes longer than it is.
    fn echo(missing: u64) -> Handler {
        Arc::new(move |mut request| {
            Box::pin(async move {
                let mut body = Vec::new();
                while let Some(bytes) = request.next_bytes().await.unwrap() {
                    body.push(bytes);
                }
                let len = body.iter().map(|bytes| bytes.len() as u64).sum::<u64>() + missing;
                let (sender, pieces) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    for bytes in body {
                        sender.send(bytes).await.unwrap();
                    }
                });
                let headers = vec![("x-from", request.peer.ip().to_string())];
                let body = Body::stream(len, pieces);
                Response { headers, body, ..Response::ok("application/octet-stream", "") }
            })
        })
    }

    #[tokio::test]
    async fn bodies_of_any_size_come_and_go_in_pieces() {
        let sent = vec![b'x'; 3 << 20];
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            sent.len()
        );
        let request = [head.as_bytes(), &sent].concat();
        let answer = exchange(echo(0), request.clone()).await;
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-length: 3145728") && head.contains("x-from: 127.0.0.1"));
        assert_eq!(answer[at + 4..], sent);
        // Less than was promised ends with the connection, and not as if it were all.
        let answer = exchange(echo(1), request).await;
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase();
        assert!(head.contains("content-length: 3145729"), "{head}");
        assert!(answer.len() - at - 4 < 3_145_729);
    }
}
