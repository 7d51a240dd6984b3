//! The connection thread: finds a server, attaches the session, reads until the connection ends,
//! and begins again until the session is closed, expired or refused.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};
use polyport_zookeeper::codec::{
    ConnectRequest, ConnectResponse, ErrorCode, ReplyHeader, Response, WatcherEvent, XID_AUTH,
    XID_NOTIFICATION, XID_PING, XID_SET_WATCHES,
};

use super::shared::{Shared, State};
use super::watches::Watches;
use super::{KeeperState, WatchedEvent};

/// Longest frame that is read from a server, in bytes. Servers keep replies under a few times
/// `jute.maxbuffer`; the bound is against peers that do not speak the protocol.
const MAX_FRAME: usize = 64 << 20;
/// A ping is sent at least this often, however long the session's timeout.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after all servers have been tried.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// How often a read-only connection looks for a writable server: first and at most.
const FIRST_PROBE: Duration = Duration::from_millis(100);
const MAX_PROBE: Duration = Duration::from_secs(60);

/// Why a connection ended.
enum End {
    Lost,
    Expired,
    AuthFailed,
    /// A writable server was found; its index.
    Writable(usize),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Lost
    }
}

impl From<DecodeError> for End {
    fn from(_: DecodeError) -> Self {
        End::Lost
    }
}

pub(super) fn run(shared: Arc<Shared>) {
    let servers = shared.options.connect.servers.len();
    // Clients spread over the servers; which one is tried first needs no better chance than this.
    let mut next = std::process::id() as usize % servers;
    let mut tried = 0;
    loop {
        {
            let mut inner = shared.inner.lock();
            if inner.closing {
                break;
            }
            inner.state = State::Connecting;
        }
        let mut connected = false;
        let end = match attach(&shared, next, &mut connected) {
            Ok(never) => match never {},
            Err(end) => end,
        };
        tried = if connected { 0 } else { tried + 1 };
        let (state, code, event, go_on) = match end {
            End::Lost | End::Writable(_) => {
                (State::Connecting, ErrorCode::CONNECTION_LOSS, KeeperState::Disconnected, true)
            }
            End::Expired => {
                (State::Closed, ErrorCode::SESSION_EXPIRED, KeeperState::Expired, false)
            }
            End::AuthFailed => {
                (State::AuthFailed, ErrorCode::AUTH_FAILED, KeeperState::AuthFailed, false)
            }
        };
        let closing = {
            let mut inner = shared.inner.lock();
            if let Some(stream) = inner.stream.take() {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
            inner.closing
        };
        // Before anyone can see the new state or a failed request: who sees either has the event.
        if !closing {
            shared.deliver(&WatchedEvent::session(event));
        }
        let closing = {
            let mut inner = shared.inner.lock();
            inner.state = state;
            inner.failed_attempts += 1;
            inner.fail_all(code);
            if shared.options.disable_auto_watch_reset {
                inner.watches = Watches::default();
            }
            shared.changed.notify_all();
            inner.closing
        };
        if closing {
            break;
        }
        if !go_on {
            finish(&shared, state, true);
            return;
        }
        next = match end {
            End::Writable(server) => server,
            _ => (next + 1) % servers,
        };
        if tried >= servers {
            tried = 0;
            shared.wait(ROUND_PAUSE, |inner| inner.closing);
        }
    }
    finish(&shared, State::Closed, false);
    shared.deliver(&WatchedEvent::session(KeeperState::Closed));
    shared.inner.lock().finished = true;
    shared.changed.notify_all();
}

fn finish(shared: &Shared, state: State, finished: bool) {
    let mut inner = shared.inner.lock();
    inner.state = state;
    let code = match state {
        State::AuthFailed => ErrorCode::AUTH_FAILED,
        _ => ErrorCode::SESSION_EXPIRED,
    };
    inner.fail_all(code);
    inner.finished = finished;
    shared.changed.notify_all();
}

/// Connects to one server and serves the connection until it ends.
fn attach(
    shared: &Shared,
    server: usize,
    connected: &mut bool,
) -> Result<std::convert::Infallible, End> {
    let options = &shared.options;
    let connect_timeout =
        (options.session_timeout / options.connect.servers.len() as u32).max(MIN_TIMEOUT);
    let mut stream = open(shared, server, connect_timeout)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(connect_timeout))?;
    stream.write_all(&handshake(shared))?;
    let mut frames = Frames { stream, buf: Vec::new() };
    let deadline = Instant::now() + connect_timeout;
    let body = frames.next(deadline)?.ok_or(End::Lost)?;
    let response = ConnectResponse::decode(&body)?;
    if response.timeout_ms <= 0 {
        return Err(End::Expired);
    }
    let read_only = response.read_only.unwrap_or(false);
    if read_only && !options.read_only {
        return Err(End::Lost);
    }
    let timeout = Duration::from_millis(response.timeout_ms.unsigned_abs().into());
    let state = if read_only { State::ConnectedReadOnly } else { State::Connected };
    {
        let mut inner = shared.inner.lock();
        inner.session_id = response.session_id;
        inner.password = response.password.to_vec();
        inner.session_is_real |= !read_only;
        inner.state = state;
    }
    *connected = true;
    // The event comes before any reply. Until the stream is given away, requests wait in line, so
    // none overtakes those that waited for the connection.
    shared.deliver(&WatchedEvent::session(match state {
        State::ConnectedReadOnly => KeeperState::ConnectedReadOnly,
        _ => KeeperState::SyncConnected,
    }));
    {
        let mut inner = shared.inner.lock();
        if inner.closing {
            return Err(End::Lost);
        }
        inner.stream = Some(frames.stream.try_clone()?);
        inner.prime();
    }
    shared.changed.notify_all();
    serve(shared, &mut frames, timeout, read_only.then_some(server))
}

