//! What arrives at the admin and metrics ports, and the certificates that clients show.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use polyport_net::tls::subject;
use polyport_telemetry::http::{self, Handler, Response};

/// Requests on a connection to the admin port: head, query and body.
pub fn http_request(bytes: &[u8]) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = runtime();
    }
    let handler: Handler = Arc::new(|mut request| {
        Box::pin(async move {
            let mut len = 0;
            while let Ok(Some(bytes)) = request.next_bytes().await {
                len += bytes.len();
            }
            // Names that the admin commands look for.
            let asked = request.query("streaming").is_some();
            let proved = request.headers.contains_key("authorization");
            let (path, query) = (&request.path, &request.query);
            Response::ok("text/plain", format!("{path} {query:?} {len} {asked} {proved}"))
        })
    });
    RUNTIME.with(|runtime| {
        let stream = tokio::io::join(bytes, tokio::io::sink());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        // Everything has arrived, the end included: an error is all that may come of it.
        let _ = runtime.block_on(http::serve(stream, peer, Duration::from_secs(1), handler));
    });
}

fn runtime() -> tokio::runtime::Runtime {
    match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => unreachable!("a runtime without I/O needs nothing of the system: {error}"),
    }
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    [
        "GET /commands/stat?traceMask=1022&a=b+c%2Fd&&flag&bad=%zz HTTP/1.1\r\nhost: h\r\n\r\n",
        "POST /commands/restore HTTP/1.1\r\nhost: h\r\nauthorization: digest root:x\r\n\
         content-length: 3\r\n\r\nabcGET /metrics HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /%ff%00/../%2e HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A certificate: its subject becomes an identity.
pub fn x509_subject(bytes: &[u8]) {
    if let Some(subject) = subject(bytes) {
        assert!(!subject.contains('\0'), "{subject:?}");
    }
}

/// An element of DER shorter than 128 bytes.
fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, body.len() as u8], body].concat()
}

pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let attribute = |kind: &[u8], tag, value: &[u8]| {
        der(0x31, &der(0x30, &[der(0x06, kind), der(tag, value)].concat()))
    };
    let name = [
        attribute(&[0x55, 4, 6], 0x13, b"DE"),
        attribute(&[0x55, 4, 3], 0x0c, b" a,b\\"),
        attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], 0x16, b"a@b.c"),
    ]
    .concat();
    let empty = || der(0x30, b"");
    let fields =
        [der(0xa0, &der(0x02, &[2])), der(0x02, &[1]), empty(), empty(), empty(), der(0x30, &name)]
            .concat();
    vec![der(0x30, &der(0x30, &fields))]
}
