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
    #[error("this node leads, and leaves clients to the others (leaderServes)")]
    OnlyLeads,
    #[error("the session did not come about in time")]
    Late,
    #[error("the session has expired")]
    Expired,
    #[error("the session moved on at once")]
    Moved,
    #[error("randomness failed")]
    Randomness,
    #[error("too many new connections (connectionMaxTokens)")]
    Throttled,
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
    if !server.shared.connect_throttle.admits(Instant::now(), rand::random()) {
        return Err(Refused::Throttled);
    }
    let deficit = server.shared.connect_throttle.deficit();
    server.stats().token_deficit().record(deficit.into());
    let replica = server.replica();
    let settings = server.settings();
    let since = Instant::now();
    server.stats().count(Happened::ConnectionRequest);
    if request.session_id != 0 {
        server.stats().count(Happened::Revalidation);
    }
    let status = replica.status().borrow().clone();
    if server.only_leads(&status) {
        server.stats().count(Happened::NotServing);
        return Err(Refused::OnlyLeads);
    }
    let in_quorum = status.in_quorum;
    let may_be_read_only = settings.read_only && request.read_only == Some(true);
    if !in_quorum && !may_be_read_only {
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
    if !in_quorum {
        return serve_read_only(server, outbound, &request, timeout_ms, password);
    }
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
            answer(outbound, 0, &[0; 16], 0, request.read_only.map(|_| false));
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
    let read_only = request.read_only.map(|_| false);
    let bytes = answer(outbound, session, &password, timeout_ms, read_only);
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
    read_only: Option<bool>,
) -> usize {
    let response =
        ConnectResponse { protocol_version: 0, timeout_ms, session_id, password, read_only };
    outbound.owed(|owed| {
        let before = owed.bytes.len();
        owed.frame(|out| response.encode(out));
        owed.bytes.len() - before
    })
}

/// Without a quorum: a known session is served as it is, a new one lives on this node only and
/// ends with its connection.
fn serve_read_only(
    server: &Server,
    outbound: &Arc<Outbound>,
    request: &ConnectRequest<'_>,
    timeout_ms: i32,
    fresh: [u8; 16],
) -> Result<Attached, Refused> {
    let replica = server.replica();
    outbound.read_only.store(true, Ordering::Release);
    // The quorum may have come back before the mark was set.
    if replica.status().borrow().in_quorum {
        return Err(Refused::NoQuorum);
    }
    let (session, password) = match request.session_id {
        0 => {
            let number = server.shared.next_local_session.fetch_add(1, Ordering::Relaxed) as i64;
            // Above all sessions of the log, which count transactions from below.
            let local = 1 << 55 | number & 0x007f_ffff_ffff_ffff;
            ((replica.settings().node.0 as i64) << 56 | local, fresh)
        }
        session => {
            let machine = replica.read();
            let known = machine.sessions().get(&session);
            match known.filter(|known| known.password[..] == *request.password) {
                Some(known) => (session, known.password),
                None => {
                    answer(outbound, 0, &[0; 16], 0, Some(true));
                    return Err(Refused::Expired);
                }
            }
        }
    };
    outbound.session.store(session, Ordering::Release);
    answer(outbound, session, &password, timeout_ms, Some(true));
    let timeout = Duration::from_millis(timeout_ms.max(0) as u64);
    Ok(Attached { session, timeout, touch: Touch::default() })
}
