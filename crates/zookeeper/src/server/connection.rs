//! One connection: bytes in, requests to the tree in their order, bytes out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use polyport_tree::TreeError;
use polyport_tree::access;
use polyport_tree::replica::{Place as BatchPlace, View};
use polyport_wire::Cursor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::accept::Peer;
use super::answered::Answer;
use super::counters::Counters;
use super::handshake::{Attached, Refused, handshake};
use super::load::{Place, Turn};
use super::outbound::{Ending, Outbound, Queued, Write};
use super::{Connected, Happened, Server, authenticate, eager, four_letter, read, reconfig, write};
use crate::audit;
use crate::auth::Identities;
use crate::codec::{ErrorCode, OpCode, ReplyHeader, Request, RequestHeader};
use crate::sasl::DigestMd5;

/// Bytes owed beyond which nothing more is read from the client.
const HIGH_WATER: usize = 1 << 20;
/// Room made for each read from the socket.
const READ_BYTES: usize = 16 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("frame of {0} bytes (jute.maxbuffer is {1})")]
    FrameLength(i64, usize),
    #[error("request of {0} bytes while too many large ones are under way (largeRequestMaxBytes)")]
    LargeRequest(usize),
    #[error("its requests waited longer than its session's timeout")]
    Stale,
    #[error("the client closed the connection")]
    Hangup,
    #[error("{0:?}")]
    By(Ending),
    #[error("the client stopped reading")]
    Stalled,
}

pub(super) struct Connection<'a, S> {
    pub(super) server: &'a Server,
    stream: S,
    input: BytesMut,
    output: Vec<u8>,
    pub(super) outbound: Arc<Outbound>,
    counters: Arc<Counters>,
    pub(super) batch_place: BatchPlace,
    pub(super) peer: Peer,
    pub(super) sasl: Option<DigestMd5>,
    attached: Option<Attached>,
    /// A reconfig request that waits for those before it; nothing after it begins before it ends.
    barrier: Option<Bytes>,
    /// Since when a whole request waits for its turn.
    held_since: Option<Instant>,
    /// Its place among the connections of which that is true.
    place: Option<Place>,
    /// The client hung up, which makes the requests that are left stale.
    gone: bool,
}

