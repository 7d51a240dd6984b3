use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::BufMut;
use parking_lot::{Condvar, Mutex};
use polyport_zookeeper::codec::jute::Put;
use polyport_zookeeper::codec::request::WatchLists;
use polyport_zookeeper::codec::{
    ErrorCode, OpCode, Request, RequestHeader, Response, XID_AUTH, XID_PING, XID_SET_WATCHES,
};

use super::watches::{Registration, Watches};
use super::{ClientOptions, KeeperState, WatchedEvent};

/// The connection's state: `ZooKeeper.States`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Connecting,
    Connected,
    ConnectedReadOnly,
    Closed,
    AuthFailed,
}

impl State {
    /// Whether requests have a chance: the session is neither closed nor refused.
    pub fn is_alive(self) -> bool {
        !matches!(self, Self::Closed | Self::AuthFailed)
    }

    /// Whether a connection stands.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedReadOnly)
    }

    /// The name that ZooKeeper's command line shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::ConnectedReadOnly => "CONNECTEDREADONLY",
            Self::Closed => "CLOSED",
            Self::AuthFailed => "AUTH_FAILED",
        }
    }
}

pub(super) type Reply = Result<Response, ErrorCode>;

/// A request whose reply is awaited.
pub(super) struct Call {
    pub xid: i32,
    pub op: OpCode,
    /// The watch to note when the reply comes, with the path as the server knows it.
    pub registration: Option<(Registration, String)>,
    pub reply: Sender<Reply>,
}

/// The session and what is outstanding on it.
pub(super) struct Inner {
    pub state: State,
    pub closing: bool,
    /// Whether the connection thread has ended.
    pub finished: bool,
    /// Connection attempts that have failed.
    pub failed_attempts: u64,
    /// The write half; present once the handshake is done.
    pub stream: Option<TcpStream>,
    pub next_xid: i32,
    /// Requests made while there was no connection.
    pub queued: VecDeque<(Call, Vec<u8>)>,
    /// Requests sent, in the order that their replies must come.
    pub pending: VecDeque<Call>,
    pub auths: Vec<(String, Option<Vec<u8>>)>,
    pub watches: Watches,
    pub last_zxid: i64,
    pub session_id: i64,
    pub password: Vec<u8>,
    /// A session given by a read-only server is not known to the ensemble.
    pub session_is_real: bool,
    pub last_send: Instant,
    last_session_event: KeeperState,
}

pub(super) struct Shared {
    pub inner: Mutex<Inner>,
    /// Signalled when the state changes, an attempt fails or the thread ends.
    pub changed: Condvar,
    pub options: ClientOptions,
    watcher: Box<dyn Fn(&WatchedEvent) + Send + Sync>,
}

/// `setWatches` may carry many paths; the Java client splits them at this many bytes so that a
/// frame stays far below `jute.maxbuffer`.
const SET_WATCHES_BYTES: usize = 128 * 1024;

/// The first xid of a session; the Java client starts at 1 too.
const FIRST_XID: i32 = 1;