/// Below this no connection can be made on a busy machine.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);

fn open(shared: &Shared, server: usize, timeout: Duration) -> io::Result<TcpStream> {
    let (host, port) = &shared.options.connect.servers[server];
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn handshake(shared: &Shared) -> Vec<u8> {
    let inner = shared.inner.lock();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: inner.last_zxid,
        timeout_ms: i32::try_from(shared.options.session_timeout.as_millis()).unwrap_or(i32::MAX),
        session_id: if inner.session_is_real { inner.session_id } else { 0 },
        password: &inner.password,
        read_only: Some(shared.options.read_only),
    };
    let mut body = Vec::new();
    request.encode(&mut body);
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.put_u32(body.len() as u32);
    frame.extend_from_slice(&body);
    frame
}

/// Reads replies and events; pings when idle; gives up on a server that is silent for two thirds of
/// the session's timeout, so that a third is left to find another.
fn serve(
    shared: &Shared,
    frames: &mut Frames,
    timeout: Duration,
    read_only_server: Option<usize>,
) -> Result<std::convert::Infallible, End> {
    let read_timeout = timeout * 2 / 3;
    let ping_interval = (read_timeout / 2).min(MAX_PING_INTERVAL);
    let mut last_heard = Instant::now();
    let mut probe = read_only_server.map(|server| (server, FIRST_PROBE));
    let mut probe_at = Instant::now() + FIRST_PROBE;
    loop {
        let now = Instant::now();
        let dead_at = last_heard + read_timeout;
        if now >= dead_at {
            return Err(End::Lost);
        }
        let ping_at = {
            let mut inner = shared.inner.lock();
            if now >= inner.last_send + ping_interval {
                inner.ping();
            }
            inner.last_send + ping_interval
        };
        let mut until = dead_at.min(ping_at);
        if let Some((server, interval)) = &mut probe {
            if now >= probe_at {
                *server = (*server + 1) % shared.options.connect.servers.len();
                if is_writable(shared, *server) {
                    return Err(End::Writable(*server));
                }
                *interval = (*interval * 2).min(MAX_PROBE);
                probe_at = Instant::now() + *interval;
            }
            until = until.min(probe_at);
        }
        if let Some(body) = frames.next(until)? {
            last_heard = Instant::now();
            receive(shared, &body)?;
        }
    }
}

/// Asks a server whether it is writable, with the four-letter word for it.
fn is_writable(shared: &Shared, server: usize) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = open(shared, server, ROUND_PAUSE)?;
        stream.set_read_timeout(Some(ROUND_PAUSE))?;
        stream.set_write_timeout(Some(ROUND_PAUSE))?;
        stream.write_all(b"isro")?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"rw")
    };
    ask().unwrap_or(false)
}

fn receive(shared: &Shared, body: &[u8]) -> Result<(), End> {
    let mut cursor = Cursor::new(body);
    let header = ReplyHeader::decode(&mut cursor)?;
    match header.xid {
        XID_PING | XID_SET_WATCHES => Ok(()),
        XID_AUTH if header.err == ErrorCode::AUTH_FAILED => Err(End::AuthFailed),
        XID_AUTH => Ok(()),
        XID_NOTIFICATION => notify(shared, &WatcherEvent::decode(&mut cursor)?, header.zxid),
        _ => reply(shared, header, &mut cursor),
    }
}

fn notify(shared: &Shared, event: &WatcherEvent, zxid: i64) -> Result<(), End> {
    if !shared.inner.lock().watches.fire(event.kind, &event.path) {
        return Ok(());
    }
    let path = shared.options.strip_chroot(&event.path);
    let state = KeeperState::from_number(event.state);
    shared.deliver(&WatchedEvent { state, kind: event.kind, path: Some(path), zxid });
    Ok(())
}

fn reply(shared: &Shared, header: ReplyHeader, cursor: &mut Cursor<'_>) -> Result<(), End> {
    let mut inner = shared.inner.lock();
    // Replies come in the order of the requests; anything else is a broken peer.
    let call = inner.pending.pop_front_if(|call| call.xid == header.xid).ok_or(End::Lost)?;
    inner.last_zxid = inner.last_zxid.max(header.zxid);
    if let Some((registration, path)) = &call.registration {
        inner.watches.register(*registration, path, header.err);
    }
    let result = match header.err {
        ErrorCode::OK => match Response::decode(call.op, cursor) {
            Ok(response) => Ok(response),
            Err(error) => {
                // The caller must hear of it before the connection is given up.
                let _ = call.reply.send(Err(ErrorCode::MARSHALLING_ERROR));
                return Err(error.into());
            }
        },
        code => Err(code),
    };
    drop(inner);
    // A caller that gave up waiting is not an error.
    let _ = call.reply.send(result);
    Ok(())
}

/// Length-prefixed frames from a socket; a timeout in the middle of a frame loses nothing.
struct Frames {
    stream: TcpStream,
    buf: Vec<u8>,
}

impl Frames {
    /// The next frame's body; `None` if the deadline passes first.
    fn next(&mut self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((head, rest)) = self.buf.split_first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*head))
                    .ok()
                    .filter(|length| *length <= MAX_FRAME)
                    .ok_or(io::ErrorKind::InvalidData)?;
                if rest.len() >= length {
                    let body = rest[..length].to_vec();
                    self.buf.drain(..4 + length);
                    return Ok(Some(body));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.buf.extend_from_slice(&chunk[..n]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}