/// Serves a connection until it ends.
pub(super) async fn serve<S>(server: Server, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let settings = server.settings();
    let who = authenticate::arrives(settings, &peer);
    let address = peer.address;
    let outbound = Arc::new(Outbound::new(who, server.stats().clone(), settings.max_unread));
    let watcher = server.replica().subscribe(outbound.clone());
    // Set once, here.
    let _ = outbound.watcher.set(watcher);
    let counters = outbound.counters.clone();
    let secure = peer.secure;
    let id = server.register(Connected { peer: address, secure, outbound: outbound.clone() });
    let mut connection = Connection {
        server: &server,
        stream,
        input: BytesMut::new(),
        output: Vec::new(),
        outbound,
        counters,
        batch_place: BatchPlace::default(),
        peer,
        sasl: None,
        attached: None,
        barrier: None,
        held_since: None,
        place: None,
        gone: false,
    };
    let ended = connection.run().await;
    let limits = &settings.limits;
    let drops = limits.drop_stale && limits.stale_by_connection;
    let gone = matches!(ended, Err(Ended::Hangup | Ended::Io(_)));
    if drops && gone && connection.held_since.is_some() {
        // It went while its requests waited for their turn.
        server.stats().count(Happened::StaleDropped);
    }
    let session = connection.attached.as_ref().map_or(0, |attached| attached.session);
    if session != 0 {
        server.stats().count(Happened::ConnectionDropped);
    }
    if let Err(ended) = ended {
        let session = format!("0x{session:x}");
        match ended {
            Ended::FrameLength(..)
            | Ended::LargeRequest(_)
            | Ended::Stale
            | Ended::Refused(_)
            | Ended::By(Ending::TooSlow | Ending::TooLong)
            | Ended::Stalled => {
                tracing::warn!(peer = %address, session, reason = %ended, "connection closed");
            }
            _ => tracing::debug!(peer = %address, session, reason = %ended, "connection closed"),
        }
    }
    if session != 0 {
        server.replica().forget_if(session, watcher);
    }
    server.replica().unsubscribe(watcher);
    server.unregister(id);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run(&mut self) -> Result<(), Ended> {
        let greeted = tokio::time::timeout_at(self.peer.deadline, self.greet()).await;
        match greeted {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(ended)) => {
                // A refusal may have been written down.
                self.flush().await?;
                return Err(ended);
            }
            Err(_) => {
                self.server.stats().count(Happened::SessionlessExpired);
                return Err(Refused::Late.into());
            }
        }
        let outbound = self.outbound.clone();
        let server = self.server.clone();
        loop {
            // Heard from before it is looked whether there is still something to wait for.
            let calm = server.shared.load.calm.notified();
            let turn = self.requests()?;
            self.flush().await?;
            if self.barrier.is_some() {
                if self.outbound.owed(|owed| owed.queue.is_empty()) {
                    self.reconfig().await?;
                } else {
                    outbound.wake.notified().await;
                }
                continue;
            }
            let draining = self.outbound.draining.load(Ordering::Acquire);
            if draining && self.is_done() {
                self.outbound.end(Ending::Interrupted);
                continue;
            }
            if turn == Turn::Go && self.has_frame() && self.wants_input() {
                // Held up by answers, which are gone now.
                continue;
            }
            let stall = server.settings().limits.throttle_stall.max(Duration::from_millis(1));
            if turn == Turn::WhenCalm {
                server.stats().count(Happened::ThrottleWait);
            }
            // While the node is too busy, hanging up is still heard, within this much.
            let reads = match turn {
                _ if draining => false,
                Turn::Go => self.wants_input(),
                Turn::AfterOwn => false,
                Turn::WhenCalm => self.input.len() < HIGH_WATER,
            };
            if reads {
                self.input.reserve(READ_BYTES);
            }
            tokio::select! {
                read = self.stream.read_buf(&mut self.input), if reads => {
                    if read? == 0 {
                        return self.hung_up(turn).await;
                    }
                    // What it said whole has to wait for its turn; that is not the client's silence.
                    // A request in drops is.
                    if turn == Turn::WhenCalm
                        && let Some(attached) = &self.attached
                    {
                        attached.touch.set();
                    }
                }
                () = outbound.wake.notified() => {}
                () = calm, if turn == Turn::WhenCalm => {}
                () = tokio::time::sleep(stall), if turn == Turn::WhenCalm => {}
            }
        }
    }

    /// The client hung up. What it asked before is still done, unless it is stale.
    async fn hung_up(&mut self, mut turn: Turn) -> Result<(), Ended> {
        let limits = &self.server.settings().limits;
        let stale = limits.drop_stale && limits.stale_by_connection;
        self.gone = limits.stale_by_connection;
        let load = self.server.shared.load.clone();
        while turn == Turn::WhenCalm && !stale {
            // Heard from before it is looked whether there is still something to wait for.
            let calm = load.calm.notified();
            turn = self.requests()?;
            if turn == Turn::WhenCalm {
                self.server.stats().count(Happened::ThrottleWait);
                let stall = limits.throttle_stall.max(Duration::from_millis(1));
                let _ = tokio::time::timeout(stall, calm).await;
            }
        }
        Err(Ended::Hangup)
    }

    /// The first frame: a four-letter word (false: answered, done) or the handshake.
    async fn greet(&mut self) -> Result<bool, Ended> {
        self.fill(4).await?;
        if let Some(word) = four_letter::word(&self.input) {
            if word == "stmk" {
                self.fill(four_letter::STMK_BYTES).await?;
            }
            self.server.stats().received(1);
            self.counters.received.fetch_add(1, Ordering::Relaxed);
            // Some lists are long; whoever asks for them keeps nobody else from running.
            let (server, input) = (self.server.clone(), self.input.clone());
            let secure = self.peer.secure;
            let answer = move || four_letter::answer(&server, word, &input, secure);
            let answer = tokio::task::spawn_blocking(answer).await.map_err(io::Error::other)?;
            self.server.stats().sent();
            self.stream.write_all(answer.as_bytes()).await?;
            self.stream.flush().await?;
            self.stream.shutdown().await?;
            return Ok(false);
        }
        let frame = loop {
            if let Some(frame) = self.frame()? {
                break frame;
            }
            let more = self.input.len() + 1;
            self.fill(more).await?;
        };
        self.server.stats().received(1);
        self.server.stats().received_bytes(frame.len());
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        let attached = handshake(self.server, &self.outbound, &frame).await?;
        let timeout_ms = attached.timeout.as_millis() as u64;
        self.counters.timeout_ms.store(timeout_ms, Ordering::Relaxed);
        self.attached = Some(attached);
        Ok(true)
    }

    async fn fill(&mut self, len: usize) -> Result<(), Ended> {
        while self.input.len() < len {
            self.input.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Ended::Hangup);
            }
        }
        Ok(())
    }

    /// Takes a whole frame (without its length) from the input, if there is one.
    fn frame(&mut self) -> Result<Option<Bytes>, Ended> {
        if self.input.len() < 4 {
            return Ok(None);
        }
        let len = i32::from_be_bytes([self.input[0], self.input[1], self.input[2], self.input[3]]);
        let max = self.server.settings().max_frame;
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= max) else {
            return Err(Ended::FrameLength(len.into(), max));
        };
        // Before its bytes are taken in.
        if !self.server.shared.load.takes(len) {
            self.server.stats().count(Happened::LargeRejected);
            return Err(Ended::LargeRequest(len));
        }
        if self.input.len() < 4 + len {
            return Ok(None);
        }
        self.input.advance(4);
        Ok(Some(self.input.split_to(len).freeze()))
    }

    fn has_frame(&self) -> bool {
        self.input.first_chunk().is_some_and(|len| {
            // A negative length is to be looked at as well.
            let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or_default();
            self.input.len() >= 4 + len
        })
    }

    /// Whether no request that has come whole waits for anything.
    fn is_done(&self) -> bool {
        !self.has_frame() && self.outbound.owed(|owed| owed.queue.is_empty())
    }

    fn wants_input(&self) -> bool {
        let settings = self.server.settings();
        self.outbound.owed(|owed| {
            owed.ending.is_none()
                && owed.bytes.len() < HIGH_WATER
                && owed.queue.len() < settings.max_queued
                && owed.queued_bytes < settings.limits.queued_bytes
        })
    }

    /// Handles all whole frames whose turn it is.
    fn requests(&mut self) -> Result<Turn, Ended> {
        let (mut count, mut bytes) = (0, 0);
        let mut turn = Turn::Go;
        let mut held = None;
        while self.barrier.is_none() && self.wants_input() {
            let own = self.outbound.owed(|owed| !owed.queue.is_empty());
            turn = match self.has_frame() {
                true => self.server.shared.load.turn(own, &mut self.place),
                false => Turn::Go,
            };
            if turn != Turn::Go {
                break;
            }
            let Some(frame) = self.frame()? else {
                self.held_since = None;
                break;
            };
            self.check_age()?;
            if self.gone {
                self.server.stats().count(Happened::Stale);
            }
            if count == 0 {
                held = self.held_since.map(|since| since.elapsed());
            }
            count += 1;
            bytes += frame.len();
            self.request(frame);
        }
        if turn == Turn::WhenCalm {
            self.held_since.get_or_insert_with(Instant::now);
        } else {
            // It may wait for something else, and nobody is to wait for it.
            self.place = None;
        }
        if count > 0 {
            // Those behind one that waited came no earlier than they could be read.
            let stats = self.server.stats();
            stats.waited(held, count - u64::from(held.is_some()));
            if let Some(attached) = &self.attached {
                attached.touch.set();
            }
            self.server.stats().received(count);
            self.server.stats().received_bytes(bytes);
            self.counters.received.fetch_add(count, Ordering::Relaxed);
            self.server.replica().flush();
            self.server.shared.load.call();
        }
        Ok(turn)
    }

    /// A request that waited longer than its session lives is not worth doing.
    fn check_age(&self) -> Result<(), Ended> {
        let limits = &self.server.settings().limits;
        let (Some(since), Some(attached)) = (self.held_since, &self.attached) else {
            return Ok(());
        };
        if !limits.stale_by_age || since.elapsed() <= attached.timeout {
            return Ok(());
        }
        if limits.drop_stale {
            self.server.stats().count(Happened::StaleDropped);
            return Err(Ended::Stale);
        }
        self.server.stats().count(Happened::Stale);
        Ok(())
    }

    /// Whether a request waited so long that it is refused.
    fn is_throttled(&self, op: Option<OpCode>) -> bool {
        let most = self.server.settings().limits.throttled_op_after;
        !most.is_zero()
            && !matches!(op, Some(OpCode::Ping | OpCode::CloseSession))
            && self.held_since.is_some_and(|since| since.elapsed() > most)
    }

    fn request(&mut self, frame: Bytes) {
        let mut cursor = Cursor::new(&frame);
        let Ok(header) = RequestHeader::decode(&mut cursor) else {
            tracing::warn!(peer = %self.peer.address, len = frame.len(), "malformed request");
            return self.outbound.end(Ending::Refused);
        };
        let xid = header.xid;
        match OpCode::from_i32(header.op) {
            Some(OpCode::Auth) => self.auth(xid, &mut cursor),
            Some(OpCode::Sasl) => self.sasl(xid, &mut cursor),
            _ if !self.may_ask(xid) => {}
            op if self.is_throttled(op) => {
                self.server.stats().count(Happened::Throttled);
                self.fail(xid, ErrorCode::THROTTLED_OP);
            }
            Some(OpCode::Reconfig) if !self.is_read_only() => self.barrier = Some(frame),
            Some(op) if self.is_read_only() && op == OpCode::CloseSession => {
                self.fail(xid, ErrorCode::OK);
                self.outbound.end(Ending::Closed);
            }
            Some(op) if self.is_read_only() && (write::is_write(op) || op == OpCode::Reconfig) => {
                self.fail(xid, TreeError::NotReadOnly.into());
            }
            Some(op) if write::is_write(op) => self.write(op, xid, &mut cursor, frame.len()),
            op => self.read(op, &frame),
        }
    }

    fn is_read_only(&self) -> bool {
        self.outbound.read_only.load(Ordering::Acquire)
    }

    /// Carries out the reconfig request at the barrier. The change goes on if the client leaves.
    async fn reconfig(&mut self) -> Result<(), Ended> {
        let Some(frame) = self.barrier.take() else { return Ok(()) };
        let since = Instant::now();
        let mut cursor = Cursor::new(&frame);
        // Read once before, when the request came.
        let Ok(header) = RequestHeader::decode(&mut cursor) else { return Ok(()) };
        let Ok(request) = Request::decode(OpCode::Reconfig, &mut cursor) else {
            tracing::warn!(peer = %self.peer.address, "malformed reconfig request");
            self.outbound.end(Ending::Refused);
            return Ok(());
        };
        let (server, outbound) = (self.server, self.outbound.clone());
        let replica = server.replica();
        let who = outbound.who.lock().clone();
        let audited = self.audited(&request, &who);
        let result = match reconfig::check(&request, replica, server.settings(), &who) {
            Ok(wanted) => {
                let mut change = tokio::spawn(reconfig::change(replica.clone(), wanted));
                loop {
                    tokio::select! {
                        // A change that panicked is one nobody knows the end of.
                        done = &mut change => break done.unwrap_or(Err(TreeError::RuntimeInconsistency)),
                        () = outbound.wake.notified() => self.flush().await?,
                        // It is this node that keeps the client waiting.
                        () = tokio::time::sleep(Duration::from_millis(500)) => {
                            if let Some(attached) = &self.attached {
                                attached.touch.set();
                            }
                        }
                    }
                }
            }
            Err(error) => Err(error),
        };
        match (audited, &result) {
            (Some(audited), Ok(_)) => audited.succeeded(),
            (Some(audited), Err(_)) => audited.failed(),
            (None, _) => {}
        }
        let (err, body) = match result {
            Ok(body) => (ErrorCode::OK, body),
            Err(error) => (error.into(), Vec::new()),
        };
        let zxid = replica.last_zxid();
        let bytes = outbound.owed(|owed| {
            let before = owed.bytes.len();
            owed.frame(|out| {
                ReplyHeader { xid: header.xid, zxid, err }.encode(out);
                out.extend_from_slice(&body);
            });
            owed.bytes.len() - before
        });
        outbound.count(&Answer { op: header.op, xid: header.xid, zxid, since, bytes });
        Ok(())
    }

    fn read(&mut self, op: Option<OpCode>, frame: &Bytes) {
        let now = Instant::now();
        let queued = self.outbound.owed(|owed| {
            let behind = !owed.queue.is_empty();
            if behind {
                let share = self.server.shared.load.share(false, frame.len());
                owed.push(Queued::Read(frame.clone(), now, share));
            }
            behind
        });
        if queued {
            return;
        }
        let who = self.outbound.who.lock().clone();
        let outbound = &self.outbound;
        let replica = self.server.replica();
        let answer = |mut place: read::Place<'_>| {
            let zxid = place.machine.last_zxid();
            outbound.owed(|owed| {
                if owed.is_cut() {
                    return;
                }
                let before = owed.bytes.len();
                read::answer(frame, &mut place, outbound, &who, owed);
                outbound.count(&Answer::to(frame, zxid, now, owed.bytes.len() - before));
            });
        };
        if op.is_some_and(|op| read::uses_watches(op, frame)) {
            replica.view(|View { machine, watches }| {
                answer(read::Place { machine, watches: Some(watches) });
            });
        } else {
            answer(read::Place { machine: &replica.read(), watches: None });
        }
    }

    fn write(&mut self, op: OpCode, xid: i32, cursor: &mut Cursor<'_>, len: usize) {
        let request = match Request::decode(op, cursor) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(peer = %self.peer.address, %error, ?op, "malformed request");
                return self.outbound.end(Ending::Refused);
            }
        };
        let who = self.outbound.who.lock().clone();
        let audited = self.audited(&request, &who);
        let (command, detail) = match write::command(request, &who, self.server.settings().ttl) {
            Ok(command) => command,
            Err(error) => {
                if let Some(audited) = audited {
                    audited.failed();
                }
                return self.fail(xid, error.into());
            }
        };
        let replica = self.server.replica();
        let settings = self.server.settings();
        if settings.eager_acl_check && eager::forbids(&replica.read(), op, &command, &who) {
            if let Some(audited) = audited {
                audited.failed();
            }
            return self.fail(xid, TreeError::NoAuth.into());
        }
        let session = self.attached.as_ref().map_or(0, |attached| attached.session);
        let ids = access::Identities { ids: who.borrowed(), bypass: who.bypass() };
        let enforce = settings.enforce_quota && !who.is_super();
        let from = replica.submitter(session, self.outbound.watcher(), ids, enforce);
        let since = Instant::now();
        let share = self.server.shared.load.share(true, len);
        self.outbound.owed(|owed| {
            let write = Write { xid, op, since, detail, len, audited, _share: share };
            owed.push(Queued::Write(write));
        });
        replica.submit(&mut self.batch_place, &from, &command, self.outbound.clone(), 0);
    }

    /// What the audit log will say of a request, if it is kept and says anything of it.
    fn audited(&self, request: &Request<'_>, who: &Arc<Identities>) -> Option<Box<audit::Pending>> {
        let audit = self.server.settings().audit.as_ref()?;
        let operation = audit::Operation::of(request)?;
        let session = self.attached.as_ref().map_or(0, |attached| attached.session);
        let asker = audit::Asker { session, ip: self.peer.address.ip(), who: who.clone() };
        Some(Box::new(audit::Pending::new(audit.clone(), asker, operation)))
    }

    /// Answers a request that nobody else needs to see, after those before it.
    fn fail(&mut self, xid: i32, code: ErrorCode) {
        let zxid = self.server.replica().last_zxid();
        let queued = self.outbound.owed(|owed| match owed.queue.is_empty() {
            true => {
                owed.reply(xid, zxid, code);
                false
            }
            false => {
                owed.push(Queued::Failed { xid, code });
                true
            }
        });
        if !queued {
            self.server.stats().sent();
            self.counters.sent();
        }
    }

    /// Sends what is owed; ends the connection when that is all.
    async fn flush(&mut self) -> Result<(), Ended> {
        loop {
            let ending = self.outbound.owed(|owed| {
                std::mem::swap(&mut owed.bytes, &mut self.output);
                owed.ending
            });
            if let Some(Ending::TooSlow) = ending {
                return Err(Ended::By(Ending::TooSlow));
            }
            let patience = self.attached.as_ref().map_or(Duration::from_secs(10), |a| a.timeout);
            let deadline = tokio::time::Instant::now() + patience;
            if self.output.is_empty() {
                return match ending {
                    Some(ending) => {
                        let shut = tokio::time::timeout_at(deadline, self.stream.shutdown());
                        shut.await.map_err(|_| Ended::Stalled)??;
                        Err(Ended::By(ending))
                    }
                    None => Ok(()),
                };
            }
            let (stream, output, outbound) = (&mut self.stream, &self.output, &self.outbound);
            let written = async {
                stream.write_all(output).await?;
                stream.flush().await
            };
            tokio::pin!(written);
            let mut woken = false;
            loop {
                tokio::select! {
                    written = tokio::time::timeout_at(deadline, &mut written) => {
                        written.map_err(|_| Ended::Stalled)??;
                        break;
                    }
                    // More is owed by now; too much, perhaps.
                    () = outbound.wake.notified() => {
                        if outbound.owed(|owed| owed.ending == Some(Ending::TooSlow)) {
                            return Err(Ended::By(Ending::TooSlow));
                        }
                        woken = true;
                    }
                }
            }
            if woken {
                // It was meant for whoever waits next.
                outbound.wake.notify_one();
            }
            self.output.clear();
            if self.output.capacity() > HIGH_WATER {
                self.output = Vec::new();
            }
        }
    }
}
