//! From the first frame to a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use polyport_tree::TreeError;
use polyport_tree::command::Command;
use polyport_tree::replica::{Place, Touch};

use super::answered::Answer;
use super::outbound::{HANDSHAKE, Outbound};
use super::{Happened, Server};
use crate::codec::{ConnectRequest, ConnectResponse, OpCode};

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("malformed connect request: {0}")]
    Malformed(#[from] polyport_wire::DecodeError),
    #[error("the client has seen zxid 0x{client:x} but this server is only at 0x{server:x}")]
    Behind { client: i64, server: i64 },
    #[error("no quorum")]
    NoQuorum,
    #[error("the session did not come about in time")]
    Late,
    #[error("the session has expired")]
    Expired,
    #[error("the session moved on at once")]
    Moved,
    #[error("randomness failed")]
    Randomness,
}

/// A session that is attached to a connection.
pub(super) struct Attached {
    pub(super) session: i64,
    pub(super) timeout: Duration,
    pub(super) touch: Touch,
}

/// Negotiates a session and answers. The refusal of an expired session is answered as well.
pub(super) async fn handshake(
    server: &Server,
    outbound: &Arc<Outbound>,
    body: &[u8],
) -> Result<Attached, Refused> {
    let request = ConnectRequest::decode(body)?;
    let replica = server.replica();
    let settings = server.settings();
    let since = Instant::now();
    server.stats().count(Happened::ConnectionRequest);
    if request.session_id != 0 {
        server.stats().count(Happened::Revalidation);
    }
    if !replica.status().borrow().in_quorum {
        server.stats().count(Happened::NotServing);
        return Err(Refused::NoQuorum);
    }
    let zxid = replica.last_zxid();
    if request.last_zxid_seen > zxid {
        return Err(Refused::Behind { client: request.last_zxid_seen, server: zxid });
    }
    let (min, max) = (settings.min_session_timeout, settings.max_session_timeout);
    let asked = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let timeout_ms = asked.clamp(min, max.max(min)).as_millis() as i32;
    let mut password = [0; 16];
    getrandom::fill(&mut password).map_err(|_| Refused::Randomness)?;
    let command = match request.session_id {
        0 => Command::CreateSession { timeout_ms, password },
        session => Command::Attach { session, password: request.password, timeout_ms },
    };
    // A new session carries its node's number in its own.
    let node = replica.settings().node.0 as i64;
    let who = outbound.who.lock().clone();
    let from = replica.submitter(node, outbound.watcher(), Default::default(), false);
    replica.submit(&mut Place::default(), &from, &command, outbound.clone(), HANDSHAKE);
    replica.flush();
    drop(who);
    let attached = async {
        loop {
            if let Some(attached) = outbound.owed(|owed| owed.attached.take()) {
                return Ok(attached);
            }
            if outbound.owed(|owed| owed.ending.is_some()) {
                return Err(Refused::NoQuorum);
            }
            outbound.wake.notified().await;
        }
    };
    let attached = tokio::time::timeout(settings.handshake_timeout, attached).await;
    let (session, password, timeout_ms) = match attached.map_err(|_| Refused::Late)?? {
        Ok(attached) => attached,
        Err(TreeError::SessionExpired) => {
            answer(outbound, 0, &[0; 16], 0, request.read_only);
            return Err(Refused::Expired);
        }
        Err(_) => return Err(Refused::NoQuorum),
    };
    if !replica.attach(session, outbound.watcher()) {
        return Err(Refused::Moved);
    }
    outbound.session.store(session, Ordering::Release);
    let touch = Touch::default();
    replica.keep_alive(session, touch.clone());
    let bytes = answer(outbound, session, &password, timeout_ms, request.read_only);
    let (op, zxid) = (OpCode::CreateSession.into(), replica.last_zxid());
    outbound.count(&Answer { op, xid: 0, zxid, since, bytes });
    let timeout = Duration::from_millis(timeout_ms.max(0) as u64);
    Ok(Attached { session, timeout, touch })
}

fn answer(
    outbound: &Outbound,
    session_id: i64,
    password: &[u8],
    timeout_ms: i32,
    asked: Option<bool>,
) -> usize {
    let read_only = asked.map(|_| false);
    let response =
        ConnectResponse { protocol_version: 0, timeout_ms, session_id, password, read_only };
    outbound.owed(|owed| {
        let before = owed.bytes.len();
        owed.frame(|out| response.encode(out));
        owed.bytes.len() - before
    })
}