impl Shared {
    pub fn new(options: ClientOptions, watcher: Box<dyn Fn(&WatchedEvent) + Send + Sync>) -> Self {
        let inner = Inner {
            state: State::Connecting,
            closing: false,
            finished: false,
            failed_attempts: 0,
            stream: None,
            next_xid: FIRST_XID,
            queued: VecDeque::new(),
            pending: VecDeque::new(),
            auths: Vec::new(),
            watches: Watches::default(),
            last_zxid: 0,
            session_id: 0,
            password: vec![0; 16],
            session_is_real: false,
            last_send: Instant::now(),
            last_session_event: KeeperState::Disconnected,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), options, watcher }
    }

    /// Tells the watcher; must be called without the lock. A session state is told once.
    pub fn deliver(&self, event: &WatchedEvent) {
        if event.path.is_none() {
            let mut inner = self.inner.lock();
            if inner.last_session_event == event.state {
                return;
            }
            inner.last_session_event = event.state;
        }
        (self.watcher)(event);
    }

    /// Sends a request, or queues it until there is a connection.
    pub fn submit(
        &self,
        request: &Request<'_>,
        registration: Option<(Registration, String)>,
    ) -> Receiver<Reply> {
        let (reply, receiver) = channel();
        let mut inner = self.inner.lock();
        let xid = inner.next_xid;
        inner.next_xid = xid.checked_add(1).unwrap_or(FIRST_XID);
        let call = Call { xid, op: request.op(), registration, reply };
        let mut frame = Vec::new();
        request.encode_frame(xid, &mut frame);
        let refused = match inner.state {
            State::AuthFailed => Some(ErrorCode::AUTH_FAILED),
            State::Closed => Some(ErrorCode::SESSION_EXPIRED),
            _ if inner.closing && call.op != OpCode::CloseSession => {
                Some(ErrorCode::CONNECTION_LOSS)
            }
            _ => None,
        };
        match refused {
            // The receiver is still ours, so sending cannot fail.
            Some(code) => drop(call.reply.send(Err(code))),
            None if inner.stream.is_some() => {
                inner.pending.push_back(call);
                inner.write(&frame);
            }
            None => inner.queued.push_back((call, frame)),
        }
        receiver
    }

    /// Adds credentials to the session: sent now if connected, and after every reconnection.
    pub fn add_auth(&self, scheme: &str, auth: Option<Vec<u8>>) {
        let mut inner = self.inner.lock();
        if !inner.state.is_alive() {
            return;
        }
        if inner.stream.is_some() {
            let mut frame = Vec::new();
            encode_auth(scheme, auth.as_deref(), &mut frame);
            inner.write(&frame);
        }
        inner.auths.push((scheme.to_owned(), auth));
    }

    /// Waits until the state satisfies `until`, at most `timeout`.
    pub fn wait(&self, timeout: Duration, until: impl Fn(&Inner) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = self.inner.lock();
        while !until(&inner) {
            if self.changed.wait_until(&mut inner, deadline).timed_out() {
                return until(&inner);
            }
        }
        true
    }
}

/// Credentials may be null, which servers refuse, while empty ones may pass as an empty name.
fn encode_auth(scheme: &str, auth: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    RequestHeader { xid: XID_AUTH, op: OpCode::Auth.into() }.encode(&mut body);
    body.put_i32(0);
    body.put_ustring(scheme);
    body.put_opt_buffer(auth);
    out.put_u32(body.len() as u32);
    out.extend_from_slice(&body);
}

impl Inner {
    /// Writes a frame. A failure closes the connection, which its reader notices.
    pub fn write(&mut self, frame: &[u8]) {
        self.last_send = Instant::now();
        if let Some(stream) = &mut self.stream
            && stream.write_all(frame).is_err()
        {
            // An error here means that it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn ping(&mut self) {
        let mut frame = Vec::new();
        Request::Ping.encode_frame(XID_PING, &mut frame);
        self.write(&frame);
    }

    /// What a new connection is told before anything else: credentials, watches, then the requests
    /// that waited for it.
    pub fn prime(&mut self) {
        let mut out = Vec::new();
        for (scheme, auth) in &self.auths {
            encode_auth(scheme, auth.as_deref(), &mut out);
        }
        self.encode_watches(&mut out);
        for (call, frame) in self.queued.drain(..) {
            out.extend_from_slice(&frame);
            self.pending.push_back(call);
        }
        if !out.is_empty() {
            self.write(&out);
        }
    }

    fn encode_watches(&self, out: &mut Vec<u8>) {
        let watches = &self.watches;
        let sets = [
            &watches.data,
            &watches.exist,
            &watches.child,
            &watches.persistent,
            &watches.persistent_recursive,
        ];
        let mut all =
            sets.into_iter().enumerate().flat_map(|(i, set)| set.iter().map(move |p| (i, p)));
        loop {
            let mut lists: [Vec<&str>; 5] = Default::default();
            let mut bytes = 0;
            for (list, path) in all.by_ref() {
                lists[list].push(path);
                bytes += path.len() + 4;
                if bytes >= SET_WATCHES_BYTES {
                    break;
                }
            }
            if bytes == 0 {
                return;
            }
            let [data, exist, child, persistent, persistent_recursive] = lists;
            let newer = !persistent.is_empty() || !persistent_recursive.is_empty();
            let lists = WatchLists {
                relative_zxid: self.last_zxid,
                data,
                exist,
                child,
                persistent,
                persistent_recursive,
            };
            // Servers before 3.6 know only the older request.
            let request =
                if newer { Request::SetWatches2(lists) } else { Request::SetWatches(lists) };
            request.encode_frame(XID_SET_WATCHES, out);
        }
    }

    /// Fails everything outstanding.
    pub fn fail_all(&mut self, code: ErrorCode) {
        let queued = self.queued.drain(..).map(|(call, _)| call);
        for call in self.pending.drain(..).chain(queued) {
            // A caller that gave up waiting is not an error.
            let _ = call.reply.send(Err(code));
        }
    }
}
